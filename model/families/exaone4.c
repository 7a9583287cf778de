/* EXAONE 4: norms on outputs as OLMo 2, RMSNorm of each head of q and k; where layers slide, the full ones
 * have no positions.  Hugging Face Exaone4ForCausalLM; GGUF architecture "exaone4". */
#include "model/families/decoder.h"

static const char *const more_keys[] = {"layer_types", "sliding_window", "sliding_window_pattern", NULL};
static const char *const more_meta[] = {"attention.sliding_window", "attention.sliding_window_pattern", NULL};

/* sliding_window_pattern: every so many layers one is full, or letters: "LLLG". */
static int pattern_of(const model *m, int *pattern, err *e)
{
    int64_t n = 0;
    size_t len;
    const char *letters = json_str(json_get(m->config, "sliding_window_pattern"), &len);
    int rc = letters ? 0 : config_int(&n, m->config, "sliding_window_pattern", false, 1, 4096, e);
    *pattern = letters ? (int)len : (int)n;
    return rc;
}

static int meta_windows(model *m, err *e)
{
    const gguf_meta *g = m->ckpt->gguf;
    const gguf_kv *kv = gguf_find(g, "exaone4.attention.sliding_window_pattern");
    int64_t window = 0;
    int rc = meta_int(&window, g, "exaone4", "attention.sliding_window", false, 0, INT32_MAX, e);
    for (int l = 0; l < m->main->n_layer && !rc && window; l++) {
        bool local = l % 4 != 3;
        if (kv && kv->type == GGUF_ARRAY && !gguf_bool(&local, kv, (uint64_t)l))
            return err_set(e, ERR_INPUT, "gguf: exaone4.attention.sliding_window_pattern has no element %d", l);
        m->main->layers[l].self.plan.window = local ? window : 0;
    }
    return rc;
}

static int configure(model *m, err *e)
{
    decoder_shape s = {.norm = NORM_RMS, .eps = m->config ? 1e-5 : 0, .act = ACT_SILU, .gated = true, .causal = true};
    int64_t window = 0;
    int pattern = 0, rc = m->config ? decoder_read_config(m, &s, more_keys, e)
        : decoder_read_meta(m, &s, "exaone4", more_meta, e);
    if (rc || (rc = decoder_build(m, &s, e)))
        return rc;
    if (m->config ? (rc = config_int(&window, m->config, "sliding_window", false, 1, INT32_MAX, e)) ||
                        (rc = pattern_of(m, &pattern, e)) ||
                        (rc = decoder_windows(m, m->config, window, window ? pattern : 0, false, e))
                  : (rc = meta_windows(m, e)))
        return rc;
    decoder_set_qk_norm(m, NORM_RMS, s.eps, false, false);
    if ((rc = decoder_rope(m, "exaone4", ROPE_HALF, 10000, 1, e)))
        return rc;
    decoder_norm_outputs(m);
    bool hybrid = false;
    for (int l = 0; l < m->main->n_layer; l++)
        hybrid |= m->main->layers[l].self.plan.window > 0;
    for (int l = 0; l < m->main->n_layer && hybrid; l++)
        if (!m->main->layers[l].self.plan.window)
            m->main->layers[l].self.plan.rope = -1;
    return 0;
}

static int bind(model *m, err *e)
{
    decoder_names n = m->config ? decoder_names_llama : decoder_names_gguf;
    if (m->config) {
        n.attn_out_norm = "layers.%d.post_attention_layernorm";
        n.mlp_out_norm = "layers.%d.post_feedforward_layernorm";
    }
    return decoder_bind(m, &n, e);
}

static const char *const model_types[] = {"exaone4", NULL};
static const char *const gguf_archs[] = {"exaone4", NULL};

const family family_exaone4 = {
    .name = "exaone4",
    .summary = "EXAONE 4",
    .model_types = model_types,
    .gguf_archs = gguf_archs,
    .configure = configure,
    .bind = bind,
};
