#!/bin/sh
# The command language as a person at a terminal meets it: tests/cli_language.py drives it through a pseudo-terminal.
srcdir=${srcdir:-.}
. "$srcdir/tests/tap.sh"
ATTNSCOPE=${ATTNSCOPE:-$PWD/attnscope}
export ATTNSCOPE srcdir
if ! python3 -c 'import pty, sqlite3, termios' 2> /dev/null; then
    skip "the language in a pseudo-terminal" "no python3 with sqlite3"
    plan
    exit 0
fi
exec python3 "$srcdir/tests/cli_language.py"
