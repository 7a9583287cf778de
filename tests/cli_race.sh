#!/bin/sh
# bench/race, race_attention and race_eager.py: the tables that they make of what programs tell, with stand-ins for those that
# are not ours; how fast anything was is not looked at.
. "${srcdir:-.}/tests/cli_lib.sh"
maker=${ATTNSCOPE_MAKER:-./bench/make_checkpoint}
mkdir "$tmp/between" "$tmp/bin" "$tmp/models" "$tmp/source" "$tmp/build"
TMPDIR=$tmp/between
export TMPDIR
unset RACE_DIR THREADS OPTIONS HEADS WIDTH CC

# race SCRIPT ARGS...: as run.
race()
{
    script=$srcdir/bench/$1
    shift
    "$script" "$@" > "$tmp/out" 2> "$tmp/err" < /dev/null
    status=$?
}

# says WORDS DESCRIPTION: the last race refused with one line that holds WORDS, and left nothing behind.
says()
{
    if [ "$status" -eq 2 ] && grep -v '^+ \|^note: ' "$tmp/err" | grep -qF -- "$1" && [ ! -s "$tmp/out" ] &&
        [ "$(grep -cv '^+ \|^note: ' "$tmp/err")" -eq 1 ] && [ -z "$(ls "$TMPDIR")" ]; then
        ok "$2"
    else
        not_ok "$2"
        echo "# exit status $status, expected one line with: $1"
        told "$tmp/err" "$tmp/out"
    fi
}

# --- llama-bench: told 2 s for a prompt and 4 s for what is decoded, and less for the 8 tokens before ---
cat > "$tmp/bin/llama-bench" <<'END'
#!/bin/sh
echo "$*" >> "$0.said"
[ ! -e "$0.broken" ] || { echo "error: failed to load model" >&2; exit 1; }
test_of() { printf '{\n"n_prompt": %s,\n"n_gen": %s,\n"n_depth": %s,\n"samples_ns": [ %s ],\n"samples_ts": [ 1.5 ]\n}\n' "$@"; }
while [ $# -gt 0 ]; do
    case $1 in
    -p) prompts=$2 ;;
    -n) new=$2 ;;
    -d) depth=$2 ;;
    esac
    shift
done
if [ "$new" = 0 ]; then
    test_of 8 0 0 1000
    test_of "${prompts#8,}" 0 0 2000000000
else
    test_of 0 "$new" "$depth" 4000000000
