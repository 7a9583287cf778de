/* GPT-2: pre-norm decoder with LayerNorm, learned positions, fused q, k, v, plain GELU MLP, biases everywhere.
 * Structure and names: Hugging Face GPT2LMHeadModel, whose Conv1D weights are stored [in, out]; GGUF
 * architecture "gpt2", stored [out, in]. */
#include <math.h>

#include "model/bind.h"
#include "model/config.h"

static const char *const config_keys[] = {
    "vocab_size", "n_embd", "hidden_size", "n_layer", "num_hidden_layers", "n_head", "num_attention_heads",
    "n_positions", "n_ctx", "max_position_embeddings", "n_inner", "activation_function", "layer_norm_epsilon",
    "scale_attn_weights", "scale_attn_by_inverse_layer_idx", "reorder_and_upcast_attn", "tie_word_embeddings",
    "add_cross_attention", NULL,
};

static const char *const meta_keys[] = {
    "vocab_size", "context_length", "embedding_length", "block_count", "feed_forward_length", "attention.head_count",
    "attention.head_count_kv", "attention.layer_norm_epsilon", "attention.causal", NULL,
};

static int configure_json(model *m, err *e)
{
    const json *c = m->ckpt->config;
    int64_t layers, heads;
    double eps = 1e-5;
    bool scaled = true, by_layer = false, upcast = false;
    int rc, act = ACT_GELU_TANH;
    m->tied = true;
    if ((rc = config_int(&m->vocab, c, "vocab_size", true, 1, INT32_MAX, e)) ||
        (rc = config_int(&m->width, c, "n_embd|hidden_size", true, 1, 1 << 20, e)) ||
        (rc = config_int(&layers, c, "n_layer|num_hidden_layers", true, 1, 4096, e)) ||
        (rc = config_int(&heads, c, "n_head|num_attention_heads", true, 1, 4096, e)) ||
        (rc = config_int(&m->context, c, "n_positions|n_ctx|max_position_embeddings", true, 1, INT32_MAX, e)))
        return rc;
    m->ffn = 4 * m->width;
    if ((rc = config_int(&m->ffn, c, "n_inner", false, 1, 1 << 24, e)) ||
        (rc = config_real(&eps, c, "layer_norm_epsilon", false, 1e-12, 1, e)) ||
        (rc = config_enum(&act, c, "activation_function", config_activations, false, e)) ||
        (rc = config_bool(&scaled, c, "scale_attn_weights", e)) ||
        (rc = config_bool(&by_layer, c, "scale_attn_by_inverse_layer_idx", e)) ||
        (rc = config_bool(&upcast, c, "reorder_and_upcast_attn", e)) || /* attention is float32 here anyway */
        (rc = config_bool(&m->tied, c, "tie_word_embeddings", e)) ||
        (rc = config_must_be_bool(c, "add_cross_attention", false, e)) ||
        (rc = config_check_keys(m, c, config_keys, e)))
        return rc;
    if (m->width % heads)
        return err_set(e, ERR_INPUT, "config.json: n_embd %lld is not a multiple of n_head %lld", (long long)m->width,
                       (long long)heads);
    m->n_layer = (int)layers;
    m->norm_eps = (float)eps;
    int width = (int)(m->width / heads);
    attn_plan plan = {.n_head = (int)heads, .n_kv_head = (int)heads, .d_qk = width, .d_v = width,
                      .scale = scaled ? (float)(1 / sqrt(width)) : 1, .causal = true, .rope = -1,
                      .qkv_bias = true, .out_bias = true};
    if ((rc = config_layers(m, &plan, (act_kind)act, e)))
        return rc;
    if (by_layer)
        for (int l = 0; l < m->n_layer; l++)
            m->layers[l].attn.scale = plan.scale / (float)(l + 1);
    return 0;
}

