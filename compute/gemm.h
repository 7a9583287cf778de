/* Matrix products of activations with stored weights. */
#ifndef ATTNSCOPE_COMPUTE_GEMM_H
#define ATTNSCOPE_COMPUTE_GEMM_H

#include <stdint.h>
#include "base/pool.h"
#include "compute/tensor.h"

typedef enum precision {
    PRECISION_F32,        /* float32 grade by the fastest way the machine has */
    PRECISION_F32_STRICT, /* float32 operands and float32 accumulators only */
    PRECISION_BF16,       /* operands rounded to bfloat16, float32 accumulators */
} precision;

/* Scratch memory of the compute layer for one model on one pool, grown outside the layer loop. */
typedef struct gemm_scratch gemm_scratch;
int gemm_scratch_new(gemm_scratch **out, pool *p, err *e);
void gemm_scratch_free(gemm_scratch *s);
/* Make room for products of up to max_rows rows and max_k inputs. */
int gemm_scratch_reserve(gemm_scratch *s, int64_t max_rows, int64_t max_k, err *e);
/* Bytes that scratch memory takes when it was reserved once, on a pool of so many threads.  SIZE_MAX: more than a size_t
 * counts. */
size_t gemm_scratch_bytes(int64_t max_rows, int64_t max_k, int threads);

/* y [rows, n_out] (row stride ldy) = x [rows, n_in] (row stride ldx) times w, plus its bias.
 * Weights are turned to float32 panel by panel; nothing of the size of w is ever allocated.
 * The result of a row does not depend on the other rows nor on the number of threads.
 * rows must be within the reserved size. */
void gemm(gemm_scratch *s, float *y, int64_t ldy, const float *x, int64_t ldx, int64_t rows,
          const weight *w, precision prec);

/* The same for one row, for decoding: the weights are read once, where they lie (kernels.row_dot, and blocks.h where
 * prec is PRECISION_F32).  Its order of additions differs from gemm's. */
void gemv(gemm_scratch *s, float *y, const float *x, const weight *w, precision prec);

/* A map, and where its outputs go: y [rows, w->n_out] (row stride ldy). */
typedef struct gemm_map { const weight *w; float *y; int64_t ldy; } gemm_map;
enum { GEMM_MAPS = 4 };

/* gemm and gemv of n maps, at most GEMM_MAPS, of the same inputs: the same bits, with less waiting between them. */
void gemm_maps(gemm_scratch *s, const gemm_map *maps, int n, const float *x, int64_t ldx, int64_t rows, precision prec);
void gemv_maps(gemm_scratch *s, const gemm_map *maps, int n, const float *x, precision prec);

/* As many bfloat16 terms (tiles.h) as every element of w has, whatever type holds it. */
int gemm_right_terms(const weight *w);

/* Elements first .. first + n - 1 of row `row` of the map as float32; first and n are whole blocks of its type.
 * The one place that knows transposition, row order and separate scales; also for embeddings. */
void weight_load(float *dst, const weight *w, int64_t row, int64_t first, int64_t n);

#endif
