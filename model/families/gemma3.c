/* Gemma 3 (its language model): Gemma 2 without caps, RMSNorm of each head of q and k, five sliding layers with a
 * RoPE of their own to one full layer.  Hugging Face Gemma3ForCausalLM; GGUF architecture "gemma3". */
#include "model/families/decoder.h"

#include <math.h>

static const char *const more_keys[] = {"layer_types", "attention_bias", "use_bidirectional_attention", "query_pre_attn_scalar",
                                        "sliding_window", "sliding_window_pattern", "_sliding_window_pattern",
                                        "attn_logit_softcapping", "final_logit_softcapping", "rope_local_base_freq", NULL};
static const char *const more_meta[] = {"final_logit_softcapping", "attention.sliding_window", "rope.freq_base_swa",
                                        "attention.sliding_window_pattern", NULL};

typedef struct traits { double scalar, score_cap, logit_cap; int64_t window, pattern; } traits;

static int read_traits(const model *m, traits *t, err *e)
{
    const gguf_meta *g = m->ckpt->gguf;
    int rc;
    if (m->config) {
        if ((rc = config_real(&t->scalar, m->config, "query_pre_attn_scalar", false, 1e-6, 1e6, e)) ||
            (rc = config_real(&t->score_cap, m->config, "attn_logit_softcapping", false, 1e-6, 1e9, e)) ||
            (rc = config_real(&t->logit_cap, m->config, "final_logit_softcapping", false, 1e-6, 1e9, e)) ||
            (rc = config_int(&t->pattern, m->config, "sliding_window_pattern|_sliding_window_pattern", false, 1, 4096, e)) ||
            (rc = config_must_be_bool(m->config, "use_bidirectional_attention", false, e)))
            return rc;
        return config_int(&t->window, m->config, "sliding_window", false, 1, INT32_MAX, e);
    }
    if ((rc = meta_real(&t->logit_cap, g, "gemma3", "final_logit_softcapping", false, 1e-6, 1e9, e)) ||
        (rc = meta_int(&t->pattern, g, "gemma3", "attention.sliding_window_pattern", false, 1, 4096, e)))
        return rc;
    return meta_int(&t->window, g, "gemma3", "attention.sliding_window", false, 1, INT32_MAX, e);
}

/* Full layers take rope_theta and the scaling, sliding ones rope_local_base_freq without. */
static int ropes(model *m, int width, err *e)
{
    rope_want full = {.kind = ROPE_HALF, .head_width = width, .base = 1e6, .layer_type = "full_attention"};
    rope_want local = {.kind = ROPE_HALF, .head_width = width, .base = 1e4, .layer_type = "sliding_attention", .unscaled = true,
                       .base_keys = m->config ? "rope_local_base_freq" : "rope.freq_base_swa"};
    const json *nested = m->config ? json_get(m->config, "rope_parameters") : NULL;
    int a, b, rc;
    if (nested && json_get(nested, "sliding_attention"))
        local.unscaled = false;
    if ((rc = m->config ? config_rope(m, m->config, &full, &a, e) : meta_rope(m, m->ckpt->gguf, "gemma3", &full, &a, e)) ||
        (rc = m->config ? config_rope(m, m->config, &local, &b, e) : meta_rope(m, m->ckpt->gguf, "gemma3", &local, &b, e)))
        return rc;
    for (int l = 0; l < m->main->n_layer; l++) {
        attn_plan *p = &m->main->layers[l].self.plan;
        p->rope = p->window ? b : a;
    }
    return 0;
}

/* What files that come with a vision tower leave out of text_config: the values of the 4B model. */
static const char text_defaults[] =
    "{\"vocab_size\":262208,\"hidden_size\":2304,\"intermediate_size\":9216,\"num_hidden_layers\":26,"
    "\"num_attention_heads\":8,\"num_key_value_heads\":4,\"max_position_embeddings\":131072}";

static int configure(model *m, err *e)
{
    decoder_shape s = {.norm = NORM_RMS, .eps = m->config ? 1e-6 : 0, .act = ACT_GELU_TANH, .gated = true,
                       .tied = true, .causal = true, .context = 131072};
    traits t = {.window = m->config ? 4096 : 1024, .pattern = 6};
    const json *text = m->config ? json_get(m->config, "text_config") : NULL;
    int rc;
    if (text && json_kind_of(text) == JSON_MAP) { /* the vision tower is not run: prompts are text */
        if ((rc = json_complete(&m->completed, text, text_defaults, e)))
            return rc;
        m->config = m->completed;
    }
    if (m->config)
        s.head_width = 256;
    rc = m->config ? decoder_read_config(m, &s, more_keys, e) : decoder_read_meta(m, &s, "gemma3", more_meta, e);
    /* GGUF has no key for the scale: 1 / sqrt(head width), but in the model of 62 layers 1 / sqrt(width / heads). */
    t.scalar = m->config ? 256 : s.layers == 62 ? (double)(s.width / s.heads) : (double)s.head_width;
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
    }
    decoder_set_qk_norm(m, NORM_RMS, s.eps, false, false);
    if ((rc = decoder_windows(m, m->config, t.window, (int)t.pattern, false, e)))
        return rc;
    return ropes(m, (int)s.head_width, e);
}

static const char *const model_types[] = {"gemma3_text", "gemma3", NULL};
static const char *const gguf_archs[] = {"gemma3", NULL};

const family family_gemma3 = {
    .name = "gemma3",
    .summary = "Gemma 3 (text)",
    .model_types = model_types,
    .gguf_archs = gguf_archs,
    .configure = configure,
    .bind = decoder_bind_gemma,
};
