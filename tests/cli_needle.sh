#!/bin/sh
# needle, induction, mqar, copy: trials, scores, resuming, and the grid.
. "${srcdir:-.}/tests/cli_lib.sh"

# field TEXT: the number behind it in the first line of output that holds it.
field()
{
    sed -n "s/.*$1\([-0-9.e]*\).*/\1/p" "$tmp/out" | head -n 1
}

# --- made-up haystacks: what the bundled model was trained to find ---
run needle "$model" --lengths 128,256 --depths 0,50,100 --count 2 --wording fact --json --store "$tmp/a.db"
exits 0 "needles in made-up haystacks"
check "a row for each of 32 heads" test "$(grep -c '"schema":"attnscope.needle_head/1"' "$tmp/out")" -eq 32
check "the best head first: L1H3" test "$(head -n 1 "$tmp/out" | grep -c '"head":"L1H3"')" -eq 1
between 0.2 "$(field '"head":"L1H3".*"retrieval":')" 2 "L1H3 retrieves"
others=$(awk -F'"retrieval":' '$2 + 0 > 0.05' "$tmp/out" | sed 's/.*"head":"\([^"]*\)".*/\1/' | sort | tr '\n' ' ')
check "the three heads of the card, and no other" test "$others" = "L1H2 L1H3 L2H5 "
cp "$tmp/out" "$tmp/heads"
run needle "$model" --lengths 128,256 --depths 0,50,100 --count 2 --wording fact --json --threads 1
same "$tmp/heads" "$tmp/out" "the same on one thread, from the seed"
run needle "$model" --lengths 128,256 --depths 0,50,100 --count 2 --wording fact --json --seed 1
check "another seed, other trials" test "$(cmp -s "$tmp/heads" "$tmp/out"; echo $?)" -eq 1

run needle "$model" --lengths 128,256 --depths 0,50,100 --count 2 --wording fact --grid --csv
check "the grid has a row a cell" test "$(grep -c '^[0-9]' "$tmp/out")" -eq 6
out_has 'length,depth,n,success,sd,low,high,recall' "with interval and recall"
run needle "$model" --lengths 128,256 --depths 0,50,100 --count 2 --wording fact --top 3
out_has 'trials count (token recall above 0.5)' "people are told how many trials count"
out_has 'bos <|bos|> from the post-processor' "and what was added to the prompts"

# --- the store: values, facts, resuming ---
run sql --store "$tmp/a.db" "SELECT count(*) FROM value_list WHERE metric = 'retrieval'" --csv
out_has 384 "12 trials of 32 heads are kept"
run sql --store "$tmp/a.db" "SELECT count(DISTINCT prompt) FROM fact_list WHERE name IN ('answer', 'generated', 'stopped')" --csv
out_has 12 "with answers and what was generated"
run needle "$model" --lengths 128,256 --depths 0,50,100 --count 2 --wording fact --json --store "$tmp/a.db" --resume 1
exits 0 "a finished run is taken up again"
check "nothing is done twice" grep -q '12 of 12 units were there' "$tmp/err"
same "$tmp/heads" "$tmp/out" "and gives the same table"
run needle "$model" --lengths 128,300 --depths 0,50,100 --count 2 --wording fact --store "$tmp/a.db" --resume 1
check "other settings are not mixed in" test "$status" -eq 2

# --- emit and trials ---
run needle "$model" --lengths 128,256 --depths 0,50,100 --count 2 --wording fact --emit "$tmp/trials.jsonl"
exits 0 "trials are written"
check "one a line" test "$(grep -c '"needle": \[' "$tmp/trials.jsonl")" -eq 12
run needle "$model" --trials "$tmp/trials.jsonl" --json --scores "$tmp/scores.json"
same "$tmp/heads" "$tmp/out" "read back they give the same scores"
check "head_score layout" grep -q '^{"0-0": \[0, .*"1-3": \[[0-9.]*, .*\]}$' "$tmp/scores.json"
cp "$tmp/scores.json" "$tmp/first.json"
run needle "$model" --trials "$tmp/trials.jsonl" --quiet --json --scores "$tmp/scores.json"
same "$tmp/first.json" "$tmp/scores.json" "an older file is replaced"
run needle "$model" --trials "$tmp/trials.jsonl" --quiet --json --scores "$tmp/scores.json" --append-scores
check "or appended to" test "$(tr -cd , < "$tmp/scores.json" | wc -c)" -gt "$(tr -cd , < "$tmp/first.json" | wc -c)"
echo '{"1-3": 4}' > "$tmp/bad.json"
run needle "$model" --trials "$tmp/trials.jsonl" --quiet --json --scores "$tmp/bad.json" --append-scores
refuses 3 'is no list of numbers' "but not to something else"

