# Loops over every place where a call can fail; source it after tests/cli_lib.sh.
#
# A case is a folder $case: before each round it is made anew from $seed, the program runs in it, and afterwards nothing
# half-written may lie there.
seed=$tmp/seed
case=$tmp/case
mkdir "$seed"

# build_shim: tests/faults/shim.c as $shim; false where it cannot be.
build_shim()
{
    shim=$tmp/shim.so
    ${CC:-cc} -O1 -shared -fPIC -o "$shim" "$srcdir/tests/faults/shim.c" -ldl 2> "$tmp/shim.log" || return 1
    FAULT=write FAULT_COUNT=$tmp/count LD_PRELOAD=$shim "$attnscope" --version > /dev/null 2>&1 && [ -s "$tmp/count" ]
}

# fresh: the case as it was.
fresh()
{
    rm -rf "$case"
    cp -R "$seed" "$case"
}

# left_behind: temporary files in the case.
left_behind()
{
    find "$case" -name '.*' -type f -o -name '*.tmp*' | head -n 3
}

# sound STORE: does the store hold together?  A store that is not there is sound.
sound()
{
    [ ! -e "$1" ] || [ "$("$attnscope" -q sql "PRAGMA integrity_check" --csv --store "$1" 2> /dev/null | tail -n 1)" = ok ]
}

# halves: a file of $whole that is neither as it was nor as it is to be, or is gone.
halves()
{
    for part in $whole; do
        (cd "$case" && [ ! -e "$part" ] || find "$part" -type f) | while read -r f; do
            cmp -s "$case/$f" "$tmp/whole/$f" || cmp -s "$case/$f" "$seed/$f" || echo "$f"
        done
        (cd "$seed" && [ ! -e "$part" ] || find "$part" -type f) | while read -r f; do
            [ -e "$case/$f" ] || echo "$f"
        done
    done | head -n 1
}

# one KIND CALLERS NTH ARGS...: leaves $status, $tmp/out, $tmp/err, $calls and $failed.
one()
{
    kind=$1 callers=$2 nth=$3
    shift 3
    fresh
    : > "$tmp/count"
    (cd "$case" && FAULT=$kind FAULT_CALLER=$callers FAULT_AT=$nth FAULT_PATH=$fault_path FAULT_COUNT=$tmp/count \
        LD_PRELOAD=$shim "$program" "$@" > "$tmp/out" 2> "$tmp/err" < /dev/null)
    status=$?
    read -r calls failed < "$tmp/count" || calls=0 failed=0
}

# told_once: a failure is one line; success has none.
told_once()
{
    lines=$(grep -c '^attnscope: ' "$tmp/err")
    if [ "$status" -eq 0 ]; then
        [ "$lines" -eq 0 ]
    else
        [ "$lines" -eq 1 ] && [ "$(grep -c '' "$tmp/err")" -le $((2 + notes)) ]
    fi
}

# loop DESCRIPTION KIND CALLERS STEP CODES ARGS...: the 1st, 2nd, ... call fails until none is left; with STEP above 0 the
# distance grows by 1/STEP.  CODES: exit statuses that are right besides 0, as a pattern of case.  $whole: files and folders of
# the case whose files are as in the seed or as in $tmp/whole; $stores: stores that must be sound; $notes: lines on standard error besides.
loop()
{
    what=$1 loop_kind=$2 loop_callers=$3 step=$4 codes=$5
    shift 5
    nth=1 rounds=0 wrong=
    while :; do
        one "$loop_kind" "$loop_callers" "$nth" "$@"
        [ "$failed" = 0 ] && [ "$status" -eq 0 ] && break
        rounds=$((rounds + 1))
        eval "case \$status in 0|$codes) ;; *) wrong=\"exit status \$status\" ;; esac"
        told_once || wrong=${wrong:-"not one line of error"}
        [ -z "$(left_behind)" ] || wrong=${wrong:-"left $(left_behind)"}
        half=$(halves)
        [ -z "$half" ] || wrong=${wrong:-"half there: $half"}
        for f in $stores; do
            sound "$case/$f" || wrong=${wrong:-"store $f is damaged"}
        done
        if [ -n "$wrong" ] && [ -n "$FAULT_GO_ON" ]; then
            echo "# $what: $loop_kind $nth of $loop_callers: $wrong"
            told "$tmp/err"
            wrong=
        elif [ -n "$wrong" ]; then
            not_ok "$what"
            echo "# $loop_kind $nth of $loop_callers: $wrong"
            told "$tmp/err"
            return
        fi
        [ "$step" -eq 0 ] || nth=$((nth + nth / step))
        nth=$((nth + 1))
        [ "$nth" -lt 1000000 ] || break
    done
    if [ "$rounds" -gt 0 ]; then
        ok "$what ($rounds places)"
    else
        not_ok "$what"
        echo "# no such call was made"
    fi
}
