/* Attention of one layer: projections, norms, RoPE, the instrumented kernel.  Head outputs go to runtime_heads. */
#include "model/runtime.h"

const float *sublayer_input(pass *a, const sublayer *at, int64_t row, int64_t rows)
{
    int64_t width = a->s->width;
    float *x = a->r->buf[BUF_X] + row * width;
    if (at->pre.kind == NORM_NONE)
        return x;
    float *normed = at->residual_normed ? x : a->r->buf[BUF_NORMED];
    rows_norm(a->r, &at->pre, normed, width, x, width, rows, width);
    return normed;
}

static void finish_queries(pass *a, const attention_block *b, float *q, int64_t ldq)
{
    const attn_plan *p = &b->plan;
    runtime *r = a->r;
    rows_qk_norm(r, &b->q_norm, q, ldq, a->n, p->n_head, p->d_qk);
    if (b->clip > 0)
        rows_clamp(r, q, ldq, b->clip, a->n, ldq);
    for (int i = 0; i < pass_segments(a) && p->rope >= 0; i++) {
        segment s = pass_segment(a, i);
        rows_rope(r, p->rope, q + s.row * ldq, ldq, s.n, a->pos0, p->n_head, p->d_qk);
    }
}

static void finish_keys(pass *a, const attention_block *b, float *k, int64_t ldk, float *v, int64_t ldv)
{
    const attn_plan *p = &b->plan;
    runtime *r = a->r;
    rows_qk_norm(r, &b->k_norm, k, ldk, a->n, p->n_kv_head, p->d_qk);
    if (b->clip > 0) {
        rows_clamp(r, k, ldk, b->clip, a->n, ldk);
        rows_clamp(r, v, ldv, b->clip, a->n, ldv);
    }
    for (int i = 0; i < pass_segments(a) && p->rope >= 0; i++) {
        segment s = pass_segment(a, i);
        rows_rope(r, p->rope, k + s.row * ldk, ldk, s.n, a->pos0, p->n_kv_head, p->d_qk);
    }
}

static int64_t block_rows(int64_t n, int64_t row)
{
    return n - row < RUNTIME_ROWS ? n - row : RUNTIME_ROWS;
}

/* The kernel over one prompt's queries, under its observer's tap; k and v are its keys and values. */
static int attend(pass *a, const attention_block *b, int layer, segment at, attn_args *args, int64_t first_key, float *k,
                  float *v, err *e)
{
    const attn_tap *tap = NULL;
    const attn_plan *p = &b->plan;
    const observer *o = at.o;
    const forward_edits *edits = a->r->edits;
    int rc;
    args->k = k;
    args->v = v;
    args->kind = p->kind;
    args->layer = layer;
    args->n_head = p->n_head;
    args->n_kv_head = p->n_kv_head;
    args->d_qk = p->d_qk;
    args->d_v = p->d_v;
    args->scale = p->scale;
    args->causal = p->causal;
    args->window = p->window;
    args->softcap = p->softcap;
    args->sinks = b->sinks;
    args->n_query = at.n;
    args->ldq = (int64_t)p->n_head * p->d_qk;
    args->ldk = (int64_t)p->n_kv_head * p->d_qk;
    args->ldv = (int64_t)p->n_kv_head * p->d_v;
    args->ldo = (int64_t)p->n_head * p->d_v;
    args->prec = a->r->prec;
    float *q = a->r->buf[BUF_Q] + at.row * args->ldq;
    args->q = q;
    args->out = runtime_heads(a->r) + at.row * args->ldo;
    if (edits && edits->inputs && (rc = edits->inputs(edits->ud, args, first_key, q, k, v, e)))
        return rc;
    if (edits && edits->weights && (rc = edits->weights(edits->ud, a->r, args, &args->edit, e)))
        return rc;
    if (o && o->inputs && (rc = o->inputs(o->ud, a->r->m, args, e)))
        return rc;
    if (o && o->attention) {
        attn_site site = {p->kind, layer, p, at.n, args->n_key};
        if ((rc = o->attention(o->ud, a->r->m, &site, &tap, e)))
            return rc;
    }
    return a->r->ring ? attention_ring(a->r->ring, a->r->attn, args, tap, e) : attention(a->r->attn, args, tap, e);
}

