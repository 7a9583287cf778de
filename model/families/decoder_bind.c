/* Binding a one-stack model by its table of names. */
#include "model/families/decoder.h"

#include <stdio.h>

const decoder_names decoder_names_llama = {
    .tokens = "embed_tokens", .output = "lm_head", .final_norm = "norm",
    .attn_pre = "layers.%d.input_layernorm", .mlp_pre = "layers.%d.post_attention_layernorm",
    .q = "layers.%d.self_attn.q_proj", .k = "layers.%d.self_attn.k_proj", .v = "layers.%d.self_attn.v_proj",
    .out = "layers.%d.self_attn.o_proj", .q_norm = "layers.%d.self_attn.q_norm", .k_norm = "layers.%d.self_attn.k_norm",
    .gate = "layers.%d.mlp.gate_proj", .up = "layers.%d.mlp.up_proj", .down = "layers.%d.mlp.down_proj",
};

const decoder_names decoder_names_gguf = {
    .tokens = "token_embd", .output = "output", .final_norm = "output_norm", .attn_pre = "blk.%d.attn_norm",
    .mlp_pre = "blk.%d.ffn_norm", .attn_out_norm = "blk.%d.post_attention_norm", .mlp_out_norm = "blk.%d.post_ffw_norm",
    .q = "blk.%d.attn_q", .k = "blk.%d.attn_k", .v = "blk.%d.attn_v", .out = "blk.%d.attn_output",
    .q_norm = "blk.%d.attn_q_norm", .k_norm = "blk.%d.attn_k_norm", .gate = "blk.%d.ffn_gate", .up = "blk.%d.ffn_up",
    .down = "blk.%d.ffn_down",
};

/* Queries, and in the same tensor the gates on the head outputs. */
static int bind_queries(model *m, int l, const decoder_names *n, unsigned flags, err *e)
{
    attention_block *b = &m->main->layers[l].self;
    int64_t d = b->plan.d_qk, q = b->plan.n_head * d, width = m->main->width;
    if (!n->query_gate)
        return bind_linear(m, &b->q, n->q, l, q, 0, q, width, flags, e);
    int rc = bind_rows(m, &b->q, n->q, l, 2 * q, 0, d, 2 * d, q, width, flags, e);
    return rc ? rc : bind_rows(m, &b->gate, n->q, l, 2 * q, d, d, 2 * d, q, width, flags, e);
}

static int bind_separate(model *m, int l, const decoder_names *n, err *e)
{
    attention_block *b = &m->main->layers[l].self;
    const attn_plan *p = &b->plan;
    int64_t k = (int64_t)p->n_kv_head * p->d_qk, v = (int64_t)p->n_kv_head * p->d_v, width = m->main->width;
    unsigned flags = n->qkv_bias | (n->transposed ? BIND_TRANSPOSED : 0);
    int rc;
    if ((rc = bind_queries(m, l, n, flags, e)) ||
        (rc = bind_linear(m, &b->k, n->k, l, k, 0, k, width, flags, e)) ||
        (rc = bind_linear(m, &b->v, n->v, l, v, 0, v, width, flags, e)) || !n->paired)
        return rc;
    return (rc = bind_paired(m, &b->q, p->d_qk, e)) ? rc : bind_paired(m, &b->k, p->d_qk, e);
}

static int bind_fused(model *m, int l, const decoder_names *n, err *e)
{
    attention_block *b = &m->main->layers[l].self;
    const attn_plan *p = &b->plan;
    int64_t d = p->d_qk, q = p->n_head * d, k = p->n_kv_head * d, v = (int64_t)p->n_kv_head * p->d_v, all = q + k + v;
    int64_t width = m->main->width, group = q / p->n_kv_head, stride = group + d + p->d_v;
    unsigned flags = n->qkv_bias | (n->transposed ? BIND_TRANSPOSED : 0);
    int rc;
    if (n->layout == QKV_STACKED) {
        if ((rc = bind_linear(m, &b->q, n->qkv, l, all, 0, q, width, flags, e)) ||
            (rc = bind_linear(m, &b->k, n->qkv, l, all, q, k, width, flags, e)))
            return rc;
        return bind_linear(m, &b->v, n->qkv, l, all, q + k, v, width, flags, e);
    }
    /* Per head is per group with one query head in each. */
    if ((rc = bind_rows(m, &b->q, n->qkv, l, all, 0, group, stride, q, width, flags, e)) ||
        (rc = bind_rows(m, &b->k, n->qkv, l, all, group, d, stride, k, width, flags, e)))
        return rc;
    return bind_rows(m, &b->v, n->qkv, l, all, group + d, p->d_v, stride, v, width, flags, e);
}

int decoder_bind_qk_norm(model *m, qk_norm *q, const char *name, int layer, int heads, int d, unsigned norm_flags, err *e)
{
    norm n = {.kind = q->kind, .eps = q->eps};
    int64_t values = q->per_head ? (int64_t)heads * d : q->width;
    if (q->kind == NORM_NONE)
        return 0;
    int rc = bind_norm(m, &n, name, layer, values, norm_flags, e);
    q->w = n.w;
    q->b = n.b;
    return rc;
}

