#!/bin/sh
# plot and view of charts: series from the rows of one run or several, and clear words where rows are missing.
. "${srcdir:-.}/tests/cli_lib.sh"
db=$tmp/runs.db
cat > "$tmp/texts.jsonl" <<'END'
{"label": "a", "text": "The old man lit the lantern and went down to the harbour, where the boats lay still."}
{"label": "b", "text": "It was a dark night, and nobody had seen the captain since the morning of the storm."}
{"label": "c", "text": "\"Have you come back?\" said the girl. \"I have come back,\" he answered, \"with the letter.\""}
END
run run "$model" --prompt "It was a dark night, and the old man saw the dark night" --store "$db" --quiet \
    --metrics induction,entropy,received,massive_top,massive_median,residual_norm,top_k_mass
exits 0 "a run of one text"
run run "$model" --prompts "$tmp/texts.jsonl" --store "$db" --quiet --metrics entropy,received,top_k_mass
exits 0 "a run of three texts"
run ablate "$model" --heads L1H2,L1H3 --random 3 --prompts "$tmp/texts.jsonl" --store "$db" --quiet
exits 0 "a run without two heads"
run ablate "$model" --heads L0H1 --mode uniform --random 3 --prompts "$tmp/texts.jsonl" --store "$db" --quiet
exits 0 "a run without another"
run ablate "$model" --each --heads L0H0,L1H2,L2H5 --prompts "$tmp/texts.jsonl" --store "$db" --quiet
exits 0 "a run without one head at a time"

# sql STATEMENT: one number of the store
sql()
{
    "$attnscope" sql --store "$db" --csv "$1" 2> /dev/null | tail -n 1
}

# draws RECIPE DESCRIPTION WORDS...: all three kinds of file, and the terminal
draws()
{
    recipe=$1 description=$2
    shift 2
    for extension in png svg pdf; do
        run plot "$recipe" "$@" --store "$db" -o "$tmp/$recipe.$extension"
        exits 0 "$description as $extension"
    done
    run plot "$recipe" "$@" --store "$db" -o "$tmp/again.svg"
    grep -v '^Figure-Command' "$tmp/$recipe.svg" > "$tmp/first"
    grep -v '^Figure-Command' "$tmp/again.svg" > "$tmp/second"
    check "the same file when it is drawn again" sh -c 'test -s "$1" && cmp -s "$1" "$2"' sh "$tmp/first" "$tmp/second"
    run view "$recipe" "$@" --store "$db"
    exits 0 "$description in the terminal"
    check "in ASCII, within 80 columns" sh -c 'test -z "$(LC_ALL=C tr -d "\n -~" < "$1")" && ! grep -q ".\{81\}" "$1"' sh "$tmp/out"
}

# ---- score_curve ----

draws score_curve "heads in order" --run 1 --metric induction --threshold 0.2
above=$(sql "SELECT count(*) FROM head_value WHERE run = 1 AND metric = 'induction' AND value > 0.2")
best=$(sql "SELECT head_name FROM head_value WHERE run = 1 AND metric = 'induction' ORDER BY value DESC LIMIT 1")
check "says how many are above the threshold" grep -q "$above of 32 heads above 0.2, highest $best" "$tmp/out"
check "the picture too" grep -q ">$above of 32 heads above 0.2" "$tmp/score_curve.svg"
check "names the threshold" grep -q ">threshold 0.2<" "$tmp/score_curve.svg"
for key in Software Command Figure-Command Run Model Model-SHA256 Prompt-SHA256 Version; do
    check "text chunk $key" grep -q -a "tEXt$key\|zTXt$key\|iTXt$key" "$tmp/score_curve.png"
