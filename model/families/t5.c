/* T5: encoder and decoder with RMSNorm, bucketed relative positions shared by all layers of a stack, unscaled scores,
 * no biases; MLP plain (relu) or gated.  Hugging Face T5ForConditionalGeneration; GGUF architecture "t5". */
#include "model/families/encdec.h"

#include <math.h>
#include <string.h>

static const char *const config_keys[] = {
    "vocab_size", "d_model", "d_kv", "d_ff", "num_layers", "num_decoder_layers", "num_heads", "feed_forward_proj",
    "dense_act_fn", "is_gated_act", "relative_attention_num_buckets", "relative_attention_max_distance", "layer_norm_epsilon",
    "tie_word_embeddings", "scale_decoder_outputs", "dropout_rate", "initializer_factor", "classifier_dropout", "n_positions",
    "output_past", NULL,
};
static const char *const meta_keys[] = {
    "vocab_size", "context_length", "embedding_length", "feed_forward_length", "block_count", "decoder_block_count",
    "attention.head_count", "attention.key_length", "attention.value_length", "attention.layer_norm_epsilon",
    "attention.layer_norm_rms_epsilon", "attention.relative_buckets_count", "decoder_start_token_id", "attention.head_count_kv",
    NULL,
};

typedef struct t5_shape { encdec_shape s; int64_t decoder_layers, buckets, distance; } t5_shape;

static int read_activation(const model *m, encdec_shape *s, err *e)
{
    const char *proj = json_str(json_get(m->config, "feed_forward_proj"), NULL);
    if (!proj)
        proj = "relu";
    s->gated = strncmp(proj, "gated-", 6) == 0;
    if (s->gated)
        proj += 6;
    if (!strcmp(proj, "relu"))
        s->act = ACT_RELU;
    else if (!strcmp(proj, "gelu") || !strcmp(proj, "gelu_new"))
        s->act = s->gated || !strcmp(proj, "gelu_new") ? ACT_GELU_NEW : ACT_GELU_ERF;
    else if (!strcmp(proj, "silu"))
        s->act = ACT_SILU;
    else
        return err_set(e, ERR_INPUT, "config.json: feed_forward_proj \"%s\" is not supported", proj);
    return 0;
}

static int read_config(model *m, t5_shape *t, err *e)
{
    const json *c = m->config;
    encdec_shape *s = &t->s;
    double eps = 1e-6;
    bool tied = true, scaled;
    int rc;
    s->head_width = 64;
    if ((rc = config_int(&m->vocab, c, "vocab_size", true, 1, INT32_MAX, e)) ||
        (rc = config_int(&s->width, c, "d_model", true, 1, 1 << 20, e)) ||
        (rc = config_int(&s->head_width, c, "d_kv", false, 1, 4096, e)) ||
        (rc = config_int(&s->ffn, c, "d_ff", true, 1, 1 << 24, e)) ||
        (rc = config_int(&s->layers, c, "num_layers", true, 1, 4096, e)) ||
        (rc = config_int(&s->heads, c, "num_heads", true, 1, 4096, e)) ||
        (rc = config_int(&t->buckets, c, "relative_attention_num_buckets", false, 4, 4096, e)) ||
        (rc = config_int(&t->distance, c, "relative_attention_max_distance", false, 2, 1 << 20, e)) ||
        (rc = config_real(&eps, c, "layer_norm_epsilon", false, 1e-16, 1, e)) ||
        (rc = config_bool(&tied, c, "tie_word_embeddings", e)) || (rc = read_activation(m, s, e)))
        return rc;
    t->decoder_layers = s->layers;
    scaled = tied;
    if ((rc = config_int(&t->decoder_layers, c, "num_decoder_layers", false, 1, 4096, e)) ||
        (rc = config_bool(&scaled, c, "scale_decoder_outputs", e)) || (rc = config_check_keys(m, c, config_keys, NULL, e)))
        return rc;
    s->norm.eps = (float)eps;
    m->head.in_scale = scaled ? (float)pow((double)s->width, -0.5) : 1;
    return 0;
}

