#!/bin/sh
# Under mpirun: one sequence split over ranks, units shared out over ranks, and what is said when that cannot be.
. "${srcdir:-.}/tests/cli_lib.sh"

# on N ARGS...: the program on N ranks of this machine.
on()
{
    n=$1
    shift
    mpirun --allow-run-as-root --oversubscribe -q -n "$n" "$attnscope" "$@" > "$tmp/out" 2> "$tmp/err" < /dev/null
    status=$?
}

if ! command -v mpirun > /dev/null; then
    OMPI_COMM_WORLD_SIZE=2 "$attnscope" --version > "$tmp/out" 2> "$tmp/err"
    status=$?
    refuses 2 "built without MPI" "started by mpirun without MPI: one clear line"
    skip "ranks" "no mpirun (Debian package openmpi-bin)"
    plan
    exit 0
fi
on 2 --version
if grep -q "built without MPI" "$tmp/err"; then
    check "started by mpirun without MPI: exit status 2" test "$status" -eq 2
    skip "ranks" "built without MPI (./configure --with-mpi)"
    plan
    exit 0
fi
check "the first rank alone prints" test "$(grep -c '^attnscope' "$tmp/out")" -eq 1

# apart STORE RUN RUN: values of the second that the first has too, and the largest difference, relative above 1.
apart()
{
    run sql --store "$1" --csv "SELECT count(*), max(abs(a.value - b.value) / max(1, abs(b.value))) FROM value_list a JOIN
        value_list b ON a.metric = b.metric AND a.layer IS b.layer AND a.head IS b.head AND a.position IS b.position
        WHERE a.run = $2 AND b.run = $3"
    sed -n 2p "$tmp/out"
}

# --- one sequence over ranks ---
ids=$(repeated_ids 60)
rows=entropy,max,self,prev_token,distance,nll,spikiness
all=$rows,sink,induction,received,duplicate_token,top_k_mass,median_distance
run run "$model" --ids "$ids" --metrics "$all" --store "$tmp/s.db" --json
alone=$(grep -c attnscope.value "$tmp/out")
for ranks in 2 4; do
    on "$ranks" run "$model" --ids "$ids" --metrics "$all" --store "$tmp/s.db" --json
    exits 0 "a sequence of 121 tokens over $ranks ranks"
    check "as many values as alone" test "$(grep -c attnscope.value "$tmp/out")" -eq "$alone"
    made=$(apart "$tmp/s.db" $((ranks == 2 ? 2 : 4)) 1)
    check "all of them found again" test "${made%,*}" -eq "$alone"
    between 0 "${made#*,}" 1e-9 "with whole rows gathered: the same numbers"
    on "$ranks" run "$model" --ids "$ids" --metrics "$rows" --store "$tmp/s.db" --split-sequence
    exits 0 "row statistics around the ring of $ranks"
    made=$(apart "$tmp/s.db" $((ranks == 2 ? 3 : 5)) 1)
    check "every value is there" test "${made%,*}" -gt 300
    between 0 "${made#*,}" 1e-5 "within 1e-5"
done
run sql --store "$tmp/s.db" --csv "SELECT count(*) FROM value_list WHERE run = 5 AND metric = 'nll'"
out_has 120 "the surprise at every token, also behind a border"
on 4 run "$model" --ids 0,5 --metrics entropy,nll --json
exits 0 "fewer tokens than ranks"
run run "$model" --ids 0,5 --metrics entropy,nll --json
check "give what they give alone" test "$(grep -c attnscope.value "$tmp/out")" -eq 33

# --- what cannot be split ---
on 2 run "$model" --ids "$ids" --metrics jsd,sink,residual_norm
refuses 2 "jsd, residual_norm cannot be measured while the sequence is split" "metrics that need more are named"
on 2 run "$model" --ids "$ids" --maps L0H1
refuses 2 "attention maps cannot be kept" "no maps"
on 2 run "$model" --ids "$ids" --edit "zero L0H1"
refuses 2 "edits cannot be made" "no edits"
run run "$model" --ids "$ids" --split-sequence
refuses 2 "needs several processes" "alone there is nothing to split over"
if [ -d "$shared/golden/t5" ]; then
    on 2 run "$shared/golden/t5" --source-ids 5,6,7 --target-ids 0,8
    refuses 2 "reads a second sequence" "nor an encoder-decoder"
    on 2 run "$shared/golden/qwen3_next" --ids 5,6,7
    refuses 2 "recurrent layers" "nor what goes through positions one by one"
