#!/bin/sh
# export and dump for other people's tools: arrays of every form against the rows of the store, bit for bit; the names of
# TransformerLens; selections of heads; CSV and JSON in pandas and R.
. "${srcdir:-.}/tests/cli_lib.sh"
db=$tmp/heads.db
rows="SELECT prompt, kind, metric, layer, head, position, value FROM value_list WHERE run = "

head -n 2 "$srcdir/examples/prompts/census.jsonl" > "$tmp/texts.jsonl"
run run "$model" --prompts "$tmp/texts.jsonl" --truncate 12 --metrics all --maps L0-1,L3H2 --store "$db" --quiet
exits 0 "all metrics of two texts"
run weights "$model" --metrics composition_q,copying,qk_spectrum --store "$db" --quiet
exits 0 "metrics of the weights"
run run "$srcdir/tests/families/t5" --source-ids 5,6,7,8 --target-ids 0,8,9 --metrics entropy,received,residual_norm,nll --maps all \
    --store "$db" --quiet
exits 0 "a model of two stacks"
run run "$model" --prompt "The harbour was quiet when the last ferry left." --metrics sink --maps L1 --map-limit 4 --store "$db" --quiet
exits 0 "pooled maps"

# --- what needs no reader ---
run export 1 --store "$db" --heads L1H3,L2 --csv
exits 0 "values of some heads"
check "of these alone" test "$(tail -n +2 "$tmp/out" | awk -F, '!($5 == 2 || ($5 == 1 && $6 == 3))' | grep -c '')" -eq 0
mine=$(tail -n +2 "$tmp/out" | grep -c '')
run sql "SELECT count(*) FROM head_value WHERE run = 1 AND (layer = 2 OR head_name = 'L1H3')" --store "$db" --csv
check "and all of them" test "$(tail -n 1 "$tmp/out")" -eq "$mine"
run export 1 --store "$db" --heads "blocks.1.attn.hook_pattern[:, 3]" --csv
cp "$tmp/out" "$tmp/hook"
run export 1 --store "$db" --heads L1H3 --csv
same "$tmp/hook" "$tmp/out" "a hook name is the head"
run export 1 --store "$db" --heads "blocks.1.attn.hook_rot_k[:, :, 3]" --csv
same "$tmp/hook" "$tmp/out" "so is that of its rotated keys"
run export 1 --store "$db" --heads blocks.1.mlp.hook_post --csv
refuses 2 "'blocks.1.mlp.hook_post' is an activation of a layer, not of heads" "what a layer has is not of heads"
run export 1 --store "$db" --heads ln_final.hook_normalized --csv
refuses 2 "'ln_final.hook_normalized' names no head" "nor what the model has"
check "and it says so" grep -qF "it is an activation of the whole model" "$tmp/err"
run export 1 --store "$db" --heads "top 1 by entropy" --wide
check "a ranking is one head" test "$(tail -n +2 "$tmp/out" | cut -d, -f4,5 | sort -u | grep -c '')" -eq 1
run show 1 --store "$db" --heads L1H3 --json
out_has '"metric":"entropy","kind":"self","n":2,' "show counts the values of the heads"
check "and their maps" test "$(grep -o '"head":"L1H3"' "$tmp/out" | grep -c '')" -eq 2
check "and no others" test "$(grep -c '"head":"L0H0"' "$tmp/out")" -eq 0
run show 1 --store "$db" --heads L9
refuses 2 "layer 9 out of range" "a layer that there is not"
run export 1 --store "$db" --heads L9 -o "$tmp/none.npz"
refuses 2 "layer 9 out of range" "nor in arrays"
run export 2 --store "$db" --heads L3H7 --format transformerlens -o "$tmp/none.npz"
refuses 1 "run 2 has no stored maps" "patterns of a run without maps"
run export 4 --store "$db" --format transformerlens -o "$tmp/none.npz"
refuses 2 "the map of L1H0 is pooled by" "pooled maps are no patterns"
run export 1 --store "$db" --format transformerlens
refuses 2 "is a file of arrays" "patterns as text"
run export 1 --store "$db" --prompt 7 -o "$tmp/none.npz"
refuses 2 "run 1 has no prompt 7" "a prompt that there is not"
run export 1 --store "$db" --prompt 1 -o "$tmp/none.csv"
refuses 2 "--prompt chooses what goes into a .npz file" "one prompt as text"
run export 1 --store "$db" --wide -o "$tmp/none.npz"
refuses 2 "--wide is for lines of text" "wide arrays"
check "nothing is left of what was refused" test -z "$(ls "$tmp" | grep '^none')"
run dump "$model" --prompt a --hooks hook_z -o "$tmp/none.npz" --quiet
refuses 2 "--hooks chooses among the arrays of --format transformerlens" "hooks of the plain form"
run dump "$model" --prompt a --format transformerlens --hooks hook_zz -o "$tmp/none.npz" --quiet
refuses 2 "no array of this model is called 'hook_zz'" "a hook that there is not"
run dump "$model" --prompt a --format transformerlens --hooks "" -o "$tmp/none.npz" --quiet
refuses 2 "no array is named" "no hook at all"
run dump "$model" --prompt a --format transformerlens --heads L1 -o "$tmp/none.npz" --quiet
refuses 2 "--heads chooses among the arrays attn_<l>" "heads of whole arrays"
run dump "$srcdir/tests/families/t5" --source-ids 5,6 --target-ids 0 --format transformerlens -o "$tmp/none.npz" --quiet
refuses 2 "TransformerLens has names for models of one stack" "two stacks"
check "nothing is left of these either" test -z "$(ls "$tmp" | grep '^none')"

