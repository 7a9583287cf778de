/* GLM-4: norms before and behind attention and MLP, biases on q, k, v, half of each head rotated in pairs, gate and
 * up fused.  Hugging Face Glm4ForCausalLM; GGUF architecture "glm4". */
#include "model/families/decoder.h"

static const char *const more_keys[] = {"attention_bias", NULL};

static int configure(model *m, err *e)
{
    decoder_shape s = {.norm = NORM_RMS, .eps = m->config ? 1.5625e-7 : 0, .act = ACT_SILU, .gated = true,
                       .causal = true, .context = 131072};
    int rc = m->config ? decoder_read_config(m, &s, more_keys, e) : decoder_read_meta(m, &s, "glm4", NULL, e);
    if (rc || (rc = decoder_build(m, &s, e)))
        return rc;
    for (int l = 0; l < m->main->n_layer; l++) {
        model_layer *y = &m->main->layers[l];
        y->at_self.out = y->at_mlp.out = y->at_self.pre;
    }
    return decoder_rope(m, "glm4", ROPE_INTERLEAVED, 10000, 0.5, e);
}

static int bind(model *m, err *e)
{
    decoder_names n = m->config ? decoder_names_llama : decoder_names_gguf;
    int rc = decoder_bias_flag(m, "attention_bias", &n.qkv_bias, e);
    n.gate_up = m->config ? "layers.%d.mlp.gate_up_proj" : "blk.%d.ffn_up";
    if (m->config) {
        n.attn_out_norm = "layers.%d.post_self_attn_layernorm";
        n.mlp_out_norm = "layers.%d.post_mlp_layernorm";
    }
    return rc ? rc : decoder_bind(m, &n, e);
}

static const char *const model_types[] = {"glm4", NULL};
static const char *const gguf_archs[] = {"glm4", NULL};

const family family_glm4 = {
    .name = "glm4",
    .summary = "GLM-4 (0414)",
    .model_types = model_types,
    .gguf_archs = gguf_archs,
    .configure = configure,
    .bind = bind,
};
