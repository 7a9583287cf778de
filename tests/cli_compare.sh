#!/bin/sh
# compare and track: checkpoints on the same prompts, stored runs, what is refused.
. "${srcdir:-.}/tests/cli_lib.sh"
prompt="It was a dark night, and the old man"
db=$tmp/c.db

# --- a model against itself ---
run compare "$model" "$model" --prompt "$prompt" --expect-equal --json
exits 0 "a model equals itself"
check "32 maps, 2 values of predictions" test "$(grep -c '"measure":"\(map_jsd\|logit_kl\|top1_agree\)"' "$tmp/out")" -eq 34
check "all divergences are 0" test "$(grep '"measure":"\(map_jsd\|logit_kl\)"' "$tmp/out" | grep -vc '"mean":0,')" -eq 0
check "all changes are 0" test "$(grep -v '"measure":"\(map_jsd\|logit_kl\|top1_agree\)"' "$tmp/out" | grep -vc '"mean":0,')" -eq 0

# --- what quantisation does ---
run compare "$model" --quantize q4_0 --prompt "$prompt" --metrics entropy,sink --store "$db" --json
exits 0 "a model against itself, rounded"
cp "$tmp/out" "$tmp/drift"
check "every map has moved" test "$(grep '"measure":"map_jsd"' "$tmp/out" | grep -c '"mean":0,')" -eq 0
run sql "SELECT json_extract(settings, '\$.\"second-dtype\"') FROM run WHERE id = 1" --store "$db" --csv
out_has "q4_0 (quantised from bf16)" "the store says what the second was"
run compare "$model" --quantize q4_0 --prompt "$prompt" --metrics entropy,sink --expect-equal
exits 4 "--expect-equal ends with 4 where they differ"
out_has "predictions: KL divergence" "after the table"
run compare "$model" --quantize bf16 --prompt "$prompt" --expect-equal --quiet
exits 0 "bf16 weights through bf16 differ in nothing"

# --- two stored runs give the same changes ---
run run "$model" --prompt "$prompt" --metrics entropy,sink --store "$db"
run run "$model" --quantize q4_0 --prompt "$prompt" --metrics entropy,sink --store "$db"
run compare 2 3 --store "$db" --json
exits 0 "two stored runs"
grep -v '"measure":"\(map_jsd\|logit_kl\|top1_agree\)"' "$tmp/drift" > "$tmp/changes"
same "$tmp/changes" "$tmp/out" "paired as the two checkpoints are"
run compare 2 3 --store "$db" --metrics sink --csv
check "--metrics chooses" test "$(grep -c '^sink,' "$tmp/out")" -eq 32 -a "$(grep -c '^entropy,' "$tmp/out")" -eq 0
run compare 2 2 --store "$db"
refuses 2 "run 2 is named twice" "a run against itself"
run compare 2 9 --store "$db"
check "a run that is not there" test "$status" -ne 0
run run "$model" --prompt "Another text" --metrics entropy --store "$db"
run compare 2 4 --store "$db"
refuses 1 "no values of the same metrics on the same prompts" "runs on other prompts"

# --- several prompts ---
printf '%s\n' '{"text": "It was a dark night"}' '{"text": "The old man and the sea"}' '{"text": "Once upon a time"}' > "$tmp/p.jsonl"
run compare "$model" --quantize q8_0 --prompts "$tmp/p.jsonl" --metrics sink --csv
check "three pairs a place" test "$(grep -c '^sink,.*,3,' "$tmp/out")" -eq 32
run compare "$model" --quantize q8_0 --prompts "$tmp/p.jsonl" --metrics sink --top 2
exits 0 "a table"
out_has "maps: mean Jensen-Shannon divergence" "with the maps"

# --- going on ---
run compare "$model" --quantize q8_0 --prompts "$tmp/p.jsonl" --metrics sink --store "$tmp/r.db" --json
cp "$tmp/out" "$tmp/whole"
run sql "DELETE FROM unit WHERE prompt_index = 1" --write --store "$tmp/r.db"
run compare "$model" --quantize q8_0 --prompts "$tmp/p.jsonl" --metrics sink --store "$tmp/r.db" --resume 1 --json
same "$tmp/whole" "$tmp/out" "a resumed run ends the same"
run compare "$model" --quantize q4_0 --prompts "$tmp/p.jsonl" --metrics sink --store "$tmp/r.db" --resume 1
check "with another second checkpoint it does not go on" test "$status" -eq 2

