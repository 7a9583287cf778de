/* MPT: ALiBi, LayerNorm without bias, no biases at all, q, k, v stacked.
 * Hugging Face MptForCausalLM. */
#include "model/families/decoder.h"

#include <math.h>

#include "base/mem.h"

static const char *const more_keys[] = {"attn_config", "expansion_ratio", "no_bias", "norm_type", "learned_pos_emb",
                                        "embedding_fraction", "logit_scale", "emb_pdrop", "init_config", "init_device",
                                        "ffn_config", "verbose", "fc_type", NULL};
static const char *const attn_keys[] = {"alibi", "alibi_bias_max", "attn_impl", "attn_pdrop", "attn_type",
                                        "attn_uses_sequence_id", "clip_qkv", "prefix_lm", "qk_ln", "softmax_scale", NULL};

/* Slopes 2^-(max k / n), n the next power of two; for other numbers of heads every second one first. */
static int slopes(model *m, double bias_max, err *e)
{
    int heads = m->main->layers[0].self.plan.n_head, n = 1;
    while (n < heads)
        n *= 2;
    float *slope = arena_alloc(m->arena_, (size_t)heads, sizeof *slope, e);
    if (!slope)
        return ERR_RESOURCE;
    for (int h = 0; h < heads; h++) {
        int k = n == heads ? h : h < n / 2 ? 2 * h + 1 : 2 * (h - n / 2);
        slope[h] = (float)(1 / pow(2, (k + 1) * bias_max / n));
    }
    m->main->alibi_slopes = slope;
    return 0;
}

static int configure(model *m, err *e)
{
    decoder_shape s = {.norm = NORM_LAYER, .eps = 1e-5, .act = ACT_GELU_ERF, .tied = true, .causal = true};
    const json *a = json_get(m->config, "attn_config");
    double bias_max = 8, clip = 0, scale = 0;
    bool alibi = true, no_bias = true;
    int rc = decoder_read_config(m, &s, more_keys, e);
    if (rc || (rc = config_bool(&no_bias, m->config, "no_bias", e)) || (a && (rc = config_check_keys(m, a, attn_keys, NULL, e))))
        return rc;
    if (a && ((rc = config_bool(&alibi, a, "alibi", e)) || (rc = config_must_be_bool(a, "qk_ln", false, e)) ||
              (rc = config_must_be_bool(a, "prefix_lm", false, e)) ||
              (rc = config_real(&bias_max, a, "alibi_bias_max", false, 1e-3, 1000, e)) ||
              (rc = config_real(&clip, a, "clip_qkv", false, 1e-6, 1e9, e)) ||
              (rc = config_real(&scale, a, "softmax_scale", false, 1e-9, 1e9, e))))
        return rc;
    if (!alibi)
        return err_set(e, ERR_INPUT, "config.json: attn_config.alibi false is not supported");
    s.ffn = 4 * s.width; /* the reference code does not read expansion_ratio */
    if ((rc = decoder_build(m, &s, e)))
        return rc;
    m->main->context = INT32_MAX;
    for (int l = 0; l < m->main->n_layer; l++) {
        m->main->layers[l].self.clip = (float)clip;
        if (scale > 0)
            m->main->layers[l].self.plan.scale = (float)scale;
    }
    return slopes(m, bias_max, e);
}

static const decoder_names names = {
    .tokens = "wte", .output = "lm_head", .final_norm = "norm_f", .attn_pre = "blocks.%d.norm_1", .mlp_pre = "blocks.%d.norm_2",
    .layout = QKV_STACKED, .qkv = "blocks.%d.attn.Wqkv", .out = "blocks.%d.attn.out_proj", .up = "blocks.%d.ffn.up_proj",
    .down = "blocks.%d.ffn.down_proj", .norm_flags = BIND_ANY_BIAS,
};

static int bind(model *m, err *e)
{
    return decoder_bind(m, &names, e);
}

static const char *const model_types[] = {"mpt", NULL};

const family family_mpt = {
    .name = "mpt",
    .summary = "MPT",
    .model_types = model_types,
    .configure = configure,
    .bind = bind,
};
