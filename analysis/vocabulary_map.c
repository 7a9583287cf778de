#include "analysis/vocabulary_map.h"

#include <stdlib.h>
#include <string.h>
#include "analysis/linalg.h"
#include "base/cancel.h"
#include "base/mem.h"
#include "compute/gemm.h"

enum { BLOCK = 256 };  /* tokens at a time */

typedef struct outer_job {
    const model *m;
    int64_t first, rows;       /* tokens of the block */
    int64_t n_out, n_in;       /* widths of a row of W_U^T and of W_E */
    float *row;                /* [threads, widest] */
    int64_t widest;
    double *u, *v;             /* [BLOCK, n_out], [BLOCK, n_in] */
    double *sum;               /* [n_out, n_in] */
} outer_job;

static void load_row(void *ud, int64_t item, int thread)
{
    const outer_job *j = ud;
    float *row = j->row + thread * j->widest;
    weight_load(row, &j->m->head.unembedding, j->first + item, 0, j->n_out);
    for (int64_t i = 0; i < j->n_out; i++)
        j->u[item * j->n_out + i] = (double)row[i];
    weight_load(row, &j->m->main->embed.tokens, j->first + item, 0, j->n_in);
    for (int64_t i = 0; i < j->n_in; i++)
        j->v[item * j->n_in + i] = (double)row[i];
}

/* Row `item` of the sum of outer products: no other item writes it. */
static void add_row(void *ud, int64_t item, int thread)
{
    const outer_job *j = ud;
    double *sum = j->sum + item * j->n_in;
    (void)thread;
    for (int64_t t = 0; t < j->rows; t++) {
        double x = j->u[t * j->n_out + item];
        const double *v = j->v + t * j->n_in;
        for (int64_t i = 0; i < j->n_in; i++)
            sum[i] += x * v[i];
    }
}

static void each(pool *p, int64_t n, pool_fn fn, void *ud)
{
    if (p)
        pool_run(p, n, fn, ud);
    for (int64_t i = 0; i < n && !p; i++)
        fn(ud, i, 0);
}

/* sum_u, sum_v: of the rows of all tokens. */
static int over_tokens(outer_job *j, pool *p, int64_t n, double *sum_u, double *sum_v, const progress *q, err *e)
{
    for (j->first = 0; j->first < n; j->first += BLOCK) {
        j->rows = n - j->first < BLOCK ? n - j->first : BLOCK;
        progress_step(q, "vocabulary", (double)j->first, (double)n);
        each(p, j->rows, load_row, j);
        for (int64_t t = 0; t < j->rows; t++) {
            for (int64_t i = 0; i < j->n_out; i++)
                sum_u[i] += j->u[t * j->n_out + i];
            for (int64_t i = 0; i < j->n_in; i++)
                sum_v[i] += j->v[t * j->n_in + i];
        }
        each(p, j->n_out, add_row, j);
        int rc = cancel_check(e);
        if (rc)
            return rc;
    }
    return 0;
}

/* *a [n, n_in of w] becomes a w^T; or, not transposed, *a [n, n_out of w] becomes a w. */
static int project(double **a, int64_t n, const weight *w, bool transposed, err *e)
{
    float *f;
    int rc = weight_copy(&f, w, e);
    if (rc)
        return rc;
    size_t count = (size_t)(w->n_out * w->n_in);
    double *b = mem_array(count, sizeof *b, e);
    double *y = mem_array((size_t)(n * (transposed ? w->n_out : w->n_in)), sizeof *y, e);
    rc = b && y ? 0 : ERR_RESOURCE;
    for (size_t i = 0; i < count && !rc; i++)
        b[i] = (double)f[i];
    if (!rc && transposed)
        linalg_times_transposed(y, *a, b, n, w->n_out, w->n_in);
    else if (!rc)
        linalg_times(y, *a, b, n, w->n_in, w->n_out);
    free(b);
    free(f);
    if (rc) {
        free(y);
        return rc;
    }
    free(*a);
    *a = y;
    return 0;
}

static int turn(double **a, int64_t rows, int64_t cols, err *e)
{
    double *y = mem_array((size_t)(rows * cols), sizeof *y, e);
    if (!y)
        return ERR_RESOURCE;
    for (int64_t i = 0; i < rows; i++)
        for (int64_t k = 0; k < cols; k++)
            y[k * rows + i] = (*a)[i * cols + k];
    free(*a);
    *a = y;
    return 0;
}

/* From [n_out, n_in] in the widths of the vocabulary to [C, C]: the projections on both sides. */
static int to_stream(double **x, const model *m, int64_t n_out, err *e)
{
    const weight *in = &m->main->embed.project, *out = &m->head.project;
    int64_t width = m->main->width;
    int rc = 0;
    if (in->data)          /* x [n_out, E] P^T, P [C, E] */
        rc = project(x, n_out, in, true, e);
    if (rc || !out->data)  /* rows: P^T x, P [E, C]; by way of the transpose */
        return rc;
    rc = turn(x, n_out, width, e);
    if (!rc)
        rc = project(x, width, out, false, e);
    return rc ? rc : turn(x, width, width, e);
}

int vocabulary_map_make(vocabulary_map *out, const model *m, pool *p, head_fold fold, const progress *q, err *e)
{
    int64_t n = m->vocab < m->main->embed.tokens.n_out ? m->vocab : m->main->embed.tokens.n_out, width = m->main->width;
    outer_job j = {.m = m, .n_out = m->head.unembedding.n_in, .n_in = m->main->embed.tokens.n_in};
    *out = (vocabulary_map){.width = width};
    j.widest = j.n_out > j.n_in ? j.n_out : j.n_in;
    j.row = mem_array((size_t)(p ? pool_threads(p) : 1) * (size_t)j.widest, sizeof *j.row, e);
    j.u = mem_array((size_t)(BLOCK * j.n_out), sizeof *j.u, e);
    j.v = mem_array((size_t)(BLOCK * j.n_in), sizeof *j.v, e);
    j.sum = mem_array((size_t)(j.n_out * j.n_in), sizeof *j.sum, e);
    double *sums = mem_array((size_t)(j.n_out + j.n_in), sizeof *sums, e);
    int rc = j.row && j.u && j.v && j.sum && sums ? over_tokens(&j, p, n, sums, sums + j.n_out, q, e) : ERR_RESOURCE;
    for (int64_t i = 0; i < j.n_out && fold.center && !rc; i++)
        for (int64_t k = 0; k < j.n_in; k++)
            j.sum[i * j.n_in + k] -= sums[i] * sums[j.n_out + k] / (double)n;
    if (!rc)
        rc = to_stream(&j.sum, m, j.n_out, e);
    const norm *last = &m->main->final_norm;
    for (int64_t i = 0; i < width && fold.gains && last->kind != NORM_NONE && last->w && !rc; i++)
        for (int64_t k = 0; k < width; k++)
            j.sum[i * width + k] *= (double)last->w[i];
    free(j.row);
    free(j.u);
    free(j.v);
    free(sums);
    if (rc) {
        free(j.sum);
        j.sum = NULL;
    }
    out->x = j.sum;
    return rc;
}

void vocabulary_map_free(vocabulary_map *v)
{
    free(v->x);
    v->x = NULL;
}

int vocabulary_map_apply(double **rows, const vocabulary_map *v, int64_t n, err *e)
{
    double *y = mem_array((size_t)(n * v->width), sizeof *y, e);
    if (!y)
        return ERR_RESOURCE;
    linalg_times(y, *rows, v->x, n, v->width, v->width);
    free(*rows);
    *rows = y;
    return 0;
}
