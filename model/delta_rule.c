/* Gated delta rule: the plain recurrence, and the chunked form (Yang et al., arXiv 2412.06464, section 3.3).
 *
 * In a chunk, with c_i the sum of decays up to token i, A_ij = beta_i (k_i . k_j) exp(c_i - c_j) below the
 * diagonal and 1 on it: solving A u = beta v and A w = beta k exp(c) gives
 *   new = u - w S,   out = (q exp(c)) S + ((q k^T) exp(c_i - c_j), lower half) new,
 *   S = exp(c_last) S + (k exp(c_last - c))^T new. */
#include <math.h>
#include <string.h>

#include "model/delta_rule.h"

enum { SOLVE_ROWS = 8 };

void delta_rule_steps(const delta_head *h)
{
    const kernels *k = h->k;
    int64_t width = h->d_value;
    float *change = h->scratch;
    for (int64_t t = 0; t < h->n; t++) {
        const float *q = h->query + t * h->ldq, *key = h->key + t * h->ldk, *v = h->value + t * h->ldv;
        float *out = h->out + t * h->ldv, keep = expf(h->decay[t]);
        memset(change, 0, (size_t)width * sizeof *change);
        for (int i = 0; i < h->d_key; i++) {
            k->scale(h->state + i * width, keep, width);
            k->add_scaled(change, h->state + i * width, key[i], width);
        }
        for (int64_t c = 0; c < width; c++)
            change[c] = (v[c] - change[c]) * h->beta[t];
        memset(out, 0, (size_t)width * sizeof *out);
        for (int i = 0; i < h->d_key; i++) {
            k->add_scaled(h->state + i * width, change, key[i], width);
            k->add_scaled(out, h->state + i * width, q[i], width);
        }
    }
}

/* One side of a product: element (row, k) is x[row * ld + k], or x[k * ld + row] where k comes first. */
typedef struct side {
    const float *x;
    int64_t ld;
    bool k_first;
} side;

static void pack(const kernels *k, float *dst, int stride, const side *s, int64_t first, int rows,
                 int64_t n_k)
{
    if (!s->k_first) {
        k->interleave(dst, stride, s->x + first * s->ld, s->ld, rows, n_k);
        return;
    }
    for (int64_t i = 0; i < n_k; i++) {
        memcpy(dst + i * stride, s->x + i * s->ld + first, (size_t)rows * sizeof *dst);
        memset(dst + i * stride + rows, 0, (size_t)(stride - rows) * sizeof *dst);
    }
}

static int at_most(int64_t n, int limit)
{
    return n < limit ? (int)n : limit;
}

/* c [m, n] = a [m, n_k] b [n_k, n]; packed holds both sides. */
static void multiply(const kernels *k, float *packed, float *c, int64_t ldc, side a, side b, int64_t m,
                     int64_t n, int64_t n_k)
{
    float *panel = packed, *rows = packed + GEMM_MAX_NR * n_k;
    for (int64_t i = 0; i < m; i += k->mr)
        pack(k, rows + i * n_k, k->mr, &a, i, at_most(m - i, k->mr), n_k);
    for (int64_t j = 0; j < n; j += k->nr) {
        int cols = at_most(n - j, k->nr);
        pack(k, panel, k->nr, &b, j, cols, n_k);
        for (int64_t i = 0; i < m; i += k->mr)
            k->gemm_micro(n_k, rows + i * n_k, panel, c + i * ldc + j, ldc, at_most(m - i, k->mr), cols);
    }
}

/* Room of a chunk, in floats. */
typedef struct chunk {
    float *system, *inside;        /* [DELTA_CHUNK, DELTA_CHUNK] */
    float *key_beta, *query, *key; /* [DELTA_CHUNK, d_key] */
    float *fresh, *made;           /* [DELTA_CHUNK, d_value] */
    float *larger;                 /* [d_key or DELTA_CHUNK, the wider of d_key and d_value] */
    float *packed;
} chunk;

static int64_t wider(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* Lay the chunk's arrays out in base (which may be NULL); returns their size. */
static int64_t lay_out(chunk *c, float *base, int64_t d_key, int64_t d_value)
{
    int64_t tall = wider(d_key, DELTA_CHUNK), wide = wider(d_key, d_value), at = 0;
    struct {
        float **p;
        int64_t n;
    } parts[] = {
        {&c->system, DELTA_CHUNK * DELTA_CHUNK},
        {&c->inside, DELTA_CHUNK * DELTA_CHUNK},
        {&c->key_beta, DELTA_CHUNK * d_key},
        {&c->query, DELTA_CHUNK * d_key},
        {&c->key, DELTA_CHUNK * d_key},
        {&c->fresh, DELTA_CHUNK * d_value},
        {&c->made, DELTA_CHUNK * d_value},
        {&c->larger, tall * wide},
        {&c->packed, (GEMM_MAX_NR + tall + GEMM_MAX_MR) * tall},
    };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        *parts[i].p = base ? base + at : NULL;
        at += parts[i].n;
    }
    return at;
}

