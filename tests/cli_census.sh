#!/bin/sh
# census: the roles on the card of the bundled model, and only those; statistics; going on after a kill.
. "${srcdir:-.}/tests/cli_lib.sh"

# heads LABEL: those of the last run's output that have it, from the line below the table.
heads()
{
    sed -n "s/^$1: //p" "$tmp/out"
}

run census "$model" --store "$tmp/c.db"
exits 0 "census of the bundled model"
check "previous-token heads are those of the card" test "$(heads previous-token)" = "L0H0 L0H1 L2H0"
check "induction heads are those of the card" test "$(heads induction)" = "L1H2 L1H3 L2H5"
check "sinks are those of the card" test "$(heads sink)" = "L0H7 L1H1 L1H2 L1H3 L1H4 L1H5 L1H6 L2H5"
check "retrieval heads are those of the card" test "$(heads retrieval)" = "L1H2 L1H3 L2H5"
out_has "alpha of key 0 above 0.3, T = 64, 61 texts" "the sink rate says how it was taken"
out_has "weights bf16, seed 0" "the heading says weights and seed"
check "a row a head" test "$(grep -c '^L[0-3]H[0-7] ' "$tmp/out")" -eq 32

# the rate is that of the stored values, binarised before it is averaged
rate=$("$attnscope" sql --store "$tmp/c.db" --csv "SELECT round(100 * avg(value > 0.3), 1) FROM head_value WHERE metric = 'sink' AND position = 0 AND prompt < 61" | tail -n 1)
out_has "sink rate: $rate % of heads" "the sink rate is that of the rows"

# --- all scores, with their intervals; the same from a run that was killed and resumed ---
run census "$model" --store "$tmp/whole.db" --trials 3 --random 2 --json
exits 0 "census as JSON"
cp "$tmp/out" "$tmp/whole"
out_has '"sink_rate_n":61' "n of a score"
check "intervals hold the mean" awk '{
    match($0, /"entropy":[^,]*/); m = substr($0, RSTART + 10, RLENGTH - 10)
    match($0, /"entropy_low":[^,]*/); l = substr($0, RSTART + 14, RLENGTH - 14)
    match($0, /"entropy_high":[^,]*/); h = substr($0, RSTART + 15, RLENGTH - 15)
    if (!(l + 0 <= m + 0 && m + 0 <= h + 0)) exit 1 }' "$tmp/out"
"$attnscope" census "$model" --store "$tmp/killed.db" --trials 3 --random 2 --json > /dev/null 2>&1 < /dev/null &
pid=$!
n=0
while [ $n -lt 200 ]; do
    done_=$("$attnscope" sql --store "$tmp/killed.db" --csv "SELECT count(*) FROM unit" 2> /dev/null | tail -n 1)
    [ "${done_:-0}" -ge 5 ] 2> /dev/null && break
    sleep 0.02
    n=$((n + 1))
done
kill -9 $pid 2> /dev/null
wait $pid 2> /dev/null
run census "$model" --store "$tmp/killed.db" --trials 3 --random 2 --json --resume 1
exits 0 "goes on after kill -9"
same "$tmp/whole" "$tmp/out" "a resumed census is that of an undisturbed run"
if grep -q 'units were there' "$tmp/err"; then ok "says how much was there"; else not_ok "says how much was there"; told "$tmp/err"; fi
run census "$model" --store "$tmp/killed.db" --trials 4 --random 2 --resume 1
refuses 2 "not the same settings" "another census does not resume it"

# --- a file of prompts that has changed is another census ---
printf '{"text":"The old man went down to the river and sat there until the evening light was gone."}\n' > "$tmp/own.jsonl"
run census "$model" --store "$tmp/own.db" --prompts "$tmp/own.jsonl" --length 12 --trials 0 --random 0
exits 0 "census of own prompts"
run census "$model" --store "$tmp/own.db" --prompts "$tmp/own.jsonl" --length 12 --trials 0 --random 0 --resume 1
exits 0 "the same prompts resume it"
printf '{"text":"The old cat went down to the castle and sat there until the evening light was gone."}\n' > "$tmp/own.jsonl"
run census "$model" --store "$tmp/own.db" --prompts "$tmp/own.jsonl" --length 12 --trials 0 --random 0 --resume 1
refuses 2 "not the same settings" "prompts that have changed do not resume it"

# --- rankings and rules take the prompts that the census takes for a metric, not all of a run ---
want=$("$attnscope" sql --store "$tmp/c.db" --csv "SELECT head_name, count(*) FROM head_value WHERE metric = 'induction' AND prompt IN (SELECT prompt FROM fact_list WHERE name = 'set' AND text = 'random') GROUP BY head_name ORDER BY avg(value) DESC LIMIT 1" | tail -n 1)
run top induction --store "$tmp/c.db" --csv --n 1
check "top of a census: the random prompts for induction" test "$(tail -n 1 "$tmp/out" | cut -d, -f 2,4)" = "$want"
run top prev_token --set needle --store "$tmp/c.db"
refuses 1 "was not measured on the prompts of set needle" "a set in which the metric was not measured"
run top induction --set text --store "$tmp/c.db" --csv --n 1
check "or the set that is asked for" test "$(tail -n 1 "$tmp/out" | cut -d, -f 4)" = 61

# --- by domain ---
run census "$model" --by domain --trials 0 --random 0 --csv
exits 0 "census by domain"
check "a row a head and domain" test "$(grep -c '^[a-z]*,L' "$tmp/out")" -eq 192

# --- bad parameters ---
run census "$model" --length 600
refuses 2 "context of 512" "a length beyond the context"
printf '{"text":"short"}\n' > "$tmp/short.jsonl"
run census "$model" --prompts "$tmp/short.jsonl"
refuses 3 "none of 1 prompts has 64 tokens" "prompts that are too short"
run census "$model" --prompts "$tmp/short.jsonl" --builtin
refuses 2 "exclude each other" "two sources of prompts"
run census "$model" --trial-length 120
refuses 2 "a third of --trial-length" "haystacks that are too short"
run census "$model" --metrics nosuch
refuses 2 "nosuch" "a metric that does not exist"

run bench metrics "$model" --length 32 --repeat 1 --metrics entropy,received
exits 0 "bench metrics"
check "a row for defaults, census and each metric" test "$(grep -c -e '^(' -e '^entropy' -e '^received' "$tmp/out")" -eq 4
if [ -d "$shared/golden/modernbert" ]; then
    # 4 heads, 2 layers of 60 x 60 and 2 with keys less than 9 away on both sides: 60 x 17 - 72
    run bench metrics "$shared/golden/modernbert" --length 60 --repeat 1 --metrics entropy
    if grep -q "3.64e+04 attention weights" "$tmp/err"; then ok "weights within a window on both sides are counted"
    else not_ok "weights within a window on both sides are counted"; told "$tmp/err"; fi
fi
run bench everything "$model"
refuses 2 "what to time is not known" "bench of something else"

plan
