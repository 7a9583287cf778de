#!/bin/sh
# The shell as a person at a terminal meets it: tests/cli_shell.py drives it through a pseudo-terminal.
srcdir=${srcdir:-.}
. "$srcdir/tests/tap.sh"
ATTNSCOPE=${ATTNSCOPE:-$PWD/attnscope}
export ATTNSCOPE srcdir
if ! python3 -c 'import pty, termios' 2> /dev/null; then
    skip "the shell in a pseudo-terminal" "no python3"
    plan
    exit 0
fi
exec python3 "$srcdir/tests/cli_shell.py"
