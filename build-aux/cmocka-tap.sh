#!/bin/sh
# cmocka-tap.sh PROGRAM: run a cmocka program and mend its TAP: cmocka 1.1.5 prints a skipped test as
# "not ok N # SKIP name", which counts as a failure.  The program's exit status is kept.
output=$(mktemp) || exit 1
trap 'rm -f "$output"' EXIT
"$@" > "$output"
status=$?
sed 's/^not ok \([0-9]* # SKIP\)/ok \1/' "$output"
exit "$status"
