/* Matrix-vector products, for decoding: stored weights are read once, where they lie. */
#include "compute/gemm_scratch.h"

#include <math.h>
#include <string.h>

#include "compute/blocks.h"
#include "compute/weight.h"

/* Outputs of an item of a transposed weight, and inputs that it takes at a time; bytes of an item of any other, if every
 * thread gets some. */
enum { COLUMNS = 32, INPUTS = 64, ITEM_BYTES = 1 << 20, ITEMS_A_THREAD = 2 };

/* One product, as the pool's items see it. */
typedef struct job {
    gemm_scratch *s;
    const kernels *k;
    float *y;
    const float *x;
    const weight *w;
    precision prec;
    int64_t step;               /* outputs of an item: a multiple of BLOCK_ROWS */
    const block_unit *units;    /* x prepared for blocks->dot, or NULL */
    const block_kernels *blocks;
} job;

static void multiply_columns(const job *j, float *y, float *rows, int64_t first, int64_t n)
{
    const weight *w = j->w;
    column_plan plan;
    weight_plan_columns(&plan, w, first, (int)n);
    memset(y, 0, (size_t)n * sizeof *y);
    for (int64_t k0 = 0; k0 < w->n_in; k0 += INPUTS) {
        int64_t n_k = w->n_in - k0 < INPUTS ? w->n_in - k0 : INPUTS;
        weight_load_columns(rows, n, w, &plan, k0, n_k);
        if (j->prec == PRECISION_BF16)
            j->k->round_bf16(rows, n_k * n);
        for (int64_t k = 0; k < n_k; k++)
            for (int64_t i = 0; i < n; i++)
                y[i] += j->x[k0 + k] * rows[k * n + i];
    }
}

static const void *stored_row(const job *j, int64_t row)
{
    return weight_stored(j->w, weight_stored_row(j->w, row), 0);
}

static void multiply_blocks(const job *j, float *y, int64_t first, int64_t n)
{
    const weight *w = j->w;
    const dtype_info *t = &dtypes[w->type];
    const bool in_order = w->paired == 0 && w->row_block == 0;
    const int64_t step = w->ld / t->block * t->block_bytes;
    const unsigned char *row = stored_row(j, first);
    for (int64_t i = 0; i < n; i += BLOCK_ROWS, row += BLOCK_ROWS * step) {
        const int m = n - i < BLOCK_ROWS ? (int)(n - i) : BLOCK_ROWS;
        const void *rows[BLOCK_ROWS];
        float sum[BLOCK_ROWS];
        for (int r = 0; r < BLOCK_ROWS; r++)
            rows[r] = r >= m ? rows[0] : in_order ? row + r * step : stored_row(j, first + i + r);
        j->blocks->dot[w->type](sum, j->units, rows, w->n_in);
        for (int r = 0; r < m; r++) /* scales that are no numbers: as floats have it */
            y[i + r] = isfinite(sum[r]) ? sum[r] : j->k->row_dot[w->type](j->x, rows[r], w->n_in);
    }
}

/* Item: `step` outputs of one row. */
static void multiply_vector(void *ud, int64_t item, int thread)
{
    const job *j = ud;
    const weight *w = j->w;
    const int64_t first = item * j->step, n = w->n_out - first < j->step ? w->n_out - first : j->step;
    float *row = j->s->panels + (size_t)thread * j->s->panel_len, *y = j->y + first;
    if (w->transposed) {
        multiply_columns(j, y, row, first, n);
    } else if (j->units) {
        multiply_blocks(j, y, first, n);
    } else if ((j->prec != PRECISION_BF16 || w->type == DT_BF16) && w->scale_kind == SCALE_NONE && j->k->row_dot[w->type]) {
        for (int64_t i = 0; i < n; i++)
            y[i] = j->k->row_dot[w->type](j->x, stored_row(j, first + i), w->n_in);
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

/* Long stretches of memory for each item, and several items for each thread. */
static int64_t outputs_of_item(const job *j)
{
    const dtype_info *t = &dtypes[j->w->type];
    const int64_t bytes = j->w->n_in / t->block * t->block_bytes + 1, share = (int64_t)pool_threads(j->s->pool) * ITEMS_A_THREAD;
    const int64_t most = (j->w->n_out + share - 1) / share, n = ITEM_BYTES / bytes < most ? ITEM_BYTES / bytes : most;
    return j->w->transposed ? COLUMNS : (n + BLOCK_ROWS) / BLOCK_ROWS * BLOCK_ROWS;
}

void gemv(gemm_scratch *s, float *y, const float *x, const weight *w, precision prec)
{
    job j = {.s = s, .k = kernels_get(), .y = y, .x = x, .w = w, .prec = prec, .blocks = blocks_for(kernels_get())};
    if (prec == PRECISION_BF16) {
        memcpy(s->packed, x, (size_t)w->n_in * sizeof *x);
        j.k->round_bf16(s->packed, w->n_in);
        j.x = s->packed;
    } else if (prec == PRECISION_F32 && j.blocks && j.blocks->dot[w->type] && w->scale_kind == SCALE_NONE && !w->transposed) {
        block_unit *units = (block_unit *)(void *)s->packed; /* holds 17 rows of floats at least */
        j.units = j.blocks->prepare(units, x, w->n_in, w->type) ? units : NULL;
    }
    j.step = outputs_of_item(&j);
    pool_run(s->pool, (w->n_out + j.step - 1) / j.step, multiply_vector, &j);
}
