/* Small quantised blocks with one scale. */
#include "compute/dtype_rows.h"

#include <string.h>

/* Blocks of 32.  d and m are halves; the low nibbles are elements 0..15, the high ones 16..31. */

typedef uint8_t u8x16 __attribute__((vector_size(16)));
typedef uint64_t u64x2 __attribute__((vector_size(16)));

static inline void split_nibbles(uint8_t v[32], const uint8_t q[16])
{
    u8x16 x;
    memcpy(&x, q, 16);
    u8x16 low = x & 15, high = x >> 4;
    memcpy(v, &low, 16);
    memcpy(v + 16, &high, 16);
}

/* Element j of 0..15 gets 16 when bit j of the two bytes at h is set. */
static inline u8x16 fifth_bits(const uint8_t h[2])
{
    const u8x16 bit = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
    const uint64_t each_byte = 0x0101010101010101;
    u8x16 spread = (u8x16)(u64x2){h[0] * each_byte, h[1] * each_byte};
    return (u8x16)((spread & bit) == bit) & 16;
}

/* The same for five-bit elements, whose fifth bits are the bits of h in order. */
static inline void split_with_fifth(uint8_t v[32], const uint8_t q[16], const uint8_t h[4])
{
    u8x16 x;
    memcpy(&x, q, 16);
    u8x16 low = (x & 15) | fifth_bits(h), high = x >> 4 | fifth_bits(h + 2);
    memcpy(v, &low, 16);
    memcpy(v + 16, &high, 16);
}

/* { d; i8 q[32] }: q d */
DTYPE_ROW(q8_0)
{
    const uint8_t *b = src;
    for (int64_t k = 0; k < n / 32; k++, b += 34, dst += 32) {
        float d = half_at(b);
        const int8_t *q = (const int8_t *)(b + 2);
        for (int j = 0; j < 32; j++)
            dst[j] = (float)q[j] * d;
    }
}

/* { d; q[16] }: (q - 8) d */
DTYPE_ROW(q4_0)
{
    const uint8_t *b = src;
    for (int64_t k = 0; k < n / 32; k++, b += 18, dst += 32) {
        float d = half_at(b);
        uint8_t v[32];
        split_nibbles(v, b + 2);
        for (int j = 0; j < 32; j++)
            dst[j] = (float)(v[j] - 8) * d;
    }
}

/* { d; m; q[16] }: q d + m */
DTYPE_ROW(q4_1)
{
    const uint8_t *b = src;
    for (int64_t k = 0; k < n / 32; k++, b += 20, dst += 32) {
        float d = half_at(b), m = half_at(b + 2);
        uint8_t v[32];
        split_nibbles(v, b + 4);
        for (int j = 0; j < 32; j++)
            dst[j] = (float)v[j] * d + m;
    }
}

/* { d; u32 h; q[16] }: (q - 16) d */
DTYPE_ROW(q5_0)
{
    const uint8_t *b = src;
    for (int64_t k = 0; k < n / 32; k++, b += 22, dst += 32) {
        float d = half_at(b);
        uint8_t v[32];
        split_with_fifth(v, b + 6, b + 2);
        for (int j = 0; j < 32; j++)
            dst[j] = (float)(v[j] - 16) * d;
    }
}

/* { d; m; u32 h; q[16] }: q d + m */
DTYPE_ROW(q5_1)
{
    const uint8_t *b = src;
    for (int64_t k = 0; k < n / 32; k++, b += 24, dst += 32) {
        float d = half_at(b), m = half_at(b + 2);
        uint8_t v[32];
        split_with_fifth(v, b + 8, b + 4);
        for (int j = 0; j < 32; j++)
            dst[j] = (float)v[j] * d + m;
    }
}

/* { d; half: sum of the elements; i8 q[32] }: q d */
DTYPE_ROW(q8_1)
{
    const uint8_t *b = src;
    for (int64_t k = 0; k < n / 32; k++, b += 36, dst += 32) {
        float d = half_at(b);
        const int8_t *q = (const int8_t *)(b + 4);
        for (int j = 0; j < 32; j++)
            dst[j] = (float)q[j] * d;
    }
}

/* { d; u8 q[16] }: a bit an element, d where it is set and -d where not */
DTYPE_ROW(q1_0)
{
    const uint8_t *b = src;
    for (int64_t k = 0; k < n / 128; k++, b += 18, dst += 128) {
        uint32_t minus_d = bits_of_float(half_at(b)) ^ 0x80000000;
        for (int i = 0; i < 16; i++)
            for (int j = 0; j < 8; j++)
                dst[8 * i + j] = float_of_bits(minus_d ^ (uint32_t)(b[2 + i] >> j) << 31);
    }
}

/* { d; u8 q[16] }: (q - 1) d, four elements a byte, the lowest bits first */
DTYPE_ROW(q2_0)
{
    const uint8_t *b = src;
    for (int64_t k = 0; k < n / 64; k++, b += 18, dst += 64) {
        float d = half_at(b);
        for (int i = 0; i < 16; i++)
            for (int j = 0; j < 4; j++)
                dst[4 * i + j] = (float)((b[2 + i] >> 2 * j & 3) - 1) * d;
    }
}

/* The first digits of `count` fractions q / 256 to base 3, less 1, times d; q keeps the other digits. */
static inline void ternary_digits(float *restrict dst, uint8_t *restrict q, int count, float d)
{
    for (int j = 0; j < count; j++) {
        int v = q[j] * 3;
        dst[j] = (float)((v >> 8) - 1) * d;
        q[j] = (uint8_t)v;
    }
}

/* { u8 q[48]; u8 h[4]; d }: ternary elements, five a byte of q and four a byte of h.  A digit of every byte
 * of a group comes before the next: groups are q[0..31], q[32..47] and h. */
DTYPE_ROW(tq1_0)
{
    const uint8_t *b = src;
    for (int64_t k = 0; k < n / 256; k++, b += 54, dst += 256) {
        float d = half_at(b + 52);
        uint8_t q[52];
        memcpy(q, b, sizeof q);
        for (int digit = 0; digit < 5; digit++) {
            ternary_digits(dst + 32 * digit, q, 32, d);
            ternary_digits(dst + 160 + 16 * digit, q + 32, 16, d);
            if (digit < 4)
                ternary_digits(dst + 240 + 4 * digit, q + 48, 4, d);
        }
    }
}

/* { u8 q[64]; d }: (q - 1) d; the lowest bits of 32 bytes are 32 elements in a row */
DTYPE_ROW(tq2_0)
{
    const uint8_t *b = src;
    for (int64_t k = 0; k < n / 256; k++, b += 66) {
        float d = half_at(b + 64);
        for (int half = 0; half < 2; half++)
            for (int shift = 0; shift < 8; shift += 2, dst += 32)
                for (int j = 0; j < 32; j++)
                    dst[j] = (float)((b[32 * half + j] >> shift & 3) - 1) * d;
    }
}