done
run plot score_curve --run 1 --metric induction --log-y --store "$db" -o "$tmp/x.svg"
exits 0 "on a logarithmic axis"
check "with minor ticks" test "$(grep -c '<rect' "$tmp/x.svg")" -gt "$(grep -c '<rect' "$tmp/score_curve.svg")"
run plot score_curve --run 1,2 --metric entropy --labels "one text,three texts" --store "$db" -o "$tmp/x.svg"
exits 0 "two runs in one chart"
run view score_curve --run 1,2 --metric entropy --labels "one text,three texts" --caption --store "$db"
tr "\n" " " < "$tmp/out" > "$tmp/words" && mv "$tmp/words" "$tmp/out"
out_has "three texts: lantern-3m, mean over 3 prompts, f32, run 2" "a caption tells of each run"
check "named in the legend" grep -q '>three texts<' "$tmp/x.svg"
check "both in the metadata" grep -q '^Run: 1; 2$' "$tmp/x.svg"
run sql --store "$db" --csv "SELECT run_id IS NULL, recipe FROM figure ORDER BY id DESC LIMIT 1"
out_has "1,score_curve" "the store remembers a figure of several runs"

# ---- layer_curve ----

draws layer_curve "a metric by layer" --run 1 --metric entropy
check "says what the band is" grep -q 'quartiles of the heads' "$tmp/out"
check "the band is translucent" grep -q '<polygon.*fill-opacity' "$tmp/layer_curve.svg"
run plot layer_curve --run 2 --metric entropy --band prompts --store "$db" -o "$tmp/x.svg"
exits 0 "an interval over prompts"
check "says so" grep -q 'band: bootstrap' "$tmp/x.svg"
check "and how many" grep -q '>mean over 3 prompts' "$tmp/x.svg"
run plot layer_curve --run 1 --metric residual_norm --store "$db" -o "$tmp/x.svg"
exits 0 "a metric of layers"
run plot layer_curve --run 1 --metric entropy --band prompts --store "$db" -o "$tmp/y.svg"
refuses 2 "over one prompt" "an interval over one prompt"
run plot layer_curve --run 1 --metric residual_norm --band heads --store "$db" -o "$tmp/y.svg"
refuses 2 "one value a layer" "a band over heads where there are none"

# ---- position_curve, sparsity_curve, norm_profile ----

draws position_curve "attention by position" --run 1
check "beside uniform attention" grep -q '>uniform causal attention<' "$tmp/position_curve.svg"
check "counts from 1 on a logarithmic axis" grep -q '>key position + 1<' "$tmp/position_curve.svg"
run plot position_curve --run 2,1 --no-log-x --no-log-y --store "$db" -o "$tmp/x.svg"
exits 0 "several texts, linear axes"
check "counts from 0 there" grep -q '>key position<' "$tmp/x.svg"
run plot position_curve --run 1 --head L1H2 --store "$db" -o "$tmp/x.svg"
exits 0 "one head"
draws sparsity_curve "mass against k" --run 1
for k in 1 2 4 8 16; do
    check "a tick at k = $k" grep -q ">$k<" "$tmp/sparsity_curve.svg"
done
draws norm_profile "largest activations" --run 1
for name in largest second third median; do
    check "a line for $name" grep -q ">$name<" "$tmp/norm_profile.svg"
done
run plot norm_profile --run 1 --metric residual_norm --store "$db" -o "$tmp/x.svg"
exits 0 "the norm"

# ---- ablation_bars ----

