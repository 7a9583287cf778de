/* Rows of numbers into stored forms, rounded to the nearest as each form's reference does.
 *
 * Blocks (q8_0, q4_0, q4_1, q5_0, q5_1): quantize_row_*_ref of ggml and gguf.quants of its Python package,
 * float32 arithmetic without contraction.  bf16, f16: to the nearest, ties to even.  f8_e4m3: one float32
 * scale for a row, largest magnitude / 448, elements x / scale to the nearest, ties to even; the form of
 * per-channel FP8 checkpoints (compressed-tensors, vLLM).  A cast without a scale would put most weights
 * among the subnormals, below 2^-6. */
#ifndef ATTNSCOPE_COMPUTE_QUANTIZE_H
#define ATTNSCOPE_COMPUTE_QUANTIZE_H

#include <stdbool.h>
#include <stdint.h>
#include "compute/dtype.h"

/* t: f16, bf16, f8_e4m3, q8_0, q4_0, q4_1, q5_0 or q5_1.
 * n elements, a multiple of dtypes[t].block, into n / block blocks at dst, which may be unaligned.  *scale: of the row, for
 * f8_e4m3 (0 for a row of zeros, whose elements are 0); 1 for the others.  False when an element is no finite number or the type
 * cannot hold it or its scale (beyond 65504 in f16). */
bool quantize_row(void *dst, float *scale, dtype t, const float *x, int64_t n);

#endif