static int read_meta(model *m, t5_shape *t, err *e)
{
    const gguf_meta *g = m->ckpt->gguf;
    encdec_shape *s = &t->s;
    double eps = 1e-6;
    int rc;
    if ((rc = meta_int(&m->vocab, g, "t5", "vocab_size", true, 1, INT32_MAX, e)) ||
        (rc = meta_int(&s->width, g, "t5", "embedding_length", true, 1, 1 << 20, e)) ||
        (rc = meta_int(&s->head_width, g, "t5", "attention.key_length", true, 1, 4096, e)) ||
        (rc = meta_int(&s->ffn, g, "t5", "feed_forward_length", true, 1, 1 << 24, e)) ||
        (rc = meta_int(&s->layers, g, "t5", "block_count", true, 1, 4096, e)) ||
        (rc = meta_int(&s->heads, g, "t5", "attention.head_count", true, 1, 4096, e)) ||
        (rc = meta_int(&t->buckets, g, "t5", "attention.relative_buckets_count", true, 4, 4096, e)) ||
        (rc = meta_real(&eps, g, "t5", "attention.layer_norm_rms_epsilon", false, 1e-16, 1, e)))
        return rc;
    t->decoder_layers = s->layers;
    if ((rc = meta_int(&t->decoder_layers, g, "t5", "decoder_block_count", false, 1, 4096, e)) ||
        (rc = meta_check_keys(m, g, "t5", meta_keys, NULL, e)))
        return rc;
    s->norm.eps = (float)eps;
    s->gated = bind_has(m, "enc.blk.%d.ffn_gate.weight", 0);
    s->act = s->gated ? ACT_GELU_NEW : ACT_RELU;
    m->head.in_scale = bind_has(m, "output.weight", -1) ? 1 : (float)pow((double)s->width, -0.5);
    return 0;
}

static int configure(model *m, err *e)
{
    /* GGUF has no key for the largest distance: it is the 128 of all published models. */
    t5_shape t = {.s = {.norm = {.kind = NORM_RMS}, .pre = true, .scale = 1, .context = INT32_MAX}, .buckets = 32,
                  .distance = 128};
    if (!m->config)
        model_assume(m, "GGUF has no key for the largest relative distance: 128 is assumed");
    int rc = m->config ? read_config(m, &t, e) : read_meta(m, &t, e);
    if (rc)
        return rc;
    if (t.distance <= t.buckets / 2) /* that many buckets of the decoder are exact, the others logarithmic */
        return err_set(e, ERR_INPUT, "relative positions up to %lld do not fill %lld buckets", (long long)t.distance,
                       (long long)t.buckets);
    if ((rc = encdec_stack(m, &m->encoder, ATTN_ENCODER, &t.s, e)))
        return rc;
    t.s.layers = t.decoder_layers;
    if ((rc = encdec_stack(m, &m->main, ATTN_SELF, &t.s, e)))
        return rc;
    stack *const stacks[] = {m->encoder, m->main};
    for (int i = 0; i < 2; i++) {
        stacks[i]->rel_buckets = (int)t.buckets;
        stacks[i]->rel_max_distance = (int)t.distance;
        stacks[i]->rel_bidirectional = i == 0;
    }
    m->needs = NEEDS_TOKENS | NEEDS_SOURCE;
    return 0;
}

