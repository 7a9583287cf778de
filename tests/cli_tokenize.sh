#!/bin/sh
# tokenize: ids, pieces, byte ranges, policy; tables of cases.
. "${srcdir:-.}/tests/cli_lib.sh"

run tokenize "$model" --text "It was a dark night, and the old man" --json
exits 0 "tokenize"
out_has '"ids":[0,806,308,260,1092,793,13,278,264,693,440]' "ids of a known text, <|bos|> first"
out_has '{"id":806,"piece":"It","text":"It","begin":0,"end":2,"special":false}' "piece and byte range"
out_has '{"id":0,"piece":"<|bos|>","text":"","begin":0,"end":0,"special":true}' "an added token covers no bytes"
run tokenize "$model" --text "It was a dark night, and the old man" --no-special --json
out_has '"ids":[806,308,' "--no-special adds nothing"
out_has '"decoded":"It was a dark night, and the old man"' "and decodes to the text"
run tokenize "$model" --text "It was"
check "a line a token" grep -q '^ *1 *806 *It *It *0 *2' "$tmp/out"
check "says what was added" grep -q 'bos' "$tmp/err"
run tokenize "$model" --text "It" --no-special
check "one token is one token" grep -q '^1 token from 2 bytes' "$tmp/err"
mkdir "$tmp/odd"
echo '{"model": {"type": "Odd", "vocab": []}}' > "$tmp/odd/tokenizer.json"
run tokenize "$tmp/odd" --text x
exits 3 "a tokenizer that is not supported"
check "the hint says which commands take ids" grep -qF 'run, dump and generate take raw token ids (--ids) without the tokenizer' "$tmp/err"
run tokenize "$model/tokenizer.json" --text "It was" --json
out_has '"ids":[0,806,308]' "a tokenizer file alone"
printf 'It was' > "$tmp/text"
run tokenize "$model" --file "$tmp/text" --json
out_has '"ids":[0,806,308]' "--file"
run tokenize "$model" --prompt "It was" --json
out_has '"ids":[0,806,308]' "--prompt, as elsewhere"
run tokenize "$model" --prompt-file "$tmp/text" --json
out_has '"ids":[0,806,308]' "--prompt-file"
run tokenize "$model" --prompt "It was" --text "It was"
refuses 2 "exclude each other" "a text under both names"
run tokenize "$model" --text "" --no-special --json
out_has '"ids":[],"decoded":""' "an empty text has no tokens"
run tokenize "$model"
refuses 2 "no text given" "no text"
run tokenize "$tmp/none" --text x
refuses 3 "$tmp/none" "no such tokenizer"

cat > "$tmp/cases.jsonl" <<'J'
{"text": "It was"}
{"text": "\u0000\u001b[31m\ud83d\ude00 tab\tnew\nline", "other": [1, {"text": "x"}]}

{"text": ""}
J
run tokenize "$model" --file-jsonl "$tmp/cases.jsonl" --no-special --json
exits 0 "a table of cases"
check "a line each, blank lines left out" test "$(grep -c '^{"schema":"attnscope.tokens/1","ids":' "$tmp/out")" -eq 3
check "in order" test "$(head -n 1 "$tmp/out")" = '{"schema":"attnscope.tokens/1","ids":[806,308],"decoded":"It was"}'
out_has '"decoded":"\u0000\u001b[31m' "control characters come back escaped"
echo '{"text": 5}' >> "$tmp/cases.jsonl"
run tokenize "$model" --file-jsonl "$tmp/cases.jsonl" --json
check "a bad line is named" grep -q 'cases.jsonl:5: ' "$tmp/err"
exits 3 "and is bad input"

head -n 4 "$tmp/cases.jsonl" | "$attnscope" tokenize "$model" --file-jsonl - --no-special > "$tmp/out" 2> "$tmp/err"
check "standard input is read" test "$(head -n 1 "$tmp/out")" = "806 308"
mkfifo "$tmp/pipe"
printf '{"text": "It was"}\n' > "$tmp/pipe" &
run tokenize "$model" --file-jsonl "$tmp/pipe" --no-special
check "and a pipe" test "$(cat "$tmp/out")" = "806 308"
run tokenize "$model" --file-jsonl "$tmp"
refuses 3 "is a directory" "a directory is no table"

