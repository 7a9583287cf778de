/* Command R: attention and MLP in parallel behind one LayerNorm without bias, interleaved RoPE, scaled logits,
 * optionally LayerNorm of each head of q and k.  Hugging Face CohereForCausalLM; GGUF architecture "command-r". */
#include "model/families/decoder.h"

static const char *const more_keys[] = {"use_qk_norm", "logit_scale", "attention_bias", NULL};
static const char *const more_meta[] = {"logit_scale", NULL};

static int configure(model *m, err *e)
{
    decoder_shape s = {.norm = NORM_LAYER, .eps = m->config ? 1e-5 : 0, .act = ACT_SILU, .gated = true,
                       .tied = true, .causal = true, .context = 8192};
    double scale = m->config ? 0.0625 : 1;
    bool normed = !m->config && bind_has(m, "blk.%d.attn_q_norm.weight", 0);
    int rc = m->config ? decoder_read_config(m, &s, more_keys, e) : decoder_read_meta(m, &s, "command-r", more_meta, e);
    if (rc || (rc = m->config ? config_real(&scale, m->config, "logit_scale", false, 1e-9, 1e9, e)
                              : meta_real(&scale, m->ckpt->gguf, "command-r", "logit_scale", false, 1e-9, 1e9, e)) ||
        (m->config && (rc = config_bool(&normed, m->config, "use_qk_norm", e))) || (rc = decoder_build(m, &s, e)))
        return rc;
    m->head.scale = (float)scale;
    for (int l = 0; l < m->main->n_layer; l++)
        m->main->layers[l].parallel = m->main->layers[l].shared_norm = true;
    if (normed)
        decoder_set_qk_norm(m, NORM_LAYER, s.eps, false, true);
    return decoder_rope(m, "command-r", ROPE_INTERLEAVED, m->config ? 500000 : 10000, 1, e);
}

static int bind(model *m, err *e)
{
    decoder_names n = m->config ? decoder_names_llama : decoder_names_gguf;
    int rc = decoder_bias_flag(m, "attention_bias", &n.qkv_bias, e);
    n.mlp_pre = NULL;
    n.out_bias = n.qkv_bias;
    n.norm_flags = BIND_NO_BIAS;
    return rc ? rc : decoder_bind(m, &n, e);
}

static const char *const model_types[] = {"cohere", NULL};
static const char *const gguf_archs[] = {"command-r", NULL};

const family family_cohere = {
    .name = "cohere",
    .summary = "Command R and R+",
    .model_types = model_types,
    .gguf_archs = gguf_archs,
    .configure = configure,
    .bind = bind,
};
