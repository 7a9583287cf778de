/* The definition of every kernel, in plain C. */
#include "compute/kernels_c.h"
#include "compute/gelu.h"
#include "compute/layer_norm.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MR = 4, NR = 4 };

/* Lanes that every compiler keeps in registers; arithmetic is element by element. */
typedef float lanes __attribute__((vector_size(16), aligned(4)));
typedef float pair __attribute__((vector_size(8), aligned(4)));
typedef double wide __attribute__((vector_size(16)));

static void gemm_stretch(int64_t k, const float *a, const float *b, float *c, int64_t ldc, int m, int n, bool first)
{
    /* A fused multiply-add by way of double: the product of two floats is exact there, and the sum is rounded
     * back to float at every step. */
    wide acc[MR][2] = {{{0}}};
    for (int64_t p = 0; p < k; p++, a += MR, b += NR) {
        wide b0 = __builtin_convertvector(*(const pair *)b, wide);
        wide b1 = __builtin_convertvector(*(const pair *)(b + 2), wide);
        for (int i = 0; i < MR; i++) {
            wide x = {a[i], a[i]};
            acc[i][0] = __builtin_convertvector(__builtin_convertvector(x * b0 + acc[i][0], pair), wide);
            acc[i][1] = __builtin_convertvector(__builtin_convertvector(x * b1 + acc[i][1], pair), wide);
        }
    }
    for (int i = 0; i < m; i++)
        for (int j = 0; j < n; j++) {
            float sum = (float)acc[i][j / 2][j % 2];
            c[i * ldc + j] = first ? sum : c[i * ldc + j] + sum;
        }
}

static void gemm_micro(int64_t k, const float *a, const float *b, float *c, int64_t ldc, int m, int n)
{
    int64_t step = gemm_stretch_length(k), done = 0;
    do { /* once for k = 0, too */
        gemm_stretch(k - done < step ? k - done : step, a + done * MR, b + done * NR, c, ldc, m, n, done == 0);
        done += step;
    } while (done < k);
}

static inline float fused(float a, float b, float c)
{
    return (float)((double)a * b + c);
}

static inline float power_of_two(int n)
{
    union { uint32_t u; float f; } v = {(uint32_t)(n + 127) << 23};
    return v.f;
}

/* exp(x), within 1 ulp; 0 below -87.3, where the result would be denormal, infinity above 88.7.
 * Range reduction and polynomial of Shibata's SLEEF (expf, 1.0 ulp), which the reference implementation uses:
 * softmax and SiLU round as they do there. */