fi
END
chmod +x "$tmp/bin/llama-bench"
program=$attnscope
case $program in /*) ;; *) program=$PWD/$program ;; esac
if [ -x "$maker" ]; then
    "$maker" layers=1,width=64,heads=4,kv=2,mlp=64,vocab=32 f32 "$tmp/models/small.gguf" 7
    THREADS=1 race race "$program" "$tmp/bin/llama-bench" "$tmp/models/small.gguf" - 16,24 2 3
    exits 0 "a race over prompts and decoding"
    check "three rows a length" test "$(grep -c '^small.gguf' "$tmp/out")" -eq 6
    check "seconds, tokens a second and ratio fit together" awk '/^small.gguf/ {
        n++; k = NF - 6; tokens = /decoding/ ? 3 : $2; theirs = /decoding/ ? 4 : 2
        if ($(k + 1) != theirs || $(k + 3) - tokens / theirs > .006 || tokens / theirs - $(k + 3) > .006) bad = 1
        if ($(k + 2) * theirs / tokens / $(k + 4) - 1 > .02 || $(k + 2) * theirs / tokens / $(k + 4) - 1 < -.02) bad = 1
    } END { exit bad || n != 6 }' "$tmp/out"
    check "in turn: two rounds of each length" test "$(grep -c -- '-p 8,16 -n 0' "$tmp/bin/llama-bench.said")" -eq 2
    check "each command is said once" test "$(grep -c '^+ ' "$tmp/err")" -eq 6
    check "nothing is left behind" test -z "$(ls "$TMPDIR")"
    mkdir "$tmp/beside" "$tmp/beside/bench"
    ln -s "$program" "$tmp/beside/attnscope"
    ln -s "$(cd "$(dirname "$maker")" && pwd)/make_checkpoint" "$tmp/beside/bench/make_checkpoint"
    shape=layers=1,width=64,heads=4,kv=2,mlp=64,vocab=32
    race race "$tmp/beside/attnscope" "$tmp/bin/llama-bench" $shape f32,q8_0 16 1 0
    exits 0 "a race of random weights of two types"
    check "two rows each, none of decoding" test "$(grep -c '^random-layers-1-width-64.*prompt' "$tmp/out")" -eq 4
    check "the files are removed" test -z "$(ls "$TMPDIR")"
    RACE_DIR=$tmp/models race race "$tmp/beside/attnscope" "$tmp/bin/llama-bench" $shape bf16 16 1 0
    check "or kept where they are wanted" test -s "$tmp/models/random-layers-1-width-64-heads-4-kv-2-mlp-64-vocab-32-bf16.gguf"
    race race "$tmp/beside/attnscope" "$tmp/bin/llama-bench" $shape q9 16 1 0
    says "make_checkpoint failed: make_checkpoint: TYPE is" "a type that is none"
    OPTIONS="--metrics nothing" race race "$program" "$tmp/bin/llama-bench" "$tmp/models/small.gguf" - 16 1 0
    says "failed: attnscope: bench: no metric" "an error of attnscope's is passed on"
    : > "$tmp/bin/llama-bench.broken"
    race race "$program" "$tmp/bin/llama-bench" "$tmp/models/small.gguf" - 16 1 0
    says "llama-bench failed: error: failed to load model" "and of llama-bench"
    rm "$tmp/bin/llama-bench.broken"
else
    skip "races on random weights" "bench/make_checkpoint was not built"
fi
race race
exits 2 "no arguments"
check "are answered by what it takes" grep -q '^bench/race ATTNSCOPE LLAMA_BENCH SHAPE TYPES' "$tmp/err"
race race "$tmp/no-such" "$tmp/bin/llama-bench" tiny f32
says "no program attnscope at" "a program that is not there"
race race "$program" "$tmp" tiny f32
says "no program llama-bench at" "a directory for a program"
race race "$program" "$tmp/bin/llama-bench" "$tmp/no.gguf" -
says "no file" "a model that is not there"
race race "$program" "$tmp/bin/llama-bench" tiny f32 512,x
says "LENGTHS is a number from 1, not 'x'" "a length that is none"
race race "$program" "$tmp/bin/llama-bench" tiny f32 512 0
says "ROUNDS is a number from 1, not '0'" "no rounds"

# --- ggml's attention: a compiler that writes a program which tells half a second for f32 and a quarter for f16 ---
cat > "$tmp/bin/cc" <<'END'
#!/bin/sh
while [ $# -gt 0 ]; do
    [ "$1" != -o ] || out=$2
    shift
done
printf '#!/bin/sh\n[ "$2" = f32 ] && echo 0.5 || echo 0.25\n' > "$out"
chmod +x "$out"
END
chmod +x "$tmp/bin/cc"
race race_attention "$program" "$tmp/source" "$tmp/build"
says "no ggml/include/ggml-cpu.h in" "a tree that is not llama.cpp's"
mkdir -p "$tmp/source/ggml/include"
: > "$tmp/source/ggml/include/ggml-cpu.h"
race race_attention "$program" "$tmp/source" "$tmp/build"
says "no libggml-cpu in" "a tree that was not built"
: > "$tmp/build/libggml-cpu.so"
CC=$tmp/bin/cc HEADS=2 WIDTH=16 THREADS=1 race race_attention "$program" "$tmp/source" "$tmp/build" 16,40 1
exits 0 "a race of attention alone"
check "four rows a length" test "$(grep -cE '^ +(16|40) ' "$tmp/out")" -eq 8
check "ggml's times stand in their columns" awk '/^ +(16|40) / {
    n++; if ($(NF - 6) != .5 || $(NF - 4) != .25) bad = 1 } END { exit bad || n != 8 }' "$tmp/out"
check "nothing is left behind" test -z "$(ls "$TMPDIR")"
HEADS=none race race_attention "$program" "$tmp/source" "$tmp/build"
says "HEADS is a number from 1" "heads that are no number"

# --- PyTorch ---
eager()
{
    python3 "$srcdir/bench/race_eager.py" "$@" > "$tmp/out" 2> "$tmp/err" < /dev/null
    status=$?
}
if ! command -v python3 > /dev/null; then
    skip "PyTorch" "no python3"
elif ! python3 -c 'import importlib.util, sys; sys.exit(not importlib.util.find_spec("torch"))'; then
    eager attention "$program"
    says "no torch for" "without torch it says so"
    eager attention "$program" --lengths 1
    says "is no list of lengths" "lengths that are none"
else
    eager attention "$program" --lengths 70,140 --rounds 1 --heads 4 --width 16 --forms naive,blocks --threads 1
    exits 0 "PyTorch's attention agrees with its definition and is raced"
    check "three rows a length" test "$(grep -cE '^ +(70|140)  (attnscope|PyTorch)' "$tmp/out")" -eq 6
    eager attention "$program" --forms nothing
    says "naive, blocks and compiled are known" "a form that is none"
    eager attention "$tmp/no-such"
    says "no program attnscope at" "a program that is not there"
    check "nothing is left behind" test -z "$(ls "$TMPDIR")"
fi
plan
