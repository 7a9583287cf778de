#!/bin/sh
# run: what scripts rely on, known heads of the bundled model, references where they are at hand.
. "${srcdir:-.}/tests/cli_lib.sh"

# --- one object a value, members in this order, numbers in full ---
run run "$model" --ids 0,17,42,17,42 --metrics entropy,sink,nll --json
exits 0 "run on ids"
want='{"schema":"attnscope.value/1","run":1,"prompt":0,"kind":"self","metric":"entropy","layer":0,"head":0,"position":null,"value":'
if head -n 1 "$tmp/out" | grep -qF "$want"; then ok "a JSON line as documented"; else not_ok "a JSON line as documented"; told "$tmp/out"; fi
out_has '"metric":"sink","layer":3,"head":7,"position":0,"value":' "sink has the key's position"
out_has '"metric":"nll","layer":null,"head":null,"position":1,"value":' "nll has a position and no head"
check "nll of each predicted token: 4 values" test "$(grep -c '"metric":"nll"' "$tmp/out")" -eq 4
check "32 heads, two metrics, 4 nll" test "$(grep -c '' "$tmp/out")" -eq 68
if grep -q 'nothing added' "$tmp/err"; then ok "says that nothing was added to ids"; else not_ok "says that nothing was added to ids"; fi

run run "$model" --ids 0,17,42 --metrics sink --sink-keys 0,2 --json
check "sink of two keys: two values a head" test "$(grep -c '"metric":"sink"' "$tmp/out")" -eq 64
# the last key is seen by one query: alpha is that query's own weight
run run "$model" --ids 0,17,42 --metrics sink,entropy --sink-keys=-1 --json
out_has '"metric":"sink","layer":0,"head":0,"position":2' "negative keys count from the end"

