/* The dispatch table of inner loops.  Plain C (kernels_c.c) is the definition of every entry; the files in
 * isa/ replace entries for machines that can do better, and tests compare each with plain C.
 *
 * Kernels never allocate, fail or print.  Buffers are float32 unless said otherwise; pointers may be
 * unaligned. */
#ifndef ATTNSCOPE_COMPUTE_KERNELS_H
#define ATTNSCOPE_COMPUTE_KERNELS_H

#include <stdbool.h>
#include <stdint.h>
#include "base/err.h"
#include "compute/dtype.h"
#include "compute/tiles.h"

#define GEMM_MAX_MR 16
#define GEMM_MAX_NR 64
/* Rows of kernels.rows_dot. */
#define ROWS_TOGETHER 4
#define SOFTMAX_WAYS 16

/* Products of queries, a column each, and keys, a row each, to the scores of a softmax:
 *   s = cap(scale s) + key_bias[key] + rel_bias[column - key],  cap(s) = softcap tanh(s / softcap),
 * each step rounded as it is written, so that every instruction set gives the same bits. */
typedef struct score_block {
    float *s;                      /* [n_key, nr], in place */
    float scale;
    int64_t n_key;
    int n_query;                   /* columns in use; what happens to the others does not matter */
    float softcap;                 /* > 0; 0: no cap */
    const float *key_bias;         /* [n_key] or NULL */
    const float *rel_bias;         /* readable from 1 - n_key to nr - 1, or NULL */
} score_block;

/* Scores of `nr` queries, a column each, to probabilities.
 * Query j sees keys lo[j] <= key < hi[j]; all other cells become 0.  A query that sees nothing, or nothing
 * but scores of -inf, gets a column of zeros, lse -inf and statistics 0.  With m the largest visible score,
 * e = exp(s - m) and S = sum e:  lse = m + ln S,  entropy = ln S - (sum e (s - m)) / S,  maximum = 1 / S.
 * A sink is one more key behind all others that every query sees and whose weight goes nowhere: it counts in
 * m and S, has the weight exp(sink - m) / S, and is in no statistic; lse is that of the keys without it.
 * S is gathered in SOFTMAX_WAYS partial sums, key by key in turn, as the reference implementation does with
 * vectors of that many lanes; so every instruction set gives the same bits. */
typedef struct softmax_block {
    float *s;                      /* [n_key, nr], in place */
    float scale;                   /* scores are multiplied by it first */
    int64_t n_key;
    int64_t key0, n_total;         /* key of the first row, and keys of the whole attention */
    const int64_t *lo, *hi, *qpos; /* [nr]; qpos: position of the query among the keys */
    const float *sink;             /* its score, not scaled; NULL: none */
    float *sink_weight;            /* [nr]; not touched without a sink */
    float *lse;                    /* [nr] */
    float *entropy;                /* [nr] nats; NULL: not wanted */
    float *maximum;                /* [nr] largest probability; NULL: not wanted */
    float *distance;               /* [nr] sum of p |qpos - key|; NULL: not wanted */
} softmax_block;

/* Terms of a sum of k products that are added in one go: equal stretches of at most 384, which is how the
 * library behind the reference implementation cuts them; see kernels.gemm_micro. */
static inline int64_t gemm_stretch_length(int64_t k)
{
    int64_t stretches = (k + 383) / 384;
    return stretches > 1 ? (k + stretches - 1) / stretches : k;
}

