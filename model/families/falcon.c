/* Falcon in its three shapes: one key/value head (7B), groups with two norms (40B, 180B), and ALiBi with ordinary
 * heads (RW).  Hugging Face FalconForCausalLM; GGUF architecture "falcon". */
#include "model/families/decoder.h"

#include <math.h>

static const char *const more_keys[] = {"multi_query", "new_decoder_architecture", "parallel_attn", "alibi", "bias",
                                        "num_kv_heads", "num_ln_in_parallel_attn", "activation",
                                        "apply_residual_connection_post_layernorm",
                                        "n_head_kv", NULL};
static const char *const more_meta[] = {"tensor_data_layout", NULL};

typedef struct traits { bool multi_query, groups, parallel, alibi, bias; int64_t norms; } traits;

static int read_traits(model *m, decoder_shape *s, traits *t, err *e)
{
    const json *c = m->config;
    int rc;
    if ((rc = config_bool(&t->multi_query, c, "multi_query", e)) ||
        (rc = config_bool(&t->groups, c, "new_decoder_architecture", e)) ||
        (rc = config_bool(&t->parallel, c, "parallel_attn", e)) || (rc = config_bool(&t->alibi, c, "alibi", e)) ||
        (rc = config_bool(&t->bias, c, "bias", e)) ||
        (rc = config_must_be_bool(c, "apply_residual_connection_post_layernorm", false, e)) ||
        (rc = config_enum(&s->act, c, "activation", config_activations, false, e)))
        return rc;
    /* The first 40B files (model_type RefinedWeb) say only how many key/value heads there are. */
    t->groups |= !json_get(c, "new_decoder_architecture") && json_get(c, "n_head_kv");
    t->norms = t->groups ? 2 : 1;
    if ((rc = config_int(&t->norms, c, "num_ln_in_parallel_attn", false, 1, 2, e)))
        return rc;
    s->kv_heads = t->multi_query ? 1 : s->heads;
    s->ffn = 4 * s->width; /* whatever intermediate_size says */
    if ((rc = config_int(&s->ffn, c, "ffn_hidden_size", false, 1, 1 << 24, e)))
        return rc;
    if (t->groups) {
        s->kv_heads = s->heads;
        return config_int(&s->kv_heads, c, "num_kv_heads|n_head_kv", false, 1, s->heads, e);
    }
    return 0;
}

static void arrange(model *m, const traits *t)
{
    bool parallel = t->parallel || t->groups;
    for (int l = 0; l < m->main->n_layer; l++) {
        model_layer *y = &m->main->layers[l];
        y->parallel = parallel;
        y->shared_norm = parallel && t->norms == 1;
    }
}

static int configure(model *m, err *e)
{
    decoder_shape s = {.norm = NORM_LAYER, .eps = m->config ? 1e-5 : 0, .act = ACT_GELU_ERF, .tied = true, .causal = true};
    traits t = {.multi_query = true, .parallel = true};
    int rc = m->config ? decoder_read_config(m, &s, more_keys, e) : decoder_read_meta(m, &s, "falcon", more_meta, e);
    if (rc || (m->config && (rc = read_traits(m, &s, &t, e))))
        return rc;
    if (!m->config)
        t.norms = bind_has(m, "blk.%d.attn_norm_2.weight", 0) ? 2 : 1;
    if ((rc = decoder_build(m, &s, e)))
        return rc;
    arrange(m, &t);
    if (!t.alibi)
        return decoder_rope(m, "falcon", ROPE_HALF, 10000, 1, e);
    m->main->context = INT32_MAX;
    /* The reference code rounds the bias to bfloat16 and scales it with the scores; its eager attention, the one that
     * returns weights, adds it twice: to the scores, and within the mask. */
    m->main->alibi_bf16 = true;
    m->main->alibi_scale = (float)(2 / sqrt((double)s.head_width));
    return decoder_alibi(m, e);
}

static int bind(model *m, err *e)
{
    static const decoder_names json_names = {
        .tokens = "word_embeddings", .output = "lm_head", .final_norm = "ln_f", .layout = QKV_PER_GROUP,
        .qkv = "h.%d.self_attention.query_key_value", .out = "h.%d.self_attention.dense", .up = "h.%d.mlp.dense_h_to_4h",
        .down = "h.%d.mlp.dense_4h_to_h",
    };
    decoder_names n = m->config ? json_names : decoder_names_gguf;
    const model_layer *y = &m->main->layers[0];
    bool two = y->parallel && !y->shared_norm;
    int rc = decoder_bias_flag(m, "bias", &n.qkv_bias, e);
    n.out_bias = n.mlp_bias = n.qkv_bias;
    if (!m->config) { /* the converter takes q, k and v apart; attn_norm_2 is the one that attention reads */
        n.layout = QKV_STACKED;
        n.qkv = "blk.%d.attn_qkv";
        n.attn_pre = two ? "blk.%d.attn_norm_2" : "blk.%d.attn_norm";
        n.mlp_pre = two ? "blk.%d.attn_norm" : NULL;
    } else {
        n.attn_pre = two ? "h.%d.ln_attn" : "h.%d.input_layernorm";
        n.mlp_pre = two ? "h.%d.ln_mlp" : y->parallel ? NULL : "h.%d.post_attention_layernorm";
    }
    return rc ? rc : decoder_bind(m, &n, e);
}

static const char *const model_types[] = {"falcon", "RefinedWeb", "RefinedWebModel", NULL};
static const char *const gguf_archs[] = {"falcon", NULL};

const family family_falcon = {
    .name = "falcon",
    .summary = "Falcon 1B to 180B",
    .model_types = model_types,
    .gguf_archs = gguf_archs,
    .configure = configure,
    .bind = bind,
};
