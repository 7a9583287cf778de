/* The layer loop.
 *
 * embeddings -> for each layer: norm, q k v, RoPE, attention with its taps, output projection, residual;
 * norm, MLP, residual -> final norm -> unembedding.  Weights are read once a layer, the activations of all
 * tokens pass by in blocks of rows. */
#include "model/runtime.h"

#include <stdlib.h>
#include <string.h>

#include "base/cancel.h"
#include "base/mem.h"
#include "compute/kernels.h"

/* A job over rows: rows first .. first + n - 1 of something, in slices of SLICE rows an item. */
enum { SLICE = 16 };

typedef struct row_job {
    runtime *r;
    const kernels *k;
    const norm_weight *norm;
    const rope_plan *rope;
    const float *cos, *sin;
    float *a;                /* rows that change */
    const float *b;
    const int32_t *ids;
    int64_t lda, ldb, rows, width, pos0;
    int heads, d;
    act_kind act;
    bool gated;
} row_job;

static void over_rows(row_job *j, pool_fn fn)
{
    j->k = kernels_get();
    pool_run(j->r->pool, (j->rows + SLICE - 1) / SLICE, fn, j);
}

static int64_t slice_end(const row_job *j, int64_t item)
{
    return (item + 1) * SLICE < j->rows ? (item + 1) * SLICE : j->rows;
}

static void norm_rows(void *ud, int64_t item, int thread)
{
    const row_job *j = ud;
    const model *m = j->r->m;
    (void)thread;
    for (int64_t i = item * SLICE; i < slice_end(j, item); i++) {
        if (m->norm == NORM_RMS)
            j->k->rms_norm(j->a + i * j->lda, j->b + i * j->ldb, j->norm->w, m->width, m->norm_eps);
        else
            j->k->layer_norm(j->a + i * j->lda, j->b + i * j->ldb, j->norm->w, j->norm->b, m->width, m->norm_eps);
    }
}

static void add_rows(void *ud, int64_t item, int thread)
{
    const row_job *j = ud;
    (void)thread;
    for (int64_t i = item * SLICE; i < slice_end(j, item); i++)
        j->k->add(j->a + i * j->lda, j->b + i * j->ldb, j->width);
}

static void activate(const kernels *k, act_kind act, float *x, int64_t n)
{
    switch (act) {
    case ACT_SILU: k->silu(x, n); break;
    case ACT_GELU_TANH: k->gelu_tanh(x, n); break;
    case ACT_GELU_ERF: k->gelu_erf(x, n); break;
    case ACT_RELU: k->relu(x, n); break;
    }
}

static void activate_rows(void *ud, int64_t item, int thread)
{
    const row_job *j = ud;
    (void)thread;
    for (int64_t i = item * SLICE; i < slice_end(j, item); i++) {
        activate(j->k, j->act, j->a + i * j->lda, j->width);
        if (j->gated)
            j->k->mul(j->a + i * j->lda, j->b + i * j->ldb, j->width);
    }
}

static void rope_rows(void *ud, int64_t item, int thread)
{
    const row_job *j = ud;
    int half = j->rope->dim / 2;
    bool pairs = j->rope->kind == ROPE_INTERLEAVED;
    (void)thread;
    for (int64_t i = item * SLICE; i < slice_end(j, item); i++) {
        const float *c = j->cos + (j->pos0 + i) * half, *s = j->sin + (j->pos0 + i) * half;
        for (int h = 0; h < j->heads; h++) {
            float *x = j->a + i * j->lda + (int64_t)h * j->d;
            for (int t = 0; t < half; t++) {
                float *p = pairs ? x + 2 * t : x + t, *q = pairs ? p + 1 : p + half;
                float u = *p, v = *q;
                *p = u * c[t] - v * s[t];
                *q = v * c[t] + u * s[t];
            }
        }
    }
}

static void apply_rope(runtime *r, int rope, float *x, int64_t ld, int64_t rows, int64_t pos0, int heads, int d)
{
    row_job j = {.r = r, .rope = &r->m->ropes[rope], .cos = r->cos[rope], .sin = r->sin[rope], .a = x, .lda = ld,
                 .rows = rows, .pos0 = pos0, .heads = heads, .d = d};
    over_rows(&j, rope_rows);
}

