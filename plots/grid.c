#include "plots/grid.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cancel.h"
#include "base/mem.h"

static int64_t ceil_div(int64_t a, int64_t b)
{
    return (a - 1) / b + 1;
}

/* Pool the rows of one band of blocks.  sum and count [cols of the result] are scratch. */
static void pool_band(float *out, const figure_matrix *m, int64_t first, int64_t last, int64_t pool_cols,
                      pooling how, double *sum, int32_t *count)
{
    int64_t cols = ceil_div(m->cols, pool_cols);

    for (int64_t c = 0; c < cols; c++) {
        sum[c] = how == POOL_MAX ? -INFINITY : 0;
        count[c] = 0;
    }
    for (int64_t r = first; r < last; r++) {
        const float *row = m->cells + r * m->cols;
        for (int64_t c = 0; c < cols; c++) {
            int64_t end = (c + 1) * pool_cols < m->cols ? (c + 1) * pool_cols : m->cols;
            for (int64_t j = c * pool_cols; j < end; j++) {
                double v = (double)row[j];
                if (!isfinite(v))
                    continue;
                sum[c] = how == POOL_MAX ? (v > sum[c] ? v : sum[c]) : sum[c] + v;
                count[c]++;
            }
        }
    }
    for (int64_t c = 0; c < cols; c++)
        out[c] = count[c] == 0 ? NAN : (float)(how == POOL_MAX ? sum[c] : sum[c] / count[c]);
}

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

int grid_pool(grid *out, const figure_matrix *m, int64_t pool_rows, int64_t pool_cols, pooling how, err *e)
{
    grid g = {.pool_rows = pool_rows, .pool_cols = pool_cols, .how = how};
    double *sum = NULL;
    int32_t *count = NULL;
    size_t n;
    int rc = 0;

    memset(out, 0, sizeof *out);
    if (m->rows < 1 || m->cols < 1 || !m->cells)
        return err_set(e, ERR_FAILED, "nothing to draw: the matrix has no cells");
    g.rows = ceil_div(m->rows, pool_rows);
    g.cols = ceil_div(m->cols, pool_cols);
    if (!size_mul(&n, (size_t)g.rows, (size_t)g.cols))
        return err_set(e, ERR_RESOURCE, "matrix of %lld x %lld cells is too large", (long long)m->rows,
                       (long long)m->cols);
    g.cells = mem_array(n, sizeof *g.cells, e);
    sum = g.cells ? mem_array((size_t)g.cols, sizeof *sum, e) : NULL;
    count = sum ? mem_array((size_t)g.cols, sizeof *count, e) : NULL;
    if (!count) {
        rc = ERR_RESOURCE;
        goto out;
    }
    for (int64_t r = 0; r < g.rows; r++) {
        if ((rc = cancel_check(e)))
            goto out;
        int64_t last = (r + 1) * pool_rows < m->rows ? (r + 1) * pool_rows : m->rows;
        pool_band(g.cells + r * g.cols, m, r * pool_rows, last, pool_cols, how, sum, count);
    }
    find_range(&g);
    if (g.n_finite == 0) {
        rc = err_set(e, ERR_FAILED, "nothing to draw: no finite values");
        goto out;
    }
    *out = g;
    g.cells = NULL;
out:
    free(count);
    free(sum);
    free(g.cells);
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
