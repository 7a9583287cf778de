#!/bin/sh
# What is written from the command table: completion for the system's shells, manual pages, explain.
. "${srcdir:-.}/tests/cli_lib.sh"

# --- explain ---
run explain sink
exits 0 "explain: a metric"
for field in formula definition reading traps cost source citation; do
    check "explain: $field" grep -q "^$field  " "$tmp/out"
done
run explain Induction head
out_has "term          induction-head" "explain: a term in two words"
run explain GQA
out_has "term          gqa" "explain: case does not matter"
run explain score-grid zero
out_has "figure        score_grid" "explain: a figure"
out_has "edit          zero" "explain: an edit beside it"
run explain sonk
refuses 2 'did you mean "sink"?' "explain: a near miss"
run explain census
refuses 2 '`help census` tells of it' "explain: a command is help's"
run help gqa
refuses 2 '`explain gqa` tells of it' "help: a term is explain's"
run explain sink --bib
out_has "@inproceedings{gu2025sink," "explain --bib: an entry"
out_has "eprint        = {2410.10781}" "explain --bib: its number at arXiv"
check "explain --bib: each work once" test "$(grep -c '^@' "$tmp/out")" -eq 3
run explain --bib
check "explain --bib: braces are closed" awk '{ n += gsub(/\{/, "") - gsub(/\}/, ""); if (n < 0) exit 1 } END { exit n != 0 }' "$tmp/out"
check "explain --bib: all of them" test "$(grep -c '^@' "$tmp/out")" -gt 40
check "explain --bib: keys are unique" test -z "$(grep '^@' "$tmp/out" | sort | uniq -d)"
run explain
sed -nE 's/^  ([a-z][a-z-]*) .*/\1/p' "$tmp/out" > "$tmp/terms"
for term in $(cat "$tmp/terms"); do
    "$attnscope" explain "$term" > "$tmp/one" 2>&1 || echo "$term" >> "$tmp/bad"
done
check "explain: there are terms" test "$(grep -c . "$tmp/terms")" -gt 25
check "explain: every term of the list" test ! -e "$tmp/bad"

# What the terms name is there: metrics and commands in "look with".
"$attnscope" list metrics --tsv | cut -f 1 > "$tmp/known"
"$attnscope" explain $(cat "$tmp/terms") --tsv | awk -F '\t' '$3 == "look with" { print $4 }' |
    sed 's/`[^`]*`//g' | grep -oE '\b[a-z]+(_[a-z]+)+\b' | sort -u | grep -vxFf "$tmp/known" > "$tmp/unknown"
check "explain: terms name metrics that there are" test ! -s "$tmp/unknown"
told "$tmp/unknown"

# --- manual pages ---
"$attnscope" help --man > "$tmp/attnscope.1"
for verb in $("$attnscope" list commands --tsv | tail -n +2 | cut -f 1); do
    "$attnscope" help "$verb" --man > "$tmp/attnscope-$verb.1" || echo "$verb" >> "$tmp/no_page"
done
check "every command has its page" test ! -e "$tmp/no_page"
"$attnscope" help json --man > "$tmp/attnscope-json.7"
check "the page of --json has every schema" test "$(grep -c '^\.SS attnscope' "$tmp/attnscope-json.7")" -gt 55
run help nonsense --man
refuses 2 'no manual page for "nonsense"' "help --man: not of what is no command"
if command -v mandoc > /dev/null 2>&1; then
    mandoc -T lint "$tmp"/attnscope*.[17] 2>&1 | grep -v 'STYLE\|missing date' > "$tmp/lint"
    check "mandoc finds nothing in the pages" test ! -s "$tmp/lint"
    told "$tmp/lint"
else
    skip "mandoc finds nothing in the pages" "no mandoc"
fi
if command -v groff > /dev/null 2>&1; then
    for width in 80 40; do
        # What cannot be broken is longer than a narrow line: commands in examples, lists of words.
        groff -man -Tutf8 -ww -rLL=${width}n "$tmp"/attnscope*.[17] 2>&1 > "$tmp/set" | grep -v "can't break line\|cannot break line" > "$tmp/warned"
        check "groff warns of nothing at $width columns" test ! -s "$tmp/warned"
        told "$tmp/warned"
    done
