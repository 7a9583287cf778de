#!/bin/sh
# `view` as a person at a terminal meets it: tests/cli_view.py is the terminal.
srcdir=${srcdir:-.}
. "$srcdir/tests/tap.sh"
ATTNSCOPE=${ATTNSCOPE:-$PWD/attnscope}
export ATTNSCOPE srcdir
if ! python3 -c 'import pty, sqlite3, termios, zlib' 2> /dev/null; then
    skip "view in a pseudo-terminal" "no python3"
    plan
    exit 0
fi
exec python3 "$srcdir/tests/cli_view.py"