static const encdec_names encoder_names = {
    .q = "encoder.block.%d.layer.0.SelfAttention.q", .k = "encoder.block.%d.layer.0.SelfAttention.k",
    .v = "encoder.block.%d.layer.0.SelfAttention.v", .out = "encoder.block.%d.layer.0.SelfAttention.o",
    .norm_self = "encoder.block.%d.layer.0.layer_norm", .norm_mlp = "encoder.block.%d.layer.1.layer_norm",
    .gate = "encoder.block.%d.layer.1.DenseReluDense.wi_0", .up = "encoder.block.%d.layer.1.DenseReluDense.wi",
    .down = "encoder.block.%d.layer.1.DenseReluDense.wo", .final_norm = "encoder.final_layer_norm",
    .bias = BIND_NO_BIAS, .key_bias = BIND_NO_BIAS,
};
static const encdec_names decoder_names = {
    .q = "decoder.block.%d.layer.0.SelfAttention.q", .k = "decoder.block.%d.layer.0.SelfAttention.k",
    .v = "decoder.block.%d.layer.0.SelfAttention.v", .out = "decoder.block.%d.layer.0.SelfAttention.o",
    .norm_self = "decoder.block.%d.layer.0.layer_norm", .cross_q = "decoder.block.%d.layer.1.EncDecAttention.q",
    .cross_k = "decoder.block.%d.layer.1.EncDecAttention.k", .cross_v = "decoder.block.%d.layer.1.EncDecAttention.v",
    .cross_out = "decoder.block.%d.layer.1.EncDecAttention.o", .norm_cross = "decoder.block.%d.layer.1.layer_norm",
    .norm_mlp = "decoder.block.%d.layer.2.layer_norm", .gate = "decoder.block.%d.layer.2.DenseReluDense.wi_0",
    .up = "decoder.block.%d.layer.2.DenseReluDense.wi", .down = "decoder.block.%d.layer.2.DenseReluDense.wo",
    .final_norm = "decoder.final_layer_norm", .bias = BIND_NO_BIAS, .key_bias = BIND_NO_BIAS,
};
static const encdec_names meta_encoder = {
    .q = "enc.blk.%d.attn_q", .k = "enc.blk.%d.attn_k", .v = "enc.blk.%d.attn_v", .out = "enc.blk.%d.attn_o",
    .norm_self = "enc.blk.%d.attn_norm", .norm_mlp = "enc.blk.%d.ffn_norm", .gate = "enc.blk.%d.ffn_gate",
    .up = "enc.blk.%d.ffn_up", .down = "enc.blk.%d.ffn_down", .final_norm = "enc.output_norm",
};
static const encdec_names meta_decoder = {
    .q = "dec.blk.%d.attn_q", .k = "dec.blk.%d.attn_k", .v = "dec.blk.%d.attn_v", .out = "dec.blk.%d.attn_o",
    .norm_self = "dec.blk.%d.attn_norm", .cross_q = "dec.blk.%d.cross_attn_q", .cross_k = "dec.blk.%d.cross_attn_k",
    .cross_v = "dec.blk.%d.cross_attn_v", .cross_out = "dec.blk.%d.cross_attn_o", .norm_cross = "dec.blk.%d.cross_attn_norm",
    .norm_mlp = "dec.blk.%d.ffn_norm", .gate = "dec.blk.%d.ffn_gate", .up = "dec.blk.%d.ffn_up", .down = "dec.blk.%d.ffn_down",
    .final_norm = "dec.output_norm",
};

static int bind_stack(model *m, stack *s, encdec_names n, const char *table, err *e)
{
    int64_t values = (int64_t)s->rel_buckets * s->layers[0].self.plan.n_head;
    int rc = bind_vector(m, &s->rel_table, table, -1, values, 0, values, 0, e);
    if (m->config && s->layers[0].mlp.gated)
        n.up = s == m->encoder ? "encoder.block.%d.layer.1.DenseReluDense.wi_1" : "decoder.block.%d.layer.2.DenseReluDense.wi_1";
    return rc ? rc : encdec_bind(m, s, &n, e);
}

static int bind(model *m, err *e)
{
    const char *tokens = m->config ? "shared.weight" : "token_embd.weight", *output = m->config ? "lm_head.weight"
        : "output.weight";
    int rc;
    m->tied = !bind_has(m, output, -1);
    if ((rc = bind_vocabulary(m, tokens, output, e)))
        return rc;
    m->encoder->embed.tokens = m->main->embed.tokens;
    /* Files of the first release hold a table for cross attention, which never had positions. */
    const checkpoint_tensor *unread = bind_find(m, "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight");
    if (unread)
        m->used[unread - m->ckpt->tensors] = true;
    if (!m->config)
        return (rc = bind_stack(m, m->encoder, meta_encoder, "enc.blk.0.attn_rel_b.weight", e))
                   ? rc : bind_stack(m, m->main, meta_decoder, "dec.blk.0.attn_rel_b.weight", e);
    if ((rc = bind_stack(m, m->encoder, encoder_names, "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight",
                         e)))
        return rc;
    return bind_stack(m, m->main, decoder_names, "decoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight", e);
}

static const char *const model_types[] = {"t5", "mt5", NULL};
static const char *const gguf_archs[] = {"t5", NULL};

const family family_t5 = {
    .name = "t5",
    .summary = "T5, Flan-T5, mT5",
    .model_types = model_types,
    .gguf_archs = gguf_archs,
    .configure = configure,
    .bind = bind,
};
