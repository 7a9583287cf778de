#!/bin/sh
# Heat maps of stored rows: grids of thumbnails, what keys receive, matrices between heads, facets, themes, captions.
. "${srcdir:-.}/tests/cli_lib.sh"
db=$tmp/heads.db
run run "$model" --prompt "It was a dark night, and the old man saw the dark night" --store "$db" --maps all --metrics sink,induction,entropy,received,jsd,jsd_layers,row_cosine,layer_similarity
exits 0 "a run with all maps"
run run "$model" --prompt "She opened the old book and read the first page" --store "$db" --maps L1H3,L2H5 --metrics sink,received
exits 0 "a second run"
run weights "$model" --metrics composition_k --store "$db"
exits 0 "values of weights"

# draws NAME WORD... : plot into a file and show in a terminal
draws()
{
    name=$1
    shift
    run plot "$@" --store "$db" -o "$tmp/$name.svg"
    exits 0 "plot $name"
    check "$name: a file" test -s "$tmp/$name.svg"
    run view "$@" --store "$db"
    exits 0 "view $name"
    check "$name: plain ASCII for a pipe" test -z "$(LC_ALL=C tr -d '\n -~' < "$tmp/out")"
}
svg_has()
{
    check "$3" grep -q -- "$2" "$tmp/$1.svg"
}

draws grid head_grid --run 1
svg_has grid '>L3</text>' "layers at the side"
svg_has grid '>H7</text>' "heads below"
svg_has grid 'log10, floor 1e-4' "the bar says which colours"
svg_has grid 'not visible' "masked cells have a key"
svg_has grid 'between groups of 2 heads that share keys and values' "groups of heads are marked"
check "32 maps and a bar" test "$(grep -c '<image' "$tmp/grid.svg")" -eq 33
run plot head_grid --run 1 --head L0-1H0-3,L2H5 --store "$db" -o "$tmp/some.svg"
exits 0 "chosen heads"
check "9 maps of a grid of 3 x 5" test "$(grep -c '<image' "$tmp/some.svg")" -eq 10
svg_has some 'no map stored' "empty places have a key"
run plot head_grid --run 2 --store "$db" -o "$tmp/two.png"
exits 0 "a run with few maps"
check "says how many there are" grep -q 'holds 2 of 32 maps' "$tmp/err"
check "and what keeps all" grep -q -- '--maps all' "$tmp/err"
run plot head_grid --run 2 --head L0H0 --store "$db" -o "$tmp/x.png"
refuses 1 "no map of L0H0 (it holds 2 others)" "a map that was not kept"
check "names the command" grep -q 'run .*--maps all' "$tmp/err"
run plot head_grid --run 3 --store "$db" -o "$tmp/x.png"
refuses 1 "run 3 holds no attention map" "no maps at all"
check "names the command, too" grep -q 'run .*--maps all' "$tmp/err"
run plot head_grid --run 1 --head X1 --store "$db" -o "$tmp/x.png"
refuses 2 "'X1' names no head" "a head that is none"

draws received received_map --run 1
svg_has received 'attention received, log10, floor 1e-4' "logarithmic colours by default"
svg_has received 'mean over the heads of a layer' "the aggregation is stated"
svg_has received 'night</text>' "tokens as labels"
draws received_heads received_map --run 1 --head 'L1H*'
svg_has received_heads '>L1H7</text>' "heads as rows"
run plot received_map --run 1 --norm linear --store "$db" -o "$tmp/linear.svg"
exits 0 "linear colours"
check "are not logarithmic" sh -c '! grep -q log10 "$1"' sh "$tmp/linear.svg"
run plot received_map --run 3 --store "$db" -o "$tmp/x.png"
refuses 1 "no values of received" "nothing received"
check "names the metric and the store" grep -q -- "--metrics received --store $db" "$tmp/err"

