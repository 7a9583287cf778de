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
campaign "a sweep killed $kills times, of one process and of two" "$kills" sweep shards
campaign "experiments killed $((kills / 5)) times, and resumed" $((kills / 5)) induction census needle
plan
