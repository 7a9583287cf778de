#!/bin/sh
# A process that is killed again and again loses at most the units in progress: tests/faults/kill-loop says how that is tested.
# ATTNSCOPE_KILLS: how often during a sweep (300); 1000 takes two minutes.  Of other verbs a fifth of it.
srcdir=${srcdir:-.}
. "$srcdir/tests/cli_lib.sh"
kills=${ATTNSCOPE_KILLS:-300}

# campaign DESCRIPTION KILLS NAME...
campaign()
{
    what=$1
    shift
    if ! python3 -c 'import sqlite3' 2> /dev/null; then
        skip "$what" "no python3 with sqlite3"
    elif python3 "$srcdir/tests/faults/kill-loop" "$attnscope" "$model" "$@" > "$tmp/out" 2>&1; then
        ok "$what"
        sed 's/^/# /' "$tmp/out"
    else
        not_ok "$what"
        told "$tmp/out"
    fi
}

# A program that begins anew where it should go on: the loop must find out, say which units and runs, and keep the stores.
cat > "$tmp/forgetful" << EOF
#!/bin/sh
n=\$#
while [ \$n -gt 0 ]; do
    [ "\$1" = --resume ] && { shift 2; n=\$((n - 2)); continue; }
    set -- "\$@" "\$1"
    shift
    n=\$((n - 1))
done
exec "$attnscope" "\$@"
EOF
chmod +x "$tmp/forgetful"
if python3 -c 'import sqlite3' 2> /dev/null; then
    TMPDIR=$tmp python3 "$srcdir/tests/faults/kill-loop" "$tmp/forgetful" "$model" 1 induction > "$tmp/out" 2>&1
    [ $? = 1 ] && grep -q "kill 1 (induction): a unit is not whole" "$tmp/out" &&
        grep -q "run 2, unit 0: .*; undisturbed: no such unit" "$tmp/out" &&
        grep -q "run of copy.db: 1, induction, running" "$tmp/out" && [ -s "$(ls "$tmp"/attnscope-kill-*/killed.db)" ] &&
        ok "a program that does not go on is found out" ||
        { not_ok "a program that does not go on is found out"; told "$tmp/out"; }
fi
campaign "a sweep killed $kills times, of one process and of two" "$kills" sweep shards
campaign "experiments killed $((kills / 5)) times, and resumed" $((kills / 5)) induction census needle
plan
