#!/usr/bin/env python3
"""Write the small cases of tests/families/ again: random models with Hugging Face's own eager outputs.

    python3 tests/families/make_cases.py [--only NAME,NAME] [OUT]

Each OUT/<case>/ is an ordinary checkpoint (config.json, model.safetensors) with a reference file ref-<n>.npz (what is
in it: analysis/analyse.h).  Weights are spread so that attention is far from uniform; float32, CPU.  The same seed
and versions give the same files.  Needs torch, transformers (the cases were written by version 5.23) and numpy.
"""
import argparse
import os
import shutil

import numpy as np
import torch
import transformers

VOCAB, WIDTH, INNER = 48, 32, 48
TOKENS, SOURCE = 9, 7


def usual(**more):
    values = dict(vocab_size=VOCAB, hidden_size=WIDTH, intermediate_size=INNER, num_hidden_layers=2,
                  num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=64, bos_token_id=1,
                  eos_token_id=2, pad_token_id=0)
    values.update(more)
    return {key: value for key, value in values.items() if value is not None}


def rope(kind, **more):
    return dict(rope_type=kind, rope_theta=10000.0, **more)


def vision():
    return dict(hidden_size=WIDTH, num_hidden_layers=2, num_attention_heads=4, intermediate_size=INNER, image_size=12,
                patch_size=4)


CASES = {  # name: configuration class, model class, settings
    "bert": ("BertConfig", "BertForMaskedLM", usual(num_key_value_heads=None, type_vocab_size=2)),
    "bloom": ("BloomConfig", "BloomForCausalLM", dict(vocab_size=VOCAB, hidden_size=WIDTH, n_layer=2, n_head=4)),
    "clip-vision": ("CLIPVisionConfig", "CLIPVisionModel", vision()),
    "deepseek_v3": ("DeepseekV3Config", "DeepseekV3ForCausalLM", usual(
        num_key_value_heads=4, q_lora_rank=12, kv_lora_rank=8, qk_nope_head_dim=8, qk_rope_head_dim=4, v_head_dim=8,
        n_routed_experts=4, n_shared_experts=1, num_experts_per_tok=2, moe_intermediate_size=16,
        first_k_dense_replace=1, n_group=2, topk_group=1, routed_scaling_factor=2.5)),
    "falcon": ("FalconConfig", "FalconForCausalLM", usual(
        new_decoder_architecture=True, num_kv_heads=2, alibi=False, bias=False)),
    "gemma3": ("Gemma3TextConfig", "Gemma3ForCausalLM", usual(
        head_dim=8, num_hidden_layers=3, sliding_window=4, sliding_window_pattern=3, query_pre_attn_scalar=12,
        layer_types=["sliding_attention", "sliding_attention", "full_attention"])),
    "gpt2": ("GPT2Config", "GPT2LMHeadModel", dict(
        vocab_size=VOCAB, n_embd=WIDTH, n_layer=2, n_head=4, n_positions=16, bos_token_id=1, eos_token_id=2,
        scale_attn_by_inverse_layer_idx=True)),
    "gpt_neo": ("GPTNeoConfig", "GPTNeoForCausalLM", dict(
        vocab_size=VOCAB, hidden_size=WIDTH, num_layers=2, num_heads=4, attention_types=[[["global", "local"], 1]],
        window_size=4, max_position_embeddings=16, intermediate_size=INNER, bos_token_id=1, eos_token_id=2)),
    "gpt_neox": ("GPTNeoXConfig", "GPTNeoXForCausalLM", usual(num_key_value_heads=None, rotary_pct=0.25, use_parallel_residual=True)),
    "gpt_oss": ("GptOssConfig", "GptOssForCausalLM", usual(
        head_dim=8, num_local_experts=4, num_experts_per_tok=2, sliding_window=4,
        rope_parameters=rope("yarn", factor=4.0, beta_fast=32.0, beta_slow=1.0, truncate=False,
                             original_max_position_embeddings=16))),
    "llama": ("LlamaConfig", "LlamaForCausalLM", usual(
        rope_parameters=rope("yarn", factor=4.0, original_max_position_embeddings=16))),
    "mixtral": ("MixtralConfig", "MixtralForCausalLM", usual(num_local_experts=4, num_experts_per_tok=2)),
    "modernbert": ("ModernBertConfig", "ModernBertForMaskedLM", usual(
        num_key_value_heads=None, num_hidden_layers=3, local_attention=4, global_attn_every_n_layers=3)),
    "mpt": ("MptConfig", "MptForCausalLM", dict(
        vocab_size=VOCAB, d_model=WIDTH, n_layers=2, n_heads=4, max_seq_len=32, expansion_ratio=2)),
    "qwen2": ("Qwen2Config", "Qwen2ForCausalLM", usual(
        use_sliding_window=True, sliding_window=4, max_window_layers=1)),
    "qwen3_next": ("Qwen3NextConfig", "Qwen3NextForCausalLM", usual(
        head_dim=8, num_hidden_layers=2, layer_types=["linear_attention", "full_attention"], num_experts=4,
        num_experts_per_tok=2, moe_intermediate_size=16, shared_expert_intermediate_size=16, linear_num_key_heads=2,
        linear_num_value_heads=4, linear_key_head_dim=8, linear_value_head_dim=8)),
    "t5": ("T5Config", "T5ForConditionalGeneration", dict(
        vocab_size=VOCAB, d_model=WIDTH, d_kv=8, d_ff=INNER, num_layers=2, num_decoder_layers=1, num_heads=4,
        relative_attention_num_buckets=8, relative_attention_max_distance=6, decoder_start_token_id=0)),
}


