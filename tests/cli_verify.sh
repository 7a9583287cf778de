#!/bin/sh
# dump and verify: proof that passes where it must and fails where it must.
. "${srcdir:-.}/tests/cli_lib.sh"

run dump "$model" --ids 0,806,308,260,1092 -o "$tmp/ref.npz"
exits 0 "dump"
run verify "$model" --reference "$tmp/ref.npz"
exits 0 "a model agrees with its own dump"
check "arrays: 5 hidden, 4 attention, logits" test "$(grep -c ' ok$' "$tmp/out")" -eq 10
run verify "$model" --reference "$tmp/ref.npz" --json
check "one JSON object an array" test "$(grep -c '^{"schema":"attnscope.verify/1"' "$tmp/out")" -eq 10
run dump "$model" --inputs "$tmp/ref.npz" -o "$tmp/again.npz"
same "$tmp/ref.npz" "$tmp/again.npz" "--inputs takes the ids of a reference file; the same run gives the same bytes"
run dump "$model" --ids 0,806,308,260,1092 --no-attention -o "$tmp/small.npz"
run verify "$model" "$tmp/small.npz"
check "--no-attention leaves the maps out" test "$(grep -c ' ok$' "$tmp/out")" -eq 6
ATTNSCOPE_ISA=c "$attnscope" verify "$model" "$tmp/ref.npz" > "$tmp/out" 2> "$tmp/err"
status=$?
exits 0 "plain C agrees with the kernels of this machine"

# another model: some bytes of the last layer changed
mkdir "$tmp/other"
cp "$model/config.json" "$model/tokenizer.json" "$model/model.safetensors" "$tmp/other"
chmod u+w "$tmp/other/model.safetensors"
size=$(wc -c < "$tmp/other/model.safetensors")
awk 'BEGIN { for (i = 0; i < 2000; i++) printf "\100\077" }' |
    dd of="$tmp/other/model.safetensors" bs=1 seek=$((size / 2 / 2 * 2)) conv=notrunc 2> /dev/null
run verify "$tmp/other" --reference "$tmp/ref.npz"
exits 4 "another model differs: exit status 4"
check "the table says which array" grep -q 'DIFFERS$' "$tmp/out"
check "one error line" test "$(grep -c '^attnscope: verify: ' "$tmp/err")" -eq 1

# a damaged file is no difference but bad input
head -c 3000 "$tmp/ref.npz" > "$tmp/cut.npz"
run verify "$model" --reference "$tmp/cut.npz"
refuses 3 "cut.npz" "a truncated reference"
run verify "$model" --reference "$tmp/none.npz"
refuses 3 "none.npz" "a reference that is not there"
run verify "$model"
refuses 2 "no reference file given" "no reference at all"

# the references beside the bundled model and in shared data
n=0
for file in "$model"-reference/ref-*.npz "$shared"/models/lantern-3m-reference/ref-*.npz; do
    [ -r "$file" ] || continue
    case $file in "$shared"/*) [ ! -r "$model-reference/$(basename "$file")" ] || continue ;; esac
    n=$((n + 1))
    run verify "$model" --reference "$file"
    exits 0 "lantern-3m against $(basename "$file")"
done
[ "$n" -gt 0 ] || skip "lantern-3m against Hugging Face" "no reference file at hand"
for name in gpt2 gpt2-layer-scaled llama llama-headdim-tied llama-rope-linear llama-rope-llama3 llama-rope-yarn; do
    dir=$shared/golden/$name
    if [ ! -d "$dir" ]; then
        skip "$name" "$dir is not there"
        continue
    fi
    for m in "$dir" "$dir/model-f32.gguf"; do
        [ -e "$m" ] || continue
        run verify "$m" "$dir"/ref-*.npz
        exits 0 "$name: $(basename "$m") at every length"
    done
done
smollm=${ATTNSCOPE_SMOLLM2:-$srcdir/examples/models/SmolLM2-135M-Instruct.Q4_1.gguf}
if [ -r "$smollm" ] && [ -d "$shared/golden/smollm2-135m-q4_1" ]; then
    for file in "$shared"/golden/smollm2-135m-q4_1/ref-*.npz; do
        run verify "$smollm" "$file"
        exits 0 "SmolLM2 against $(basename "$file")"
    done
else
    skip "SmolLM2 against its references" "$smollm or $shared/golden is not there"
fi
if command -v python3 > /dev/null && python3 -c 'import numpy' 2> /dev/null; then
    python3 - "$tmp/ref.npz" "$tmp/altered.npz" <<'PY'
import numpy, sys
z = dict(numpy.load(sys.argv[1]))
assert z["ids"].dtype == numpy.int64 and z["logits"].dtype == numpy.float32
assert abs(z["attn_0"].sum(-1) - 1).max() < 1e-5
z["attn_2"] = z["attn_2"].astype(numpy.float64)
z["attn_2"][3, 4, 1] += 5e-5
numpy.savez_compressed(sys.argv[2], **z)
PY
    run verify "$model" --reference "$tmp/altered.npz"
    exits 4 "numpy reads the dump; one altered weight is found"
    check "in attn of layer 2 alone" test "$(grep 'DIFFERS' "$tmp/out" | awk '{print $2 $3}')" = attn2
else
    skip "numpy reads the dump; one altered weight is found" "no numpy"
fi
plan