# --- numpy ---
python=
for each in ${PYTHON:-} python3; do
    if "$each" -c 'import numpy' > /dev/null 2>&1; then
        python=$each
        break
    fi
done
for each in 1:0 1:1 2:0 3:0; do
    number=${each%:*} prompt=${each#*:}
    run export "$number" --store "$db" --prompt "$prompt" -o "$tmp/$number-$prompt.npz"
    exits 0 "run $number, prompt $prompt as arrays"
    "$attnscope" sql "$rows $number AND prompt = $prompt" --csv --store "$db" > "$tmp/$number-$prompt.csv" 2> "$tmp/err"
done
"$attnscope" list metrics --json > "$tmp/metrics.jsonl" 2> "$tmp/err"
run sql "SELECT prompt, text FROM prompt_token WHERE run = 1 AND sequence = 'self' ORDER BY prompt, position" --json --store "$db"
cp "$tmp/out" "$tmp/tokens.jsonl"
cat > "$tmp/arrays.py" << 'EOF'
import csv, json, sys
import numpy as np
folder = sys.argv[1]
known = {m["metric"]: m for m in map(json.loads, open(folder + "/metrics.jsonl"))}
spelled = [t["text"] for t in map(json.loads, open(folder + "/tokens.jsonl"))]
forms = set()
for name in sys.argv[2:]:
    arrays = np.load(folder + "/" + name + ".npz", allow_pickle=False)
    left = {n for n in arrays.files if not n.startswith("map_") and "_map_" not in n}
    left -= {"ids", "tokens", "enc_ids", "enc_tokens", "metrics", "units", "axes"}
    axes = dict(zip(arrays["metrics"].tolist(), arrays["axes"].tolist()))
    units = dict(zip(arrays["metrics"].tolist(), arrays["units"].tolist()))
    expected = {}
    for row in csv.DictReader(open(folder + "/" + name + ".csv")):
        form = tuple(c for c in ("layer", "head", "position") if row[c] != "")
        prefix = "" if row["kind"] == "self" else row["kind"] + "_"
        expected.setdefault((prefix + row["metric"], row["metric"]), {}).setdefault(form, []).append(row)
    for (array_name, metric), of_form in expected.items():
        most = max(of_form, key=lambda f: len(f))
        for form, rows in of_form.items():
            full = array_name + ("" if form == most else "".join("_" + c for c in form) or "_prompt")
            a = arrays[full]
            left.discard(full)
            forms.add(form)
            assert a.dtype == np.float64 and a.ndim == len(form), (full, a.dtype, a.shape)
            assert len(axes[full].split("; ") if axes[full] else []) == len(form), (full, axes[full])
            if metric in known:
                assert units[full] == (known[metric]["unit"] or ""), full
            at = {}
            if "position" in form:
                positions = arrays[full + "_positions"]
                left.discard(full + "_positions")
                assert positions.dtype == np.int64 and (np.diff(positions) > 0).all() and len(positions) == a.shape[-1]
                at = {int(p): i for i, p in enumerate(positions)}
                if metric in known and known[metric]["position_is"].startswith("head"):
                    heads = arrays[full + "_heads"]
                    left.discard(full + "_heads")
                    assert heads.dtype.kind == "U" and len(heads) == len(positions), full
                    assert all(h == "L%dH%d" % divmod(int(p), 8) for h, p in zip(heads, positions)), heads
            for c in ("layer", "head"):
                if c in form:
                    assert a.shape[form.index(c)] == 1 + max(int(r[c]) for r in rows), (full, a.shape)
            assert np.isfinite(a).sum() == len(rows), (full, np.isfinite(a).sum(), len(rows))
            for r in rows:
                place = tuple(at[int(r[c])] if c == "position" else int(r[c]) for c in form)
                assert a[place] == float(r["value"]), (full, place, a[place], r["value"])
    assert not left, left
    assert sorted(axes) == sorted(f for f in axes if f in arrays.files)
    if name.startswith("1-"):
        assert arrays["ids"].dtype == np.int64 and arrays["ids"].shape == (12,) and arrays["ids"][0] == 0
        n = int(name[2])
        assert arrays["tokens"].tolist() == spelled[12 * n:12 * n + 12], arrays["tokens"]
        assert arrays["residual_norm"].shape == (5,) and arrays["entropy"].shape == (4, 8)
        assert axes["sink"] == "layer; head; key token" and axes["nll"] == "query token", axes
        maps = [n for n in arrays.files if n.startswith("map_")]
        assert len(maps) == 17 and arrays["map_L3H2"].shape == (12, 12) and arrays["map_L3H2"].dtype == np.float32
    if name == "3-0":
        assert arrays["ids"].tolist() == [0, 8, 9] and arrays["enc_ids"].tolist() == [5, 6, 7, 8]
        assert arrays["cross_map_L0H0"].shape == (3, 4) and arrays["enc_map_L0H0"].shape == (4, 4)
print(sorted(len(f) for f in forms))
EOF
cat > "$tmp/hooks.py" << 'EOF'
import sys
import numpy as np
folder = sys.argv[1]
plain, hooks, cache = (np.load(folder + "/" + n) for n in ("plain.npz", "hooks.npz", "cache.npz"))
stored = np.load(folder + "/1-1.npz")
assert hooks["ids"].shape == (1, 12) and (hooks["ids"][0] == plain["ids"]).all()
assert sorted(hooks.files) == ["blocks.0.attn.hook_pattern", "blocks.1.attn.hook_pattern", "blocks.3.attn.hook_pattern", "ids"]
for layer in (0, 1, 3):
    pattern = hooks["blocks.%d.attn.hook_pattern" % layer]
    assert pattern.shape == (1, 8, 12, 12) and pattern.dtype == np.float32
    for head in range(8):
        if layer == 3 and head != 2:
            assert np.isnan(pattern[0, head]).all()
            continue
        assert (pattern[0, head] == np.nan_to_num(stored["map_L%dH%d" % (layer, head)])).all()
        assert (pattern[0, head] == plain["attn_%d" % layer][head]).all()
assert (cache["hook_embed"][0] == plain["hidden_0"]).all() and cache["ids"].shape == (1, 12)
for layer in range(4):
    b = "blocks.%d." % layer
    get = lambda name: cache[b + name]
    assert (get("hook_resid_pre")[0] == plain["hidden_%d" % layer]).all()
    assert (get("hook_resid_post")[0] == plain["hidden_%d" % (layer + 1)]).all()
    assert np.allclose(get("hook_resid_pre") + get("hook_attn_out"), get("hook_resid_mid"), atol=1e-6)
    assert np.allclose(get("hook_resid_mid") + get("hook_mlp_out"), get("hook_resid_post"), atol=1e-6)
    assert (get("attn.hook_pattern")[0] == plain["attn_%d" % layer]).all()
    q, k, v, z = (get("attn.hook_" + n) for n in ("rot_q", "rot_k", "v", "z"))
    assert q.shape == z.shape == (1, 12, 8, 32) and k.shape == v.shape == (1, 12, 4, 32)
    scores = get("attn.hook_attn_scores")
    own = np.einsum("bqhd,bkhd->bhqk", q.astype("f8"), np.repeat(k, 2, axis=2).astype("f8")) / np.sqrt(32)
    seen = np.tril(np.ones((12, 12), bool))
    assert np.isneginf(scores[..., ~seen]).all() and np.allclose(scores[..., seen], own[..., seen], atol=1e-5)
    assert np.allclose(np.einsum("bhqk,bkhd->bqhd", get("attn.hook_pattern"), np.repeat(v, 2, axis=2)), z, atol=1e-5)
some = np.load(folder + "/some.npz")
assert sorted(some.files) == sorted(
    ["ids", "blocks.2.attn.hook_z"] + ["blocks.%d.hook_resid_mid" % l for l in range(4)]), some.files
heads = np.load(folder + "/five.npz")
assert heads["attn_1"].shape == (2, 12, 12) and heads["attn_1_heads"].tolist() == [0, 3] and "attn_0" not in heads.files
assert (heads["attn_1"][1] == plain["attn_1"][3]).all() and heads["attn_3"].shape == (8, 12, 12)
two = np.load(folder + "/two.npz")
assert two["decoder.0.cross_attn.hook_pattern"].shape[2:] == (3, 4)
assert two["encoder.0.attn.hook_pattern"].shape[2:] == (4, 4) and two["decoder.0.attn.hook_pattern"].shape[2:] == (3, 3)

def rms(x, eps):
    return np.sqrt((x.astype("f8") ** 2).mean(-1, keepdims=True) + eps)

assert "hook_pos_embed" not in cache.files
for which, stream in [("ln_final", "blocks.3.hook_resid_post"), ("blocks.2.ln1", "blocks.2.hook_resid_pre"),
                      ("blocks.2.ln2", "blocks.2.hook_resid_mid")]:
    x, scale = cache[stream], cache[which + ".hook_scale"]
    assert scale.shape == (1, 12, 1) and np.allclose(scale, rms(x, float(sys.argv[2])), rtol=1e-6), which
    assert np.allclose(cache[which + ".hook_normalized"], x / scale, atol=1e-5), which
assert cache["blocks.1.mlp.hook_post"].shape == (1, 12, int(sys.argv[3])) and np.abs(cache["blocks.1.mlp.hook_post"]).max() > 0
gpt = np.load(folder + "/gpt.npz")
assert "blocks.0.attn.hook_q" in gpt.files and "blocks.0.attn.hook_rot_q" not in gpt.files
assert (gpt["hook_embed"] + gpt["hook_pos_embed"] == gpt["blocks.0.hook_resid_pre"]).all() and gpt["hook_pos_embed"].any()
x = gpt["blocks.0.hook_resid_pre"].astype("f8")
scale = np.sqrt(x.var(-1, keepdims=True) + 1e-5)
assert np.allclose(gpt["blocks.0.ln1.hook_scale"], scale, rtol=1e-6)
line = [np.polyfit(((x - x.mean(-1, keepdims=True)) / scale)[0, :, c], gpt["blocks.0.ln1.hook_normalized"][0, :, c], 1, full=True)[1]
        for c in range(x.shape[-1])]  # behind the norm's weight and bias: a line of each channel
assert max(float(r[0]) if len(r) else 0 for r in line) < 1e-9, max(map(float, np.concatenate(line)))
EOF
ids=$("$attnscope" sql "SELECT group_concat(id) FROM (SELECT id FROM prompt_token WHERE run = 1 AND prompt = 1 ORDER BY position)" \
    --csv --store "$db" 2> "$tmp/err" | tail -n 1 | tr -d '"')
run export 1 --store "$db" --prompt 1 --format transformerlens -o "$tmp/hooks.npz"
exits 0 "stored maps as patterns"
run dump "$model" --ids "$ids" -o "$tmp/plain.npz"
exits 0 "the same prompt as verify reads it"
run dump "$model" --ids "$ids" --format transformerlens -o "$tmp/cache.npz"
exits 0 "and as an ActivationCache"
run dump "$model" --ids "$ids" --format transformerlens --hooks "blocks.2.attn.hook_z,hook_resid_mid" -o "$tmp/some.npz"
exits 0 "some of its arrays"
run dump "$model" --ids "$ids" --heads L1H3,L1H0,L3 -o "$tmp/five.npz"
exits 0 "maps of some heads"
run export 3 --store "$db" --format transformerlens -o "$tmp/two.npz"
exits 0 "patterns of two stacks"
run dump "$srcdir/tests/families/gpt2" --ids 1,2,3 --format transformerlens -o "$tmp/gpt.npz"
exits 0 "a model with learned positions"
if [ "$python" ]; then
    "$python" "$tmp/arrays.py" "$tmp" 1-0 1-1 2-0 3-0 > "$tmp/out" 2> "$tmp/err"
    status=$?
    exits 0 "every array is the rows of its metric, bit for bit"
    out_has "[1, 1, 2, 2, 3]" "arrays of five forms"
    "$python" "$tmp/hooks.py" "$tmp" "$(sed -n 's/.*"rms_norm_eps": *\([^,}]*\).*/\1/p' "$model/config.json")" \
        "$(sed -n 's/.*"intermediate_size": *\([0-9]*\).*/\1/p' "$model/config.json")" > "$tmp/out" 2> "$tmp/err"
    status=$?
    exits 0 "TransformerLens' names hold what the plain arrays hold"
else
    for each in "every array is the rows of its metric, bit for bit" "TransformerLens' names hold what the plain arrays hold"; do
        skip "$each" "no python3 with numpy (Debian: python3-numpy)"
    done
fi

# --- tables ---
run export 1 --store "$db" -o "$tmp/long.csv"
exits 0 "a value a line"
run export 1 --store "$db" --wide -o "$tmp/wide.csv"
exits 0 "a place a line"
"$attnscope" sql "SELECT count(*), sum(position IS NULL), sum(head IS NULL) FROM value_list WHERE run = 1" --csv --store "$db" \
    2> "$tmp/err" | tail -n 1 > "$tmp/counts"
entropy=$("$attnscope" sql "SELECT value FROM head_value WHERE run = 1 AND prompt = 1 AND metric = 'entropy' AND head_name = 'L2H5'" \
    --csv --store "$db" 2> "$tmp/err" | tail -n 1)
pandas=
for each in ${PYTHON:-} python3; do
    "$each" -c 'import pandas' > /dev/null 2>&1 && pandas=$each && break
done
if [ "$pandas" ]; then
    "$pandas" - "$tmp/long.csv" "$tmp/wide.csv" "$(cat "$tmp/counts")" "$entropy" > "$tmp/out" 2> "$tmp/err" << 'EOF'
import sys
import pandas
rows, no_position, no_head = map(int, sys.argv[3].split(","))
long, wide = (pandas.read_csv(f, float_precision="round_trip") for f in sys.argv[1:3])
assert list(long.columns) == ["run", "prompt", "kind", "metric", "layer", "head", "position", "value"]
assert len(long) == rows and long.position.isna().sum() == no_position and long["head"].isna().sum() == no_head
assert long.value.dtype == float and not long.value.isna().any()
one = long[(long.metric == "entropy") & (long.prompt == 1) & (long.layer == 2) & (long["head"] == 5)].value
assert list(one) == [float(sys.argv[4])]
one = wide[(wide.prompt == 1) & (wide.layer == 2) & (wide["head"] == 5) & wide.position.isna()].entropy
assert list(one) == [float(sys.argv[4])]
EOF
    status=$?
    exits 0 "pandas reads both"
else
    skip "pandas reads both" "no python3 with pandas (Debian: python3-pandas)"
fi
if command -v Rscript > /dev/null; then
    check "R reads it" Rscript --vanilla -e 'a <- commandArgs(TRUE); d <- read.csv(a[1]); n <- scan(text = a[2], sep = ",", quiet = TRUE)
        stopifnot(nrow(d) == n[1], sum(is.na(d$position)) == n[2], is.numeric(d$value),
                  d$value[d$metric == "entropy" & d$prompt == 1 & d$layer == 2 & d$head == 5] == as.numeric(a[3]))' \
        "$tmp/long.csv" "$(cat "$tmp/counts")" "$entropy"
else
    skip "R reads it" "no Rscript (Debian: r-base-core)"
fi
plan
