#!/bin/sh
# Prompts of all sorts: many in a file, and models of several stacks.
. "${srcdir:-.}/tests/cli_lib.sh"
golden=$shared/golden

q()
{
    "$attnscope" sql --store "$tmp/s.db" "$1" --tsv | tail -n +2
}

# --- many prompts ---
cat > "$tmp/p.jsonl" << 'END'
{"text": "The lamp. The lamp.", "label": "one"}

{"ids": [0, 17, 42, 17, 42]}
{"prompt": "A storm came."}
END
run run "$model" --prompts "$tmp/p.jsonl" --store "$tmp/s.db" --maps L0H1
exits 0 "a file of prompts"
out_has "3 prompts, 20 tokens" "the summary counts them"
check "a unit each" test "$(q 'SELECT count(*) FROM unit WHERE run_id = 1')" = 3
check "with their own tokens" test "$(q 'SELECT group_concat(n, 0) FROM (SELECT count(*) AS n FROM prompt_token GROUP BY prompt ORDER BY prompt)')" = 90506
check "and labels" test "$(q "SELECT label FROM unit WHERE prompt_index = 0")" = one
check "a map each" test "$(q 'SELECT count(DISTINCT prompt) FROM map_list')" = 3
run run "$model" --prompt "The lamp. The lamp." --metrics nll,entropy --csv
sed 's/^1,0,/1,/' "$tmp/out" > "$tmp/alone"
run run "$model" --prompts "$tmp/p.jsonl" --metrics nll,entropy --csv
grep -e '^run' -e '^1,0,' "$tmp/out" | sed 's/^1,0,/1,/' > "$tmp/among"
same "$tmp/alone" "$tmp/among" "a prompt among others gives what it gives alone"
run run "$model" --prompts "$tmp/p.jsonl" --metrics nll --json
check "--json names the prompt" test "$(grep -c '"prompt":2,' "$tmp/out")" -eq 5
run view head_map --prompt 2 --store "$tmp/s.db"
exits 0 "a map of the third prompt"
# a long prompt weighs no more than a short one in the mean, which lies within its interval
{ printf '{"text":"'; for i in 1 2 3 4 5 6 7 8; do printf 'Once upon a time there was a little girl who lived by the sea. '; done; printf '"}\n'
  printf '{"text":"%s"}\n' "zebra quantum" "xylophone galactic" "turbine kale" "mortgage ozone"; } > "$tmp/lengths.jsonl"
run run "$model" --prompts "$tmp/lengths.jsonl" --metrics nll
check "the mean lies within its interval" awk '$1 == "nll" { exit !($4 == 5 && $6 + 0 <= $3 + 0 && $3 + 0 <= $7 + 0) }' "$tmp/out"
run run "$model" --prompts "$tmp/lengths.jsonl" --metrics sink
check "the sink rate says its lengths" grep -q '^sink rate: .* 5 prompts, .* (95 %), T = [0-9]* to [0-9]*$' "$tmp/out"
run run "$model" --prompts "$tmp/p.jsonl" --prompt a
refuses 2 "--prompts, --builtin and the options" "one prompt beside many"
printf '{"text": "a"}\n{"ids": [99999]}\n' > "$tmp/bad.jsonl"
run run "$model" --prompts "$tmp/bad.jsonl" --store "$tmp/s.db"
refuses 2 "bad.jsonl:2: token id 99999" "a bad line is named"
printf '{"text": "a"}\n{"txt": "b"}\n' > "$tmp/bad.jsonl"
run run "$model" --prompts "$tmp/bad.jsonl" --store "$tmp/s.db"
refuses 3 'bad.jsonl:2: gives no prompt' "a line without a prompt is named"
check "neither leaves a run" test "$(q 'SELECT count(*) FROM run')" = 1