float kernel_c_exp(float x)
{
    if (x < -87.33654f)
        return 0;
    if (x != x)
        return x;
    x = x > 104 ? 104 : x;
    float n = x * 1.44269504088896340736f + 12582912.0f; /* 1.5 * 2^23: rounds to the nearest integer */
    n -= 12582912.0f;
    float r = fused(n, -0.693145751953125f, x);
    r = fused(n, -1.428606765330187045e-06f, r);
    float p = 0.000198527617612853646278381f;
    p = fused(p, r, 0.00139304355252534151077271f);
    p = fused(p, r, 0.00833336077630519866943359f);
    p = fused(p, r, 0.0416664853692054748535156f);
    p = fused(p, r, 0.166666671633720397949219f);
    p = fused(p, r, 0.5f);
    p = 1.0f + fused(r * r, p, r);
    int i = (int)n, half = i >> 1;
    return p * power_of_two(half) * power_of_two(i - half);
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

float kernel_c_tanh(float x)
{
    float a = fabsf(x);
    if (a < TANH_SMALL) {
        float z = x * x, p = fused(TANH_P0, z, TANH_P1);
        p = fused(p, z, TANH_P2);
        p = fused(p, z, TANH_P3);
        p = fused(p, z, TANH_P4);
        return fused(p * z, x, x);
    }
    float t = 1 - 2 / (kernel_c_exp(a + a) + 1);
    return x < 0 ? -t : t;
}

static void score_columns(const score_block *b)
{
    for (int64_t k = 0; k < b->n_key; k++)
        for (int j = 0; j < b->n_query; j++) {
            float s = b->s[k * NR + j] * b->scale;
            if (b->softcap > 0)
                s = kernel_c_tanh(s / b->softcap) * b->softcap;
            if (b->key_bias)
                s += b->key_bias[k];
            if (b->rel_bias)
                s += b->rel_bias[j - k];
            b->s[k * NR + j] = s;
        }
}

float kernel_c_lse(const float *s, int64_t stride, float scale, int64_t lo, int64_t hi, float m)
{
    double sum = 0;
    for (int64_t k = lo; k < hi; k++)
        sum += kernel_c_exp(s[k * stride] * scale - m);
    return (float)(m + log(sum));
}

static void softmax_column(const softmax_block *b, int j)
{
    int64_t lo = b->lo[j], hi = b->hi[j];
    float *s = b->s + j;
    float top = -INFINITY, part[SOFTMAX_WAYS] = {0};
    for (int64_t k = lo; k < hi; k++) {
        s[k * NR] *= b->scale;
        top = s[k * NR] > top ? s[k * NR] : top;
    }
    float m = b->sink && *b->sink > top ? *b->sink : top, lse = 0;
    bool far = m - top > SINK_FAR;
    m = m < LOWEST_SCORE ? 0 : m; /* any finite stand-in keeps NaN away */
    if (far)
        lse = top < LOWEST_SCORE ? -INFINITY : kernel_c_lse(s, NR, 1, lo, hi, top);
    double weighted = 0, distance = 0;
    for (int64_t k = lo; k < hi; k++) {
        float t = s[k * NR] - m, e = kernel_c_exp(t);
        s[k * NR] = e;
        part[(b->key0 + k) % SOFTMAX_WAYS] += e;
        weighted += e > 0 ? (double)e * t : 0; /* 0 ln 0 = 0, also for a score of -inf */
        distance += (double)e * (double)llabs(b->qpos[j] - k);
    }
    float keys, sum, e_sink = 0;
    if (b->sink) {
        float seen[SOFTMAX_WAYS];
        memcpy(seen, part, sizeof seen);
        keys = softmax_total(seen, b->n_total);
        e_sink = kernel_c_exp(*b->sink - m);
        part[b->n_total % SOFTMAX_WAYS] += e_sink;
        sum = softmax_total(part, b->n_total + 1);
    } else {
        keys = sum = softmax_total(part, b->n_total);
    }
    float inverse = sum < 0.5f ? 0 : 1 / sum; /* a sum is >= 1, 0 or NaN */
    for (int64_t k = 0; k < lo; k++)
        s[k * NR] = 0;
    for (int64_t k = lo; k < hi; k++)
        s[k * NR] *= inverse;
    for (int64_t k = hi; k < b->n_key; k++)
        s[k * NR] = 0;
    bool none = keys == 0;
    b->lse[j] = far && keys == keys ? lse : none ? -INFINITY : (float)(m + log((double)keys));
    if (b->entropy)
        b->entropy[j] = none ? 0 : b->sink ? (float)((log((double)sum) * keys - weighted) / sum)
                        : (float)(log((double)sum) - weighted / sum);
    if (b->maximum)
        b->maximum[j] = b->sink ? kernel_c_exp(top - m) * inverse : inverse;
    if (b->distance)
        b->distance[j] = none ? 0 : (float)(distance / sum);
    if (b->sink)
        b->sink_weight[j] = e_sink * inverse;
}

static void softmax_columns(const softmax_block *b)
{
    for (int j = 0; j < NR; j++)
        softmax_column(b, j);
}

/* Sum of squares in the order of the reference implementation (PyTorch's cascade summation: 32 partial sums,
 * rolled up every 16 steps), so that a norm rounds as it does there. */
float kernel_c_sum_squares(const float *x, int64_t n)
{
    enum { LANES = 8, WAYS = 4, WIDTH = LANES * WAYS, LEVELS = 4, POWER = 4, STEP = 1 << POWER };
    float acc[LEVELS][WIDTH] = {{0}};
    int64_t steps = n / WIDTH, i = 0;
    while (i < steps) {
        int64_t end = i + STEP <= steps ? i + STEP : steps;
        bool whole = i + STEP <= steps;
        for (; i < end; i++)
            for (int l = 0; l < WIDTH; l++)
                acc[0][l] += x[i * WIDTH + l] * x[i * WIDTH + l];
        for (int level = 1; whole && level < LEVELS; level++) {
            for (int l = 0; l < WIDTH; l++) {
                acc[level][l] += acc[level - 1][l];
                acc[level - 1][l] = 0;
            }
            if (i & ((int64_t)(STEP - 1) << (level * POWER)))
                break;
        }
    }
    for (int level = 1; level < LEVELS; level++)
        for (int l = 0; l < WIDTH; l++)
            acc[0][l] += acc[level][l];
    for (i = steps * WIDTH; i + LANES <= n; i += LANES)
        for (int l = 0; l < LANES; l++)
            acc[0][l] += x[i + l] * x[i + l];
    for (int way = 1; way < WAYS; way++)
        for (int l = 0; l < LANES; l++)
            acc[0][l] += acc[0][way * LANES + l];
    float sum = 0;
    for (; i < n; i++)
        sum += x[i] * x[i];
    for (int l = 0; l < LANES; l++)
        sum += acc[0][l];
    return sum;
}

void kernel_c_rms_norm(float *y, const float *x, const float *w, int64_t n, float eps)
{
    float r = 1 / sqrtf(kernel_c_sum_squares(x, n) / (float)n + eps);
    for (int64_t i = 0; i < n; i++)
        y[i] = x[i] * r * (w ? w[i] : 1);
}

void kernel_c_layer_norm(float *y, const float *x, const float *w, const float *b, int64_t n, float eps)
{
    layer_norm_row(y, x, w, b, n, eps);
}

void kernel_c_silu(float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        x[i] = x[i] / (1 + kernel_c_exp(-x[i]));
}

void kernel_c_gelu_tanh(float *x, int64_t n)
{
    gelu_tanh_row(x, n);
}

void kernel_c_gelu_new(float *x, int64_t n)
{
    gelu_new_row(x, n);
}

void kernel_c_gelu_fast(float *x, int64_t n)
{
    gelu_fast_row(x, n);
}

void kernel_c_gelu_erf(float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        x[i] = 0.5f * x[i] * (1 + erff(x[i] * 0.7071067811865476f));
}

void kernel_c_relu(float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        x[i] = x[i] < 0 ? 0 : x[i];
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

/* Pairs alone: as they are. */
static void part_pairs(float *dst, const float *x, int64_t n)
{
    memcpy(dst, x, (size_t)n * sizeof *x);
}

void kernel_c_round_bf16(float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        x[i] = bf16_to_f32(f32_to_bf16(x[i]));
}

static inline float sigmoid(float x)
{
    return 1 / (1 + kernel_c_exp(-x));
}

void kernel_c_quick_gelu(float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        x[i] = x[i] * sigmoid(1.702f * x[i]);
}

void kernel_c_relu2(float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        float v = x[i] < 0 ? 0 : x[i];
        x[i] = v * v;
    }
}

void kernel_c_sigmoid(float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        x[i] = sigmoid(x[i]);
}

static inline float clamp(float x, float lo, float hi)
{
    x = x < lo ? lo : x; /* the order lets a NaN through */
    return x > hi ? hi : x;
}

void kernel_c_clamp(float *x, float lo, float hi, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        x[i] = clamp(x[i], lo, hi);
}

void kernel_c_scale(float *x, float a, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        x[i] *= a;
}

void kernel_c_softplus(float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        x[i] = x[i] > 20 ? x[i] : (float)log1p((double)kernel_c_exp(x[i]));
}

void kernel_c_add_scaled(float *x, const float *y, float a, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        x[i] += a * y[i];
}

void kernel_c_swiglu_oai(float *gate, const float *up, int64_t n, float alpha, float limit)
{
    for (int64_t i = 0; i < n; i++) {
        float g = gate[i] > limit ? limit : gate[i];
        gate[i] = (clamp(up[i], -limit, limit) + 1) * (g * sigmoid(g * alpha));
    }
}

static void column_sums(double *sums, const float *x, const float *factor, int64_t n_key)
{
    for (int64_t k = 0; k < n_key; k++) {
        double w[NR];
        for (int j = 0; j < NR; j++)
            w[j] = (double)(factor ? x[k * NR + j] * factor[j] : x[k * NR + j]);
        for (int half = NR / 2; half; half /= 2)
            for (int j = 0; j < half; j++)
                w[j] += w[j + half];
        sums[k] = w[0];
    }
}

static void scale_columns(float *x, const float *factor, int64_t n_key)
{
    for (int64_t k = 0; k < n_key; k++)
        for (int j = 0; j < NR; j++)
            x[k * NR + j] *= factor[j];
}

static float multiply_adds(int64_t rounds, int *flop)
{
    enum { CHAINS = 8 };
    float x[CHAINS] = {0, 1, 2, 3, 4, 5, 6, 7}, sum = 0;
    for (int64_t r = 0; r < rounds; r++)
        for (int i = 0; i < CHAINS; i++)
            x[i] = x[i] * 0.999f + 0.001f;
    for (int i = 0; i < CHAINS; i++)
        sum += x[i];
    *flop = 2 * CHAINS;
    return sum;
}

const kernels kernels_c = {
    .isa = "c",
    .mr = MR,
    .nr = NR,
    .gemm_micro = gemm_micro,
    .dot = dot,
    .interleave = interleave,
    .score_columns = score_columns,
    .softmax_columns = softmax_columns,
    .sum_squares = kernel_c_sum_squares,
    .rms_norm = kernel_c_rms_norm,
    .layer_norm = kernel_c_layer_norm,
    .silu = kernel_c_silu,
    .gelu_tanh = kernel_c_gelu_tanh,
    .gelu_erf = kernel_c_gelu_erf,
    .relu = kernel_c_relu,
    .mul = kernel_c_mul,
    .add = kernel_c_add,
    .part_pairs = part_pairs,
    .round_bf16 = kernel_c_round_bf16,
    .quick_gelu = kernel_c_quick_gelu,
    .relu2 = kernel_c_relu2,
    .sigmoid = kernel_c_sigmoid,
    .softplus = kernel_c_softplus,
    .clamp = kernel_c_clamp,
    .scale = kernel_c_scale,
    .add_scaled = kernel_c_add_scaled,
    .swiglu_oai = kernel_c_swiglu_oai,
    .gelu_new = kernel_c_gelu_new,
    .gelu_fast = kernel_c_gelu_fast,
    .product_sums = kernel_c_product_sums,
    .mixture_sums = kernel_c_mixture_sums,
    .column_sums = column_sums,
    .scale_columns = scale_columns,
    .multiply_adds = multiply_adds,
    .tiles = &tiles_c,
};
