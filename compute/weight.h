/* Reading stored weights as float32, for the matrix products; weight_load itself is declared in gemm.h. */
#ifndef ATTNSCOPE_COMPUTE_WEIGHT_H
#define ATTNSCOPE_COMPUTE_WEIGHT_H

#include "compute/gemm.h"
#include "compute/kernels.h"

/* Where element col, the first of a block, of a stored row lies (weight_stored_row). */
const void *weight_stored(const weight *w, int64_t row, int64_t col);

/* Stored columns read in one go, for outputs first_out .. first_out + n_out - 1 of a panel. */
typedef struct column_window {
    int64_t first;
    int n, first_out, n_out;
    bool in_order; /* the outputs are the columns themselves, in order */
} column_window;

/* Where the outputs of a panel lie within every stored row of a transposed weight. */
typedef struct column_plan {
    int n_window;
    column_window windows[GEMM_MAX_NR];
    int64_t column[GEMM_MAX_NR]; /* of each output */
} column_plan;

/* Plan for outputs first .. first + n - 1 of a transposed weight, n <= GEMM_MAX_NR. */
void weight_plan_columns(column_plan *p, const weight *w, int64_t first, int n);
/* Inputs first .. first + n - 1 of the planned outputs: dst[i * stride + j] becomes input first + i of
 * output j. */
void weight_load_columns(float *dst, int64_t stride, const weight *w, const column_plan *p, int64_t first,
                         int64_t n);

#endif
