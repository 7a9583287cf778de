/* Attention of few queries, and its inner loops in plain C. */
#include "compute/attention_few.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "compute/kernels_c.h"

/* Keys that are worked on for all heads before the next ones are read, and of the shortest range; the most ranges. */
enum { KEYS = 16, RANGE = 128, MOST_RANGES = 64 };

static void dots(float *s, const float *q, const float *k, int64_t ldk, int64_t n, int d, few_ahead ahead)
{
    (void)ahead;
    for (int64_t i = 0; i < n; i++)
        s[i] = kernels_c.dot(q, k + i * ldk, d);
}

static float largest(const float *s, int64_t n, float scale)
{
    float most = -INFINITY;
    for (int64_t i = 0; i < n; i++) {
        const float v = s[i] * scale;
        most = v > most ? v : most;
    }
    return most;
}

static void exponentials(few_sums *sums, float *s, int64_t n, float scale, float m, int64_t position)
{
    *sums = (few_sums){.weighted = 0};
    for (int64_t i = 0; i < n; i++) {
        const float t = s[i] * scale - m, e = kernel_c_exp(t);
        s[i] = e;
        sums->part[i % SOFTMAX_WAYS] += e;
        sums->weighted += e > 0 ? (double)e * t : 0; /* 0 ln 0 = 0, also for a score of -inf */
        sums->distance += (double)e * (double)llabs(position - i);
    }
}

static void sum_rows(float *out, const float *p, const float *v, int64_t ldv, int64_t n, int d, few_ahead ahead)
{
    (void)ahead;
    for (int64_t i = 0; i < n; i++)
        kernel_c_add_scaled(out, v + i * ldv, p[i], d);
}

const few_kernels few_c = {dots, largest, exponentials, sum_rows};

const few_kernels *few_for(const kernels *k)
{
#if defined(__x86_64__)
    if (k == &kernels_avx2)
        return &few_avx2;
    if (k != &kernels_c)
        return &few_avx512;
#endif
    (void)k;
    return &few_c;
}

int64_t attn_few_row(int64_t n_key)
{
    return (n_key + GEMM_MAX_NR - 1) / GEMM_MAX_NR * GEMM_MAX_NR + GEMM_MAX_NR;
}

int64_t attn_few_room(const attn_args *a)
{
    return attn_few_row(a->n_key) * a->n_query;
}

int64_t attn_few_range(int64_t n_key)
{
    const int64_t each = (n_key + MOST_RANGES - 1) / MOST_RANGES;
    return (each + RANGE - 1) / RANGE * RANGE;
}

int attn_few_ranges(int64_t n_key)
{
    const int64_t range = attn_few_range(n_key);
    return (int)((n_key + range - 1) / range);
}

/* Keys first .. last - 1 that query i sees: from *from on, returns how many. */
static int64_t seen_keys(int64_t *from, const attn_block *b, int i, int64_t first, int64_t last)
{
    const int64_t to = b->hi[i] < last ? b->hi[i] : last;
    *from = b->lo[i] > first ? b->lo[i] : first;
    return to - *from;
}

/* Of the rows behind keys first .. first + KEYS - 1, the share of one of n heads. */
static few_ahead next_rows(const float *rows, int64_t ld, int64_t first, int64_t head, int64_t n)
{
    const int64_t lines = (KEYS * ld * (int64_t)sizeof *rows + 63) / 64, steps = KEYS / 4 * n, each = (lines + steps - 1) / steps;
    return (few_ahead){(const char *)(rows + (first + KEYS) * ld) + head * (KEYS / 4) * each * 64, (int)each};
}

void attn_few_scores(const attn_block *b, const attn_parts *p, int head, int n, int64_t from, int64_t to, float *scores)
{
    const attn_args *a = p->a;
    const few_kernels *few = few_for(p->k);
    const int64_t row = attn_few_row(a->n_key), shared = a->n_head / a->n_kv_head;
    for (int64_t first = from; first < to; first += KEYS)
        for (int h = 0; h < n; h++)
            for (int i = 0; i < b->n_query; i++) {
                int64_t key, seen = seen_keys(&key, b, i, first, first + KEYS < to ? first + KEYS : to);
                if (seen > 0)
                    few->dots(scores + h * attn_few_room(a) + i * row + key,
                              a->q + (b->q0 + i) * a->ldq + (int64_t)(head + h) * a->d_qk,
                              a->k + key * a->ldk + (head + h) / shared * a->d_qk, a->ldk, seen, a->d_qk,
                              next_rows(a->k, a->ldk, first, h, n));
            }
}

/* What comes between products and softmax for query i; -inf in the cells beside the keys that it sees, up to whole vectors from
 * `from` on. */
static void finish_scores(const attn_block *b, const attn_parts *p, int i, int head, float *s, int64_t from, int64_t n)
{
    const attn_args *a = p->a;
    const int64_t lo = b->lo[i], hi = b->hi[i];
    if (a->softcap > 0) { /* in whole rows of a panel: there is room behind the last key */
        const int nr = p->k->nr;
        memset(s + hi, 0, (size_t)((hi - lo + nr - 1) / nr * nr - (hi - lo)) * sizeof *s);
        p->k->score_columns(&(score_block){
            .s = s + lo, .scale = a->scale, .softcap = a->softcap, .n_key = (hi - lo + nr - 1) / nr, .n_query = nr,
        });
    } else if (attn_has_extras(a)) {
        p->k->scale(s + lo, a->scale, hi - lo);
    }
    if (a->key_bias)
        p->k->add(s + lo, a->key_bias + head * a->n_key + lo, hi - lo);
    if (a->rel_bias) /* of key - query, from -(n_query - 1) of the last query on */
        p->k->add(s + lo, a->rel_bias + head * (a->n_query + a->n_key - 1) + lo + a->n_query - 1 - (b->q0 + i), hi - lo);
    for (int64_t key = from; key < lo; key++)
        s[key] = -INFINITY;
    for (int64_t key = hi; key < from + n; key++)
        s[key] = -INFINITY;
}

