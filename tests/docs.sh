#!/bin/sh
# Pages that are written by the program are up to date.
. "${srcdir:-.}/tests/cli_lib.sh"

if command -v python3 > /dev/null 2>&1; then
    python3 "$srcdir/build-aux/metrics-table.py" "$attnscope" > "$tmp/METRICS.md"
    same "$srcdir/METRICS.md" "$tmp/METRICS.md" "METRICS.md is what build-aux/metrics-table.py writes"
else
    skip "METRICS.md is what build-aux/metrics-table.py writes" "no python3"
fi

# So are those of the reference.
if command -v python3 > /dev/null 2>&1; then
    "$srcdir/build-aux/reference" "$attnscope" "$tmp/reference"
    for page in "$tmp"/reference/*.md; do
        name=docs/reference/${page##*/}
        same "$srcdir/$name" "$page" "$name is what build-aux/reference writes"
    done
    check "nothing else is in docs/reference" test "$(ls "$srcdir/docs/reference")" = "$(ls "$tmp/reference")"
else
    skip "docs/reference is what build-aux/reference writes" "no python3"
fi

# Every link of every page leads to a file, and to a heading of it where it says which.
if command -v python3 > /dev/null 2>&1; then
    python3 "$srcdir/tests/docs_links.py" "$srcdir" > "$tmp/links"
    status=$?
    sed '$!s/^/# leads nowhere: /; $s/^/# /' "$tmp/links"
    check "the links of all pages lead somewhere" test "$status" -eq 0
    check "there are many" test "$(sed -n 's/ links$//p' "$tmp/links")" -gt 300
    mkdir -p "$tmp/pages/more"
    printf '%s\n' '# One' '## Of `two`, and [three](more/b.md)' '[a](#one) [b](#of-two-and-three) [c](more/b.md#x-1)' '```' '[no](no)' '```' \
        '[d](none.md)' '[e](#two)' '![f](f.png)' '[g](https://example.org/none)' > "$tmp/pages/a.md"
    printf '%s\n' '# X' '# X' '[h](../a.md#one) [i](../a.md#x) [k](#x-2)' > "$tmp/pages/more/b.md"
    python3 "$srcdir/tests/docs_links.py" "$tmp/pages" > "$tmp/links"
    check "links that lead nowhere are seen" test "$(grep -o '[a-z./]*:[0-9].*' "$tmp/links" | paste -sd , -)" = \
        "a.md:7: none.md,a.md:8: #two,a.md:9: f.png,more/b.md:3: ../a.md#x,more/b.md:3: #x-2"
else
    skip "the links of all pages lead somewhere" "no python3"
fi

# Every family is in the table of MODELS.md.
"$attnscope" list families --tsv | sed '1d' | cut -f 1 > "$tmp/families"
missing=$(while read -r family; do grep -q "^| $family | " "$srcdir/MODELS.md" || echo "$family"; done < "$tmp/families")
[ -z "$missing" ] || echo "# not in MODELS.md:" $missing
check "MODELS.md has all $(grep -c . "$tmp/families") families" test -s "$tmp/families" -a -z "$missing"

# Every test that THREATS.md names is there and is run.
for named in $(grep -oE '`tests/[a-z0-9_.]+`' "$srcdir/THREATS.md" | tr -d '`' | sort -u); do
    case $named in
    tests/sanitize) check "$named is there" test -x "$srcdir/$named" ;;
    *.sh) check "$named is run" grep -q "$named" "$srcdir/tests/sources.mk" ;;
    *) check "$named is run" grep -qE "^.$named( |\$|\\\\)" "$srcdir/tests/sources.mk" ;;
    esac
done

# Every file that ARCHITECTURE.md, CONTRIBUTING.md, README.md or the README.md of a folder names is there: from the top, from the
# page's folder, or, a name without folder, somewhere.  Words that stand for others (NAME) and what a build makes are left out.
(cd "$srcdir" && find . \( -name .git -o -name build -o -name autom4te.cache \) -prune -o \( -type f -o -type d \) -print |
    sed 's|^\./||') > "$tmp/all"
there()
{
    pattern=$(echo "$1" | sed 's|/$||; s|\.|[.]|g; s|\*|[^/]*|g')
    case $1 in
    */?*) grep -qxE "$pattern|$2/$pattern|${2%/*}/$pattern" "$tmp/all" ;;
    *) grep -qE "(^|/)$pattern\$" "$tmp/all" ;;
    esac
}
named_in()
{
    grep -oE '`[A-Za-z0-9_./*-]+(\.(c|h|py|sh|md|mk|am|ac|jsonl|json|txt|awk)|/)`|\]\([A-Za-z0-9_./-]+\)' "$srcdir/$1" | tr -d '`' |
        sed 's/^\](\(.*\))$/\1/; s|^\(\.\./\)*||' | grep -vE 'NAME|VERB|_N\.|^(config|tokenizer)\.json$|^demo-out/|^build/|/(lead|arcee)\.c$' | sort -u
}
for page in ARCHITECTURE.md CONTRIBUTING.md README.md docs/howto/add-a-metric.md docs/howto/add-a-family.md $(cd "$srcdir" && find base compute model analysis db plots cli tests bench build-aux \
    man examples -name README.md | grep -v '^examples/models/' | sort); do
    folder=$(dirname "$page")
    missing=
    n=0
    set -f
    for name in $(named_in "$page"); do
        n=$((n + 1))
        there "$name" "$folder" || missing="$missing $name"
    done
    set +f
    [ -z "$missing" ] || echo "# not there:$missing"
    check "$page: the $n files that it names are there" test -z "$missing"
done
check "a name of no file is seen" eval '! there base/no_such_file.c base && ! there no_such_file.c base && ! there "no_such_*.c" base'
plan
