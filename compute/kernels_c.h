/* Plain C kernels that instruction-set tables take over as they are. */
#ifndef ATTNSCOPE_COMPUTE_KERNELS_C_H
#define ATTNSCOPE_COMPUTE_KERNELS_C_H

#include "compute/kernels.h"

/* gelu_tanh: sqrt(2/pi), and that times 0.044715. */
#define GELU_LINEAR 0.7978845608028654f
#define GELU_CUBIC 0.035677408136300125f

float kernel_c_exp(float x);
void kernel_c_rms_norm(float *y, const float *x, const float *w, int64_t n, float eps);
void kernel_c_layer_norm(float *y, const float *x, const float *w, const float *b, int64_t n, float eps);
void kernel_c_silu(float *x, int64_t n);
void kernel_c_gelu_tanh(float *x, int64_t n);
void kernel_c_gelu_erf(float *x, int64_t n);
void kernel_c_relu(float *x, int64_t n);
void kernel_c_mul(float *x, const float *y, int64_t n);
void kernel_c_add(float *x, const float *y, int64_t n);
void kernel_c_round_bf16(float *x, int64_t n);

/* isa/avx2.c; every wider x86 table uses it too. */
void kernel_avx2_interleave(float *dst, int stride, const float *src, int64_t ld, int n_row, int64_t n_col);

/* Sum of the partial sums of a softmax: halves onto halves, or one after another when there are fewer keys
 * than partial sums. */
static inline float softmax_total(float part[SOFTMAX_WAYS], int64_t n_total)
{
    if (n_total < SOFTMAX_WAYS) {
        for (int l = 1; l < SOFTMAX_WAYS; l++)
            part[0] += part[l];
        return part[0];
    }
    for (int half = SOFTMAX_WAYS / 2; half; half /= 2)
        for (int l = 0; l < half; l++)
            part[l] += part[l + half];
    return part[0];
}

#endif
