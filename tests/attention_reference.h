/* Attention as on paper, in double precision, and a tap that records everything that the instrumented
 * attention hands over, so that tests can hold one against the other.  Deliberately n x n (tests only). */
#ifndef ATTNSCOPE_TESTS_ATTENTION_REFERENCE_H
#define ATTNSCOPE_TESTS_ATTENTION_REFERENCE_H

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "compute/attention.h"
#include "compute/kernels.h"

static uint64_t seed = 7;

static inline float uniform(void)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (float)(int64_t)(seed >> 33) / (float)(1 << 30) - 1;
}

static inline float *random_floats(int64_t n)
{
    float *x = malloc((size_t)n * sizeof *x);
    for (int64_t i = 0; i < n; i++)
        x[i] = uniform();
    return x;
}

enum { N_STATS = 7 };
enum { ALL_NEEDS = ATTN_NEED_LSE | ATTN_NEED_ENTROPY | ATTN_NEED_MAX | ATTN_NEED_SELF | ATTN_NEED_PREV |
                   ATTN_NEED_DISTANCE | ATTN_NEED_COLUMNS | ATTN_NEED_PROBS };

typedef struct record {
    attn_kind kind;
    int64_t n_query, n_key;
    float *probs;                            /* [n_head, n_query, n_key], NaN where nothing was delivered */
    float *lse, *entropy, *maximum, *self, *prev, *distance, *sink; /* [n_head, n_query] */
    double *columns;                         /* [n_head, chunks, n_key] */
    int64_t *last_q;                         /* [n_head, chunks] rows must come in increasing order */
    int heads_done;
} record;

/* cmocka may not be used from worker threads: what is wrong with a row makes the comparison fail instead. */
static void on_rows(void *ud, const attn_rows *r)
{
    record *rec = ud;
    int64_t at = r->head * rec->n_query + r->q0, *last = &rec->last_q[r->head * ATTN_MAX_CHUNK + r->chunk];
    for (int64_t i = 0; i < r->n_query; i++) {
        rec->lse[at + i] = r->q0 <= *last || r->kind != rec->kind ? NAN : r->lse[i];
        rec->entropy[at + i] = r->entropy ? r->entropy[i] : NAN;
        rec->maximum[at + i] = r->maximum ? r->maximum[i] : NAN;
        rec->self[at + i] = r->self ? r->self[i] : NAN;
        rec->prev[at + i] = r->prev ? r->prev[i] : NAN;
        rec->distance[at + i] = r->distance ? r->distance[i] : NAN;
        rec->sink[at + i] = r->sink ? r->sink[i] : 0;
    }
    *last = r->q0;
    double *columns = rec->columns + (r->head * ATTN_MAX_CHUNK + r->chunk) * rec->n_key;
    for (int64_t i = 0; i < r->n_column && r->columns; i++)
        columns[r->k0 + i] += r->columns[i];
}

static void on_tile(void *ud, const attn_tile *t)
{
    record *rec = ud;
    for (int64_t q = t->q0; q < t->q0 + t->n_query; q++)
        for (int64_t k = t->k0; k < t->k0 + t->n_key; k++)
            rec->probs[(t->head * rec->n_query + q) * rec->n_key + k] =
                t->kind == rec->kind ? attn_tile_at(t, q, k) : -1;
}

static int on_heads_done(void *ud, int l, int head0, int head1, err *e)
{
    record *rec = ud;
    (void)l;
    (void)e;
    assert_int_equal(head0, rec->heads_done);
    rec->heads_done = head1;
    return 0;
}

/* All statistics, one after another. */
static inline float **record_stat(record *rec, size_t i)
{
    float **const stats[N_STATS] = {&rec->lse, &rec->entropy, &rec->maximum, &rec->self,
                                    &rec->prev, &rec->distance, &rec->sink};
    return stats[i];
}

