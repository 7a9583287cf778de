/* Llama: pre-norm decoder with RMSNorm, rotary positions, grouped keys and values, gated SiLU MLP.
 * Structure and names: Hugging Face LlamaForCausalLM; GGUF architecture "llama". */
#include <math.h>

#include "model/bind.h"
#include "model/config.h"

static const char *const config_keys[] = {
    "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
    "num_key_value_heads", "head_dim", "hidden_act", "max_position_embeddings", "rms_norm_eps",
    "tie_word_embeddings", "rope_theta", "rope_scaling", "rope_parameters", "attention_bias", "mlp_bias",
    "partial_rotary_factor", NULL,
};

static const char *const meta_keys[] = {
    "vocab_size", "context_length", "embedding_length", "block_count", "feed_forward_length",
    "attention.head_count", "attention.head_count_kv", "attention.layer_norm_rms_epsilon", "attention.key_length",
    "attention.value_length", "attention.causal", "rope.dimension_count", "rope.freq_base", "rope.scale_linear",
    "rope.scaling.type", "rope.scaling.factor", "rope.scaling.original_context_length", "rope.scaling.finetuned",
    "rope.scaling.attn_factor", "rope.scaling.yarn_beta_fast", "rope.scaling.yarn_beta_slow", NULL,
};

static int configure_json(model *m, err *e)
{
    const json *c = m->ckpt->config;
    int64_t layers, heads, kv, head_dim;
    double eps = 1e-6, rotary = 1;
    int rc, act = ACT_SILU;
    if ((rc = config_int(&m->vocab, c, "vocab_size", true, 1, INT32_MAX, e)) ||
        (rc = config_int(&m->width, c, "hidden_size", true, 1, 1 << 20, e)) ||
        (rc = config_int(&m->ffn, c, "intermediate_size", true, 1, 1 << 24, e)) ||
        (rc = config_int(&layers, c, "num_hidden_layers", true, 1, 4096, e)) ||
        (rc = config_int(&heads, c, "num_attention_heads", true, 1, 4096, e)))
        return rc;
    kv = heads;
    head_dim = m->width / heads;
    m->context = 2048;
    if ((rc = config_int(&kv, c, "num_key_value_heads", false, 1, heads, e)) ||
        (rc = config_int(&head_dim, c, "head_dim", false, 2, 4096, e)) ||
        (rc = config_int(&m->context, c, "max_position_embeddings", false, 1, INT32_MAX, e)) ||
        (rc = config_real(&eps, c, "rms_norm_eps", false, 1e-12, 1, e)) ||
        (rc = config_real(&rotary, c, "partial_rotary_factor", false, 1, 1, e)) ||
        (rc = config_enum(&act, c, "hidden_act", config_activations, false, e)) ||
        (rc = config_bool(&m->tied, c, "tie_word_embeddings", e)))
        return rc;
    m->n_layer = (int)layers;
    m->norm_eps = (float)eps;
    attn_plan plan = {.n_head = (int)heads, .n_kv_head = (int)kv, .d_qk = (int)head_dim, .d_v = (int)head_dim,
                      .scale = (float)(1 / sqrt((double)head_dim)), .causal = true};
    if ((rc = config_check_keys(m, c, config_keys, e)) || (rc = config_layers(m, &plan, (act_kind)act, e)))
        return rc;
    return config_rope(m, c, plan.d_qk, ROPE_HALF, e);
}

static int configure_meta(model *m, err *e)
{
    const gguf_meta *g = m->ckpt->gguf;
    int64_t layers, heads, kv, key_len, value_len, rotary;
    double eps;
    int rc;
    if ((rc = meta_int(&m->width, g, "llama", "embedding_length", true, 1, 1 << 20, e)) ||
        (rc = meta_int(&m->ffn, g, "llama", "feed_forward_length", true, 1, 1 << 24, e)) ||
        (rc = meta_int(&layers, g, "llama", "block_count", true, 1, 4096, e)) ||
        (rc = meta_int(&heads, g, "llama", "attention.head_count", true, 1, 4096, e)) ||
        (rc = meta_int(&m->context, g, "llama", "context_length", true, 1, INT32_MAX, e)) ||
        (rc = meta_real(&eps, g, "llama", "attention.layer_norm_rms_epsilon", true, 1e-12, 1, e)))
        return rc;
    kv = heads;
    key_len = value_len = m->width / heads;
    if ((rc = meta_int(&kv, g, "llama", "attention.head_count_kv", false, 1, heads, e)) ||
        (rc = meta_int(&key_len, g, "llama", "attention.key_length", false, 2, 4096, e)) ||
        (rc = meta_int(&value_len, g, "llama", "attention.value_length", false, 1, 4096, e)))
        return rc;
    rotary = key_len;
    if ((rc = meta_int(&rotary, g, "llama", "rope.dimension_count", false, 2, key_len, e)))
        return rc;
    const checkpoint_tensor *t = bind_find(m, "token_embd.weight");
    if (!t || t->t.n_dim != 2 || t->t.shape[0] < 1 || t->t.shape[0] > INT32_MAX) {
        err_set(e, ERR_INPUT, "gguf: tensor token_embd.weight is missing or not a matrix");
        return err_hint(e, m->ckpt->n_tensor ? "`tensors FILE` lists what the file holds"
                                             : "this file holds no weights (a vocabulary only?)");
    }
    m->vocab = t->t.shape[0];
    m->tied = !bind_has(m, "output.weight", -1);
    m->n_layer = (int)layers;
    m->norm_eps = (float)eps;
    attn_plan plan = {.n_head = (int)heads, .n_kv_head = (int)kv, .d_qk = (int)key_len, .d_v = (int)value_len,
                      .scale = (float)(1 / sqrt((double)key_len)), .causal = true};
    if ((rc = meta_bool(&plan.causal, g, "llama", "attention.causal", e)) ||
        (rc = meta_check_keys(m, g, "llama", meta_keys, e)) || (rc = config_layers(m, &plan, ACT_SILU, e)))
        return rc;
    if (rotary != key_len)
        return err_set(e, ERR_INPUT, "gguf: llama.rope.dimension_count %lld differs from the head width %lld, which is not "
                       "supported", (long long)rotary, (long long)key_len);
    return meta_rope(m, g, "llama", (int)key_len, ROPE_HALF, e);
}

