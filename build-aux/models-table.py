#!/usr/bin/env python3
"""Write MODELS.md: every reference model run by attnscope and held against Hugging Face.

    python3 build-aux/models-table.py [--attnscope build/attnscope] [--golden ../shared/golden] [--out MODELS.md]

Runs `attnscope verify --json` on the safetensors and on the GGUF twin of each directory, with all its references, on
the best instruction set of this machine and on plain C.  Exit status 1 when anything but what tests/families/twins.txt
lists is out of its gate (the table is not written then).  The small models of tests/families are taken as well, where --golden
lacks their names.  Without --golden the rows of other models stay as they stand in MODELS.md.  Needs Python's standard library
alone.
"""
import argparse
import json
import math
import os
import re
import subprocess
import sys

SPECIAL = {  # what the case is there for
    "bart": "post-norm, learned positions from 2 on, cross attention",
    "bert": "post-norm encoder, token types, masked-language head",
    "bloom": "ALiBi, q k v per head, normed embedding",
    "bloom-6heads": "ALiBi slopes for heads that are no power of two",
    "clip-vision": "pre-norm tower, class token, quick GELU",
    "cohere": "parallel, interleaved RoPE, norm of each head of q and k, scaled logits",
    "deepseek_v2": "latent attention, softmax routing, shared expert, dense first layer",
    "deepseek_v3": "latent attention, sigmoid routing in groups with a choice bias",
    "deit": "class and distillation token",
    "dinov2": "layer scale",
    "dinov2-registers": "layer scale, register tokens",
    "distilbert": "post-norm encoder without token types",
    "electra": "embedding narrower than the model",
    "exaone4": "norms on outputs, window in 3 of 4 layers, the full ones without positions",
    "falcon": "groups of heads, two norms, parallel, no biases",
    "falcon-alibi": "ALiBi in bfloat16, biases, serial",
    "falcon-gqa": "groups of heads, two norms, parallel",
    "falcon-mqa": "one key/value head, parallel",
    "gemma": "norm weights minus one, scaled embedding, head width of its own",
    "gemma2": "soft caps on scores and logits, norms on both sides, alternating window",
    "gemma3": "5 sliding layers to 1 full, a RoPE for each kind, norm of q and k",
    "glm4": "interleaved RoPE over half a head, norms on both sides, gate and up fused",
    "gpt2": "learned positions, fused q k v stored transposed",
    "gpt2-layer-scaled": "scores divided by the layer's number",
    "gpt_bigcode": "one key/value head, learned positions",
    "gpt_neo": "unscaled scores, every other layer local",
    "gpt_neox": "parallel, RoPE over a quarter of each head",
    "gpt_neox-serial": "serial, RoPE over the whole head",
    "gpt_oss": "learned sinks, alternating window, YaRN, experts with clamped activation",
    "gptj": "parallel, interleaved RoPE over part of a head",
    "granite": "multipliers on embedding, residual, scores, logits",
    "llama": "RMSNorm, RoPE, grouped keys and values, gated SiLU",
    "llama-headdim-tied": "head width of its own, tied, biases",
    "llama-rope-dynamic": "dynamic RoPE scaling, on both sides of its threshold",
    "llama-rope-linear": "linear RoPE scaling",
    "llama-rope-llama3": "Llama 3's RoPE scaling",
    "llama-rope-yarn": "YaRN",
    "llava": "image tower, projector, language model",
    "mistral": "sliding window in every layer",
    "mixtral": "2 of 4 experts, renormalised",
    "modernbert": "alternating bands and full layers, a RoPE for each, gated MLP",
    "mpt": "ALiBi, no biases",
    "nemotron": "LayerNorm with weights minus one, squared ReLU, partial RoPE",
    "olmo": "LayerNorm without weights, clipped q k v",
    "olmo2": "norms on outputs, norm over all heads of q and k",
    "olmoe": "norm over all heads of q and k, experts not renormalised",
    "opt": "positions from 2 on, ReLU",
    "opt-postnorm-proj": "post-norm, embedding narrower than the model",
    "phi": "parallel, partial RoPE, biases everywhere",
    "phi3": "fused q k v and gate up",
    "phi3-longrope": "long RoPE, on both sides of its threshold",
    "qwen2": "biases on q k v",
    "qwen2-window": "window from a layer on",
    "qwen2_moe": "experts in every other layer, gated shared expert",
    "qwen3": "norm of each head of q and k",
    "qwen3_moe": "norm of each head of q and k, experts renormalised",
    "qwen3_next": "gated delta rule in 3 of 4 layers, gated attention, experts",
    "roberta": "positions count from the padding id on",
    "siglip-vision": "tower without class token",
    "smollm3": "every fourth layer without positions",
    "stablelm": "partial RoPE, biases on q k v",
    "stablelm-qknorm-parallel": "parallel, LayerNorm of each head of q and k",
    "starcoder2": "LayerNorm, window, biases",
    "t5": "relative position buckets, unscaled scores, cross attention",
    "t5-gated": "gated GELU, untied output",
    "vit": "pre-norm tower, class token",
    "whisper": "mel frames through convolutions, cross attention",
}
HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SOURCES = {"safetensors": "", "GGUF": "model-f32.gguf"}


