#!/bin/sh
# Edits and the experiments made of them: --edit, ablate, scale, calibrate, influence, drop; resumed and refused.
. "${srcdir:-.}/tests/cli_lib.sh"

cat > "$tmp/texts.jsonl" <<'END'
{"label": "a", "domain": "prose", "text": "The old man lit the lantern and went down to the harbour, where the boats lay still."}
{"label": "b", "domain": "prose", "text": "It was a dark night, and nobody had seen the captain since the morning of the storm."}
{"label": "c", "domain": "talk", "text": "\"Have you come back?\" said the girl. \"I have come back,\" he answered, \"with the letter.\""}
{"label": "d", "domain": "talk", "text": "\"Where is the lamp?\" \"Upon the table, beside the letter,\" said the old man."}
END
# a needle of made-up ids, twice in a prompt, as a trial
echo "{\"ids\": [$(repeated_ids 40 | cut -d, -f1-60)], \"needle\": [1, 41], \"answer_ids\": [$(repeated_ids 40 | cut -d, -f61-70)]}" \
    > "$tmp/trials.jsonl"
texts="--prompts $tmp/texts.jsonl --quiet"

# cell FILE ROW-WORDS COLUMN: of a CSV whose second column is the condition, first the measure
cell()
{
    awk -F, -v m="$2" -v c="$3" -v k="$4" 'NR == 1 {for (i = 1; i <= NF; i++) if ($i == k) col = i}
        $1 == m && $2 ~ c {print $col; exit}' "$1"
}

# ---- --edit ----

run list edits
exits 0 "list edits"
for name in act drop_attention drop_block drop_mlp first impose keep mean resample scale scale_first uniform zero; do
    out_has "$name" "there is an edit $name"
done
run generate "$model" --prompt "The old man" --max-tokens 8
cp "$tmp/out" "$tmp/plain"
run generate "$model" --prompt "The old man" --max-tokens 8 --edit "scale 1 L0-3; scale_first gamma=1 all"
same "$tmp/plain" "$tmp/out" "edits that change nothing"
run generate "$model" --prompt "The old man" --max-tokens 8 --edit "zero L0H1,L0H0, L1H2"
exits 0 "generate under an edit"
check "another text" test "$(cat "$tmp/out")" != "$(cat "$tmp/plain")"
run generate "$model" --prompt "The old man" --max-tokens 8
same "$tmp/plain" "$tmp/out" "and without it the first again"
run generate "$model" --prompt "The old man" --max-tokens 8 \
    --edit "mean prompts='$tmp/texts.jsonl' position=each L1; resample prompts=$tmp/texts.jsonl seed=2 L2H0; drop_mlp 3"
exits 0 "mean, resample and a dropped MLP"

run dump "$model" --prompt "A lamp." -o "$tmp/edited.npz" --edit "uniform L1; zero L0H1" --quiet
exits 0 "dump under an edit"
run verify "$model" --reference "$tmp/edited.npz" --edit "uniform L1; zero L0H1"
exits 0 "verify under the same edit"
run verify "$model" --reference "$tmp/edited.npz"
check "and it differs without" test "$status" -eq 4

run run "$model" --prompt "The old man lit the lantern." --metrics entropy,prev_token --json --edit "first L0H1; uniform L1" \
    --store "$tmp/e.db" --quiet
exits 0 "run under an edit"
between 0 "$(value entropy 0 1)" 0 "a head that looks at the first key only has no entropy"
between 0 "$(value entropy 0 0)" 3 "others are as they are"
check "heads of layer 1 look at all alike: the mean of ln 1 .. ln n" awk -v h="$(value entropy 1 4)" -v n="$(grep -c . "$tmp/out")" \
    'BEGIN {exit !(h > 0.5)}'
run sql "select edits from run" --store "$tmp/e.db" --csv
out_has '{""edit"":""first"",""heads"":""L0H1""},{""edit"":""uniform"",""heads"":""L1H0,' "the edits are recorded with the run"

# A cache of 4 + 16 entries is enough for 7 tokens, one of 1 + 1 is not.
for edit in "keep all" "keep first=1 last=1 all"; do
    run dump "$model" --prompt "The old man." -o "$tmp/kept.npz" --edit "$edit" --quiet
    run verify "$model" --reference "$tmp/kept.npz"
    check "$edit" test "$status" -eq "$([ "$edit" = "keep all" ] && echo 0 || echo 4)"
done
run run "$srcdir/tests/families/t5" --source-ids 5,6 --target-ids 0,8 --metrics entropy --edit "keep cross.L0H1"
refuses 2 "edit keep is for heads that look at their own text" "keep has no meaning for cross attention"

