#!/bin/sh
# patch: pairs by options, files and generators; tables; resuming; what is refused.
. "${srcdir:-.}/tests/cli_lib.sh"

clean=0,806,308,260,1092,793,13,278,264,693,440
other=0,806,308,260,1101,521,13,278,264,1210,440
pair="--clean-ids $clean --corrupted-ids $other --answer-id 345 --wrong-ids 1001"

# --- one pair ---
run patch "$model" $pair --what resid --by layer --csv
exits 0 "the residual stream, by layer"
check "recovery of the whole stream is 1 in each layer" test "$(grep -c '^resid,L[0-3],[0-3],,,,1,1,,,,1,' "$tmp/out")" -eq 4
run patch "$model" $pair --what resid --by layer --direction noise --csv
check "and 0 with noise" test "$(grep -c '^resid,L[0-3],[0-3],,,,1,0,,,,0,' "$tmp/out")" -eq 4
run patch "$model" $pair --what z,k,pattern --json
exits 0 "heads"
check "8 heads, 4 key/value heads, 8 patterns in 4 layers" test "$(grep -c '"schema":"attnscope.patch/1"' "$tmp/out")" -eq 80
out_has '"what":"k","place":"L1KV2","layer":1,"head":2,"position":null' "key/value heads have their name"
# 4.1058860 by PyTorch hooks, of 3.1969 clean and 4.1053 corrupted
z=$(sed -n 's/.*"what":"z","place":"L1H3".*"logit_diff":\([^}]*\)}$/\1/p' "$tmp/out")
between 4.10580 "$z" 4.10597 "z of L1H3 as an independent implementation has it"
run patch "$model" $pair --what attn_out,mlp_out --top 3
exits 0 "a table"
check "with three places" test "$(grep -c '^[am].*_out  *L' "$tmp/out")" -eq 3
out_has "logit_diff of the clean prompt 3.19691, of the corrupted 4.10535" "that says both scores"
run patch "$model" --prompt x $pair
check "an unknown option is refused" test "$status" -eq 2

# --- texts ---
run patch "$model" --clean "It was a dark night, and the old man" --corrupted "It was a cold night, and the old man" --metric kl
exits 0 "texts, by KL divergence"
out_has "kl of the clean prompt 0, of the corrupted" "which is 0 of the clean prompt"
run patch "$model" --clean "It was a dark night, and the old man" --corrupted "It was a cold night, and the old man" \
    --answer " was" --wrong " said" --what z
exits 0 "answers as texts"

# --- path patching ---
run patch "$model" $pair --what path --receivers L2H0,L3H1 --input v --json
exits 0 "path patching"
check "from 8 heads of 3 layers" test "$(grep -c '"what":"path"' "$tmp/out")" -eq 24
run patch "$model" $pair --what path --freeze direct --csv
check "to the logits: from all heads" test "$(grep -c '^path,L' "$tmp/out")" -eq 32

# --- the store, and going on ---
db=$tmp/p.db
run patch "$model" $pair --what q --store "$db" --json
cp "$tmp/out" "$tmp/whole"
run sql "SELECT metric, count(*) FROM value_list GROUP BY metric ORDER BY metric" --store "$db" --csv
out_has "patch_q,32" "recoveries are in the store"
out_has "patch_q_logit_diff,32" "and scores"
run sql "DELETE FROM unit WHERE prompt_index IN (1, 3)" --write --store "$db"
exits 0 "two units are taken away"
run patch "$model" $pair --what q --store "$db" --resume 1 --json
exits 0 "a run goes on"
same "$tmp/whole" "$tmp/out" "and ends the same"
run patch "$model" $pair --what v --store "$db" --resume 1
check "with other settings it does not" test "$status" -eq 2

# --- files ---
run patch "$model" $pair --emit "$tmp/pair.jsonl"
exits 0 "--emit writes pairs"
run patch "$model" --pairs "$tmp/pair.jsonl" --what q --json
same "$tmp/whole" "$tmp/out" "that --pairs reads"
# neighbours: prompts and answers exchanged; by both, the pooled recovery stands for TransformerLens' mean of scores
{
    cat "$tmp/pair.jsonl"
    echo "{\"clean_ids\":[$other],\"corrupted_ids\":[$clean],\"answer_id\":1001,\"wrong_ids\":[345]}"
} > "$tmp/two.jsonl"
run patch "$model" --pairs "$tmp/two.jsonl" --what z --store "$tmp/two.db" --json
exits 0 "two pairs"
check "n is 2" test "$(grep -c '"n":2,' "$tmp/out")" -eq 32
run sql "SELECT sum(value) FROM value_list WHERE metric IN ('patch_clean', 'patch_corrupted')" --store "$tmp/two.db" --csv
between -0.000000001 "$(tail -n 1 "$tmp/out")" 0.000000001 "scores of neighbours are opposite"
echo '{"clean": "a"}' > "$tmp/bad.jsonl"
run patch "$model" --pairs "$tmp/bad.jsonl"
refuses 3 "bad.jsonl:1: has no corrupted prompt" "a line without a prompt"
echo '{"clean": "It was", "corrupted": "It was a", "answer": " a", "wrong": " the"}' > "$tmp/bad.jsonl"
run patch "$model" --pairs "$tmp/bad.jsonl"
refuses 2 "bad.jsonl:1: the clean prompt has 3 tokens, the corrupted one 4" "prompts of different lengths"

