/* ModernBERT: pre-norm encoder without biases, RoPE, gated GELU MLP; layers see everything or a band around
 * themselves, each kind with a RoPE of its own.  Hugging Face ModernBertForMaskedLM. */
#include "model/families/encoder.h"

static const char *const more_keys[] = {"layer_types", "global_attn_every_n_layers", "local_attention", "attention_bias",
                                        "mlp_bias", "norm_bias",
                                        "decoder_bias", "position_embedding_type", "global_rope_theta", "local_rope_theta",
                                        "classifier_activation",
                                        "classifier_bias", "classifier_dropout", "classifier_pooling", "embedding_dropout",
                                        "mlp_dropout", "deterministic_flash_attn", "initializer_cutoff_factor",
                                        "reference_compile", "repad_logits_with_grad", "sparse_pred_ignore_index",
                                        "sparse_prediction", "num_key_value_heads", NULL};

/* Every n-th layer is global, from the first on; a local query sees half of local_attention to each side. */
static int windows_and_ropes(model *m, int width, err *e)
{
    rope_want global = {.kind = ROPE_HALF, .head_width = width, .base = 160000, .base_keys = "global_rope_theta|rope_theta",
                        .layer_type = "full_attention"};
    rope_want local = {.kind = ROPE_HALF, .head_width = width, .base = 10000, .base_keys = "local_rope_theta|global_rope_theta",
                       .layer_type = "sliding_attention"};
    int64_t every = 3, band = 128;
    int a, b, rc;
    if ((rc = config_int(&every, m->config, "global_attn_every_n_layers", false, 1, 4096, e)) ||
        (rc = config_int(&band, m->config, "local_attention", false, 1, INT32_MAX, e)) ||
        (rc = decoder_windows(m, m->config, band / 2 + 1, (int)every, true, e)) ||
        (rc = config_rope(m, m->config, &global, &a, e)) || (rc = config_rope(m, m->config, &local, &b, e)))
        return rc;
    for (int l = 0; l < m->main->n_layer; l++) {
        attn_plan *p = &m->main->layers[l].self.plan;
        p->rope = p->window ? b : a;
    }
    return 0;
}

static int configure(model *m, err *e)
{
    decoder_shape s = {.norm = NORM_LAYER, .eps = 1e-5, .act = ACT_GELU_ERF, .gated = true, .tied = true,
                       .context = 8192};
    int rc = decoder_read_config(m, &s, more_keys, e);
    s.kv_heads = s.heads;
    if (rc || (rc = decoder_build(m, &s, e)))
        return rc;
    encoder_mark(m);
    m->main->embed.norm = m->main->final_norm;
    m->main->layers[0].at_self.pre.kind = NORM_NONE; /* the embeddings are normalised already */
    return windows_and_ropes(m, (int)s.head_width, e);
}

static const decoder_names names = {
    .tokens = "embeddings.tok_embeddings", .embed_norm = "embeddings.norm", .final_norm = "final_norm",
    .attn_pre = "layers.%d.attn_norm", .mlp_pre = "layers.%d.mlp_norm", .layout = QKV_STACKED, .qkv = "layers.%d.attn.Wqkv",
    .out = "layers.%d.attn.Wo", .gate_up = "layers.%d.mlp.Wi", .down = "layers.%d.mlp.Wo", .norm_flags = BIND_ANY_BIAS,
};

static int bind(model *m, err *e)
{
    static const char *const biases[] = {"decoder.bias", NULL};
    encoder_head head = {.dense = "head.dense", .norm = "head.norm", .decoder = "decoder", .bias = biases, .act = ACT_GELU_ERF};
    int act = ACT_GELU_ERF, rc = config_enum(&act, m->config, "classifier_activation", config_activations, false, e);
    head.act = (act_kind)act;
    if (rc || (rc = decoder_bind(m, &names, e)))
        return rc;
    return encoder_bind_head(m, &head, m->main->width, m->main->final_norm.eps, e);
}

static const char *const model_types[] = {"modernbert", NULL};

const family family_modernbert = {
    .name = "modernbert",
    .summary = "ModernBERT",
    .model_types = model_types,
    .configure = configure,
    .bind = bind,
};
