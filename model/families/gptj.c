/* GPT-J: attention and MLP in parallel behind one LayerNorm, RoPE in pairs over the first rotary_dim dimensions.
 * Hugging Face GPTJForCausalLM. */
#include "model/families/decoder.h"

static const char *const more_keys[] = {"rotary_dim", "rotary",
                                        "scale_attn_weights", NULL}; /* scores are always scaled, whatever it says */

static int configure(model *m, err *e)
{
    decoder_shape s = {.norm = NORM_LAYER, .eps = 1e-5, .act = ACT_GELU_NEW, .causal = true};
    int64_t dim = 64;
    int rope, rc = decoder_read_config(m, &s, more_keys, e);
    if (rc || (rc = config_int(&dim, m->config, "rotary_dim", false, 2, 4096, e)) || (rc = decoder_build(m, &s, e)))
        return rc;
    for (int l = 0; l < m->main->n_layer; l++)
        m->main->layers[l].parallel = m->main->layers[l].shared_norm = true;
    rope_want want = {.kind = ROPE_INTERLEAVED, .head_width = (int)s.head_width, .dim = (int)dim, .base = 10000};
    if ((rc = config_rope(m, m->config, &want, &rope, e)))
        return rc;
    decoder_set_rope(m, rope);
    return 0;
}

static const decoder_names names = {
    .tokens = "wte", .output = "lm_head", .final_norm = "ln_f", .attn_pre = "h.%d.ln_1", .q = "h.%d.attn.q_proj",
    .k = "h.%d.attn.k_proj", .v = "h.%d.attn.v_proj", .out = "h.%d.attn.out_proj", .up = "h.%d.mlp.fc_in",
    .down = "h.%d.mlp.fc_out", .qkv_bias = BIND_NO_BIAS, .out_bias = BIND_NO_BIAS, .mlp_bias = BIND_BIAS,
};

static int bind(model *m, err *e)
{
    return decoder_bind(m, &names, e);
}

static const char *const model_types[] = {"gptj", NULL};

const family family_gptj = {
    .name = "gptj",
    .summary = "GPT-J",
    .model_types = model_types,
    .configure = configure,
    .bind = bind,
};
