# What the lessons share; each of them sources this file and calls `lesson "$@"`.
#
# A lesson is a file with two functions, lantern and smollm2, one for each model.  They use
#   measure WORDS...            an attnscope command that fills the store, shown as it is typed
#   ask SQL                     what the store answers: fields with spaces between them, a row a line
#   change RUN RUN METRIC       second run less first, paired by prompt: mean, and 1.96 standard errors below and above it
#   holds 'CLAIM' A OP B        ok when the numbers compare so (OP as in awk), not ok when they do not
#   within 'CLAIM' LOW X HIGH   the same for a number between two others
#   seen 'TEXT'...              the numbers for the reader, and for the table of README.md
#   figure NAME WORDS...        attnscope plot WORDS... into the folder of --out
# The program is $ATTNSCOPE, else build/attnscope, else the one on PATH.

usage()
{
    echo "usage: $0 [--smollm2 | --smollm2-only] [--out FOLDER]" >&2
    echo "  --smollm2        the same on SmolLM2-135M, which examples/get-smollm2 fetches" >&2
    echo "  --smollm2-only   on that model alone" >&2
    echo "  --out FOLDER     where figures go (default: findings)" >&2
    exit 2
}

stop()
{
    echo "${0##*/}: $*" >&2
    exit 1
}

lesson()
{
    set -u
    out=findings models=lantern
    while [ $# -gt 0 ]; do
        case $1 in
        --smollm2) models='lantern smollm2' ;;
        --smollm2-only) models=smollm2 ;;
        --out)
            [ $# -gt 1 ] && [ -n "$2" ] || usage
            out=$2
            shift
            ;;
        *) usage ;;
        esac
        shift
    done
    root=$(cd "$(dirname "$0")/../.." && pwd) || exit 1
    mkdir -p "$out" && out=$(cd "$out" && pwd) || stop "no folder for figures: $out"
    program=${ATTNSCOPE:-}
    [ -n "$program" ] || { [ -x "$root/build/attnscope" ] && program=$root/build/attnscope; }
    [ -n "$program" ] || program=$(command -v attnscope) || stop "build the program first: ./demo, or name it in ATTNSCOPE"
    case $program in
    /*) ;;
    *) program=$PWD/$program ;;
    esac
    [ -x "$program" ] || stop "no program at $program"
    # A folder of its own, so that the commands shown are those that a reader would type beside examples/.
    work=$(mktemp -d) || exit 1
    trap 'rm -rf "$work"' EXIT
    trap 'exit 130' INT TERM
    ln -s "$root/examples" "$work/examples" && cd "$work" || exit 1
    count=0 failed=0
    texts=examples/prompts/census.jsonl
    for part in $models; do
        case $part in
        lantern) model=examples/models/lantern-3m ;;
        smollm2) model=examples/models/SmolLM2-135M-Instruct.Q4_1.gguf ;;
        esac
        [ -e $model ] || stop "$model is not there; examples/get-smollm2 fetches it"
        store=$part.db
        echo "# ${model##*/}"
        $part
    done
    echo "1..$count"
    [ $failed -eq 0 ]
}

# shown WORDS...: as a shell reads them; a list of edits may be long, its beginning is enough.
shown()
{
    printf '# $ attnscope'
    for word; do
        if [ ${#word} -gt 160 ]; then
            word=$(printf '%.150s' "$word")...
        fi
        case $word in
        '' | *[!A-Za-z0-9_./,:=@-]*) printf " '%s'" "$word" ;;
        *) printf ' %s' "$word" ;;
        esac
    done
    echo
}

measure()
{
    shown "$@"
    "$program" "$@" --store $store --quiet > measured 2>&1 < /dev/null || {
        cat measured >&2
        stop "this command failed: attnscope $*"
    }
}

ask()
{
    "$program" sql "$1" --store $store --tsv --quiet < /dev/null > asked || stop "this question failed: $1"
    sed '1d; s/	/ /g' asked
}

# number 'SQL': one number, in four digits; nothing, of which no claim holds, where the store has none.
number()
{
    ask "$1" | awk 'NF { printf "%.4g\n", $1 }'
}

# verdict 'TEXT' yes|no
verdict()
{
    count=$((count + 1))
    if [ "$2" = yes ]; then
        echo "ok $count - $1"
    else
        failed=$((failed + 1))
        echo "not ok $count - $1"
    fi
}

holds()
{
    if awk -v a="$2" -v b="$4" "BEGIN { exit !(a != \"\" && b != \"\" && a + 0 $3 b + 0) }"; then
        verdict "$1 ($2 $3 $4)" yes
    else
        verdict "$1 (not so: $2 $3 $4)" no
    fi
}

within()
{
    if awk -v x="$3" -v low="$2" -v high="$4" 'BEGIN { exit !(x != "" && x + 0 >= low + 0 && x + 0 <= high + 0) }'; then
        verdict "$1 ($3 in $2 .. $4)" yes
    else
        verdict "$1 (not so: $3 in $2 .. $4)" no
    fi
}

seen()
{
    echo "# seen: $*"
}

figure()
{
    name=${part}_$1
    shift
    shown plot "$@" -o "$name.png"
    "$program" plot "$@" --store $store --dpi 150 -o "$out/$name.png" > measured 2>&1 < /dev/null || {
        cat measured >&2
        stop "this figure failed: $name"
    }
}

# change RUN RUN METRIC: the mean over all that a prompt has of it, second run less first, paired by prompt.
change()
{
    ask "WITH a AS (SELECT prompt, avg(value) AS v FROM value_list WHERE run = $1 AND metric = '$3' GROUP BY prompt),
        b AS (SELECT prompt, avg(value) AS v FROM value_list WHERE run = $2 AND metric = '$3' GROUP BY prompt),
        d AS (SELECT b.v - a.v AS d FROM a JOIN b USING (prompt)),
        m AS (SELECT avg(d) AS mean, count(*) AS n FROM d),
        s AS (SELECT mean, 1.96 * sqrt(sum((d - mean) * (d - mean)) / (n - 1) / n) AS half FROM d, m)
        SELECT printf('%.4f', mean) AS mean, printf('%.4f', mean - half) AS low, printf('%.4f', mean + half) AS high FROM s"
}

# share A B: A times B, as a part of B.
share()
{
    awk -v a="$1" -v b="$2" 'BEGIN { print a * b }'
}

# even T: what attention that is spread evenly over the keys that a query sees gives to key 0, mean over T queries.
even()
{
    awk -v n="$1" 'BEGIN { for (i = 1; i <= n; i++) h += 1 / i; printf "%.4f", h / n }'
}

# rank_correlation: Spearman's coefficient of the two columns on standard input.
rank_correlation()
{
    sort -g -k 1,1 | awk '{ print NR, $2 }' | sort -g -k 2,2 | awk '
        { d = $1 - NR; sum += d * d }
        END { printf "%.3f\n", 1 - 6 * sum / (NR * (NR * NR - 1)) }'
}
