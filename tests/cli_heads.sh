#!/bin/sh
# Heads and runs are chosen in the same words by every command.
. "${srcdir:-.}/tests/cli_lib.sh"
db=$tmp/heads.db
store="--store $db"
text="The old man lit the lantern and the old man lit the lantern"
ask()
{
    "$attnscope" sql --csv --quiet $store "$1" < /dev/null | tail -n +2
}
newest_maps()
{
    ask "SELECT group_concat(head_name, ' ') FROM (SELECT head_name FROM map_list WHERE run = last_run() ORDER BY layer, head)"
}

run run "$model" --prompt "$text" --metrics induction,entropy,sink $store --maps all --quiet
exits 0 "a run to choose by"
best=$(ask "SELECT group_concat(head_name, ' ') FROM (SELECT layer, head, head_name FROM (SELECT * FROM head_value WHERE metric =
    'induction' ORDER BY value DESC, layer, head LIMIT 3) ORDER BY layer, head)")
check "three heads induce most" test "$(echo "$best" | wc -w)" -eq 3

# --- run --maps ---
maps()
{
    run run "$model" --prompt "a b" --metrics sink --maps "$1" $store --quiet
    exits 0 "run --maps \"$1\""
    got=$(newest_maps)
    [ "$got" = "$2" ] && ok "stores them" || { not_ok "stores them"; echo "# $got, not $2"; }
}
maps "top 3 by induction" "$best"
maps "L-1H0-1, L0H7" "L0H7 L3H0 L3H1"
maps "L3- except H2-" "L3H0 L3H1"
maps "blocks.2.attn.hook_z[:, :, 5]" "L2H5"
maps "blocks.1.attn.hook_pattern and H0" "L1H0"
maps "L1H3 1.3 l1h3" "L1H3"
wanted=$(ask "SELECT group_concat(head_name, ' ') FROM (SELECT a.head_name FROM head_value a JOIN head_value b USING (run, head_name)
    WHERE run = 1 AND a.metric = 'sink' AND b.metric = 'entropy' AND a.value > 0.5 AND b.value < 0.6 ORDER BY a.layer, a.head)")
check "some heads pass" test -n "$wanted"
maps "WHERE sink > 0.5 of run 1 AND entropy < 0.6" "$wanted"
run run "$model" --prompt "a b" --metrics sink --maps "top 2 by nll" $store
refuses 2 "no run of lantern-3m in $db measured nll for heads" "a metric that no run has"
check "what measures it" grep -qF "attnscope run $model --prompt TEXT --metrics nll --store $db" "$tmp/err"

# --- edits ---
edits()
{
    run run "$model" --prompt "a b" --metrics sink --edit "$1" $store --quiet
    exits 0 "run --edit \"$1\""
    check "changes $2" test "$(ask "SELECT json_extract(edits, '\$[0].heads') FROM run WHERE id = last_run()" | tr -d '"')" = "$2"
}
edits "zero top 1 by induction of 1" "$(ask "SELECT head_name FROM head_value WHERE run = 1 AND metric = 'induction' ORDER BY value DESC LIMIT 1")"
edits "zero L1 except L1H1-; scale 2 L0H0" "L1H0"
edits "scale 2 L-1H-1" "L3H7"
edits "zero where sink=1 of 1 or L2H2" "L2H2"
edits "scale_first gamma=0.5 L1H1 L1H2" "L1H1,L1H2"
run run "$model" --prompt "a b" --metrics sink --edit "drop_attention L-1" $store --quiet
exits 0 "layers from the end"
check "is layer 3" test "$(ask "SELECT edits FROM run WHERE id = last_run()" | grep -c 'L3')" -eq 1
run run "$model" --prompt "a b" --edit "drop_attention L1H3" $store
refuses 2 "edit drop_attention: 'L1H3' names no layer" "a head where layers are chosen"

