#!/bin/sh
# convert, tensors --stats, and chat templates at the command line.
. "${srcdir:-.}/tests/cli_lib.sh"

run convert "$model" -o "$tmp/copy"
exits 0 "convert as stored"
same "$model/tokenizer.json" "$tmp/copy/tokenizer.json" "the tokenizer comes along"
run tensors "$model" --json
cp "$tmp/out" "$tmp/before"
run tensors "$tmp/copy" --json
same "$tmp/before" "$tmp/out" "the same tensors"
run run "$model" --ids 0,17,42,99 --metrics entropy --store "$tmp/a.db"
run top entropy --n 3 --store "$tmp/a.db" --csv
cp "$tmp/out" "$tmp/before"
run run "$tmp/copy" --ids 0,17,42,99 --metrics entropy --store "$tmp/b.db"
run top entropy --n 3 --store "$tmp/b.db" --csv
same "$tmp/before" "$tmp/out" "the same measurements"

run convert "$model" -o "$tmp/wide" --dtype f32 --shard-size 4M
exits 0 "convert to float32 in several files"
check "an index" test -f "$tmp/wide/model.safetensors.index.json"
check "the type is said" grep -q '"\(torch_\)\{0,1\}dtype": "float32"' "$tmp/wide/config.json"
run tensors "$tmp/wide" --glob '*norm.weight' --stats --json
cp "$tmp/out" "$tmp/before"
run tensors "$model" --glob '*norm.weight' --stats --json
sed 's/"dtype":"[a-z0-9]*"//; s/"bytes":[0-9]*//; s/"file":[0-9]*//' "$tmp/out" > "$tmp/narrow"
sed 's/"dtype":"[a-z0-9]*"//; s/"bytes":[0-9]*//; s/"file":[0-9]*//' "$tmp/before" > "$tmp/wide.stats"
same "$tmp/narrow" "$tmp/wide.stats" "widening keeps every value"
run tensors "$model" --stats --threads 1 --csv
cp "$tmp/out" "$tmp/before"
run tensors "$model" --stats --threads 3 --csv
same "$tmp/before" "$tmp/out" "statistics do not depend on threads"

run convert "$model" -o "$tmp/copy"
refuses 1 "exists" "what exists is not overwritten"
run convert "$model" -o "$tmp/copy" --dtype f16 --force
exits 0 "unless asked for"
run convert "$model"
refuses 2 "no output directory given" "convert without -o"
run convert "$model" -o "$tmp/x" --shard-size lots
refuses 2 "'lots' is no size" "a size that is none"
run convert "$model" -o "$tmp/none/x"
refuses 1 "cannot be written" "a folder that does not exist"
check "nothing is left behind" test -z "$(ls -A "$tmp" | grep tmp)"

cat > "$tmp/t.jinja" <<'END'
{% for m in messages %}
<|{{ m.role }}|>{{ m.content | trim }}
{% endfor %}
{%- if add_generation_prompt %}<|assistant|>{% endif %}
END
run tokenize "$model" --chat --text "Hello"
refuses 3 "has no chat template" "a model without a template"
run tokenize "$model" --text " Hello " --template "$tmp/t.jinja" --system "Be brief." --json
exits 0 "a template from a file"
out_has '"decoded":"<|system|>Be brief.\n<|user|>Hello\n<|assistant|>"' "system, user and the assistant's turn"
run tokenize "$model" --text " Hello " --template "$tmp/t.jinja" --no-generation-prompt --json
out_has '"decoded":"<|user|>Hello' "without the assistant's turn"
echo '[{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}]' > "$tmp/chat.json"
run tokenize "$model" --chat-file "$tmp/chat.json" --template "$tmp/t.jinja" --json
out_has '"decoded":"<|user|>Q\n<|assistant|>A' "a conversation from a file"
run tokenize "$model" --text "Hello" --json
cp "$tmp/out" "$tmp/before"
run tokenize "$model" --chat --template none --text "Hello" --json
same "$tmp/before" "$tmp/out" "--template none goes on without"
printf 'x\n{%% include "y" %%}' > "$tmp/bad.jinja"
run tokenize "$model" --text "Hello" --template "$tmp/bad.jinja"
refuses 3 "bad.jinja:2: the statement {% include %} is not supported" "what is not supported is named with its line"
run tokenize "$model" --text "Hello" --template nothing-such
refuses 2 "no template 'nothing-such'" "a template that is not there"
run tokenize "$model" --text "Hello" --chat-file "$tmp/chat.json"
refuses 2 "exclude" "text and a conversation"

smollm=${ATTNSCOPE_SMOLLM2:-$srcdir/examples/models/SmolLM2-135M-Instruct.Q4_1.gguf}
if [ -f "$smollm" ]; then
    run tokenize "$smollm" --chat --text "Hi" --json
    out_has '"decoded":"<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"' "SmolLM2's own template"
    run convert "$smollm" -o "$tmp/smollm" --dtype bf16
    exits 0 "a quantised GGUF"
    run tokenize "$smollm" --text "The lamp went out, didn't it?  42" --json
    cp "$tmp/out" "$tmp/before"
    run tokenize "$tmp/smollm" --text "The lamp went out, didn't it?  42" --json
    same "$tmp/before" "$tmp/out" "its tokenizer"
else
    skip "SmolLM2" "$smollm is not there: examples/get-smollm2 fetches it"
fi
plan
