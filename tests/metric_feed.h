/* Dense attention matrices and logits, fed to one metric under any cut into chunks, blocks and tiles: what
 * the tests of metrics share.  Uses cmocka's asserts. */
#ifndef ATTNSCOPE_TESTS_METRIC_FEED_H
#define ATTNSCOPE_TESTS_METRIC_FEED_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "analysis/metric.h"

/* Attention of one head: query i sees keys lo[i] <= k < hi[i]; a [n, n_key] is 0 elsewhere. */
typedef struct dense {
    int64_t n;
    float *a;
    int64_t *lo, *hi;
    int64_t n_key;
    float *sink;       /* [n] weight of a learned sink; NULL: none */
} dense;

/* Every query sees every key.  All weights 0. */
static inline dense dense_new_rectangle(int64_t n, int64_t n_key)
{
    dense d = {n, calloc((size_t)(n * n_key), sizeof(float)), calloc((size_t)n, sizeof(int64_t)),
               calloc((size_t)n, sizeof(int64_t)), n_key, NULL};
    assert_true(d.a && d.lo && d.hi);
    for (int64_t i = 0; i < n; i++)
        d.hi[i] = n_key;
    return d;
}

/* Causal, window > 0: the last `window` keys only.  All weights 0. */
static inline dense dense_new(int64_t n, int64_t window)
{
    dense d = dense_new_rectangle(n, n);
    for (int64_t i = 0; i < n; i++) {
        d.hi[i] = i + 1;
        d.lo[i] = window > 0 && i + 1 > window ? i + 1 - window : 0;
    }
    return d;
}

/* Both sides, window > 0: keys with |i - k| < window only.  All weights 0. */
static inline dense dense_new_two_sided(int64_t n, int64_t window)
{
    dense d = dense_new_rectangle(n, n);
    for (int64_t i = 0; i < n && window > 0; i++) {
        d.lo[i] = i + 1 > window ? i + 1 - window : 0;
        d.hi[i] = i + window < n ? i + window : n;
    }
    return d;
}

static inline void dense_free(dense *d)
{
    free(d->a);
    free(d->lo);
    free(d->hi);
    free(d->sink);
}

