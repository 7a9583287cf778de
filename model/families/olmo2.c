/* OLMo 2: norms on what attention and MLP give instead of what they read; RMSNorm over all heads of q and k.
 * Hugging Face Olmo2ForCausalLM; GGUF architecture "olmo2". */
#include "model/families/decoder.h"

static const char *const more_keys[] = {"attention_bias", NULL};

static int configure(model *m, err *e)
{
    decoder_shape s = {.norm = NORM_RMS, .eps = m->config ? 1e-5 : 0, .act = ACT_SILU, .gated = true, .causal = true};
    int rc = m->config ? decoder_read_config(m, &s, more_keys, e) : decoder_read_meta(m, &s, "olmo2", NULL, e);
    if (rc || (rc = decoder_build(m, &s, e)))
        return rc;
    decoder_norm_outputs(m);
    decoder_set_qk_norm(m, NORM_RMS, s.eps, true, false);
    return decoder_rope(m, "olmo2", ROPE_HALF, 10000, 1, e);
}

static int bind(model *m, err *e)
{
    decoder_names n = m->config ? decoder_names_llama : decoder_names_gguf;
    int rc = decoder_bias_flag(m, "attention_bias", &n.qkv_bias, e);
    n.out_bias = n.qkv_bias;
    if (m->config) {
        n.attn_out_norm = "layers.%d.post_attention_layernorm";
        n.mlp_out_norm = "layers.%d.post_feedforward_layernorm";
    }
    return rc ? rc : decoder_bind(m, &n, e);
}

static const char *const model_types[] = {"olmo2", NULL};
static const char *const gguf_archs[] = {"olmo2", NULL};

const family family_olmo2 = {
    .name = "olmo2",
    .summary = "OLMo 2",
    .model_types = model_types,
    .gguf_archs = gguf_archs,
    .configure = configure,
    .bind = bind,
};
