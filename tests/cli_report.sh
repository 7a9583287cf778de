#!/bin/sh
# report: stored runs as HTML, Markdown and PDF; hostile texts, templates, several runs, a browser.
. "${srcdir:-.}/tests/cli_lib.sh"
db=$tmp/heads.db
case $srcdir in /*) root=$srcdir ;; *) root=$(pwd)/$srcdir ;; esac
page()
{
    python3 "$srcdir/tests/report_page.py" "$@" > "$tmp/page.out" 2>&1
}
# parses FILE DESCRIPTION
parses()
{
    if ! command -v python3 > /dev/null 2>&1; then
        skip "$2" "no python3"
    elif page parse "$1"; then
        ok "$2"
    else
        not_ok "$2"
        told "$tmp/page.out"
    fi
}

run report --store "$db" -o "$tmp/none.html"
refuses 3 "no store at" "a store that is not there"
run run "$model" --prompt "It was a dark night, and the old man saw the dark night" --store "$db" --maps L1H3,L1H2 \
    --metrics sink,induction,entropy,received,nll,jsd,top_k_mass
exits 0 "a run"
run census "$model" --builtin --random 2 --trials 4 --store "$db"
exits 0 "a census"
run ablate "$model" --heads L1H2,L1H3 --random 3 --prompt "It was a dark night" --store "$db"
exits 0 "an ablation"

# ---- HTML ----
run report 2 --store "$db" -o "$tmp/census.html"
exits 0 "a report on a census"
out_has "$tmp/census.html" "prints the name of the file"
parses "$tmp/census.html" "it is well formed HTML that loads nothing"
for words in 'Overview' 'Census of the heads' 'Definitions' 'Repeat this' 'L1H3' 'bootstrap' 'aria-label="score_grid'; do
    check "it holds: $words" grep -q "$words" "$tmp/census.html"
done
check "the SHA-256 of the weights" grep -q "$(sha256sum < "$model/model.safetensors" | cut -c1-64)" "$tmp/census.html"
check "the command of the run" grep -q 'attnscope census .*--trials 4' "$tmp/census.html"
check "nothing is left undrawn" sh -c '! grep -q "Not drawn" "$1"' sh "$tmp/census.html"
value=$("$attnscope" sql --store "$db" --csv "SELECT avg(value) FROM head_value WHERE run = 2 AND metric = 'entropy' AND head_name = 'L1H3'
    AND prompt IN (SELECT prompt FROM fact_list WHERE run = 2 AND name = 'set' AND text = 'text')" | tail -n 1 | cut -c1-9)
check "the table has the store's number ($value)" grep -q "data-v=\"$value" "$tmp/census.html"
run report 2 --store "$db" -o "$tmp/census.html"
cp "$tmp/census.html" "$tmp/first.html"
run report 2 --store "$db" -o "$tmp/census.html"
same "$tmp/first.html" "$tmp/census.html" "the same rows give the same bytes"
for verb in 1 3; do
    run report $verb --store "$db" -o "$tmp/r$verb.html"
    exits 0 "a report on run $verb"
    parses "$tmp/r$verb.html" "run $verb: well formed"
done
check "an ablation has its changes" grep -q 'random heads, mean of the sets' "$tmp/r3.html"
check "an ablation has bars" grep -q 'aria-label="ablation_bars' "$tmp/r3.html"
for recipe in head_map received_map position_curve sparsity_curve divergence_matrix layer_curve score_curve; do
    check "a run has $recipe" grep -q "aria-label=\"$recipe" "$tmp/r1.html"
done
run report 1,2 --store "$db" -o "$tmp/both.html"
exits 0 "two runs"
parses "$tmp/both.html" "two runs: well formed"
check "side by side" grep -q '<h2 id="side-by-side">' "$tmp/both.html"
check "and one by one" test "$(grep -c '<h2 id="run-' "$tmp/both.html")" -eq 2
"$attnscope" report 1 --store "$db" -o - --format html > "$tmp/stdout.html" 2> "$tmp/err"
parses "$tmp/stdout.html" "standard output"

# elsewhere: the store alone, no model
mkdir "$tmp/far"
cp "$db" "$tmp/far/moved.db"
(cd "$tmp/far" && case $attnscope in /*) a=$attnscope ;; *) a=$root/$attnscope ;; esac && "$a" report 2 --store moved.db > out 2> err)
check "the store is enough, elsewhere" test -s "$tmp/far/report.html"

# ---- hostile texts ----
cp "$db" "$tmp/evil.db"
run sql --write --store "$tmp/evil.db" "UPDATE prompt SET text = CAST(x'3C7363726970743E616C6572742831293C2F7363726970743E2022273C2F7072653E1B5B326AE280AE FFFE00' AS TEXT)"
run sql --write --store "$tmp/evil.db" "UPDATE unit SET label = CAST(x'3C696D67207372633D78206F6E6572726F723D616C6572742831293E1B5B326DE280AEFFFE' AS TEXT)"
exits 0 "hostile labels"
run sql --write --store "$tmp/evil.db" "UPDATE prompt SET text = CAST(x'3C2F7072653E3C7363726970743E616C6572742831293C2F7363726970743E2226271B5B326DE280AEE2808BFFFE' AS TEXT)"
exits 0 "hostile prompts"
run sql --write --store "$tmp/evil.db" "UPDATE token SET text = CAST(x'3C7363726970743EE280AEFF22' AS TEXT)"
run sql --write --store "$tmp/evil.db" "UPDATE model SET name = '</title><script>alert(1)</script>{{body}}', plan = '0: \"<b>'"
exits 0 "a hostile name"
run report 1 --store "$tmp/evil.db" -o "$tmp/evil.html"
exits 0 "a report on them"
parses "$tmp/evil.html" "they are all text"
check "no script but ours" test "$(grep -c '<script' "$tmp/evil.html")" -eq 1
run report 1 --store "$tmp/evil.db" -o "$tmp/evil.pdf"
exits 0 "and as PDF"
run report 1 --store "$tmp/evil.db" -o "$tmp/evil-md/"
exits 0 "and as Markdown"
# outside of code there is no tag that is not ours
check "no tag in Markdown" sh -c '! awk "/^\`\`\`/ { code = !code } !code" "$1" | sed "s/\`[^\`]*\`//g" | grep "<script\|<img"' sh \
    "$tmp/evil-md/report.md"
check "no control characters in Markdown" sh -c '! LC_ALL=C grep -q "[[:cntrl:]]" "$1"' sh "$tmp/evil-md/report.md"

# ---- Markdown ----
run report 1 --store "$db" -o "$tmp/md/" --png
exits 0 "Markdown"
check "report.md" grep -q '^## Overview' "$tmp/md/report.md"
missing=
for file in $(grep -o '](figures/[^)]*)' "$tmp/md/report.md" | tr -d ']()'); do
    [ -s "$tmp/md/$file" ] && [ -s "$tmp/md/${file%.svg}.png" ] || missing="$missing $file"
done
check "every figure as SVG and PNG" test -z "$missing" -a -n "$(ls "$tmp/md/figures")"
run report 1 --store "$db" -o "$tmp/md/"
refuses 1 "holds a report already" "a report is not replaced unasked"
run report 1 --store "$db" -o "$tmp/md" --force --format markdown
exits 0 "but with --force"
check "without what was there before" test -z "$(ls "$tmp/md/figures" | grep png)"
mkdir "$tmp/mine"
echo precious > "$tmp/mine/notes.txt"
run report 1 --store "$db" -o "$tmp/mine/" --force
refuses 1 "is no report of attnscope" "another folder is never replaced"
check "and keeps its files" grep -q precious "$tmp/mine/notes.txt"

# ---- PDF ----
run report 2 --store "$db" -o "$tmp/a.pdf"
exits 0 "PDF"
cp "$tmp/a.pdf" "$tmp/b.pdf"
run report 2 --store "$db" -o "$tmp/a.pdf"
same "$tmp/a.pdf" "$tmp/b.pdf" "the same bytes"
check "no date inside" sh -c '! grep -aq CreationDate "$1"' sh "$tmp/a.pdf"
if command -v pdftotext > /dev/null 2>&1; then
    pdftotext -layout "$tmp/a.pdf" "$tmp/a.txt"
    check "text is text" grep -q 'Census of the heads' "$tmp/a.txt"
    check "with all heads" grep -q 'L3H7' "$tmp/a.txt"
    check "a page is A4" sh -c 'pdfinfo "$1" | grep -q "595.* x 841"' sh "$tmp/a.pdf"
    run report 2 --store "$db" --paper-size letter -o "$tmp/letter.pdf"
    check "or letter" sh -c 'pdfinfo "$1" | grep -q "612 x 792"' sh "$tmp/letter.pdf"
else
    skip "text is text" "no pdftotext"
fi

# ---- templates ----
for template in short paper kv-cache; do
    run report 2 --store "$db" --template "$srcdir/examples/report/$template.report" -o "$tmp/$template.html"
    exits 0 "template $template"
    parses "$tmp/$template.html" "template $template: well formed"
done
check "short has no methods" sh -c '! grep -q "<h2 id=\"methods\"" "$1"' sh "$tmp/short.html"
check "kv-cache has its heading" grep -q '<h1>What the key/value cache is read for</h1>' "$tmp/kv-cache.html"
run report 2 --store "$db" --page "$srcdir/examples/report/plain.html" --heading 'My "own" <title>' -o "$tmp/plain.html"
exits 0 "a page of one's own"
check "with its heading as text" grep -q '<title>My &quot;own&quot; &lt;title&gt;</title>' "$tmp/plain.html"
printf 'grids = 3\n\nsectoins = overview\n' > "$tmp/bad.report"
run report 2 --store "$db" --template "$tmp/bad.report" -o "$tmp/x.html"
refuses 3 "bad.report:3: 'sectoins' is no option" "an option that is none"
check "names the nearest" grep -q 'did you mean sections' "$tmp/err"
printf '# ok\ncmap = rainbow\n' > "$tmp/bad.report"
run report 2 --store "$db" --template "$tmp/bad.report" -o "$tmp/x.html"
refuses 3 "bad.report:2:" "a value that is none"
printf 'sections overview\n' > "$tmp/bad.report"
run report 2 --store "$db" --template "$tmp/bad.report" -o "$tmp/x.html"
refuses 3 "bad.report:1:" "a line that is none"
printf '<p>{{title}}\n{{bdoy}}{{body}}\n' > "$tmp/bad.html"
run report 2 --store "$db" --page "$tmp/bad.html" -o "$tmp/x.html"
refuses 3 "line 2: no part of a report is called 'bdoy'" "a place that is none"
echo '<p>' > "$tmp/bad.html"
run report 2 --store "$db" --page "$tmp/bad.html" -o "$tmp/x.html"
refuses 3 "has no {{body}}" "a page without a body"

# ---- wrong words ----
run report 99 --store "$db" -o "$tmp/x.html"
refuses 2 "no run 99" "a run that is not there"
run report 1 1 --store "$db" -o "$tmp/x.html"
refuses 2 "named twice" "a run named twice"
run report 1 --store "$db" -o "$tmp/x.docx"
refuses 2 "does not say what to write" "a kind of file that is not known"
run report 1 --store "$db" --sections overview,figurs -o "$tmp/x.html"
refuses 2 "no section of a report is called 'figurs'" "a section that is not known"
run report 1 --store "$db" -o "$tmp/no/folder/x.html"
exits 1 "a folder that is not there"
check "nothing is left behind" test ! -e "$tmp/x.html" -a -z "$(ls -a "$tmp" | grep 'tmp$')"

# ---- a browser ----
mkdir "$tmp/shots"
if ! command -v python3 > /dev/null 2>&1; then
    skip "a browser shows it, narrow and wide, light and dark" "no python3"
else
    page browse "$tmp/census.html" "$tmp/shots"
    case $? in
    0) ok "a browser shows it, narrow and wide, light and dark" ;;
    77) skip "a browser shows it, narrow and wide, light and dark" "$(head -n 1 "$tmp/page.out")" ;;
    *)
        not_ok "a browser shows it, narrow and wide, light and dark"
        told "$tmp/page.out"
        ;;
    esac
fi

# ---- what experiments found ----
printf 'The cat sat on the mat and looked at the dog.\nA storm came over the hills at night.\nShe was the king of the land.\n' > "$tmp/lines.txt"
x=$tmp/x.db
run patch "$model" --clean "It was a dark night, and the old man" --corrupted "It was a cold night, and the old man" --answer " was" \
    --wrong " had" --what resid --store "$x"
exits 0 "a patch"
run drop "$model" --prompts "$tmp/lines.txt" --store "$x"
exits 0 "a drop"
run calibrate "$model" --heads L1H2,L1H3 --prompts "$tmp/lines.txt" --store "$x"
exits 0 "a calibration"
run scale "$model" --heads L1H2,L1H3 --gammas .5,2 --prompts "$tmp/lines.txt" --store "$x"
exits 0 "a scale"
run influence "$model" --heads L1H2 --prompts "$tmp/lines.txt" --store "$x"
exits 0 "an influence"
run run "$model" --prompt "It was a dark night, and the old man saw the dark night" --metrics logit_lens_kl,sink,induction --maps all --store "$x"
exits 0 "a lens and maps"
for id in 1 2 3 4 5 6; do
    run report $id --store "$x" -o "$tmp/x$id.html"
    exits 0 "a report on it ($id)"
    parses "$tmp/x$id.html" "well formed ($id)"
    check "all is drawn ($id)" sh -c '! grep -q "Not drawn" "$1"' sh "$tmp/x$id.html"
    check "no escaped line feed ($id)" sh -c '! grep -qF "\n" "$1" || ! grep -F "\n" "$1" | grep -q "<p>"' sh "$tmp/x$id.html"
    check "no backtick in prose ($id)" sh -c '! grep "^<p>" "$1" | grep -q "\`"' sh "$tmp/x$id.html"
done
check "options are code" grep -q '<code>--direction</code>' "$tmp/x1.html"
check "patch: the strongest place" grep -q 'strongest patch_resid of 44 places: L' "$tmp/x1.html"
check "patch: a heat figure" grep -q 'aria-label="score_grid' "$tmp/x1.html"
check "patch: the corrupted prompt" grep -q 'It was a cold night, and the old man' "$tmp/x1.html"
check "patch: its answer" grep -q '<td class="t s"> had</td>' "$tmp/x1.html"
check "patch: one pair, one row" test "$(grep -c '<td class="t s">pair 0</td>' "$tmp/x1.html")" -eq 1
check "drop: effect with interval" grep -q 'change of loss, the largest and the smallest of 2: .* nats a token (95 % interval' "$tmp/x2.html"
check "calibrate: bars" grep -q 'aria-label="ablation_bars' "$tmp/x3.html"
check "scale: a grid" grep -q 'change of loss \(.\|..\) lantern' "$tmp/x4.html"
check "influence: its mean" grep -q 'mean influence (relative change of loss)' "$tmp/x5.html"
check "lens: layer by position" grep -q 'mean logit_lens_kl over positions is' "$tmp/x6.html"
check "maps of heads that are named" grep -q 'plot head_map --run 6 --prompt 0 --head L2H5' "$tmp/x6.html"
check "figures to be repeated" sh -c 'sed "1,/id=\"repeat-this\"/d" "$1" | grep -q "^attnscope plot score_grid --run 6 --metric sink"' sh "$tmp/x6.html"
run report 1 --store "$x" -o "$tmp/x1.pdf"
exits 0 "patch as PDF"
if command -v pdftotext > /dev/null 2>&1; then
    pdftotext -layout "$tmp/x1.pdf" "$tmp/x1.txt"
    check "PDF: prose without marks" sh -c '! grep -q "\`\|\\\\n" "$1"' sh "$tmp/x1.txt"
else
    skip "PDF: prose without marks" "no pdftotext"
fi
run report 1 --store "$x" -o "$tmp/x1-md/"
check "Markdown: options are code" grep -q '`--direction`' "$tmp/x1-md/report.md"

# ---- a full disk ----
if (ulimit -f 64) 2> /dev/null; then
    mkdir "$tmp/small"
    (ulimit -f 64 && trap '' XFSZ && "$attnscope" report 6 --store "$x" --png --dpi 300 -o "$tmp/small/d/") > "$tmp/out" 2> "$tmp/err" < /dev/null
    check "what cannot be written is named as it was given" grep -q 'small/d/' "$tmp/err"
    check "and not by a temporary name" sh -c '! grep -q "[.]tmp/" "$1"' sh "$tmp/err"
    check "nothing stays" test -z "$(ls -A "$tmp/small")"
fi

# ---- several checkpoints ----
run convert "$model" -o "$tmp/second" --dtype f16
exits 0 "another checkpoint"
batch()
{
    ATTNSCOPE=$attnscope CENSUS="--random 1 --trials 2" sh "$srcdir/examples/scripts/batch-report" "$@" \
        > "$tmp/out" 2> "$tmp/err" < /dev/null
    status=$?
}
batch -o "$tmp/batch" -p "$srcdir/examples/prompts/story.txt" "$model" "$tmp/second"
exits 0 "batch-report on two checkpoints"
for name in lantern-3m second compare; do
    parses "$tmp/batch/$name.html" "batch-report: $name.html"
done
cp "$tmp/batch/compare.html" "$tmp/before.html"
batch -o "$tmp/batch" "$model" "$tmp/second"
exits 1 "it does not mix with an earlier call unasked"
batch --resume -o "$tmp/batch" -p "$srcdir/examples/prompts/story.txt" "$model" "$tmp/second"
exits 0 "batch-report --resume"
same "$tmp/before.html" "$tmp/batch/compare.html" "changes nothing that is there"
run sql --store "$tmp/batch/heads.db" --csv "SELECT count(*) AS n FROM run"
check "and runs nothing again" test "$(tail -n 1 "$tmp/out")" -eq 4
batch -o "$tmp/twice" "$model" "$tmp/second" "$model/"
exits 2 "a checkpoint named twice"
check "is said before the work" test ! -e "$tmp/twice"
batch
exits 2 "batch-report without a checkpoint"
plan
