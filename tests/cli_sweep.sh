#!/bin/sh
# sweep: plans, runs that are the same as single commands, going on after kill -9, shards, merging, what is wrong with files.
. "${srcdir:-.}/tests/cli_lib.sh"
[ -x "$attnscope" ] || { echo "Bail out! no program $attnscope"; exit 1; }
case $attnscope in /*) ;; *) attnscope=$PWD/$attnscope ;; esac
model=$(cd "$model" && pwd)
root=$(cd "$srcdir" && pwd)
cd "$tmp" || exit 1

# 12 lines of text, some with metadata
awk 'BEGIN {
    split("It was a dark night and the old man lit the lantern by the window of the house", w, " ")
    for (i = 1; i <= 12; i++) {
        line = ""
        for (k = 0; k < 4 + i; k++) line = line (k ? " " : "") w[1 + (i * 5 + k * 3) % 17]
        printf "{\"text\": \"%s\", \"id\": \"text %d\", \"domain\": \"%s\", \"weight\": %d}\n", line, i, i % 2 ? "odd" : "even", i
    }
}' > texts.jsonl
cat > small.sweep <<END
# two precisions, two edits
command   = run
model     = $model
prompts   = texts.jsonl
metrics   = sink,entropy
maps      = L1H3
precision = [f32, bf16]
edit      = [as it is: "", off: "zero L1H2"]
END

# rows STORE: everything that was measured, by cell.
rows()
{
    "$attnscope" sql "SELECT cell, prompt, metric, kind, layer, head, position, value FROM value_list JOIN sweep_list USING (run)
        ORDER BY run, prompt, metric, kind, layer, head, position" --limit 0 --csv --store "$1" &&
    "$attnscope" sql "SELECT cell, prompt, label, f.name, text FROM fact_list f JOIN sweep_list USING (run) ORDER BY run, prompt, f.name" \
        --limit 0 --csv --store "$1" &&
    "$attnscope" sql "SELECT u.run_id, u.prompt_index, s.name, n_query, n_key, hex(cells) FROM map m JOIN unit u ON u.id = m.unit_id
        JOIN site s ON s.id = m.site_id ORDER BY 1, 2, 3" --limit 0 --csv --store "$1"
}
count() { "$attnscope" sql "$2" --csv --store "$1" | tail -n 1; }

# ---- the plan ----
run sweep small.sweep --plan --store none.db
exits 0 "a plan"
out_has "4 cells, 48 units; about" "counts cells and units"
out_has "(by units that were tried)" "says how the time was found"
check "makes no store" [ ! -e none.db ]
run sweep small.sweep --plan --json
check "a JSON line a cell" [ "$(grep -c '^{"schema":"attnscope.sweep_plan/1","cell":[0-3],"command":"run",' "$tmp/out")" = 4 ]
check "with numbers" grep -q '"precision":"f32","edit":"off","units":12,"there":0,"seconds":[0-9.e-]*,"bytes":[0-9]*,"memory":[0-9]*,"by":"3 tried"' "$tmp/out"
run sweep small.sweep --plan --try 0
out_has "it is not known how long they take" "without trying nothing is known"

# ---- running ----
run sweep small.sweep --store whole.db --json
exits 0 "a sweep"
check "ends in a line a cell" [ "$(grep -c '"units":12,"there":0,"new":12,.*"status":"done"}' "$tmp/out")" = 4 ]
rows whole.db > whole
check "has all values and facts" [ "$(grep -c 'entropy' whole)" -ge 1000 ]
check "metadata are facts" [ "$(count whole.db "SELECT count(*) FROM fact_list WHERE name = 'weight' AND label = 'text ' || text")" = 48 ]
check "runs say which cell they are" [ "$(count whole.db "SELECT cell FROM sweep_list WHERE run = 4")" = '"{""precision"":""bf16"",""edit"":""off""}"' ]
"$attnscope" run "$model" --prompts texts.jsonl --metrics sink,entropy --maps L1H3 --quiet --store single.db > /dev/null
"$attnscope" run "$model" --prompts texts.jsonl --metrics sink,entropy --maps L1H3 --edit "zero L1H2" --quiet --store single.db > /dev/null
"$attnscope" run "$model" --prompts texts.jsonl --metrics sink,entropy --maps L1H3 --precision bf16 --quiet --store single.db > /dev/null
"$attnscope" run "$model" --prompts texts.jsonl --metrics sink,entropy --maps L1H3 --edit "zero L1H2" --precision bf16 --quiet --store single.db > /dev/null
all="SELECT run, prompt, metric, layer, head, position, value FROM value_list ORDER BY 1, 2, 3, 4, 5, 6"
"$attnscope" sql "$all" --limit 0 --csv --store whole.db > a
"$attnscope" sql "$all" --limit 0 --csv --store single.db > b
same a b "the values are those of single commands"
"$attnscope" sql "SELECT command FROM run ORDER BY id" --csv --store whole.db | sed 's/ --precision f32//' > a
"$attnscope" sql "SELECT hex(cells) FROM map m JOIN unit u ON u.id = m.unit_id ORDER BY run_id, prompt_index" --limit 0 --csv --store whole.db > a
"$attnscope" sql "SELECT hex(cells) FROM map m JOIN unit u ON u.id = m.unit_id ORDER BY run_id, prompt_index" --limit 0 --csv --store single.db > b
same a b "so are the maps"
"$attnscope" show 4 --command --store whole.db > command
check "a run tells the command that repeats it" grep -q "^attnscope run $model --prompts texts.jsonl .*--precision bf16 --edit 'zero L1H2'" command
sh -c "$(sed "s#^attnscope#$attnscope#" command) --store again.db --quiet" > "$tmp/out" 2>&1
"$attnscope" sql "SELECT prompt, metric, layer, head, position, value FROM value_list WHERE run = 1 ORDER BY 1, 2, 3, 4, 5" --limit 0 --csv --store again.db > a
"$attnscope" sql "SELECT prompt, metric, layer, head, position, value FROM value_list WHERE run = 4 ORDER BY 1, 2, 3, 4, 5" --limit 0 --csv --store whole.db > b
same a b "and it does"

run sweep small.sweep --store whole.db --json
check "once more: nothing is left to do" [ "$(grep -c '"units":12,"there":12,"new":0,' "$tmp/out")" = 4 ]
run sweep small.sweep --store whole.db --resume --quiet
exits 0 "--resume of what is there"
run sweep small.sweep --store empty.db --resume
refuses 3 "no store at empty.db" "--resume without a store"
run sweep small.sweep --store single.db --resume
refuses 2 "holds no sweep of this file" "--resume in the wrong store"
run sweep small.sweep --plan --store whole.db
out_has "48 of them there" "a plan says what is there"
sed 's/f32, bf16/f32-strict, bf16/' small.sweep > other.sweep
run sweep other.sweep --plan --store whole.db --json
check "stored runs tell the time" [ "$(grep -c '"by":"stored runs"' "$tmp/out")" -ge 1 ]
echo '{"text": "One more."}' >> texts.jsonl
run sweep small.sweep --store whole.db --quiet
exits 2 "other prompts under the same name"
check "are refused, cell by cell" [ "$(grep -c 'not the same settings' "$tmp/err")" = 4 ]
rows whole.db > a
same a whole "and nothing changed"
sed -i '$d' texts.jsonl

# ---- kill -9 ----
good=yes
for moment in 0.05 0.1 0.15 0.2 0.3 0.4 0.6; do
    rm -f killed.db*
    for again in 1 2 3; do
        "$attnscope" sweep small.sweep --store killed.db --quiet --try 0 > /dev/null 2>&1 &
        pid=$!
        sleep $moment
        kill -9 $pid 2> /dev/null
        wait $pid 2> /dev/null
    done
    "$attnscope" sweep small.sweep --store killed.db --quiet --try 0 > out 2> errors || good="$moment: $(cat errors)"
    rows killed.db > a
    cmp -s a whole || good="$moment: rows differ"
    [ "$(count killed.db 'SELECT count(*) FROM run WHERE status = '"'done'")" = 4 ] || good="$moment: not done"
done
check "killed at seven moments, three times each, it comes to the same ($good)" [ "$good" = yes ]

# ---- shards ----
for i in 1 2 3; do
    "$attnscope" sweep small.sweep --store one.db --shard $i/3 --try 0 --json > shard$i 2> err$i &
done
wait
check "three processes, one store" [ "$(cat shard1 shard2 shard3 | grep -c '"new":4,')" = 12 ]
rows one.db > a
same a whole "come to the same"
check "all runs are done" [ "$(count one.db "SELECT count(*) FROM run WHERE status = 'done'")" = 4 ]
for i in 1 2; do
    "$attnscope" sweep small.sweep --store twice.db --try 0 > shard$i 2> err$i &
done
wait
rows twice.db > a
same a whole "two processes that do not know of each other, too"
cat err1 err2 > "$tmp/err"
check "without errors" sh -c '! grep -q "^attnscope: " "$1"' sh "$tmp/err"
for i in 1 2 3; do
    run sweep small.sweep --store part$i.db --shard $i/3 --try 0 --quiet
    exits 0 "shard $i of 3, in a store of its own"
done
check "has its part" [ "$(count part2.db 'SELECT count(*) FROM unit')" = 16 ]
if "$attnscope" help merge > /dev/null 2>&1; then
    run merge merged.db part3.db part1.db part2.db
    exits 0 "merged"
    check "the runs are done with their last part" [ "$(count merged.db "SELECT group_concat(DISTINCT status) FROM run")" = done ]
    run sweep small.sweep --store merged.db --resume --json
    check "nothing is missing" [ "$(grep -c '"there":12,"new":0,.*"status":"done"' "$tmp/out")" = 4 ]
    rows merged.db > a
    same a whole "and all is as of one process"
else
    skip "shards are merged" "no merge"
fi
run sweep small.sweep --shard 1/3
refuses 2 "--shard without a store" "a shard in memory"
for bad in 0/3 4/3 1 1/0 a/b 1/; do
    run sweep small.sweep --shard $bad --store x.db
    refuses 2 "--shard $bad: no shard" "no shard: $bad"
done

# ---- other verbs, axes that go together ----
cat > verbs.sweep <<END
name    = verbs
command = [run, ablate, drop]
model   = $model
prompt  = It was a dark night and the old man lit the lantern.
threads = 1
run.metrics   = [none: entropy, two: "sink,entropy"]
run.edit      = ["", zero L1H2]
zip           = run.metrics, run.edit
ablate.heads  = L1H2
ablate.random = 0
drop.what     = attention
END
run sweep verbs.sweep --store verbs.db --json --try 0
exits 0 "several verbs"
check "axes of another verb make no more cells" [ "$(grep -c '"status":"done"' "$tmp/out")" = 4 ]
check "a verb's own options" [ "$(count verbs.db "SELECT count(DISTINCT verb) FROM run")" = 3 ]
cat > compare.sweep <<END
command = compare
model = $model
arguments = $model
quantize = [q8_0, q4_0]
prompts = texts.jsonl
truncate = [6, 8]
exclude = quantize=q8_0, truncate=8
metrics = entropy
END
run sweep compare.sweep --store compare.db --csv --try 0
exits 0 "compare, with another word"
check "an excluded cell is left out" [ "$(wc -l < "$tmp/out")" = 4 ]

# ---- cells that fail ----
sed "s#^model .*#model = [$model, nowhere]#" small.sweep > failing.sweep
run sweep failing.sweep --store failing.db --json
exits 3 "a model that is not there"
check "is reported for the first of its cells" [ "$(grep -c '^attnscope: failing.sweep: cell [4-7]: run: nowhere: ' "$tmp/err")" = 1 ]
check "the others are counted" grep -q '^attnscope: failing.sweep: cell 4: run: and 3 more cells for the same reason$' "$tmp/err"
check "the others are done" [ "$(grep -c '"status":"done"' "$tmp/out")" = 4 ]
check "and it says so" [ "$(grep -c '"status":"failed"' "$tmp/out")" = 4 ]
run sweep failing.sweep --plan
exits 3 "a plan says it before"
echo '{"text": "two", "image": "no.png"}' > bad.jsonl
sed 's/^prompts .*/prompts = [texts.jsonl, bad.jsonl]/' small.sweep > failing.sweep
run sweep failing.sweep --store failing2.db --json
check "prompts that do not fit" [ "$(grep -c 'bad.jsonl:1: .*reads no images' "$tmp/err")" = 1 ]
check "in all four cells" grep -q 'and 3 more cells for the same reason' "$tmp/err"