def read_twins(path):
    """[(case, reference or *, outcome, part of the message, why)]"""
    with open(path, encoding="utf-8") as f:
        return [tuple(line.rstrip("\n").split("\t")) for line in f if not line.startswith("#")]


def verify(program, model, reference, isa):
    env = dict(os.environ)
    env.pop("ATTNSCOPE_ISA", None)
    if isa:
        env["ATTNSCOPE_ISA"] = isa
    done = subprocess.run([program, "verify", model, reference, "--json"], env=env, capture_output=True, text=True,
                          check=False)
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr.strip()


class Worst:
    """Largest errors: attention; hidden states over their gate; logits."""

    def __init__(self):
        self.attn = self.hidden = self.logits = None

    def add(self, rows):
        for row in rows:
            if row["array"].endswith("attn"):
                self.attn = max(self.attn or 0, row["max_abs"])
            elif row["array"].endswith("hidden"):
                over = row["max_abs"] / row["gate"] if row["gate"] > 0 else (math.inf if row["max_abs"] else 0)
                self.hidden = max(self.hidden or 0, over)
            else:
                self.logits = max(self.logits or 0, row["nmse"])

    def cells(self):
        return [("-" if x is None else "0" if x == 0 else f"{x:.1e}") for x in (self.attn, self.hidden, self.logits)]


def run_case(program, folder, case, lacks):
    """(formats, lengths, worst errors on the best set and on plain C, problems)"""
    references = sorted((name for name in os.listdir(folder) if re.fullmatch(r"ref-\d+\.npz", name)),
                        key=lambda name: int(name[4:-4]))
    formats, worst, problems = [], {None: Worst(), "c": Worst()}, []
    for source, file in SOURCES.items():
        model = os.path.join(folder, file) if file else folder
        if not os.path.exists(model):
            continue
        held = 0
        for name in references:
            lack = [x for x in lacks if file and x[0] == case and x[1] in ("*", name)]
            for isa, errors in worst.items():
                code, rows, message = verify(program, model, os.path.join(folder, name), isa)
                if lack:
                    if code == 0:
                        problems.append(f"{model}, {name}: passes although twins.txt lists it")
                elif code != 0:
                    problems.append(f"{model}, {name}, {isa or 'best'}: {message}")
                else:
                    errors.add(rows)
            held += not lack
        formats.append(source if held == len(references) else f"{source} {held} of {len(references)}")
    return formats, [name[4:-4] for name in references], worst, problems


