/* OLMo: Llama with LayerNorm that has no weights, and q, k, v clipped.
 * Hugging Face OlmoForCausalLM; GGUF architecture "olmo". */
#include "model/families/decoder.h"

static const char *const more_keys[] = {"clip_qkv", "attention_bias", NULL};
static const char *const more_meta[] = {"attention.clamp_kqv", NULL};

static int configure(model *m, err *e)
{
    decoder_shape s = {.norm = NORM_LAYER, .eps = 1e-5, .act = ACT_SILU, .gated = true, .causal = true};
    double clip = 0;
    int rc = m->config ? decoder_read_config(m, &s, more_keys, e) : decoder_read_meta(m, &s, "olmo", more_meta, e);
    if (rc || (rc = m->config ? config_real(&clip, m->config, "clip_qkv", false, 1e-6, 1e9, e)
                              : meta_real(&clip, m->ckpt->gguf, "olmo", "attention.clamp_kqv", false, 0, 1e9, e)) ||
        (rc = decoder_build(m, &s, e)))
        return rc;
    for (int l = 0; l < m->main->n_layer; l++)
        m->main->layers[l].self.clip = (float)clip;
    return decoder_rope(m, "olmo", ROPE_HALF, 10000, 1, e);
}

static int bind(model *m, err *e)
{
    decoder_names n = m->config ? decoder_names_llama : decoder_names_gguf;
    int rc = decoder_bias_flag(m, "attention_bias", &n.qkv_bias, e);
    n.final_norm = n.attn_pre = n.mlp_pre = NULL;
    n.out_bias = n.qkv_bias;
    n.paired = !m->config;
    return rc ? rc : decoder_bind(m, &n, e);
}

static const char *const model_types[] = {"olmo", NULL};
static const char *const gguf_archs[] = {"olmo", NULL};

const family family_olmo = {
    .name = "olmo",
    .summary = "OLMo 1",
    .model_types = model_types,
    .gguf_archs = gguf_archs,
    .configure = configure,
    .bind = bind,
};