# --- what is refused ---
run patch "$model"
refuses 2 "no clean prompt given" "no prompts"
run patch "$model" --clean-ids 0,5 --corrupted-ids 0,6
refuses 2 "needs a wrong answer" "no answers"
run patch "$model" --clean-ids 0,5 --corrupted-ids 0,6 --answer-id 7 --wrong-ids 7
refuses 2 "are the same token" "the same answer twice"
run patch "$model" --clean-ids 0,5 --corrupted-ids 0,6 --answer-id 7 --wrong-ids 9999
refuses 2 "answer id 9999 is outside the vocabulary" "an answer outside the vocabulary"
run patch "$model" --clean-ids 0,5 --corrupted-ids 0,5 --answer-id 7 --wrong-ids 8
refuses 1 "there is nothing to recover" "the same prompt twice"
run patch "$model" --clean "It was" --corrupted "He was" --answer was --wrong " a"
refuses 2 "is not one token behind the prompt" "an answer that runs into the prompt"
run patch "$model" --clean-ids 0,5 --corrupted-ids 0,6 --metric kl --what resid --by head
refuses 2 "resid has no heads" "heads of what has none"
run patch "$model" --clean-ids 0,5 --corrupted-ids 0,6 --metric kl --position 2
refuses 2 "position 2 is outside the prompt of 2 tokens" "a position outside"
run patch "$model" $pair --what path,z
refuses 2 "path is patched alone" "path with another place"
run patch "$model" $pair --what path --by layer
refuses 2 "--by is not for --what path" "an option of the other form"
run patch "$model" $pair --what path --receivers L0H2
refuses 2 "they are in layer 0" "receivers that nothing comes before"
run patch "$model" --task ioi
refuses 2 "names as one token, 4 are needed" "a vocabulary without names"
run patch "$model" --task ioi --clean x
refuses 2 "--task excludes --clean" "two kinds of pairs"

# --- generators, where there is a model that knows the words ---
smol=$srcdir/examples/models/SmolLM2-135M-Instruct.Q4_1.gguf
if [ -r "$smol" ]; then
    run patch "$smol" --task ioi --n 6 --seed 3 --emit "$tmp/ioi.jsonl"
    run patch "$smol" --task ioi --n 6 --seed 3 --emit "$tmp/again.jsonl"
    same "$tmp/ioi.jsonl" "$tmp/again.jsonl" "the same seed makes the same prompts"
    check "six of them" test "$(grep -c '"clean"' "$tmp/ioi.jsonl")" -eq 6
    run patch "$smol" --task colored-objects --n 4 --emit "$tmp/colours.jsonl"
    check "colours" test "$(grep -c '"clean"' "$tmp/colours.jsonl")" -eq 4
else
    for what in "the same seed makes the same prompts" "six of them" colours; do skip "$what" "no $smol"; done
fi

# --- one layer, by the name of its hook ---
two="--clean-ids 0,5,9,11 --corrupted-ids 0,6,9,11 --metric kl --json --quiet"
run patch "$model" $two --what z
grep '"layer":2,' "$tmp/out" | sort > "$tmp/layer"
run patch "$model" $two --what blocks.2.attn.hook_z
exits 0 "heads of one layer"
sort "$tmp/out" > "$tmp/hook"
check "eight of them" test "$(grep -c '' "$tmp/hook")" -eq 8
same "$tmp/layer" "$tmp/hook" "as where all layers are swept"
run patch "$model" $two --what "blocks.*.attn.hook_z"
check "all layers" test "$(grep -c '' "$tmp/out")" -eq 32
run patch "$model" $two --what blocks.9.attn.hook_z
refuses 2 "layer 9 out of range" "a layer that there is not"
run patch "$model" $two --what blocks.1.attn.hook_result
refuses 2 "is no activation that is patched" "a hook that is not patched"
run patch "$model" $two --what blocks.1.attn.hook_z,blocks.2.attn.hook_z
refuses 2 "different layers" "two layers"

plan
