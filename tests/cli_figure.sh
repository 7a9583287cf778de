#!/bin/sh
# plot and view: figures of stored rows, provenance inside, clear words where rows are missing.
. "${srcdir:-.}/tests/cli_lib.sh"
db=$tmp/heads.db
run run "$model" --prompt "It was a dark night, and the old man saw the dark night" --store "$db" --maps L1H3 --metrics sink,induction,entropy
exits 0 "a run with a map"

run plot head_map --head L1H3 --store "$db" -o "$tmp/map.png"
exits 0 "plot head_map"
out_has "$tmp/map.png" "prints the name of the file"
check "a PNG" test "$(dd if="$tmp/map.png" bs=1 skip=1 count=3 2> /dev/null)" = PNG
for key in Software Command Figure-Command Run Model Model-SHA256 Version; do
    check "text chunk $key" grep -q -a "tEXt$key\|zTXt$key\|iTXt$key" "$tmp/map.png"
done
check "with the model's digest" grep -q -a "$(sha256sum < "$model/model.safetensors" | cut -c1-64)" "$tmp/map.png"
run plot head_map --head L1H3 --store "$db" -o "$tmp/map2.png" --quiet
run sql --store "$db" --csv "SELECT recipe, path FROM figure ORDER BY id"
out_has "head_map,$tmp/map.png" "the store remembers the figure"
run plot score_grid --metric sink --store "$db" -o "$tmp/grid.png"
exits 0 "plot score_grid"
(cd "$tmp" && case $attnscope in /*) a=$attnscope ;; *) a=$OLDPWD/$attnscope ;; esac &&
    "$a" plot score_grid --metric entropy --store "$db" > out 2> err)
check "a name made of recipe, metric and run" test -s "$tmp/score_grid-entropy-run1.png"

check "the bar of sink says what it is" sh -c '"$1" plot score_grid --metric sink --store "$2" -o "$3" > /dev/null && grep -q "alpha (mean attention weight)" "$3"' sh "$attnscope" "$db" "$tmp/grid.svg"
run run "$model" --prompt "北京 🦉" --store "$tmp/pieces.db" --maps L0H0 --metrics max
run plot head_map --store "$tmp/pieces.db" -o "$tmp/pieces.svg"
exits 0 "characters that are several tokens"
check "stand with the first of them" grep -q '>[^<]*北</text>' "$tmp/pieces.svg"
check "the others are marked" grep -q '>…' "$tmp/pieces.svg"
check "and none is a byte" sh -c '! grep -q "\\\\x[0-9A-F][0-9A-F]" "$1"' sh "$tmp/pieces.svg"

run view head_map --store "$db"
exits 0 "view takes the only map there is"
check "in plain ASCII for a pipe" test -z "$(LC_ALL=C tr -d '\n -~' < "$tmp/out")"
check "with the tokens" grep -q 'night' "$tmp/out"
run view score_grid --metric induction --store "$db"
exits 0 "view score_grid"
"$attnscope" --color always view score_grid --metric induction --store "$db" > "$tmp/out" 2> "$tmp/err"
check "colours when they are asked for" grep -q "$(printf '\033\\[')" "$tmp/out"

run view score_grid --store "$db"
refuses 2 "several metrics" "which metric?"
check "names them" grep -q 'entropy, induction, sink' "$tmp/err"
run view score_grid --metric distance --store "$db"
refuses 1 "no values of distance" "values that were not measured"
check "names the command that measures them" grep -q 'run .*--metrics distance' "$tmp/err"
run view score_grid --metric sink --position 3 --store "$db"
refuses 2 "no sink at position 3" "a position that was not measured"
run plot head_map --head L0H0 --store "$db" -o "$tmp/x.png"
refuses 1 "no map of L0H0 (it holds L1H3)" "a map that was not kept"
check "names the command that keeps it" grep -q 'run .*--maps L0H0' "$tmp/err"
run plot head_map --head L7H0 --store "$db" -o "$tmp/x.png"
refuses 2 "layer 7 out of range (model has 4 layers)" "a layer out of range"
run plot head_map --head L1H3 --store "$db" -o "$tmp/no/folder/x.png"
exits 1 "an output in a folder that is not there"
run plot head_map --head L1H3 --store "$db" -o "$tmp/x.bmp"
exits 2 "a kind of file that is not known"
check "no file is left" test ! -e "$tmp/x.png" -a ! -e "$tmp/x.bmp"
plan