/* Row statistics of a query that sees no key, as softmax_columns has them. */
static void see_nothing(attn_block *b, int i, const float *sink)
{
    b->lse[i] = b->top[i] = -INFINITY;
    b->entropy[i] = b->maximum[i] = b->distance[i] = 0;
    b->sink[i] = sink ? 1 : 0;
}

/* softmax_columns for one query: s holds keys `from` and up, `from` a multiple of SOFTMAX_WAYS. */
static void softmax_row(attn_block *b, const attn_parts *p, int i, const float *sink, float *s, int64_t from, int64_t n)
{
    const few_kernels *few = few_for(p->k);
    const float scale = attn_has_extras(p->a) ? 1 : p->a->scale;
    const int64_t n_total = p->a->n_key;
    float top = few->largest(s, n, scale), m = sink && *sink > top ? *sink : top, lse = 0, keys, sum, e_sink = 0;
    const bool far = m - top > SINK_FAR;
    few_sums sums;
    b->top[i] = top;
    m = m < LOWEST_SCORE ? 0 : m; /* any finite stand-in keeps NaN away */
    if (far)
        lse = top < LOWEST_SCORE ? -INFINITY : kernel_c_lse(s, 1, scale, b->lo[i] - from, b->hi[i] - from, top);
    few->exponentials(&sums, s, n, scale, m, b->qpos[i] - from);
    if (sink) {
        float seen[SOFTMAX_WAYS];
        memcpy(seen, sums.part, sizeof seen);
        keys = softmax_total(seen, n_total);
        e_sink = kernel_c_exp(*sink - m);
        sums.part[n_total % SOFTMAX_WAYS] += e_sink;
        sum = softmax_total(sums.part, n_total + 1);
    } else {
        keys = sum = softmax_total(sums.part, n_total);
    }
    const float inverse = sum < 0.5f ? 0 : 1 / sum; /* a sum is >= 1, 0 or NaN */
    p->k->scale(s, inverse, n);
    const bool none = keys == 0;
    b->lse[i] = far ? lse : none ? -INFINITY : (float)(m + log((double)keys));
    b->entropy[i] = none ? 0 : sink ? (float)((log((double)sum) * keys - sums.weighted) / sum)
                    : (float)(log((double)sum) - sums.weighted / sum);
    b->maximum[i] = sink ? kernel_c_exp(top - m) * inverse : inverse;
    b->distance[i] = none ? 0 : (float)(sums.distance / sum);
    b->sink[i] = e_sink * inverse;
}

void attn_few_weights(attn_block *b, const attn_parts *p, int head, int chunk, float *scores)
{
    const attn_args *a = p->a;
    const float *sink = a->sinks ? a->sinks + head : NULL;
    b->q_stride = attn_few_row(a->n_key);
    b->k_stride = 1;
    for (int i = 0; i < b->n_query; i++) {
        float *s = scores + i * b->q_stride;
        const int64_t from = b->lo[i] / SOFTMAX_WAYS * SOFTMAX_WAYS;
        const int64_t n = b->lo[i] < b->hi[i] ? (b->hi[i] - from + SOFTMAX_WAYS - 1) / SOFTMAX_WAYS * SOFTMAX_WAYS : 0;
        if (n > 0) {
            finish_scores(b, p, i, head, s, from, n);
            softmax_row(b, p, i, sink, s + from, from, n);
        } else {
            see_nothing(b, i, sink);
        }
        for (int64_t key = b->k0; key < b->k1; key++)
            if (n == 0 || key < from || key >= from + n)
                s[key] = 0;
    }
    if (a->edit && a->edit->heads[head])
        attn_edit_weights(b, p, head, chunk, scores);
}

void attn_few_output(const attn_block *b, const attn_parts *p, int64_t from, int64_t to, const float *scores, float *out)
{
    const attn_args *a = p->a;
    const few_kernels *few = few_for(p->k);
    const int64_t row = attn_few_row(a->n_key), ldo = (int64_t)a->n_head * a->d_v, shared = a->n_head / a->n_kv_head;
    memset(out, 0, (size_t)(b->n_query * ldo) * sizeof *out);
    for (int64_t first = from; first < to; first += KEYS)
        for (int64_t h = 0; h < a->n_head; h++)
            for (int i = 0; i < b->n_query; i++) {
                int64_t key, seen = seen_keys(&key, b, i, first, first + KEYS < to ? first + KEYS : to);
                if (seen > 0)
                    few->sum_rows(out + i * ldo + h * a->d_v, scores + h * attn_few_room(a) + i * row + key,
                                  a->v + key * a->ldv + h / shared * a->d_v, a->ldv, seen, a->d_v,
                                  next_rows(a->v, a->ldv, first, h, a->n_head));
            }
}
