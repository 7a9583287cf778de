#include "compute/quantize.h"

#include <math.h>
#include <string.h>

typedef unsigned char byte;

/* A half at p; false when it cannot hold x. */
static bool put_half(byte *p, float x)
{
    bool overflow = false;
    uint16_t h = f32_to_f16(x, &overflow);
    p[0] = (byte)h;
    p[1] = (byte)(h >> 8);
    return !overflow && isfinite(x);
}

/* The whole part of x, at least 0 and at most `most`. */
static byte level(float x, int most)
{
    return (byte)(x >= (float)most ? most : x > 0 ? (int)x : 0);
}

static float inverse(float d)
{
    return d != 0 ? 1 / d : 0;
}

/* The element of largest magnitude, the first of them, with its sign. */
static float peak(const float *x)
{
    float most = 0, value = 0;
    for (int j = 0; j < 32; j++)
        if (most < fabsf(x[j])) {
            most = fabsf(x[j]);
            value = x[j];
        }
    return value;
}

static void range(float *low, float *high, const float *x)
{
    *low = *high = x[0];
    for (int j = 1; j < 32; j++) {
        *low = x[j] < *low ? x[j] : *low;
        *high = x[j] > *high ? x[j] : *high;
    }
}

/* v [32] of 4 bits, or of 5 with the fifth bits at h. */
static void put_levels(byte *q, byte *h, const byte *v)
{
    for (int j = 0; j < 16; j++)
        q[j] = (byte)((v[j] & 15) | (v[j + 16] & 15) << 4);
    if (!h)
        return;
    memset(h, 0, 4);
    for (int j = 0; j < 32; j++)
        h[j / 8] |= (byte)(v[j] >> 4 << j % 8);
}

/* { d; q }: (q - 2^(bits - 1)) d */
static bool around_zero(byte *b, const float *x, int bits)
{
    float half = (float)(1 << (bits - 1)), d = peak(x) / -half, id = inverse(d);
    byte v[32];
    for (int j = 0; j < 32; j++) {
        float scaled = x[j] * id;
        v[j] = level(scaled + (half + 0.5f), (1 << bits) - 1);
    }
    put_levels(b + (bits == 5 ? 6 : 2), bits == 5 ? b + 2 : NULL, v);
    return put_half(b, d);
}

/* { d; m; q }: q d + m */
static bool from_lowest(byte *b, const float *x, int bits)
{
    float low, high;
    byte v[32];
    range(&low, &high, x);
    float d = (high - low) / (float)((1 << bits) - 1), id = inverse(d);
    for (int j = 0; j < 32; j++) {
        float scaled = (x[j] - low) * id;
        v[j] = level(scaled + 0.5f, (1 << bits) - 1);
    }
    put_levels(b + (bits == 5 ? 8 : 4), bits == 5 ? b + 4 : NULL, v);
    bool d_fits = put_half(b, d);
    return put_half(b + 2, low) && d_fits;
}

/* { d; i8 q[32] }: q d; halves are rounded away from zero. */
static bool signed_bytes(byte *b, const float *x)
{
    float d = fabsf(peak(x)) / 127, id = inverse(d);
    for (int j = 0; j < 32; j++) {
        float q = roundf(x[j] * id);
        b[2 + j] = (byte)(int8_t)(q >= 127 ? 127 : q > -127 ? q : -127); /* NaN, from 0 x infinity, too */
    }
    return put_half(b, d);
}

static bool put_block(byte *b, dtype t, const float *x)
{
    switch (t) {
    case DT_Q8_0:
        return signed_bytes(b, x);
    case DT_Q4_0:
        return around_zero(b, x, 4);
    case DT_Q5_0:
        return around_zero(b, x, 5);
    case DT_Q4_1:
        return from_lowest(b, x, 4);
    default:
        return from_lowest(b, x, 5);
    }
}

/* |x| <= 448 up to rounding. */
static byte f8_e4m3(float x)
{
    union { float f; uint32_t u; } v = {fabsf(x)};
    byte sign = signbit(x) ? 0x80 : 0;
    if (v.f < 0x1p-6f) /* subnormal: units of 2^-9 */
        return (byte)(sign | (int)rintf(v.f * 0x1p9f));
    v.u += 0x7ffff + (v.u >> 20 & 1);
    uint32_t q = (v.u >> 20) - (120 << 3);
    return (byte)(sign | (q < 0x7e ? q : 0x7e));
}

static float f8_row(byte *b, const float *x, int64_t n)
{
    float most = 0;
    for (int64_t i = 0; i < n; i++)
        most = fabsf(x[i]) > most ? fabsf(x[i]) : most;
    float scale = most / 448;
    for (int64_t i = 0; i < n; i++)
        b[i] = scale > 0 ? f8_e4m3(x[i] / scale) : 0;
    return scale;
}

bool quantize_row(void *dst, float *scale, dtype t, const float *x, int64_t n)
{
    byte *b = dst;
    bool fits = true;
    *scale = 1;
    for (int64_t i = 0; i < n; i++)
        fits &= isfinite(x[i]) != 0;
    if (!fits)
        return false;
    if (t == DT_F8_E4M3) {
        *scale = f8_row(b, x, n);
    } else if (t == DT_F16) {
        for (int64_t i = 0; i < n; i++)
            fits &= put_half(b + 2 * i, x[i]);
    } else if (t == DT_BF16) {
        for (int64_t i = 0; i < n; i++) {
            uint16_t h = f32_to_bf16(x[i]);
            fits &= (h & 0x7f80) != 0x7f80;
            b[2 * i] = (byte)h;
            b[2 * i + 1] = (byte)(h >> 8);
        }
    } else {
        for (int64_t i = 0; i < n; i += dtypes[t].block)
            fits &= put_block(b + i / dtypes[t].block * dtypes[t].block_bytes, t, x + i);
    }
    return fits;
}
