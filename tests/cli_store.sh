#!/bin/sh
# The store: what is recorded, how it is read, what a broken run leaves.
. "${srcdir:-.}/tests/cli_lib.sh"
db=$tmp/heads.db
q() { "$attnscope" sql --store "$db" --csv "$1" 2> "$tmp/err" | tail -n +2; }

# --- reading never creates ---
for verb in runs show "top sink" "sql select" export "view score_grid" "plot score_grid"; do
    run $verb --store "$tmp/none.db"
    refuses 3 "no store at $tmp/none.db" "$verb without a store"
done
check "none is created" test ! -e "$tmp/none.db"
run top sink
refuses 1 "no run yet" "top before any run"

# --- a run and its provenance ---
run run "$model" --prompt "Don't say \"\$HOME\"; twice" --label "quotes" --store "$db" --metrics sink,entropy --maps L1H3,L2 --threads 1
exits 0 "a run into a store"
run runs --store "$db" --json
out_has '"status":"done","tokens":' "runs lists it"
out_has '"prompt":"quotes"' "with its label"
check "9 maps" test "$(q 'SELECT count(*) FROM map_list')" = 9
check "64 values" test "$(q 'SELECT count(*) FROM value_list')" = 64
check "threads are recorded" test "$(q 'SELECT threads FROM run')" = 1
check "the model's digest is that of the file" test "$(q 'SELECT sha256 FROM model')" = "$(sha256sum < "$model/model.safetensors" | cut -c1-64)"
check "the tokenizer's digest, too" test "$(q 'SELECT tokenizer_sha256 FROM model')" = "$(sha256sum < "$model/tokenizer.json" | cut -c1-64)"
check "the text is kept" test "$(q 'SELECT text FROM prompt')" = "\"Don't say \"\"\$HOME\"\"; twice\""

# the stored command, pasted into a shell, does the same again
"$attnscope" show --command --store "$db" 2> "$tmp/err" | sed '1s|^attnscope|"$attnscope"|' > "$tmp/again"
. "$tmp/again" > /dev/null 2> "$tmp/err"
check "the stored command can be pasted" test $? -eq 0
check "and repeats the run" test "$(q 'SELECT count(*) FROM value_list a JOIN value_list b ON b.run = 2 AND a.metric = b.metric AND a.layer = b.layer AND a.head = b.head AND a.value = b.value WHERE a.run = 1')" = 64
check "the same prompt is stored once" test "$(q 'SELECT count(*) FROM prompt')" = 1

