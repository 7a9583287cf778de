/* DistilBERT: BERT of half the depth without token types.
 * Hugging Face DistilBertForMaskedLM. */
#include "model/families/encoder.h"

static const char *const more_keys[] = {"sinusoidal_pos_embds", "dropout", "qa_dropout", "seq_classif_dropout", NULL};

static int configure(model *m, err *e)
{
    decoder_shape s = {.norm = NORM_LAYER, .eps = 1e-12, .act = ACT_GELU_ERF, .tied = true};
    int rc = decoder_read_config(m, &s, more_keys, e);
    return rc ? rc : encoder_build(m, &s, e);
}

static const decoder_names names = {
    .tokens = "embeddings.word_embeddings", .positions = "embeddings.position_embeddings", .embed_norm = "embeddings.LayerNorm",
    .q = "transformer.layer.%d.attention.q_lin", .k = "transformer.layer.%d.attention.k_lin",
    .v = "transformer.layer.%d.attention.v_lin", .out = "transformer.layer.%d.attention.out_lin",
    .attn_after = "transformer.layer.%d.sa_layer_norm", .up = "transformer.layer.%d.ffn.lin1",
    .down = "transformer.layer.%d.ffn.lin2", .mlp_after = "transformer.layer.%d.output_layer_norm",
    .qkv_bias = BIND_BIAS, .out_bias = BIND_BIAS, .mlp_bias = BIND_BIAS,
};

static int bind(model *m, err *e)
{
    static const char *const biases[] = {"vocab_projector.bias", NULL};
    encoder_head head = {
        .dense = "vocab_transform", .norm = "vocab_layer_norm", .decoder = "vocab_projector", .bias = biases,
        .act = m->main->layers[0].mlp.act, .dense_bias = true,
    };
    int rc = decoder_bind(m, &names, e);
    return rc ? rc : encoder_bind_head(m, &head, m->main->width, 1e-12f, e);
}

static const char *const model_types[] = {"distilbert", NULL};

const family family_distilbert = {
    .name = "distilbert",
    .summary = "DistilBERT",
    .model_types = model_types,
    .configure = configure,
    .bind = bind,
};
