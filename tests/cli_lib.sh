# What the tests of commands share: source this file.
# The program is $ATTNSCOPE (./attnscope), the bundled model is found from $srcdir.
srcdir=${srcdir:-.}
. "$srcdir/tests/tap.sh"
attnscope=${ATTNSCOPE:-./attnscope}
model=$srcdir/examples/models/lantern-3m
shared=${ATTNSCOPE_SHARED:-$srcdir/../shared}
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
HOME=$tmp XDG_CACHE_HOME=$tmp/cache XDG_CONFIG_HOME=$tmp/config XDG_STATE_HOME=$tmp/state NO_COLOR=1
LC_ALL=C.UTF-8
export HOME XDG_CACHE_HOME XDG_CONFIG_HOME XDG_STATE_HOME NO_COLOR LC_ALL
unset COLUMNS

# run ARGS...: the program; leaves $status, $tmp/out and $tmp/err.
run()
{
    "$attnscope" "$@" > "$tmp/out" 2> "$tmp/err" < /dev/null
    status=$?
}

# told FILE...: what the program said, as TAP comments.
told()
{
    sed 's/^/# /' "$@" | cut -c1-300 | head -n 20
}

# exits STATUS DESCRIPTION: the last run ended so.
exits()
{
    if [ "$status" -eq "$1" ]; then
        ok "$2"
    else
        not_ok "$2"
        echo "# exit status $status, expected $1"
        told "$tmp/err"
    fi
}

# refuses STATUS WORDS DESCRIPTION: the last run ended so, with one error line that holds WORDS, a hint
# line, and nothing on standard output.
refuses()
{
    lines=$(grep -c '^attnscope: ' "$tmp/err")
    if [ "$status" -eq "$1" ] && grep -qF -- "$2" "$tmp/err" && [ "$lines" -eq 1 ] && [ ! -s "$tmp/out" ] &&
        [ "$(grep -c '' "$tmp/err")" -le 2 ]; then
        ok "$3"
    else
        not_ok "$3"
        echo "# exit status $status, expected $1; expected one line with: $2"
        told "$tmp/err" "$tmp/out"
    fi
}

# out_has TEXT DESCRIPTION: standard output of the last run holds TEXT.
out_has()
{
    if grep -qF -- "$1" "$tmp/out"; then
        ok "$2"
    else
        not_ok "$2"
        echo "# no such text: $1"
        told "$tmp/out" "$tmp/err"
    fi
}

# same FILE FILE DESCRIPTION
same()
{
    if cmp -s "$1" "$2"; then
        ok "$3"
    else
        not_ok "$3"
        diff "$1" "$2" | head -n 5 | sed 's/^/# /'
    fi
}

# repeated_ids N: 0, then N pseudo-random ids of the bundled model's vocabulary, twice.
repeated_ids()
{
    awk -v n="$1" 'BEGIN {
        x = 12345
        for (i = 0; i < n; i++) { x = (x * 1103 + 12289) % 65536; id[i] = 2 + x % 2000 }
        printf "0"
        for (k = 0; k < 2; k++) for (i = 0; i < n; i++) printf ",%d", id[i]
    }'
}

# value METRIC LAYER HEAD: of the last run, which printed JSON Lines.
value()
{
    sed -n "s/.*\"metric\":\"$1\",\"layer\":$2,\"head\":$3,.*\"value\":\([^}]*\)}\$/\1/p" "$tmp/out" | head -n 1
}

# between LO VALUE HI DESCRIPTION
between()
{
    if awk -v lo="$1" -v v="$2" -v hi="$3" 'BEGIN { exit !(v != "" && v + 0 >= lo + 0 && v + 0 <= hi + 0) }'; then
        ok "$4"
    else
        not_ok "$4"
        echo "# $2 is not within $1 .. $3"
    fi
}
