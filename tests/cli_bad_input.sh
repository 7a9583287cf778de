#!/bin/sh
# Wrong words and bad files: one clear line, a hint, the documented exit status, nothing half-written.
. "${srcdir:-.}/tests/cli_lib.sh"

# --- words (2) ---
run run "$model" --prompt x --metrics entropi
refuses 2 "no metric is called 'entropi'" "an unknown metric"
check "with a near miss" grep -q 'did you mean entropy' "$tmp/err"
run run "$model" --ids 0,1 --maps L40H0
refuses 2 "layer 40 out of range (model has 4 layers)" "a layer out of range"
run run "$model" --ids 0,1 --maps L1H8
refuses 2 "head 8 out of range (layer 1 has 8 heads)" "a head out of range"
run run "$model" --ids 0,1 --maps nonsense
refuses 2 "'nonsense' names no head" "what is no head"
run run "$model" --ids 0,1 --maps "tpo 3 by sink"
refuses 2 "'tpo' names no head" "a short word of a selection"
check "with what was meant" grep -q 'did you mean "top"' "$tmp/err"
run compare
refuses 2 "needs two models" "compare without arguments"
run version
refuses 2 'unknown command "version"' "version as a verb"
check "with the option" grep -q 'attnscope --version' "$tmp/err"
run run "$model"
refuses 2 "no prompt given" "no prompt"
run run "$model" --prompt x --ids 1
refuses 2 "exclude each other" "two prompts"
run run "$model" --ids 1,x
refuses 2 "'x' is no token id" "an id that is no number"
run run "$model" --ids 1,4096
refuses 2 "outside the vocabulary" "an id outside the vocabulary"
run run "$model" --ids ""
refuses 2 "empty" "no ids at all"
run run "$model" --ids "$(repeated_ids 300)"
refuses 2 "601 tokens, more than the context of lantern-3m (512)" "a prompt longer than the context"
check "offers to truncate" grep -q -e '--truncate 512' "$tmp/err"
run run "$model" --ids "$(repeated_ids 300)" --truncate 512 --metrics max
exits 0 "truncated it runs"
check "and says what was left out" grep -q 'last 89 tokens' "$tmp/err"
run run "$model" --ids 0,1 --sink-keys 5 --metrics sink
refuses 2 "outside the prompt" "a sink key outside the prompt"
run run "$model" --ids 0,1 --sink-keys 1 --metrics max
refuses 2 "belongs to metric sink" "a parameter of a metric that is not measured"
run run "$model" --ids 0,1 --precision f64
refuses 2 "unknown value 'f64'" "an unknown precision"
run run "$model" --ids 0,1 --thread 2
refuses 2 "unknown option --thread" "an unknown option"
run top sink --run 0
refuses 2 "no run number" "a run that is no number"
run plot head_mop
refuses 2 "no figure is called 'head_mop'" "an unknown figure"

# --- files (3) ---
run run "$tmp/none" --ids 1
refuses 3 "$tmp/none" "a model that is not there"
mkdir "$tmp/empty"
run info "$tmp/empty"
refuses 3 "config.json" "a directory without config.json"
run run "$model" --prompt-file "$tmp/none.txt"
refuses 3 "none.txt" "a prompt file that is not there"
run run "$model" --ids "$tmp/none.npy"
refuses 3 "none.npy" "an ids file that is not there"
printf 'this is no array' > "$tmp/bad.npy"
run run "$model" --ids "$tmp/bad.npy"
refuses 3 "bad.npy" "an ids file that is no array"

mkdir "$tmp/cut"
cp "$model/config.json" "$model/tokenizer.json" "$tmp/cut"
head -c 100000 "$model/model.safetensors" > "$tmp/cut/model.safetensors"
run info "$tmp/cut"
refuses 3 "model.safetensors" "truncated safetensors"
printf '\377\377\377\377\377\377\377\177{}' > "$tmp/cut/model.safetensors"
run info "$tmp/cut"
refuses 3 "model.safetensors" "a header length beyond the file"
: > "$tmp/cut/model.safetensors"
run info "$tmp/cut"
refuses 3 "model.safetensors" "an empty weight file"

mkdir "$tmp/family"
cp "$model/model.safetensors" "$tmp/family"
sed 's/"llama"/"swan"/' "$model/config.json" > "$tmp/family/config.json"
run info "$tmp/family"
refuses 3 "swan" "a family that is not supported, by its name"
sed 's/"rope_theta": 10000.0/"rope_scaling": {"rope_type": "swirl", "factor": 2.0}/' "$model/config.json" > "$tmp/family/config.json"
run info "$tmp/family"
refuses 3 "swirl" "a kind of RoPE scaling that is not supported, by its name"
sed 's/"vocab_size"/"vocab_size" : 1, "vocab_size"/' "$model/config.json" > "$tmp/family/config.json"
run info "$tmp/family"
refuses 3 "config.json" "a key given twice"