static int configure_meta(model *m, err *e)
{
    const gguf_meta *g = m->ckpt->gguf;
    int64_t layers, heads;
    double eps;
    int rc;
    if ((rc = meta_int(&m->width, g, "gpt2", "embedding_length", true, 1, 1 << 20, e)) ||
        (rc = meta_int(&m->ffn, g, "gpt2", "feed_forward_length", true, 1, 1 << 24, e)) ||
        (rc = meta_int(&layers, g, "gpt2", "block_count", true, 1, 4096, e)) ||
        (rc = meta_int(&heads, g, "gpt2", "attention.head_count", true, 1, 4096, e)) ||
        (rc = meta_int(&m->context, g, "gpt2", "context_length", true, 1, INT32_MAX, e)) ||
        (rc = meta_real(&eps, g, "gpt2", "attention.layer_norm_epsilon", true, 1e-12, 1, e)))
        return rc;
    const checkpoint_tensor *t = bind_find(m, "token_embd.weight");
    if (!t || t->t.n_dim != 2 || t->t.shape[0] < 1 || t->t.shape[0] > INT32_MAX) {
        err_set(e, ERR_INPUT, "gguf: tensor token_embd.weight is missing or not a matrix");
        return err_hint(e, m->ckpt->n_tensor ? "`tensors FILE` lists what the file holds"
                                             : "this file holds no weights (a vocabulary only?)");
    }
    if (m->width % heads)
        return err_set(e, ERR_INPUT, "gguf: embedding length %lld is not a multiple of %lld heads", (long long)m->width,
                       (long long)heads);
    m->vocab = t->t.shape[0];
    m->tied = !bind_has(m, "output.weight", -1);
    m->n_layer = (int)layers;
    m->norm_eps = (float)eps;
    int width = (int)(m->width / heads);
    attn_plan plan = {.n_head = (int)heads, .n_kv_head = (int)heads, .d_qk = width, .d_v = width,
                      .scale = (float)(1 / sqrt(width)), .causal = true, .rope = -1, .qkv_bias = true, .out_bias = true};
    if ((rc = meta_bool(&plan.causal, g, "gpt2", "attention.causal", e)) ||
        (rc = meta_check_keys(m, g, "gpt2", meta_keys, e)))
        return rc;
    return config_layers(m, &plan, ACT_GELU_TANH, e);
}

static int configure(model *m, err *e)
{
    m->norm = NORM_LAYER;
    return m->ckpt->gguf ? configure_meta(m, e) : configure_json(m, e);
}

typedef struct names {
    const char *tokens, *positions, *final_norm, *output, *norm_attn, *norm_mlp; /* norms without ".weight" */
    const char *qkv, *out, *up, *down;
} names;

static const names json_names = {
    "wte.weight", "wpe.weight", "ln_f", "lm_head.weight", "h.%d.ln_1", "h.%d.ln_2", "h.%d.attn.c_attn",
    "h.%d.attn.c_proj", "h.%d.mlp.c_fc", "h.%d.mlp.c_proj",
};

static const names meta_names = {
    "token_embd.weight", "position_embd.weight", "output_norm", "output.weight", "blk.%d.attn_norm",
    "blk.%d.ffn_norm", "blk.%d.attn_qkv", "blk.%d.attn_output", "blk.%d.ffn_up", "blk.%d.ffn_down",
};

static int bind_layer(model *m, int l, const names *n, unsigned flags, err *e)
{
    model_layer *y = &m->layers[l];
    int64_t c = m->width;
    weight *const fused[] = {&y->q, &y->k, &y->v};
    int rc;
    if ((rc = bind_norm(m, &y->norm_attn, n->norm_attn, l, c, e)) ||
        (rc = bind_norm(m, &y->norm_mlp, n->norm_mlp, l, c, e)))
        return rc;
    for (int i = 0; i < 3; i++)
        if ((rc = bind_linear(m, fused[i], n->qkv, l, 3 * c, i * c, c, c, flags, e)))
            return rc;
    if ((rc = bind_linear(m, &y->out, n->out, l, c, 0, c, c, flags, e)) ||
        (rc = bind_linear(m, &y->up, n->up, l, m->ffn, 0, m->ffn, c, flags, e)) ||
        (rc = bind_linear(m, &y->down, n->down, l, c, 0, c, m->ffn, flags, e)))
        return rc;
    return 0;
}

static int bind(model *m, err *e)
{
    bool gguf = m->ckpt->gguf != NULL;
    const names *n = gguf ? &meta_names : &json_names;
    int rc;
    if ((rc = bind_vocabulary(m, n->tokens, n->output, e)) ||
        (rc = bind_weight(m, &m->position_embedding, n->positions, -1, m->context, 0, m->context, m->width, 0, e)) ||
        (rc = bind_norm(m, &m->final_norm, n->final_norm, -1, m->width, e)))
        return rc;
    for (int l = 0; l < m->n_layer; l++)
        if ((rc = bind_layer(m, l, n, BIND_BIAS | (gguf ? 0 : BIND_TRANSPOSED), e)))
            return rc;
    return 0;
}

static const char *const model_types[] = {"gpt2", NULL};
static const char *const gguf_archs[] = {"gpt2", NULL};

const family family_gpt2 = {
    .name = "gpt2",
    .summary = "GPT-2 in all sizes, DistilGPT2 and their fine-tunes",
    .model_types = model_types,
    .gguf_archs = gguf_archs,
    .configure = configure,
    .bind = bind,
};
