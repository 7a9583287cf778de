/* Plain C kernels that instruction-set tables take over as they are. */
#ifndef ATTNSCOPE_COMPUTE_KERNELS_C_H
#define ATTNSCOPE_COMPUTE_KERNELS_C_H

#include "compute/kernels.h"

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

#endif