refused_edit()
{
    run generate "$model" --prompt "A" --max-tokens 2 --edit "$1"
    refuses "$3" "$2" "refused: --edit \"$1\""
}
refused_edit "zeero L1H3" 'no edit is called "zeero"' 2
refused_edit "zero" "edit zero names no head" 2
refused_edit "" "--edit names no edit" 2
refused_edit "zero L1H9" "head 9 out of range" 2
refused_edit "scale L1H3" "edit scale has no factor" 2
refused_edit "scale factr=2 L1H3" 'edit scale has no parameter "factr"' 2
refused_edit "scale_first 0.5 keys=x L1" "no range of tokens" 2
refused_edit "impose 2-3 weight=2 L1H1" "out of range" 2
refused_edit "keep last=0 L1H1" "out of range" 2
refused_edit "uniform L1; act L1" "comes behind another edit of its weights" 2
refused_edit "drop_mlp L9" "layer 9 out of range" 2
refused_edit "drop_attention cross.L1" "has no such layers" 2
refused_edit "mean L1H3" "needs outputs of other prompts" 2
refused_edit "mean prompts=$tmp/none L1" "no such file" 3
refused_edit "scale 2 'L1" "a quote in --edit has no end" 2

# ---- ablate ----

store="--store $tmp/a.db"
run ablate "$model" --heads L1H2,L1H3 --random 5 $texts --trials "$tmp/trials.jsonl" $store --csv
exits 0 "ablate two heads"
cp "$tmp/out" "$tmp/ablate.csv"
check "four measures, three conditions" test "$(wc -l < "$tmp/ablate.csv")" -eq 13
nll=$(cell "$tmp/ablate.csv" nll "as it is" mean)
between 3 "$nll" 7 "a loss of the order of the model's"
between 0.0001 "$(cell "$tmp/ablate.csv" nll "without" change)" 3 "two heads cost some loss"
run run "$model" --prompts "$tmp/texts.jsonl" --metrics nll $store --quiet --csv
mean=$(awk -F, 'NR > 1 {s[$2] += $NF; n[$2]++} END {for (p in s) {t += s[p] / n[p]; k++} printf "%.12g", t / k}' "$tmp/out")
between "$(awk -v v="$nll" 'BEGIN {printf "%.9f", v - 1e-6}')" "$mean" "$(awk -v v="$nll" 'BEGIN {printf "%.9f", v + 1e-6}')" \
    "the loss is the mean over texts of run's nll"
run sql "select count(*) as n, count(distinct position) as sets from value_list where run = 1 and metric = 'nll_random'" $store --csv
check "a value for each text and random set" test "$(tail -n 1 "$tmp/out")" = "20,5"
run sql "select json_array_length(settings, '\$.random') as n, seed, edits from run where id = 1" $store --csv
check "sets, seed and edits are recorded" grep -q '^5,0,"\[{""edit"":""zero"",""heads"":""L1H2,L1H3""}\]"' "$tmp/out"

# a run that was stopped: two units are taken away, the rest is kept and the table comes out the same
run sql "delete from unit where run_id = 1 and prompt_index in (1, 4)" --write $store
exits 0 "two units are lost"
run ablate "$model" --heads L1H2,L1H3 --random 5 --prompts "$tmp/texts.jsonl" --trials "$tmp/trials.jsonl" $store --csv --resume 1
check "three of five units were there" grep -q "3 of 5 units" "$tmp/err"
same "$tmp/ablate.csv" "$tmp/out" "resumed, the table is the same"
run ablate "$model" --heads L1H2,L1H4 --random 5 $texts --trials "$tmp/trials.jsonl" $store --resume 1
check "other heads are no resumption" test "$status" -eq 2

for mode in uniform mean first resample; do
    run ablate "$model" --heads L0H1,L1H3 --random 0 --mode $mode $texts --csv
    exits 0 "ablate --mode $mode"
    between 0.001 "$(cell "$tmp/out" nll "without" change)" 9 "$mode costs some loss"
done
run ablate "$model" --each --heads L0,L1H0 $texts --json
exits 0 "one head at a time"
check "nine rows, the worst first" test "$(wc -l < "$tmp/out")" -eq 9
first=$(head -n 1 "$tmp/out" | sed 's/.*"head":"\([^"]*\)".*/\1/')
check "a head of layer 0 is the worst" test "${first%H*}" = L0

# rules read an earlier run
run run "$model" --prompts "$tmp/texts.jsonl" --metrics prev_token,sink --store "$tmp/rule.db" --quiet
run ablate "$model" --rule "top 2 by prev_token" --run 1 --random 2 $texts --store "$tmp/rule.db"
exits 0 "the heads that look back most"
out_has "L0H1" "the previous-token head is among them"
run ablate "$model" --rule "where sink[0] > 0.9" --run 1 --random 0 $texts --store "$tmp/rule.db"
exits 0 "the heads above a bound"
run ablate "$model" --rule "top 5% by sink" --run 1 --random 1 $texts --store "$tmp/rule.db"
exits 0 "a share of the heads"
while IFS='|' read -r rule words; do
    run ablate "$model" --rule "$rule" --run 1 $texts --store "$tmp/rule.db"
    refuses 2 "$words" "no rule: $rule"