# --- what a decoder does not take ---
run run "$model" --prompt a --source b
refuses 2 "no text encoder" "a source for a decoder"
run run "$model" --prompt a --image cat.png
refuses 2 "reads no images" "an image for a decoder"
run run "$model" --prompt a --maps enc.L0H0
refuses 2 "no attention of that kind" "a head of a stack that is not there"

run run "$model" --ids 1,,2
refuses 2 "a token id is missing at a comma" "an empty id"
run run "$model" --ids "1, 2" --metrics entropy
exits 0 "a blank behind a comma"

# --- several stacks ---
if [ ! -d "$golden/t5" ]; then
    skip "encoder-decoders, encoders, images" "no $golden"
    plan
    exit
fi
run run "$golden/t5" --ids 5,6,7,5,6,7 --target-ids 0,9,10 --maps all --store "$tmp/t5.db"
exits 0 "an encoder-decoder"
out_has "target of 3 tokens" "the summary says what was read"
out_has "sink rate: 8 of 8 heads" "the decoder's sinks"
out_has "enc heads above" "the encoder's sinks"
run view head_map --head cross.L1H2 --store "$tmp/t5.db"
exits 0 "a map of cross attention"
out_has "3 x 6 positions" "it is rectangular"
run plot head_map --head cross.L1H2 --store "$tmp/t5.db" -o "$tmp/cross.png"
exits 0 "and a picture"
run view score_grid --metric entropy --kind enc --store "$tmp/t5.db"
exits 0 "values of the encoder"
run view score_grid --metric distance --kind cross --store "$tmp/t5.db"
refuses 2 "no distance of kind cross" "a metric that cross attention does not have"
run export 1 --store "$tmp/t5.db" -o "$tmp/t5.npz"
exits 0 "export"
run dump "$golden/t5" --inputs "$golden/t5/ref-3.npz" -o "$tmp/d.npz"
exits 0 "dump of a reference's inputs"
run verify "$golden/t5" "$tmp/d.npz" "$golden/t5/ref-3.npz"
exits 0 "which agrees with itself and with the reference"
run generate "$golden/t5" --ids 5,6,7 --max-tokens 3 --json
exits 0 "generate reads the source"
out_has '"source_ids":[5,6,7]' "and says so"
run run "$golden/t5"
refuses 2 "no source given" "a source that is missing"
run run "$golden/bert" --ids 5,6,7 --metrics nll
refuses 2 "makes no sense for bert" "nll of a masked language model"
run run "$golden/bert" --ids 5,6,7 --metrics sink --maps L0H1 --store "$tmp/b.db"
exits 0 "a head of an encoder without a prefix"
run view head_map --head L0H1 --store "$tmp/b.db"
out_has "enc.L0H1" "it is found again so"
run generate "$golden/bert" --ids 5,6
refuses 2 "is an encoder" "an encoder generates nothing"
run run "$golden/vit" --ids 5
refuses 2 "reads images only" "text for an image tower"
run run "$golden/bert" --ids 5,6,7 --maps foo.L0H9
refuses 2 "with enc. before it" "the hint names the kinds of attention"

# npy NAME SHAPE COUNT: zeros as float32
npy()
{
    { printf '\223NUMPY\001\000\166\000'; printf '%-117s\n' "{'descr': '<f4', 'fortran_order': False, 'shape': ($2), }"
      dd if=/dev/zero bs=4 count="$3" 2> /dev/null; } > "$tmp/$1"
}
size=$(sed -n 's/.*"image_size": *\([0-9]*\).*/\1/p' "$golden/vit/config.json")
npy chw.npy "3, $size, $size" $((3 * size * size))
npy hwc.npy "$size, $size, 3" $((3 * size * size))
run run "$golden/vit" --pixels "$tmp/hwc.npy"
refuses 3 "$size channels; wanted is [3, height, width]" "channels that come last"
run run "$golden/vit" --pixels "$tmp/chw.npy" --store "$tmp/v.db"
exits 0 "pixels"
run runs --store "$tmp/v.db"
out_has "pixels chw.npy" "runs tells that the prompt was pixels"
plan