/* One row through a linear map reads the weights at memory speed; more rows share panels. */
static void linear(runtime *r, float *y, int64_t ldy, const float *x, int64_t ldx, int64_t rows, const weight *w,
                   bool decoding)
{
    if (decoding && rows == 1)
        gemv(r->gemm, y, x, w, r->prec);
    else
        gemm(r->gemm, y, ldy, x, ldx, rows, w, r->prec);
}

static void embed_rows(void *ud, int64_t item, int thread)
{
    const row_job *j = ud;
    const model *m = j->r->m;
    const weight *e = &m->token_embedding, *p = &m->position_embedding;
    for (int64_t i = item * SLICE; i < slice_end(j, item); i++) {
        float *x = j->a + i * j->lda;
        const dtype_info *t = &dtypes[e->type];
        t->to_f32(x, (const unsigned char *)e->data + j->ids[i] * e->ld / t->block * t->block_bytes, m->width);
        if (p->data) {
            float *position = j->r->position + thread * m->width;
            t = &dtypes[p->type];
            t->to_f32(position, (const unsigned char *)p->data + (j->pos0 + i) * p->ld / t->block * t->block_bytes, m->width);
            j->k->add(x, position, m->width);
        }
    }
}

static int attend(runtime *r, int l, int64_t n, int64_t pos0, kv_view kv, const observer *o, bool decoding, err *e)
{
    const model *m = r->m;
    const model_layer *y = &m->layers[l];
    const attn_plan *p = &y->attn;
    int64_t ldq = (int64_t)p->n_head * p->d_qk, ldk = (int64_t)p->n_kv_head * p->d_qk;
    int64_t ldv = (int64_t)p->n_kv_head * p->d_v, ldo = (int64_t)p->n_head * p->d_v;
    float *k = kv.k + pos0 * ldk, *v = kv.v + pos0 * ldv;

    for (int64_t row = 0; row < n; row += RUNTIME_ROWS) {
        int64_t rows = n - row < RUNTIME_ROWS ? n - row : RUNTIME_ROWS;
        row_job norm = {.r = r, .norm = &y->norm_attn, .a = r->normed, .lda = m->width, .b = r->x + row * m->width,
                        .ldb = m->width, .rows = rows};
        over_rows(&norm, norm_rows);
        linear(r, r->q + row * ldq, ldq, r->normed, m->width, rows, &y->q, decoding);
        linear(r, k + row * ldk, ldk, r->normed, m->width, rows, &y->k, decoding);
        linear(r, v + row * ldv, ldv, r->normed, m->width, rows, &y->v, decoding);
    }
    if (p->rope >= 0) {
        apply_rope(r, p->rope, r->q, ldq, n, pos0, p->n_head, p->d_qk);
        apply_rope(r, p->rope, k, ldk, n, pos0, p->n_kv_head, p->d_qk);
    }

    const attn_tap *tap = NULL;
    int rc;
    if (o && o->attention && (rc = o->attention(o->ud, m, l, n, &tap, e)))
        return rc;
    attn_args a = {
        .layer = l, .n_head = p->n_head, .n_kv_head = p->n_kv_head, .d_qk = p->d_qk, .d_v = p->d_v, .n_query = n,
        .n_key = pos0 + n, .pos0 = pos0, .scale = p->scale, .causal = p->causal, .window = p->window, .q = r->q,
        .k = kv.k, .v = kv.v, .out = r->heads, .ldq = ldq, .ldk = ldk, .ldv = ldv, .ldo = ldo, .prec = r->prec,
    };
    if ((rc = attention(r->attn, &a, tap, e)))
        return rc;

    for (int64_t row = 0; row < n; row += RUNTIME_ROWS) {
        int64_t rows = n - row < RUNTIME_ROWS ? n - row : RUNTIME_ROWS;
        linear(r, r->added, m->width, r->heads + row * ldo, ldo, rows, &y->out, decoding);
        row_job add = {.r = r, .a = r->x + row * m->width, .lda = m->width, .b = r->added, .ldb = m->width,
                       .rows = rows, .width = m->width};
        over_rows(&add, add_rows);
    }
    return 0;
}

