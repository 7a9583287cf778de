#!/bin/sh
# Every command of README.md and of the pages in docs/ is run and prints what the page shows (tests/docs_run.py).
. "${srcdir:-.}/tests/cli_lib.sh"
if ! command -v python3 > /dev/null 2>&1; then
    skip "the commands of the pages" "no python3"
    plan
    exit 0
fi
pages="$srcdir/README.md $srcdir/docs/tutorial.md"
for page in "$srcdir"/docs/howto/*.md; do pages="$pages $page"; done
# shellcheck disable=SC2086 # names of pages
python3 "$srcdir/tests/docs_run.py" "$attnscope" "$srcdir" $pages > "$tmp/ran" 2> "$tmp/err"
ran=$?
while IFS= read -r line; do
    case $line in
    'ok - '*) ok "${line#ok - }" ;;
    'not ok - '*) not_ok "${line#not ok - }" ;;
    *) printf '%s\n' "$line" ;;
    esac
done < "$tmp/ran"
told "$tmp/err"
check "all pages were read" test "$ran" -eq 0
check "they have many commands" test "$count" -gt 90

# What a page tells to write compiles.
block()
{
    awk -v what="\`\`\`c file=$2" '$0 == what { inside = 1; next } /^```/ { inside = 0 } inside' "$srcdir/docs/howto/$1"
}
for pair in add-a-metric.md=analysis/metrics/lead.c add-a-family.md=model/families/arcee.c; do
    block "${pair%=*}" "${pair#*=}" > "$tmp/made.c"
    ${CC:-cc} -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -Werror -fsyntax-only -I"$srcdir" "$tmp/made.c" > "$tmp/err" 2>&1
    status=$?
    exits 0 "${pair%=*}: ${pair#*=} compiles"
    check "${pair%=*}: and is not empty" test -s "$tmp/made.c"
done

# So does what it tells to put into the conformance test.
awk -v page="$srcdir/docs/howto/add-a-metric.md" '
    BEGIN {
        while ((getline line < page) > 0)
            if (line == "```c") part++
            else if (line == "```") inside = 0
            else if (part && (inside || line ~ /^(static bool row_lead|    } else if .*"lead")/)) { inside = 1; code[part] = code[part] line "\n" }
    }
    /^static bool row_self/ { printf "%s\n", code[1] }
    /strcmp\(m->name, "self"\)/ { printf "%s", code[2] }
    { print }' "$srcdir/tests/test_metrics.c" > "$tmp/made.c"
${CC:-cc} -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -Werror -fsyntax-only -I"$srcdir" -I"$srcdir/tests" "$tmp/made.c" > "$tmp/err" 2>&1
status=$?
exits 0 "add-a-metric.md: its second implementation compiles"
check "add-a-metric.md: and is called" test "$(grep -c 'row_lead' "$tmp/made.c")" -eq 2

# The comparison can fail: a page that shows another value, one whose command fails, an option, a script or a test that is not
# there, a script that does not run.
printf '%s\n' '```console' '$ echo 0.25' '0.35' '```' '```sh' 'false' '```' '```console norun' '$ attnscope run MODEL --nothing' '```' \
    '```console' '$ printf "a\\nb\\n1.5 s\\n"' 'a' '...' '9.0 s' '```' \
    '```console norun' '$ build-aux/no-such-script' '```' '```console norun' '$ tests/docs_run.sh && srcdir=. build/tests/test_no_such' '```' \
    '```console norun' '$ build-aux/setup.sh' '```' '```console norun' '$ srcdir=. build/tests/test_metrics' '```' > "$tmp/page.md"
python3 "$srcdir/tests/docs_run.py" "$attnscope" "$srcdir" "$tmp/page.md" > "$tmp/out" 2> "$tmp/err"
status=$?
exits 0 "a page with mistakes is read"
check "six of its eight blocks are mistakes" test "$(grep -c '^not ok' "$tmp/out")" -eq 6
check "two are none" test "$(grep -c '^ok' "$tmp/out")" -eq 2
check "what is wrong with files is said" test "$(grep -c 'no file build-aux/no-such-script\|no test build/tests/test_no_such\|setup.sh does not run' \
    "$tmp/out")" -eq 3
plan
