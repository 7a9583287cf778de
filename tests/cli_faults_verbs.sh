#!/bin/sh
# Failing writes, syncs, renames and opens, and memory that ends, in the commands that write files, folders and stores as
# wholes: merge, gc, import, sweep, export, dump, convert, report.  One line of error, the right status, nothing half there,
# stores sound.  On a model that costs next to nothing.
srcdir=${srcdir:-.}
. "$srcdir/tests/cli_lib.sh"
. "$srcdir/tests/faults/lib.sh"
program=$(cd "$(dirname "$attnscope")" && pwd)/$(basename "$attnscope")
fault_path=$case notes=3 stores= whole=
if ! build_shim; then
    skip "failing writes" "no shared object can be put before the program here"
    plan
    exit 0
fi
if ! (cd "$srcdir/tests/faults" && python3 -B -c 'import sys, tiny_sweep; tiny_sweep.make(sys.argv[1], 2)' "$tmp"); then
    skip "failing writes" "no python3"
    plan
    exit 0
fi
tiny=$tmp/tiny-1
"$program" -q run "$tiny" --ids 1,2,3,4 --metrics sink,entropy --maps L0H0 --store "$seed/a.db" > /dev/null 2>&1
"$program" -q run "$tiny" --ids 4,3,2,1,5 --metrics sink,entropy --maps L0H0 --store "$seed/b.db" > /dev/null 2>&1
"$program" -q sql "INSERT INTO prompt (sha256, n_token) VALUES ('x', 0)" --write --store "$seed/b.db" > /dev/null 2>&1
echo '["L0H0", "L1H1"]' > "$seed/heads.json"
cp "$seed/a.db" "$tmp/a.db"

# store DESCRIPTION ARGS...: a command that changes $stores.
store()
{
    change=$1
    shift
    one write , 0 "$@"
    [ "$status" -eq 0 ] || told "$tmp/err"
    for kind in write sync open; do
        loop "$change: $kind fails" "$kind" , 3 '[15]' "$@"
    done
    loop "$change: no memory" alloc , 4 5 "$@"
}
stores="a.db b.db new.db"
store "merge into a store" merge a.db b.db
store "merge into a new store" merge new.db a.db b.db
store "gc" gc --store b.db
store "import" import heads heads.json --name some --store a.db
store "sweep" sweep "$tmp/tiny.sweep" --try 0 --store a.db
store "repeat" repeat 1 --store a.db --into b.db
stores=

# file NAME ARGS...: a folder that a command writes, or a file, which replaces an older one.
file()
{
    whole=$1
    shift
    rm -rf "$tmp/whole"
    one write , 0 "$@"
    [ "$status" -eq 0 ] || told "$tmp/err"
    mkdir "$tmp/whole"
    cp -R "$case/$whole" "$tmp/whole"
    [ -d "$case/$whole" ] || echo old > "$seed/$whole"
    for kind in write sync rename open; do
        loop "$1 $whole: $kind fails" "$kind" , 3 '[15]' "$@"
    done
    loop "$1 $whole: no memory" alloc , 3 5 "$@"
    rm -f "$seed/$whole"
    whole=
}
file x.json export --store "$tmp/a.db" -o x.json
file x.csv export --wide --store "$tmp/a.db" -o x.csv
file x.npz export --store "$tmp/a.db" -o x.npz
file d.npz dump "$tiny" --ids 1,2,3 -o d.npz
file c convert "$tiny" -o c --dtype f16
file r.html report 1 --store "$tmp/a.db" -o r.html
file r.pdf report 1 --store "$tmp/a.db" -o r.pdf
file r report 1 --store "$tmp/a.db" -o r/
plan