printf 'GGUF\003\000\000\000' > "$tmp/cut.gguf"
run info "$tmp/cut.gguf"
refuses 3 "cut.gguf" "a GGUF file that ends in its header"
mkfifo "$tmp/fifo"
run info "$tmp/fifo"
refuses 3 "fifo" "a pipe instead of a file"

for file in invalid-trailing-nul.safetensors invalid-truncated.gguf; do
    if [ -r "$shared/fixtures/$file" ]; then
        run tensors "$shared/fixtures/$file"
        refuses 3 "$file" "$file"
    else
        skip "$file" "$shared/fixtures is not there"
    fi
done
if [ -r "$shared/fixtures/valid-no-tensors.gguf" ]; then
    run tensors "$shared/fixtures/valid-no-tensors.gguf"
    exits 0 "a file without tensors opens"
    check "and says so" grep -q 'no tensors' "$tmp/err"
    run info "$shared/fixtures/valid-no-tensors.gguf"
    refuses 3 "valid-no-tensors.gguf" "but is no model"
else
    skip "valid-no-tensors.gguf" "$shared/fixtures is not there"
fi

# a model without a tokenizer still runs on ids
mkdir "$tmp/bare"
cp "$model/config.json" "$model/model.safetensors" "$tmp/bare"
run run "$tmp/bare" --prompt x
refuses 3 "tokenizer" "text without a tokenizer"
check "offers ids" grep -q -e '--ids' "$tmp/err"
run run "$tmp/bare" --ids 0,17 --metrics max
exits 0 "ids without a tokenizer"

# --- hints ---
run -f "$tmp/nope.attn"
refuses 3 "nope.attn: no such file" "a script that is not there"
check "has a hint" test "$(grep -c '' "$tmp/err")" -eq 2
run -c 'top sink --heads @induction'
refuses 3 "'@induction'" "a list of heads that is taken for a file: how to write it"
run load nosuchmodel
refuses 3 "no model of that name is in the search path" "a model by a name that there is not"
run load nosuch/model
refuses 3 "the path is taken from the current directory" "a path that there is not"
for option in -c -f; do
    run $option
    refuses 2 "option $option needs a value" "$option without a value"
    check "has a hint" test "$(grep -c '' "$tmp/err")" -eq 2
done
run -c 'set store "x'
refuses 2 'no closing "' "an open quote"
check "has a hint" grep -q 'close the quote' "$tmp/err"
run sql "SELECT FROM" --store :memory:
check "a syntax error of SQL has a hint" grep -q 'help sql' "$tmp/err"
if [ -r "$shared/fixtures/valid-no-tensors.gguf" ]; then
    run info "$shared/fixtures/valid-no-tensors.gguf"
    check "a GGUF file without a model has one" test "$(grep -c '' "$tmp/err")" -eq 2
fi

# --- outputs ---
run dump "$model" --ids 0,1 -o "$tmp/no/such/folder.npz"
refuses 1 "folder" "an output in a folder that is not there"
run dump "$model" --ids 0,1
refuses 2 "no output file" "dump without a file"
run run "$model" --ids 0,1 --store "$tmp/no/such/store.db"
refuses 1 "store.db" "a store that cannot be made"
cp "$model/config.json" "$tmp/not-a-store.db"
run run "$model" --ids 0,1 --store "$tmp/not-a-store.db"
refuses 3 "not-a-store.db" "a store that is another file"
same "$model/config.json" "$tmp/not-a-store.db" "which stays as it was"
if [ -w /dev/full ]; then
    for verb in "run $model --ids 0,1 --json" "info $model" "generate $model --ids 0,1" "tokenize $model --text x --quiet"; do
        "$attnscope" $verb > /dev/full 2> "$tmp/err"
        status=$?
        : > "$tmp/out"
        set -- $verb
        refuses 5 "no space left on device" "$1 on a full disk"
        check "with a hint" grep -q "free some space" "$tmp/err"
    done
    run dump "$model" --ids 0,1 -o /dev/full
    refuses 5 "no space left on device" "dump on a full disk"
else
    skip "full disk" "no /dev/full"
fi
left=$(find "$tmp" -name '*.tmp*' -o -name '*folder*' | head -n 3)
if [ -z "$left" ]; then ok "nothing half-written is left"; else not_ok "nothing half-written is left"; echo "# $left"; fi
plan
