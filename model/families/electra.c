/* ELECTRA: BERT with embeddings of their own width, mapped to the stream behind their norm.  Generators have a
 * masked-language-model head, discriminators none.  Hugging Face ElectraForMaskedLM and ElectraForPreTraining. */
#include "model/families/encoder.h"

static const char *const more_keys[] = {"embedding_size", "type_vocab_size", "position_embedding_type", "add_cross_attention",
                                        "summary_last_dropout", NULL};

static int configure(model *m, err *e)
{
    decoder_shape s = {.norm = NORM_LAYER, .eps = 1e-12, .act = ACT_GELU_ERF, .tied = true};
    int rc = decoder_read_config(m, &s, more_keys, e);
    return rc || (rc = encoder_check(m, e)) ? rc : encoder_build(m, &s, e);
}

static const decoder_names names = {
    .q = "encoder.layer.%d.attention.self.query", .k = "encoder.layer.%d.attention.self.key",
    .v = "encoder.layer.%d.attention.self.value", .out = "encoder.layer.%d.attention.output.dense",
    .attn_after = "encoder.layer.%d.attention.output.LayerNorm", .up = "encoder.layer.%d.intermediate.dense",
    .down = "encoder.layer.%d.output.dense", .mlp_after = "encoder.layer.%d.output.LayerNorm",
    .qkv_bias = BIND_BIAS, .out_bias = BIND_BIAS, .mlp_bias = BIND_BIAS,
};

static int bind_embeddings(model *m, int64_t inner, err *e)
{
    stack *s = m->main;
    int64_t types = 2;
    int rc = config_int(&types, m->config, "type_vocab_size", false, 0, 1 << 20, e);
    if (rc || (rc = bind_weight(m, &s->embed.tokens, "embeddings.word_embeddings.weight", -1, m->vocab, 0, m->vocab, inner, 0,
                                e)) ||
        (rc = bind_weight(m, &s->embed.positions, "embeddings.position_embeddings.weight", -1, s->context, 0, s->context, inner,
                          0, e)) ||
        (types > 0 && (rc = encoder_bind_type(m, "embeddings.token_type_embeddings.weight", types, inner, e))) ||
        (rc = bind_norm(m, &s->embed.norm, "embeddings.LayerNorm", -1, inner, 0, e)) || inner == s->width)
        return rc;
    return bind_linear(m, &s->embed.project, "embeddings_project", -1, s->width, 0, s->width, inner, BIND_BIAS, e);
}

static int bind(model *m, err *e)
{
    static const char *const biases[] = {"generator_lm_head.bias", NULL};
    static const encoder_head head = {
        .dense = "generator_predictions.dense", .norm = "generator_predictions.LayerNorm", .decoder = "generator_lm_head",
        .bias = biases, .act = ACT_GELU_ERF, .dense_bias = true,
    };
    int64_t inner = 128;
    int rc = config_int(&inner, m->config, "embedding_size", false, 1, m->main->width, e);
    if (rc || (rc = bind_embeddings(m, inner, e)) || (rc = decoder_bind_layers(m, &names, e)))
        return rc;
    return encoder_bind_head(m, &head, inner, m->main->embed.norm.eps, e);
}

static const char *const model_types[] = {"electra", NULL};

const family family_electra = {
    .name = "electra",
    .summary = "ELECTRA",
    .model_types = model_types,
    .configure = configure,
    .bind = bind,
};