int64_t delta_rule_scratch(int d_key, int d_value)
{
    chunk c;
    return lay_out(&c, NULL, d_key, d_value);
}

/* x [n, width] = a^-1 x for a unit lower triangular matrix [n, DELTA_CHUNK]. */
static void solve(const kernels *k, chunk *c, float *x, int64_t width, int64_t n)
{
    const float *a = c->system;
    for (int64_t i0 = 0; i0 < n; i0 += SOLVE_ROWS) {
        int64_t rows = at_most(n - i0, SOLVE_ROWS);
        if (i0)
            multiply(k, c->packed, c->larger, width, (side){a + i0 * DELTA_CHUNK, DELTA_CHUNK, false},
                     (side){x, width, true}, rows, width, i0);
        for (int64_t i = i0; i < i0 + rows; i++) {
            if (i0)
                k->add_scaled(x + i * width, c->larger + (i - i0) * width, -1, width);
            for (int64_t j = i0; j < i; j++)
                k->add_scaled(x + i * width, x + j * width, -a[i * DELTA_CHUNK + j], width);
        }
    }
}

/* rows [n, width] times a factor each. */
static void scale_rows(const kernels *k, float *y, const float *x, int64_t ld, const float *factor, int64_t n,
                       int64_t width)
{
    for (int64_t i = 0; i < n; i++) {
        memmove(y + i * width, x + i * ld, (size_t)width * sizeof *y);
        k->scale(y + i * width, factor[i], width);
    }
}

static void one_chunk(const delta_head *h, chunk *c, int64_t t0, int64_t n)
{
    const kernels *k = h->k;
    int64_t d_key = h->d_key, d_value = h->d_value;
    const float *q = h->query + t0 * h->ldq, *key = h->key + t0 * h->ldk, *v = h->value + t0 * h->ldv,
                *beta = h->beta + t0;
    float *out = h->out + t0 * h->ldv, sum[DELTA_CHUNK], grown[DELTA_CHUNK], left[DELTA_CHUNK];
    double total = 0;
    for (int64_t i = 0; i < n; i++) {
        total += (double)h->decay[t0 + i];
        sum[i] = (float)total;
        grown[i] = expf(sum[i]);
    }
    for (int64_t i = 0; i < n; i++)
        left[i] = expf(sum[n - 1] - sum[i]);

    scale_rows(k, c->key_beta, key, h->ldk, beta, n, d_key);
    multiply(k, c->packed, c->system, DELTA_CHUNK, (side){c->key_beta, d_key, false},
             (side){key, h->ldk, false}, n, n, d_key);
    multiply(k, c->packed, c->inside, DELTA_CHUNK, (side){q, h->ldq, false}, (side){key, h->ldk, false}, n, n,
             d_key);
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++) {
            float weight = j > i ? 0 : expf(sum[i] - sum[j]);
            c->system[i * DELTA_CHUNK + j] *= weight;
            c->inside[i * DELTA_CHUNK + j] = j > i ? 0 : c->inside[i * DELTA_CHUNK + j] * weight;
        }
    scale_rows(k, c->fresh, v, h->ldv, beta, n, d_value);
    scale_rows(k, c->key_beta, c->key_beta, d_key, grown, n, d_key);
    solve(k, c, c->fresh, d_value, n);
    solve(k, c, c->key_beta, d_key, n);

    /* What earlier chunks left: out of the new values, and into the output. */
    multiply(k, c->packed, c->larger, d_value, (side){c->key_beta, d_key, false},
             (side){h->state, d_value, true}, n, d_value, d_key);
    for (int64_t i = 0; i < n; i++)
        k->add_scaled(c->fresh + i * d_value, c->larger + i * d_value, -1, d_value);
    scale_rows(k, c->query, q, h->ldq, grown, n, d_key);
    multiply(k, c->packed, out, h->ldv, (side){c->query, d_key, false}, (side){h->state, d_value, true}, n,
             d_value, d_key);
    multiply(k, c->packed, c->made, d_value, (side){c->inside, DELTA_CHUNK, false},
             (side){c->fresh, d_value, true}, n, d_value, n);
    for (int64_t i = 0; i < n; i++)
        k->add(out + i * h->ldv, c->made + i * d_value, d_value);

    scale_rows(k, c->key, key, h->ldk, left, n, d_key);
    multiply(k, c->packed, c->larger, d_value, (side){c->key, d_key, true}, (side){c->fresh, d_value, true},
             d_key, d_value, n);
    k->scale(h->state, grown[n - 1], d_key * d_value);
    k->add(h->state, c->larger, d_key * d_value);
}

void delta_rule_chunks(const delta_head *h)
{
    chunk c;
    lay_out(&c, h->scratch, h->d_key, h->d_value);
    for (int64_t t = 0; t < h->n; t += DELTA_CHUNK)
        one_chunk(h, &c, t, h->n - t < DELTA_CHUNK ? h->n - t : DELTA_CHUNK);
}