draws jsd divergence_matrix --run 1 --metric jsd
svg_has jsd '>(d) layer 3</text>' "a panel for each layer"
svg_has jsd 'Jensen-Shannon divergence (nats)' "quantity and unit"
svg_has jsd 'heads that share keys and values' "groups of heads are marked"
svg_has jsd 'itself' "the diagonal has a key"
draws one divergence_matrix --run 1 --metric jsd --layer 2
svg_has one 'every other head of the layer, layer 2' "one layer, in words"
draws all divergence_matrix --run 1 --metric jsd_layers
svg_has all 'between layers' "layers are marked"
svg_has all '>L3H[0-9]</text>' "heads of all layers"
check "titles are words" sh -c '! grep -q ">jsd_layers" "$1"' sh "$tmp/all.svg"
draws clustered divergence_matrix --run 1 --metric jsd_layers --order clustered --linkage complete
svg_has clustered 'clustered order (complete linkage)' "the order is stated"
draws layers divergence_matrix --run 1 --metric layer_similarity
draws cosine divergence_matrix --run 1 --metric row_cosine --order clustered
svg_has cosine '>[L1H]*5 kv2</text>' "a head out of its place says with whom it shares keys and values"
svg_has cosine 'kv: heads that share keys and values' "and the page what that means"
draws composition divergence_matrix --run 3
svg_has composition 'head that writes' "who writes"
svg_has composition 'not an earlier head' "what has no value"
run plot divergence_matrix --run 3 --order clustered --store "$db" -o "$tmp/x.png"
refuses 1 "they have no clustered order" "half a matrix"
run plot divergence_matrix --run 1 --store "$db" -o "$tmp/x.png"
refuses 2 "which?" "several metrics"
check "names them" grep -q 'jsd, jsd_layers, layer_similarity, row_cosine' "$tmp/err"
run plot divergence_matrix --run 2 --store "$db" -o "$tmp/x.png"
refuses 1 "no values of jsd or its like" "nothing between heads"
check "names the command that makes them" grep -q 'run .*--metrics jsd' "$tmp/err"
run plot divergence_matrix --run 1 --metric composition_v --store "$db" -o "$tmp/x.png"
refuses 1 "no values of composition_v" "values of weights that are not there"
check "come from weights" grep -q 'weights .*--metrics composition_v' "$tmp/err"
run plot divergence_matrix --run 1 --metric sink --store "$db" -o "$tmp/x.png"
refuses 2 "sink has no values between heads or layers" "a metric of single heads"
run plot divergence_matrix --run 1 --metric jsd --layer 9 --store "$db" -o "$tmp/x.png"
refuses 2 "no jsd between heads of layer 9" "a layer out of range"

# the pair of heads with the smallest value has the first character of the ramp, that with the largest the last
run view divergence_matrix --run 1 --metric jsd --layer 2 --store "$db"
cp "$tmp/out" "$tmp/matrix"
cell_of() # ASC|DESC CHARACTER DESCRIPTION
{
    set -- "$2" "$3" $("$attnscope" sql --store "$db" --csv "SELECT head, position - 16 FROM head_value WHERE run = 1 AND metric = 'jsd' AND layer = 2 ORDER BY value $1 LIMIT 1" | tail -n 1 | tr ',' ' ')
    check "$2" test "$(grep "^$3 " "$tmp/matrix" | cut -c$((2 * $4 + 3)))" = "$1"
}
cell_of ASC . "the most alike heads stand where their numbers say"
cell_of DESC @ "and the least alike"

draws facet_heads head_map --run 1 --facet L0H0,L1H3
svg_has facet_heads '>(b) L1H3</text>' "panels are named"
check "two maps and one bar" test "$(grep -c '<image' "$tmp/facet_heads.svg")" -eq 3
run plot head_map --run 1 --facet L0H0,L1H3 --caption --width double --store "$db" -o "$tmp/both.svg"
svg_has both 'attention weights of L0H0, L1H3;' "the caption names all panels"
draws facet_metrics score_grid --run 1 --facet sink,induction
draws facet_runs score_grid --metric sink --facet 1,2
svg_has facet_runs '>(b) run 2' "runs are named"
check "both runs are in the provenance" grep -q '1; 2' "$tmp/facet_runs.svg"
draws facet_received received_map --facet 1,2
run plot score_grid --run 1 --facet sink,entropy --store "$db" -o "$tmp/x.png"
refuses 2 "different units" "one bar for two units"
run plot score_grid --run 1 --facet sink,3 --store "$db" -o "$tmp/x.png"
refuses 2 "not of one sort" "mixed facets"
run plot divergence_matrix --facet jsd_layers,row_cosine --run 1 --store "$db" -o "$tmp/x.png"
refuses 2 "different units" "matrices of two units"
run plot score_grid --metric sink --facet 1,2 --labels night,book --store "$db" -o "$tmp/named.svg"
exits 0 "facets with names"
svg_has named '>(b) book</text>' "stand above the panels"
run plot score_grid --metric sink --facet 1,2 --labels night --store "$db" -o "$tmp/x.png"
refuses 2 "--labels names 1 run, --facet 2" "a name too few"
run plot head_map --run 1 --facet sink --store "$db" -o "$tmp/x.png"
refuses 2 "has no facets by metric" "a facet that the recipe lacks"
run plot head_grid --run 1 --facet L0H0 --store "$db" -o "$tmp/x.png"
refuses 2 "head_grid has no facets" "a recipe without facets"
run plot head_map --run 1 --head L0H0 --facet L0H0,L1H3 --store "$db" -o "$tmp/x.png"
refuses 2 "leave --head out" "said twice"
run plot head_map --facet 1,99 --head L1H3 --store "$db" -o "$tmp/x.png"
check "a run that is not there" test "$status" -ne 0

