/* Matrix-vector products, for decoding: stored weights are read once, where they lie. */
#include "compute/gemm_scratch.h"

#include <string.h>

#include "compute/kernels.h"
#include "compute/weight.h"

enum { GEMV_BLOCK = 32, GEMV_INPUTS = 64 };

/* One product, as the pool's items see it. */
typedef struct job {
    gemm_scratch *s;
    const kernels *k;
    float *y;
    const float *x;
    const weight *w;
    precision prec;
} job;

/* Item: GEMV_BLOCK outputs of one row. */
static void multiply_vector(void *ud, int64_t item, int thread)
{
    const job *j = ud;
    const weight *w = j->w;
    int64_t first = item * GEMV_BLOCK;
    int64_t n = w->n_out - first < GEMV_BLOCK ? w->n_out - first : GEMV_BLOCK;
    float *row = j->s->panels + (size_t)thread * j->s->panel_len;
    float *y = j->y + first;
    if (w->transposed) {
        column_plan plan;
        weight_plan_columns(&plan, w, first, (int)n);
        memset(y, 0, (size_t)n * sizeof *y);
        for (int64_t k0 = 0; k0 < w->n_in; k0 += GEMV_INPUTS) {
            int64_t n_k = w->n_in - k0 < GEMV_INPUTS ? w->n_in - k0 : GEMV_INPUTS;
            weight_load_columns(row, n, w, &plan, k0, n_k);
            if (j->prec == PRECISION_BF16)
                j->k->round_bf16(row, n_k * n);
            for (int64_t k = 0; k < n_k; k++)
                for (int64_t i = 0; i < n; i++)
                    y[i] += j->x[k0 + k] * row[k * n + i];
        }
    } else if (j->prec != PRECISION_BF16 && w->scale_kind == SCALE_NONE && j->k->row_dot[w->type]) {
        for (int64_t i = 0; i < n; i++)
            y[i] = j->k->row_dot[w->type](j->x, weight_stored(w, weight_stored_row(w, first + i), 0), w->n_in);
    } else {
        for (int64_t i = 0; i < n; i++) {
            weight_load(row, w, first + i, 0, w->n_in);
            if (j->prec == PRECISION_BF16)
                j->k->round_bf16(row, w->n_in);
            y[i] = j->k->dot(j->x, row, w->n_in);
        }
    }
    if (w->bias)
        j->k->add(y, w->bias + first, n);
}

void gemv(gemm_scratch *s, float *y, const float *x, const weight *w, precision prec)
{
    job j = {.s = s, .k = kernels_get(), .y = y, .x = x, .w = w, .prec = prec};
    if (prec == PRECISION_BF16) {
        memcpy(s->packed, x, (size_t)w->n_in * sizeof *x);
        j.k->round_bf16(s->packed, w->n_in);
        j.x = s->packed;
    }
    pool_run(s->pool, (w->n_out + GEMV_BLOCK - 1) / GEMV_BLOCK, multiply_vector, &j);
}
