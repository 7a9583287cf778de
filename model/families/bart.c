/* BART: post-norm encoder and decoder with learned positions shifted by two rows and LayerNorm of the embeddings.
 * Hugging Face BartForConditionalGeneration. */
#include "model/families/encdec.h"

#include <math.h>

static const char *const config_keys[] = {
    "vocab_size", "d_model", "encoder_layers", "decoder_layers", "encoder_attention_heads", "decoder_attention_heads",
    "encoder_ffn_dim", "decoder_ffn_dim", "max_position_embeddings", "activation_function", "scale_embedding",
    "tie_word_embeddings", "num_hidden_layers", "activation_dropout", "classifier_dropout", "dropout", "init_std",
    "encoder_layerdrop", "decoder_layerdrop", "classif_dropout", "normalize_before", "normalize_embedding", "add_bias_logits",
    "add_final_layer_norm", "static_position_embeddings", "extra_pos_embeddings", "gradient_checkpointing", NULL,
};

static int configure(model *m, err *e)
{
    encdec_shape s = {.norm = {.kind = NORM_LAYER, .eps = 1e-5f}, .context = 1024};
    bool scale = false;
    int act = ACT_GELU_ERF, rc;
    m->tied = true;
    if ((rc = config_int(&m->vocab, m->config, "vocab_size", true, 1, INT32_MAX, e)) ||
        (rc = config_int(&s.width, m->config, "d_model", true, 1, 1 << 20, e)) ||
        (rc = config_int(&s.context, m->config, "max_position_embeddings", false, 1, INT32_MAX - 2, e)) ||
        (rc = config_enum(&act, m->config, "activation_function", config_activations, false, e)) ||
        (rc = config_bool(&scale, m->config, "scale_embedding", e)) ||
        (rc = config_bool(&m->tied, m->config, "tie_word_embeddings", e)) ||
        (rc = config_must_be_bool(m->config, "normalize_before", false, e)) ||
        (rc = config_must_be_bool(m->config, "static_position_embeddings", false, e)) ||
        (rc = config_must_be_bool(m->config, "add_final_layer_norm", false, e)) ||
        (rc = config_check_keys(m, m->config, config_keys, NULL, e)))
        return rc;
    s.act = (act_kind)act;
    if ((rc = encdec_read_side(m, &s, false, e)) || (rc = encdec_stack(m, &m->encoder, ATTN_ENCODER, &s, e)) ||
        (rc = encdec_read_side(m, &s, true, e)) || (rc = encdec_stack(m, &m->main, ATTN_SELF, &s, e)))
        return rc;
    stack *const stacks[] = {m->encoder, m->main};
    for (int i = 0; i < 2; i++) {
        stacks[i]->embed.norm = s.norm;
        stacks[i]->embed.position_offset = 2;
        if (scale)
            stacks[i]->embed.scale = (float)sqrt((double)s.width);
    }
    m->needs = NEEDS_TOKENS | NEEDS_SOURCE;
    return 0;
}

static const encdec_names encoder_names = {
    .q = "encoder.layers.%d.self_attn.q_proj", .k = "encoder.layers.%d.self_attn.k_proj",
    .v = "encoder.layers.%d.self_attn.v_proj",
    .out = "encoder.layers.%d.self_attn.out_proj", .norm_self = "encoder.layers.%d.self_attn_layer_norm",
    .up = "encoder.layers.%d.fc1", .down = "encoder.layers.%d.fc2", .norm_mlp = "encoder.layers.%d.final_layer_norm",
    .bias = BIND_BIAS, .key_bias = BIND_BIAS,
};
static const encdec_names decoder_names = {
    .q = "decoder.layers.%d.self_attn.q_proj", .k = "decoder.layers.%d.self_attn.k_proj",
    .v = "decoder.layers.%d.self_attn.v_proj",
    .out = "decoder.layers.%d.self_attn.out_proj", .norm_self = "decoder.layers.%d.self_attn_layer_norm",
    .cross_q = "decoder.layers.%d.encoder_attn.q_proj", .cross_k = "decoder.layers.%d.encoder_attn.k_proj",
    .cross_v = "decoder.layers.%d.encoder_attn.v_proj", .cross_out = "decoder.layers.%d.encoder_attn.out_proj",
    .norm_cross = "decoder.layers.%d.encoder_attn_layer_norm", .up = "decoder.layers.%d.fc1", .down = "decoder.layers.%d.fc2",
    .norm_mlp = "decoder.layers.%d.final_layer_norm", .bias = BIND_BIAS, .key_bias = BIND_BIAS,
};

static int bind_embeddings(model *m, stack *s, const char *positions, const char *normed, err *e)
{
    int64_t rows = s->context + 2;
    int rc = bind_weight(m, &s->embed.positions, positions, -1, rows, 0, rows, s->width, 0, e);
    return rc ? rc : bind_norm(m, &s->embed.norm, normed, -1, s->width, 0, e);
}

static int bind(model *m, err *e)
{
    const char *shared = bind_has(m, "shared.weight", -1) ? "shared.weight" : "encoder.embed_tokens.weight";
    int rc;
    if ((rc = bind_vocabulary(m, shared, "lm_head.weight", e)) ||
        (rc = bind_vector(m, &m->head.unembedding.bias, "final_logits_bias", -1, m->vocab, 0, m->vocab, BIND_OPTIONAL, e)))
        return rc;
    m->encoder->embed.tokens = m->main->embed.tokens;
    if ((rc = bind_embeddings(m, m->encoder, "encoder.embed_positions.weight", "encoder.layernorm_embedding", e)) ||
        (rc = bind_embeddings(m, m->main, "decoder.embed_positions.weight", "decoder.layernorm_embedding", e)) ||
        (rc = encdec_bind(m, m->encoder, &encoder_names, e)))
        return rc;
    return encdec_bind(m, m->main, &decoder_names, e);
}

static const char *const model_types[] = {"bart", NULL};

const family family_bart = {
    .name = "bart",
    .summary = "BART",
    .model_types = model_types,
    .configure = configure,
    .bind = bind,
};