else
    skip "families that cannot be split" "no $shared/golden"
fi
on 2
refuses 2 "reaches the first of 2 processes alone" "no commands from standard input"

# --- ranks that differ ---
mpirun --allow-run-as-root --oversubscribe -q -n 1 "$attnscope" run "$model" --ids 0,5,6 : \
    -n 1 "$attnscope" run "$model" --ids 0,5,7 > "$tmp/out" 2> "$tmp/err" < /dev/null
status=$?
check "another prompt on another rank ends all" test "$status" -eq 3
check "with one line" test "$(grep -c '^attnscope: run: rank 1: the prompt is another than that of rank 0' "$tmp/err")" -eq 1
mpirun --allow-run-as-root --oversubscribe -q -n 1 "$attnscope" run "$model" --ids 0,5,6 : \
    -n 1 "$attnscope" run "$tmp/none" --ids 0,5,6 > "$tmp/out" 2> "$tmp/err" < /dev/null
status=$?
check "a model that one rank lacks ends all" test "$status" -eq 3
check "with one line too" test "$(grep -c '^attnscope: ' "$tmp/err")" -eq 1

# --- a script ---
printf 'load "%s"\nrun --ids 0,5,6,7,8 --metrics sink\ntop sink -n 3 --csv\nquit\n' "$model" > "$tmp/script"
run -f "$tmp/script"
cp "$tmp/out" "$tmp/script.out"
on 2 -f "$tmp/script"
exits 0 "a script: all load and run, the first rank alone asks the store"
check "with the same table" test "$(grep -c '^L' "$tmp/out")" -eq "$(grep -c '^L' "$tmp/script.out")"
printf 'let m = "%s"; alias go = run --metrics sink; load $m\ngo --ids 0,5,6,7,8\ntop sink -n 3 --csv --run $last\nset threads $none\n' \
    "$model" > "$tmp/script"
on 2 -f "$tmp/script"
exits 2 "variables and aliases are those of the first rank, errors too"
check "its latest run among them" test "$(grep -c '^L' "$tmp/out")" -eq "$(grep -c '^L' "$tmp/script.out")"
check "and each is told once" test "$(grep -c 'unknown variable' "$tmp/err")" -eq 1
on 2 set threads 3 --save
check "one of them saves a setting" test "$(grep -c '^set threads 3$' "$XDG_CONFIG_HOME/attnscope/config")" -eq 1
rm "$XDG_CONFIG_HOME/attnscope/config"

# --- units over ranks ---
for i in 1 2 3 4 5 6 7 8 9 10 11; do
    echo "{\"text\":\"The old man carried lamp number $i down to the shore.\"}"
done > "$tmp/prompts"
run run "$model" --prompts "$tmp/prompts" --store "$tmp/one.db" --csv
cp "$tmp/out" "$tmp/one"
on 3 run "$model" --prompts "$tmp/prompts" --store "$tmp/three.db" --csv
exits 0 "prompts shared out over three ranks"
check "what ranks have just made is not taken up again" test "$(grep -c resumed "$tmp/err")" -eq 0
same "$tmp/one" "$tmp/out" "give the table of one process"
check "in one store" test "$(ls "$tmp" | grep -c 'three.db.rank')" -eq 0
on 3 run "$model" --prompts "$tmp/prompts" --csv
refuses 2 "need a store on disk" "not in memory"

run needle "$model" --lengths 128 --depths 0,50 --count 2 --wording fact --json --store "$tmp/one.db"
cp "$tmp/out" "$tmp/one"
on 2 needle "$model" --lengths 128 --depths 0,50 --count 2 --wording fact --json --store "$tmp/three.db"
exits 0 "trials of an experiment shared out"
same "$tmp/one" "$tmp/out" "give the same table"

