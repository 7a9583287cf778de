#!/bin/sh
# generate: greedy and sampled continuations, the same each time.
. "${srcdir:-.}/tests/cli_lib.sh"

# one step of generate is the largest logit of dump
run generate "$model" --ids "$(repeated_ids 60)" --max-tokens 1 --json
exits 0 "generate"
next=$(sed -n 's/.*"ids":\[\([0-9]*\)\],"text".*/\1/p' "$tmp/out")
# the repeated sequence goes on with its beginning: the first token after 0 would come next
want=$(repeated_ids 60 | cut -d, -f2)
check "a repeated sequence is continued with its beginning" test "$next" = "$want"
run generate "$model" --ids "$(repeated_ids 60 | cut -d, -f1-100)" --max-tokens 10 --json
got=$(sed -n 's/.*"ids":\[\([0-9,]*\)\],"text".*/\1/p' "$tmp/out")
want=$(repeated_ids 60 | cut -d, -f101-110)
same_n=$(printf '%s\n%s\n' "$got" "$want" | awk -F, 'NR == 1 {for (i = 1; i <= NF; i++) a[i] = $i} NR == 2 {for (i = 1; i <= NF; i++) n += a[i] == $i} END {print n}')
between 9 "$same_n" 10 "ten steps with the cache copy the first period"

run generate "$model" --prompt "It was a dark night" --max-tokens 12
cp "$tmp/out" "$tmp/greedy"
run generate "$model" --prompt "It was a dark night" --max-tokens 12
same "$tmp/greedy" "$tmp/out" "greedy text is the same each time"
check "some text" test "$(wc -c < "$tmp/out")" -gt 12
run generate "$model" --prompt "It was a dark night" --max-tokens 12 --temperature 1 --top-k 1
same "$tmp/greedy" "$tmp/out" "--top-k 1 is greedy"
run generate "$model" --prompt "It was a dark night" --max-tokens 12 --temperature 1 --top-p 0
same "$tmp/greedy" "$tmp/out" "--top-p 0 is greedy"
for seed in 1 1 2; do
    run generate "$model" --prompt "It was a dark night" --max-tokens 30 --temperature 1 --seed "$seed"
    cat "$tmp/out" > "$tmp/seed-$seed-$(ls "$tmp" | grep -c "^seed-$seed")"
done
same "$tmp/seed-1-0" "$tmp/seed-1-1" "a seed gives the same text"
if cmp -s "$tmp/seed-1-0" "$tmp/seed-2-0"; then not_ok "another seed, another text"; else ok "another seed, another text"; fi
for t in 1 4; do
    run generate "$model" --prompt "It was a dark night" --max-tokens 30 --temperature 1 --seed 1 --threads "$t"
    same "$tmp/seed-1-0" "$tmp/out" "the same text with $t threads"
done

run generate "$model" --ids "$(repeated_ids 254)" --max-tokens 100 --json
out_has '"stopped":"context"' "stops where the context ends"
check "3 tokens fit" test "$(sed -n 's/.*"ids":\[\([0-9,]*\)\],"text".*/\1/p' "$tmp/out" | tr ',' '\n' | grep -c '')" -eq 3
# --- what ends a text: the tokenizer's token, and those of the configuration ---
ids=$(repeated_ids 60)
folder=$tmp/eos
mkdir "$folder"
cp "$model"/*.json "$model"/*.safetensors "$folder"
run generate "$model" --ids "$ids" --max-tokens 6 --json
made=$(sed -n 's/.*"ids":\[\([0-9,]*\)\],"text".*/\1/p' "$tmp/out")
second=$(echo "$made" | cut -d, -f2)
fourth=$(echo "$made" | cut -d, -f4)
first_three=$(echo "$made" | cut -d, -f1-3)
config_eos() # the member of config.json
{
    sed -e '/"eos_token_id"/d' -e "0,/{/s//{ \"eos_token_id\": $1,/" "$model/config.json" > "$folder/config.json"
}
ends() # IDS ID DESCRIPTION: these came out before that one
{
    if grep -qF "\"ids\":[$1]," "$tmp/out" && grep -qF "\"stopped\":\"eos\",\"eos_id\":$2" "$tmp/out"; then
        ok "$3"
    else
        not_ok "$3"
        told "$tmp/out" "$tmp/err"
    fi
}
rm -f "$folder/generation_config.json"
config_eos "[70000, $fourth]"
run generate "$folder" --ids "$ids" --max-tokens 6 --json
ends "$first_three" "$fourth" "a list in config.json"
config_eos "$second"
run generate "$folder" --ids "$ids" --max-tokens 6 --json
ends "$(echo "$made" | cut -d, -f1)" "$second" "an integer in config.json"
echo "{\"eos_token_id\": [$fourth]}" > "$folder/generation_config.json"
run generate "$folder" --ids "$ids" --max-tokens 6 --json
ends "$first_three" "$fourth" "generation_config.json wins"
rm -f "$folder"/tokenizer* "$folder"/vocab* "$folder"/merges* "$folder"/special_tokens*
run generate "$folder" --ids "$ids" --max-tokens 6 --json
ends "$first_three" "$fourth" "and needs no tokenizer"
out_has '"text":null' "which there is not"
echo '{"eos_token_id": null}' > "$folder/generation_config.json"
run generate "$folder" --ids "$ids" --max-tokens 6 --json
ends "$(echo "$made" | cut -d, -f1)" "$second" "null names none"
echo '{"eos_token_id": "x"}' > "$folder/generation_config.json"
run generate "$folder" --ids "$ids" --json
refuses 3 'generation_config.json: "eos_token_id" is neither' "a word is refused"

run generate "$model" --prompt x --temperature -1
refuses 2 "temperature" "a temperature below 0"
run generate "$model" --prompt x --top-p 2
refuses 2 "top-p" "a share above 1"
run generate "$model"
refuses 2 "no prompt given" "no prompt"
plan
