#!/bin/sh
# --dry-run: operations and lengths counted as by hand, nothing run nor stored, wrong input found as ever.  Times are only
# held against each other.
. "${srcdir:-.}/tests/cli_lib.sh"
[ -x "$attnscope" ] || { echo "Bail out! no program $attnscope"; exit 1; }
ids=$(awk 'BEGIN { for (i = 0; i < 100; i++) printf "%s%d", i ? "," : "", 2 + i * 7 % 2000 }')

# member NAME ROW: of that line of standard output.
member()
{
    sed -n "$2s/.*\"$1\":\([^,}]*\)[,}].*/\1/p" "$tmp/out"
}
# is NAME ROW VALUE DESCRIPTION
is()
{
    between "$3" "$(member "$1" "$2")" "$3" "$4"
}

# ---- what can be counted by hand: 4 layers, width 256, 8 heads of 32 over 4, MLP of 512 (three matrices), 2,048 ids ----
run run "$model" --ids "$ids" --metrics entropy --dry-run --json --store "$tmp/none.db"
exits 0 "a dry run"
check "a line for the prompt and one for all" [ "$(grep -c '^{"schema":"attnscope.estimate/1","prompt":' "$tmp/out")" = 2 ]
is prompt 1 0 "first the prompt"
check "then the whole" [ "$(member prompt 2)" = null ]
is tokens 1 100 "its tokens"
# (256 x 256 twice, 128 x 256 twice, 512 x 256 three times) x 4 layers x 2 x 100 tokens
is product_flop 1 471859200 "operations of the products"
# 100 x 101 / 2 pairs x 8 heads x 4 layers x 2 x (32 + 32)
is attention_flop 1 20684800 "operations of attention"
is product_flop 2 471859200 "the whole is the prompt"
is values 2 32 "a value a head"
is weight_bytes 2 "$(wc -c < "$model/model.safetensors")" "bytes of the weights"
check "seconds are the sum of their parts" awk -v a="$(member seconds 1)" -v p="$(member product_seconds 1)" \
    -v t="$(member attention_seconds 1)" -v o="$(member other_seconds 1)" -v m="$(member metric_seconds 1)" \
    -v s="$(member store_seconds 1)" \
    'BEGIN { d = a - p - t - o - m - s; exit !(a > 0 && p > 0 && t > 0 && o >= 0 && m >= 0 && s > 0 && d < 1e-9 && d > -1e-9) }'
check "rates are operations over seconds" awk -v f="$(member product_flop 1)" -v s="$(member product_seconds 1)" \
    -v r="$(member product_rate 1)" 'BEGIN { exit !(r > 0 && f / s / r > .999 && f / s / r < 1.001) }'
check "memory is the sum of its parts" awk -v m="$(member memory 1)" -v h="$(member held_bytes 1)" \
    -v a="$(member activation_bytes 1)" -v s="$(member scratch_bytes 1)" -v k="$(member kept_bytes 1)" \
    'BEGIN { d = m - h - a - s - k; exit !(h > 0 && a > 0 && s > 0 && d <= 2 && d >= -2) }'
check "no store is made" [ ! -e "$tmp/none.db" ]

# logits of all positions: 2 x 100 x 2,048 x 256 more
run run "$model" --ids "$ids" --metrics nll --dry-run --json
is product_flop 2 576716800 "a metric of logits has them formed"
check "and room for them" [ "$(member logit_bytes 2)" -gt 0 ]
# twice the tokens: twice the products, 200 x 201 / 100 / 101 times the pairs
run run "$model" --ids "$ids,$ids" --metrics entropy --dry-run --json
is product_flop 2 943718400 "products grow with the prompt"
is attention_flop 2 82329600 "attention with its square"

# ---- several prompts, tables ----
printf '%s\n' '{"ids": [2,3,4,5]}' '{"ids": [2,3,4,5,6,7,8,9,10,11]}' > "$tmp/two.jsonl"
run run "$model" --prompts "$tmp/two.jsonl" --dry-run --json
is tokens 1 4 "the first prompt"
is tokens 2 10 "the second"
is tokens 3 14 "both"
is prompts 3 2 "how many"
run run "$model" --prompts "$tmp/two.jsonl" --dry-run --csv
check "CSV has a header and a row each" [ "$(wc -l < "$tmp/out")" = 4 ]
run run "$model" --prompts "$tmp/two.jsonl" --dry-run
out_has "prompt  tokens  time" "a table for people"
out_has "The rates were measured just now" "says where the time is from"