# --- text trials, the success rule ---
cat > "$tmp/text.jsonl" <<'END'
{"text": "The sea was quiet.\n\nThe lucky number of Ellen is 4 7 1 9.\n\nNobody spoke. The wind had dropped.\n\nWhat is the lucky number of Ellen? The lucky number of Ellen is", "needle_text": "The lucky number of Ellen is 4 7 1 9.", "answer": "4 7 1 9.", "label": "ellen"}
END
run needle "$model" --trials "$tmp/text.jsonl" --per-trial --json
exits 0 "a trial of text"
out_has '"generated":" 4 7 1 9.\n"' "is answered"
out_has '"exact":1,"success":1' "exactly"
out_has 'ellen, ' "under its label"
run needle "$model" --trials "$tmp/text.jsonl" --success rouge1 --per-trial --json
out_has '"recall":1,' "ROUGE-1 decides where asked for"
run needle "$model" --trials "$tmp/text.jsonl" --steps 1 --json
check "no trial that counts: status 1" test "$status" -eq 1
check "says so" grep -q 'none of 1 trials has a recall above 0.5' "$tmp/err"
sed 's/4 7 1 9\.", "answer"/9 9.", "answer"/' "$tmp/text.jsonl" > "$tmp/wrong.jsonl"
run needle "$model" --trials "$tmp/wrong.jsonl"
refuses 3 'wrong.jsonl:1: the needle does not stand in the text' "a needle that is not there"

# --- what makes no sense ---
run needle "$model" --trials "$tmp/text.jsonl" --lengths 100
refuses 2 '--lengths does nothing' "--trials and --lengths"
run needle "$model" --lengths 20
refuses 2 'leaves no room for a haystack' "too short"
run needle "$model" --lengths 4000
refuses 2 'longer than the context' "too long"
run needle "$model" --lengths 1:2
refuses 2 "is no number" "no list of numbers"
run needle "$model" --depths 0,101
refuses 2 "is no number" "depths are per cent"
run needle "$model" --chat
refuses 3 'no chat template' "--chat without a template"
run needle "$model" --frame boook
refuses 2 "did you mean book" "an unknown frame"
run needle "$model" --haystack "$tmp/none.txt"
refuses 3 'none.txt' "no such haystack"
printf 'One two three. Four five six.\n' > "$tmp/short.txt"
run needle "$model" --haystack "$tmp/short.txt" --lengths 128
refuses 3 'the haystack has' "a haystack that is too short"
run needle "$model" --count 20 --wording place
refuses 2 'there are 1 to 12' "more needles than there are"

# --- the user's own haystack and needles ---
i=0
while [ $i -lt 60 ]; do echo "The rain fell on the town for day $i, and nobody went out. The river rose."; i=$((i + 1)); done > "$tmp/rain.txt"
echo '{"text": "The hidden word of Silas is walnut ladder.", "question": "What is the hidden word of Silas?", "lead": "The hidden word of Silas is", "answer": " walnut ladder."}' > "$tmp/n.jsonl"
run needle "$model" --haystack "$tmp/rain.txt" --needles "$tmp/n.jsonl" --lengths 200 --depths 0:100:3 --place inline --emit -
check "trials of both" test "$(grep -c '"answer": " walnut ladder."' "$tmp/out")" -eq 3

# --- the figure ---
for type in png svg pdf; do
    run plot needle_grid --store "$tmp/a.db" --run 1 -o "$tmp/grid.$type"
    exits 0 "the grid as $type"
done
check "with its palette" grep -qi 'needle in a haystack' "$tmp/grid.svg"
run plot needle_grid --store "$tmp/a.db" --run 1 --safe --head L1H3 -o "$tmp/safe.svg"
exits 0 "of a head, in other colours"
check "which differ" test "$(cmp -s "$tmp/grid.svg" "$tmp/safe.svg"; echo $?)" -eq 1
run view needle_grid --store "$tmp/a.db" --run 1
out_has '128  256' "in the terminal, with lengths"
run plot needle_grid --store "$tmp/a.db" --run 1 --metric recal -o "$tmp/x.png"
refuses 2 'did you mean recall' "an unknown quantity"
run run "$model" --ids 0,5,6 --store "$tmp/b.db" --quiet
run plot needle_grid --store "$tmp/b.db" -o "$tmp/x.png"
refuses 1 'holds no trials' "a run without trials"

