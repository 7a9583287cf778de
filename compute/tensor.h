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

/* Scale factors that lie beside the elements of a weight, in a tensor of their own. */
typedef enum scale_kind {
    SCALE_NONE,
    SCALE_E8M0_32,    /* GPT-OSS: one E8M0 byte for 32 inputs of a row; elements are DT_F4, low nibble first */
    SCALE_F32_TILE,   /* DeepSeek V3: one float32 for a tile of scale_rows x scale_cols elements */
} scale_kind;

/* A linear map y[n_out] = W x[n_in] + b, as the GEMM reads it: rows of W are outputs.
 * transposed: stored [n_in, n_out] (GPT-2's Conv1D); plain types only.
 * A view into a checkpoint; bias is a float32 copy owned by the model, or NULL, in the order of the map.
 * weight_load (gemm.h) is the one way to read elements: it knows all that follows. */
typedef struct weight {
    dtype type;
    const void *data;      /* of the first stored row (transposed: column) of this map */
    int64_t n_out, n_in;
    int64_t ld;            /* elements from one stored row to the next */
    bool transposed;
    /* > 0: rows are stored with the halves of each head of this many rows interleaved: row h * paired +
     * s * paired / 2 + i of the map (s 0 or 1) is stored as row h * paired + 2 i + s. */
    int paired;
    /* > 0: rows come in blocks that do not touch: row b * row_block + i is stored as row b * row_stride + i.
     * How the q rows of [q k v] lie in files that fuse them per head (row_block = D, row_stride = 3 D), and
     * the gate in files that interleave gate and up (1 and 2).  Applied after `paired`. */
    int64_t row_block, row_stride;
    scale_kind scale_kind;
    const void *scale;     /* of stored row 0 of the tensor; may be unaligned */
    int64_t scale_ld;      /* scale elements from one row (of tiles) of scales to the next */
    int scale_rows, scale_cols; /* SCALE_F32_TILE: elements that share a scale */
    int64_t scale_row0;    /* stored row of the tensor at which data begins (scales are counted from the tensor) */
    const float *bias;     /* [n_out] or NULL */
} weight;

/* Where row `row` of the map is stored, counted from data. */
static inline int64_t weight_stored_row(const weight *w, int64_t row)
{
    if (w->paired > 0) {
        int64_t head = row / w->paired, in = row % w->paired, half = w->paired / 2;
        row = head * w->paired + 2 * (in % half) + in / half;
    }
    return w->row_block > 0 ? row / w->row_block * w->row_stride + row % w->row_block : row;
}

#endif