# ---- a store that is there stays as it is ----
run run "$model" --ids 2,3,4 --metrics entropy --store "$tmp/heads.db"
"$attnscope" sql "SELECT count(*) FROM run" --csv --store "$tmp/heads.db" > "$tmp/before"
sum=$(cksum < "$tmp/heads.db")
run run "$model" --ids "$ids" --dry-run --store "$tmp/heads.db"
exits 0 "beside a store"
check "not a byte of it changes" [ "$(cksum < "$tmp/heads.db")" = "$sum" ]
"$attnscope" sql "SELECT count(*) FROM run" --csv --store "$tmp/heads.db" > "$tmp/after"
same "$tmp/before" "$tmp/after" "nor has it another run"

# ---- other experiments are tried, sweeps planned ----
run induction "$model" --lengths 16 --repeats 2 --dry-run --json --store "$tmp/none.db"
exits 0 "an experiment"
is prompts 1 2 "its units"
check "by trying some" grep -q '"by":"2 tried"' "$tmp/out"
check "in a store that is thrown away" [ ! -e "$tmp/none.db" ]
run induction "$model" --lengths 16 --repeats 2 --store "$tmp/heads.db"
run induction "$model" --lengths 16 --repeats 2 --dry-run --json --store "$tmp/heads.db"
check "or by the stored runs of the same" grep -q '"by":"stored runs"' "$tmp/out"
run weights "$model" --metrics copying --dry-run
exits 0 "metrics of weights"
cat > "$tmp/s.sweep" <<END
command = run
model   = $model
ids     = "2,3,4"
metrics = entropy
END
run sweep "$tmp/s.sweep" --dry-run --store "$tmp/none.db"
exits 0 "a sweep"
out_has "1 cell, 1 unit" "shows its plan"
check "and makes no store" [ ! -e "$tmp/none.db" ]

# ---- models of other kinds ----
golden=$shared/golden
if [ -d "$golden/mixtral" ] && [ -d "$golden/t5" ]; then
    run run "$golden/mixtral" --ids 2,3,4,5 --metrics entropy --dry-run --json
    exits 0 "a mixture of experts"
    run run "$golden/t5" --source-ids 5,6,7 --target-ids 0,5 --metrics entropy --dry-run --json
    exits 0 "an encoder and a decoder"
    is tokens 1 5 "positions of both"
    # an image of zeros as an array [3, 32, 32]
    printf '\223NUMPY\001\000v\000%-117s\n' "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 32, 32), }" > "$tmp/zeros.npy"
    dd if=/dev/zero bs=12288 count=1 >> "$tmp/zeros.npy" 2> /dev/null
    run run "$golden/vit" --pixels "$tmp/zeros.npy" --metrics entropy --dry-run --json
    exits 0 "an image"
    check "what metrics add to it is not known" [ "$(member metric_seconds 2)" = null ]
else
    skip "a mixture of experts" "no $golden"
    skip "an image" "no $golden"
    skip "what metrics add to it is not known" "no $golden"
    skip "an encoder and a decoder" "no $golden"
    skip "positions of both" "no $golden"
fi

# ---- wrong input ----
run run "$model" --dry-run
refuses 2 "no prompt" "no prompt"
run run "$model" --ids 2,99999 --dry-run
refuses 2 "outside the vocabulary" "an id that there is not"
run run "$model" --prompt x --metrics nonsense --dry-run
refuses 2 "nonsense" "a metric that there is not"
run run "$tmp/absent" --prompt x --dry-run
refuses 3 "absent" "a model that there is not"
run run "$model" --ids 2,3 --dry-run --store "$tmp/two.jsonl"
refuses 3 "two.jsonl" "a store that is none"
run needle "$model" --emit "$tmp/trials.jsonl" --lengths 128 --dry-run
refuses 2 "no units of work" "words that measure nothing"
run top entropy --dry-run
refuses 2 "unknown option --dry-run" "a verb that measures nothing"
plan
