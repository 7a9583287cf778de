#!/bin/sh
# --quantize: weights rounded at load, and recorded with what was measured. Spans and classes by name are in cli_pattern.sh.
. "${srcdir:-.}/tests/cli_lib.sh"
db=$tmp/heads.db
q() { "$attnscope" sql --store "$db" --csv "$1" 2> "$tmp/err" | tail -n +2; }
prompt="It was a dark night, and the old man"

# --- a form that holds the weights exactly ---
run run "$model" --prompt "$prompt" --json
exits 0 "run as stored"
cp "$tmp/out" "$tmp/stored"
run run "$model" --prompt "$prompt" --json --quantize bf16
same "$tmp/stored" "$tmp/out" "bf16 weights through bf16 are the same bits"
run run "$model" --prompt "$prompt" --json --quantize bf16 --quantize-embeddings
same "$tmp/stored" "$tmp/out" "embeddings, too"
run run "$model" --prompt "$prompt" --json --quantize none
same "$tmp/stored" "$tmp/out" "none leaves them as stored"

# --- every form, and what it is called ---
for form in q8_0 q4_0 q4_1 q5_0 q5_1 f16 fp8; do
    run run "$model" --prompt "$prompt" --metrics sink,entropy --json --quantize "$form" --store "$db"
    check "$form: 64 values" test "$(grep -c '"value"' "$tmp/out")" = 64
done
check "the store says how the weights were rounded" test \
    "$(q 'SELECT dtype FROM run JOIN model ON model.id = run.model_id WHERE run.id = 2')" = "q4_0 (quantised from bf16)"
check "of one file, a model for each form" test "$(q 'SELECT count(*) || count(DISTINCT sha256) FROM model')" = 71
run info "$model" --quantize q4_1 --quantize-embeddings
out_has "q4_1 with embeddings (quantised from bf16)" "info says it"

# --- a session: the loaded model stays as it was loaded, a model that is named is as stored unless it says more ---
run -c "load $model --quantize q4_0; run --prompt \"$prompt\" --json --store $db; run $model --prompt \"$prompt\" --json --store $db"
exits 0 "load, then run"
check "the loaded model is rounded" test "$(q 'SELECT dtype FROM run JOIN model ON model.id = run.model_id WHERE run.id = 8')" = "q4_0 (quantised from bf16)"
check "the named one is not" test "$(q 'SELECT dtype FROM run JOIN model ON model.id = run.model_id WHERE run.id = 9')" = bf16
tail -n "$(grep -c '' "$tmp/stored")" "$tmp/out" | sed 's/"run":9/"run":1/' > "$tmp/last"
same "$tmp/stored" "$tmp/last" "its values are those of the weights as stored"
check "the stored command repeats the rounding" grep -q -- "--quantize q4_0" <<EOF
$(q 'SELECT command FROM run WHERE id = 8')
EOF

# --- what cannot be ---
run run "$model" --prompt x --quantize q3_k
refuses 2 "quantize" "a form that it does not know"
run run "$model" --prompt x --quantize-embeddings
refuses 2 "--quantize-embeddings without --quantize" "embeddings of what form"
run convert "$model" -o "$tmp/copy" --quantize q8_0
refuses 2 "convert does not quantise" "convert writes no blocks"

plan
