#include <stdlib.h>
#include <string.h>
#include "analysis/head_rows.h"
#include "base/mem.h"
#include "compute/gemm.h"

/* Rows of the matrix that are held at a time: two blocks of them. */
enum { BLOCK = 256 };

typedef struct rows_of {
    float *to;           /* [BLOCK][n_key] */
    int64_t n_key;
} rows_of;

static void on_block(void *ud, const attn_panels *p)
{
    const rows_of *r = ud;
    for (int i = 0; i < p->n_query; i++) {
        float *row = r->to + (p->q0 + i) * r->n_key;
        for (int64_t k = 0; k < p->n_key; k++)
            row[k] = p->probs[k * p->k_stride + i];
        memset(row + p->n_key, 0, (size_t)(r->n_key - p->n_key) * sizeof *row);
    }
}

/* Rows first .. first + n - 1 of a head. */
static int form_rows(float *to, const attn_args *a, runtime *r, int head, int64_t first, int64_t n, err *e)
{
    const attn_args s = attn_rows_of_head(a, head, first, n);
    rows_of rows = {to, a->n_key};
    return runtime_attention_panels(r, &s, 1, on_block, &rows, e);
}

static double squares(const float *x, int64_t n, int64_t cols, int64_t ld)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < cols; j++)
            sum += (double)x[i * ld + j] * (double)x[i * ld + j];
    return sum;
}

typedef struct room {
    gemm_scratch *gemm;
    float *x, *w, *y;    /* [BLOCK][n_key] twice, [BLOCK][BLOCK] */
} room;

/* Sums of squares of A and of A A^T of one head. */
static int head_sums(double *of_a, double *of_gram, const room *m, const attn_args *a, runtime *r, int head, err *e)
{
    int rc = 0;
    *of_a = *of_gram = 0;
    for (int64_t i = 0; i < a->n_query && !rc; i += BLOCK) {
        int64_t n_i = a->n_query - i < BLOCK ? a->n_query - i : BLOCK;
        rc = form_rows(m->x, a, r, head, i, n_i, e);
        *of_a += rc ? 0 : squares(m->x, n_i, a->n_key, a->n_key);
        for (int64_t j = 0; j <= i && !rc; j += BLOCK) {
            int64_t n_j = a->n_query - j < BLOCK ? a->n_query - j : BLOCK, keys = a->pos0 + j + n_j;
            keys = a->causal && keys < a->n_key ? keys : a->n_key; /* those behind have no weight in block j */
            rc = j == i ? 0 : form_rows(m->w, a, r, head, j, n_j, e);
            const weight w = {.type = DT_F32, .data = j == i ? m->x : m->w, .n_out = n_j, .n_in = keys,
                              .ld = a->n_key};
            if (!rc && !(rc = gemm_scratch_reserve(m->gemm, n_i, keys, e))) {
                gemm(m->gemm, m->y, BLOCK, m->x, a->n_key, n_i, &w, PRECISION_F32);
                *of_gram += (j < i ? 2 : 1) * squares(m->y, n_i, n_j, BLOCK);
            }
        }
    }
    return rc;
}

static int inputs(metric_ctx *c, const attn_args *a, const result_sink *out, err *e)
{
    room m = {0};
    size_t block, bytes;
    int rc = 0;
    if ((rc = attn_rows_unedited(a, "participation", e)))
        return rc;
    if (!size_mul(&block, BLOCK * sizeof(float), (size_t)a->n_key) || !size_mul(&bytes, block, 2))
        return err_nomem(e, "blocks of the attention matrix");
    rc = gemm_scratch_new(&m.gemm, runtime_pool(c->run), e);
    if (!rc && (!(m.x = mem_large(block, e)) || !(m.w = mem_large(block, e)) ||
                !(m.y = mem_large(BLOCK * BLOCK * sizeof(float), e))))
        rc = ERR_RESOURCE;
    for (int h = 0; h < a->n_head && !rc; h++) {
        double of_a, of_gram;
        rc = head_sums(&of_a, &of_gram, &m, a, c->run, h, e);
        if (!rc && of_gram != 0) /* not NaN either: that is an error */
            rc = metric_emit(c, out, a->layer, h, NO_INDEX, of_a * of_a / of_gram, e);
    }
    mem_free_large(m.x);
    mem_free_large(m.w);
    mem_free_large(m.y);
    gemm_scratch_free(m.gemm);
    return rc;
}

const metric metric_participation = {
    .name = "participation",
    .summary = "participation ratio of the singular values of the attention matrix",
    .formula = "(sum s^2)^2 / sum s^4 over the singular values s of A",
    .definition =
        "(sum s^2)^2 / sum s^4 over the singular values s of the matrix [queries, keys] of a head, as "
        "|A|_F^4 / |A A^T|_F^2: how many directions the rows of the head span, weighted.  1 when all rows "
        "are multiples of one, as with a pure sink; the number of queries for the identity",
    .unit = "",
    .range = "1 .. queries",
    .source = "participation ratio of a spectrum; exact, from products of rows",
    .reading = "1: all queries attend alike (a sink); up to n: every query has its own keys.",
    .traps =
        "n^3: slow on long prompts. Grows with the prompt, and depends on the spread of row norms as well "
        "as on directions.",
    .cite = "attnscope",
    .missing_mass = "rows are taken as they are",
    .cost = "n^3 / 6 multiplications a head under a causal mask, n^3 / 2 without one; memory 512 rows",
    .scope = METRIC_HEAD,
    .kinds = KINDS_ALL,
    .validated = "singular values by LAPACK of maps of random models of every kind",
    .inputs = inputs,
};
