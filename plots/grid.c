#include "plots/grid.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cancel.h"
#include "base/mem.h"

static void find_range(grid *g)
{
    g->min = INFINITY;
    g->max = -INFINITY;
    g->n_finite = 0;
    for (int64_t i = 0; i < g->rows * g->cols; i++) {
        double v = (double)g->cells[i];
        if (!isfinite(v)) {
            g->cells[i] = NAN; /* a mean of huge values can overflow */
            continue;
        }
        g->n_finite++;
        g->min = v < g->min ? v : g->min;
        g->max = v > g->max ? v : g->max;
    }
}

static void clear_block(grid_feed *f)
{
    for (int64_t c = 0; c < f->g.cols; c++) {
        f->sum[c] = f->g.how == POOL_MAX ? -INFINITY : 0;
        f->count[c] = 0;
    }
}

int grid_feed_begin(grid_feed *f, int64_t rows, int64_t cols, int64_t pool_rows, int64_t pool_cols, pooling how, err *e)
{
    grid_feed n = {.g = {.pool_rows = pool_rows, .pool_cols = pool_cols, .how = how}, .rows = rows, .cols = cols};
    size_t cells;

    memset(f, 0, sizeof *f);
    if (rows < 1 || cols < 1)
        return err_set(e, ERR_FAILED, "nothing to draw: the matrix has no cells");
    n.g.rows = ceil_div(rows, pool_rows);
    n.g.cols = ceil_div(cols, pool_cols);
    if (!size_mul(&cells, (size_t)n.g.rows, (size_t)n.g.cols))
        return err_set(e, ERR_RESOURCE, "matrix of %lld x %lld cells is too large", (long long)rows, (long long)cols);
    n.g.cells = mem_array(cells, sizeof *n.g.cells, e);
    n.sum = n.g.cells ? mem_array((size_t)n.g.cols, sizeof *n.sum, e) : NULL;
    n.count = n.sum ? mem_array((size_t)n.g.cols, sizeof *n.count, e) : NULL;
    if (!n.count) {
        grid_feed_free(&n);
        return ERR_RESOURCE;
    }
    clear_block(&n);
    *f = n;
    return 0;
}

static void close_block(grid_feed *f, int64_t block)
{
    float *out = f->g.cells + block * f->g.cols;

    for (int64_t c = 0; c < f->g.cols; c++)
        out[c] = f->count[c] == 0 ? NAN : (float)(f->g.how == POOL_MAX ? f->sum[c] : f->sum[c] / f->count[c]);
    clear_block(f);
}

void grid_feed_row(grid_feed *f, const float *cells)
{
    int64_t row = f->row++, pool = f->g.pool_cols;

    if (pool == 1 && f->g.pool_rows == 1) {
        memcpy(f->g.cells + row * f->cols, cells, (size_t)f->cols * sizeof *cells);
        return;
    }
    for (int64_t c = 0; c < f->g.cols; c++) {
        int64_t end = (c + 1) * pool < f->cols ? (c + 1) * pool : f->cols;
        for (int64_t j = c * pool; j < end; j++) {
            double v = (double)cells[j];
            if (!isfinite(v))
                continue;
            f->sum[c] = f->g.how == POOL_MAX ? (v > f->sum[c] ? v : f->sum[c]) : f->sum[c] + v;
            f->count[c]++;
        }
    }
    if (f->row % f->g.pool_rows == 0 || f->row == f->rows)
        close_block(f, row / f->g.pool_rows);
}

int grid_feed_end(grid *out, grid_feed *f, err *e)
{
    memset(out, 0, sizeof *out);
    find_range(&f->g);
    if (f->g.n_finite == 0)
        return err_set(e, ERR_FAILED, "nothing to draw: no finite values");
    *out = f->g;
    f->g.cells = NULL;
    return 0;
}

void grid_feed_free(grid_feed *f)
{
    free(f->count);
    free(f->sum);
    free(f->g.cells);
    memset(f, 0, sizeof *f);
}

int grid_pool(grid *out, const figure_matrix *m, int64_t pool_rows, int64_t pool_cols, pooling how, err *e)
{
    grid_feed f;
    int rc;

    memset(out, 0, sizeof *out);
    if (m->rows < 1 || m->cols < 1 || !m->cells)
        return err_set(e, ERR_FAILED, "nothing to draw: the matrix has no cells");
    rc = grid_feed_begin(&f, m->rows, m->cols, pool_rows, pool_cols, how, e);
    if (rc)
        return rc;
    for (int64_t r = 0; r < m->rows && rc == 0; r++) {
        if (r % pool_rows == 0)
            rc = cancel_check(e);
        grid_feed_row(&f, m->cells + r * m->cols);
    }
    if (rc == 0)
        rc = grid_feed_end(out, &f, e);
    grid_feed_free(&f);
    return rc;
}

void grid_free(grid *g)
{
    free(g->cells);
    memset(g, 0, sizeof *g);
}

void grid_pool_text(pool_text out, const grid *g, int64_t pool_before, const char *before)
{
    const char *now = g->how == POOL_MAX ? "max" : "mean";
    bool pooled_now = g->pool_rows > 1 || g->pool_cols > 1;

    before = before ? before : "mean";
    out[0] = '\0';
    if (pool_before <= 1)
        pool_before = 1;
    if (pooled_now && (pool_before == 1 || strcmp(now, before) == 0))
        snprintf(out, sizeof(pool_text), "%s over %lld × %lld cells", now,
                 (long long)(g->pool_rows * pool_before), (long long)(g->pool_cols * pool_before));
    else if (pooled_now)
        snprintf(out, sizeof(pool_text), "%s over %lld × %lld blocks, each the %s over %lld × %lld cells",
                 now, (long long)g->pool_rows, (long long)g->pool_cols, before, (long long)pool_before,
                 (long long)pool_before);
    else if (pool_before > 1)
        snprintf(out, sizeof(pool_text), "%s over %lld × %lld cells", before, (long long)pool_before,
                 (long long)pool_before);
}
