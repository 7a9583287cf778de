#!/bin/sh
# Writing that fails at every place (full disk, failing sync and rename), memory that ends inside of libraries, and Ctrl-C at
# many moments: one line of error, the right status, no half file, the old file stays, the store is sound.
srcdir=${srcdir:-.}
. "$srcdir/tests/cli_lib.sh"
. "$srcdir/tests/faults/lib.sh"
program=$(cd "$(dirname "$attnscope")" && pwd)/$(basename "$attnscope")
model=$(cd "$model" && pwd)
fault_path=$case notes=2 stores= whole=
if ! build_shim; then
    skip "failing writes" "no shared object can be put before the program here"
    plan
    exit 0
fi
"$program" -q run "$model" --prompt "A lamp in the dark." --metrics sink --maps L0H0 --store "$seed/a.db" > /dev/null 2>&1

# file NAME ARGS...: the file that a command writes, with all ways of failing; it replaces an older one.
file()
{
    whole=$1
    shift
    echo old > "$seed/$whole"
    one write , 0 "$@"
    mkdir -p "$tmp/whole"
    cp "$case/$whole" "$tmp/whole"
    for kind in write sync rename open; do
        loop "$1 $whole: $kind fails" "$kind" , 4 '[15]' "$@"
    done
    rm "$seed/$whole"
    whole=
}
cp "$seed/a.db" "$tmp/a.db"
file x.png plot head_map --head L0H0 --store "$tmp/a.db" -o x.png
file x.pdf plot score_grid --metric sink --store "$tmp/a.db" -o x.pdf
file x.csv export --store "$tmp/a.db" -o x.csv
file x.npz export --store "$tmp/a.db" -o x.npz
file x.json top sink --store "$tmp/a.db" --json -o x.json

# the store: whatever fails while a run is written
stores=a.db
loop "run: a write fails" write , 6 '[15]' run "$model" --prompt "A lamp." --metrics sink --store a.db
loop "run: a sync fails" sync , 6 '[15]' run "$model" --prompt "A lamp." --metrics sink --store a.db
loop "run: a file cannot be opened" open , 6 '[15]' run "$model" --prompt "A lamp." --metrics sink --store a.db
export FAULT_STAYS=1
loop "run: the disk stays full" write , 6 '[15]' run "$model" --prompt "A lamp." --metrics sink --store a.db
unset FAULT_STAYS

# memory, in the program and in the libraries that say so when there is none
loop "run: no memory" alloc , 8 5 run "$model" --prompt "A lamp." --metrics sink --store a.db
loop "run: no memory in libraries" alloc libjansson,libsqlite3,libz,libcrypto,libpcre2 3 '[1235]' \
    run "$model" --prompt "A lamp." --metrics sink --store a.db
loop "script: no memory" alloc , 8 5 -c "load $model; run --prompt 'A' --metrics sink; top sink; set; list metrics"
stores=

# Ctrl-C
if ! python3 -c 'import sqlite3' 2> /dev/null; then
    skip "Ctrl-C at many moments" "no python3 with sqlite3"
elif python3 "$srcdir/tests/faults/interrupt-loop" "$program" "$model" 15 > "$tmp/out" 2>&1; then
    ok "Ctrl-C at many moments"
    sed 's/^/# /' "$tmp/out"
else
    not_ok "Ctrl-C at many moments"
    told "$tmp/out"
fi
plan