static void mlp(runtime *r, int l, int64_t n, bool decoding)
{
    const model *m = r->m;
    const model_layer *y = &m->layers[l];
    for (int64_t row = 0; row < n; row += RUNTIME_ROWS) {
        int64_t rows = n - row < RUNTIME_ROWS ? n - row : RUNTIME_ROWS;
        float *x = r->x + row * m->width, *inner = y->gated ? r->gate : r->up;
        row_job norm = {.r = r, .norm = &y->norm_mlp, .a = r->normed, .lda = m->width, .b = x, .ldb = m->width, .rows = rows};
        over_rows(&norm, norm_rows);
        linear(r, r->up, m->ffn, r->normed, m->width, rows, &y->up, decoding);
        if (y->gated)
            linear(r, r->gate, m->ffn, r->normed, m->width, rows, &y->gate, decoding);
        row_job act = {.r = r, .a = inner, .lda = m->ffn, .b = r->up, .ldb = m->ffn, .rows = rows, .width = m->ffn,
                       .act = y->act, .gated = y->gated};
        over_rows(&act, activate_rows);
        linear(r, r->added, m->width, inner, m->ffn, rows, &y->down, decoding);
        row_job add = {.r = r, .a = x, .lda = m->width, .b = r->added, .ldb = m->width, .rows = rows, .width = m->width};
        over_rows(&add, add_rows);
    }
}

void run_logits(runtime *r, const float *x, int64_t rows, float *logits, bool decoding)
{
    const model *m = r->m;
    row_job norm = {.r = r, .norm = &m->final_norm, .a = r->normed, .lda = m->width, .b = x, .ldb = m->width, .rows = rows};
    over_rows(&norm, norm_rows);
    linear(r, logits, m->vocab, r->normed, m->width, rows, &m->unembedding, decoding);
}

int run_layers(runtime *r, const int32_t *ids, int64_t n, int64_t pos0, kv_view *cache, const observer *o,
               const progress *p, err *e)
{
    const model *m = r->m;
    bool decoding = cache != NULL;
    int rc;
    row_job embed = {.r = r, .a = r->x, .lda = m->width, .rows = n, .pos0 = pos0, .ids = ids};
    over_rows(&embed, embed_rows);
    for (int l = 0; l < m->n_layer; l++) {
        progress_step(p, "layer", l, m->n_layer);
        if (o && o->hidden && (rc = o->hidden(o->ud, l, r->x, n, m->width, e)))
            return rc;
        kv_view own = {r->k, r->v};
        if ((rc = attend(r, l, n, pos0, cache ? cache[l] : own, o, decoding, e)))
            return rc;
        mlp(r, l, n, decoding);
        if ((rc = cancel_check(e)))
            return rc;
    }
    progress_step(p, "layer", m->n_layer, m->n_layer);
    return o && o->hidden ? o->hidden(o->ud, m->n_layer, r->x, n, m->width, e) : 0;
}

static int check_ids(const model *m, const int32_t *ids, int64_t n, int64_t pos0, err *e)
{
    if (n < 1) {
        err_set(e, ERR_USAGE, "the prompt has no tokens");
        return err_hint(e, "give at least one token; an empty text has none unless the tokenizer adds one");
    }
    if (n > m->context - pos0) {
        err_set(e, ERR_INPUT, "prompt of %lld tokens is longer than the model's context of %lld", (long long)(pos0 + n),
                (long long)m->context);
        return err_hint(e, "shorten it by %lld tokens", (long long)(pos0 + n - m->context));
    }
    for (int64_t i = 0; i < n; i++)
        if (ids[i] < 0 || ids[i] >= m->token_embedding.n_out)
            return err_set(e, ERR_INPUT, "token id %d at position %lld is outside the vocabulary (0 to %lld)", ids[i],
                           (long long)(pos0 + i), (long long)m->token_embedding.n_out - 1);
    return 0;
}

/* Ask before taking: an allocation that the system grants but cannot back ends in a killed process. */
static int check_memory(const runtime *r, int64_t n, size_t cache, err *e)
{
    size_t need, have = memory_available();
    if (!size_add(&need, forward_memory(r->m, n, runtime_threads(r)), cache))
        need = SIZE_MAX;
    if ((n <= r->capacity && !cache) || need <= have)
        return 0;
    err_set(e, ERR_RESOURCE, "%lld tokens need about %.1f GiB of memory, %.1f GiB are free", (long long)n,
            (double)need / (1 << 30), (double)have / (1 << 30));
    return err_hint(e, "give a shorter prompt, or run where there is more memory");
}