draws ablation_bars "a set of heads" --run 3
check "says which heads" grep -q '>zero L1H2, L1H3<' "$tmp/ablation_bars.svg"
check "beside random ones" grep -q 'random heads of the same layers, mean of 3 sets' "$tmp/ablation_bars.svg"
want=$(sql "SELECT round(avg(e.value - b.value), 4) FROM value_list e JOIN value_list b ON b.run = e.run AND b.prompt = e.prompt
    AND b.metric = 'nll' AND b.layer IS NULL WHERE e.run = 3 AND e.metric = 'nll_edited'")
got=$(sed -n 's/^zero L1H2, L1H3[^0-9-]* \(-*[0-9.e-]*\) \[.*/\1/p' "$tmp/out")
check "the number of the bar is the mean paired change ($want, $got)" \
    awk -v a="$want" -v b="$got" 'BEGIN { exit !(b != "" && (a - b) ^ 2 < 1e-6) }'
run plot ablation_bars --run 3,4 --metric accuracy --store "$db" -o "$tmp/x.svg"
exits 0 "two runs side by side"
check "one is uniform" grep -q 'uniform' "$tmp/x.svg"
draws ablation_bars "one head at a time" --run 5 --top 2
check "the most harmful of them" grep -q 'the 2 most harmful of 3 heads' "$tmp/out"

# ---- several side by side ----

draws layer_curve "two metrics" --run 1 --facet induction,entropy
check "each is named" grep -q '>(a) induction<' "$tmp/layer_curve.svg"
check "and has its own axis" grep -q '>entropy (nats)<' "$tmp/layer_curve.svg"
draws layer_curve "two runs side by side" --metric entropy --facet 1,2 --labels one,three
check "named as asked" grep -q '>(b) three<' "$tmp/layer_curve.svg"
check "both in the metadata" grep -q '^Run: 1; 2$' "$tmp/layer_curve.svg"
draws position_curve "three heads" --run 2 --facet L0H1,L1H2,L2H5
check "one legend for all" test "$(grep -c '>uniform causal attention<' "$tmp/position_curve.svg")" -eq 1
draws ablation_bars "two ablations" --facet 3,4
draws norm_profile "two profiles" --run 1 --facet massive_top,residual_norm
check "under one title" grep -q '>residual stream by layer' "$tmp/norm_profile.svg"
draws score_curve "two runs" --metric entropy --facet 1,2 --threshold 0.5
draws sparsity_curve "two heads" --run 1 --facet L0H1,L1H2
cd "$tmp" || exit 1
run plot layer_curve --run 1,2 --facet entropy --store "$db"
exits 0 "several runs in a facet"
check "a name of its own" test -s layer_curve-facets-runs1_2.png
cd "$OLDPWD" || exit 1
run plot layer_curve --run 1 --facet L0H1,L1H2 --store "$db" -o "$tmp/y.png"
refuses 2 "layer_curve has no facets by head" "facets that the recipe lacks"
run plot position_curve --run 1 --facet 1,2 --store "$db" -o "$tmp/y.png"
refuses 2 "leave --run out" "runs named twice"
run plot ablation_bars --facet 3,1 --store "$db" -o "$tmp/y.png"
refuses 1 "run 1 holds no ablation" "a facet without its rows"

# ---- missing rows and bad words ----

run plot score_curve --run 2 --metric induction --store "$db" -o "$tmp/y.png"
refuses 1 "run 2 has no values of induction" "values that were not measured"
check "names the command that measures them" grep -q 'run .*--metrics induction' "$tmp/err"
run plot score_curve --run 1 --store "$db" -o "$tmp/y.png"
refuses 2 "several metrics" "which metric?"
run plot norm_profile --run 2 --store "$db" -o "$tmp/y.png"
refuses 1 "no values of massive_top" "activations that were not measured"
run plot ablation_bars --run 1 --store "$db" -o "$tmp/y.png"
refuses 1 "run 1 holds no ablation" "no ablation"
check "names the command that makes one" grep -q 'ablate .*--heads' "$tmp/err"
run plot ablation_bars --run 3 --metric entropy --store "$db" -o "$tmp/y.png"
refuses 2 "no measure 'entropy'" "an unknown measure"
run plot ablation_bars --run 3,5 --store "$db" -o "$tmp/y.png"
refuses 2 "run 5 took out one head at a time" "two kinds of ablation in one chart"
run plot layer_curve --run 1,77 --metric entropy --store "$db" -o "$tmp/y.png"
refuses 2 "no run 77" "a run that is not there"
run plot layer_curve --run 1,1 --metric entropy --store "$db" -o "$tmp/y.png"
refuses 2 "named twice" "a run twice"
run plot layer_curve --run 1,x --metric entropy --store "$db" -o "$tmp/y.png"
refuses 2 "'x' is no run number" "no run number"
run plot layer_curve --run 1,2 --labels a --metric entropy --store "$db" -o "$tmp/y.png"
refuses 2 "--labels names 1 run, --run 2" "a label too few"
run plot position_curve --run 1 --head L9 --store "$db" -o "$tmp/y.png"
refuses 2 "layer 9 out of range" "no head"
run plot layer_curve --run 1 --metric entropy --y-limits 2,1 --store "$db" -o "$tmp/y.png"
refuses 2 "--y-limits" "limits the wrong way round"
check "no file is left" test ! -e "$tmp/y.png" -a ! -e "$tmp/y.svg"
plan
