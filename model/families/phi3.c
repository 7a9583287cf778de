/* Phi-3, Phi-3.5 and Phi-4 (mini): Llama with q, k, v and gate, up fused, long RoPE, and a window.
 * Hugging Face Phi3ForCausalLM; GGUF architecture "phi3". */
#include "model/families/decoder.h"

static const char *const more_keys[] = {"sliding_window", NULL};
static const char *const more_meta[] = {"attention.sliding_window", NULL};

static int configure(model *m, err *e)
{
    decoder_shape s = {.norm = NORM_RMS, .eps = m->config ? 1e-5 : 0, .act = ACT_SILU, .gated = true,
                       .causal = true, .context = 4096};
    int rc = m->config ? config_int(&s.window, m->config, "sliding_window", false, 1, INT32_MAX, e)
                       : meta_int(&s.window, m->ckpt->gguf, "phi3", "attention.sliding_window", false, 0, INT32_MAX, e);
    if (rc || (rc = m->config ? decoder_read_config(m, &s, more_keys, e) : decoder_read_meta(m, &s, "phi3", more_meta, e)) ||
        (rc = decoder_build(m, &s, e)))
        return rc;
    return decoder_rope(m, "phi3", ROPE_HALF, 10000, 1, e);
}

static int bind(model *m, err *e)
{
    decoder_names n = m->config ? decoder_names_llama : decoder_names_gguf;
    n.layout = QKV_STACKED;
    n.qkv = m->config ? "layers.%d.self_attn.qkv_proj" : "blk.%d.attn_qkv";
    n.gate_up = m->config ? "layers.%d.mlp.gate_up_proj" : "blk.%d.ffn_up";
    return decoder_bind(m, &n, e);
}

static const char *const model_types[] = {"phi3", NULL};
static const char *const gguf_archs[] = {"phi3", NULL};

const family family_phi3 = {
    .name = "phi3",
    .summary = "Phi-3, Phi-3.5, Phi-4",
    .model_types = model_types,
    .gguf_archs = gguf_archs,
    .configure = configure,
    .bind = bind,
};
