#!/bin/sh
# Provenance: what a run stores, the command that repeats it, and repeat itself.
srcdir=${srcdir:-.}
. "$srcdir/tests/cli_lib.sh"
db=$tmp/runs.db
printf 'It was a dark night,\nand the lamp went out.\n' > "$tmp/story.txt"
printf '{"text":"A lamp.","label":"x","domain":"short"}\n{"ids":[3,4,5,6]}\n{"text":"The old man."}\n' > "$tmp/many.jsonl"

# one row of SQL, as CSV without its header
ask()
{
    "$attnscope" -q sql "$1" --csv --store "$db" | tail -n +2
}

run run "$model" --prompt-file "$tmp/story.txt" --maps L0H1 --threads 1 --store "$db"
run run "$model" --prompts "$tmp/many.jsonl" --store "$db"
run --isa c run "$model" --precision bf16 --store "$db" --prompt "it's a \"lamp\"
of two lines"
run needle "$model" --lengths 120 --depths 0.5 --wording fact --seed 7 --store "$db"
run induction "$model" --lengths 8 --repeats 2 --store "$db"
run census "$model" --prompts "$tmp/many.jsonl" --length 2 --random 1 --random-length 8 --trials 0 --store "$db"
run ablate "$model" --prompt "A lamp in the dark." --heads L0H0,L1H1 --store "$db"
run weights "$model" --store "$db"
n=$(ask "SELECT count(*) FROM run WHERE status = 'done'")
between 8 "$n" 8 "eight runs of seven verbs"

# what is stored
missing="SELECT count(*) FROM run r JOIN model m ON m.id = r.model_id WHERE length(m.sha256) <> 64 OR r.command = '' OR r.isa = '' OR r.precision = '' OR r.threads < 1 OR r.version = '' OR r.started IS NULL OR r.finished IS NULL OR json_valid(r.settings) = 0"
between 0 "$(ask "$missing")" 0 "hashes, command, settings, isa, precision, threads, version and times of every verb"
between 0 "$(ask "SELECT count(*) FROM run r JOIN model m ON m.id = r.model_id WHERE m.tokenizer_sha256 IS NULL OR length(m.tokenizer_sha256) <> 64")" 0 "the tokenizer's hash of every run"
between 0 "$(ask "SELECT count(*) FROM unit u JOIN prompt p ON p.id = u.prompt_id WHERE length(p.sha256) <> 64")" 0 "the hash of every prompt"
between 0 "$(ask "SELECT count(*) FROM run WHERE verb IN ('needle', 'induction', 'census') AND seed IS NULL")" 0 "the seed where there are random numbers"
between 7 "$(ask "SELECT seed FROM run WHERE verb = 'needle'")" 7 "the seed that was given"
digest=$(sha256sum "$model/model.safetensors" 2> /dev/null | cut -c1-64)
if [ -n "$digest" ] && [ "$(ask "SELECT DISTINCT sha256 FROM model")" = "$digest" ]; then
    ok "the hash of the weights is that of the file"
elif [ -z "$digest" ]; then
    skip "the hash of the weights is that of the file" "no sha256sum"
else
    not_ok "the hash of the weights is that of the file"
fi

# show --command: what it prints can be pasted into a shell
run show 3 --command --store "$db"
exits 0 "show --command"
between 2 "$(grep -c '' "$tmp/out")" 2 "nothing but the command, of a prompt of two lines"
attnscope_dir=$(cd "$(dirname "$attnscope")" && pwd)
(PATH=$attnscope_dir:$PATH && eval "$(cat "$tmp/out")" > /dev/null 2> "$tmp/err")
status=$?
exits 0 "the command that it prints runs"
between 9 "$(ask "SELECT max(id) FROM run")" 9 "and makes a run"
between 0 "$(ask "SELECT count(*) FROM (SELECT metric, head_name, value FROM head_value WHERE run = 3 EXCEPT SELECT metric, head_name, value FROM head_value WHERE run = 9)")" 0 "with the same values"

# repeat, every verb
for i in 1 2 3 4 5 6 7 8; do
    run repeat "$i" --store "$db"
    verb=$(ask "SELECT verb FROM run WHERE id = $i")
    exits 0 "repeat run $i ($verb)"
    out_has ": identical" "run $i comes out the same"
done
between 8 "$(ask "SELECT count(*) FROM run a JOIN run b ON a.settings = b.settings AND a.isa = b.isa AND a.precision = b.precision AND a.seed IS b.seed WHERE a.id BETWEEN 1 AND 8 AND b.id = a.id + 9")" 8 "with the same settings, instruction set, precision and seed"
run repeat 1 --store "$db" --json
value='"identical":1'
out_has "$value" "as JSON"
run --isa c repeat 1 --store "$db"
exits 0 "under another instruction set of the session the recorded one is used"

# files that are gone or have changed
mv "$tmp/story.txt" "$tmp/away.txt"
mv "$tmp/many.jsonl" "$tmp/away.jsonl"
run repeat 1 --store "$db" --into "$tmp/other.db"
exits 0 "the text of a prompt file that is gone comes from the store"
out_has ": identical" "and gives the same rows"
run repeat 2 --store "$db" --into "$tmp/other.db"
exits 0 "so do the prompts of a file of many"
run repeat 6 --store "$db"
refuses 3 "many.jsonl" "what the store does not hold is asked for"
printf 'Another text.\n' > "$tmp/story.txt"
run repeat 1 --store "$db"
exits 0 "a prompt file that has changed is not used"
run repeat 1 --store "$db" --force
exits 4 "unless forced to: then rows differ"
out_has "  first    " "the first difference is named"
out_has "  largest  " "and the largest"
before=$(ask "SELECT max(id) FROM run")
run repeat 1 --store "$db" --dry-run
exits 0 "a dry run"
out_has "attnscope --isa" "prints the command"
between "$before" "$(ask "SELECT max(id) FROM run")" "$before" "and makes no run"

# another model
cp -R "$model" "$tmp/model"
run repeat 5 --store "$db" --model "$tmp/model"
exits 0 "the same model elsewhere"
size=$(wc -c < "$tmp/model/model.safetensors")
printf '\001' | dd of="$tmp/model/model.safetensors" bs=1 seek=$((size - 100)) conv=notrunc 2> /dev/null
run repeat 5 --store "$db" --model "$tmp/model"
refuses 3 "not the weights of run 5" "other weights are refused"
run repeat 5 --store "$db" --model "$tmp/model" --force
if [ "$status" -eq 0 ] || [ "$status" -eq 4 ]; then
    ok "unless forced to"
else
    not_ok "unless forced to"
    told "$tmp/err"
fi
run repeat 77 --store "$db"
refuses 2 "no run 77" "a run that is not there"
run repeat --store "$tmp/none.db"
refuses 3 "no store" "a store that is not there"

# digests of weights are remembered, but for the file that was just written
run info "$tmp/model" --json
cp "$tmp/out" "$tmp/first"
run --no-hash-cache info "$tmp/model" --json
same "$tmp/first" "$tmp/out" "with and without the cache of digests"
plan
