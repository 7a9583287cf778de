/* Gemma 1: Llama with scaled embeddings, norm weights stored minus one, and a GELU MLP.
 * Hugging Face GemmaForCausalLM; GGUF architecture "gemma" (whose norms have the one). */
#include "model/families/decoder.h"

#include <math.h>

static const char *const more_keys[] = {"attention_bias", "use_bidirectional_attention", NULL};

/* sqrt(width) on the embeddings, gelu in its tanh form whatever the oldest configurations say. */
static void shape_gemma(model *m, const decoder_shape *s)
{
    m->main->embed.scale = (float)sqrt((double)s->width);
    for (int l = 0; l < m->main->n_layer; l++)
        m->main->layers[l].mlp.act = ACT_GELU_TANH;
}

static int configure(model *m, err *e)
{
    decoder_shape s = {.norm = NORM_RMS, .eps = m->config ? 1e-6 : 0, .act = ACT_GELU_TANH, .gated = true,
                       .tied = true, .causal = true, .context = 8192};
    int rc;
    if (m->config)
        s.head_width = 256;
    rc = m->config ? decoder_read_config(m, &s, more_keys, e) : decoder_read_meta(m, &s, "gemma", NULL, e);
    if (rc || (m->config && (rc = config_must_be_bool(m->config, "use_bidirectional_attention", false, e))) ||
        (rc = decoder_build(m, &s, e)))
        return rc;
    shape_gemma(m, &s);
    return decoder_rope(m, "gemma", ROPE_HALF, 10000, 1, e);
}

static int bind(model *m, err *e)
{
    decoder_names n = m->config ? decoder_names_llama : decoder_names_gguf;
    int rc = decoder_bias_flag(m, "attention_bias", &n.qkv_bias, e);
    n.out_bias = n.qkv_bias;
    n.norm_flags = m->config ? BIND_PLUS_ONE : 0;
    return rc ? rc : decoder_bind(m, &n, e);
}

static const char *const model_types[] = {"gemma", NULL};
static const char *const gguf_archs[] = {"gemma", NULL};

const family family_gemma = {
    .name = "gemma",
    .summary = "Gemma 1",
    .model_types = model_types,
    .gguf_archs = gguf_archs,
    .configure = configure,
    .bind = bind,
};
