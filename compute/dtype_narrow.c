/* Floats of 8, 6 and 4 bits, alone and in blocks that share a power of two. */
#include "compute/dtype_rows.h"

#include <string.h>

/* Exponent and mantissa (the magnitude bits) of a small float with M mantissa bits: moved to their place and
 * rebiased.  A subnormal is read as a fraction above the smallest normal number, which is then taken away. */
static inline float small_float(uint32_t magnitude, int mantissa_bits, int bias)
{
    uint32_t u = magnitude << (23 - mantissa_bits), least = (uint32_t)(128 - bias) << 23;
    uint32_t normal = u + ((uint32_t)(127 - bias) << 23);
    uint32_t subnormal = bits_of_float(float_of_bits(u + least) - float_of_bits(least));
    uint32_t is_subnormal = (uint32_t)((int32_t)(u - 0x00800000) >> 31);
    return float_of_bits((normal & ~is_subnormal) | (subnormal & is_subnormal));
}

static inline float with_sign(float x, uint32_t sign)
{
    return float_of_bits(bits_of_float(x) | sign);
}

/* All ones when a and b, below 2^31, are equal. */
static inline uint32_t mask_equal(uint32_t a, uint32_t b)
{
    return (uint32_t)((int32_t)((a ^ b) - 1) >> 31);
}

/* Bias 7, no infinity; all magnitude bits set is NaN. */
DTYPE_ROW(f8_e4m3)
{
    const uint8_t *s = src;
    for (int64_t i = 0; i < n; i++) {
        uint32_t magnitude = s[i] & 0x7f, nan = mask_equal(magnitude, 0x7f) & 0x7fc00000;
        dst[i] = with_sign(small_float(magnitude, 3, 7), nan | (uint32_t)(s[i] & 0x80) << 24);
    }
}

/* Bias 15, infinity and NaN as in a half. */
DTYPE_ROW(f8_e5m2)
{
    const uint8_t *s = src;
    for (int64_t i = 0; i < n; i++) {
        uint32_t magnitude = s[i] & 0x7f;
        uint32_t special = (uint32_t)((int32_t)(0x7b - magnitude) >> 31) & 0x7f800000;
        dst[i] = with_sign(small_float(magnitude, 2, 15), special | (uint32_t)(s[i] & 0x80) << 24);
    }
}

/* 2^(e - 127); 255 is NaN. */
DTYPE_ROW(f8_e8m0)
{
    const uint8_t *s = src;
    for (int64_t i = 0; i < n; i++) {
        uint32_t least = mask_equal(s[i], 0) & 0x00400000, nan = mask_equal(s[i], 255) & 0x7fc00000;
        dst[i] = float_of_bits((uint32_t)s[i] << 23 | least | nan);
    }
}

/* One more in the bias than their namesakes, no infinity, no negative zero: its place is the only NaN. */
DTYPE_ROW(f8_e4m3fnuz)
{
    const uint8_t *s = src;
    for (int64_t i = 0; i < n; i++) {
        uint32_t nan = mask_equal(s[i], 0x80) & 0x7fc00000;
        dst[i] = with_sign(small_float(s[i] & 0x7f, 3, 8), nan | (uint32_t)(s[i] & 0x80) << 24);
    }
}

DTYPE_ROW(f8_e5m2fnuz)
{
    const uint8_t *s = src;
    for (int64_t i = 0; i < n; i++) {
        uint32_t nan = mask_equal(s[i], 0x80) & 0x7fc00000;
        dst[i] = with_sign(small_float(s[i] & 0x7f, 2, 16), nan | (uint32_t)(s[i] & 0x80) << 24);
    }
}

/* Six bits: four elements in three bytes, read as a little-endian number, the first in the lowest bits. */
static inline void six_bits(float *restrict dst, const uint8_t *s, int64_t n, int mantissa_bits, int bias)
{
    for (int64_t i = 0; i < n; i += 4, s += 3) {
        uint32_t u = s[0] | (uint32_t)s[1] << 8 | (uint32_t)s[2] << 16;
        for (int j = 0; j < 4; j++, u >>= 6)
            dst[i + j] = with_sign(small_float(u & 31, mantissa_bits, bias), (u & 32) << 26);
    }
}

DTYPE_ROW(f6_e2m3)
{
    six_bits(dst, src, n, 3, 1);
}

DTYPE_ROW(f6_e3m2)
{
    six_bits(dst, src, n, 2, 3);
}

/* E2M1: sign, two bits of exponent with bias 1, one of mantissa.  The low nibble comes first. */
DTYPE_ROW(f4)
{
    const uint8_t *s = src;
    for (int64_t i = 0; i < n / 2; i++) {
        dst[2 * i] = with_sign(small_float(s[i] & 7, 1, 1), (uint32_t)(s[i] & 8) << 28);
        dst[2 * i + 1] = with_sign(small_float(s[i] >> 4 & 7, 1, 1), (uint32_t)(s[i] & 0x80) << 24);
    }
}

typedef uint8_t u8x16 __attribute__((vector_size(16)));

/* E2M1 codes, doubled, as integers: 0 1 2 3 4 6 8 12 and their negatives.  No negative zero in GGUF blocks. */
static inline u8x16 doubled(u8x16 code)
{
    u8x16 m = code & 7, minus = (u8x16)((code & 8) == 8);
    m += ((u8x16)(m == 5) & 1) + ((u8x16)(m == 6) & 2) + ((u8x16)(m == 7) & 5);
    return (m ^ minus) - minus;
}

/* The low nibbles of 16 bytes and the high ones. */
static inline void split_fp4(int8_t low[16], int8_t high[16], const uint8_t *q)
{
    u8x16 x;
    memcpy(&x, q, 16);
    u8x16 l = doubled(x & 15), h = doubled(x >> 4);
    memcpy(low, &l, 16);
    memcpy(high, &h, 16);
}

/* { u8 e; q[16] }: E2M1 times 2^(e - 127), for every e; the low nibbles are elements 0..15 */
DTYPE_ROW(mxfp4)
{
    const uint8_t *b = src;
    for (int64_t k = 0; k < n / 32; k++, b += 17, dst += 32) {
        uint32_t half = b[0] < 2 ? (uint32_t)0x00200000 << b[0] : (uint32_t)(b[0] - 1) << 23;
        int8_t v[32];
        split_fp4(v, v + 16, b + 1);
        for (int j = 0; j < 32; j++)
            dst[j] = (float)v[j] * float_of_bits(half);
    }
}

/* { u8 d[4]; q[4][8] }: four sub-blocks of 16, low nibbles first, each with a scale that is an E4M3 without
 * sign; 0x7f counts as 0.  The scale of the whole tensor, where there is one, is stored apart. */
DTYPE_ROW(nvfp4)
{
    const uint8_t *b = src;
    for (int64_t k = 0; k < n / 64; k++, b += 36, dst += 64)
        for (int i = 0; i < 4; i++) {
            float half = b[i] == 0x7f ? 0 : 0.5f * small_float(b[i] & 0x7f, 3, 7);
            int8_t low[16], high[16];
            split_fp4(low, high, b + 4 + 16 * (i / 2));
            for (int j = 0; j < 8; j++) {
                dst[16 * i + j] = (float)low[8 * (i % 2) + j] * half;
                dst[16 * i + 8 + j] = (float)high[8 * (i % 2) + j] * half;
            }
        }
}
