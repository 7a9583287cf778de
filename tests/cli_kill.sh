#!/bin/sh
# A process that is killed again and again loses at most the unit in progress: tests/faults/kill-loop says how that is tested.
# ATTNSCOPE_KILLS: how often; 1000 takes a minute or two on an idle machine.
srcdir=${srcdir:-.}
. "$srcdir/tests/cli_lib.sh"
kills=${ATTNSCOPE_KILLS:-200}
if ! python3 -c 'import sqlite3' 2> /dev/null; then
    skip "killed $kills times, and resumed" "no python3 with sqlite3"
    plan
    exit 0
fi
if python3 "$srcdir/tests/faults/kill-loop" "$attnscope" "$model" "$kills" > "$tmp/out" 2>&1; then
    ok "killed $kills times, and resumed"
    sed 's/^/# /' "$tmp/out"
else
    not_ok "killed $kills times, and resumed"
    told "$tmp/out"
fi
plan
