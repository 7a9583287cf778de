/* Whisper: pre-norm encoder over audio frames behind two convolutions, and a text decoder; keys have no bias.
 * Hugging Face WhisperForConditionalGeneration (Radford et al., arXiv 2212.04356). */
#include "model/families/encdec.h"

#include <math.h>

static const char *const config_keys[] = {
    "vocab_size", "num_mel_bins", "d_model", "encoder_layers", "decoder_layers", "encoder_attention_heads",
    "decoder_attention_heads", "encoder_ffn_dim", "decoder_ffn_dim", "max_source_positions", "max_target_positions",
    "activation_function", "scale_embedding", "tie_word_embeddings", "num_hidden_layers", "activation_dropout", "dropout",
    "init_std", "encoder_layerdrop", "decoder_layerdrop", "apply_spec_augment", "classifier_proj_size", "mask_feature_length",
    "mask_feature_min_masks", "mask_feature_prob", "mask_time_length", "mask_time_min_masks", "mask_time_prob",
    "median_filter_width", "use_weighted_layer_sum", "lang_ids", "max_length", "forced_decoder_ids", NULL,
};

static int configure(model *m, err *e)
{
    encdec_shape s = {.norm = {.kind = NORM_LAYER, .eps = 1e-5f}, .pre = true};
    int64_t mel = 80, source = 1500, target = 448;
    bool scale = false;
    int act = ACT_GELU_ERF, rc;
    m->tied = true;
    if ((rc = config_int(&m->vocab, m->config, "vocab_size", true, 1, INT32_MAX, e)) ||
        (rc = config_int(&s.width, m->config, "d_model", true, 1, 1 << 20, e)) ||
        (rc = config_int(&mel, m->config, "num_mel_bins", false, 1, 4096, e)) ||
        (rc = config_int(&source, m->config, "max_source_positions", false, 1, 1 << 20, e)) ||
        (rc = config_int(&target, m->config, "max_target_positions", false, 1, INT32_MAX, e)) ||
        (rc = config_enum(&act, m->config, "activation_function", config_activations, false, e)) ||
        (rc = config_bool(&scale, m->config, "scale_embedding", e)) ||
        (rc = config_bool(&m->tied, m->config, "tie_word_embeddings", e)) ||
        (rc = config_check_keys(m, m->config, config_keys, NULL, e)))
        return rc;
    s.act = (act_kind)act;
    s.context = source;
    if ((rc = encdec_read_side(m, &s, false, e)) || (rc = encdec_stack(m, &m->encoder, ATTN_ENCODER, &s, e)))
        return rc;
    m->encoder->embed.kind = EMBED_AUDIO;
    m->encoder->embed.n_mel = (int)mel;
    m->encoder->embed.n_frame = 2 * source;
    s.context = target;
    if ((rc = encdec_read_side(m, &s, true, e)) || (rc = encdec_stack(m, &m->main, ATTN_SELF, &s, e)))
        return rc;
    if (scale)
        m->main->embed.scale = (float)sqrt((double)s.width);
    m->needs = NEEDS_TOKENS | NEEDS_FEATURES;
    return 0;
}

static const encdec_names encoder_names = {
    .q = "encoder.layers.%d.self_attn.q_proj", .k = "encoder.layers.%d.self_attn.k_proj",
    .v = "encoder.layers.%d.self_attn.v_proj",
    .out = "encoder.layers.%d.self_attn.out_proj", .norm_self = "encoder.layers.%d.self_attn_layer_norm",
    .up = "encoder.layers.%d.fc1", .down = "encoder.layers.%d.fc2", .norm_mlp = "encoder.layers.%d.final_layer_norm",
    .final_norm = "encoder.layer_norm", .bias = BIND_BIAS, .key_bias = BIND_NO_BIAS,
};
static const encdec_names decoder_names = {
    .q = "decoder.layers.%d.self_attn.q_proj", .k = "decoder.layers.%d.self_attn.k_proj",
    .v = "decoder.layers.%d.self_attn.v_proj",
    .out = "decoder.layers.%d.self_attn.out_proj", .norm_self = "decoder.layers.%d.self_attn_layer_norm",
    .cross_q = "decoder.layers.%d.encoder_attn.q_proj", .cross_k = "decoder.layers.%d.encoder_attn.k_proj",
    .cross_v = "decoder.layers.%d.encoder_attn.v_proj", .cross_out = "decoder.layers.%d.encoder_attn.out_proj",
    .norm_cross = "decoder.layers.%d.encoder_attn_layer_norm", .up = "decoder.layers.%d.fc1", .down = "decoder.layers.%d.fc2",
    .norm_mlp = "decoder.layers.%d.final_layer_norm", .final_norm = "decoder.layer_norm", .bias = BIND_BIAS,
    .key_bias = BIND_NO_BIAS,
};

static int bind(model *m, err *e)
{
    embedding *a = &m->encoder->embed, *t = &m->main->embed;
    int64_t width = m->encoder->width, source = m->encoder->context, target = m->main->context;
    int rc;
    if ((rc = bind_vocabulary(m, "decoder.embed_tokens.weight", "proj_out.weight", e)) ||
        (rc = bind_weight(m, &t->positions, "decoder.embed_positions.weight", -1, target, 0, target, m->main->width, 0, e)) ||
        (rc = bind_weight(m, &a->positions, "encoder.embed_positions.weight", -1, source, 0, source, width, 0, e)) ||
        (rc = bind_linear(m, &a->conv1, "encoder.conv1", -1, width, 0, width, 3 * a->n_mel, BIND_BIAS, e)) ||
        (rc = bind_linear(m, &a->conv2, "encoder.conv2", -1, width, 0, width, 3 * width, BIND_BIAS, e)) ||
        (rc = encdec_bind(m, m->encoder, &encoder_names, e)))
        return rc;
    return encdec_bind(m, m->main, &decoder_names, e);
}

static const char *const model_types[] = {"whisper", NULL};

const family family_whisper = {
    .name = "whisper",
    .summary = "Whisper",
    .model_types = model_types,
    .configure = configure,
    .bind = bind,
};
