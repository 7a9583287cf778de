#!/bin/sh
# Stores as wholes: merge, check, gc; lists of heads; exports that other programs read.
. "${srcdir:-.}/tests/cli_lib.sh"
db=$tmp/all.db
q() { "$attnscope" sql --store "$1" --csv "$2" 2> "$tmp/err" | tail -n +2; }

for part in 1 2; do
    "$attnscope" run "$model" --prompt "part $part of it" --metrics sink,entropy --maps L1H3 --store "$tmp/part-$part.db" > /dev/null 2>&1
done

# --- merge ---
run merge "$db" "$tmp/part-1.db" "$tmp/part-2.db" --csv
exits 0 "two stores into a new one"
out_has "$tmp/part-2.db,0,1,1,1,0,64,1" "the table says what came from each"
check "both runs are there" test "$(q "$db" 'SELECT count(*), sum(prompts) FROM run_list')" = 2,2
check "with all values" test "$(q "$db" 'SELECT count(*) FROM value_list')" = 128
check "and maps" test "$(q "$db" 'SELECT count(*) FROM map_list')" = 2
q "$tmp/part-2.db" "SELECT metric, head_name, position, value FROM value_list ORDER BY 1, 2, 3" > "$tmp/part"
q "$db" "SELECT metric, head_name, position, value FROM value_list WHERE run = 2 ORDER BY 1, 2, 3" > "$tmp/merged"
same "$tmp/part" "$tmp/merged" "values are those of the part"
run merge "$db" "$tmp/part-1.db" --csv
out_has "$tmp/part-1.db,0,0,0,0,1,0,0" "once more adds nothing"
run merge "$db"
check "one name is not enough" test $status -eq 2
run merge "$tmp/new.db" "$tmp/none.db"
refuses 3 "no store at $tmp/none.db" "a store that is not there"
check "nothing is made" test ! -e "$tmp/new.db"
echo text > "$tmp/text.db"
run merge "$tmp/new.db" "$tmp/text.db"
refuses 3 "is not an attnscope store" "a file that is no store"
check "nothing is left" test ! -e "$tmp/new.db"
"$attnscope" sql --write --store "$tmp/part-1.db" "UPDATE value SET value = value + 1 WHERE position = -1" > /dev/null 2>&1
run merge "$db" "$tmp/part-1.db"
refuses 3 "entropy of L0H0 is " "one run with two results"
check "nothing of it is merged" test "$(q "$db" 'SELECT count(*) FROM value_list')" = 128

# --- check ---
run check --store "$db" --csv
exits 0 "a sound store"
check "12 checks" test "$(grep -c "^$db,[a-z]*,0,$" "$tmp/out")" -eq 12
run check "$db" "$tmp/part-2.db" --json
check "several stores" test "$(grep -c '"found":0' "$tmp/out")" -eq 24
run check "$tmp/none.db"
refuses 3 "no store at" "check of nothing"
"$attnscope" sql --write --store "$db" "UPDATE prompt SET text = 'another' WHERE id = 1" > /dev/null 2>&1
run check --store "$db" --csv
check "a changed text is found" test $status -eq 3
out_has "$db,prompts,1,prompt row 1: its text" "and said"
check "with one line of error" grep -q "^attnscope: check: store $db is not sound" "$tmp/err"

# --- gc ---
run gc --store "$tmp/none.db"
refuses 3 "no store at" "gc of nothing"
check "makes nothing" test ! -e "$tmp/none.db"
"$attnscope" sql --write --store "$db" "DELETE FROM run WHERE id = 1" > /dev/null 2>&1
run gc --store "$db" --csv
exits 0 "gc"
out_has "$db,0,1,0,0,0," "one prompt goes with its run"
check "the file is not larger" test "$(tail -n 1 "$tmp/out" | awk -F, '{ print ($8 <= $7) }')" = 1
run check --store "$db"
exits 0 "and it is sound"

