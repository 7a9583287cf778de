"""A sweep that costs next to nothing: two models of 5,000 parameters without a tokenizer, prompts of ids, two precisions, an
edit.  The same files wherever it is made."""
import array
import json
import os
import random
import struct

LAYERS, HEADS, WIDTH, VOCABULARY = 2, 2, 16, 40


def model(folder, seed):
    os.mkdir(folder)
    with open(os.path.join(folder, "config.json"), "w") as f:
        json.dump({"model_type": "llama", "hidden_size": WIDTH, "intermediate_size": WIDTH, "num_hidden_layers": LAYERS,
                   "num_attention_heads": HEADS, "num_key_value_heads": HEADS, "vocab_size": VOCABULARY,
                   "max_position_embeddings": 64, "rms_norm_eps": 1e-6, "hidden_act": "silu", "tie_word_embeddings": True}, f)
    shape = {"model.embed_tokens.weight": [VOCABULARY, WIDTH], "model.norm.weight": [WIDTH]}
    for i in range(LAYERS):
        layer = "model.layers.%d." % i
        for name in ("self_attn.q", "self_attn.k", "self_attn.v", "self_attn.o", "mlp.gate", "mlp.up", "mlp.down"):
            shape[layer + name + "_proj.weight"] = [WIDTH, WIDTH]
        for name in ("input", "post_attention"):
            shape[layer + name + "_layernorm.weight"] = [WIDTH]
    chance, numbers, header = random.Random(seed), array.array("f"), {}
    for name, s in shape.items():
        begin = 4 * len(numbers)
        if len(s) == 1:
            numbers.extend([1.0] * s[0])
        else:
            numbers.extend(chance.gauss(0, 0.3) for _ in range(s[0] * s[1]))
        header[name] = {"dtype": "F32", "shape": s, "data_offsets": [begin, 4 * len(numbers)]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(os.path.join(folder, "model.safetensors"), "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + numbers.tobytes())


def make(folder, prompts):
    """Models and files in the folder; the path of the sweep, of 8 cells of that many units."""
    for i in (1, 2):
        model(os.path.join(folder, "tiny-%d" % i), i)
    chance = random.Random(5)
    with open(os.path.join(folder, "ids.jsonl"), "w") as f:
        for i in range(prompts):
            ids = [chance.randrange(VOCABULARY) for _ in range(3 + i % 9)]
            f.write(json.dumps({"ids": ids, "label": "ids %d" % i, "domain": "even" if i % 2 == 0 else "odd"}) + "\n")
    path = os.path.join(folder, "tiny.sweep")
    with open(path, "w") as f:
        f.write('command = run\nmodel = [one: "%s/tiny-1", two: "%s/tiny-2"]\nprompts = %s/ids.jsonl\n'
                'metrics = sink, entropy\nmaps = L1H1\nprecision = [f32, bf16]\nedit = [whole: "", off: "zero L1H0"]\n'
                'threads = 1\n' % (folder, folder, folder))
    return path
