/* RoBERTa (and XLM-RoBERTa, CamemBERT): BERT whose positions begin behind the padding row.
 * Hugging Face RobertaForMaskedLM. */
#include "model/families/encoder.h"

static const char *const more_keys[] = {"type_vocab_size", "position_embedding_type", "add_cross_attention", NULL};

static int configure(model *m, err *e)
{
    decoder_shape s = {.norm = NORM_LAYER, .eps = 1e-12, .act = ACT_GELU_ERF, .tied = true};
    int64_t pad = 1;
    int rc = decoder_read_config(m, &s, more_keys, e);
    if (rc || (rc = encoder_check(m, e)) || (rc = config_int(&pad, m->config, "pad_token_id", false, 0, INT32_MAX, e)))
        return rc;
    s.context -= pad + 1;
    if (s.context < 1)
        return err_set(e, ERR_INPUT, "config.json: max_position_embeddings leaves no room behind pad_token_id");
    if ((rc = encoder_build(m, &s, e)))
        return rc;
    m->main->embed.position_offset = (int)pad + 1;
    m->main->embed.pad_id = (int32_t)pad;
    return 0;
}

static const decoder_names names = {
    .tokens = "embeddings.word_embeddings", .positions = "embeddings.position_embeddings", .embed_norm = "embeddings.LayerNorm",
    .q = "encoder.layer.%d.attention.self.query", .k = "encoder.layer.%d.attention.self.key",
    .v = "encoder.layer.%d.attention.self.value", .out = "encoder.layer.%d.attention.output.dense",
    .attn_after = "encoder.layer.%d.attention.output.LayerNorm", .up = "encoder.layer.%d.intermediate.dense",
    .down = "encoder.layer.%d.output.dense", .mlp_after = "encoder.layer.%d.output.LayerNorm",
    .qkv_bias = BIND_BIAS, .out_bias = BIND_BIAS, .mlp_bias = BIND_BIAS,
};

static int bind(model *m, err *e)
{
    static const char *const biases[] = {"lm_head.bias", "lm_head.decoder.bias", NULL};
    static const encoder_head head = {
        .dense = "lm_head.dense", .norm = "lm_head.layer_norm", .decoder = "lm_head.decoder", .bias = biases,
        .act = ACT_GELU_ERF, .dense_bias = true,
    };
    int64_t types = 1;
    int rc = config_int(&types, m->config, "type_vocab_size", false, 0, 1 << 20, e);
    if (rc || (rc = decoder_bind(m, &names, e)) ||
        (types > 0 && (rc = encoder_bind_type(m, "embeddings.token_type_embeddings.weight", types, m->main->width, e))))
        return rc;
    return encoder_bind_head(m, &head, m->main->width, m->main->embed.norm.eps, e);
}

static const char *const model_types[] = {"roberta", "xlm-roberta", "camembert", NULL};

const family family_roberta = {
    .name = "roberta",
    .summary = "RoBERTa, XLM-RoBERTa, CamemBERT",
    .model_types = model_types,
    .configure = configure,
    .bind = bind,
};
