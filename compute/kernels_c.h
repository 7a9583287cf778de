/* Plain C kernels that instruction-set tables take over as they are. */
#ifndef ATTNSCOPE_COMPUTE_KERNELS_C_H
#define ATTNSCOPE_COMPUTE_KERNELS_C_H

#include "compute/kernels.h"

float kernel_c_exp(float x);
float kernel_c_tanh(float x);
/* Log of the sum of exp(scale s) over keys lo .. hi - 1 of one column of a panel; m: the largest scale s. */
float kernel_c_lse(const float *s, int64_t stride, float scale, int64_t lo, int64_t hi, float m);
float kernel_c_sum_squares(const float *x, int64_t n);
void kernel_c_rms_norm(float *y, const float *x, const float *w, int64_t n, float eps);
void kernel_c_layer_norm(float *y, const float *x, const float *w, const float *b, int64_t n, float eps);
void kernel_c_silu(float *x, int64_t n);
void kernel_c_gelu_tanh(float *x, int64_t n);
void kernel_c_gelu_new(float *x, int64_t n);
void kernel_c_gelu_fast(float *x, int64_t n);
void kernel_c_gelu_erf(float *x, int64_t n);
void kernel_c_relu(float *x, int64_t n);
void kernel_c_mul(float *x, const float *y, int64_t n);
void kernel_c_add(float *x, const float *y, int64_t n);
void kernel_c_round_bf16(float *x, int64_t n);
void kernel_c_quick_gelu(float *x, int64_t n);
void kernel_c_relu2(float *x, int64_t n);
void kernel_c_sigmoid(float *x, int64_t n);
void kernel_c_softplus(float *x, int64_t n);
void kernel_c_clamp(float *x, float lo, float hi, int64_t n);
void kernel_c_scale(float *x, float a, int64_t n);
void kernel_c_add_scaled(float *x, const float *y, float a, int64_t n);
void kernel_c_swiglu_oai(float *gate, const float *up, int64_t n, float alpha, float limit);
void kernel_c_product_sums(float *out, const float *x, const float *y, int64_t y_stride, int n_y, int64_t n_key,
                           int64_t stride, int columns);
void kernel_c_mixture_sums(float *out, const float *x, const float *y, int64_t y_stride, int n_y, int64_t n_key,
                           int64_t stride, int columns);

/* isa/avx2.c; every wider x86 table uses it too. */
void kernel_avx2_interleave(float *dst, int stride, const float *src, int64_t ld, int n_row, int64_t n_col);

/* A largest score below this is that of a query that sees nothing. */
#define LOWEST_SCORE -3e38f

/* A sink that is so far above every key that exponentials relative to it lose some keys: the log-sum-exp of
 * the keys is formed apart then. */
#define SINK_FAR 60.0f

/* tanh: below the first, an odd polynomial (Cephes, tanhf); above it, 1 - 2 / (exp(2x) + 1). */
#define TANH_SMALL 0.625f
#define TANH_P0 -5.70498872745e-3f
#define TANH_P1 2.06390887954e-2f
#define TANH_P2 -5.37397155531e-2f
#define TANH_P3 1.33314422036e-1f
#define TANH_P4 -3.33332819422e-1f

/* kernels.mixture_sums: log2 m in [1, 2) is INVERSE / m - MIXTURE_SHIFT + C1 m + C2 m^2 + C3 m^3 + C4 m^4 to 2.54e-6
 * (minimax). */
#define MIXTURE_INVERSE -0.404510123380301f
#define MIXTURE_C1 2.033489058535567f
#define MIXTURE_C2 -0.7079862018710262f
#define MIXTURE_C3 0.16238728620103798f
#define MIXTURE_C4 -0.016566434534662028f

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