# ---- files with faults ----
# fault STATUS WORDS LINES...: a sweep with these lines more is refused.
fault()
{
    want=$1
    words=$2
    shift 2
    { printf 'model = %s\ncommand = run\n' "$model"; printf '%s\n' "$@"; } > bad.sweep
    run sweep bad.sweep --store bad.db
    refuses "$want" "$words" "$*"
}
fault 2 "bad.sweep:3: run has no option metrcs" "metrcs = sink"
check "with a near miss" grep -q "did you mean metrics?" "$tmp/err"
fault 2 "bad.sweep:3: run has no option modle" "modle = x"
check "of the sweep's own keys, too" grep -q "did you mean model?" "$tmp/err"
fault 2 "bad.sweep:4:" "" "precision = f33"
fault 2 "bad.sweep:3: stands twice: model" "model = x"
fault 2 "bad.sweep:3: no line of the form key = value: sink" "sink"
fault 2 "bad.sweep:3: the list has no closing bracket: precision" "precision = [f32, bf16"
fault 2 "bad.sweep:3: the list is empty: precision" "precision = []"
fault 2 "bad.sweep:3: the list holds twice: f32" "precision = [f32, f32]"
fault 2 "bad.sweep:3: behind the list stands: x" "precision = [f32] x"
fault 2 "bad.sweep:3: a quote has no end in: \"a" 'prompt = ["a, b]'
fault 2 "bad.sweep:3: the quotes do not fit" 'prompt = "a'
fault 2 "bad.sweep:3: a sweep does not take store" "store = x.db"
fault 2 "bad.sweep:3: a sweep does not take resume" "resume = 3"
fault 2 "bad.sweep:3: census is no command of this sweep" "census.length = 3"
fault 2 "bad.sweep:4: no axis is called precison" "precision = [f32, bf16]" "exclude = precison=f32"
fault 2 "bad.sweep:4: exclude: the axis has no such value: f16" "precision = [f32, bf16]" "exclude = precision=f16"
fault 2 "bad.sweep: all cells are excluded" "precision = [f32]" "exclude = precision=f32"
fault 2 "bad.sweep:5: zip: precision has 2 values, prompt 3" "precision = [f32, bf16]" "prompt = [a, b, c]" "zip = precision, prompt"
check "no store was made" [ ! -e bad.db ]
printf 'command = run\n' > bad.sweep
run sweep bad.sweep
refuses 2 "bad.sweep: no model" "no model"
printf 'model = x\n' > bad.sweep
run sweep bad.sweep
refuses 2 "bad.sweep: no command" "no command"
printf 'model = x\nverb = run\n' > bad.sweep
run sweep bad.sweep
refuses 2 "bad.sweep:2: no command, but a key verb" "another word for command"
check "is told which" grep -qF 'did you mean command?' "$tmp/err"
printf 'command = run\nmodels = x\n' > bad.sweep
run sweep bad.sweep
refuses 2 "bad.sweep:2: no model, but a key models" "another word for model"
printf 'command = census\nmodel = x\nprompt = y\n' > bad.sweep
run sweep bad.sweep
refuses 2 "census has no option prompt" "another word for prompts"
check "is told too" grep -qF 'did you mean prompts?' "$tmp/err"
printf 'model = x\ncommand = rnu\n' > bad.sweep
run sweep bad.sweep
refuses 2 "bad.sweep:2: no command is called rnu" "an unknown command"
printf 'model = x\ncommand = generate\n' > bad.sweep
run sweep bad.sweep
refuses 2 "bad.sweep:2: a sweep cannot run generate" "a command that makes no run"
printf 'model = \000\n' > bad.sweep
run sweep bad.sweep
refuses 3 "holds a NUL byte" "a NUL byte"
printf 'model = \377\n' > bad.sweep
run sweep bad.sweep
refuses 3 "is no UTF-8" "bytes that are no text"
awk 'BEGIN { print "model = x"; print "command = run"; for (k = 0; k < 6; k++) { printf "%s = [", substr("seed  length", 1, 0) "o" k
    for (i = 0; i < 10; i++) printf "%d,", i; print "]" } }' > bad.sweep