else
    skip "groff warns of nothing" "no groff"
fi

# --- completion ---
"$attnscope" help --bash-completion > "$tmp/attnscope.bash"
mkdir "$tmp/zsh" "$tmp/files"
"$attnscope" help --zsh-completion > "$tmp/zsh/_attnscope"
"$attnscope" help --fish-completion > "$tmp/attnscope.fish"

# bash_words WORD...: what bash offers for the last
cat > "$tmp/ask.bash" <<'END'
. "$1"; shift
COMP_WORDS=(attnscope "$@"); COMP_CWORD=$#
_attnscope
printf '%s\n' "${COMPREPLY[@]}"
END
# offers SHELL DESCRIPTION WORDS: all of them stand in $tmp/offered, in lines of their own (or at their start)
offers()
{
    for word in $3; do
        grep -qE -- "^$word([	 ]|\$)" "$tmp/offered" && continue
        not_ok "$1: $2"
        echo "# not offered: $word"
        told "$tmp/offered"
        return
    done
    ok "$1: $2"
}
if command -v bash > /dev/null 2>&1; then
    bash_words() { bash --norc "$tmp/ask.bash" "$tmp/attnscope.bash" "$@" > "$tmp/offered"; }
    bash_words exp
    offers bash "verbs" "explain export"
    bash_words run --entropy-rows ""
    offers bash "choices of an option" "mean last each"
    bash_words run --metrics sink,entr
    offers bash "the next word of a list" "sink,entropy sink,entropy_bound"
    bash_words --store x.db plot score
    offers bash "figures, behind an option of the program" "score_grid score_curve"
    bash_words explain induction-
    offers bash "terms" "induction-head"
    bash_words list ed
    offers bash "what list lists" "edits"
    bash_words run --no-sp
    offers bash "flags that are on" "--no-special"
else
    skip "completion of bash" "no bash"
fi
if command -v fish > /dev/null 2>&1; then
    fish_words() { fish --no-config -c "source $tmp/attnscope.fish; complete -C '$1'" > "$tmp/offered" 2>&1; }
    fish_words 'attnscope exp'
    offers fish "verbs" "explain export"
    fish_words 'attnscope run --entropy-rows '
    offers fish "choices of an option" "mean last each"
    check "without the help of the option beside each" sh -c '! grep -q "$(printf "\t")" "$1"' sh "$tmp/offered"
    fish_words 'attnscope run --entropy-ro'
    check "which is beside the option" grep -q "^--entropy-rows	mean over all queries" "$tmp/offered"
    fish_words 'attnscope report 1 --sections ov'
    offers fish "sections of a report" "overview"
    fish_words 'attnscope run --metrics sink,entr'
    offers fish "the next word of a list" "sink,entropy sink,entropy_bound"
    fish_words 'attnscope --store x.db plot score'
    offers fish "figures, behind an option of the program" "score_grid score_curve"
    fish_words 'attnscope explain induction-'
    offers fish "terms" "induction-head"
    fish_words 'attnscope run --no-sp'
    offers fish "flags that are on" "--no-special"
else
    skip "completion of fish" "no fish"
fi
if command -v zsh > /dev/null 2>&1; then
    zsh_words() { zsh -f "$srcdir/tests/zsh_complete.zsh" "$tmp/zsh" "$1" "$2" | tr -d '\r' > "$tmp/offered"; }
    check "zsh: the script is well-formed" zsh -n "$tmp/zsh/_attnscope"
    zsh_words 'attnscope exp' 'export '
    offers zsh "verbs" "explain export"
    zsh_words 'attnscope run --entropy-rows ' 'last'
    check "zsh: choices of an option" grep -q 'each *last *mean' "$tmp/offered"
    zsh_words 'attnscope plot score' 'score_grid'
    check "zsh: figures" grep -q 'score_curve *score_grid' "$tmp/offered"
    zsh_words 'attnscope run --no-sp' 'special'
    check "zsh: flags that are on" grep -q -- '--no-sp' "$tmp/offered"
else
    skip "completion of zsh" "no zsh"
fi

run help
check "the overview says where to begin" grep -qF 'docs/tutorial.md' "$tmp/out"
run help dump
check "a label that fills its column stands alone" grep -qx '  --quantize-embeddings' "$tmp/out"
plan