static inline uint64_t feed_random(uint64_t *seed) /* splitmix64 */
{
    uint64_t z = *seed += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static inline double feed_uniform(uint64_t *seed)
{
    return (double)(feed_random(seed) >> 11) / 9007199254740992.0;
}

/* Values in the order in which they were emitted. */
typedef struct emitted {
    int64_t n, cap;
    result_value *v;
} emitted;

static inline int emitted_add(void *ud, const result_value *v, err *e)
{
    emitted *out = ud;
    (void)e;
    assert_true(isfinite(v->value));
    if (out->n == out->cap) {
        out->cap = out->cap ? 2 * out->cap : 64;
        out->v = realloc(out->v, (size_t)out->cap * sizeof(*out->v));
        assert_non_null(out->v);
    }
    out->v[out->n++] = *v;
    return 0;
}

static inline void emitted_free(emitted *out)
{
    free(out->v);
    *out = (emitted){0};
}

/* How attention is cut: n_chunk chunks of queries, blocks of queries in a chunk.  The tile of a block has all keys that
 * its queries see; it begins with the multiple of `tile` before the first of them. */
typedef struct cut {
    const char *name;
    int n_chunk;
    int64_t block, tile;
    bool transposed;   /* cells of a tile with queries innermost */
    int64_t pad;       /* unused cells between the rows (columns) of a tile */
} cut;

/* Statistics of rows q0 .. q1 - 1, straight from the matrix. */
static inline void feed_rows(const metric_ctx *c, void *state, const dense *d, int chunk, int64_t q0,
                             int64_t q1)
{
    int64_t n = q1 - q0;
    float *stat[6];
    for (int s = 0; s < 6; s++)
        assert_non_null(stat[s] = calloc((size_t)n, sizeof(float)));
    for (int64_t q = q0; q < q1; q++) {
        const float *row = d->a + q * d->n_key;
        double entropy = 0, distance = 0, largest = 0;
        for (int64_t k = d->lo[q]; k < d->hi[q]; k++) {
            double p = (double)row[k];
            entropy -= p == 0 ? 0 : p * log(p);
            distance += p * (double)llabs(q - k);
            largest = p <= largest ? largest : p;
        }
        stat[0][q - q0] = 0;
        stat[1][q - q0] = (float)entropy;
        stat[2][q - q0] = (float)largest;
        stat[3][q - q0] = q < d->n_key ? row[q] : 0;
        stat[4][q - q0] = q > 0 && q <= d->n_key ? row[q - 1] : 0;
        stat[5][q - q0] = (float)distance;
    }
    unsigned need = c->m->need;
    int64_t k0 = d->lo[q0], n_column = d->hi[q1 - 1] > k0 ? d->hi[q1 - 1] - k0 : 0;
    double *columns = calloc((size_t)n_column + 1, sizeof *columns);
    assert_non_null(columns);
    for (int64_t q = q0; q < q1; q++)
        for (int64_t k = 0; k < n_column; k++)
            columns[k] += (double)d->a[q * d->n_key + k0 + k];
    attn_rows r = {
        .kind = c->kind, .chunk = chunk, .q0 = q0, .n_query = n, .n_key = d->n_key, .visible_lo = d->lo + q0,
        .visible_hi = d->hi + q0,
        .lse = need & ATTN_NEED_LSE ? stat[0] : NULL, .entropy = need & ATTN_NEED_ENTROPY ? stat[1] : NULL,
        .maximum = need & ATTN_NEED_MAX ? stat[2] : NULL, .self = need & ATTN_NEED_SELF ? stat[3] : NULL,
        .prev = need & ATTN_NEED_PREV ? stat[4] : NULL,
        .distance = need & ATTN_NEED_DISTANCE ? stat[5] : NULL, .sink = d->sink ? d->sink + q0 : NULL,
        .k0 = k0, .n_column = n_column, .columns = need & ATTN_NEED_COLUMNS ? columns : NULL,
    };
    c->m->rows(state, c, &r);
    free(columns);
    for (int s = 0; s < 6; s++)
        free(stat[s]);
}

static inline void feed_tile(const metric_ctx *c, void *state, const dense *d, const cut *how, int chunk,
                             int64_t q0, int64_t q1, int64_t k0, int64_t k1)
{
    int64_t nq = q1 - q0, nk = k1 - k0;
    int64_t q_stride = how->transposed ? 1 : nk + how->pad, k_stride = how->transposed ? nq + how->pad : 1;
    size_t cells = (size_t)(how->transposed ? nk * k_stride : nq * q_stride);
    float *probs = malloc(cells * sizeof(float));
    assert_non_null(probs);
    for (size_t i = 0; i < cells; i++)
        probs[i] = NAN; /* padding must not be read */
    for (int64_t q = q0; q < q1; q++)
        for (int64_t k = k0; k < k1; k++)
            probs[(q - q0) * q_stride + (k - k0) * k_stride] = d->a[q * d->n_key + k];
    attn_tile t = {
        .kind = c->kind, .chunk = chunk, .q0 = q0, .n_query = nq, .k0 = k0, .n_key = nk, .visible_lo = d->lo + q0,
        .visible_hi = d->hi + q0, .probs = probs, .q_stride = q_stride, .k_stride = k_stride,
    };
    /* What a metric says that it does not read, it must not read. */
    enum { STRETCH = 3 };
    for (int64_t k = k0; k < k1 && c->m->reads; k += STRETCH) {
        attn_tile part = t;
        part.k0 = k;
        part.n_key = k1 - k < STRETCH ? k1 - k : STRETCH;
        part.probs = NULL;
        for (int64_t i = 0; i < nq * part.n_key && !c->m->reads(c, &part); i++)
            probs[i % nq * q_stride + (k - k0 + i / nq) * k_stride] = NAN;
    }
    c->m->tile(state, c, &t);
    free(probs);
}

/* Feed head metric c (prepared) with d and collect what it emits; the code of finish.  Chunks are fed last to first:
 * their order must not matter, only that of merging. */
static inline int feed_attention_code(const metric_ctx *c, const dense *d, const cut *how, emitted *out)
{
    const metric *m = c->m;
    size_t size = m->state_size(c);
    int n_chunk = d->n < how->n_chunk ? (int)d->n : how->n_chunk;
    void **states = calloc((size_t)n_chunk, sizeof(*states));
    assert_non_null(states);
    for (int chunk = n_chunk - 1; chunk >= 0; chunk--) {
        assert_non_null(states[chunk] = calloc(1, size ? size : 1));
        int64_t begin = d->n * chunk / n_chunk, end = d->n * (chunk + 1) / n_chunk;
        for (int64_t q0 = begin; q0 < end; q0 += how->block) {
            int64_t q1 = q0 + how->block < end ? q0 + how->block : end;
            if (m->rows)
                feed_rows(c, states[chunk], d, chunk, q0, q1);
            if (m->tile)
                feed_tile(c, states[chunk], d, how, chunk, q0, q1, d->lo[q0] / how->tile * how->tile, d->hi[q1 - 1]);
        }
    }
    for (int chunk = 1; chunk < n_chunk; chunk++)
        m->merge(states[0], states[chunk], c);
    result_sink sink = {emitted_add, NULL, out};
    err e = {0};
    int code = m->finish(states[0], c, 0, 0, &sink, &e);
    for (int chunk = 0; chunk < n_chunk; chunk++)
        free(states[chunk]);
    free(states);
    return code;
}

static inline void feed_attention(const metric_ctx *c, const dense *d, const cut *how, emitted *out)
{
    assert_int_equal(feed_attention_code(c, d, how, out), 0);
}

/* Parameters of one metric; set is "name=value" ("name" for a flag), several of them one a line, or NULL. */
static inline params *feed_params(const metric *m, const char *set)
{
    params *p;
    err e = {0};
    assert_int_equal(params_new(&p, &e), 0);
    if (m->params)
        assert_int_equal(params_use(p, m->params, &e), 0);
    while (set && *set) {
        char name[64], value[512] = "";
        size_t line = strcspn(set, "\n"), len = strcspn(set, "=\n");
        assert_true(len < sizeof(name) && line < sizeof(value));
        snprintf(name, sizeof(name), "%.*s", (int)len, set);
        if (len < line)
            snprintf(value, sizeof(value), "%.*s", (int)(line - len - 1), set + len + 1);
        if (params_set(p, name, len < line ? value : NULL, &e))
            fail_msg("%s: %s", set, e.msg);
        set += line + (set[line] != '\0');
    }
    return p;
}

/* prepare, feed, release. */
static inline void feed_metric(const metric *m, const char *set, const int32_t *ids, const dense *d,
                               const cut *how, emitted *out)
{
    params *p = feed_params(m, set);
    metric_ctx c = {.m = m, .p = p, .ids = ids, .n = d->n, .key_ids = ids, .n_key = d->n_key, .placeholder = -1, .n_layer = 1};
    err e = {0};
    if (m->prepare && m->prepare(&c, &e))
        fail_msg("%s: %s", m->name, e.msg);
    feed_attention(&c, d, how, out);
    if (m->release)
        m->release(&c);
    params_free(p);
}

/* The one value of a metric, fed as whole panels. */
static inline double feed_one(const char *name, const char *set, const int32_t *ids, const dense *d)
{
    static const cut whole = {"whole", 1, INT64_MAX / 2, INT64_MAX / 2, false, 0};
    const metric *m = metric_find(name);
    emitted out = {0};
    assert_non_null(m);
    feed_metric(m, set, ids, d, &whole, &out);
    assert_int_equal(out.n, 1);
    double v = out.v[0].value;
    emitted_free(&out);
    return v;
}

#endif