run sweep bad.sweep
refuses 2 "more than 100000 cells" "too many cells"
run sweep nowhere.sweep
refuses 3 "nowhere.sweep" "a file that is not there"

printf 'model = x\ncommand = needle\ntop = 5\n' > bad.sweep
run sweep bad.sweep
refuses 2 "bad.sweep:3: --top of needle only shapes the table" "an option that would do nothing"
printf 'model = x\ncommand = [run, census]\ncensus.by = [head, domain]\n' > bad.sweep
run sweep bad.sweep
refuses 2 "bad.sweep:3: --by of census only shapes the table" "nor is it an axis"

# ---- units that fail ----
# fails_with TEXT DESCRIPTION: the last run ended with 1 and said TEXT.
fails_with()
{
    check "$2" test "$status" -eq 1
    check "and says why" grep -qF -- "$1" "$tmp/err"
}
cat > fails.sweep <<END
command = run
model = $root/examples/models/lantern-3m
prompts = fails.txt
metrics = [sink, entropy]
END
printf 'one\ntwo dogs\nthree\nfour\nfive\nsix\n' > fails.txt
"$attnscope" run "$root/examples/models/lantern-3m" --ids 1,2 --metrics sink --store fails.db --quiet > "$tmp/out" 2>&1
"$attnscope" sql --write "CREATE TRIGGER full BEFORE INSERT ON unit WHEN new.prompt_index IN (1, 4) BEGIN
    SELECT RAISE(ABORT, 'this one is not taken'); END" --store fails.db > "$tmp/out" 2>&1
