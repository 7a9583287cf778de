#!/bin/sh
# Every line of --json is as `list schemas` says: the examples of the quick commands are run with --format json, and each
# object is held against the table.
. "${srcdir:-.}/tests/cli_lib.sh"

if ! command -v python3 > /dev/null 2>&1; then
    skip "objects of --json are as the table says" "no python3"
    plan
    exit 0
fi
case $attnscope in /*) ;; *) attnscope=$PWD/$attnscope ;; esac
cat > "$tmp/program" <<END
#!/bin/sh
'$attnscope' --format json "\$@" > '$tmp/lines'
status=\$?
cat '$tmp/lines' >> '$tmp/all'
exit \$status
END
chmod +x "$tmp/program"
: > "$tmp/all"
for file in "$srcdir"/tests/examples/*.txt; do
    case $file in
    */ablate.txt | */bench.txt | */calibrate.txt | */census.txt | */compare.txt | */drop.txt | */influence.txt | */scale.txt | */sweep.txt)
        continue ;; # minutes; short forms below
    esac
    sh "$srcdir/tests/examples/run" "$tmp/program" "$srcdir" "$file" > /dev/null 2>&1
done
printf '%s\n' '{"text":"The old man lit the lantern, and the lantern lit the room.","domain":"story"}' \
    '{"text":"A key opens a door. The door opens a house.","domain":"note"}' > "$tmp/texts.jsonl"
# its paths start at the top of the tree
sed "s#= examples/#= $(cd "$srcdir" && pwd)/examples/#" "$srcdir/examples/sweeps/length.sweep" > "$tmp/length.sweep"
while IFS= read -r line; do
    eval "\"$tmp/program\" $line" > /dev/null 2> "$tmp/err" || { not_ok "$line"; told "$tmp/err"; }
done <<END
ablate $model --heads L1H2 --random 2 --prompts $tmp/texts.jsonl
ablate $model --each --prompts $tmp/texts.jsonl
calibrate $model --heads L2H1 --prompts $tmp/texts.jsonl
calibrate $model --heads L2H1 --together --prompts $tmp/texts.jsonl
census $model --length 16 --prompts $tmp/texts.jsonl
compare $model --quantize q4_0 --prompts $tmp/texts.jsonl
drop $model --prompts $tmp/texts.jsonl
influence $model --heads L1H2 --prompts $tmp/texts.jsonl
scale $model --heads L1H2 --prompts $tmp/texts.jsonl
bench metrics $model --metrics entropy --length 64
bench run $model --lengths 16 --new-tokens 2 --repeat 1
bench attention --lengths 16 --heads 2 --repeat 1
bench gemm --rows 1 --types f32 --outputs 16 --inputs 32 --repeat 1
bench kernels --repeat 1
sweep $tmp/length.sweep --shard 1/8 --store $tmp/sweep.db
runs --store $tmp/sweep.db --sweeps
export last --wide --store $tmp/sweep.db
list edits
list figures
list commands
list readers
list families
list models
list isas
list schemas
END
"$attnscope" list schemas --json > "$tmp/schemas"
python3 "$srcdir/tests/json_schemas.py" "$tmp/schemas" "$tmp/all" > "$tmp/verdict" 2>&1
sed 's/^bad: /# /' "$tmp/verdict" | head -n 30
check "objects of --json are as the table says" grep -q '^0 differ' "$tmp/verdict"
check "every member has a meaning" python3 -c '
import json, sys
sys.exit(any(not json.loads(l)["meaning"] for l in open(sys.argv[1])))' "$tmp/schemas"
# What a command prints by this name only as an aligned table needs no row.
grep -hoE '"attnscope\.[a-z_]+/[0-9]+\\?"' "$srcdir"/cli/*.c "$srcdir"/cli/commands/*.c | tr -d '"\\' |
    grep -vE '\.(token|run_values|run_maps|run_summary)/' | sort -u > "$tmp/named"
cut -d '"' -f 8 "$tmp/schemas" | sort -u > "$tmp/known"
check "every schema in the source is in the table" test -z "$(comm -23 "$tmp/named" "$tmp/known")"
seen=$(sed -n 's/^seen //p' "$tmp/verdict")
check "most schemas were seen" test "${seen:-0}" -ge 50
plan
