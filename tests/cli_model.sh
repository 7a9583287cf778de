#!/bin/sh
# info, tensors, load, selftest: what the program says about a model and a machine.
. "${srcdir:-.}/tests/cli_lib.sh"

run info "$model"
exits 0 "info"
check "equal layers share a line" grep -q '^  0-3: 8 heads over 4 key/value heads of 32, causal, RoPE half' "$tmp/out"
check "digest of the weights" grep -q "sha256 $(sha256sum < "$model/model.safetensors" | cut -c1-64)" "$tmp/out"
check "digest of the tokenizer" grep -q "sha256 $(sha256sum < "$model/tokenizer.json" | cut -c1-64)" "$tmp/out"
run info "$model" --json
out_has '"layers":4,"heads":8,"kv_heads":4,"width":256,"mlp":512,"vocabulary":2048,"context":512,"tied":true' "sizes of the bundled model"
out_has '"parameters":2885888' "parameters, tied ones counted once"
check "the plan of each layer" test "$(grep -o '"layer":' "$tmp/out" | grep -c '')" -eq 4
run info --machine --json
check "the machine" grep -q '"schema":"attnscope.machine/1","cpu":".*"isa":"' "$tmp/out"
run info
refuses 2 "no model is loaded" "info without a model"

run info "$model" --keys
exits 0 "info --keys"
check "a key, its type and value" grep -q '^hidden_size  *int  *1  256$' "$tmp/out"
run info "$model" --keys --json
out_has '{"schema":"attnscope.key/1","key":"architectures","type":"list","count":1,"value":["LlamaForCausalLM"]}' "values as JSON"

run tensors "$model" --glob '*layers.2.self_attn.?_proj.weight' --json
check "four projections of a layer" test "$(grep -c '' "$tmp/out")" -eq 4
out_has '"name":"model.layers.2.self_attn.k_proj.weight","dtype":"bf16","shape":[128,256],"elements":32768,"bytes":65536' "name, type, shape"
run tensors "$model" --glob 'model.norm.weight' --stats --json
check "statistics" grep -q '"min":.*"rms":.*"nan":0,"inf":0,"zero":0}$' "$tmp/out"
run tensors "$model" --glob 'nothing*'
refuses 1 "no tensor matches" "a pattern that matches nothing"

"$attnscope" -c "load $model; info --json; run --ids 0,17,42 --metrics max; top max --n 1 --json" > "$tmp/out" 2> "$tmp/err"
status=$?
exits 0 "after load the model may be left out"
out_has '"schema":"attnscope.model/1"' "info of the loaded model"
out_has '"schema":"attnscope.top/1","rank":1' "top of the session's own run"

mkdir "$tmp/bare" && cp "$model/model.safetensors" "$tmp/bare/"
run load "$tmp/bare" --config "$model/config.json"
exits 0 "a configuration from elsewhere"
run info --config "$model/config.json"
refuses 2 "--config without a model" "a configuration for no model"
run load "$tmp/bare" --config "$model/config.json" --tokenizer "$model"
exits 0 "and a tokenizer from elsewhere"
run run "$tmp/bare" --config "$model/config.json" --tokenizer "$model/tokenizer.json" --prompt "The lamp" --metrics sink
exits 0 "a prompt for it"
run load "$model" --tokenizer "$tmp/none"
refuses 3 "none: no such file" "a tokenizer that is not there"

printf 'GGUF\003\000\000\000\000\000\000\000\000\000\000\000\001\000\000\000\000\000\000\000' > "$tmp/u64.gguf"
printf '\005\000\000\000\000\000\000\000a.big\012\000\000\000\377\377\377\377\377\377\377\377' >> "$tmp/u64.gguf"
run info "$tmp/u64.gguf" --keys
out_has "18446744073709551615" "an integer beyond int64, whole"
run info "$tmp/u64.gguf" --keys --json
out_has '"value":18446744073709551615}' "and in JSON"

stories=$shared/fixtures/stories260k
if [ -r "$stories/stories260K.bin" ]; then
    run generate "$stories/stories260K.bin" --prompt "" --max-tokens 256
    sed '1s/^ //' "$tmp/out" > "$tmp/story"
    same "$tmp/story" "$stories/golden.txt" "a model of llama2.c finds tok512.bin and tells its story"
    mkdir "$tmp/llama2c" && cp "$stories/stories260K.bin" "$tmp/llama2c/m.bin"
    run info "$tmp/llama2c"
    out_has "no tokenizer.bin or tok512.bin of 512 tokens" "its directory opens, without a tokenizer"
    run generate "$tmp/llama2c" --prompt Once --max-tokens 4
    refuses 3 "no tokenizer.bin or tok512.bin of 512 tokens" "text needs one"
    run generate "$tmp/llama2c" --prompt Once --max-tokens 4 --tokenizer "$stories/tok512.bin"
    out_has "upon a time," "it can be named"
    for name in tokenizer.bin other.bin; do
        cp "$stories/tok512.bin" "$tmp/llama2c/$name"
        run generate "$tmp/llama2c/m.bin" --prompt Once --max-tokens 4
        out_has "upon a time," "$name beside it"
        run tokenize "$tmp/llama2c/m.bin" --text Once
        exits 0 "tokenize finds it too"
        mv "$tmp/llama2c/$name" "$tmp/llama2c/x.other"
    done
    cp "$stories/tok512.bin" "$tmp/llama2c/a.bin" && cp "$stories/tok512.bin" "$tmp/llama2c/b.bin"
    run generate "$tmp/llama2c" --prompt Once --max-tokens 4
    refuses 3 "which tokenizer: " "two of other names"
else
    skip "a model of llama2.c" "no $stories"
fi

run selftest
exits 0 "selftest"
check "checks every instruction set of this machine" grep -q '^matrix product against double  *c ' "$tmp/out"
check "none failed" test "$(grep -c 'FAILED' "$tmp/out")" -eq 0
check "hash, product, softmax, identity" test "$(grep -c ' ok$' "$tmp/out")" -ge 4
plan