# --- lists of heads ---
list() { printf '%b' "$1" > "$tmp/heads.$2"; run import heads "$tmp/heads.$2" --name "$3" --store "$db"; }
heads() { q "$db" "SELECT group_concat(head_name || ifnull(':' || score, ''), ' ') FROM (SELECT * FROM head_set_list WHERE name = '$1' ORDER BY place)"; }
list '[[1, 3], [2, 5, 0.25], {"layer": 0, "head": 1, "score": 1.5}, {"layer": 0, "head": 2, "kind": "cross"}, "L3H1"]' json a
exits 0 "a list in JSON"
check "its heads" test "$(heads a)" = "L1H3 L2H5:0.25 L0H1:1.5 cross.L0H2 L3H1"
list '{"heads": [[1, 3]], "note": "x"}' json b
check "below heads" test "$(heads b)" = "L1H3"
list '{"L1H3": 0.5, "2.5": 1}' json c
check "names and scores" test "$(heads c)" = "L1H3:0.5 L2H5:1.0"
list '{"1": [3, 4], "2": [5]}' json d
check "layers and their heads" test "$(heads d)" = "L1H3 L1H4 L2H5"
list '# found by hand\n1.3\nL2H5 0.5\na0.h1\n\nblocks.1.attn.hook_z[:, :, 7]\n"blocks.2.attn.hook_pattern" 4\nblocks.0.attn.hook_pattern[:, 3, :, :]\ndecoder.1.cross_attn.hook_z[:, :, 2]\n' txt e
check "lines in every form" test "$(heads e)" = "L1H3 L2H5:0.5 L0H1 L1H7 L2H4 L0H3 cross.L1H2"
list 'name,head,score,layer\r\nx,3,0.5,1\r\n"y, z",5,NA,2\r\n' csv f
check "CSV with its columns named is refused where quotes hide commas" test $status -eq 3
list 'name,head,score,layer\r\nx,3,0.5,1\r\ny,5,NA,2\r\n' csv f
check "CSV with its columns named" test "$(heads f)" = "L1H3:0.5 L2H5"
list '1,3\n2,5\n' csv g
check "CSV without" test "$(heads g)" = "L1H3 L2H5"
list '1\t3\t0.5\n1\t3\t0.7\n' tsv h
check "a head is taken once" test "$(heads h)" = "L1H3:0.5"
n=0
for bad in '[[1]]' '[[1, "x"]]' '[[1, 2, "x"]]' '[]' '{"x": 1}' '[[-1, 2]]' '[[1, 99999999]]' '[1' 'nothing\n' 'L1H3 high\n' '' 'layer,head\n1\n' '[{"layer": 1}]' 'blocks.1.mlp.hook_post[:, :, 7]\n' '[{"layer": 1, "head": 2, "kind": "odd"}]'; do
    n=$((n + 1))
    list "$bad" txt bad
    check "list $n that is none" test $status -eq 3 -a "$(grep -c '' "$tmp/err")" -le 2
done
list '1.3\n' txt a
refuses 2 "another list of heads called a" "a name that is taken"
list '1.3\n' txt 'a b'
refuses 2 "is no name" "a name that cannot be written"
run import heads "$tmp/heads.txt" --name a --replace --store "$db"
exits 0 "--replace"
check "replaces" test "$(heads a)" = L1H3
run import heads --store "$db" --csv
check "the lists are shown" test "$(grep -c '' "$tmp/out")" -eq 9
out_has "d,3,0,L1H3,$tmp/heads.json,$(printf '{"1": [3, 4], "2": [5]}' | sha256sum | cut -c1-64)" "with file and digest"
printf 'L1H3\nL40H1\n' > "$tmp/heads.txt"
run import heads "$tmp/heads.txt" --name far --model "$model" --store "$db"
refuses 2 "L40H1: layer 40 out of range" "a head that the model lacks is refused by name"
run import heads "$tmp/heads.txt" --name far --store "$db"
run run "$model" --prompt "a b" --maps @far --store "$db"
refuses 2 "@far: L40H1: layer 40 out of range" "also when it is used"
run run "$model" --prompt "a b" --maps @none --store "$db"
refuses 2 "no list of heads called none" "a list that is not there"
run run "$model" --prompt "a b" --maps @d,L0H0 --store "$db"
exits 0 "a list among other heads"
check "chooses its heads" test "$(q "$db" "SELECT group_concat(head_name, ' ') FROM (SELECT head_name FROM map_list WHERE run = (SELECT max(run) FROM run_list) ORDER BY 1)")" = "L0H0 L1H3 L1H4 L2H5"
run plot head_grid --head @d -o "$tmp/grid.svg" --store "$db"
exits 0 "a list chooses maps of a figure"
check "three of the four" test "$(grep -o '>L[0-3]<\|>H[0-7]<' "$tmp/grid.svg" | tr -d '<>' | sort -u | tr '\n' ' ')" = "H3 H4 H5 L1 L2 "
run plot head_grid --head @nope -o "$tmp/grid.svg" --store "$db"
refuses 2 "no list of heads called nope" "a figure of a list that is not there"
run run "$model" --prompt "a b" --metrics sink --edit "zero @d" --store "$db"
exits 0 "a list in an edit"
check "is its heads" test "$(q "$db" "SELECT edits FROM run WHERE id = (SELECT max(run) FROM run_list)")" = \
    "$("$attnscope" run "$model" --prompt "a b" --metrics sink --edit "zero L1H3,L1H4,L2H5" --store "$tmp/edits.db" --quiet > "$tmp/out" &&
       q "$tmp/edits.db" "SELECT edits FROM run")"
run run "$model" --prompt "a b" --edit "zero @nope" --store "$db"
refuses 2 "edit zero: no list of heads called nope" "an edit of a list that is not there"
run scale "$model" --rule "heads nope" --store "$db"
refuses 2 "no list of heads called nope" "a rule that names a list"

