/* BLOOM: ALiBi instead of positions, LayerNorm of the embeddings, q, k, v fused per head.
 * Hugging Face BloomForCausalLM; GGUF architecture "bloom". */
#include "model/families/decoder.h"

static const char *const more_keys[] = {"seq_length", "apply_residual_connection_post_layernorm",
                                        "attention_softmax_in_fp32", "bias_dropout_fusion", "masked_softmax_fusion",
                                        "offset_alibi", "skip_bias_add", "skip_bias_add_qkv", "slow_but_exact",
                                        "unk_token_id", "hidden_dropout", NULL};

static int configure(model *m, err *e)
{
    decoder_shape s = {.norm = NORM_LAYER, .eps = m->config ? 1e-5 : 0, .act = ACT_GELU_FAST, .tied = true, .causal = true};
    bool after = false;
    int rc = m->config ? decoder_read_config(m, &s, more_keys, e) : decoder_read_meta(m, &s, "bloom", NULL, e);
    if (rc ||
        (m->config && (rc = config_bool(&after, m->config, "apply_residual_connection_post_layernorm", e))) ||
        (rc = decoder_build(m, &s, e)))
        return rc;
    m->main->context = INT32_MAX; /* nothing ends: positions are distances */
    m->main->embed.norm = m->main->final_norm;
    for (int l = 0; l < m->main->n_layer; l++)
        m->main->layers[l].at_self.residual_normed = m->main->layers[l].at_mlp.residual_normed = after;
    return decoder_alibi(m, e);
}

static const decoder_names json_names = {
    .tokens = "word_embeddings", .embed_norm = "word_embeddings_layernorm", .output = "lm_head", .final_norm = "ln_f",
    .attn_pre = "h.%d.input_layernorm", .mlp_pre = "h.%d.post_attention_layernorm", .layout = QKV_PER_HEAD,
    .qkv = "h.%d.self_attention.query_key_value", .out = "h.%d.self_attention.dense", .up = "h.%d.mlp.dense_h_to_4h",
    .down = "h.%d.mlp.dense_4h_to_h",
};

static int bind(model *m, err *e)
{
    decoder_names n = m->config ? json_names : decoder_names_gguf;
    n.qkv_bias = n.out_bias = n.mlp_bias = BIND_BIAS;
    if (!m->config) { /* the converter takes q, k and v apart */
        n.embed_norm = "token_embd_norm";
        n.layout = QKV_STACKED;
        n.qkv = "blk.%d.attn_qkv";
    }
    return decoder_bind(m, &n, e);
}

static const char *const model_types[] = {"bloom", NULL};
static const char *const gguf_archs[] = {"bloom", NULL};

const family family_bloom = {
    .name = "bloom",
    .summary = "BLOOM and BLOOMZ",
    .model_types = model_types,
    .gguf_archs = gguf_archs,
    .configure = configure,
    .bind = bind,
};
