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
echo '{"model": {"type": "Unigram", "vocab": []}}' > "$tmp/odd/tokenizer.json"
run tokenize "$tmp/odd" --text x
exits 3 "a tokenizer that is not supported"
check "the hint says which commands take ids" grep -qF 'run, dump and generate take raw token ids (--ids) without the tokenizer' "$tmp/err"
run tokenize "$model/tokenizer.json" --text "It was" --json
out_has '"ids":[0,806,308]' "a tokenizer file alone"
printf 'It was' > "$tmp/text"
run tokenize "$model" --file "$tmp/text" --json
out_has '"ids":[0,806,308]' "--file"
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

# cases MODEL CASES.jsonl FLAG KEY: ids and decoding of every case
cases()
{
    "$attnscope" tokenize "$1" --file-jsonl "$2" $3 --json > "$tmp/out" 2> "$tmp/err"
    python3 - "$2" "$tmp/out" "$4" <<'PY'
import json, sys
# split at newlines alone: other line ends may be part of a text
want = [json.loads(l) for l in open(sys.argv[1], encoding="utf-8", newline="\n").read().split("\n") if l.strip()]
got = [json.loads(l) for l in open(sys.argv[2], encoding="utf-8", newline="\n").read().split("\n") if l.strip()]
bad = [i for i, (w, g) in enumerate(zip(want, got)) if w[sys.argv[3]] != g["ids"]
       or sys.argv[3] == "ids" and "decoded" in w and w["decoded"] != g["decoded"]]
print("# %d of %d cases differ%s" % (len(bad), len(want), ", first: line %d" % (bad[0] + 1) if bad else ""))
sys.exit(bool(bad) or len(want) != len(got) or not want)
PY
}
golden=$shared/golden
smollm=${ATTNSCOPE_SMOLLM2:-$srcdir/examples/models/SmolLM2-135M-Instruct.Q4_1.gguf}
try()
{
    if [ ! -r "$2" ]; then
        skip "$1" "$2 is not there"
    elif [ ! -e "$3" ]; then
        skip "$1" "$3 is not there"
    elif ! command -v python3 > /dev/null; then
        skip "$1" "no python3"
    else
        check "$1" cases "$3" "$2" --no-special ids
        check "$1, with special tokens" cases "$3" "$2" --special ids_special
    fi
}
for kind in gpt2 smollm; do
    try "$kind" "$golden/tokenizers/$kind/cases.jsonl" "$golden/tokenizers/$kind"
done
try smollm2 "$golden/smollm2-135m-q4_1/tokenizer-cases.jsonl" "$smollm"
plan
