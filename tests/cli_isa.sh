#!/bin/sh
# Instruction sets as a user meets them: which there are, choosing one by ATTNSCOPE_ISA, --isa and `set isa`, wrong names, sets that
# this machine lacks, and what the store says was used.
srcdir=${srcdir:-.}
. "$srcdir/tests/cli_lib.sh"
unset ATTNSCOPE_ISA
lacking="this machine lacks that instruction set"

# Names, weakest first; what each is good for here.
run list isas --csv
exits 0 "the sets are listed"
sed 1d "$tmp/out" > "$tmp/sets"
all=$(cut -d, -f1 "$tmp/sets")
usable=$(awk -F, '$2 == "yes" { print $1 }' "$tmp/sets")
absent=$(awk -F, '$2 == "no" { print $1 }' "$tmp/sets")
best=$(echo "$usable" | tail -n 1)
check "plain C runs everywhere" grep -q '^c,yes,' "$tmp/sets"
check "one is in use: the best that the machine has" test "$(awk -F, '$3 == "yes" { print $1 }' "$tmp/sets")" = "$best"

run info --machine
exits 0 "the machine"
out_has "isa in use   $best (compiled in:" "says which is in use"
listed=$(sed -n 's/.*(compiled in: \(.*\))$/\1/p' "$tmp/out" | sed 's/ \[not on this machine\]/-/g' | tr ' ' '\n')
check "and which there are" test "$(echo "$listed" | tr -d -)" = "$all"
check "and which it lacks" test "$(echo "$listed" | sed -n 's/-$//p')" = "$absent"
run info --machine --json
out_has "\"isa\":\"$best\"" "for programs, too"

# ---- wrong names ----
ATTNSCOPE_ISA=avx51 && export ATTNSCOPE_ISA
run list isas
refuses 2 "ATTNSCOPE_ISA: unknown instruction set avx51" "an unknown ATTNSCOPE_ISA is refused"
check "with the nearest name" grep -q 'hint: did you mean avx512?' "$tmp/err"
ATTNSCOPE_ISA=AMX
run run "$model" --prompt a
refuses 2 "unknown instruction set AMX" "so is one in capitals, before any work"
unset ATTNSCOPE_ISA
run --isa axm list isas
refuses 2 "unknown instruction set axm" "an unknown --isa is refused"
check "with all names" grep -q "one of: $(echo $all | sed 's/ /, /g'), best" "$tmp/err"
printf 'set isa nonsense\n' > "$tmp/script"
run source "$tmp/script"
check "and set isa" test "$status" = 2
check "by the same words" grep -q 'unknown instruction set nonsense' "$tmp/err"

# results FILE: numbers of the last run without its number
results()
{
    sed 's/"run":[0-9]*,//' "$tmp/out" > "$1"
}

# agree FILE FILE: the same rows, values within 1e-4
agree()
{
    sed 's/.*"value"://; s/}$//' "$1" > "$tmp/a"
    sed 's/.*"value"://; s/}$//' "$2" > "$tmp/b"
    paste "$tmp/a" "$tmp/b" | awk 'NF != 2 { bad = 1 } ($1 == "null") != ($2 == "null") { bad = 1 }
        { d = $1 - $2; if (d > 1e-4 || d < -1e-4) bad = 1 } END { exit bad || NR < 100 }'
}

text="the lamp of the lamp, the light of the light"
set -- --prompt "$text" --metrics sink,entropy,prev_token,distance,nll --json
run run "$model" "$@"
exits 0 "a run with the best"
results "$tmp/best"

# ---- what the machine has ----
for isa in $usable; do
    ATTNSCOPE_ISA=$isa && export ATTNSCOPE_ISA
    run list isas --csv
    check "ATTNSCOPE_ISA=$isa is obeyed" grep -q "^$isa,yes,yes\$" "$tmp/out"
    run run "$model" "$@"
    check "without a word" sh -c "! grep -q '$lacking' '$tmp/err'"
    results "$tmp/this"
    check "and gives the results of $best" agree "$tmp/best" "$tmp/this"
    run --isa best list isas --csv
    check "--isa goes before it" grep -q "^$best,yes,yes\$" "$tmp/out"
    unset ATTNSCOPE_ISA
done

# ---- what it lacks ----
if [ -z "$absent" ]; then
    skip "sets that the machine lacks" "it has all: $(echo $all)"
fi
for isa in $absent; do
    # the best that is weaker
    weaker=$(awk -F, -v isa="$isa" '$1 == isa { exit } $2 == "yes" { last = $1 } END { print last }' "$tmp/sets")
    ATTNSCOPE_ISA=$isa && export ATTNSCOPE_ISA
    run info --machine
    exits 0 "ATTNSCOPE_ISA=$isa, which is lacking, is no error"
    check "it is said once" test "$(grep -c "$lacking" "$tmp/err")" = 1
    out_has "isa in use   $weaker (" "$weaker is taken"
    run run "$model" "$@" --store "$tmp/lacking.db"
    check "also of a run, once" test "$(grep -c "$lacking" "$tmp/err")" = 1
    results "$tmp/this"
    unset ATTNSCOPE_ISA
    run --isa "$weaker" run "$model" "$@"
    results "$tmp/weaker"
    same "$tmp/weaker" "$tmp/this" "the results are those of $weaker, bit for bit"
    run show 1 --store "$tmp/lacking.db"
    check "the store says $weaker, not $isa" grep -qE "^ *isa +$weaker\$" "$tmp/out"
    run --quiet --isa "$isa" list isas --csv
    check "--quiet keeps the note away" test ! -s "$tmp/err"
    check "and takes $weaker" grep -q "^$weaker,yes,yes\$" "$tmp/out"
    rm -f "$tmp/lacking.db"
done

# ---- in a session ----
cat > "$tmp/script" <<END
load $model
set isa c
run --prompt "$text" --store $tmp/s.db
list isas --csv
set isa best
run --prompt "$text" --store $tmp/s.db
list isas --csv
END
run source "$tmp/script"
exits 0 "set isa within a session"
check "the first for what follows" test "$(grep -c '^c,yes,yes$' "$tmp/out")" = 1
check "then the best again, with the same model" test "$(grep -c "^$best,yes,yes\$" "$tmp/out")" -ge 1
for pair in 1:c 2:$best; do
    run show "${pair%:*}" --store "$tmp/s.db"
    check "run ${pair%:*} is recorded with ${pair#*:}" grep -qE "^ *isa +${pair#*:}\$" "$tmp/out"
done
run --isa c set
check "set shows what is in use" grep -qE '^isa +c +session ' "$tmp/out"

plan
