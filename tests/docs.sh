#!/bin/sh
# Pages that are written by the program are up to date.
. "${srcdir:-.}/tests/cli_lib.sh"

if command -v python3 > /dev/null 2>&1; then
    python3 "$srcdir/build-aux/metrics-table.py" "$attnscope" > "$tmp/METRICS.md"
    same "$srcdir/METRICS.md" "$tmp/METRICS.md" "METRICS.md is what build-aux/metrics-table.py writes"
else
    skip "METRICS.md is what build-aux/metrics-table.py writes" "no python3"
fi
plan