run plot score_grid --metric sink --run 1 --caption --width double --store "$db" -o "$tmp/caption.svg"
exits 0 "a caption"
svg_has caption '1 prompt; at position 0; run 1' "says what was measured"
svg_has caption 'between groups of 2 heads that share keys and values' "groups of heads in the score grid"
printf 'cmap = magma\nwidth = 60\nink = #ff0000\n' > "$tmp/theme"
run plot score_grid --metric sink --run 1 --theme "$tmp/theme" --store "$db" -o "$tmp/themed.svg"
exits 0 "a theme"
svg_has themed 'width="60' "sets the width"
svg_has themed '#ff0000' "and the ink"
printf 'cmap = magma\nwith = 60\n' > "$tmp/theme"
run plot score_grid --metric sink --run 1 --theme "$tmp/theme" --store "$db" -o "$tmp/x.svg"
refuses 2 "line 2: 'with' is no option" "a theme with a slip"
check "asks whether width was meant" grep -q 'did you mean width' "$tmp/err"
echo 'no-title = true' > "$tmp/theme"
run plot score_grid --metric sink --run 1 --theme "$tmp/theme" --store "$db" -o "$tmp/x.svg"
refuses 2 "line 1: 'no-title' is no option" "a negation in a theme"
check "is told how it is written" grep -qF 'write title = false' "$tmp/err"
run plot score_grid --metric sink --run 1 --theme "$tmp/none" --store "$db" -o "$tmp/x.svg"
check "a theme that is not there" test "$status" -ne 0
run plot head_grid --run 1 --cmap jet --store "$db" -o "$tmp/x.png"
exits 2 "an unknown colour map"
check "lists them" grep -q 'viridis' "$tmp/err"
run plot head_grid --run 1 --width 0 --store "$db" -o "$tmp/x.png"
refuses 2 "0 mm is out of range" "a page of no width"
run plot head_grid --run 1 --store "$db" -o "$tmp/no/folder/x.png"
exits 1 "a path that cannot be written"
check "says that the folder is missing" grep -q 'the folder does not exist' "$tmp/err"
if [ -d /proc/self ]; then
    run plot head_grid --run 1 --store "$db" -o /proc/x.png
    refuses 1 "no file can be made in that folder" "a folder that takes no files"