static record *new_record(const attn_args *a)
{
    record *rec = calloc(1, sizeof *rec);
    int64_t rows = a->n_head * a->n_query;
    *rec = (record){.kind = a->kind, .n_query = a->n_query, .n_key = a->n_key};
    rec->probs = malloc((size_t)(rows * a->n_key) * sizeof(float));
    for (int64_t i = 0; i < rows * a->n_key; i++)
        rec->probs[i] = NAN;
    for (size_t i = 0; i < N_STATS; i++)
        *record_stat(rec, i) = calloc((size_t)rows, sizeof(float));
    rec->columns = calloc((size_t)a->n_head * ATTN_MAX_CHUNK * (size_t)a->n_key, sizeof *rec->columns);
    rec->last_q = malloc((size_t)a->n_head * ATTN_MAX_CHUNK * sizeof(int64_t));
    memset(rec->last_q, 0xff, (size_t)a->n_head * ATTN_MAX_CHUNK * sizeof(int64_t));
    return rec;
}

static void free_record(record *rec)
{
    for (size_t i = 0; i < N_STATS; i++)
        free(*record_stat(rec, i));
    free(rec->probs);
    free(rec->columns);
    free(rec->last_q);
    free(rec);
}

/* What a tap with these needs is given; reads: of attn_tap, or NULL. */
static inline record *run_with(const attn_args *a, int threads, unsigned need, bool (*reads)(void *ud, const attn_tile *part))
{
    pool *p;
    attn_scratch *s;
    record *rec = new_record(a);
    const attn_tap tap = {
        .need = need, .rows = on_rows, .tile = on_tile, .heads_done = on_heads_done, .ud = rec, .reads = reads,
    };
    err e = {0};
    assert_int_equal(pool_new(&p, threads, &e), 0);
    assert_int_equal(attn_scratch_new(&s, p, &e), 0);
    assert_int_equal(attention(s, a, &tap, &e), 0);
    assert_int_equal(rec->heads_done, a->n_head);
    attn_scratch_free(s);
    pool_free(p);
    return rec;
}

static inline record *run(const attn_args *a, int threads)
{
    return run_with(a, threads, ALL_NEEDS, NULL);
}

static inline void close_to(double got, double want, double tolerance)
{
    assert_true(got == want || fabs(got - want) <= tolerance);
}

/* The score of a cell, before the mask. */
static double paper_score(const attn_args *a, int head, int64_t q, int64_t k)
{
    int64_t kv = head / (a->n_head / a->n_kv_head);
    double s = 0;
    for (int c = 0; c < a->d_qk; c++)
        s += (double)a->q[q * a->ldq + (int64_t)head * a->d_qk + c] * a->k[k * a->ldk + kv * a->d_qk + c];
    s *= a->scale;
    if (a->softcap > 0)
        s = a->softcap * tanh(s / a->softcap);
    if (a->key_bias)
        s += a->key_bias[head * a->n_key + k];
    if (a->rel_bias)
        s += a->rel_bias[head * (a->n_query + a->n_key - 1) + k - (a->pos0 + q) + a->pos0 + a->n_query - 1];
    return s;
}

static bool paper_sees(const attn_args *a, int64_t q, int64_t k)
{
    int64_t back = a->pos0 + q - k;
    return !(a->causal && back < 0) && !(a->window > 0 && llabs(back) >= a->window);
}

/* What each key of a head receives. */
static inline void compare_columns(const attn_args *a, const record *rec, int head)
{
    for (int64_t k = 0; k < a->n_key; k++) {
        double got = 0, want = 0;
        for (int chunk = 0; chunk < ATTN_MAX_CHUNK; chunk++)
            got += rec->columns[(head * ATTN_MAX_CHUNK + chunk) * a->n_key + k];
        for (int64_t q = 0; q < a->n_query; q++) {
            const float w = rec->probs[(head * a->n_query + q) * a->n_key + k];
            want += paper_sees(a, q, k) ? (double)w : 0;
        }
        close_to(got, want, 1e-12 * want);
    }
}

