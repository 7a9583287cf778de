#!/bin/sh
# The examples of every command run and print what tests/examples/VERB.txt says (see tests/examples/run).
. "${srcdir:-.}/tests/cli_lib.sh"

"$attnscope" list examples --tsv | tail -n +2 | cut -f 1,2 | sed 's/\\\\/\\/g' > "$tmp/examples"

# Every example of the command table stands in the file of its verb, and every one of the file in the table; two at least
# are run.
examples_complete()
{
    grep "^$1	" "$tmp/examples" | cut -f 2- | LC_ALL=C sort > "$tmp/in_table"
    sed -n 's/^\$ //p' "$2" | LC_ALL=C sort > "$tmp/in_file"
    same "$tmp/in_table" "$tmp/in_file" "$1: the examples of help are those of tests/examples/$1.txt"
    run=$(awk '/^\$ /{ n++ } /^- /{ n-- } END { print n + 0 }' "$2")
    check "$1: two examples at least are run" test "$run" -ge 2
}

for verb in $(cut -f 1 "$tmp/examples" | sort -u); do
    file=$srcdir/tests/examples/$verb.txt
    if [ ! -e "$file" ]; then
        not_ok "$verb: there is tests/examples/$verb.txt"
        echo "# tests/examples/refresh $attnscope $verb makes it"
        continue
    fi
    examples_complete "$verb" "$file"
    sh "$srcdir/tests/examples/run" "$attnscope" "$srcdir" "$file" > "$tmp/ran.txt" 2> "$tmp/err"
    same "$file" "$tmp/ran.txt" "$verb: the examples print what they should"
done
plan