fi
run plot score_grid --metric sink --run 1 --width 20 --store "$db" -o "$tmp/x.png"
refuses 2 "20 mm has no room" "a page narrower than its words"
check "names the option" grep -q -- '--width' "$tmp/err"
run plot head_grid --run 1 --store "$db" -o "$tmp/a.png"
run plot head_grid --run 1 --store "$db" -o "$tmp/b.png"
mv "$tmp/a.png" "$tmp/one.png"
run plot head_grid --run 1 --store "$db" -o "$tmp/a.png"
check "the same bytes once more" cmp -s "$tmp/one.png" "$tmp/a.png"
# a run of several prompts: scores are means, as in charts; what is of one prompt says which
many=$tmp/many.db
printf 'It was a dark night\nShe opened the old book and read it\nThe dog ran\n' > "$tmp/prompts"
run run "$model" --prompts "$tmp/prompts" --metrics entropy,jsd,received --maps L1H3 --store "$many"
exits 0 "a run of three prompts"
run plot score_grid --metric entropy --store "$many" -o "$tmp/mean.svg"
exits 0 "its scores"
svg_has mean 'mean over 3 prompts, run 1' "are the mean over its prompts"
run plot score_grid --metric entropy --prompt 1 --store "$many" -o "$tmp/second.svg"
exits 0 "one prompt"
svg_has second 'prompt 1 of 3, ' "says which"
run view score_grid --metric entropy --store "$many"
check "view says so, too" grep -q 'mean over 3 prompts' "$tmp/out"
# two heads of a run read from the picture: the colour of the highest mean is the last of the map
run sql --store "$many" --csv "SELECT layer, head FROM head_value WHERE metric = 'entropy' AND position IS NULL GROUP BY layer, head ORDER BY avg(value) DESC LIMIT 1"
top=$(tail -n 1 "$tmp/out")
run view score_grid --metric entropy --limits p0,p100 --store "$many"
check "the highest cell has the highest mean" test "$(grep "^ *${top%,*} " "$tmp/out" | head -n 1 | awk -v head="${top#*,}" '{ print substr($(head + 2), length($(head + 2))) }')" = "@"
run plot divergence_matrix --metric jsd --store "$many" -o "$tmp/mean.svg"
svg_has mean 'mean over 3 prompts, run 1' "matrices are means, too"
run plot score_grid --facet 1,1 --metric entropy --store "$many" -o "$tmp/mean.svg"
svg_has mean 'run 1, mean over 3 prompts' "so are facets"
for recipe in received_map head_map head_grid; do
    run plot $recipe --store "$many" -o "$tmp/mean.svg"
    svg_has mean 'prompt 0 of 3, ' "$recipe says which prompt"
done
run plot score_grid --metric entropy --prompt 7 --store "$many" -o "$tmp/x.svg"
refuses 1 "no results of prompt 7" "a prompt that is not there"
check "plain softmax is not said" sh -c '! grep -q softmax "$1"' sh "$tmp/second.svg"
# rows that are missing: each recipe names the command that makes them, in a store without runs, of a run of another verb, and of
# one that failed
: > "$tmp/empty.db"
bare=$tmp/bare.db
run run "$model" --prompt "a b c d" --metrics nll --store "$bare"
run run "$model" --prompt "a b c d" --metrics nll --store "$bare"
run sql --store "$bare" --write "UPDATE run SET status = 'failed' WHERE id = 2"
run weights "$model" --metrics ov_rank,composition_k --store "$bare"
exits 0 "runs without what is drawn"
lacks() # RECIPE COMMAND
{
    run plot "$1" --store "$tmp/empty.db" -o "$tmp/x.png"
    refuses 1 "no run yet in $tmp/empty.db" "$1 of a store without runs"
    check "$1: names \`$2\`" grep -q "make one with .$2.* --store" "$tmp/err"
    for of in 1 2; do
        run plot "$1" --run $of --store "$bare" -o "$tmp/x.png"
        refuses 1 "run $of h" "$1 of run $of"
        check "$1 of run $of: names \`$2\`" grep -q "make .* with .${2%% *} .*${2#* MODEL}" "$tmp/err"
    done
}
lacks ablation_bars "ablate MODEL --heads"
lacks divergence_matrix "run MODEL --prompt TEXT --metrics jsd"
lacks head_grid "run MODEL --prompt TEXT --maps all"
lacks head_map "run MODEL --prompt TEXT --maps L0H0"
lacks layer_curve "run MODEL --prompt TEXT"
lacks needle_grid "needle MODEL"
lacks norm_profile "run MODEL --prompt TEXT --metrics massive_top"
lacks position_curve "run MODEL --prompt TEXT --metrics received"
lacks received_map "run MODEL --prompt TEXT --metrics received"
lacks score_curve "run MODEL --prompt TEXT"
lacks score_grid "run MODEL --prompt TEXT"
lacks sparsity_curve "run MODEL --prompt TEXT --metrics top_k_mass"
for recipe in score_grid score_curve layer_curve; do
    run plot $recipe --run 1 --metric copying --store "$bare" -o "$tmp/x.png"
    check "$recipe: values of weights come from weights" grep -q 'make them with .weights .*--metrics copying' "$tmp/err"
    run plot $recipe --run 1 --metric sinks --store "$bare" -o "$tmp/x.png"
    refuses 2 "no metric is called 'sinks'" "$recipe of a metric that is none"
done
# the metrics of weights are a unit each
run plot score_grid --run 3 --metric ov_rank --store "$bare" -o "$tmp/weights.svg"
exits 0 "a metric of the first unit"
run plot divergence_matrix --run 3 --metric composition_k --store "$bare" -o "$tmp/weights.svg"
exits 0 "and one of the second"
# what list metrics calls the places of values is so for all that the first run measured
run sql --store "$db" --csv "SELECT DISTINCT metric FROM value_list WHERE position IS NOT NULL"
sed 1d "$tmp/out" > "$tmp/placed"
run list metrics --csv
awk -F, 'NR == FNR { placed[$1] = 1; next } placed[$1] && /,none,/ { exit 1 }' "$tmp/placed" "$tmp/out"
check "metrics with positions say what they count" test $? -eq 0
run help nll
check "so does their help" grep -q 'position *query token' "$tmp/out"
run help prev_token
check "others say nothing" sh -c '! grep -q "^position" "$1"' sh "$tmp/out"
check "no file is left" test ! -e "$tmp/x.png" -a ! -e "$tmp/x.svg"
plan