/* Every weight, statistic and output of rec and a->out. */
static void compare(const attn_args *a, record *rec, double tolerance)
{
    double *p = malloc((size_t)a->n_key * sizeof *p), *out = malloc((size_t)a->d_v * sizeof *out);
    for (int h = 0; h < a->n_head; h++)
        compare_columns(a, rec, h);
    for (int h = 0; h < a->n_head; h++)
        for (int64_t q = 0; q < a->n_query; q++) {
            int64_t pos = a->pos0 + q, row = h * a->n_query + q, kv = h / (a->n_head / a->n_kv_head);
            double sink_score = a->sinks ? (double)a->sinks[h] : -INFINITY;
            double top = -INFINITY, keys = 0, entropy = 0, maximum = 0, distance = 0, self = 0, prev = 0;
            for (int64_t k = 0; k < a->n_key; k++) {
                p[k] = paper_sees(a, q, k) ? paper_score(a, h, q, k) : -INFINITY;
                top = fmax(top, p[k]);
            }
            for (int64_t k = 0; k < a->n_key; k++)
                keys += p[k] > -INFINITY ? exp(p[k] - top) : 0;
            double lse = keys > 0 ? top + log(keys) : -INFINITY, m = fmax(top, sink_score);
            double sum = m > -INFINITY ? (keys > 0 ? keys * exp(top - m) : 0) + exp(sink_score - m) : 1;
            memset(out, 0, (size_t)a->d_v * sizeof *out);
            for (int64_t k = 0; k < a->n_key; k++) {
                float got = rec->probs[row * a->n_key + k];
                if (!paper_sees(a, q, k)) {
                    assert_true(isnan(got) || got == 0);
                    continue;
                }
                double w = p[k] > -INFINITY ? exp(p[k] - m) / sum : 0;
                close_to(got, w, tolerance);
                entropy -= w > 0 ? w * log(w) : 0;
                maximum = fmax(maximum, w);
                distance += w * fabs((double)(pos - k));
                self = k == pos ? w : self;
                prev = k == pos - 1 ? w : prev;
                for (int c = 0; c < a->d_v; c++)
                    out[c] += w * a->v[k * a->ldv + kv * a->d_v + c];
            }
            close_to(rec->lse[row], lse, 10 * tolerance * fmax(1, fabs(lse)));
            close_to(rec->entropy[row], entropy, 10 * tolerance);
            close_to(rec->maximum[row], maximum, tolerance);
            close_to(rec->distance[row], distance, tolerance * (double)(a->n_key + a->n_query) * 4);
            close_to(rec->self[row], self, tolerance);
            close_to(rec->prev[row], prev, tolerance);
            close_to(rec->sink[row], sink_score > -INFINITY ? exp(sink_score - m) / sum : 0, tolerance);
            for (int c = 0; c < a->d_v; c++)
                close_to(a->out[q * a->ldo + (int64_t)h * a->d_v + c], out[c], 4 * tolerance);
        }
    free(p);
    free(out);
}

/* Random queries, keys and values of a causal attention over n_key - n_query cached keys. */
static attn_args make(int64_t n_query, int64_t n_key, int heads, int kv, int d_qk, int d_v)
{
    attn_args a = {.n_head = heads, .n_kv_head = kv, .d_qk = d_qk, .d_v = d_v, .n_query = n_query, .n_key = n_key,
                   .pos0 = n_key - n_query, .scale = 2 / sqrtf((float)d_qk), .causal = true, .prec = PRECISION_F32_STRICT,
                   .ldq = heads * d_qk + 3, .ldk = kv * d_qk, .ldv = kv * d_v + 1, .ldo = heads * d_v};
    a.q = random_floats(n_query * a.ldq);
    a.k = random_floats(n_key * a.ldk);
    a.v = random_floats(n_key * a.ldv);
    a.out = random_floats(n_query * a.ldo);
    return a;
}

static void destroy(attn_args *a)
{
    free((void *)a->q);
    free((void *)a->k);
    free((void *)a->v);
    free(a->out);
    free((void *)a->key_bias);
    free((void *)a->rel_bias);
    free((void *)a->sinks);
}

/* Where float32 is made of bfloat16 terms, that too. */
static inline void check(attn_args a, double tolerance)
{
    record *rec = run(&a, 2);
    compare(&a, rec, tolerance);
    free_record(rec);
    if (a.prec == PRECISION_F32_STRICT && kernels_get()->tiles->split) {
        a.prec = PRECISION_F32;
        rec = run(&a, 2);
        compare(&a, rec, tolerance);
        free_record(rec);
    }
}

static void each_isa(void (*f)(void))
{
    const char *note;
    for (const kernels *const *k = kernels_all(); *k; k++)
        if (kernels_usable(*k)) {
            assert_int_equal(kernels_select((*k)->isa, &note, NULL), 0);
            f();
        }
    kernels_select("best", &note, NULL);
}

#endif
