#!/bin/sh
# Pages that are written by the program are up to date.
. "${srcdir:-.}/tests/cli_lib.sh"

if command -v python3 > /dev/null 2>&1; then
    python3 "$srcdir/build-aux/metrics-table.py" "$attnscope" > "$tmp/METRICS.md"
    same "$srcdir/METRICS.md" "$tmp/METRICS.md" "METRICS.md is what build-aux/metrics-table.py writes"
else
    skip "METRICS.md is what build-aux/metrics-table.py writes" "no python3"
fi

# Every test that THREATS.md names is there and is run.
for named in $(grep -oE '`tests/[a-z0-9_.]+`' "$srcdir/THREATS.md" | tr -d '`' | sort -u); do
    case $named in
    tests/sanitize) check "$named is there" test -x "$srcdir/$named" ;;
    *.sh) check "$named is run" grep -q "$named" "$srcdir/tests/sources.mk" ;;
    *) check "$named is run" grep -qE "^.$named( |\$|\\\\)" "$srcdir/tests/sources.mk" ;;
    esac
done
plan
