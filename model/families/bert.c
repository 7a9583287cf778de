/* BERT: post-norm encoder with learned positions and token types, GELU MLP, masked-language-model head.
 * Hugging Face BertForMaskedLM (and any other head, whose tensors are not used); GGUF architecture "bert". */
#include "model/families/encoder.h"

static const char *const more_keys[] = {"type_vocab_size", "position_embedding_type", "add_cross_attention", NULL};
static const char *const more_meta[] = {"pooling_type", NULL};

static int configure(model *m, err *e)
{
    decoder_shape s = {.norm = NORM_LAYER, .eps = m->config ? 1e-12 : 0, .act = ACT_GELU_ERF, .tied = true};
    int rc = m->config ? decoder_read_config(m, &s, more_keys, e) : decoder_read_meta(m, &s, "bert", more_meta, e);
    if (rc || (m->config && (rc = encoder_check(m, e))))
        return rc;
    s.tied = true;
    return encoder_build(m, &s, e);
}

static const decoder_names json_names = {
    .tokens = "embeddings.word_embeddings", .positions = "embeddings.position_embeddings", .embed_norm = "embeddings.LayerNorm",
    .q = "encoder.layer.%d.attention.self.query", .k = "encoder.layer.%d.attention.self.key",
    .v = "encoder.layer.%d.attention.self.value", .out = "encoder.layer.%d.attention.output.dense",
    .attn_after = "encoder.layer.%d.attention.output.LayerNorm", .up = "encoder.layer.%d.intermediate.dense",
    .down = "encoder.layer.%d.output.dense", .mlp_after = "encoder.layer.%d.output.LayerNorm",
};

static int bind(model *m, err *e)
{
    static const char *const biases[] = {"cls.predictions.bias", "cls.predictions.decoder.bias", NULL};
    static const encoder_head head = {
        .dense = "cls.predictions.transform.dense", .norm = "cls.predictions.transform.LayerNorm",
        .decoder = "cls.predictions.decoder", .bias = biases, .act = ACT_GELU_ERF, .dense_bias = true,
    };
    decoder_names n = m->config ? json_names : decoder_names_gguf;
    int64_t types = 2;
    int rc;
    n.qkv_bias = n.out_bias = n.mlp_bias = BIND_BIAS;
    if (!m->config) {
        n.positions = "position_embd";
        n.embed_norm = "token_embd_norm";
        n.attn_after = "blk.%d.attn_output_norm";
        n.mlp_after = "blk.%d.layer_output_norm";
        n.attn_pre = n.mlp_pre = n.final_norm = NULL;
        const checkpoint_tensor *t = checkpoint_find(m->ckpt, "token_types.weight");
        types = t && t->t.n_dim == 2 ? t->t.shape[0] : 0;
    } else if ((rc = config_int(&types, m->config, "type_vocab_size", false, 0, 1 << 20, e))) {
        return rc;
    }
    if ((rc = decoder_bind(m, &n, e)) ||
        (types > 0 && (rc = encoder_bind_type(m, m->config ? "embeddings.token_type_embeddings.weight" : "token_types.weight",
                                              types, m->main->width, e))))
        return rc;
    encoder_head h = head;
    h.act = m->main->layers[0].mlp.act;
    return encoder_bind_head(m, &h, m->main->width, m->main->embed.norm.eps, e);
}

static const char *const model_types[] = {"bert", NULL};
static const char *const gguf_archs[] = {"bert", NULL};

const family family_bert = {
    .name = "bert",
    .summary = "BERT and models of its shape",
    .model_types = model_types,
    .gguf_archs = gguf_archs,
    .configure = configure,
    .bind = bind,
};