done <<'END'
top 2|top 2: by which metric?
top 0 by sink|'0' is no number of heads
top 200% by sink|'200%' is no number of heads
first 2 by sink|'first' names no head
where sink = 1|no head passes "where sink = 1"
top 2 by sink[x]|'sink[x]' is no metric
END
run ablate "$model" --rule "top 2 by retrieval" --run 1 $texts --store "$tmp/rule.db"
refuses 2 "run 1 has no values of retrieval for heads" "a metric that the run has not"
run ablate "$model" --heads "top 2 by retrieval" $texts --store "$tmp/rule.db"
refuses 2 "no run of lantern-3m in $tmp/rule.db measured retrieval" "a metric that no run has"
check "what to do next" grep -qF "attnscope needle $model --store $tmp/rule.db" "$tmp/err"
run ablate "$model" --heads L1H3 --run 1 $texts --store "$tmp/rule.db"
refuses 2 "reads none" "a run that nothing reads"
run ablate "$model" --rule "where sink > 2" --run 1 $texts --store "$tmp/rule.db"
refuses 2 "no head passes" "nobody passes"

run needle "$model" --trials "$tmp/trials.jsonl" --store "$tmp/rule.db" --quiet
run ablate "$model" --rule "top 1 by retrieval" --random 0 --trials "$tmp/trials.jsonl" --store "$tmp/rule.db" --quiet
exits 0 "the head that retrieves best, of trials that succeeded"
out_has "recall above .5" "and what recall loses without it"

run ablate "$model" $texts
refuses 2 "no heads are named to ablate" "no heads"
run ablate "$model" --heads L1 $texts
refuses 2 "layer 1 has 0 other heads, and 8 random ones are wanted" "nothing to compare with"
run ablate "$model" --heads L1H0 --prompt "" --random 1 --quiet
refuses 2 "there is no next token to predict" "a text that is too short"
echo '{"ids": [1, 2], "needle": [0, 1]}' > "$tmp/bad.jsonl"
run ablate "$model" --heads L1H0 --trials "$tmp/bad.jsonl" --random 1 --quiet
refuses 3 "bad.jsonl:1" "a trial without an answer"
: > "$tmp/empty.jsonl"
run ablate "$model" --heads L1H0 --trials "$tmp/empty.jsonl" --random 1 --quiet
refuses 3 "empty.jsonl" "no trials"

# ---- the others ----

run scale "$model" --heads L1H3,L2H5 --gammas 0.5,2 $texts --csv
exits 0 "scale"
check "a column for each gamma" grep -q "at_0.5,at_2" "$tmp/out"
run scale "$model" --together --gammas 0.2,5 --keys 1-2 $texts
exits 0 "scale all heads together, other keys"
out_has "all together" "one curve"
run scale "$model" --gammas 0.5,1 $texts
refuses 2 "'1' is no factor" "gamma 1 is the model as it is"
run scale "$model" --keys a $texts
refuses 2 "no range of tokens" "keys that are none"

run calibrate "$model" --heads L1H3,L2H1 --relative 2 $texts
exits 0 "calibrate"
out_has "kept, as accuracy is better" "and says which heads are kept"
run calibrate "$model" --heads L1H3,L2H1 --beta 1 --together $texts --csv
check "beta 1 changes nothing" test "$(cell "$tmp/out" nll calibrated change)" = 0
run calibrate "$model" --heads L1H3 --threshold 0.1 --relative 5 $texts
refuses 2 "exclude each other" "two thresholds"
run calibrate "$model" --heads L1H3 --keep-by recall $texts
refuses 2 "there is no recall to decide by" "no trials to decide by"

run influence "$model" --heads L1H2,L1H3 $texts --csv --store "$tmp/i.db"
exits 0 "influence"
check "ranked within domains, one of each selected" test "$(cut -d, -f1-3 "$tmp/out" | tail -n +2 | tr '\n' ' ')" = \
    "prose,1,yes prose,2,no talk,1,yes talk,2,no "
check "influence is the difference over the base loss" awk -F, 'NR > 1 {d = ($8 - $7) / $7 - $9; if (d > 1e-9 || d < -1e-9) bad = 1}
    END {exit bad}' "$tmp/out"
run influence "$model" --heads L1H2,L1H3 $texts --csv --divisor masked
check "or over the masked loss" awk -F, 'NR > 1 {d = ($8 - $7) / $8 - $9; if (d > 1e-9 || d < -1e-9) bad = 1}
    END {exit bad}' "$tmp/out"
run influence "$model" $texts
refuses 2 "no heads are named to mask" "influence of no heads"

for what in attention mlp block both; do
    run drop "$model" --what $what --most 2 $texts --csv
    exits 0 "drop $what"
    check "three rows, the most similar first" awk -F, 'NR == 3 {a = $3} NR == 4 {exit !(a >= $3)}' "$tmp/out"
done
run drop "$model" --what both --most 3 --iterative $texts
exits 0 "drop one at a time"
run drop "$model" --most 9 $texts
refuses 2 "--most 9 is more than the 4 there are" "more than there are"
run drop "$model" --trials "$tmp/trials.jsonl" --quiet
refuses 2 "there are only trials" "no texts to find the order on"
plan