def families_list(program):
    done = subprocess.run([program, "list", "families", "--json"], capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def best_isa(program):
    done = subprocess.run([program, "list", "isas", "--json"], capture_output=True, text=True, check=True)
    return [row["isa"] for row in map(json.loads, done.stdout.splitlines()) if row["usable"] == "yes"][-1]


def model_type(folder):
    with open(os.path.join(folder, "config.json"), encoding="utf-8") as f:
        return json.load(f)["model_type"]


def cases_of(golden):
    """{case: folder}, those of tests/families too where golden lacks them."""
    cases = {}
    for parent in (os.path.join(HERE, "tests", "families"), golden):
        for name in sorted(os.listdir(parent)) if os.path.isdir(parent) else []:
            if os.path.exists(os.path.join(parent, name, "config.json")):
                cases[name] = os.path.join(parent, name)
    return cases


def rows_of(path):
    """{case: its row} of the table that a MODELS.md has."""
    rows = {}
    with open(path, encoding="utf-8") as f:
        for line in f.read().split(TWINS.split("|")[0])[0].splitlines(True):
            if line.startswith("| ") and not line.startswith("| case "):
                rows[line.split("|")[1].strip()] = line
    return rows


HEAD = """# Models

Written by `build-aux/models-table.py`; do not edit.

## Held against Hugging Face

Each row is a small random model of one shape, run by `attnscope verify` against the arrays of Hugging Face's eager
attention in float32 on a CPU: every attention weight, every hidden state and all logits, at every length listed.
Errors are the largest over all lengths, layers and formats:

* **attention**: largest absolute difference (gate 1e-5);
* **hidden**: largest absolute difference over its gate, which is 1e-4 of the array's root mean square (so 1 is the
  limit);
* **logits**: mean squared difference over the mean square of the reference (gate 1e-8); - where there is no head.

On plain C and on {best} alike, unless two numbers are given ({best} / plain C).  0 means equal to the last bit.
Lengths of image models count images.  `tests/test_families.c` runs the same.

| case | model_type | what is special | formats | lengths | attention | hidden | logits |
|---|---|---|---|---|---|---|---|
"""
TWINS = """
### GGUF files that cannot express their reference

GGUF twins are by llama.cpp's own converter.  Where one lacks what the reference needs, it is not bent: the run is
refused, or differs; with the missing value put in, the test shows, it passes.  The twins of `bert` and `distilbert`
hold no head, so that no logits are compared there.

| case | lengths | what happens | why |
|---|---|---|---|
"""
FAMILIES = """
## All families

`attnscope list families` prints this.  Formats: safetensors, PyTorch, NPZ and llama2.c files with a `config.json`,
read by its `model_type`; GGUF by its `general.architecture`.  Old spellings of keys and tensor names are read as well.

| family | what | `model_type` | GGUF |
|---|---|---|---|
"""


def code(names):
    return ", ".join(f"`{name}`" for name in names.replace(",", " ").split()) if names else "-"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--attnscope", default=os.path.join(HERE, "build", "attnscope"))
    parser.add_argument("--golden", default=os.path.join(HERE, "..", "shared", "golden"))
    parser.add_argument("--out", default=os.path.join(HERE, "MODELS.md"))
    args = parser.parse_args()
    lacks = read_twins(os.path.join(HERE, "tests", "families", "twins.txt"))
    text, problems = HEAD.format(best=best_isa(args.attnscope)), []
    rows = {}
    if not os.path.isdir(args.golden):
        rows = rows_of(os.path.join(HERE, "MODELS.md"))
        print(f"no folder {args.golden}: rows that MODELS.md has stay as they are", file=sys.stderr)
    for case, folder in cases_of(args.golden).items():
        if case in rows:
            continue
        formats, lengths, worst, bad = run_case(args.attnscope, folder, case, lacks)
        problems += bad
        cells = [a if a == b else f"{a} / {b}" for a, b in zip(worst[None].cells(), worst["c"].cells())]
        rows[case] = "| " + " | ".join([case, f"`{model_type(folder)}`", SPECIAL.get(case, ""), ", ".join(formats),
                                        ", ".join(lengths)] + cells) + " |\n"
    text += "".join(rows[case] for case in sorted(rows))
    text += TWINS
    for case, reference, outcome, _, why in lacks:
        text += f"| {case} | {'all' if reference == '*' else reference[4:-4]} | {outcome} | {why} |\n"
    text += FAMILIES
    for row in families_list(args.attnscope):
        text += f"| {row['family']} | {row['summary']} | {code(row['model_types'])} | {code(row['gguf_architectures'])} |\n"
    if problems:
        sys.exit("\n".join(problems))
    with open(args.out, "w", encoding="utf-8") as f:
        f.write(text)
    print(f"{args.out}: {text.count(chr(10))} lines")
    return 0


if __name__ == "__main__":
    sys.exit(main())