static int configure(model *m, err *e)
{
    m->norm = NORM_RMS;
    return m->ckpt->gguf ? configure_meta(m, e) : configure_json(m, e);
}

typedef struct names {
    const char *embedding, *output;
    const char *final_norm, *norm_attn, *norm_mlp; /* these and the following without ".weight", ".bias" */
    const char *q, *k, *v, *out, *gate, *up, *down;
} names;

static const names json_names = {
    "embed_tokens.weight", "lm_head.weight", "norm", "layers.%d.input_layernorm",
    "layers.%d.post_attention_layernorm", "layers.%d.self_attn.q_proj", "layers.%d.self_attn.k_proj",
    "layers.%d.self_attn.v_proj", "layers.%d.self_attn.o_proj", "layers.%d.mlp.gate_proj", "layers.%d.mlp.up_proj",
    "layers.%d.mlp.down_proj",
};

static const names meta_names = {
    "token_embd.weight", "output.weight", "output_norm", "blk.%d.attn_norm", "blk.%d.ffn_norm",
    "blk.%d.attn_q", "blk.%d.attn_k", "blk.%d.attn_v", "blk.%d.attn_output", "blk.%d.ffn_gate", "blk.%d.ffn_up",
    "blk.%d.ffn_down",
};

/* What config.json says of biases; GGUF says nothing, the tensors do. */
typedef struct bias_flags { unsigned attention, mlp; } bias_flags;

static int read_biases(const model *m, bias_flags *b, err *e)
{
    bool attention = false, mlp = false;
    int rc;
    *b = (bias_flags){0};
    if (m->ckpt->gguf)
        return 0;
    if ((rc = config_bool(&attention, m->ckpt->config, "attention_bias", e)) ||
        (rc = config_bool(&mlp, m->ckpt->config, "mlp_bias", e)))
        return rc;
    *b = (bias_flags){attention ? BIND_BIAS : BIND_NO_BIAS, mlp ? BIND_BIAS : BIND_NO_BIAS};
    return 0;
}

static int bind_layer(model *m, int l, const names *n, bias_flags b, err *e)
{
    model_layer *y = &m->layers[l];
    attn_plan *a = &y->attn;
    int64_t q = (int64_t)a->n_head * a->d_qk, k = (int64_t)a->n_kv_head * a->d_qk, v = (int64_t)a->n_kv_head * a->d_v;
    int64_t o = (int64_t)a->n_head * a->d_v;
    int rc;
    if ((rc = bind_norm(m, &y->norm_attn, n->norm_attn, l, m->width, e)) ||
        (rc = bind_norm(m, &y->norm_mlp, n->norm_mlp, l, m->width, e)) ||
        (rc = bind_linear(m, &y->q, n->q, l, q, 0, q, m->width, b.attention, e)) ||
        (rc = bind_linear(m, &y->k, n->k, l, k, 0, k, m->width, b.attention, e)) ||
        (rc = bind_linear(m, &y->v, n->v, l, v, 0, v, m->width, b.attention, e)) ||
        (rc = bind_linear(m, &y->out, n->out, l, m->width, 0, m->width, o, b.attention, e)) ||
        (rc = bind_linear(m, &y->gate, n->gate, l, m->ffn, 0, m->ffn, m->width, b.mlp, e)) ||
        (rc = bind_linear(m, &y->up, n->up, l, m->ffn, 0, m->ffn, m->width, b.mlp, e)) ||
        (rc = bind_linear(m, &y->down, n->down, l, m->width, 0, m->width, m->ffn, b.mlp, e)))
        return rc;
    /* The converter to GGUF turns half rotation into interleaved pairs by reordering the rows of q and k. */
    if (m->ckpt->gguf && ((rc = bind_paired(m, &y->q, a->d_qk, e)) || (rc = bind_paired(m, &y->k, a->d_qk, e))))
        return rc;
    y->gated = true;
    a->qkv_bias = y->q.bias || y->k.bias || y->v.bias;
    a->out_bias = y->out.bias;
    return 0;
}

static int bind(model *m, err *e)
{
    const names *n = m->ckpt->gguf ? &meta_names : &json_names;
    bias_flags biases;
    int rc;
    if ((rc = read_biases(m, &biases, e)) || (rc = bind_vocabulary(m, n->embedding, n->output, e)) ||
        (rc = bind_norm(m, &m->final_norm, n->final_norm, -1, m->width, e)))
        return rc;
    for (int l = 0; l < m->n_layer; l++)
        if ((rc = bind_layer(m, l, n, biases, e)))
            return rc;
    return 0;
}

static const char *const model_types[] = {"llama", NULL};
static const char *const gguf_archs[] = {"llama", NULL};

const family family_llama = {
    .name = "llama",
    .summary = "Llama 1 to 3, TinyLlama, SmolLM and their fine-tunes",
    .model_types = model_types,
    .gguf_archs = gguf_archs,
    .configure = configure,
    .bind = bind,
};
