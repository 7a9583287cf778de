/* Granite: Llama with four multipliers: embeddings, attention scores, residual branches, logits.
 * Hugging Face GraniteForCausalLM; GGUF architecture "granite". */
#include "model/families/decoder.h"

static const char *const more_keys[] = {"embedding_multiplier", "attention_multiplier", "residual_multiplier", "logits_scaling",
                                        "attention_bias", "mlp_bias", NULL};
static const char *const more_meta[] = {"embedding_scale", "attention.scale", "residual_scale", "logit_scale", NULL};

typedef struct multipliers { double embedding, attention, residual, logits; } multipliers;

static int read_multipliers(const model *m, multipliers *x, err *e)
{
    const gguf_meta *g = m->ckpt->gguf;
    int rc;
    if (m->config) {
        if ((rc = config_real(&x->embedding, m->config, "embedding_multiplier", false, 1e-9, 1e9, e)) ||
            (rc = config_real(&x->attention, m->config, "attention_multiplier", false, 1e-9, 1e9, e)) ||
            (rc = config_real(&x->residual, m->config, "residual_multiplier", false, 1e-9, 1e9, e)))
            return rc;
        return config_real(&x->logits, m->config, "logits_scaling", false, 1e-9, 1e9, e);
    }
    if ((rc = meta_real(&x->embedding, g, "granite", "embedding_scale", false, 1e-9, 1e9, e)) ||
        (rc = meta_real(&x->attention, g, "granite", "attention.scale", true, 1e-9, 1e9, e)) ||
        (rc = meta_real(&x->residual, g, "granite", "residual_scale", false, 1e-9, 1e9, e)))
        return rc;
    return meta_real(&x->logits, g, "granite", "logit_scale", false, 1e-9, 1e9, e);
}

static int configure(model *m, err *e)
{
    decoder_shape s = {.norm = NORM_RMS, .eps = m->config ? 1e-6 : 0, .act = ACT_SILU, .gated = true, .causal = true};
    multipliers x = {1, 1, 1, 1};
    int rc = m->config ? decoder_read_config(m, &s, more_keys, e) : decoder_read_meta(m, &s, "granite", more_meta, e);
    if (rc || (rc = read_multipliers(m, &x, e)) || (rc = decoder_build(m, &s, e)))
        return rc;
    m->main->embed.scale = (float)x.embedding;
    m->head.scale = (float)(1 / x.logits);
    for (int l = 0; l < m->main->n_layer; l++) {
        model_layer *y = &m->main->layers[l];
        y->self.plan.scale = (float)x.attention;
        y->at_self.scale = y->at_mlp.scale = (float)x.residual;
    }
    return decoder_rope(m, "granite", ROPE_HALF, 10000, 1, e);
}

static int bind(model *m, err *e)
{
    decoder_names n = m->config ? decoder_names_llama : decoder_names_gguf;
    int rc;
    n.paired = !m->config;
    if ((rc = decoder_bias_flag(m, "attention_bias", &n.qkv_bias, e)) || (rc = decoder_bias_flag(m, "mlp_bias", &n.mlp_bias, e)))
        return rc;
    n.out_bias = n.qkv_bias;
    return decoder_bind(m, &n, e);
}

static const char *const model_types[] = {"granite", NULL};
static const char *const gguf_archs[] = {"granite", NULL};

const family family_granite = {
    .name = "granite",
    .summary = "Granite 3 (dense)",
    .model_types = model_types,
    .gguf_archs = gguf_archs,
    .configure = configure,
    .bind = bind,
};
