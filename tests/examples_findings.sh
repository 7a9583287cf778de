#!/bin/sh
# examples/findings: every lesson holds on the bundled model, draws its figures, and says what the table of its page says.
. "${srcdir:-.}/tests/cli_lib.sh"
findings=$srcdir/examples/findings
case $attnscope in
/*) program=$attnscope ;;
*) program=$PWD/$attnscope ;;
esac

# lesson NAME OPTIONS...: leaves $status, $tmp/out and $tmp/err.
lesson()
{
    name=$1
    shift
    ATTNSCOPE=$program "$findings/$name" --out "$tmp/figures" "$@" > "$tmp/out" 2> "$tmp/err" < /dev/null
    status=$?
}

# relay: what the lesson asserted, as assertions of this test, and its numbers against the table.
relay()
{
    while read -r line; do
        case $line in
        ok\ *) ok "$name: ${line#ok * - }" ;;
        not\ ok\ *) not_ok "$name: ${line#not ok * - }" ;;
        esac
    done < "$tmp/out"
    sed -n 's/^# seen: //p' "$tmp/out" > "$tmp/seen"
    while read -r line; do
        check "$name: the table says what is seen" grep -qF -- "$line" "$findings/README.md"
    done < "$tmp/seen"
}

lessons=$(sed -n 's/^| `\([a-z-]*\)` .*/\1/p' "$findings/README.md" | sort -u)
for file in "$findings"/*-*; do
    check "${file##*/} stands in the table" sh -c "echo '$lessons' | grep -qx '${file##*/}'"
    check "${file##*/} is one of all" grep -q "${file##*/}" "$findings/all"
done
for each in $lessons; do
    lesson "$each"
    exits 0 "$each holds on the bundled model"
    check "$each asserts, and says what it saw" \
        test "$(grep -c '^ok ' "$tmp/out")" -ge 2 -a "$(grep -c '^# seen: ' "$tmp/out")" -eq 1
    check "$each shows the commands" grep -q '^# \$ attnscope ' "$tmp/out"
    relay
done
for picture in "$tmp"/figures/*.png; do
    check "${picture##*/} is drawn" test -s "$picture"
done
check "each lesson draws a figure or more" test "$(ls "$tmp/figures" | wc -l)" -ge "$(echo "$lessons" | grep -c .)"
grep -o '](figures/[a-z0-9_]*\.png)' "$findings/README.md" | sed 's/^](//; s/)$//' | sort -u > "$tmp/shown"
while read -r file; do
    check "$file, which the page shows, is there" test -s "$findings/$file"
done < "$tmp/shown"

# A lesson whose claim does not hold says so.
mkdir -p "$tmp/wrong/examples" && ln -s "$(cd "$srcdir" && pwd)/examples/models" "$(cd "$srcdir" && pwd)/examples/prompts" "$tmp/wrong/examples"
cp -R "$findings" "$tmp/wrong/examples/findings"
sed "s/'>' 0.5/'>' 5/" "$findings/value-drain" > "$tmp/wrong/examples/findings/value-drain"
findings=$tmp/wrong/examples/findings lesson value-drain
check "a claim that does not hold is not ok, and exit status 1" \
    test "$status" -eq 1 -a "$(grep -c '^not ok 1 ' "$tmp/out")" -eq 1 -a "$(grep -c '^ok 2 ' "$tmp/out")" -eq 1

# A model whose heads do nothing in particular (its query weights shuffled) fails the lessons that are about what heads do.
# What it passes says so itself: entropy-layers (layer 0 attends broadly in any case), quantisation-drift (about rounding).
if command -v python3 > /dev/null 2>&1; then
    rm "$tmp/wrong/examples/models" && mkdir "$tmp/wrong/examples/models"
    cp -R "$srcdir/examples/models/lantern-3m" "$tmp/wrong/examples/models"
    findings=$tmp/wrong/examples/findings
    cp "$srcdir/examples/findings/value-drain" "$findings"
    python3 - "$tmp/wrong/examples/models/lantern-3m/model.safetensors" << 'END'
import json, random, sys
random.seed(1)
data = bytearray(open(sys.argv[1], "rb").read())
begin = 8 + int.from_bytes(data[:8], "little")
for name, tensor in json.loads(data[8:begin]).items():
    if name.endswith("q_proj.weight"):
        low, high = (begin + at for at in tensor["data_offsets"])
        values = [data[i:i + 2] for i in range(low, high, 2)]
        random.shuffle(values)
        data[low:high] = b"".join(values)
open(sys.argv[1], "wb").write(data)
END
    for each in softmax-sinks sink-length value-drain induction-pairs retrieval-heads head-clusters; do
        lesson "$each"
        check "$each fails on a model with shuffled query weights" \
            test "$status" -eq 1 -a "$(grep -cE '^(not ok|retrieval-heads: |[a-z-]*: no head )' "$tmp/out" "$tmp/err" | grep -vc ':0$')" -ge 1
    done
else
    skip "lessons fail on a model with shuffled query weights" "no python3"
fi
findings=$srcdir/examples/findings
lesson value-drain --nonsense
check "an unknown option is refused with the usage" test "$status" -eq 2 -a "$(grep -c '^usage: ' "$tmp/err")" -eq 1

# Of SmolLM2 one lesson that takes seconds; the others take minutes, `examples/findings/all --smollm2` runs them.
if [ -f "$srcdir/examples/models/SmolLM2-135M-Instruct.Q4_1.gguf" ]; then
    lesson value-drain --smollm2-only
    exits 0 "value-drain holds on SmolLM2"
    relay
else
    skip "value-drain holds on SmolLM2" "examples/get-smollm2 was not run"
fi
plan
