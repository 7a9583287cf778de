#!/bin/sh
# divergence and vhd: tables, rows of the store, refusals.
. "${srcdir:-.}/tests/cli_lib.sh"

text='It was a dark night, and the old man took the lantern from the wall.'
run --store "$tmp/d.db" divergence "$model" --prompt "$text"
exits 0 "divergence of the heads of each layer"
out_has 'kind  layer  nearest  and   distance  farthest  from     far    mean  clusters  cophenetic_r  stress' "a table of layers"
check "four layers" test "$(grep -c '^self      [0-3] ' "$tmp/out")" -eq 4
check "thirty-two heads" test "$(grep -c '^self  L' "$tmp/out")" -eq 32

run --store "$tmp/d.db" divergence "$model" --prompt "$text" --json
exits 0 "as JSON lines"
check "of two schemas" test "$(grep -c '"schema":"attnscope.divergence_group/1"' "$tmp/out")" -eq 4 -a \
    "$(grep -c '"schema":"attnscope.divergence/1"' "$tmp/out")" -eq 32
run --store "$tmp/d.db" divergence "$model" --prompt "$text" --csv
check "CSV has the heads alone" test "$(grep -c '' "$tmp/out")" -eq 33

run --store "$tmp/d.db" sql "SELECT count(*) AS n FROM head_value WHERE run = 1 AND metric = 'jsd'" --csv
check "7 distances a head in the store" test "$(tail -n 1 "$tmp/out")" = 224
# both directions hold the same number, between 0 and ln 2
run --store "$tmp/d.db" sql "SELECT count(*) AS n FROM head_value a JOIN head_value b ON a.run = b.run AND a.layer = b.layer
    AND a.position = 8 * a.layer + b.head AND b.position = 8 * b.layer + a.head
    WHERE a.run = 1 AND a.metric = 'jsd' AND b.metric = 'jsd' AND a.value = b.value AND a.value > 0 AND a.value < 0.693148" --csv
check "symmetric and in range" test "$(tail -n 1 "$tmp/out")" = 224

run --store "$tmp/d.db" divergence "$model" --prompt "$text" --by cosine --clusters 2 --linkage ward --csv
exits 0 "by cosine, ward"
check "two clusters a layer" test "$(tail -n +2 "$tmp/out" | cut -d, -f3 | sort -u | tr '\n' ' ')" = "0 1 "
run --store "$tmp/d.db" divergence "$model" --prompt "$text" --height 9 --csv
check "one cluster below a great height" test "$(tail -n +2 "$tmp/out" | cut -d, -f3 | sort -u)" = 0
run --store "$tmp/d.db" divergence "$model" --prompt "$text" --between all --jsd-layers-unit bits --csv
exits 0 "all heads of the model"
check "in one tree" test "$(tail -n +2 "$tmp/out" | cut -d, -f4 | sort -n | tail -n 1)" = 31
run --store "$tmp/d.db" divergence "$model" --prompt "$text" --between layers --json
exits 0 "layers"
check "one group of four" test "$(grep -c '' "$tmp/out")" -eq 5

run --store "$tmp/d.db" divergence "$model" --prompt "$text" --between layers --by jsd
refuses 2 '--between layers has no --by jsd' "a pair of options that does not exist"
run --store "$tmp/d.db" divergence "$model" --prompt "$text" --between layers --jsd-unit bits
refuses 2 '--jsd-unit does nothing here: layer_similarity is measured' "an option of another metric"
run --store "$tmp/d.db" divergence "$model" --prompt "$text" --clusters 3 --height 1
refuses 2 '--clusters and --height are two ways to cut' "two ways to cut"
run --store "$tmp/d.db" divergence "$model"
check "no prompt is refused" test "$status" -eq 2 -a ! -s "$tmp/out"

# --- vhd ---
key='The key is red. The door is blue. The key is'
run --store "$tmp/v.db" vhd "$model" --prompt "$key" --without-text 'The key is red.'
exits 0 "vhd at the last token"
check "ten heads are shown" test "$(grep -c '^L' "$tmp/out")" -eq 10
out_has 'T-VHD, the 8 largest of each layer summed: ' "and the total"
run --store "$tmp/v.db" vhd "$model" --prompt "$key" --without-tokens 1-6 --csv
check "all heads as CSV" test "$(grep -c '' "$tmp/out")" -eq 33
run --store "$tmp/v.db" sql "SELECT a.value - b.value AS d FROM head_value a JOIN head_value b USING (layer, head, metric)
    WHERE a.run = 1 AND b.run = 2 AND metric = 'vhd' ORDER BY abs(d) DESC LIMIT 1" --csv
check "the text and its tokens are one span" test "$(tail -n 1 "$tmp/out")" = 0
run --store "$tmp/v.db" vhd "$model" --prompt "$key" --without-text blue --positions all
exits 0 "at all positions behind the span"
run --store "$tmp/v.db" vhd "$model" --prompt "$key"
refuses 2 'no part of the prompt is named to leave out' "no span"
run --store "$tmp/v.db" vhd "$model" --prompt "$key" --without-text green
refuses 2 'green' "a text that is not there"
run --store "$tmp/v.db" vhd "$model" --prompt "$key" --without-tokens=-2--1
refuses 2 '' "a span up to the end"
run --store "$tmp/v.db" vhd "$model" --prompt "$key" --without-image
refuses 2 'the prompt has no image' "no image"

plan