# --- killed in the middle ---
awk 'BEGIN { for (i = 0; i < 300; i++) printf "{\"ids\":[0,%d,%d,7,8,9,7,8,9,7,8,9,%d]}\n", i % 50 + 5, i + 60, i + 2 }' > "$tmp/many"
run run "$model" --prompts "$tmp/many" --store "$tmp/whole.db" --csv
cp "$tmp/out" "$tmp/whole"
mpirun --allow-run-as-root --oversubscribe -q -n 3 "$attnscope" run "$model" --prompts "$tmp/many" --store "$tmp/killed.db" \
    --csv > /dev/null 2>&1 < /dev/null &
job=$!
for wait in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30; do
    sleep 0.2
    run sql --store "$tmp/killed.db" "SELECT count(*) FROM unit" --csv
    [ "$(sed -n 2p "$tmp/out")" ] && [ "$(sed -n 2p "$tmp/out")" -gt 2 ] && break
done
kill -9 "$job" 2> /dev/null
wait "$job" 2> /dev/null
sleep 1 # the ranks notice that mpirun is gone
on 3 run "$model" --prompts "$tmp/many" --store "$tmp/killed.db" --csv --resume 1
exits 0 "after mpirun was killed the same command goes on"
check "and says once how many units were there" test "$(grep -c '^run 1 resumed: [0-9]* of 300 units were there' "$tmp/err")" -eq 1
same "$tmp/whole" "$tmp/out" "to the table of an undisturbed run"
run sql --store "$tmp/killed.db" --csv "SELECT count(*), count(DISTINCT prompt_index) FROM unit WHERE status = 'done'"
check "nothing is there twice or half" grep -q "^300,300" "$tmp/out"
check "and no store is left over" test "$(ls "$tmp" | grep -c 'killed.db.rank')" -eq 0

# --- a sweep ---
cat > "$tmp/a.sweep" << END
command = run
model = $model
precision = [f32, bf16]
ids = ["0,5,6,7", "0,8,9,10,11,12"]
metrics = [entropy, sink]
END
run sweep "$tmp/a.sweep" --store "$tmp/sweep1.db"
exits 0 "a sweep in one process"
on 2 sweep "$tmp/a.sweep" --store "$tmp/sweep2.db"
exits 0 "and over two"
for s in sweep1 sweep2; do
    run sql --store "$tmp/$s.db" --csv "SELECT r.uid, v.metric, v.layer, v.head, v.value FROM value_list v JOIN run r ON
        r.id = v.run ORDER BY 1, 2, 3, 4"
    cp "$tmp/out" "$tmp/$s"
done
same "$tmp/sweep1" "$tmp/sweep2" "with the same rows"
run sql --store "$tmp/sweep2.db" --csv "SELECT count(*) FROM run WHERE status = 'done'"
out_has 8 "of eight runs that are done"
on 2 sweep "$tmp/a.sweep" --store "$tmp/sweep2.db" --shard 1/2
refuses 2 "exclude each other" "--shard is for processes without MPI"

# rows STORE FILE: all values of a store by the identity of their runs
rows()
{
    run sql --store "$1" --csv "SELECT r.uid, v.prompt, v.metric, v.kind, v.layer, v.head, v.position, v.value FROM value_list v
        JOIN run r ON r.id = v.run ORDER BY 1, 2, 3, 4, 5, 6, 7"
    cp "$tmp/out" "$2"
}