int attend_self(pass *a, int layer, err *e)
{
    const model_layer *y = &a->s->layers[layer];
    const attention_block *b = &y->self;
    const attn_plan *p = &b->plan;
    runtime *r = a->r;
    int64_t ldq = (int64_t)p->n_head * p->d_qk, ldk = (int64_t)p->n_kv_head * p->d_qk;
    int64_t ldv = (int64_t)p->n_kv_head * p->d_v, ldo = (int64_t)p->n_head * p->d_v, width = a->s->width;
    layer_cache own = {.k = r->buf[BUF_K], .v = r->buf[BUF_V]}, *kv = a->cache ? &a->cache[layer] : &own;
    float *k = kv->k + a->pos0 * ldk, *v = kv->v + a->pos0 * ldv, *q = r->buf[BUF_Q];

    for (int64_t row = 0; row < a->n; row += RUNTIME_ROWS) {
        int64_t rows = block_rows(a->n, row);
        const float *in = sublayer_input(a, &y->at_self, row, rows);
        gemm_map maps[GEMM_MAPS];
        int n_map = 0;
        if (b->mla) {
            project_latent(a, b, in, row, rows, k, v);
        } else {
            maps[n_map++] = (gemm_map){&b->q, q + row * ldq, ldq};
            maps[n_map++] = (gemm_map){&b->k, k + row * ldk, ldk};
            maps[n_map++] = (gemm_map){&b->v, v + row * ldv, ldv};
        }
        if (b->gate.data)
            maps[n_map++] = (gemm_map){&b->gate, r->buf[BUF_GATES] + row * ldo, ldo};
        if (n_map > 0)
            rows_maps(r, maps, n_map, in, width, rows, a->decoding);
    }
    finish_queries(a, b, q, ldq);
    finish_keys(a, b, k, ldk, v, ldv);

    int rc = 0;
    for (int i = 0; i < pass_segments(a) && !rc; i++) {
        segment s = pass_segment(a, i);
        attn_args args = {.pos0 = a->pos0, .n_key = a->segments ? s.n : pass_keys(a)};
        if (pass_segments(a) > 1)
            fill_biases(a, s.n, s.n);
        if (a->s->alibi_slopes)
            args.key_bias = r->buf[BUF_KEY_BIAS];
        if (a->s->rel_table)
            args.rel_bias = r->buf[BUF_REL_BIAS];
        rc = attend(a, b, layer, s, &args, a->pos0, kv->k + s.row * ldk, kv->v + s.row * ldv, e);
    }
    if (rc || !b->gate.data)
        return rc;
    /* sigmoid(gate) * heads comes out in the buffer of the gates, which has room for it: the two change places. */
    rows_activate(r, ACT_SIGMOID, r->buf[BUF_GATES], ldo, r->buf[BUF_HEADS], ldo, a->n, ldo);
    runtime_swap(r, BUF_GATES, BUF_HEADS);
    return 0;
}

int attend_cross(pass *a, int layer, err *e)
{
    const model_layer *y = &a->s->layers[layer];
    const attention_block *b = &y->cross;
    const attn_plan *p = &b->plan;
    runtime *r = a->r;
    int64_t ldq = (int64_t)p->n_head * p->d_qk, ldk = (int64_t)p->n_kv_head * p->d_qk;
    int64_t ldv = (int64_t)p->n_kv_head * p->d_v, width = a->s->width, source = r->m->encoder->width;
    layer_cache *c = a->cache ? &a->cache[layer] : NULL;
    float *k = c ? c->cross_k : r->buf[BUF_K], *v = c ? c->cross_v : r->buf[BUF_V];

    for (int64_t row = 0; row < a->n; row += RUNTIME_ROWS) {
        int64_t rows = block_rows(a->n, row);
        const float *in = sublayer_input(a, &y->at_cross, row, rows);
        rows_linear(r, r->buf[BUF_Q] + row * ldq, ldq, in, width, rows, &b->q, a->decoding);
    }
    if (!c || a->pos0 == 0)
        for (int64_t row = 0; row < r->n_source; row += RUNTIME_ROWS) {
            int64_t rows = block_rows(r->n_source, row);
            const float *in = r->buf[BUF_SOURCE] + row * source;
            rows_maps(r, (gemm_map[]){{&b->k, k + row * ldk, ldk}, {&b->v, v + row * ldv, ldv}}, 2, in, source, rows, false);
        }
    attn_args args = {.n_key = r->n_source};
    return attend(a, b, layer, pass_segment(a, 0), &args, !c || a->pos0 == 0 ? 0 : r->n_source, k, v, e);
}
