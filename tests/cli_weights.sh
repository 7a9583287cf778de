#!/bin/sh
# weights, lens, and the metrics of weights and flow from the command line.
. "${srcdir:-.}/tests/cli_lib.sh"

run weights "$model" --metrics composition_q,composition_k,copying_full,ov_spectrum --store "$tmp/w.db" --n 2
exits 0 "weights measures the bundled model"
check "the strongest K-composition names both heads" grep -q "^composition_k  *L1H0  *L0H5 " "$tmp/out"
out_has "copying_full" "metrics of the vocabulary are there"
run sql "SELECT metric, count(*) AS n FROM value_list WHERE run = 1 GROUP BY metric ORDER BY metric" --store "$tmp/w.db" --csv
out_has "composition_q,384" "a value for every pair of heads in order: 8 x 8 x 6"
out_has "ov_spectrum,1024" "a singular value for each dimension of each head"
run sql "SELECT count(*) AS n FROM unit WHERE run_id = 1" --store "$tmp/w.db" --csv
check "each metric is a unit of the run" test "$(tail -n 1 "$tmp/out")" = 4

# heads of the first layer have no values here, and are named all the same
run weights "$model" --metrics composition_k --store "$tmp/k.db"
exits 0 "one metric of pairs"
run top composition_k --store "$tmp/k.db" --n 1 --csv
out_has "1,L1H0,L0H5," "top names the head that is read"

run weights "$model" --n 1 --csv
check "all metrics of weights when none is named" test "$(grep -c '^composition_v,\|^copying,\|^ov_rank,\|^qk_rank,' "$tmp/out")" -eq 4

run weights "$model" --metrics copying,ov_spectrum --ov-values 1 --n 0 --csv
exits 0 "chosen metrics"
lines=$(grep -c '^copying,\|^ov_spectrum,' "$tmp/out")
between 64 "$lines" 64 "one value of each for 32 heads"
run weights "$model" --metrics copying --n 0 --csv
cp "$tmp/out" "$tmp/one"
run weights "$model" --metrics copying --n 0 --csv --threads 3
same "$tmp/one" "$tmp/out" "the same figures on three threads"

run weights "$model" --metrics copying --store "$tmp/w.db" --n 1
run weights "$model" --metrics copying --store "$tmp/w.db" --n 1 --resume 2
exits 0 "a run that is done can be resumed"
run weights "$model" --metrics copying,ov_rank --store "$tmp/w.db" --resume 2
exits 2 "not with other metrics"

run weights "$model" --metrics sink
refuses 2 "sink is measured on a prompt, not on the weights alone" "a metric of prompts"
run run "$model" --prompt "It was" --metrics copying
refuses 2 "copying is measured on the weights alone, not on a prompt" "run refuses metrics of weights"
run weights "$model" --metrics copying --composition-baseline
refuses 2 "--composition-baseline belongs to metric composition_k, which is not measured" "an option of another metric"
run run "$model" --prompt "It was a dark night" --metrics all --csv
exits 0 "run --metrics all"
if grep -q "copying\|composition" "$tmp/out" "$tmp/err"; then
    not_ok "and leaves metrics of weights out silently"
else
    ok "and leaves metrics of weights out silently"
fi

check "nor flow, which must be named" test "$(grep -c ',flow,' "$tmp/out")" -eq 0
run lens "$model" --prompt "It was a dark night and" --last 2
exits 0 "lens"
between 6 "$(grep -c '' "$tmp/out")" 7 "a row for the embedding and for each layer"
run lens "$model" --prompt "It was a dark night and" --last 1 --top 3 --csv
between 16 "$(grep -c '' "$tmp/out")" 16 "as rows: five streams, three tokens"
printf 'It was a dark night\nOne two three\n' > "$tmp/texts.txt"
run lens "$model" --prompts "$tmp/texts.txt" --last 1 --csv
exits 0 "lens of the prompts of a file"
check "a row for each stream of each" test "$(cut -d , -f 1 "$tmp/out" | tr '\n' ' ')" = "prompt 0 0 0 0 0 1 1 1 1 1 "
sed -n '7,$p' "$tmp/out" | cut -d , -f 2- > "$tmp/second"
run lens "$model" --prompt "One two three" --last 1 --csv
sed 1d "$tmp/out" | cut -d , -f 2- > "$tmp/alone"
same "$tmp/alone" "$tmp/second" "the same as alone"
run lens "$model" --prompts "$tmp/texts.txt" --last 1
out_has "prompt 1, texts.txt:2" "people get a table for each"
run lens "$model" --prompts "$tmp/none.txt"
refuses 3 "none.txt" "a file that is not there"
run lens "$model" --prompt "It was" --top 0
exits 2 "no candidates"

run run "$model" --prompt "It was a dark night" --metrics attribution --attribution-token "not one token"
refuses 2 "attribution-token: 'not one token' is" "a text of several tokens"
run run "$model" --prompt "It was a dark night" --metrics flow --flow-limit 4
refuses 2 "flow goes up to 4 tokens" "flow above its limit"
run run "$model" --prompt "It was a dark night" --metrics rollout --csv
awk -F, '$4 == "rollout" { s += $8 } END { exit !(s > 0.99999 && s < 1.00001) }' "$tmp/out" &&
    ok "a row of the rollout sums to 1" || not_ok "a row of the rollout sums to 1"

# --- a metric of layers ---
run weights "$model" --metrics weight_outlier --csv
exits 0 "a metric of layers"
check "has a row a layer" test "$(grep -c '^weight_outlier,L[0-3],' "$tmp/out")" -eq 4

plan