# --- a sweep some of whose units fail ---
mkdir "$tmp/holes"
cp "$model/config.json" "$model/tokenizer.json" "$model/tokenizer_config.json" "$tmp/holes"
if command -v python3 > /dev/null && python3 - "$model/model.safetensors" "$tmp/holes/model.safetensors" <<'PY'
import json, struct, sys
b = bytearray(open(sys.argv[1], "rb").read())
n = struct.unpack("<Q", b[:8])[0]
t = json.loads(b[8:8 + n])["model.embed_tokens.weight"]
row = t["shape"][1] * 2
at = 8 + n + t["data_offsets"][0] + 77 * row
assert t["dtype"] == "BF16"
b[at:at + row] = b"\xc0\x7f" * (row // 2)  # token 77 is not a number
open(sys.argv[2], "wb").write(b)
PY
then
    awk 'BEGIN { for (i = 0; i < 40; i++) printf "{\"ids\":[0,%d,%d,7,8]}\n", i == 11 || i == 30 ? 77 : 5, i + 100 }' > "$tmp/bad"
    printf 'command = run\nmodel = %s\nprompts = %s\nmetrics = [entropy, sink]\nprecision = [f32, bf16]\n' "$tmp/holes" \
        "$tmp/bad" > "$tmp/bad.sweep"
    run sweep "$tmp/bad.sweep" --store "$tmp/bad1.db" --keep-going --try 0 --csv
    cut -d, -f1-9,11 "$tmp/out" > "$tmp/bad1.table"
    check "a sweep in one process goes on behind units that fail" test "$status" -eq 1
    # cells named with this reason, and those that are only counted behind one for the same
    reported()
    {
        awk -v said="$1" '$0 ~ said { n++ } /more cells? for the same reason/ { sub(/.*: and /, ""); n += $1 } END { print n + 0 }' "$tmp/err"
    }
    check "and says of each cell how many" test "$(reported 'cell [0-3]: run: 2 units failed: unit 11: ')" -eq 4
    run sql --store "$tmp/bad1.db" --csv "SELECT uid, status, message FROM run ORDER BY 1"
    cp "$tmp/out" "$tmp/bad1.runs"
    rows "$tmp/bad1.db" "$tmp/bad1.rows"
    for ranks in 2 4; do
        on "$ranks" sweep "$tmp/bad.sweep" --store "$tmp/bad$ranks.db" --keep-going --csv
        check "so does one over $ranks ranks" test "$status" -eq 1
        check "each cell is reported once" test "$(reported '^attnscope: .*bad.sweep: cell [0-3]: run: .*not finite')" -eq 4
        cut -d, -f1-9,11 "$tmp/out" > "$tmp/bad.table"
        same "$tmp/bad1.table" "$tmp/bad.table" "the table counts the units of all ranks"
        run sql --store "$tmp/bad$ranks.db" --csv "SELECT uid, status, message FROM run ORDER BY 1"
        same "$tmp/bad1.runs" "$tmp/out" "runs have failed in the same words"
        rows "$tmp/bad$ranks.db" "$tmp/bad.rows"
        same "$tmp/bad1.rows" "$tmp/bad.rows" "the other units are the same"
    done
else
    skip "units that fail" "no python3"
fi

# --- Ctrl-C ---
printf 'command = run\nmodel = %s\nprompts = %s\nmetrics = [entropy, sink]\n' "$model" "$tmp/many" > "$tmp/long.sweep"
run sweep "$tmp/long.sweep" --store "$tmp/calm.db" --try 0
rows "$tmp/calm.db" "$tmp/calm"
for ranks in 2 4; do
    db=$tmp/stopped$ranks.db
    mpirun --allow-run-as-root --oversubscribe -q -n "$ranks" "$attnscope" sweep "$tmp/long.sweep" --store "$db" --csv \
        > "$tmp/out" 2> "$tmp/err.int" < /dev/null &
    job=$!
    n=0
    for wait in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30; do
        sleep 0.2
        run sql --store "$db" "SELECT count(*) FROM unit" --csv
        n=$(sed -n 2p "$tmp/out")
        [ "${n:-0}" -gt 2 ] && break
    done
    kill -INT "$job" 2> /dev/null
    wait "$job" 2> /dev/null
    check "Ctrl-C ends a sweep over $ranks ranks" test $? -ne 0
    check "with one line at most" test "$(grep -c '^attnscope: ' "$tmp/err.int")" -le 1
    sleep 1
    run check --store "$db"
    exits 0 "its store is sound"
    on "$ranks" sweep "$tmp/long.sweep" --store "$db" --resume --csv
    exits 0 "the same command goes on"
    check "no line of it is about units that were there" test ! -s "$tmp/err"
    check "each unit is counted once" test "$(awk -F, 'NR > 1 { n += $(NF - 3) + $(NF - 2) } END { print n }' "$tmp/out")" -eq 600
    rows "$db" "$tmp/stopped"
    same "$tmp/calm" "$tmp/stopped" "to the rows of an undisturbed sweep"
    run sql --store "$db" --csv "SELECT count(*), count(DISTINCT run_id || ' ' || prompt_index), (SELECT count(*) FROM run WHERE
        status = 'done') FROM unit WHERE status = 'done'"
    out_has 600,600,2 "nothing is there twice or half"
    check "and no store is left over" test "$(ls "$tmp" | grep -c "stopped$ranks.db.rank")" -eq 0
done
plan