typedef struct kernels {
    const char *isa; /* "c", "avx2", "avx512", "avx512bf16", "amx" */

    /* c[i * ldc + j] = sum over k of a[k * mr + i] * b[k * nr + j], for i < m <= mr and j < n <= nr,
     * The sum is taken by fused multiply-adds in increasing k over stretches of gemm_stretch_length(k); the
     * sums of the stretches are added in order.  So every instruction set gives the same bits, whatever m and n are, and
     * they are those of the libraries that the reference implementation uses.  a: [k, mr] and b: [k, nr]
     * packed and padded with zeros; c is overwritten. */
    int mr, nr;
    void (*gemm_micro)(int64_t k, const float *a, const float *b, float *c, int64_t ldc, int m, int n);

    /* sum of x[i] * y[i]; the order of additions depends on n alone. */
    float (*dot)(const float *x, const float *y, int64_t n);

    /* dot of x and a stored row of n elements (whole blocks) at any address, read where it lies: the bits of
     * dtypes[type].to_f32 and dot, but q8_0 multiplies the scale of a block once.  NULL: no faster way than those two.  Decoding
     * in PRECISION_F32 keeps most quantised rows in integers instead: blocks.h.  For bfloat16 x is what part_pairs gives,
     * and the bits are those of dot where the row is parted too. */
    float (*row_dot[DT_COUNT])(const float *x, const void *row, int64_t n);
    /* The same where elements of the row are rounded to bfloat16 before; q8_0 too element by element. */
    float (*row_dot_bf16[DT_COUNT])(const float *x, const void *row, int64_t n);
    /* y[r] = row_dot of rows[r], r < ROWS_TOGETHER, while x is read once. */
    void (*rows_dot[DT_COUNT])(float *y, const float *x, const void *const *rows, int64_t n);
    /* dtypes[type].to_f32, to the last bit of all that are numbers; NULL: no faster way. */
    void (*row_values[DT_COUNT])(float *restrict dst, const void *restrict row, int64_t n);
    /* Of every so many numbers of x (a power of two, of this table) those of even index, then those of odd index; what is left
     * as it is. */
    void (*part_pairs)(float *dst, const float *x, int64_t n);

    /* Transpose while packing: dst[k * stride + i] = src[i * ld + k] for i < n_row <= stride, k < n_col;
     * columns n_row .. stride - 1 of dst become 0. */
    void (*interleave)(float *dst, int stride, const float *src, int64_t ld, int n_row, int64_t n_col);

    /* What comes between products and softmax for models that have more than a scale; see score_block. */
    void (*score_columns)(const score_block *b);

    /* Softmax of a block of transposed scores; see softmax_block. */
    void (*softmax_columns)(const softmax_block *b);

    /* In the order of additions that rms_norm has. */
    float (*sum_squares)(const float *x, int64_t n);

    /* y = x / sqrt(mean(x^2) + eps) * w, and y = (x - mean) / sqrt(var + eps) * w + b, biased variance;
     * w and b may be NULL (1 and 0).  x and y may be the same. */
    void (*rms_norm)(float *y, const float *x, const float *w, int64_t n, float eps);
    void (*layer_norm)(float *y, const float *x, const float *w, const float *b, int64_t n, float eps);

    /* x[i] = x[i] * sigmoid(x[i]) and the other activations, in place. */
    void (*silu)(float *x, int64_t n);
    void (*gelu_tanh)(float *x, int64_t n);  /* .5x(1 + tanh(sqrt(2/pi)(x + .044715x^3))); see gelu.h */
    void (*gelu_erf)(float *x, int64_t n);   /* .5x(1 + erf(x / sqrt 2)) */
    void (*relu)(float *x, int64_t n);
    void (*mul)(float *x, const float *y, int64_t n); /* x *= y */
    void (*add)(float *x, const float *y, int64_t n); /* x += y */

    /* Round every element to the nearest bfloat16 (ties to even), kept as float32. */
    void (*round_bf16)(float *x, int64_t n);

    /* More activations, in place, with sigmoid(x) = 1 / (1 + exp(-x)). */
    void (*quick_gelu)(float *x, int64_t n); /* x sigmoid(1.702 x) */
    void (*relu2)(float *x, int64_t n);      /* max(x, 0)^2 */
    void (*sigmoid)(float *x, int64_t n);
    void (*softplus)(float *x, int64_t n);   /* ln(1 + exp(x)); x itself above 20 */
    /* min(max(x, lo), hi); NaN stays NaN. */
    void (*clamp)(float *x, float lo, float hi, int64_t n);
    void (*scale)(float *x, float a, int64_t n);                       /* x *= a */
    void (*add_scaled)(float *x, const float *y, float a, int64_t n);  /* x += a y, product and sum both rounded */
    /* The gate of GPT-OSS, into gate: with g = min(gate, limit) and u = clamp(up, -limit, limit),
     * (u + 1) (g sigmoid(alpha g)). */
    void (*swiglu_oai)(float *gate, const float *up, int64_t n, float alpha, float limit);
    /* gelu_tanh as "gelu_new" and as "gelu_fast" write it: other roundings. */
    void (*gelu_new)(float *x, int64_t n);
    void (*gelu_fast)(float *x, int64_t n);

    /* Sums over keys that compare a panel of weights x [n_key, columns] with n_y others, y + j y_stride; rows of all are
     * `stride` apart, columns is a multiple of 16:
     *   out[j * columns + c] = sum over k of f(x[k][c], y_j[k][c]), keys in increasing order.
     * product: f = x y.  mixture: f = u (log2 u + MIXTURE_SHIFT) with u = x + y >= 0, log2 to 2.6e-6, and 0 for u = 0.
     * With M_ab the mixture sum of rows a and b the Jensen-Shannon divergence of the rows is, in bits,
     *   (M_aa + M_bb - 2 M_ab) / 4:
     * the entropy of the mean less the mean entropy, where sums of u, and so the shift, cancel; equal rows give 0.
     * Every instruction set gives the same bits. */
    void (*product_sums)(float *out, const float *x, const float *y, int64_t y_stride, int n_y, int64_t n_key,
                         int64_t stride, int columns);
    void (*mixture_sums)(float *out, const float *x, const float *y, int64_t y_stride, int n_y, int64_t n_key,
                         int64_t stride, int columns);

    /* Sums in double over the columns of each row of a panel x [n_key, nr], x[k][j] times factor[j] (in float32, the weight
     * that scale_columns makes) unless that is NULL.  Halves are added onto halves, w[j] += w[j + h] for h = nr / 2, nr / 4,
     * .. 1: every instruction set of the same nr gives the same bits. */
    void (*column_sums)(double *sums, const float *x, const float *factor, int64_t n_key);
    /* x [n_key, nr]: x[k][j] *= factor[j]. */
    void (*scale_columns)(float *x, const float *factor, int64_t n_key);

    /* Multiply-adds that stay in registers, to measure what the processor can do: rounds of *flop operations each.  The
     * result has no meaning. */
    float (*multiply_adds)(int64_t rounds, int *flop);

    /* Products of bfloat16 operands; never NULL, and chosen by tile_plan_for alone. */
    const tile_kernels *tiles;
} kernels;

