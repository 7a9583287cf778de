/* LayerNorm, compiled once for plain C and once for each instruction set (where fmaf is one instruction and the
 * loops over lanes are vectors).
 *
 * Moments are gathered as the reference implementation does it: in eight lanes, in chunks of sixteen values a
 * lane by Welford's update, the chunks merged pairwise like a binary counter, then the lanes one by one
 * (Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances",
 * 1979).  The places of the fused multiply-adds are part of the definition: every instruction set gives the same bits,
 * and they are those of the reference implementation. */
#ifndef ATTNSCOPE_COMPUTE_LAYER_NORM_H
#define ATTNSCOPE_COMPUTE_LAYER_NORM_H

#include <math.h>
#include <stdint.h>
#include <string.h>

enum { MOMENT_LANES = 8, MOMENT_CHUNK = 16, MOMENT_DEPTH = 48 };

/* Moments of lanes: count of values a lane, mean, sum of squared deviations. */
typedef struct lane_moments { int64_t count; float mean[MOMENT_LANES], square[MOMENT_LANES]; } lane_moments;

static inline void lane_moments_merge(lane_moments *into, const lane_moments *from)
{
    int64_t count = into->count + from->count;
    float share = count ? (float)from->count / (float)count : 0, have = (float)into->count;
    for (int i = 0; i < MOMENT_LANES; i++) {
        float delta = from->mean[i] - into->mean[i], step = share * delta;
        into->mean[i] += step;
        into->square[i] = fmaf(delta, delta * share * have, into->square[i] + from->square[i]);
    }
    into->count = count;
}

static inline void lane_moments_chunk(lane_moments *out, const float *x, int64_t count)
{
    memset(out, 0, sizeof *out);
    for (int64_t j = 0; j < count; j++) {
        float share = 1.0f / (float)(j + 1);
        for (int i = 0; i < MOMENT_LANES; i++) {
            float v = x[j * MOMENT_LANES + i], delta = v - out->mean[i];
            out->mean[i] = fmaf(delta, share, out->mean[i]);
            out->square[i] = fmaf(delta, v - out->mean[i], out->square[i]);
        }
    }
    out->count = count;
}

/* Values behind the last whole group of lanes, then the lanes. */
static inline void moments_finish(float *mean, float *square, const lane_moments *lanes, const float *rest, int64_t n_rest)
{
    int64_t count = 0;
    float m = 0, s = 0;
    for (int64_t i = 0; i < n_rest; i++) {
        float delta = rest[i] - m;
        m += delta / (float)++count;
        s = fmaf(delta, rest[i] - m, s);
    }
    for (int i = 0; i < MOMENT_LANES; i++) {
        int64_t all = count + lanes->count;
        float share = all ? (float)lanes->count / (float)all : 0, delta = lanes->mean[i] - m;
        m = fmaf(share, delta, m);
        s += fmaf(delta * delta * share, (float)count, lanes->square[i]);
        count = all;
    }
    *mean = m;
    *square = s;
}

static inline void row_moments(float *mean, float *square, const float *x, int64_t n)
{
    lane_moments pile[MOMENT_DEPTH], chunk;
    int64_t groups = n / MOMENT_LANES, chunks = (groups + MOMENT_CHUNK - 1) / MOMENT_CHUNK;
    int depth = 1;
    while (depth < MOMENT_DEPTH && (int64_t)1 << depth < chunks)
        depth++;
    memset(pile, 0, (size_t)depth * sizeof *pile);
    for (int64_t c = 0; c < chunks; c++) {
        int64_t left = groups - c * MOMENT_CHUNK;
        lane_moments_chunk(&chunk, x + c * MOMENT_CHUNK * MOMENT_LANES, left < MOMENT_CHUNK ? left : MOMENT_CHUNK);
        lane_moments_merge(&pile[0], &chunk);
        int64_t carry = c + 1;
        for (int d = 1; d < depth && !(carry & 1); d++, carry >>= 1) {
            lane_moments_merge(&pile[d], &pile[d - 1]);
            memset(&pile[d - 1], 0, sizeof *pile);
        }
    }
    for (int d = 1; d < depth; d++)
        lane_moments_merge(&pile[0], &pile[d]);
    moments_finish(mean, square, &pile[0], x + groups * MOMENT_LANES, n - groups * MOMENT_LANES);
}

static inline void layer_norm_row(float *y, const float *x, const float *w, const float *b, int64_t n, float eps)
{
    float mean, square;
    row_moments(&mean, &square, x, n);
    float inverse = 1 / sqrtf(square / (float)n + eps);
    if (w && b)
        for (int64_t i = 0; i < n; i++)
            y[i] = fmaf((x[i] - mean) * inverse, w[i], b[i]);
    else
        for (int64_t i = 0; i < n; i++)
            y[i] = (x[i] - mean) * inverse * (w ? w[i] : 1) + (b ? b[i] : 0);
}

#endif
