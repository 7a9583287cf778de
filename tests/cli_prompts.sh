#!/bin/sh
# --prompts: the same for every command that takes texts.
. "${srcdir:-.}/tests/cli_lib.sh"
[ -x "$attnscope" ] || { echo "Bail out! no program $attnscope"; exit 1; }
case $attnscope in /*) ;; *) attnscope=$PWD/$attnscope ;; esac
smol=$(cd "$srcdir" && pwd)/examples/models/SmolLM2-135M-Instruct.Q4_1.gguf
model=$(cd "$model" && pwd)
cd "$tmp" || exit 1
rows() { "$attnscope" sql "$1" --csv --limit 0 --store "$2" | tail -n +2; }

printf 'It was a dark night.\n\nThe old man lit the lantern.\nHe went to the window.\n' > texts.txt
run run "$model" --prompts texts.txt --metrics entropy --store t.db
exits 0 "a text of lines"
out_has "3 prompts" "a prompt a line"
check "labelled by line" [ "$(rows "SELECT group_concat(label, ' ') FROM prompt_list" t.db)" = "texts.txt:1 texts.txt:3 texts.txt:4" ]
run run "$model" --prompts texts.txt --prompt-unit document --metrics entropy --store d.db
check "a prompt a document" [ "$(rows "SELECT count(*) FROM unit" d.db)" = 2 ]
run run "$model" --prompts texts.txt --prompt-unit file --metrics entropy --store f.db
check "the file as a prompt" [ "$(rows "SELECT count(*) FROM unit" f.db)" = 1 ]
run run "$model" --prompt-file texts.txt --metrics entropy --store p.db
rows "SELECT layer, head, value FROM head_value ORDER BY 1, 2" f.db > a
rows "SELECT layer, head, value FROM head_value ORDER BY 1, 2" p.db > b
same a b "is what --prompt-file takes"
"$attnscope" run "$model" --prompts - --metrics entropy --store s.db < texts.txt > "$tmp/out" 2> "$tmp/err"
status=$?
exits 0 "standard input"
rows "SELECT prompt, layer, head, value FROM head_value ORDER BY 1, 2, 3" s.db > a
rows "SELECT prompt, layer, head, value FROM head_value ORDER BY 1, 2, 3" t.db > b
same a b "gives the same values"
mkdir set
cp texts.txt set/b.txt
printf '{"text": "A lamp.", "author": "nobody", "year": 1900, "set": "train"}\n' > set/a.jsonl
gzip -c texts.txt > set/c.txt.gz 2> /dev/null || rm -f set/c.txt.gz
if [ -s set/c.txt.gz ]; then n=3; else n=2; fi
run run "$model" --prompts set --metrics entropy --store set.db
check "a folder: a prompt a file of text" [ "$(rows "SELECT count(*) FROM unit" set.db)" = $n ]
check "members of a line are facts" [ "$(rows "SELECT group_concat(name || '=' || text, ' ') FROM (SELECT * FROM fact_list ORDER BY name)" set.db)" = "author=nobody prompt.set=train year=1900" ]

# ---- the same for all ----
for verb in "ablate $model --heads L0H1 --random 0" "drop $model --what attention" "scale $model --heads L0H1" \
    "calibrate $model --heads L0H1" "influence $model --heads L0H1" "compare $model $model --metrics entropy" \
    "track $model $model --metrics entropy" "divergence $model" "census $model --length 4 --trials 0 --random 0" \
    "vhd $model --without-tokens 1-2"; do
    name=${verb%% *}
    # shellcheck disable=SC2086
    run $verb --prompts texts.txt --prompt-unit line --quiet --store verbs.db
    exits 0 "$name takes a text of lines"
    check "$name: three prompts" [ "$(rows "SELECT count(DISTINCT prompt_id) FROM unit WHERE run_id = (SELECT max(id) FROM run)" verbs.db)" = 3 ]
    # shellcheck disable=SC2086
    run $verb --prompts set --quiet --store verbs.db
    [ $name = census ] || exits 0 "$name takes a folder"
    # shellcheck disable=SC2086
    run $verb --prompts set/a.jsonl --quiet --store verbs.db
    [ $name = census ] || check "$name keeps what a line says besides" [ "$(rows "SELECT count(DISTINCT text) FROM fact_list WHERE name = 'author' AND run = (SELECT max(id) FROM run)" verbs.db)" = 1 ]
done

# ---- run goes on, too ----
run run "$model" --prompts texts.txt --metrics entropy --store t.db --resume 1 --json
exits 0 "run --resume"
check "prints all values" [ "$(wc -l < "$tmp/out")" = "$(rows "SELECT count(*) FROM value" t.db)" ]
"$attnscope" sql "DELETE FROM unit WHERE prompt_index = 1" --write --store t.db > /dev/null 2>&1
run run "$model" --prompts texts.txt --metrics entropy --store t.db --resume 1
rows "SELECT prompt, layer, head, value FROM head_value WHERE run = 1 ORDER BY 1, 2, 3" t.db > b
same a b "a missing prompt is made again"
echo "One more." >> texts.txt
run run "$model" --prompts texts.txt --metrics entropy --store t.db --resume 1
refuses 2 "not the same settings" "other texts under the same name are another run"

# ---- messages ----
if [ -e "$smol" ]; then
    printf '%s\n' '{"messages": [{"role": "user", "content": "Name a colour."}]}' > chat.jsonl
    run run "$smol" --prompts chat.jsonl --metrics nll --json --store chat.db
    exits 0 "messages"
    run run "$smol" --prompt "Name a colour." --chat --metrics nll --json --store chat.db
    rows "SELECT position, value FROM value_list WHERE run = 1 ORDER BY 1" chat.db > a
    rows "SELECT position, value FROM value_list WHERE run = 2 ORDER BY 1" chat.db > b
    same a b "are put into the model's chat template"
    run run "$smol" --prompts chat.jsonl --system "Be brief." --metrics nll
    refuses 2 "--system and messages exclude each other" "a system message beside them"
else
    skip "messages" "no SmolLM2"
fi
printf '%s\n' '{"messages": [{"role": "user", "content": "Name a colour."}]}' > chat.jsonl
run run "$model" --prompts chat.jsonl
refuses 3 "chat.jsonl:1: the model has no chat template" "messages for a model without a template"

# ---- what is wrong ----
run run "$model" --prompts texts.txt --prompt x
refuses 2 "--prompts, --builtin and the options" "two kinds of prompts"
run run "$model" --prompt x --prompt-unit line
refuses 2 "--prompt-unit without --prompts" "a unit of nothing"
run run "$model" --prompts texts.txt --prompt-unit page
refuses 2 "prompt-unit" "no such unit"
printf 'one\ntw\377o\n' > bad.txt
run census "$model" --prompts bad.txt
refuses 3 "bad.txt:2: byte 0xff is no UTF-8" "bytes that are no text"
printf 'one\ntw\000o\n' > bad.txt
run drop "$model" --what attention --prompts bad.txt
refuses 3 "bad.txt:2: holds a NUL byte" "a NUL byte"
mkdir nothing
run run "$model" --prompts nothing
refuses 3 "holds no *.txt and no *.jsonl" "a folder without prompts"

# --- the prompts that come with the program ---
"$attnscope" run "$model" --builtin --metrics entropy --store builtin.db > "$tmp/out" 2>&1 < /dev/null
status=$?
exits 0 "run --builtin"
check "all of them, no longer than the context" grep -q '61 prompts' "$tmp/out"
check "and says what that leaves out" grep -q '^truncated: the last [0-9]* tokens' "$tmp/out"
check "in one pipe what comes next stands behind the table" sh -c 'tail -n 1 "$1" | grep -q "^next: top entropy"' sh "$tmp/out"
run repeat 1 --store builtin.db
exits 0 "and is repeated"
run run "$model" --builtin --prompt x
refuses 2 "--prompts, --builtin and the options that give one prompt exclude each other" "run --builtin with a prompt"
echo '[{"role": "user", "content": "x"}]' > talk.json
run run "$model" --builtin --chat-file talk.json
refuses 2 "exclude" "run --builtin with a conversation"
run lens "$model" --builtin --last 1 --csv
exits 0 "lens --builtin"
check "of each prompt" test "$(cut -d, -f1 "$tmp/out" | sort -u | wc -l)" -eq 62
plan
