/* Nemotron: LayerNorm with weights stored minus one, partial RoPE, squared ReLU.
 * Hugging Face NemotronForCausalLM; GGUF architecture "nemotron". */
#include "model/families/decoder.h"

static const char *const more_keys[] = {"attention_bias", "mlp_bias", "norm_bias", "partial_rotary_factor", "rope_percent", NULL};

static int configure(model *m, err *e)
{
    decoder_shape s = {.norm = NORM_LAYER, .eps = m->config ? 1e-5 : 0, .act = ACT_RELU2, .causal = true,
                       .context = 4096};
    int rc = m->config ? decoder_read_config(m, &s, more_keys, e) : decoder_read_meta(m, &s, "nemotron", NULL, e);
    if (rc || (rc = decoder_build(m, &s, e)))
        return rc;
    return decoder_rope(m, "nemotron", ROPE_HALF, 10000, 0.5, e);
}

static int bind(model *m, err *e)
{
    decoder_names n = m->config ? decoder_names_llama : decoder_names_gguf;
    int rc;
    if ((rc = decoder_bias_flag(m, "attention_bias", &n.qkv_bias, e)) || (rc = decoder_bias_flag(m, "mlp_bias", &n.mlp_bias, e)))
        return rc;
    n.out_bias = n.qkv_bias;
    n.norm_flags = m->config ? BIND_PLUS_ONE : 0;
    return decoder_bind(m, &n, e);
}

static const char *const model_types[] = {"nemotron", NULL};
static const char *const gguf_archs[] = {"nemotron", NULL};

const family family_nemotron = {
    .name = "nemotron",
    .summary = "Nemotron 3 and Minitron",
    .model_types = model_types,
    .gguf_archs = gguf_archs,
    .configure = configure,
    .bind = bind,
};