# --- a prompt of one token attends to itself ---
run run "$model" --ids 5 --metrics sink,entropy,self,max,distance,prev_token,induction,nll --json
exits 0 "a prompt of one token"
bad=$(awk -F'"value":' '
    /"metric":"(sink|self|max)"/ && $2 + 0 != 1 {print}
    /"metric":"(entropy|distance)"/ && $2 + 0 != 0 {print}
    /"metric":"(prev_token|induction|nll)"/ {print}' "$tmp/out")
if [ -z "$bad" ]; then ok "weight 1 on itself, entropy 0, no value where there is none"; else
    not_ok "weight 1 on itself, entropy 0, no value where there is none"; echo "$bad" | head -n 3 | sed 's/^/# /'; fi

# --- known heads: repeated random tokens ---
run run "$model" --ids "$(repeated_ids 90)" --metrics induction,prev_token,sink --json
exits 0 "repeated random tokens"
between 0.85 "$(value induction 1 3)" 1 "L1H3 is an induction head"
between 0.85 "$(value induction 2 5)" 1 "L2H5 is an induction head"
between 0.8 "$(value induction 1 2)" 1 "L1H2 is an induction head"
between 0.95 "$(value prev_token 0 1)" 1 "L0H1 is a previous-token head"
others=$(grep '"metric":"induction"' "$tmp/out" | awk -F'"value":' '$2 + 0 > 0.2' | grep -c '')
check "no other head scores above 0.2 by induction" test "$others" -eq 3

# --- text follows the tokenizer's own policy ---
run run "$model" --prompt "It was a dark night, and the old man" --metrics sink --json
check "a prompt of 10 words is 11 tokens with <|bos|>" grep -q '11 tokens (.*<|bos|>' "$tmp/err"
cp "$tmp/out" "$tmp/text"
run run "$model" --ids 0,806,308,260,1092,793,13,278,264,693,440 --metrics sink --json
same "$tmp/text" "$tmp/out" "the same ids give the same values"
printf 'It was a dark night, and the old man' > "$tmp/prompt.txt"
run run "$model" --prompt-file "$tmp/prompt.txt" --metrics sink --json
same "$tmp/text" "$tmp/out" "--prompt-file is the text of --prompt"
run run "$model" --prompt "It was a dark night, and the old man" --no-special --metrics sink --json
check "--no-special adds nothing" grep -q '10 tokens' "$tmp/err"

# --- the summary ---
run run "$model" --prompt "It was a dark night, and the old man"
exits 0 "run prints a summary"
check "with model, tokens and policy" grep -q '^run 1: lantern-3m, 11 tokens (.*bos' "$tmp/out"
check "with the sink rate" grep -q '^sink rate: [0-9]* of 32 heads above 0.3 at key 0 (<|bos|>), .* T = 11$' "$tmp/out"

# values of a head at every position of two prompts: four lines, their means and heads as the rows say
printf '{"ids": [0,17,42,17,42,9,88]}\n{"ids": [0,5,6,7,42]}\n' > "$tmp/two.jsonl"
run run "$model" --prompts "$tmp/two.jsonl" --metrics received,nll --store "$tmp/summary.db"
exits 0 "a value for every position"
check "four lines" test "$(grep -c '^received at [0-3] ' "$tmp/out")" -eq 4
check "the others are counted" grep -rq '^received: 3 more positions; `top received --position P` shows them$' "$tmp/out" "$tmp/err"
check "one line for the tokens" test "$(grep -c '^nll ' "$tmp/out")" -eq 1
cp "$tmp/out" "$tmp/lines"
for p in 0 3; do
    "$attnscope" --quiet sql --store "$tmp/summary.db" --csv "SELECT head_name || printf(' %.3f', avg(value)) FROM head_value \
        WHERE metric = 'received' AND position = $p GROUP BY layer, head ORDER BY avg(value) DESC, layer, head" |
        sed 1d > "$tmp/heads"
    want="$(sed -n 1p "$tmp/heads")  $(sed -n 2p "$tmp/heads")  $(sed -n 3p "$tmp/heads")  *$(sed -n '$p' "$tmp/heads")$"
    check "the heads at position $p: strongest and weakest" grep -q "^received at $p .* $want" "$tmp/lines"
done

check "--csv has the columns of export" test "$("$attnscope" --quiet run "$model" --ids 0,1 --metrics sink --csv | head -n 1)" = run,prompt,kind,metric,layer,head,position,value
run run "$model/model.safetensors" --ids 0,17
check "a safetensors file is named by its directory" grep -q '^run 1: lantern-3m, 2 tokens' "$tmp/out"
path=$(cd "$(dirname "$attnscope")" && pwd)/$(basename "$attnscope")
(cd "$model" && "$path" run model.safetensors --ids 0,17) > "$tmp/out" 2> "$tmp/err"
check "also from within it" grep -q '^run 1: lantern-3m, 2 tokens' "$tmp/out"
# in a terminal of 80 columns, where tokens would make it wider
if command -v script > /dev/null && command -v stty > /dev/null; then
    words="the old man lit the lantern and the old man lit the lantern and the inscrutable lighthouse"
    for columns in 80 72 60; do
        script -qc "stty cols $columns; '$attnscope' --quiet --color never run '$model' --prompt '$words'" /dev/null < /dev/null |
            tr -d '\r' | sed '/^sink rate/d; /^run 1/d' > "$tmp/out"
        check "$columns columns: no line is longer" test "$(awk '{ if (length($0) > n) n = length($0) } END { print n }' "$tmp/out")" -le "$columns"
        check "$columns columns: every line ends in a whole number" test "$(grep -cE '[0-9]\.[0-9]+ *$' "$tmp/out")" -eq 9
        check "$columns columns: no number is cut" test "$(grep -cE '[0-9.](…|\.\.)' "$tmp/out")" -eq 0
        cp "$tmp/out" "$tmp/summary-$columns"
    done
    check "80 columns: sink keeps three heads" test "$(grep '^sink' "$tmp/summary-80" | grep -oE 'L[0-9]H[0-9]' | grep -c '')" -eq 4
    check "72 columns: it has two" test "$(grep '^sink' "$tmp/summary-72" | grep -oE 'L[0-9]H[0-9]' | grep -c '')" -eq 3
else
    skip "the summary in a terminal" "no script or stty"
fi

# --- ids from files ---
run run "$model" --ids 0,17,42,17 --metrics sink --csv
cp "$tmp/out" "$tmp/ids"
printf '0, 17\n42\t17\n' > "$tmp/ids.txt"
for word in "$tmp/ids.txt" "@$tmp/ids.txt"; do
    run run "$model" --ids "$word" --metrics sink --csv
    same "$tmp/ids" "$tmp/out" "--ids from a text file: $(basename "$word" | cut -c1-1)$([ "$word" = "$tmp/ids.txt" ] || echo ' with @')"
done
run -c "run $model --ids @$tmp/ids.txt --metrics sink --csv"
same "$tmp/ids" "$tmp/out" "@FILE in the command language"
# npy TYPE HEX: a file of four elements
npy()
{
    printf "\\223NUMPY\\001\\000\\166\\000%-117s\\n" "{'descr': '$1', 'fortran_order': False, 'shape': (4,)}" > "$tmp/ids.npy"
    printf "$2" >> "$tmp/ids.npy"
}
npy '<u2' '\000\000\021\000\052\000\021\000'
run run "$model" --ids "$tmp/ids.npy" --metrics sink --csv
same "$tmp/ids" "$tmp/out" "--ids of uint16"
npy '<u4' '\000\000\000\000\021\000\000\000\052\000\000\000\021\000\000\000'
run run "$model" --ids "$tmp/ids.npy" --metrics sink --csv
same "$tmp/ids" "$tmp/out" "--ids of uint32"
printf '0 17 x' > "$tmp/ids.txt"
run run "$model" --ids "$tmp/ids.txt"
refuses 3 "$tmp/ids.txt: 'x' is no token id" "a text file with something else"
run run "$model" --ids "@$tmp/none.txt"
refuses 3 "$tmp/none.txt: no such file" "a file of ids that is not there"

# --- bytes do not depend on threads ---
for t in 1 2 4; do
    run run "$model" --ids "$(repeated_ids 90)" --threads "$t" --entropy-rows each --json
    cp "$tmp/out" "$tmp/threads-$t"
done
same "$tmp/threads-1" "$tmp/threads-2" "1 and 2 threads give the same bytes"
same "$tmp/threads-1" "$tmp/threads-4" "1 and 4 threads give the same bytes"

# --- bf16 is another precision and says so ---
run run "$model" --ids 0,17,42,17,42 --precision bf16
check "precision is named" grep -q ', bf16, ' "$tmp/out"

# --- references ---
# against MODEL REFERENCE.json: every per-head number within 1e-4, each next-token NLL within 1e-3
against()
{
    ids=$(python3 -c 'import json, sys; print(",".join(map(str, json.load(open(sys.argv[1]))["ids"])))' "$2")
    name=$(basename "$(dirname "$2")")/$(basename "$2")
    run run "$1" --ids "$ids" --json --metrics sink,entropy,prev_token,self,max,distance,induction,nll
    cp "$tmp/out" "$tmp/main"
    run run "$1" --ids "$ids" --json --metrics entropy --entropy-rows last
    if python3 - "$2" "$tmp/main" "$tmp/out" <<'PY'
import json, sys
ref = json.load(open(sys.argv[1]))
rows = [json.loads(line) for line in open(sys.argv[2])]
last = [json.loads(line) for line in open(sys.argv[3])]
got = {(r["metric"], r["layer"], r["head"]): r["value"] for r in rows if r["head"] is not None}
got.update({("entropy_last", r["layer"], r["head"]): r["value"] for r in last})
nll = {r["position"]: r["value"] for r in rows if r["metric"] == "nll"}
tables = dict(ref["per_head"])
if ref.get("induction"):
    tables["induction"] = ref["induction"]
worst = ("", 0.0)
n = 0
for name, table in tables.items():
    for l, layer in enumerate(table):
        for h, want in enumerate(layer):
            d = abs(got[("sink" if name == "sink0" else name, l, h)] - want)
            n += 1
            if d > worst[1]:
                worst = (name, d)
worst_nll = max((abs(nll[i + 1] - want) for i, want in enumerate(ref["nll"])), default=0.0)
print("# %d numbers, largest difference %.1e (%s); nll %.1e" % (n, worst[1], worst[0], worst_nll))
sys.exit(not (n > 0 and worst[1] <= 1e-4 and worst_nll <= 1e-3 and len(nll) == len(ref["nll"])))
PY
    then ok "every number of $name"; else not_ok "every number of $name"; told "$tmp/err"; fi
}

for ref in short story needle repeat; do
    file=$model-reference/metrics-$ref.json
    [ -r "$file" ] || file=$shared/models/lantern-3m-reference/metrics-$ref.json
    if [ ! -r "$file" ]; then
        skip "metrics-$ref.json" "$file is not there"
    elif ! command -v python3 > /dev/null; then
        skip "metrics-$ref.json" "no python3"
    else
        against "$model" "$file"
    fi
done
smollm=${ATTNSCOPE_SMOLLM2:-$srcdir/examples/models/SmolLM2-135M-Instruct.Q4_1.gguf}
for ref in short code essay unicode repeat; do
    file=$shared/golden/smollm2-135m-q4_1/metrics-$ref.json
    if [ ! -r "$file" ]; then
        skip "SmolLM2, metrics-$ref.json" "$file is not there"
    elif [ ! -r "$smollm" ]; then
        skip "SmolLM2, metrics-$ref.json" "$smollm is not there: examples/get-smollm2 fetches it"
    elif ! command -v python3 > /dev/null; then
        skip "SmolLM2, metrics-$ref.json" "no python3"
    else
        against "$smollm" "$file"
    fi
done
plan