int decoder_bind_attention(model *m, int l, const decoder_names *n, err *e)
{
    model_layer *y = &m->main->layers[l];
    attention_block *b = &y->self;
    attn_plan *p = &b->plan;
    int64_t o = (int64_t)p->n_head * p->d_v;
    unsigned flags = n->out_bias | (n->transposed ? BIND_TRANSPOSED : 0);
    int rc = n->layout == QKV_SEPARATE ? bind_separate(m, l, n, e) : bind_fused(m, l, n, e);
    if (rc || (rc = bind_linear(m, &b->out, n->out, l, m->main->width, 0, m->main->width, o, flags, e)) ||
        (rc = decoder_bind_qk_norm(m, &b->q_norm, n->q_norm, l, p->n_head, p->d_qk, n->norm_flags, e)) ||
        (rc = decoder_bind_qk_norm(m, &b->k_norm, n->k_norm, l, p->n_kv_head, p->d_qk, n->norm_flags, e)))
        return rc;
    if (n->sinks && (rc = bind_vector(m, &b->sinks, n->sinks, l, p->n_head, 0, p->n_head, 0, e)))
        return rc;
    p->qkv_bias = b->q.bias || b->k.bias || b->v.bias;
    p->out_bias = b->out.bias;
    p->qk_norm = b->q_norm.kind != NORM_NONE;
    p->sinks = b->sinks;
    p->gate = b->gate.data;
    return 0;
}

int decoder_bind_mlp(model *m, mlp *p, int l, const decoder_names *n, err *e)
{
    int64_t width = m->main->width, inner = p->inner;
    unsigned flags = n->mlp_bias | (n->transposed ? BIND_TRANSPOSED : 0);
    int rc;
    if (p->gated && n->gate_up) {
        if ((rc = bind_linear(m, &p->gate, n->gate_up, l, 2 * inner, 0, inner, width, flags, e)) ||
            (rc = bind_linear(m, &p->up, n->gate_up, l, 2 * inner, inner, inner, width, flags, e)))
            return rc;
    } else {
        if ((p->gated && (rc = bind_linear(m, &p->gate, n->gate, l, inner, 0, inner, width, flags, e))) ||
            (rc = bind_linear(m, &p->up, n->up, l, inner, 0, inner, width, flags, e)))
            return rc;
    }
    return bind_linear(m, &p->down, n->down, l, width, 0, width, inner, flags, e);
}

static int bind_layer(model *m, int l, const decoder_names *n, err *e)
{
    model_layer *y = &m->main->layers[l];
    int64_t width = m->main->width;
    unsigned f = n->norm_flags;
    int rc;
    if ((n->attn_pre && (rc = bind_norm(m, &y->at_self.pre, n->attn_pre, l, width, f, e))) ||
        (n->attn_out_norm && (rc = bind_norm(m, &y->at_self.out, n->attn_out_norm, l, width, f, e))) ||
        (n->attn_after && (rc = bind_norm(m, &y->at_self.after, n->attn_after, l, width, f, e))) ||
        (n->mlp_pre && (rc = bind_norm(m, &y->at_mlp.pre, n->mlp_pre, l, width, f, e))) ||
        (n->mlp_out_norm && (rc = bind_norm(m, &y->at_mlp.out, n->mlp_out_norm, l, width, f, e))) ||
        (n->mlp_after && (rc = bind_norm(m, &y->at_mlp.after, n->mlp_after, l, width, f, e))))
        return rc;
    if (!y->delta && !y->self.mla && (rc = decoder_bind_attention(m, l, n, e)))
        return rc;
    return y->moe ? 0 : decoder_bind_mlp(m, &y->mlp, l, n, e);
}

static int bind_embeddings(model *m, const decoder_names *n, err *e)
{
    char tokens[160], output[160], positions[160];
    embedding *b = &m->main->embed;
    int rc;
    snprintf(tokens, sizeof tokens, "%s.weight", n->tokens);
    snprintf(output, sizeof output, "%s.weight", n->output ? n->output : "?");
    if ((rc = bind_vocabulary(m, tokens, output, e)))
        return rc;
    snprintf(output, sizeof output, "%s.bias", n->output ? n->output : "?");
    if ((rc = bind_vector(m, &m->head.unembedding.bias, output, -1, m->vocab, 0, m->vocab, BIND_OPTIONAL, e)))
        return rc;
    if (n->positions) {
        int64_t rows = n->n_position > 0 ? n->n_position : m->main->context + b->position_offset;
        snprintf(positions, sizeof positions, "%s.weight", n->positions);
        if ((rc = bind_weight(m, &b->positions, positions, -1, rows, 0, rows, m->main->width, 0, e)))
            return rc;
    }
    return n->embed_norm ? bind_norm(m, &b->norm, n->embed_norm, -1, m->main->width, n->norm_flags, e) : 0;
}

int decoder_bind_layers(model *m, const decoder_names *n, err *e)
{
    int rc = 0;
    for (int l = 0; l < m->main->n_layer && !rc; l++)
        rc = bind_layer(m, l, n, e);
    return rc;
}

int decoder_bind(model *m, const decoder_names *n, err *e)
{
    int rc = bind_embeddings(m, n, e);
    if (rc || (n->final_norm && (rc = bind_norm(m, &m->main->final_norm, n->final_norm, -1, m->main->width, n->norm_flags, e))))
        return rc;
    return decoder_bind_layers(m, n, e);
}

int decoder_bind_gemma(model *m, err *e)
{
    decoder_names n = m->config ? decoder_names_llama : decoder_names_gguf;
    int rc = decoder_bias_flag(m, "attention_bias", &n.qkv_bias, e);
    n.out_bias = n.qkv_bias;
    if (m->config) {
        n.attn_out_norm = "layers.%d.post_attention_layernorm";
        n.mlp_pre = "layers.%d.pre_feedforward_layernorm";
        n.mlp_out_norm = "layers.%d.post_feedforward_layernorm";
        n.norm_flags = BIND_PLUS_ONE;
    }
    return rc ? rc : decoder_bind(m, &n, e);
}
