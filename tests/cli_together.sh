#!/bin/sh
# Units that pass through the model together: their rows are those that each makes by itself, byte for byte, for any number of
# threads, also where one fails, is killed and goes on, and in a census.
srcdir=${srcdir:-.}
. "$srcdir/tests/cli_lib.sh"
case $attnscope in /*) ;; *) attnscope=$PWD/$attnscope ;; esac
model=$(cd "$model" && pwd)
cd "$tmp" || exit 1

# ids N: so many tokens, not the same for every N.
ids() { awk -v n="$1" 'BEGIN { for (i = 0; i < n; i++) printf "%s%d", i ? "," : "", (i * i * 7 + i * n + n) % 2000 + 5 }'; }
# rows STORE RUN [PROMPT]: everything that was measured, PROMPT in place of the index.
rows()
{
    "$attnscope" sql "SELECT ${3:-prompt} AS prompt, kind, metric, layer, head, position, value FROM value_list WHERE run = $2
        ORDER BY value_list.prompt, metric, kind, layer, head, position" --limit 0 --csv --store "$1" | tail -n +2
    "$attnscope" sql "SELECT ${3:-u.prompt_index} AS prompt, s.name, n_query, n_key, hex(cells) AS cells FROM map m
        JOIN unit u ON u.id = m.unit_id JOIN site s ON s.id = m.site_id WHERE u.run_id = $2 ORDER BY u.prompt_index, s.name" \
        --limit 0 --csv --store "$1" | tail -n +2
}
count() { "$attnscope" sql "$2" --csv --store "$1" | tail -n 1; }

lengths="40 3 1 64 300 13 2 8 100 5 250 21"
: > mixed.jsonl
for n in $lengths; do
    echo "{\"ids\":[$(ids "$n")]}" >> mixed.jsonl
done
measured="--metrics sink,entropy,induction,received,nll --maps L1H3,L2H5"

# ---- alone ----
at=0
for n in $lengths; do
    # shellcheck disable=SC2086
    run run "$model" --ids "$(ids "$n")" $measured --threads 1 --store alone.db --quiet
    [ "$status" -eq 0 ] || told "$tmp/err"
    rows alone.db $((at + 1)) $at
    at=$((at + 1))
done > all
# values of all prompts, then maps of all
{ grep -v '[0-9],L[12]H[35],' all; grep '[0-9],L[12]H[35],' all; } > alone
check "twelve runs of one prompt each" [ "$(cut -d , -f 1 alone | sort -u | wc -l)" -eq 12 ]

# ---- together ----
for threads in 1 3; do
    # shellcheck disable=SC2086
    run run "$model" --prompts mixed.jsonl $measured --threads $threads --store together$threads.db --quiet
    exits 0 "twelve prompts in one run, $threads threads"
    rows together$threads.db 1 > together$threads
    same alone together$threads "give the same bytes"
done
for threads in 1 3; do
    # shellcheck disable=SC2086
    run run "$model" --prompts mixed.jsonl $measured --threads $threads --json
    cp "$tmp/out" json$threads
done
same json1 json3 "JSON lines come in the same order with the same bytes"

# ---- one of them fails ----
run run "$model" --ids 1,2 --metrics sink --store fails.db --quiet
"$attnscope" sql --write "CREATE TRIGGER full BEFORE INSERT ON unit WHEN new.prompt_index = 7 BEGIN
    SELECT RAISE(ABORT, 'this one is not taken'); END" --store fails.db > "$tmp/out" 2>&1
# shellcheck disable=SC2086
run run "$model" --prompts mixed.jsonl $measured --threads 3 --store fails.db --quiet
exits 1 "a unit that fails among others"
check "leaves those before it" [ "$(count fails.db 'SELECT group_concat(prompt) FROM prompt_list WHERE run = 2')" = '"0,1,2,3,4,5,6"' ]
"$attnscope" sql --write "DROP TRIGGER full" --store fails.db > "$tmp/out" 2>&1
# shellcheck disable=SC2086
run run "$model" --prompts mixed.jsonl $measured --threads 1 --store fails.db --resume 2 --quiet
exits 0 "and the run goes on"
rows fails.db 2 > a
same alone a "to the same rows"
{ cat mixed.jsonl; echo "{\"ids\":[$(ids 600)]}"; } > long.jsonl
# shellcheck disable=SC2086
run run "$model" --prompts long.jsonl $measured --store long.db
refuses 2 "long.jsonl:13: " "a prompt that is too long is found before the others run"
check "and nothing is stored" [ ! -e long.db ]

# ---- kill -9 ----
for try in 1 2 3; do
    # shellcheck disable=SC2086
    "$attnscope" run "$model" --prompts mixed.jsonl $measured --threads 1 --store killed.db > "$tmp/out" 2> "$tmp/err" < /dev/null &
    pid=$!
    waited=0
    while [ $waited -lt 200 ] && kill -0 $pid 2> /dev/null; do
        [ -e killed.db ] && n=$(count killed.db "SELECT count(*) FROM unit WHERE run_id = $try" 2> /dev/null) && [ "${n:-0}" -ge $try ] && break
        waited=$((waited + 1))
        sleep 0.01
    done
    kill -9 $pid 2> /dev/null
    wait $pid 2> /dev/null
    # shellcheck disable=SC2086
    run run "$model" --prompts mixed.jsonl $measured --threads 3 --store killed.db --resume $try --quiet
    exits 0 "killed (try $try) and resumed"
    rows killed.db $try > a
    same alone a "with the same rows"
done

# ---- a census ----
awk 'BEGIN { for (i = 0; i < 6; i++) { print "The old man went down to the sea and lit lantern number " i " there."
    print "She had " i " red hats and a very long way to go home before the night." } }' > texts.txt
census="--prompts texts.txt --length 9 --random 2 --random-length 7 --trials 3 --trial-length 200"
for threads in 1 3; do
    # shellcheck disable=SC2086
    run census "$model" $census --threads $threads --store census$threads.db --quiet
    exits 0 "a census, $threads threads"
    rows census$threads.db 1 > census$threads
done
check "has values of all its units" [ "$(cut -d , -f 1 census1 | sort -u | wc -l)" -eq "$(count census1.db "SELECT count(*) FROM unit")" ]
same census1 census3 "gives the same bytes"
printf 'command = census\nmodel = %s\nprompts = texts.txt\nlength = 9\nrandom = 2\nrandom-length = 7\ntrials = 3\ntrial-length = 200\n' \
    "$model" > census.sweep
n=$(count census1.db 'SELECT count(*) FROM unit')
i=1
while [ $i -le "$n" ]; do
    "$attnscope" sweep census.sweep --store each.db --shard $i/"$n" --try 0 --threads 1 > "$tmp/out" 2> "$tmp/err" < /dev/null || told "$tmp/err"
    i=$((i + 1))
done
check "all $n units of it, each in a process of its own" [ "$(count each.db "SELECT status FROM run")" = "done" ]
rows each.db 1 > a
same census1 a "give the same bytes, too"
plan
