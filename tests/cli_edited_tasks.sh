#!/bin/sh
# induction, copy, needle and census with --edit: what is left of a model without some of its heads, and that the store says so.
. "${srcdir:-.}/tests/cli_lib.sh"
db=$tmp/cut.db

# accuracy RUN: next tokens of the second copy that the model has right
accuracy()
{
    "$attnscope" sql "SELECT avg(value) FROM value_list WHERE run = $1 AND metric = 'accuracy'" --csv --store "$db" 2> "$tmp/err" |
        tail -n 1
}

run induction "$model" --lengths 30 --bos --repeats 4 --json --store "$db" --quiet
exits 0 "repeats, with all heads"
between 0.95 "$(accuracy 1)" 1 "which the model continues"
run induction "$model" --lengths 30 --bos --repeats 4 --json --store "$db" --quiet --edit "zero L0H1"
exits 0 "without the previous-token head of the first layer"
between 0 "$(accuracy 2)" 0.1 "it does no longer"
run induction "$model" --lengths 30 --bos --repeats 4 --json --store "$db" --quiet --edit "scale 1 L0H1"
between 0.95 "$(accuracy 3)" 1 "an edit that changes nothing changes nothing"
run sql "SELECT edits FROM run ORDER BY id" --store "$db" --tsv
check "each run says what was cut" test "$(grep -c '"edit":"zero","heads":"L0H1"' "$tmp/out")" -eq 1
run show 2 --command --store "$db"
out_has "'zero L0H1'" "so does its command"
run induction "$model" --lengths 30 --bos --repeats 4 --quiet --store "$db" --resume 1 --edit "zero L0H1"
refuses 2 "not the same edits" "a run goes on with its own edits alone"
run induction "$model" --lengths 30 --bos --repeats 4 --quiet --store "$db" --resume 2 --edit "zero L0H1"
exits 0 "and with them it does"
run induction "$model" --lengths 30 --emit "$tmp/none.jsonl" --edit "zero L0H1"
refuses 2 "--edit changes a run, and --emit makes none" "sequences alone are not edited"
check "none are written" test ! -e "$tmp/none.jsonl"
run induction "$model" --edit "zero L9H1"
check "a head that there is not" test $status -eq 2

run copy "$model" --lengths 20 --repeats 2 --json --quiet --edit "zero L0H1"
exits 0 "copy"
run needle "$model" --lengths 128 --depths 50 --wording fact --edit "zero L1H3,L2H5" --store "$db" --quiet --json
exits 0 "needle"
run sql "SELECT max(value) FROM head_value WHERE run = (SELECT max(id) FROM run) AND metric = 'retrieval' AND head_name = 'L1H3'" \
    --csv --store "$db"
exits 0 "heads that are cut still look"
run census "$model" --trials 0 --random 2 --length 24 --quiet --json --edit "zero L0H1"
exits 0 "census"
check "no head is an induction head any more" test "$(grep -c '"labels":"[^"]*induction' "$tmp/out")" -eq 0
run census "$model" --trials 0 --random 2 --length 24 --quiet --json
check "with all heads some are" test "$(grep -c '"labels":"[^"]*induction' "$tmp/out")" -ge 2
plan