int forward(runtime *r, const int32_t *ids, int64_t n, const observer *o, const progress *p, err *e)
{
    const model *m = r->m;
    int rc = check_ids(m, ids, n, 0, e);
    if (rc || (rc = check_memory(r, n, 0, e)) || (rc = runtime_reserve(r, n, n, e)))
        return rc;
    if (o && (o->logits || o->last_logits) && (rc = runtime_reserve_logits(r, e)))
        return rc;
    if ((rc = run_layers(r, ids, n, 0, NULL, o, p, e)) || !o || !o->logits)
        return rc;
    int64_t step = runtime_logit_rows(m), first = o->last_logits ? n - 1 : 0;
    for (int64_t row = first; row < n; row += step) {
        int64_t rows = n - row < step ? n - row : step;
        progress_step(p, "logits", (double)row, (double)n);
        run_logits(r, r->x + row * m->width, rows, r->logits, false);
        if ((rc = cancel_check(e)) || (rc = o->logits(o->ud, row, r->logits, rows, m->vocab, e)))
            return rc;
    }
    progress_step(p, "logits", (double)n, (double)n);
    return 0;
}

struct decoder {
    runtime *r;
    int64_t max, used;
    kv_view *cache; /* [n_layer] */
};

int decoder_new(decoder **out, runtime *r, int64_t max_tokens, err *e)
{
    const model *m = r->m;
    size_t row = 0, cache;
    for (int l = 0; l < m->n_layer; l++)
        row += (size_t)m->layers[l].attn.n_kv_head * (size_t)(m->layers[l].attn.d_qk + m->layers[l].attn.d_v);
    if (!size_mul(&cache, row * sizeof(float), (size_t)max_tokens))
        return err_nomem(e, "the key/value cache");
    int rc = check_memory(r, max_tokens, cache, e);
    if (rc)
        return rc;
    decoder *d = mem_array(1, sizeof *d, e);
    rc = ERR_RESOURCE;
    if (!d)
        return rc;
    d->r = r;
    d->max = max_tokens;
    if (!(d->cache = mem_array((size_t)m->n_layer, sizeof *d->cache, e)))
        goto fail;
    for (int l = 0; l < m->n_layer; l++) {
        const attn_plan *a = &m->layers[l].attn;
        size_t bytes;
        if (!size_mul(&bytes, (size_t)max_tokens, (size_t)a->n_kv_head * (size_t)(a->d_qk > a->d_v ? a->d_qk : a->d_v) *
                                                      sizeof(float))) {
            rc = err_nomem(e, "the key/value cache");
            goto fail;
        }
        d->cache[l].k = mem_large(bytes, e);
        d->cache[l].v = mem_large(bytes, e);
        if (!d->cache[l].k || !d->cache[l].v)
            goto fail;
    }
    if ((rc = runtime_reserve_logits(r, e)))
        goto fail;
    *out = d;
    return 0;
fail:
    decoder_free(d);
    return rc;
}

void decoder_free(decoder *d)
{
    if (!d)
        return;
    for (int l = 0; d->cache && l < d->r->m->n_layer; l++) {
        mem_free_large(d->cache[l].k);
        mem_free_large(d->cache[l].v);
    }
    free(d->cache);
    free(d);
}

int decoder_feed(decoder *d, const int32_t *ids, int64_t n, const float **logits, const progress *p, err *e)
{
    runtime *r = d->r;
    int rc = check_ids(r->m, ids, n, d->used, e);
    if (rc)
        return rc;
    if (n > d->max - d->used)
        return err_set(e, ERR_FAILED, "the key/value cache holds %lld tokens", (long long)d->max);
    if ((rc = runtime_reserve(r, n, d->max, e)) || (rc = run_layers(r, ids, n, d->used, d->cache, NULL, p, e)))
        return rc;
    run_logits(r, r->x + (n - 1) * r->m->width, 1, r->logits, true);
    if ((rc = cancel_check(e))) /* the pool skips work once a cancel is asked for: these are no logits */
        return rc;
    d->used += n;
    *logits = r->logits;
    return 0;
}