run sweep fails.sweep --store fails.db --try 0
fails_with "cell 0: run: unit 1: store fails.db: writing a unit: this one is not taken" "a unit that fails is named"
check "its cell ends there, the next begins" \
    test "$(count fails.db "SELECT group_concat(n, ' ') FROM (SELECT count(*) AS n FROM unit WHERE run_id > 1 GROUP BY run_id)")" = "1 1"
run sweep fails.sweep --store fails.db --try 0 --keep-going
fails_with "cell 0: run: 2 units failed: unit 1: store fails.db" "with --keep-going the status is the same"
check "the other cell is counted" grep -q "cell 0: run: and 1 more cell for the same reason$" "$tmp/err"
check "and the other units are there" \
    test "$(count fails.db "SELECT group_concat(n, ' ') FROM (SELECT count(*) AS n FROM unit WHERE run_id > 1 GROUP BY run_id)")" = "4 4"
check "the run keeps what went wrong" test "$(count fails.db "SELECT count(*) FROM run WHERE status = 'failed' AND message LIKE '2 units failed: unit 1:%'")" = 2
run runs --store fails.db
out_has "failed, 4 of 6 units" "runs says how far it came"
run show 2 --store fails.db
out_has "status           failed, 4 of 6 units" "and show"
run runs --store fails.db --json --limit 1
out_has '"units":4,"units_wanted":6' "programs get numbers"
"$attnscope" sql --write "DROP TRIGGER full" --store fails.db > "$tmp/out" 2>&1
run sweep fails.sweep --store fails.db --try 0 --quiet
exits 0 "the same command makes the rest"
check "and the runs are done" test "$(count fails.db "SELECT count(*) FROM run WHERE status = 'done' AND message IS NULL")" = 3

# ---- Ctrl-C ----
if command -v timeout > /dev/null 2>&1; then
    # how long a sweep takes is not known here: ever earlier until one is caught at work
    for seconds in 0.8 0.4 0.2 0.1 0.05 0.02 0.01; do
        rm -f stopped.db*
        timeout --foreground --preserve-status -s INT $seconds "$attnscope" sweep small.sweep --store stopped.db --try 0 \
            > "$tmp/out" 2> "$tmp/err"
        status=$?
        [ $status = 0 ] || break
    done
    check "Ctrl-C ends it with 130" [ $status = 130 ]
    check "and nothing is reported as a failed cell" sh -c '! grep -q "cell [0-9]" "$1"' sh "$tmp/err"
else
    skip "Ctrl-C" "no timeout"
fi
run sweep small.sweep --store stopped.db --quiet
rows stopped.db > a
same a whole "and the same command goes on"

# ---- the examples ----
cd "$root" || exit 1
for example in precision length checkpoints; do
    run sweep examples/sweeps/$example.sweep --store "$tmp/$example.db" --try 0 --quiet --json
    exits 0 "examples/sweeps/$example.sweep"
    check "all of it" sh -c '! grep -v "\"status\":\"done\"" "$1"' sh "$tmp/out"
done
plan
