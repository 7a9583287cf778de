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

# ---- verbs of several models, files inside of options, cells, other kinds of models ----
db=$tmp/more.db
cp -R "$model" "$tmp/second"
printf '{"text":"A lamp in the dark."}\n{"text":"The old man was there."}\n' > "$tmp/two.jsonl"
printf '3 4 5 6\n' > "$tmp/ids.txt"
cat > "$tmp/two.sweep" <<END
command = run
model = $model
prompts = $tmp/two.jsonl
metrics = sink
precision = [f32, bf16]
END

# repeats ARGS...: a command makes a run, which comes out the same.
repeats()
{
    run "$@" --store "$db"
    exits 0 "$1${2:+ ${2##*/}}: a run"
    run repeat --store "$db"
    exits 0 "$1: is repeated"
    out_has ": identical" "$1: the same"
}
repeats compare "$model" "$tmp/second" --prompts "$tmp/two.jsonl"
repeats track "$model" "$tmp/second" --prompts "$tmp/two.jsonl" --metrics sink,nll
repeats patch "$model" --clean-ids 0,5,6,7 --corrupted-ids 0,5,8,7 --metric kl
repeats divergence "$model" --prompts "$tmp/two.jsonl"
repeats vhd "$model" --prompt 'The key is red. The door is blue. The key is' --without-text 'The key is red.'
repeats drop "$model" --prompts "$tmp/two.jsonl" --most 1
repeats scale "$model" --heads L1H0 --prompts "$tmp/two.jsonl"
repeats run "$model" --ids "$tmp/ids.txt"
repeats run "$model" --prompt "A lamp." --edit "mean prompts=$tmp/two.jsonl L0H1"
run needle "$model" --lengths 100 --depths 0.5 --wording fact --emit "$tmp/trials.jsonl"
repeats needle "$model" --trials "$tmp/trials.jsonl"
repeats sweep "$tmp/two.sweep"
golden=$shared/golden
if [ -d "$golden/t5" ]; then
    repeats run "$golden/t5" --ids 5,6,7,5,6,7 --target-ids 0,9,10 --maps all
else
    skip "an encoder-decoder is repeated" "no $golden"
fi
if [ -d "$golden/vit" ] && [ -d "$golden/whisper" ] && python3 - "$golden" "$tmp" <<'END'
import json, random, struct, sys
def npy(path, shape):
    n = 1
    for k in shape:
        n *= k
    head = ("{'descr': '<f4', 'fortran_order': False, 'shape': %s, }" % (shape,)).encode()
    head += b" " * (-(len(head) + 11) % 64) + b"\n"
    with open(path, "wb") as f:
        f.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head)
        f.write(struct.pack("<%df" % n, *[random.random() for _ in range(n)]))
random.seed(1)
vit, whisper = [json.load(open("%s/%s/config.json" % (sys.argv[1], name))) for name in ("vit", "whisper")]
npy(sys.argv[2] + "/pixels.npy", (3, vit["image_size"], vit["image_size"]))
npy(sys.argv[2] + "/sound.npy", (whisper["num_mel_bins"], 2 * whisper["max_source_positions"]))
END
then
    repeats run "$golden/vit" --pixels "$tmp/pixels.npy"
    repeats run "$golden/whisper" --features "$tmp/sound.npy" --target-ids 1,2,3
    printf '\001' | dd of="$tmp/pixels.npy" bs=1 seek=300 conv=notrunc 2> /dev/null
    run repeat "$(ask "SELECT max(id) - 2 FROM run")" --store "$db"
    refuses 3 "pixels.npy has changed" "other pixels are refused"
else
    skip "images and audio are repeated" "no $golden, or no python3"
fi

# what was read is another now
first_of() { ask "SELECT min(id) FROM run WHERE verb = '$1' $2"; }
dd if="$tmp/model/model.safetensors" of="$tmp/second/model.safetensors" 2> /dev/null
for verb in compare track; do
    run repeat "$(first_of $verb)" --store "$db"
    refuses 3 "$tmp/second: not the weights of run" "$verb: another second model is refused"
done
printf '3 4 5 9\n' > "$tmp/ids.txt"
run repeat "$(first_of run "AND command LIKE '%ids.txt%'")" --store "$db"
refuses 3 "ids.txt has changed" "other ids are refused"
printf '{"text":"Something else."}\n' > "$tmp/two.jsonl"
run repeat "$(first_of run "AND command LIKE '%mean%'")" --store "$db"
refuses 3 "two.jsonl of --edit has changed" "other prompts of an edit are refused"

