#!/bin/sh
# examples/python: the arrays are the rows of the store, the examples run as written, errors are the program's.
. "${srcdir:-.}/tests/cli_lib.sh"

python=
for each in ${PYTHON:-} python3; do
    if "$each" -c 'import numpy' > /dev/null 2>&1; then
        python=$each
        break
    fi
done
if [ -z "$python" ]; then
    skip "the arrays are the rows of the store" "no python3 with numpy (Debian: python3-numpy)"
    plan
    exit 0
fi
case $attnscope in
/*) ;;
*) attnscope=$PWD/$attnscope ;;
esac
ATTNSCOPE=$attnscope PYTHONPATH=$srcdir/examples/python PYTHONDONTWRITEBYTECODE=1
export ATTNSCOPE PYTHONPATH PYTHONDONTWRITEBYTECODE

"$python" "$srcdir/examples/python/first_look.py" > "$tmp/out" 2> "$tmp/err"
status=$?
exits 0 "the examples give what stands below them"
[ $status -eq 0 ] || told "$tmp/out"

# Every value of every axis, from a store that the program filled, against the rows that it prints.
head -n 2 "$srcdir/examples/prompts/census.jsonl" > "$tmp/texts.jsonl"
run run "$model" --prompts "$tmp/texts.jsonl" --truncate 12 --metrics sink,entropy,residual_norm,nll --sink-keys 0,2 \
    --maps L0H1,L2H5 --store "$tmp/heads.db"
exits 0 "two texts are measured"
run sql "SELECT prompt, metric, layer, head, position, value FROM value_list ORDER BY metric, prompt, layer, head, position" \
    --csv --store "$tmp/heads.db"
cp "$tmp/out" "$tmp/rows"
cat > "$tmp/rows.py" << 'EOF'
import sys
import numpy as np
from attnscope import Attnscope
scope = Attnscope(sys.argv[1])
print("prompt,metric,layer,head,position,value")
axes = {"sink": "lhp", "entropy": "lh", "residual_norm": "l", "nll": "p"}
for metric in sorted(axes):
    for prompt in range(2):
        array = scope.values(metric, 1, prompt)
        assert array.ndim == len(axes[metric]), metric
        for index in np.ndindex(*array.shape):
            if not np.isnan(array[index]):
                at = dict(zip(axes[metric], index))
                print(prompt, metric, *(at.get(axis, "") for axis in "lhp"), repr(float(array[index])), sep=",")
EOF
"$python" "$tmp/rows.py" "$tmp/heads.db" > "$tmp/out" 2> "$tmp/err"
status=$?
exits 0 "four kinds of metrics as arrays"
check "there are as many values as rows" test "$(grep -c '' "$tmp/out")" -eq "$(grep -c '' "$tmp/rows")"
awk -F, 'NR == FNR { line[FNR] = $0; next }
    { split(line[FNR], a, ","); for (i = 1; i <= 6; i++) if (i == 6 ? a[6] + 0 != $6 + 0 : a[i] != $i) bad++ }
    END { exit bad > 0 }' "$tmp/rows" "$tmp/out"
check "they are the same, to the last digit" test $? -eq 0

run run "$model" --prompt "A lamp stood on the table." --metrics layer_similarity,attribution_bias --store "$tmp/forms.db"
exits 0 "metrics of several forms are measured"
cat > "$tmp/forms.py" << 'EOF'
import sys
import numpy as np
from attnscope import Attnscope
scope = Attnscope(sys.argv[1])
pairs, mean = scope.values("layer_similarity", 1), scope.values("layer_similarity", 1, axes=["layer"])
assert pairs.shape == (4, 4) and mean.shape == (4,), (pairs.shape, mean.shape)
assert np.allclose(np.nanmean(pairs, axis=1), mean)
bias = scope.values("attribution_bias", 1)
assert bias.shape == (4,), bias.shape
try:
    scope.values("layer_similarity", 1, axes=("head",))
except KeyError:
    print("no such axes")
assert scope.run(sys.argv[2], prompt="A lamp.", metrics="nll") == 2
assert scope.run(sys.argv[2], prompt="A lamp stood on the table.", metrics="layer_similarity,attribution_bias", resume=1) == 1
EOF
"$python" "$tmp/forms.py" "$tmp/forms.db" "$model" > "$tmp/out" 2> "$tmp/err"
status=$?
exits 0 "each form is an array of its own, and a resumed run keeps its number"
check "axes that a metric lacks are an error" grep -qx "no such axes" "$tmp/out"

cat > "$tmp/maps.py" << 'EOF'
import sys
import numpy as np
from attnscope import Attnscope
scope = Attnscope(sys.argv[1])
for prompt in range(2):
    maps = scope.maps(1, prompt)
    assert sorted(maps) == ["L0H1", "L2H5"], sorted(maps)
    for name, weights in maps.items():
        assert weights.shape == (12, 12), weights.shape
        assert np.allclose(np.nansum(weights, axis=1), 1, atol=1e-5)
        # alpha of key 2, from the map and as measured
        layer, head = int(name[1]), int(name[3])
        assert abs(np.nansum(weights[:, 2]) / 10 - scope.values("sink", 1, prompt)[layer, head, 2]) < 1e-6
EOF
"$python" "$tmp/maps.py" "$tmp/heads.db" > "$tmp/out" 2> "$tmp/err"
status=$?
exits 0 "maps are arrays, and agree with what was measured from them"

cat > "$tmp/wrong.py" << 'EOF'
import sys
from attnscope import Attnscope, Error
scope = Attnscope()
try:
    scope.run(sys.argv[1], prompt="A lamp.", metrics="sink", sink_keys="x")
except Error as error:
    print(error.status, error, sep="\n")
try:
    scope.values("sink", 1)
except (Error, KeyError) as error:
    print(type(error).__name__)
try:
    scope.run(sys.argv[1], prompt=["A lamp.", "A lamb."])
except TypeError as error:
    print("one text")
plain = scope.text("tokenize", sys.argv[1], text="A lamp", json=True, no_special=True)
whole = scope.text("tokenize", sys.argv[1], text="A lamp", json=True, no_special=False, pattern=None)
print("bos" if "bos" in whole and "bos" not in plain else "no difference")
try:
    Attnscope(program="/nowhere/attnscope").text("list")
except (Error, OSError) as error:
    print(type(error).__name__)
EOF
"$python" "$tmp/wrong.py" "$model" > "$tmp/out" 2> "$tmp/err"
status=$?
exits 0 "what goes wrong is an exception"
"$attnscope" run "$model" --prompt "A lamp." --metrics sink --sink-keys x --quiet 2> "$tmp/said" > "$tmp/nothing"
code=$?
check "with the exit status of the program" test "$(head -n 1 "$tmp/out")" -eq $code
check "and its words" grep -qF -- "$(head -n 1 "$tmp/said")" "$tmp/out"
check "texts in a list are not taken for one text" grep -qx "one text" "$tmp/out"
check "options that are off are left out" grep -qx bos "$tmp/out"
check "a program that is not there is an exception of Python" grep -qx FileNotFoundError "$tmp/out"
check "and its hint" grep -qF -- "$(sed -n 2p "$tmp/said")" "$tmp/out"
plan