#define MIXTURE_SHIFT 1.06681612

/* The table in use: the best this machine can run, capped by ATTNSCOPE_ISA or kernels_select. */
const kernels *kernels_get(void);
/* A name of a table, or "best".  Unknown: ERR_USAGE.  A set that this machine lacks: the best below
 * it is taken and *note says so (static text; NULL when the wish was granted). */
int kernels_select(const char *isa, const char **note, err *e);
/* Sets compiled in, weakest first, NULL-terminated; kernels_usable tells which this machine can run. */
const kernels *const *kernels_all(void);
bool kernels_usable(const kernels *k);
/* Processor name and features for `info --machine`; static text. */
const char *machine_cpu(void);
const char *machine_features(void);

extern const kernels kernels_c;
#if defined(__x86_64__)
extern const kernels kernels_avx2;   /* isa/avx2.c: AVX2 + FMA + F16C */
extern const kernels kernels_avx512; /* isa/avx512.c: AVX-512 F, BW, DQ, VL */
/* The same with the products of tiles.h by other instructions; float32 work has the same bits. */
extern const kernels kernels_avx512_bf16; /* tiles by isa/avx512_bf16.c: AVX512-BF16 */
extern const kernels kernels_amx;         /* by isa/amx.c: AMX-TILE and AMX-BF16, which also take PRECISION_F32 */
#endif

#endif