# ---- a store may come from anywhere: its command is not to be trusted ----
cp -R "$model" "$tmp/third"
cp "$tmp/two.jsonl" "$tmp/secret.txt"
evil=$tmp/evil.db
run run "$model" --prompt "A lamp." --metrics sink --store "$evil"
# evil COMMAND [SETTINGS]: the recorded command of run 1 becomes this one.
evil()
{
    quoted=$(printf '%s' "$1" | sed "s/'/''/g")
    cp "$evil" "$tmp/e.db"
    run sql "UPDATE run SET command = '$quoted'${2:+, settings = '$2'} WHERE id = 1" --write --store "$tmp/e.db"
    (cd "$tmp/third" && ls) > "$tmp/before"
    run repeat 1 --store "$tmp/e.db"
    runs=$("$attnscope" -q sql "SELECT count(*) FROM run" --csv --store "$tmp/e.db" | tail -n 1)
}
for words in "attnscope convert '$model' -o '$tmp/made'" "attnscope export 1 -o '$tmp/made'" "attnscope sql 'DELETE FROM run' --write" \
    "attnscope source '$tmp/secret.txt'" "attnscope repeat 1" "attnscope gc" "attnscope sweep '$tmp/two.sweep'" \
    "attnscope run '$model' --prompt a; export 1 -o '$tmp/made'" "attnscope needle '$model' --lengths 100" "touch '$tmp/made'" \
    "attnscope '!touch' '$tmp/made'" "" "attnscope" "attnscope run '$model' --prompt \"" "attnscope run" "attnscope run a b c" \
    "attnscope run '$model' --no-such-option x"; do
    evil "$words"
    check "not done: ${words#attnscope }" test "$status" -ne 0 -a "$runs" = 1 -a ! -e "$tmp/made" -a "$(grep -c '^attnscope: ' "$tmp/err")" = 1
done
evil "attnscope run '$model' --prompt 'A lamp.' --metrics sink --output '$tmp/made' --store '$tmp/made.db' --json --resume 1"
exits 0 "files that the command names for its output"
check "are not written" test ! -e "$tmp/made" -a ! -e "$tmp/made.db"
evil "attnscope run '$model' --prompt '\$(touch $tmp/made) \`touch $tmp/made\`'"
check "nothing goes through a shell" test ! -e "$tmp/made"
evil "attnscope run '$model' --prompt @'$tmp/secret.txt'"
check "a word is never a file's content" test "$("$attnscope" -q sql "SELECT count(*) FROM prompt WHERE text LIKE '%Something%'" --csv --store "$tmp/e.db" | tail -n 1)" = 0
for words in "--prompt-file '$tmp/secret.txt'" "--prompts '$tmp/secret.txt'" "--ids '$tmp/secret.txt'" "--ids '@$tmp/secret.txt'" \
    "--prompt a --edit 'mean prompts=$tmp/secret.txt L0H1'" "--prompt a --edit 'zero L0H1; mean pro\"mpts=\"$tmp/secret.txt L0H1'"; do
    evil "attnscope run '$model' $words"
    refuses 3 "holds no digest of" "a file without a digest is not read: ${words%% *}"
done
evil "attnscope run '$model' --prompt-file '$tmp/secret.txt'" '{"inputs":{"prompt-file":"0000000000000000000000000000000000000000000000000000000000000000"}}'
refuses 3 "secret.txt has changed" "nor one with another digest"

# Heads that a ranking chose are those of then, whatever `last` and the newest run are by now.
db=$tmp/ranked.db
text="a dog saw a dog"
run run "$model" --prompt "$text" --metrics sink,induction --store "$db"
run run "$model" --prompt "$text" --metrics sink --maps "top 2 by induction of last" --store "$db"
run ablate "$model" --prompt "$text" --heads "top 2 by sink of last" --random 1 --store "$db"
run ablate "$model" --prompt "$text" --rule "top 2 by sink" --run last-1 --random 1 --store "$db"
run run "$model" --prompt "The lamp went out and the night was dark." --metrics sink,induction --store "$db"
printf '{"text":"A lamp."}\n' > "$tmp/mean.jsonl"
run run "$model" --prompt "$text" --metrics sink --edit "zero top 2 by sink of last; scale 2 L0H1; \
mean 'where sink > 0.1 of 1' prompts='$tmp/mean.jsonl'" --store "$db"
run run "$model" --prompt "$text" --metrics sink --maps "L0H1, L2H0" --edit "zero L1H1" --store "$db"
run run "$model" --prompt "A lamp." --metrics sink,induction --store "$db"
for r in 2 3 4 6; do
    run repeat $r --store "$db"
    out_has "identical" "heads chosen by a ranking of an older run: run $r"
    run show $r --command --store "$db"
    check "the command that is recorded names them" sh -c '! grep -E "top|where|last|--run" "$1" && grep -qE "L[0-3]H[0-7]" "$1"' \
        sh "$tmp/out"
done
out_has "; scale 2 L0H1; mean prompts=" "edits stand in it in their order, with their values"
run show 7 --command --store "$db"
out_has "--maps 'L0H1, L2H0' --edit 'zero L1H1'" "names are left as they were typed"
plan