def randomise(model, generator):
    """Weights with a spread of their own: peaked attention, live norms and biases."""
    minus_one = any(word in type(model).__name__ for word in ("Gemma", "Next"))
    sharp = ("q_proj", "k_proj", "query", "key", "c_attn", "wqkv", "qkv", "q_a", "q_b", "kv_", ".q.", ".k.")
    seen = set()
    for name, p in sorted(model.state_dict(keep_vars=True).items()):
        if not isinstance(p, torch.nn.Parameter) or p.data_ptr() in seen:
            continue
        seen.add(p.data_ptr())
        low = name.lower()
        r = torch.randn(p.shape, generator=generator)
        norm = "norm" in low or "ln_" in low
        if p.dim() >= 2 and any(word in low for word in ("embed", "wte", "wpe", "shared.weight")):
            p.copy_(r * 0.6)
        elif p.dim() >= 2:
            conv1d = "GPT2" in type(model).__name__
            fan = p.shape[0] if conv1d else p.shape[1] if p.dim() == 3 else int(np.prod(p.shape[1:]))
            p.copy_(r * ((1.6 if any(word in low for word in sharp) else 0.9) / fan ** 0.5))
        elif norm and low.endswith("weight"):
            p.copy_((0.0 if minus_one and "linear_attn.norm" not in low else 1.0) + r * 0.15)
        else:
            p.copy_(r * 0.2)
    for name, b in model.named_buffers():
        if name.endswith("e_score_correction_bias"):
            b.copy_(torch.randn(b.shape, generator=generator) * 0.1)


def record(blocks):
    """What goes into the first of these blocks and comes out of each."""
    kept = {}

    def before(_, args, kwargs):
        kept[0] = (args[0] if args else kwargs["hidden_states"]).clone()

    def after(number):
        def hook(_, args, out):
            kept[number] = (out[0] if isinstance(out, (tuple, list)) else out).clone()
        return hook

    blocks[0].register_forward_pre_hook(before, with_kwargs=True)
    for number, block in enumerate(blocks):
        block.register_forward_hook(after(number + 1))
    return kept


def largest_list(model):
    lists = [m for m in model.modules() if isinstance(m, torch.nn.ModuleList)]
    return max(lists, key=lambda blocks: sum(p.numel() for p in blocks.parameters()))


def ids_of(n, generator):
    ids = torch.randint(3, VOCAB, (1, n), generator=generator)
    ids[0, 0] = 1
    return ids


def write_case(name, folder):
    config_class, model_class, settings = CASES[name]
    generator = torch.Generator().manual_seed(7000 + sum(map(ord, name)))
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    config = getattr(transformers, config_class)(**settings)
    model = getattr(transformers, model_class)._from_config(config, attn_implementation="eager").float().eval()
    randomise(model, generator)
    model.save_pretrained(folder)
    if os.path.exists(os.path.join(folder, "generation_config.json")):
        os.remove(os.path.join(folder, "generation_config.json"))
    model = getattr(transformers, model_class).from_pretrained(  # what a user loads is what counts
        folder, attn_implementation="eager", dtype=torch.float32).eval()

    ref, number = {}, TOKENS
    if config.is_encoder_decoder:
        encoder, decoder = record(model.encoder.block), record(model.decoder.block)
        source, ids = ids_of(SOURCE, generator), ids_of(TOKENS, generator)
        out = model(input_ids=source, decoder_input_ids=ids, output_attentions=True)
        ref.update(ids=ids[0].numpy(), enc_ids=source[0].numpy())
        ref.update({f"enc_hidden_{layer}": x for layer, x in encoder.items()})
        ref.update({f"enc_attn_{layer}": x for layer, x in enumerate(out.encoder_attentions)})
        ref.update({f"cross_attn_{layer}": x for layer, x in enumerate(out.cross_attentions)})
        hidden, attention = decoder, list(enumerate(out.decoder_attentions))
    else:
        hidden = record(largest_list(model))
        if hasattr(config, "image_size"):
            number = 1
            pixels = torch.randn(1, 3, config.image_size, config.image_size, generator=generator)
            out = model(pixel_values=pixels, output_attentions=True)
            ref["pixel_values"] = pixels[0].numpy()
        else:
            ids = ids_of(TOKENS, generator)
            out = model(input_ids=ids, output_attentions=True)
            ref["ids"] = ids[0].numpy()
        types = getattr(config, "layer_types", None)
        layers = [l for l, t in enumerate(types) if t != "linear_attention"] if types else range(len(out.attentions))
        maps = [x for x in out.attentions if x is not None]
        attention = list(zip(layers, maps, strict=True))
    if getattr(out, "logits", None) is not None:
        ref["logits"] = out.logits
    ref.update({f"hidden_{layer}": x for layer, x in hidden.items()})
    ref.update({f"attn_{layer}": x for layer, x in attention})
    arrays = {key: x if isinstance(x, np.ndarray) else x[0].reshape(x.shape[1:]).float().numpy()
              for key, x in ref.items()}
    np.savez_compressed(os.path.join(folder, f"ref-{number}.npz"), **arrays)
    peak = np.mean([a.max(-1).mean() for key, a in arrays.items() if "attn_" in key])
    print(f"{name:14s} {sum(p.numel() for p in model.parameters()):6d} weights, mean of the largest weight {peak:.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", nargs="?", default=os.path.dirname(os.path.abspath(__file__)))
    parser.add_argument("--only", help="names, comma-separated")
    args = parser.parse_args()
    torch.set_grad_enabled(False)
    torch.set_num_threads(1)
    for name in args.only.split(",") if args.only else CASES:
        write_case(name, os.path.join(args.out, name))


if __name__ == "__main__":
    main()
