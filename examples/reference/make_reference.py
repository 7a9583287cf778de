#!/usr/bin/env python3
"""Write a reference file for `attnscope verify` with Hugging Face's own forward pass.

    python3 make_reference.py MODEL OUT.npz (--text TEXT | --ids 1,2,3)

MODEL is a local directory in the Hugging Face layout.  Eager attention, float32, CPU.  The file holds

    ids        int64 [n]
    logits     f32   [n, V]
    hidden_<l> f32   [n, C]    l = 0..L: the residual stream after l blocks, before the final norm
    attn_<l>   f32   [H, n, n] attention weights, rows = queries

Then:  attnscope verify MODEL --reference OUT.npz

Needs torch, transformers and numpy.
"""
import argparse

import numpy as np
import torch
import transformers


def last_block_output(model):
    """Hugging Face applies the final norm to the last hidden state it returns; a hook keeps the one before."""
    kept = {}
    body = getattr(model, model.base_model_prefix, model)
    for name in ("norm", "ln_f", "final_layer_norm", "final_layernorm"):
        for owner in (body, getattr(body, "decoder", None)):
            module = getattr(owner, name, None)
            if isinstance(module, torch.nn.Module):
                module.register_forward_pre_hook(lambda _, inputs: kept.update(x=inputs[0]))
                return kept
    raise SystemExit("make_reference: cannot find the final norm of " + type(model).__name__)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model")
    parser.add_argument("out")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--text", help="tokenised by the model's own tokenizer")
    source.add_argument("--ids", help="comma-separated token ids; nothing is added")
    args = parser.parse_args()

    torch.set_grad_enabled(False)
    model = transformers.AutoModelForCausalLM.from_pretrained(
        args.model, attn_implementation="eager", dtype=torch.float32).eval()
    if args.ids:
        ids = [int(word) for word in args.ids.split(",")]
    else:
        ids = transformers.AutoTokenizer.from_pretrained(args.model)(args.text)["input_ids"]

    kept = last_block_output(model)
    out = model(torch.tensor(ids)[None], output_attentions=True, output_hidden_states=True)
    hidden = list(out.hidden_states)
    hidden[-1] = kept["x"]
    arrays = {"ids": np.array(ids, np.int64), "logits": out.logits[0].numpy()}
    arrays.update({f"hidden_{layer}": x[0].numpy() for layer, x in enumerate(hidden)})
    arrays.update({f"attn_{layer}": x[0].numpy() for layer, x in enumerate(out.attentions)})
    np.savez(args.out, **arrays)
    print(f"{args.out}: {len(ids)} tokens, {len(out.attentions)} layers")


if __name__ == "__main__":
    main()
