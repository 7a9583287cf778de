/* The definition of every kernel, in plain C. */
#include "compute/kernels_c.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MR = 4, NR = 8 };

/* Four lanes that every compiler keeps in a register; arithmetic is element by element. */
typedef float lanes __attribute__((vector_size(16), aligned(4)));

static void gemm_micro(int64_t k, const float *a, const float *b, float *c, int64_t ldc, int m, int n)
{
    lanes acc[MR][NR / 4] = {{{0}}};
    for (int64_t p = 0; p < k; p++, a += MR, b += NR) {
        lanes b0 = *(const lanes *)b, b1 = *(const lanes *)(b + 4);
        for (int i = 0; i < MR; i++) {
            acc[i][0] += a[i] * b0;
            acc[i][1] += a[i] * b1;
        }
    }
    for (int i = 0; i < m; i++)
        for (int j = 0; j < n; j++)
            c[i * ldc + j] = acc[i][j / 4][j % 4];
}

static float dot(const float *x, const float *y, int64_t n)
{
    lanes acc[4] = {{0}};
    int64_t i = 0;
    for (; i + 16 <= n; i += 16)
        for (int l = 0; l < 4; l++)
            acc[l] += *(const lanes *)(x + i + 4 * l) * *(const lanes *)(y + i + 4 * l);
    lanes s = (acc[0] + acc[1]) + (acc[2] + acc[3]);
    float sum = (s[0] + s[1]) + (s[2] + s[3]);
    for (; i < n; i++)
        sum += x[i] * y[i];
    return sum;
}

static void interleave(float *dst, int stride, const float *src, int64_t ld, int n_row, int64_t n_col)
{
    if (n_row < stride)
        memset(dst, 0, (size_t)n_col * (size_t)stride * sizeof *dst);
    int i = 0;
    for (; i + 4 <= n_row; i += 4) {
        const float *r0 = src + i * ld, *r1 = r0 + ld, *r2 = r1 + ld, *r3 = r2 + ld;
        float *d = dst + i;
        for (int64_t k = 0; k < n_col; k++, d += stride) {
            d[0] = r0[k];
            d[1] = r1[k];
            d[2] = r2[k];
            d[3] = r3[k];
        }
    }
    for (; i < n_row; i++)
        for (int64_t k = 0; k < n_col; k++)
            dst[k * stride + i] = src[i * ld + k];
}

static void softmax_column(const softmax_block *b, int j)
{
    int64_t lo = b->lo[j], hi = b->hi[j];
    float *s = b->s + j;
    float m = -INFINITY;
    for (int64_t k = lo; k < hi; k++)
        m = s[k * NR] > m ? s[k * NR] : m;
    double sum = 0, weighted = 0, distance = 0;
    for (int64_t k = lo; k < hi; k++) {
        float t = s[k * NR] - m, e = expf(t);
        s[k * NR] = e;
        sum += e;
        weighted += e > 0 ? (double)e * t : 0; /* 0 ln 0 = 0, also for a score of -inf */
        distance += (double)e * (double)llabs(b->qpos[j] - k);
    }
    float inverse = (float)(1 / sum);
    for (int64_t k = 0; k < lo; k++)
        s[k * NR] = 0;
    for (int64_t k = lo; k < hi; k++)
        s[k * NR] *= inverse;
    for (int64_t k = hi; k < b->n_key; k++)
        s[k * NR] = 0;
    b->lse[j] = (float)(m + log(sum));
    if (b->entropy)
        b->entropy[j] = (float)(log(sum) - weighted / sum);
    if (b->maximum)
        b->maximum[j] = inverse;
    if (b->distance)
        b->distance[j] = (float)(distance / sum);
}

static void softmax_columns(const softmax_block *b)
{
    for (int j = 0; j < NR; j++) {
        if (b->lo[j] < b->hi[j]) {
            softmax_column(b, j);
            continue;
        }
        for (int64_t k = 0; k < b->n_key; k++)
            b->s[k * NR + j] = 0;
        b->lse[j] = -INFINITY;
        if (b->entropy)
            b->entropy[j] = 0;
        if (b->maximum)
            b->maximum[j] = 0;
        if (b->distance)
            b->distance[j] = 0;
    }
}

void kernel_c_rms_norm(float *y, const float *x, const float *w, int64_t n, float eps)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)x[i] * x[i];
    float r = (float)(1 / sqrt(sum / (double)n + eps));
    for (int64_t i = 0; i < n; i++)
        y[i] = x[i] * r * (w ? w[i] : 1);
}

void kernel_c_layer_norm(float *y, const float *x, const float *w, const float *b, int64_t n, float eps)
{
    double sum = 0, square = 0;
    for (int64_t i = 0; i < n; i++)
        sum += x[i];
    double mean = sum / (double)n;
    for (int64_t i = 0; i < n; i++)
        square += (x[i] - mean) * (x[i] - mean);
    double r = 1 / sqrt(square / (double)n + eps);
    for (int64_t i = 0; i < n; i++)
        y[i] = (float)((x[i] - mean) * r) * (w ? w[i] : 1) + (b ? b[i] : 0);
}

void kernel_c_silu(float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        x[i] = x[i] / (1 + expf(-x[i]));
}

void kernel_c_gelu_tanh(float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        float v = x[i];
        x[i] = 0.5f * v * (1 + tanhf(0.7978845608028654f * (v + 0.044715f * v * v * v)));
    }
}

void kernel_c_gelu_erf(float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        x[i] = 0.5f * x[i] * (1 + erff(x[i] * 0.7071067811865476f));
}

void kernel_c_relu(float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        x[i] = x[i] > 0 ? x[i] : 0;
}

void kernel_c_mul(float *x, const float *y, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        x[i] *= y[i];
}

void kernel_c_add(float *x, const float *y, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        x[i] += y[i];
}

void kernel_c_round_bf16(float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        x[i] = bf16_to_f32(f32_to_bf16(x[i]));
}

const kernels kernels_c = {
    .isa = "c",
    .mr = MR,
    .nr = NR,
    .gemm_micro = gemm_micro,
    .dot = dot,
    .interleave = interleave,
    .softmax_columns = softmax_columns,
    .rms_norm = kernel_c_rms_norm,
    .layer_norm = kernel_c_layer_norm,
    .silu = kernel_c_silu,
    .gelu_tanh = kernel_c_gelu_tanh,
    .gelu_erf = kernel_c_gelu_erf,
    .relu = kernel_c_relu,
    .mul = kernel_c_mul,
    .add = kernel_c_add,
    .round_bf16 = kernel_c_round_bf16,
};