# --- what is refused ---
run compare "$model" --prompt "$prompt"
refuses 2 "only one checkpoint is named" "one checkpoint"
run compare "$model" "$srcdir/tests/families/llama" --ids 0,1,2
refuses 2 "4 and 2 layers" "models of different shapes"

# --- track ---
run track "$model" "$model" --prompts "$tmp/p.jsonl" --metrics sink,nll --store "$tmp/t.db" --csv
exits 0 "track"
check "a row a checkpoint and metric" test "$(grep -c '' "$tmp/out")" -eq 5
check "equal checkpoints, equal values" test "$(cut -d, -f3- "$tmp/out" | sed 1d | sort -u | grep -c '')" -eq 2
run sql "SELECT count(*) FROM fact_list WHERE name = 'checkpoint'" --store "$tmp/t.db" --csv
out_has 6 "units name their checkpoint"
run track "$model" "$model" --prompts "$tmp/p.jsonl" --metrics sink --heads --json
check "--heads: 32 heads of both" test "$(grep -c '"metric":"sink"' "$tmp/out")" -eq 64
# the mean of nll over prompts is that of run
run run "$model" --prompts "$tmp/p.jsonl" --metrics nll --store "$tmp/n.db"
run sql "SELECT avg(v) FROM (SELECT avg(value) AS v FROM value_list WHERE metric = 'nll' GROUP BY prompt)" --store "$tmp/n.db" --csv
want=$(tail -n 1 "$tmp/out")
run track "$model" "$model" --prompts "$tmp/p.jsonl" --metrics nll --csv
got=$(sed -n 2p "$tmp/out" | cut -d, -f7)
between "$(awk -v x="$want" 'BEGIN { printf "%.12f", x - 1e-9 }')" "$got" "$(awk -v x="$want" 'BEGIN { printf "%.12f", x + 1e-9 }')" "means as run has them"
run track "$model"
check "one checkpoint is refused" test "$status" -eq 2
run track "$model" "$srcdir/tests/families/llama" --ids 0,1,2
refuses 2 "4 and 2 layers" "checkpoints of different shapes"

# --- a resumed run has the files it was begun with ---
printf '{"text":"The old man lit the lantern."}\n{"text":"The lantern lit the old man."}\n' > "$tmp/p.jsonl"
run compare "$model" --quantize q8_0 --prompts "$tmp/p.jsonl" --store "$tmp/resume.db"
exits 0 "compare over a file of prompts"
run compare "$model" --quantize q8_0 --prompts "$tmp/p.jsonl" --store "$tmp/resume.db" --resume 1
exits 0 "the same again goes on"
printf '{"text":"Zebra queens quietly quarrel."}\n{"text":"The lantern lit the old man."}\n' > "$tmp/p.jsonl"
run compare "$model" --quantize q8_0 --prompts "$tmp/p.jsonl" --store "$tmp/resume.db" --resume 1
refuses 2 "not the same settings" "a file that has changed since is another run"

# --- a metric of tokens as a whole ---
run run "$model" --prompts "$tmp/p.jsonl" --metrics nll --store "$tmp/mean.db" --quiet
run run "$model" --prompts "$tmp/p.jsonl" --metrics nll --edit "zero L0H1" --store "$tmp/mean.db" --quiet
run compare 1 2 --store "$tmp/mean.db" --csv
exits 0 "two runs, in lines"
check "the first is the mean over tokens" test "$(sed -n 2p "$tmp/out" | cut -d, -f1-6)" = "nll,model,self,,,"
change=$(sed -n 2p "$tmp/out" | cut -d, -f10)
run sql "SELECT avg(x) FROM (SELECT avg(b.value - a.value) AS x FROM value_list a JOIN value_list b USING (prompt, metric, position)
    WHERE a.run = 1 AND b.run = 2 GROUP BY prompt)" --store "$tmp/mean.db" --csv
expected=$(tail -n 1 "$tmp/out")
between "$(awk -v x="$expected" 'BEGIN { printf "%.12g", x - 1e-9 }')" "$change" "$(awk -v x="$expected" 'BEGIN { printf "%.12g", x + 1e-9 }')" "of the changes"
run compare 1 2 --store "$tmp/mean.db"
check "as in the table for people" grep -q "model, mean" "$tmp/out"

plan
