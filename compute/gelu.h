/* The forms of GELU by hyperbolic tangent, compiled once for plain C and once for each instruction set.
 *
 * .5 x (1 + tanh(sqrt(2/pi) (x + .044715 x^3))) (Hendrycks and Gimpel, arXiv 1606.08415) is written in three ways
 * by models, and each rounds differently; with unscaled scores behind it that shows.  Every step is rounded to float32 as the
 * reference code does it; the tangent itself is taken in double and rounded once.  Plain arithmetic in a fixed
 * order: every instruction set gives the same bits. */
#ifndef ATTNSCOPE_COMPUTE_GELU_H
#define ATTNSCOPE_COMPUTE_GELU_H

#include <math.h>
#include <stdint.h>
#include <string.h>

/* tanh(u) to about 1e-11, relative to 1.  Beyond +-20 it is +-1; the limit is taken on the bits, which loops of
 * vectors can do without branches (a NaN ends up there, and comes back by the factor x). */
static inline float gelu_tangent(float u)
{
    uint32_t word, size;
    memcpy(&word, &u, sizeof word);
    size = word & 0x7fffffff;
    size = size < 0x41a00000 ? size : 0x41a00000;
    word = size | (word & 0x80000000);
    memcpy(&u, &word, sizeof u);
    double v = u;
    double k = (2 * v * 1.4426950408889634 + 0x1.8p52) - 0x1.8p52; /* 2 v = k ln 2 + r, k whole */
    double r = (2 * v - k * 0x1.62e42fee00000p-1) - k * 0x1.a39ef35793c76p-33;
    double p = 1 + r * (1 + r * (1.0 / 2 + r * (1.0 / 6 + r * (1.0 / 24 + r * (1.0 / 120 + r * (1.0 / 720 + r * (1.0 / 5040 +
               r * (1.0 / 40320 + r * (1.0 / 362880)))))))));
    double biased = k + (0x1.8p52 + 1023), two_k;
    uint64_t bits;
    memcpy(&bits, &biased, sizeof bits);
    bits <<= 52;
    memcpy(&two_k, &bits, sizeof two_k);
    double e = p * two_k;
    return (float)((e - 1) / (e + 1));
}

/* As the fused operator: x + .044715 x^3 in one rounding of the last sum. */
static inline void gelu_tanh_row(float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        float v = x[i], cube = v * v * v;
        float u = 0.7978845608028654f * fmaf(0.044715f, cube, v);
        x[i] = 0.5f * v * (1 + gelu_tangent(u));
    }
}

/* gelu_new: every operation rounded. */
static inline void gelu_new_row(float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        float v = x[i], inner = 0.044715f * (v * v * v);
        float u = 0.7978845608028654f * (v + inner);
        x[i] = 0.5f * v * (1 + gelu_tangent(u));
    }
}

/* gelu_fast and BLOOM's: x sqrt(2/pi) (1 + .044715 x x). */
static inline void gelu_fast_row(float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        float v = x[i], inner = 0.044715f * v * v;
        float u = 0.79788456f * v * (1 + inner);
        x[i] = v * 0.5f * (1 + gelu_tangent(u));
    }
}

#endif