# --- export ---
run run "$model" --prompt "It was a dark night" --metrics sink,entropy,nll --store "$db"
run export --store "$db" --wide --csv
exits 0 "export --wide"
check "a column for each metric" test "$(head -n 1 "$tmp/out")" = "run,prompt,kind,layer,head,position,entropy,nll,sink"
cp "$tmp/out" "$tmp/wide.csv"
run export --store "$db" --wide --json
out_has '{"schema":"attnscope.wide/1","run":' "wide JSON Lines"
run export --store "$db" -o "$tmp/long.csv"
run export --store "$db" -o "$tmp/long.tsv"
run export --store "$db" -o "$tmp/long.json"
run export --store "$db" -o "$tmp/long.jsonl"
run export --store "$db" --wide -o "$tmp/wide.json"
run export --store "$db" -o "$tmp/long.npz"
if command -v python3 > /dev/null; then
    check "every digit comes back" python3 - "$tmp" "$db" <<'PY'
import csv, json, sqlite3, sys
where, db = sys.argv[1:]
rows = sqlite3.connect(db).execute("SELECT metric, layer, head, position, value FROM value_list WHERE run = (SELECT max(run) FROM"
                                   " run_list) ORDER BY prompt, metric, kind, layer, head, position").fetchall()
def as_read(d):
    return tuple(d["metric"] if k == "metric" else float(d[k]) if k == "value" else int(d[k]) if d[k] not in ("", None) else None
                 for k in ("metric", "layer", "head", "position", "value"))
assert [as_read(d) for d in csv.DictReader(open(where + "/long.csv"))] == rows
assert [as_read(d) for d in csv.DictReader(open(where + "/long.tsv"), delimiter="\t")] == rows
lines = [json.loads(line) for line in open(where + "/long.jsonl")]
assert json.load(open(where + "/long.json")) == lines
assert len(json.load(open(where + "/wide.json"))) == sum(1 for line in open(where + "/wide.csv")) - 1
assert [(d["metric"], d.get("layer"), d.get("head"), d.get("position"), d["value"]) for d in lines] == rows
wide = list(csv.DictReader(open(where + "/wide.csv")))
for metric in ("sink", "entropy", "nll"):
    assert sorted(float(d[metric]) for d in wide if d[metric]) == sorted(r[4] for r in rows if r[0] == metric), metric
PY
else
    skip "every digit comes back" "no python3"
fi
if command -v python3 > /dev/null && python3 -c 'import pandas' 2> /dev/null; then
    check "pandas reads it" python3 -c 'import pandas, sys
d = pandas.read_csv(sys.argv[1])
assert list(d.columns) == "run prompt kind metric layer head position value".split() and d.value.dtype == float
assert d.layer.isna().sum() == (d.metric == "nll").sum()
for j in (pandas.read_json(sys.argv[2]), pandas.read_json(sys.argv[3], lines=True)):
    assert (j.metric == d.metric).all() and abs(j.value - d.value).max() < 1e-9' "$tmp/long.csv" "$tmp/long.json" "$tmp/long.jsonl"
else
    skip "pandas reads it" "no pandas"
fi
if command -v python3 > /dev/null && python3 -c 'import duckdb' 2> /dev/null; then
    check "DuckDB reads it" python3 -c 'import duckdb, sys
n = duckdb.sql("select count(*) from read_csv_auto(\x27%s\x27) where metric = \x27sink\x27 and position = 0" % sys.argv[1]).fetchall()[0]
assert n == (32,), n
for f in sys.argv[2:]:
    n = duckdb.sql("select count(*) from read_json_auto(\x27%s\x27) where metric = \x27sink\x27 and position = 0" % f).fetchall()[0]
    assert n == (32,), n' "$tmp/long.csv" "$tmp/long.json" "$tmp/long.jsonl"
else
    skip "DuckDB reads it" "no duckdb"
fi
if command -v Rscript > /dev/null; then
    run sql --store "$db" --csv "SELECT layer, head, value FROM head_value WHERE metric = 'entropy' AND run =
        (SELECT max(run) FROM run_list) ORDER BY layer, head"
    cp "$tmp/out" "$tmp/asked.csv"
    check "R reads it" Rscript --vanilla -e 'f <- commandArgs(TRUE)
d <- read.csv(f[1]); w <- read.csv(f[3]); q <- read.csv(f[4])
stopifnot(identical(names(d), c("run", "prompt", "kind", "metric", "layer", "head", "position", "value")),
          is.numeric(d$value), is.integer(d$layer), sum(is.na(d$layer)) == sum(d$metric == "nll"), !anyNA(d$value),
          isTRUE(all.equal(d, read.delim(f[2]), tolerance = 0)))
e <- d[d$metric == "entropy", ]; e <- e[order(e$layer, e$head), ]
stopifnot(nrow(e) == 32, all(e$layer == q$layer), all(e$head == q$head), all(abs(e$value - q$value) <= 1e-15 * abs(q$value)))
stopifnot(sum(!is.na(w$sink)) == sum(d$metric == "sink"), isTRUE(all.equal(sum(w$nll, na.rm = TRUE), sum(d$value[d$metric == "nll"]))))
' "$tmp/long.csv" "$tmp/long.tsv" "$tmp/wide.csv" "$tmp/asked.csv"
else
    skip "R reads it" "no Rscript (Debian package r-base-core)"
fi
plan
