#include "analysis/weight_gram.h"

#include <math.h>
#include <stdlib.h>
#include "analysis/activation.h"
#include "base/mem.h"
#include "compute/gemm.h"

enum { PANEL = 64 };   /* rows of a weight at a time */

typedef struct gram_job {
    const weight *w;
    int n_head, d;
    bool bias;
    float *rows;           /* inputs: [PANEL, n_in]; outputs: [threads, d, n_in] */
    int64_t row0, n_row;
    double *gram;          /* [n_head, d, d] */
    double *norms;
    const float *x;
    int64_t ld, n;
    int n_part;
} gram_job;

static int gram_new(double **out, int n_head, int d, err *e)
{
    size_t cells;
    if (!size_mul(&cells, (size_t)n_head, (size_t)d) || !size_mul(&cells, cells, (size_t)d))
        return err_nomem(e, "products of weights");
    *out = mem_array(cells, sizeof **out, e);
    return *out ? 0 : ERR_RESOURCE;
}

static int room_for_rows(float **out, int64_t rows, int64_t cols, err *e)
{
    size_t cells;
    if (!size_mul(&cells, (size_t)rows, (size_t)cols))
        return err_nomem(e, "rows of a weight");
    *out = mem_array(cells, sizeof **out, e);
    return *out ? 0 : ERR_RESOURCE;
}

static void mirror(double *g, int d)
{
    for (int i = 0; i < d; i++)
        for (int j = 0; j < i; j++)
            g[(int64_t)j * d + i] = g[(int64_t)i * d + j];
}

static void load_row(void *ud, int64_t item, int thread)
{
    const gram_job *j = ud;
    (void)thread;
    weight_load(j->rows + item * j->w->n_in, j->w, j->row0 + item, 0, j->w->n_in);
}

/* Add the rows at hand to the matrix of a head. */
static void add_rows(void *ud, int64_t head, int thread)
{
    const gram_job *j = ud;
    int d = j->d;
    double *g = j->gram + head * d * d;
    (void)thread;
    for (int64_t r = 0; r < j->n_row; r++) {
        const float *x = j->rows + r * j->w->n_in + head * d;
        for (int i = 0; i < d; i++) {
            double xi = (double)x[i];
            for (int k = 0; k <= i; k++)
                g[(int64_t)i * d + k] += xi * (double)x[k];
        }
    }
}

int gram_of_inputs(double **out, runtime *r, const weight *w, int n_head, int d, err *e)
{
    gram_job j = {.w = w, .n_head = n_head, .d = d};
    int rc;
    *out = NULL;
    if ((rc = gram_new(&j.gram, n_head, d, e)) || (rc = room_for_rows(&j.rows, PANEL, w->n_in, e)))
        goto out;
    for (j.row0 = 0; j.row0 < w->n_out && !rc; j.row0 += PANEL) {
        j.n_row = w->n_out - j.row0 < PANEL ? w->n_out - j.row0 : PANEL;
        if (!(rc = share_out(r, j.n_row, load_row, &j, e)))
            rc = share_out(r, n_head, add_rows, &j, e);
    }
    for (int h = 0; h < n_head; h++)
        mirror(j.gram + (int64_t)h * d * d, d);
out:
    free(j.rows);
    if (rc)
        free(j.gram);
    else
        *out = j.gram;
    return rc;
}

static void gram_head(void *ud, int64_t head, int thread)
{
    const gram_job *j = ud;
    int64_t n_in = j->w->n_in, first = head * j->d;
    int d = j->d;
    float *rows = j->rows + (int64_t)thread * d * n_in;
    double *g = j->gram + head * d * d;
    const float *b = j->bias ? j->w->bias : NULL;
    for (int i = 0; i < d; i++)
        weight_load(rows + i * n_in, j->w, first + i, 0, n_in);
    for (int i = 0; i < d; i++)
        for (int k = 0; k <= i; k++)
            g[(int64_t)i * d + k] = row_dot(rows + i * n_in, rows + k * n_in, n_in) +
                                    (b ? (double)b[first + i] * (double)b[first + k] : 0);
    mirror(g, d);
}

int gram_of_outputs(double **out, runtime *r, const weight *w, int n_head, int d, bool with_bias, err *e)
{
    gram_job j = {.w = w, .n_head = n_head, .d = d, .bias = with_bias};
    int rc;
    *out = NULL;
    if (!(rc = gram_new(&j.gram, n_head, d, e)) &&
        !(rc = room_for_rows(&j.rows, (int64_t)share_threads(r) * d, w->n_in, e)))
        rc = share_out(r, n_head, gram_head, &j, e);
    free(j.rows);
    if (rc)
        free(j.gram);
    else
        *out = j.gram;
    return rc;
}

static void norms_of_head(void *ud, int64_t head, int thread)
{
    const gram_job *j = ud;
    int d = j->d;
    int64_t part = head / (j->n_head / j->n_part);
    const double *g = j->gram + head * d * d;
    (void)thread;
    for (int64_t row = 0; row < j->n; row++) {
        const float *x = j->x + row * j->ld + part * d;
        double square = 0;
        for (int i = 0; i < d; i++) {
            double sum = 0;
            for (int k = 0; k < i; k++)
                sum += g[(int64_t)i * d + k] * (double)x[k];
            square += (double)x[i] * (g[(int64_t)i * d + i] * (double)x[i] + 2 * sum);
        }
        j->norms[head * j->n + row] = square <= 0 ? 0 : sqrt(square); /* keeps NaN */
    }
}

int projected_norms(double *norms, runtime *r, const double *gram, const float *x, int64_t ld, int64_t n, int n_head,
                    int n_part, int d, err *e)
{
    gram_job j = {.n_head = n_head, .n_part = n_part, .d = d, .gram = (double *)(uintptr_t)gram, .norms = norms, .x = x,
                  .ld = ld, .n = n};
    return share_out(r, n_head, norms_of_head, &j, e);
}
