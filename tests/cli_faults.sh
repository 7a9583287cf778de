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

# interrupted FILE ARGS...: SIGINT after 0, 4, 8, ... ms.
interrupted()
{
    file=$1
    shift
    wrong= cut=0
    for ms in 000 004 008 012 016 020 024 028 032 036 040 050 060 080 100 130 160 200; do
        fresh
        (cd "$case" && exec "$program" "$@" > "$tmp/out" 2> "$tmp/err" < /dev/null) &
        child=$!
        sleep "0.$ms"
        kill -INT "$child" 2> /dev/null
        wait "$child"
        status=$?
        case $status in
        0) ;;
        130) cut=$((cut + 1)) ;;
        *) wrong="exit status $status after $ms ms" ;;
        esac
        [ "$(grep -c '^attnscope: ' "$tmp/err")" -le 1 ] || wrong="more than one line after $ms ms"
        [ -z "$(left_behind)" ] || wrong="left $(left_behind) after $ms ms"
        [ ! -e "$case/$file" ] || cmp -s "$case/$file" "$tmp/whole" || [ "$file" = a.db ] || wrong="half of $file after $ms ms"
        sound "$case/a.db" || wrong="damaged store after $ms ms"
    done
    if [ -z "$wrong" ]; then
        ok "$1: Ctrl-C at many moments"
        echo "# $cut of 18 were cut short"
    else
        not_ok "$1: Ctrl-C at many moments"
        echo "# $wrong"
        told "$tmp/err"
    fi
}
if python3 -c 'pass' 2> /dev/null; then
    # a shell starts its background processes with SIGINT ignored, which the program would respect
    printf '#!/bin/sh\nexec python3 -c "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execv(sys.argv[1], sys.argv[1:])" "%s" "$@"\n' \
        "$program" > "$tmp/interruptible"
    chmod +x "$tmp/interruptible"
    plain=$program
    program=$tmp/interruptible
    interrupted a.db run "$model" --prompt "A lamp in the dark." --store a.db
    interrupted a.db census "$model" --builtin --length 16 --trials 0 --store a.db
    (cd "$seed" && "$plain" -q plot head_map --head L0H0 --store a.db -o x.png && mv x.png "$tmp/whole")
    interrupted x.png plot head_map --head L0H0 --store a.db -o x.png
    (cd "$seed" && "$plain" -q export --store a.db -o x.npz && mv x.npz "$tmp/whole")
    interrupted x.npz export --store a.db -o x.npz
    program=$plain
else
    skip "Ctrl-C at many moments" "no python3"
fi
plan
