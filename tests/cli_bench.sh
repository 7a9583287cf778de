#!/bin/sh
# bench run, attention, gemm and kernels, and checkpoints of random weights: what they count must fit together; how fast it
# was is not looked at.
. "${srcdir:-.}/tests/cli_lib.sh"
maker=${ATTNSCOPE_MAKER:-./bench/make_checkpoint}

# field NAME: of the JSON objects of the last run, a line each.
field()
{
    sed -n "s/.*\"$1\":\"\{0,1\}\([^,\"}]*\).*/\1/p" "$tmp/out"
}

# --- attention: causal pairs of 4 heads of 16, both products ---
run bench attention --lengths 1,96 --heads 4 --kv-heads 2 --width 16 --repeat 1 --json
exits 0 "bench attention"
check "four rows a length" test "$(field statistics | sort | uniq -c | awk '{ printf "%s ", $1 }')" = "2 2 2 2 "
paste -d' ' "$tmp/out" /dev/null | sed -n 's/.*"length":96,.*"seconds":\([^,]*\),.*"gflops":\([^,]*\),.*/\1 \2/p' > "$tmp/speeds"
check "time and speed give the operations of 4656 pairs" awk '{ n++; if ($1 * $2 * 1e9 / (96 * 97 / 2 * 4 * 4 * 16) - 1 > 1e-9 ||
    $1 * $2 * 1e9 / (96 * 97 / 2 * 4 * 4 * 16) - 1 < -1e-9) bad = 1 } END { exit bad || n != 4 }' "$tmp/speeds"
run bench attention --lengths 96 --heads 4 --width 16 --window 10 --repeat 1 --json
sed -n 's/.*"seconds":\([^,]*\),.*"gflops":\([^,]*\),.*/\1 \2/p' "$tmp/out" > "$tmp/speeds"
check "a window has 10 x 96 - 45 pairs" awk '{ n++; x = $1 * $2 * 1e9 / (915 * 4 * 4 * 16) - 1; if (x > 1e-9 || x < -1e-9) bad = 1 }
    END { exit bad || n != 4 }' "$tmp/speeds"

# --- gemm ---
run bench gemm --rows 1,3 --outputs 40 --inputs 256 --types bf16,q4_k,iq2_xs --repeat 1 --json
exits 0 "bench gemm"
check "a row for each type and number of rows" test "$(field type | tr '\n' ' ')" = "bf16 bf16 q4_k q4_k iq2_xs iq2_xs "
sed -n 's/.*"rows":\([0-9]*\),.*"seconds":\([^,]*\),"gflops":\([^,]*\),.*/\1 \2 \3/p' "$tmp/out" > "$tmp/speeds"
check "time and speed give the operations" awk '{ n++; x = $2 * $3 * 1e9 / (2 * $1 * 40 * 256) - 1; if (x > 1e-9 || x < -1e-9) bad = 1 }
    END { exit bad || n != 6 }' "$tmp/speeds"
run bench gemm --rows 1 --outputs 8 --inputs 256 --types q4_k --repeat 1 --json
check "and the bytes of 8 blocks of 144" awk -v t="$(field seconds)" -v r="$(field weights_read)" \
    'BEGIN { x = t * r * 1e9 / 1152 - 1; exit !(x < 1e-9 && x > -1e-9) }'

# --- kernels: the tables that this machine can run ---
run bench kernels --repeat 1 --json
exits 0 "bench kernels"
"$attnscope" info --machine > "$tmp/machine"
check "plain C and the set in use are among them" grep -q "\"isa\":\"$(sed -n 's/^ *isa in use *\([a-z0-9]*\).*/\1/p' "$tmp/machine")\"" "$tmp/out"
check "plain C too" test "$(grep -c '"isa":"c","kernel":"gemm_micro"' "$tmp/out")" -eq 1
check "no rate is nothing" awk -F'"rate":' '{ if ($2 + 0 <= 0) bad = 1 } END { exit bad }' "$tmp/out"

# --- run ---
run bench run "$model" --lengths 20,40 --new-tokens 3 --repeat 1 --json
exits 0 "bench run"
check "three phases a length" test "$(field phase | tr '\n' ' ')" = "prompt prompt decoding prompt prompt decoding "
check "their tokens" test "$(field tokens | tr '\n' ' ')" = "20 20 3 40 40 3 "
check "memory does not shrink" test "$(field memory)" = "$(field memory | sort -n)"
run bench run "$model" --lengths 20 --new-tokens 0 --repeat 1 --json
check "no decoding where none is wanted" test "$(field phase | tr '\n' ' ')" = "prompt prompt "

# --- what is wrong ---
run bench kernel
refuses 2 "what to time is not known" "a form that is nearly one"
check "is helped" grep -q 'did you mean `bench kernels`' "$tmp/err"
run bench gemm --heads 3
refuses 2 "gemm takes no --heads" "an option of another form"
run bench attention --metrics entropy
refuses 2 "attention takes no --metrics" "metrics where none are taken"
run bench gemm "$model"
refuses 2 "takes no model" "a model where none is taken"
run bench gemm --types q9
refuses 2 "no weights of type 'q9'" "a type that is none"
run bench gemm --inputs 100 --types q4_0
refuses 2 "not whole blocks of q4_0" "rows of half a block"
run bench attention --heads 6 --kv-heads 4
refuses 2 "not shared out evenly" "heads that do not divide"
run bench run "$model" --lengths 512
refuses 2 "context of lantern-3m" "a prompt beyond the context"

# --- checkpoints of random weights ---
if [ -x "$maker" ]; then
    for type in f32 f16 bf16 q8_0 q4_0 q4_1 q5_0 q5_1 q4_k q5_k q6_k; do
        "$maker" tiny $type "$tmp/$type.gguf" 7
        run run "$tmp/$type.gguf" --ids 1,2,3,4,5,6,7,8 --metrics residual_norm --json
        last=$(sed -n 's/.*"metric":"residual_norm","layer":2,.*"value":\([^}]*\)}$/\1/p' "$tmp/out" | head -n 1)
        between 0.5 "$last" 8 "random weights of type $type run and stay in range"
        case $type in
        f32) exact=$last ;;
        q[4-6]_k) ;; # random bits, not rounded ones
        *) check "and are those of f32, rounded to $type" awk -v x="$last" -v y="$exact" \
            'BEGIN { d = x / y - 1; exit !(d < 0.02 && d > -0.02) }' ;;
        esac
    done
    "$maker" tiny bf16 "$tmp/hf" 7
    run run "$tmp/hf" --ids 1,2,3,4,5,6,7,8 --metrics residual_norm --json
    between 0.5 "$(sed -n 's/.*"metric":"residual_norm","layer":2,.*"value":\([^}]*\)}$/\1/p' "$tmp/out" | head -n 1)" 8 \
        "so they do as safetensors"
    "$maker" tiny bf16 "$tmp/again.gguf" 7
    same "$tmp/bf16.gguf" "$tmp/again.gguf" "the same seed, the same bytes"
    "$maker" tiny f32 "$tmp/other.gguf" 8
    check "another seed, other bytes" sh -c "! cmp -s '$tmp/f32.gguf' '$tmp/other.gguf'"
    check "no such type" sh -c "! '$maker' tiny q3_k '$tmp/x.gguf' 2> /dev/null && test ! -e '$tmp/x.gguf'"
    check "no such shape" sh -c "! '$maker' layers=1,width=30,heads=4,kv=4,mlp=64,vocab=10 f32 '$tmp/x' 2> /dev/null"
else
    skip "checkpoints of random weights" "bench/make_checkpoint was not built"
fi
plan