# --- tasks of made-up tokens ---
run induction "$model" --lengths 90 --repeats 3 --bos --distinct --json
exits 0 "induction"
check "a row a head" test "$(grep -c 'attnscope.induction/1' "$tmp/out")" -eq 32
check "L1H3, L2H5 and L1H2 alone" test "$(awk -F'"induction":' '$2 + 0 > 0.05' "$tmp/out" | sed 's/.*"head":"\([^"]*\)".*/\1/' | sort | tr '\n' ' ')" = "L1H2 L1H3 L2H5 "
run induction "$model" --lengths 90 --repeats 3 --bos --distinct --accuracy --json
between 0.98 "$(field '"accuracy":')" 1 "the second copy is foretold"
run mqar "$model" --pairs 4,16 --repeats 3 --bos --store "$tmp/a.db"
exits 0 "mqar"
out_has 'pairs' "accuracy by pairs"
run mqar "$model" --pairs 4,16 --repeats 3 --bos --store "$tmp/a.db" --resume 2 --json
check "is resumed" grep -q '6 of 6 units were there' "$tmp/err"
check "value heads" grep -q '"head":"L1H2".*"value":0.9' "$tmp/out"
run copy "$model" --lengths 30 --repeats 2 --of text --separator '\n' --bos --json
exits 0 "copy"
check "source heads" test "$(awk -F'"source":' '$2 + 0 > 0.4' "$tmp/out" | grep -c '')" -eq 3
run copy "$model" --lengths 10 --repeats 2 --emit -
check "sequences are written" test "$(grep -c '"routes": {"source"' "$tmp/out")" -eq 2
run induction "$model" --lengths 400
refuses 2 'the context of lantern-3m has 512' "too long for the context"
run mqar "$model" --pairs 4 --id-min 10 --id-max 12
refuses 2 'there are only 3 tokens' "too few tokens"
run copy "$model" --text "$tmp/rain.txt"
refuses 2 '--text is for --of text' "options that do not go together"

# --- other kinds of models ---
for kind in bert vit; do
    if [ -d "$shared/golden/$kind" ]; then
        run needle "$shared/golden/$kind" --trials "$tmp/trials.jsonl"
        refuses 2 "$([ $kind = vit ] && echo 'reads images' || echo 'is no language model')" "needle refuses $kind"
        run induction "$shared/golden/$kind" --lengths 4
        check "induction refuses $kind" test "$status" -eq 2
    else
        skip "needle refuses $kind" "no $shared/golden/$kind"
    fi
done
if [ -d "$shared/golden/t5" ]; then
    echo '{"ids": [5, 6, 7, 8, 9, 10, 11], "needle": [1, 5], "answer_ids": [7, 8]}' > "$tmp/t5.jsonl"
    run needle "$shared/golden/t5" --trials "$tmp/t5.jsonl" --steps 5 --recall 0 --store "$tmp/t5.db" --per-trial --json
    exits 0 "an encoder-decoder: the prompt goes through its encoder"
    run sql --store "$tmp/t5.db" "SELECT DISTINCT kind FROM value_list WHERE metric = 'retrieval'" --csv
    out_has cross "heads of its cross attention are scored"
else
    skip "an encoder-decoder" "no $shared/golden/t5"
fi

# one stream of draws for a run: its intervals are the same wherever they are shown
run needle "$model" --lengths 128 --depths 0,50,100 --count 4 --seed 7 --recall 0 --csv --store "$tmp/stream.db"
awk -F, 'NR > 1 && $3 > 0 { print $1, $5, $6 }' "$tmp/out" | sort > "$tmp/of-needle"
run top retrieval --store "$tmp/stream.db" --n 0 --csv
awk -F, 'NR > 1 && $(NF - 2) > 0 && $(NF - 3) > 0 { print $2, $(NF - 1), $NF }' "$tmp/out" | sort > "$tmp/of-top"
check "some heads retrieve" test -s "$tmp/of-top"
same "$tmp/of-needle" "$tmp/of-top" "top draws intervals as needle does, with the seed of the run"
plan
