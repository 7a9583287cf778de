/* Qwen3: Llama with RMSNorm of each head of q and k before RoPE, and heads of their own width.
 * Hugging Face Qwen3ForCausalLM; GGUF architecture "qwen3". */
#include "model/families/decoder.h"

static const char *const more_keys[] = {"layer_types", "use_sliding_window", "sliding_window", "max_window_layers",
                                        "attention_bias", NULL};

static int configure(model *m, err *e)
{
    decoder_shape s = {.norm = NORM_RMS, .eps = m->config ? 1e-6 : 0, .act = ACT_SILU, .gated = true,
                       .causal = true, .context = 32768};
    int rc;
    if (m->config)
        s.head_width = 128;
    rc = m->config ? decoder_read_config(m, &s, more_keys, e) : decoder_read_meta(m, &s, "qwen3", NULL, e);
    if (rc || (rc = decoder_build(m, &s, e)) || (m->config && (rc = decoder_late_windows(m, e))))
        return rc;
    decoder_set_qk_norm(m, NORM_RMS, s.eps, false, false);
    return decoder_rope(m, "qwen3", ROPE_HALF, 10000, 1, e);
}

static int bind(model *m, err *e)
{
    decoder_names n = m->config ? decoder_names_llama : decoder_names_gguf;
    int rc = decoder_bias_flag(m, "attention_bias", &n.qkv_bias, e);
    n.out_bias = n.qkv_bias;
    return rc ? rc : decoder_bind(m, &n, e);
}

static const char *const model_types[] = {"qwen3", NULL};
static const char *const gguf_archs[] = {"qwen3", NULL};

const family family_qwen3 = {
    .name = "qwen3",
    .summary = "Qwen3 (dense)",
    .model_types = model_types,
    .gguf_archs = gguf_archs,
    .configure = configure,
    .bind = bind,
};