cat > "$tmp/check.jsonl" <<'J'
{"text": "It was", "ids": [806, 308], "ids_special": [0, 806, 308], "decoded": "It was"}
{"text": "", "ids": []}
J
run tokenize "$model" --check "$tmp/check.jsonl"
exits 0 "a table that agrees"
check "says how many" test "$(cat "$tmp/out")" = "2 of 2 cases agree (4 comparisons)"
"$attnscope" tokenize "$model" --check - < "$tmp/check.jsonl" > "$tmp/out" 2> "$tmp/err"
check "a table on standard input" test "$(cat "$tmp/out")" = "2 of 2 cases agree (4 comparisons)"
cat >> "$tmp/check.jsonl" <<'J'
{"text": "It was", "ids": [806, 309], "decoded": "It was"}
{"text": "It was", "ids_special": [0, 806, 308, 1]}
J
run tokenize "$model" --check "$tmp/check.jsonl"
exits 4 "a table that does not agree"
out_has "2 of 4 cases agree" "says how many agree"
out_has "check.jsonl:3: ids differs at position 1: expected 309" "shows the first difference"
out_has "check.jsonl:4: ids_special differs at position 3: expected 1 (<|end|>), got nothing" "a token too many"
out_has 'check.jsonl:3: decoded differs' "and a text that differs"
check "the error is one line" grep -q '2 of 4 cases differ' "$tmp/err"
run tokenize "$model" --check "$tmp/check.jsonl" --json
out_has '"cases":4,"agree":2,"compared":7,"differences":[{"line":3,"key":"ids","position":1,"expected":309,"got":308}' "the same as JSON"
run tokenize "$model" --check "$tmp/cases.jsonl"
refuses 3 'neither "ids" nor "ids_special"' "a table without ids"
run tokenize "$model" --check "$tmp/text" --text x
refuses 2 "exclude each other" "a table or a text"

# a vocabulary file alone: bytes and two merges, in tiktoken's form
i=0
while [ $i -lt 256 ]; do
    printf '%s %d\n' "$(printf "\\$(printf %o $i)" | base64)" $i
    i=$((i + 1))
done > "$tmp/own.tiktoken"
printf 'aGU= 256\nbGw= 257\n' >> "$tmp/own.tiktoken"
run tokenize "$tmp/own.tiktoken" --text "hell" --json
out_has '"ids":[256,257]' "a tiktoken file"
run tokenize "$tmp/own.tiktoken" --text "hell"
check "which pattern was assumed is said" grep -q 'text cut as by llama3, assumed' "$tmp/err"
run tokenize "$tmp/own.tiktoken" --pattern o200k --text "hell"
check "and can be chosen" grep -q 'text cut as by o200k, as asked' "$tmp/err"
run tokenize "$tmp/own.tiktoken" --pattern odd --text "hell"
refuses 2 'unknown pattern "odd"' "but not at will"

ATTNSCOPE_MODELS=$srcdir/examples/models
export ATTNSCOPE_MODELS
run tokenize lantern-3m --text "a b" --json
out_has '"ids":[' "a model of the search path"
run tokenize lantern-3n --text "a b"
refuses 3 'lantern-3n: no such file' "a name that nothing has"
check "or nearly" grep -q 'did you mean "lantern-3m"' "$tmp/err"

golden=$shared/golden
smollm=${ATTNSCOPE_SMOLLM2:-$srcdir/examples/models/SmolLM2-135M-Instruct.Q4_1.gguf}
try()
{
    if [ ! -r "$2" ]; then
        skip "$1" "$2 is not there"
    elif [ ! -e "$3" ]; then
        skip "$1" "$3 is not there"
    else
        run tokenize "$3" --check "$2"
        exits 0 "$1: $(head -n 1 "$tmp/out")"
    fi
}
for kind in bert-cased bert-uncased clip deepseek gemma-like gpt2 llama-spm-json llama3 o200k qwen2 smollm spm-bpe \
    spm-unigram unigram; do
    try "$kind" "$golden/tokenizers/$kind/cases.jsonl" "$golden/tokenizers/$kind"
done
try smollm2 "$golden/smollm2-135m-q4_1/tokenizer-cases.jsonl" "$smollm"
plan