# --- stored rows, without a model ---
run plot head_map --head "top 1 by induction" --run 1 -o "$tmp/map.svg" $store
exits 0 "plot --head by a ranking"
check "draws that head" grep -q "$(ask "SELECT head_name FROM head_value WHERE run = 1 AND metric = 'induction' ORDER BY value DESC LIMIT 1")" "$tmp/map.svg"
run plot head_map --head "top 2 by induction" --run 1 -o "$tmp/map.svg" $store
refuses 2 "names several heads, and one is wanted" "two heads where one is drawn"
run plot head_map --facet "top 2 by induction" --run 1 -o "$tmp/two.svg" $store
exits 0 "plot --facet by a ranking"
run plot head_map --facet "L1H0-2" --run 1 -o "$tmp/three.svg" $store
exits 0 "plot --facet by heads of a layer"
run plot head_map --head L1 --run 1 -o "$tmp/map.svg" $store
refuses 2 "'L1' names several heads, and one is wanted" "a layer where one head is drawn"
run plot head_grid --head "L3-7" --run 1 -o "$tmp/grid.svg" $store
refuses 2 "layer 7 out of range (model has 4 layers)" "layers that the model lacks, though it has the first"
run plot head_grid --head "not L1-" --run 1 -o "$tmp/grid.svg" $store
exits 0 "plot head_grid --head of the rest"
check "layer 0 alone" test "$(grep -o '>L[0-3]<' "$tmp/grid.svg" | sort -u | tr -d '<>\n')" = L0
run plot head_grid --head "L-9" --run 1 -o "$tmp/grid.svg" $store
refuses 2 "layer -9 out of range (model has 4 layers)" "a layer that the stored model lacks"
run top induction --run 1 --heads "L2-" --n 1 $store --csv
exits 0 "top --heads"
check "ranks these alone" grep -q '^1,L2H5,' "$tmp/out"
run top induction --run 1 --heads "L1 and L2" $store
refuses 2 'no head is left of "L1 and L2"' "nothing is left"
run ablate "$model" --heads "top 1 by induction, random 1 seed 3 in L0" --random 0 --prompt "$text" $store --quiet
exits 0 "ablate --heads by a ranking and a draw"
run patch "$model" --clean "It was a dark night, and the old man" --corrupted "It was a cold night, and the old man" \
    --metric kl --what hook_z --quiet
exits 0 "patch --what by a name of TransformerLens"
check "which is z" grep -q "L3H" "$tmp/out"

run run "$model" --ids 1,2,3 --metrics sink $store --quiet
run top induction --heads L2 $store
refuses 1 "has no values of induction" "a run without the metric is not a metric without heads"
check "another run is named that has it" grep -qF "hint: run 1 has some: --run 1" "$tmp/err"

# --- a sweep file ---
cat > "$tmp/edit.sweep" <<END
command = run
model = $model
prompt = a b
metrics = sink
edit = [none: "", best: "zero top 1 by induction of 1, L0H0", last: "zero L-1H*"]
END
run sweep "$tmp/edit.sweep" --store "$db" --quiet
exits 0 "heads in a sweep file"
check "two cells are edited" test "$(ask "SELECT count(*) FROM run WHERE sweep_id IS NOT NULL AND edits <> '[]'")" -eq 2

# --- runs ---
last=$(ask "SELECT max(id) FROM run WHERE status = 'done'")
for word in last LAST last-0 "last of lantern-3m" "$last"; do
    run show "$word" --command $store
    exits 0 "show $word"
    check "is run $last" test "$(cat "$tmp/out")" = "$(ask "SELECT command FROM run WHERE id = $last")"
done
run export last-1 $store
check "export last-1" test "$(sed -n '2s/,.*//p' "$tmp/out")" -eq $((last - 1))
run compare last-1 last $store
check "compare last-1 last" test "$status" -eq 0
run report last,last-1 -o "$tmp/report.html" $store
exits 0 "report last,last-1"
run plot layer_curve --metric sink --run last,1 -o "$tmp/curve.svg" $store
exits 0 "plot --run last,1"
run plot score_grid --metric sink --facet 1,last-1 -o "$tmp/facet.svg" $store
exits 0 "plot --facet 1,last-1"
run repeat last-1 --dry-run $store
exits 0 "repeat last-1"
run top sink --run last $store
exits 0 "top --run last"
run show last-99 $store
refuses 2 "no run 'last-99': $last runs in $db are done" "more than there are"
check "says which there are" grep -q "there are 1-$last;" "$tmp/err"
run show 0 $store
refuses 2 "'0' is no run number" "run 0"
run compare last last $store
refuses 2 "named twice" "a run against itself"
run sql "SELECT last_run() AS a, last_run(1) AS b" --csv $store
check "sql last_run()" test "$(tail -n 1 "$tmp/out")" = "$last,$((last - 1))"

# --- help ---
run help heads
exits 0 "help heads"
for words in "top 20 by retrieval" "L3-7" "blocks.N.attn.hook_pattern" "last-1" "random 8 seed 3"; do
    out_has "$words" "explains $words"
done
plan
