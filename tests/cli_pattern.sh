#!/bin/sh
# Metrics about what the tokens are: classes, spans and detection patterns as options name them.
. "${srcdir:-.}/tests/cli_lib.sh"
text="The old man lit the lantern, and the old man slept."

run run "$model" --prompt "$text" --metrics mass_bos,mass_delimiter,span_mass --span-text "old man" --json
exits 0 "a span and two classes"
check "a value a head and metric" test "$(grep -c '"value"' "$tmp/out")" = 96
run run "$model" --prompt "$text" --metrics span_mass --span-text "old man" --span-nth 1 --span-rows each --json
check "each query at its position" grep -q '"metric":"span_mass","layer":0,"head":0,"position":4,' "$tmp/out"
check "none before the span ends" test "$(grep -c '"position":[0-3],' "$tmp/out")" = 0
run run "$model" --prompt "$text" --metrics span_shift,span_to_span --span-regex 'm\wn' --span-from-tokens 9-12 --json
check "spans by pattern and by position" test "$(grep -c '"value"' "$tmp/out")" = 64

# the named patterns, and the same as a matrix
ids=$(repeated_ids 12)
run run "$model" --ids "$ids" --metrics detect --detect-pattern previous_token_head --json
cp "$tmp/out" "$tmp/named"
awk 'BEGIN { for (i = 0; i < 25; i++) for (j = 0; j < 25; j++) printf "%d%s", j == i - 1, j == 24 ? "\n" : "," }' > "$tmp/prev.csv"
run run "$model" --ids "$ids" --metrics detect --detect-pattern "$tmp/prev.csv" --json
same "$tmp/named" "$tmp/out" "a matrix of one's own is the pattern of that name"
between 0.9 "$(value detect 0 1)" 0.97 "L0H1 has all but the first row of a previous-token head"
run run "$model" --ids "$ids" --metrics detect --detect-exclude-bos --detect-exclude-current-token --json
between 0.85 "$(value detect 1 3)" 1 "L1H3 attends by induction where BOS and itself are left out"

# the options that metrics share are known to each, and written once
run run "$model" --prompt "$text" --metrics span_shift --span-text man --store "$tmp/heads.db"
exits 0 "an option of two metrics with the second alone"
"$attnscope" sql --store "$tmp/heads.db" --csv 'SELECT settings FROM run' > "$tmp/out" 2> "$tmp/err"
out_has '"span-text"":""man""' "the settings hold the span"

run run "$model" --prompt "$text" --metrics span_mass
refuses 2 "span_mass of what?" "a span that nobody named"
run run "$model" --prompt "$text" --metrics span_mass --span-text "young man"
refuses 2 "'young man' is not in the prompt" "a span that is not there"
run run "$model" --prompt "$text" --metrics mass_bos --span-text man
refuses 2 "belongs to metric span_mass" "an option that nothing reads"
run run "$model" --prompt "$text" --metrics detect --detect-pattern "$tmp/prev.csv"
refuses 2 "is 25 x 25, the attention of the prompt" "a matrix of another length"
run run "$model" --prompt "$text" --metrics all --quiet
exits 0 "all metrics without the ones that need a name"

plan
