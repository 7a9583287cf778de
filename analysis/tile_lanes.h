/* Loops over the cells of a tile: 16 queries side by side, which is how the kernels lay them out, so that a compiler
 * turns the loop over lanes into vector code.  Masked cells are 0 and need no test where 0 adds nothing. */
#ifndef ATTNSCOPE_ANALYSIS_TILE_LANES_H
#define ATTNSCOPE_ANALYSIS_TILE_LANES_H

#include <string.h>
#include "analysis/metric.h"

enum { LANES = 16 };

/* Weights on a key of queries first .. first + LANES - 1 (counted within the tile), 0 behind the tile's last query:
 * the cells themselves, or a copy in buffer. */
static inline const float *tile_lanes(float buffer[LANES], const attn_tile *t, int64_t first, int64_t key)
{
    const float *p = t->probs + first * t->q_stride + (key - t->k0) * t->k_stride;
    int64_t n = t->n_query - first;
    if (t->q_stride == 1 && n >= LANES)
        return p;
    for (int64_t j = 0; j < LANES; j++)
        buffer[j] = j < n ? p[j * t->q_stride] : 0;
    return buffer;
}

/* Lanes that are queries of the tile. */
static inline int64_t lanes_used(const attn_tile *t, int64_t first)
{
    int64_t n = t->n_query - first;
    return n < LANES ? n : LANES;
}

/* Does query i of the tile see any key? */
static inline bool row_sees(const attn_tile *t, int64_t i)
{
    return t->visible_lo[i] < t->visible_hi[i];
}

/* sum[j] = sum of the weights of query first + j over keys from <= key < to of the tile. */
static inline void lanes_sum(double sum[LANES], const attn_tile *t, int64_t first, int64_t from, int64_t to)
{
    float buffer[LANES];
    memset(sum, 0, LANES * sizeof(*sum));
    for (int64_t key = from; key < to; key++) {
        const float *p = tile_lanes(buffer, t, first, key);
        for (int j = 0; j < LANES; j++)
            sum[j] += (double)p[j];
    }
}

/* p ln p of a weight, 0 for 0, to float32's rounding: ln p = e ln 2 + ln m with m within sqrt(1/2) .. sqrt(2) and
 * Cephes' polynomial for ln m.  No branch and no call, so that loops over it vectorise. */
static inline float weight_log_weight(float p)
{
    const int32_t root_half = 0x3f3504f3;
    int32_t bits, mantissa;
    float m;
    memcpy(&bits, &p, sizeof(bits));
    int32_t e = (bits - root_half) >> 23;
    mantissa = bits - e * (1 << 23);
    memcpy(&m, &mantissa, sizeof(m));
    float f = m - 1, f2 = f * f;
    float y = 7.0376836292e-2f;
    y = y * f - 1.1514610310e-1f;
    y = y * f + 1.1676998740e-1f;
    y = y * f - 1.2420140846e-1f;
    y = y * f + 1.4249322787e-1f;
    y = y * f - 1.6668057665e-1f;
    y = y * f + 2.0000714765e-1f;
    y = y * f - 2.4999993993e-1f;
    y = y * f + 3.3333331174e-1f;
    float ln = (float)e * 0.693147180559945f + (f - 0.5f * f2 + f * f2 * y);
    return p * ln;
}

#endif