# --- top, show ---
run run "$model" --ids "$(repeated_ids 60)" --store "$db" --metrics induction,nll
run top induction --store "$db" --json
check "the strongest induction heads first" test "$(sed -n 's/.*"head":"\([^"]*\)".*/\1/p' "$tmp/out" | head -n 3 | sort | tr '\n' ' ')" = "L1H2 L1H3 L2H5 "
run top induction --store "$db" -n 2 --lowest --csv
check "-n and --lowest" test "$(grep -c '' "$tmp/out")" -eq 3
run top nll --store "$db" --csv
check "top of positions names tokens" grep -q '^rank,prompt,position,token_id,token,value' "$tmp/out"
run top sink --store "$db"
refuses 1 "has no values of sink (it measured induction,nll)" "a metric that was not measured"
run top sink --store "$db" --run 1
exits 0 "--run chooses"
run top sink --store "$db" --run 99
refuses 2 "no run 99" "a run that does not exist"
run show 1 --store "$db"
check "show tells the digest" grep -q "$(sha256sum < "$model/model.safetensors" | cut -c1-64)" "$tmp/out"
run show 1 --store "$db" --json
out_has '"settings":{"metrics":["sink","entropy"]' "show --json holds the settings as an object"

# --- sql ---
run sql --store "$db" "DELETE FROM value"
refuses 2 "delete" "sql only reads"
check "--write is offered" grep -q -e '--write' "$tmp/err"
check "nothing was deleted" test "$(q 'SELECT count(*) FROM value_list WHERE run = 1')" = 64
echo "SELECT count(*) AS runs FROM run" > "$tmp/count.sql"
run sql --store "$db" --csv "SELECT count(*) AS runs FROM run"
cp "$tmp/out" "$tmp/counted"
run sql --store "$db" --csv --file "$tmp/count.sql"
same "$tmp/out" "$tmp/counted" "a statement from a file"
"$attnscope" sql --store "$db" --csv --file - < "$tmp/count.sql" > "$tmp/out" 2> "$tmp/err"
same "$tmp/out" "$tmp/counted" "from standard input"
run sql --store "$db" "@$tmp/count.sql"
check "@FILE of the system's shell is told what to write" grep -qF "sql --file $tmp/count.sql" "$tmp/err"
run sql --store "$db" --file "$tmp/count.sql" "SELECT 1"
refuses 2 "--file excludes a statement" "a file and a statement"
run sql --store "$db"
refuses 2 "no statement given" "neither"
run sql --store "$db" "SELECT nonsense FROM value_list"
refuses 2 "nonsense" "SQL errors are said"
run sql --store "$db" --json SELECT 1 AS one, 2.5 AS two, NULL AS three
out_has '{"schema":"attnscope.row/1","one":1,"two":2.5,"three":null}' "sql --json"

# --- export ---
run export 1 --store "$db" -o "$tmp/v.csv"
exits 0 "export to CSV"
check "a header and 64 rows" test "$(grep -c '' "$tmp/v.csv")" -eq 65
run export 1 --store "$db" -o "$tmp/v.jsonl"
run run "$model" --prompt "Don't say \"\$HOME\"; twice" --metrics sink,entropy --json
sort "$tmp/out" > "$tmp/direct"
sort "$tmp/v.jsonl" > "$tmp/stored"
same "$tmp/direct" "$tmp/stored" "export to JSON Lines holds the lines that run --json prints"
run export 1 --store "$db" -o "$tmp/v.json"
sed '1d;$d;s/,$//' "$tmp/v.json" > "$tmp/stored"
check "a .json is an array of them" test "$(sed -n '1p;$p' "$tmp/v.json" | tr '\n' ' ')" = "[ ] "
same "$tmp/v.jsonl" "$tmp/stored" "an object a line"
run run "$model" --prompt "Don't say \"\$HOME\"; twice" --metrics sink,entropy --csv
same "$tmp/v.csv" "$tmp/out" "run --csv prints what export writes"
run export 1 --store "$db" -o "$tmp/v.xyz"
refuses 2 "does not say what to write" "an extension that says nothing"
run export 1 --store "$db" -o "$tmp/v.npz"
exits 0 "export to NPZ"
if command -v python3 > /dev/null && python3 -c 'import numpy' 2> /dev/null; then
    check "numpy reads it" python3 - "$tmp/v.npz" <<'PY'
import numpy, sys
z = numpy.load(sys.argv[1])
assert z["entropy"].shape == (4, 8) and z["sink"].shape == (4, 8, 1), {k: v.shape for k, v in z.items()}
m = z["map_L1H3"]
n = len(z["ids"])
assert m.shape == (n, n) and numpy.isnan(m[0, 1:]).all() and abs(numpy.nansum(m, 1) - 1).max() < 1e-5
# the stored map gives the stored metric
assert abs(z["sink"][1, 3, 0] - numpy.nanmean(m[:, 0])) < 1e-6
rows = -(m * numpy.log(numpy.where(m > 0, m, 1)))
assert abs(z["entropy"][1, 3] - numpy.nansum(rows, 1).mean()) < 1e-4
PY
else
    skip "numpy reads it" "no numpy"
fi

# --- a run that is broken off ---
# The reader of the lines stops reading, so that the run cannot end by itself.
endless="run $model --ids $(repeated_ids 250) --entropy-rows each --metrics entropy --json --store $db"
mkfifo "$tmp/pipe"
signal=TERM
launch=
if env --default-signal=INT true 2> /dev/null; then
    signal=INT # a shell starts its background jobs deaf to it
    launch="env --default-signal=INT"
fi
$launch "$attnscope" $endless > "$tmp/pipe" 2> "$tmp/err" &
pid=$!
exec 3< "$tmp/pipe"
read -r first <&3
kill -s "$signal" "$pid"
cat <&3 > /dev/null
wait "$pid"
status=$?
exec 3<&-
: > "$tmp/out"
refuses 130 "cancelled" "interrupted ($signal): exit status 130" || :
check "the run is marked cancelled" test "$(q 'SELECT status FROM run ORDER BY id DESC LIMIT 1')" = cancelled
check "and leaves no values" test "$(q 'SELECT count(*) FROM value_list WHERE run = 4')" = 0

"$attnscope" $endless > "$tmp/pipe" 2> "$tmp/err" &
pid=$!
exec 3< "$tmp/pipe"
read -r first <&3
kill -s KILL "$pid"
wait "$pid" 2> /dev/null
exec 3<&-
check "killed: the store is whole" test "$(q 'PRAGMA integrity_check')" = ok
check "the run says that it was running" test "$(q 'SELECT status FROM run ORDER BY id DESC LIMIT 1')" = running
check "and left no values" test "$(q 'SELECT count(*) FROM value_list WHERE run = 5')" = 0
check "the runs before are as they were" test "$(q 'SELECT count(*) FROM value_list WHERE run = 1')" = 64

"$attnscope" $endless > "$tmp/pipe" 2> "$tmp/err" &
pid=$!
exec 3< "$tmp/pipe"
read -r first <&3
exec 3<&-
wait "$pid"
status=$?
exits 0 "the reader left: no error"
check "nothing is complained of" test "$(grep -c "^attnscope:" "$tmp/err")" -eq 0
check "the run is kept all the same" test "$(q 'SELECT status FROM run ORDER BY id DESC LIMIT 1')" = "done"
check "with all values" test "$(q 'SELECT count(*) FROM value_list WHERE run = 6')" = $((4 * 8 * 501))

# what is wrong with the words leaves no trace
before=$(q 'SELECT count(*) FROM run')
run run "$model" --ids 0,1 --metrics sink --sink-keys 5 --store "$db"
refuses 2 "outside the prompt" "a key that the prompt has not"
check "it leaves no run" test "$(q 'SELECT count(*) FROM run')" = "$before"

# a failure inside the run: marked, rolled back, said
cp -r "$model" "$tmp/broken"
chmod -R u+w "$tmp/broken"
size=$(wc -c < "$tmp/broken/model.safetensors")
printf '\377\377\377\377' | dd of="$tmp/broken/model.safetensors" bs=1 seek=$((size - 4)) conv=notrunc 2> "$tmp/err"
run run "$tmp/broken" --ids 0,1 --metrics nll --store "$db"
check "a failed run is marked failed" test "$(q 'SELECT status FROM run ORDER BY id DESC LIMIT 1')" = failed
check "with its reason" test "$(q "SELECT message LIKE '%not finite%' FROM run ORDER BY id DESC LIMIT 1")" = 1
failed=$(q 'SELECT max(id) FROM run')
run export "$failed" --store "$db"
refuses 1 "(failed) holds no values" "nothing to export from it"
run show --store "$db"
check "it is not the default: the newest run that is done is" test "$(head -n 1 "$tmp/out")" = "run 6"
run top entropy --store "$db" --position 5 --json
exits 0 "top of the newest run that is done"
run runs --store "$db" --csv
check "runs lists it all the same" grep -q "^$failed,.*,failed," "$tmp/out"
run --quiet --keep-going -c "run $model --ids 0,1 --metrics sink --csv -o $tmp/s.csv; run $tmp/broken --ids 0,1 --metrics nll; show --command"
check "nor in a session" grep -q 'metrics sink --csv' "$tmp/out"
run --quiet run "$tmp/broken" --ids 0,1 --metrics nll --store "$tmp/failed.db"
run show --store "$tmp/failed.db"
check "where no run is done, the newest is shown" grep -q '^  status  *failed, 0 of 1 unit$' "$tmp/out"

# --- the exact command: what settings, standard input and a loaded model said ---
again() # STORE: the stored command of its last run
{
    "$attnscope" show --command --store "$1"
}
run --quiet --precision bf16 run "$model" --prompt "a b" --store "$tmp/s.db"
check "a precision of the session is in the command" test "$(again "$tmp/s.db")" = "attnscope run --precision bf16 $model --prompt 'a b' --store $tmp/s.db"
run --quiet --precision bf16 run "$model" --prompt "a b" --precision f32 --store "$tmp/s.db"
check "unless the line has its own" test "$(again "$tmp/s.db")" = "attnscope run $model --prompt 'a b' --precision f32 --store $tmp/s.db"
run --quiet --isa c run "$model" --prompt "a b" --store "$tmp/s.db"
check "an instruction set, too" test "$(again "$tmp/s.db")" = "attnscope --isa c run $model --prompt 'a b' --store $tmp/s.db"
printf '%s' "it's \$x" | "$attnscope" --quiet run "$model" --prompt-file - --label --prompt-file --store "$tmp/s.db" > "$tmp/out" 2> "$tmp/err"
check "standard input is recorded as text" test "$(again "$tmp/s.db")" = "attnscope run $model --prompt 'it'\\''s \$x' --label --prompt-file --store $tmp/s.db"
run --quiet -c "set precision bf16; load $model; run --prompt \"a b\" --store $tmp/s.db"
check "a loaded model is named" test "$(again "$tmp/s.db")" = "attnscope run $model --precision bf16 --prompt 'a b' --store $tmp/s.db"

# --- times ---
run runs --store "$tmp/s.db" --json --limit 1
check "a program gets the ISO time" grep -qE '"started":"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z"' "$tmp/out"
run runs --store "$tmp/s.db" --csv
check "as CSV, too" grep -qE '^1,[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z,run,' "$tmp/out"
run sql --store "$tmp/s.db" "UPDATE run SET finished = '2026-01-01T00:00:01.234Z', started = '2026-01-01T00:00:00.000Z'" --write
run runs --store "$tmp/s.db" --json --limit 1
out_has '"seconds":1.234' "and seconds as they are stored"
run runs --store "$tmp/s.db" --limit 1
out_has '2026-01-01 00:00:00  run' "a person gets a short time"

# --- hints name the store ---
run plot head_map --store "$tmp/s.db" -o "$tmp/x.png"
refuses 1 "holds no attention map" "plot of a map that is not there"
check "the hint names the store" grep -qF -e "--maps L0H0 --store $tmp/s.db\`" "$tmp/err"
plan
