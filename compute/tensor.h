/* Views of stored weights. */
#ifndef ATTNSCOPE_COMPUTE_TENSOR_H
#define ATTNSCOPE_COMPUTE_TENSOR_H

#include <stdbool.h>
#include "compute/dtype.h"

#define TENSOR_MAX_DIM 6

/* A tensor inside a checkpoint: row-major, shape as in PyTorch (the last dimension is contiguous).
 * The data belongs to the checkpoint and may be unaligned. */
typedef struct tensor {
    dtype type;
    int n_dim;
    int64_t shape[TENSOR_MAX_DIM];
    const void *data;
    size_t bytes;
} tensor;

/* A linear map y[n_out] = W x[n_in] + b, as the GEMM reads it: rows of W are outputs.
 * transposed: stored [n_in, n_out] (GPT-2's Conv1D); plain types only.
 * A view into a checkpoint; bias is a float32 copy owned by the model, or NULL. */
typedef struct weight {
    dtype type;
    const void *data;
    int64_t n_out, n_in;
    int64_t ld;            /* elements from one stored row to the next */
    bool transposed;
    /* > 0: rows are stored with the halves of each head of this many rows interleaved: row h * paired +
     * s * paired / 2 + i of the map (s 0 or 1) is stored as row h * paired + 2 i + s.  Not with transposed. */
    int paired;
    const float *bias;     /* [n_out] or NULL */
} weight;

/* Where row `row` of the map is stored. */
static inline int64_t weight_stored_row(const weight *w, int64_t row)
{
    if (w->paired <= 0)
        return row;
    int64_t head = row / w->paired, in = row % w->paired, half = w->paired / 2;
    return head * w->paired + 2 * (in % half) + in / half;
}

#endif
