/* Gemma 2: norms on both sides of attention and MLP, soft-capped scores and logits, every other layer sliding.
 * Hugging Face Gemma2ForCausalLM; GGUF architecture "gemma2". */
#include "model/families/decoder.h"

#include <math.h>

static const char *const more_keys[] = {"layer_types", "attention_bias", "use_bidirectional_attention", "query_pre_attn_scalar",
                                        "sliding_window", "attn_logit_softcapping", "final_logit_softcapping",
                                        "sliding_window_size", NULL};
static const char *const more_meta[] = {"attn_logit_softcapping", "final_logit_softcapping", "attention.sliding_window", NULL};

typedef struct traits { double scalar, score_cap, logit_cap; int64_t window; } traits;

static int read_traits(const model *m, traits *t, err *e)
{
    const gguf_meta *g = m->ckpt->gguf;
    int rc;
    if (m->config) {
        if ((rc = config_real(&t->scalar, m->config, "query_pre_attn_scalar", false, 1e-6, 1e6, e)) ||
            (rc = config_real(&t->score_cap, m->config, "attn_logit_softcapping", false, 1e-6, 1e9, e)) ||
            (rc = config_real(&t->logit_cap, m->config, "final_logit_softcapping", false, 1e-6, 1e9, e)) ||
            (rc = config_must_be_bool(m->config, "use_bidirectional_attention", false, e)))
            return rc;
        return config_int(&t->window, m->config, "sliding_window", false, 1, INT32_MAX, e);
    }
    if ((rc = meta_real(&t->score_cap, g, "gemma2", "attn_logit_softcapping", false, 1e-6, 1e9, e)) ||
        (rc = meta_real(&t->logit_cap, g, "gemma2", "final_logit_softcapping", false, 1e-6, 1e9, e)))
        return rc;
    return meta_int(&t->window, g, "gemma2", "attention.sliding_window", false, 1, INT32_MAX, e);
}

static int configure(model *m, err *e)
{
    decoder_shape s = {.norm = NORM_RMS, .eps = m->config ? 1e-6 : 0, .act = ACT_GELU_TANH, .gated = true,
                       .tied = true, .causal = true, .context = 8192};
    traits t = {.score_cap = 50, .logit_cap = 30, .window = 4096};
    int rc;
    if (m->config)
        s.head_width = 256;
    rc = m->config ? decoder_read_config(m, &s, more_keys, e) : decoder_read_meta(m, &s, "gemma2", more_meta, e);
    /* GGUF has no key for the scale: 1 / sqrt(head width), but in the model of 46 layers 1 / sqrt(width / heads). */
    t.scalar = m->config ? 256 : s.layers == 46 ? (double)(s.width / s.heads) : (double)s.head_width;
    if (!m->config)
        model_assume(m, "GGUF has no key for the scale of scores: 1 / sqrt(head width) is assumed");
    if (rc || (rc = read_traits(m, &t, e)) || (rc = decoder_build(m, &s, e)))
        return rc;
    m->main->embed.scale = (float)sqrt((double)s.width);
    m->head.softcap = (float)t.logit_cap;
    for (int l = 0; l < m->main->n_layer; l++) {
        model_layer *y = &m->main->layers[l];
        y->self.plan.scale = (float)pow(t.scalar, -0.5);
        y->self.plan.softcap = (float)t.score_cap;
        y->at_self.out = y->at_mlp.out = y->at_self.pre;
        y->mlp.act = ACT_GELU_TANH;
    }
    if ((rc = decoder_windows(m, m->config, t.window, 2, false, e)))
        return rc;
    return decoder_rope(m, "gemma2", ROPE_HALF, 10000, 1, e);
}

static const char *const model_types[] = {"gemma2", NULL};
static const char *const gguf_archs[] = {"gemma2", NULL};

const family family_gemma2 = {
    .name = "gemma2",
    .summary = "Gemma 2",
    .model_types = model_types,
    .gguf_archs = gguf_archs,
    .configure = configure,
    .bind = decoder_bind_gemma,
};
