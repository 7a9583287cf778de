/* Quantised blocks of 256 with a scale for every 16 or 32 elements. */
#include "compute/dtype_rows.h"

#include <string.h>

/* { u8 s[16]; u8 q[64]; d; m }: d (s & 15) q - m (s >> 4), a scale byte for every 16 elements.  The lowest
 * bits of 32 bytes are 32 elements in a row, the next bits the next 32. */
DTYPE_ROW(q2_k)
{
    const uint8_t *b = src;
    for (int64_t k = 0; k < n / 256; k++, b += 84) {
        float d = half_at(b + 80), m = half_at(b + 82);
        for (int group = 0; group < 16; group++, dst += 16) {
            float scale = d * (float)(b[group] & 15), least = m * (float)(b[group] >> 4);
            const uint8_t *q = b + 16 + 32 * (group / 8) + 16 * (group % 2);
            int shift = group / 2 % 4 * 2;
            for (int j = 0; j < 16; j++)
                dst[j] = scale * (float)(q[j] >> shift & 3) - least;
        }
    }
}

/* { u8 h[32]; u8 q[64]; u8 s[12]; d }: d (s - 32) (q - 4 (1 - h)).  q as in q2_k; bit i of the bytes of h
 * belongs to elements 32 i and up.  The 16 scales have six bits: the low four are the nibbles of s[0..7], the
 * high two those of s[8..11]. */
DTYPE_ROW(q3_k)
{
    const uint8_t *b = src;
    for (int64_t k = 0; k < n / 256; k++, b += 110) {
        const uint8_t *s = b + 96;
        float d = half_at(b + 108);
        for (int group = 0; group < 16; group++, dst += 16) {
            int low = s[group % 8] >> group / 8 * 4 & 15, high = s[8 + group % 4] >> group / 4 * 2 & 3;
            float scale = d * (float)((low | high << 4) - 32);
            const uint8_t *q = b + 32 + 32 * (group / 8) + 16 * (group % 2), *h = b + 16 * (group % 2);
            int shift = group / 2 % 4 * 2, bit = group / 2;
            for (int j = 0; j < 16; j++)
                dst[j] = scale * (float)((q[j] >> shift & 3) + (h[j] >> bit & 1) * 4 - 4);
        }
    }
}

/* Scales and minima of q4_k and q5_k: eight of each, of six bits.  The first four of each are the low six
 * bits of s[0..7]; the others have their low four bits in s[8..11] and the high two on top of the first. */
static inline void six_bit_scales(uint8_t scale[8], uint8_t least[8], const uint8_t s[12])
{
    for (int i = 0; i < 4; i++) {
        scale[i] = s[i] & 63;
        least[i] = s[i + 4] & 63;
        scale[i + 4] = (uint8_t)((s[i + 8] & 15) | s[i] >> 6 << 4);
        least[i + 4] = (uint8_t)(s[i + 8] >> 4 | s[i + 4] >> 6 << 4);
    }
}

/* { d; m; u8 s[12]; u8 q[128] }: d scale q - m least, for sub-blocks of 32: the low nibbles of 32 bytes,
 * then the high ones. */
DTYPE_ROW(q4_k)
{
    const uint8_t *b = src;
    for (int64_t k = 0; k < n / 256; k++, b += 144) {
        float d = half_at(b), m = half_at(b + 2);
        uint8_t scale[8], least[8];
        six_bit_scales(scale, least, b + 4);
        for (int i = 0; i < 8; i++, dst += 32) {
            float a = d * (float)scale[i], c = m * (float)least[i];
            const uint8_t *q = b + 16 + i / 2 * 32;
            int shift = i % 2 * 4;
            for (int j = 0; j < 32; j++)
                dst[j] = a * (float)(q[j] >> shift & 15) - c;
        }
    }
}

/* { d; m; u8 s[12]; u8 h[32]; u8 q[128] }: the same with a fifth bit, bit i of h for sub-block i. */
DTYPE_ROW(q5_k)
{
    const uint8_t *b = src;
    for (int64_t k = 0; k < n / 256; k++, b += 176) {
        float d = half_at(b), m = half_at(b + 2);
        uint8_t scale[8], least[8];
        six_bit_scales(scale, least, b + 4);
        for (int i = 0; i < 8; i++, dst += 32) {
            float a = d * (float)scale[i], c = m * (float)least[i];
            const uint8_t *q = b + 48 + i / 2 * 32, *h = b + 16;
            int shift = i % 2 * 4;
            for (int j = 0; j < 32; j++)
                dst[j] = a * (float)((q[j] >> shift & 15) | (h[j] >> i & 1) << 4) - c;
        }
    }
}

/* { u8 low[128]; u8 high[64]; i8 s[16]; d }: d s (q - 32), a scale for every 16 elements.  In either half of
 * the block: the low nibbles of 64 bytes, then the high ones; two more bits from 32 bytes of high, which hold
 * them for elements 0.., 32.., 64.. and 96... */
DTYPE_ROW(q6_k)
{
    const uint8_t *b = src;
    for (int64_t k = 0; k < n / 256; k++, b += 210) {
        const int8_t *s = (const int8_t *)b + 192;
        float d = half_at(b + 208);
        for (int group = 0; group < 16; group++, dst += 16) {
            int half = group / 8, part = group / 2 % 4, odd = group % 2;
            const uint8_t *low = b + 64 * half + 32 * (part % 2) + 16 * odd;
            const uint8_t *high = b + 128 + 32 * half + 16 * odd;
            float scale = d * (float)s[group];
            int shift = part / 2 * 4;
            for (int j = 0; j < 16; j++)
                dst[j] = scale * (float)(((low[j] >> shift & 15) | (high[j] >> 2 * part & 3) << 4) - 32);
        }
    }
}

/* { f32 d; i8 q[256]; i16 sums[16] }: d q */
DTYPE_ROW(q8_k)
{
    const uint8_t *b = src;
    for (int64_t k = 0; k < n / 256; k++, b += 292, dst += 256) {
        const int8_t *q = (const int8_t *)b + 4;
        float d;
        memcpy(&d, b, sizeof d);
        for (int j = 0; j < 256; j++)
            dst[j] = (float)q[j] * d;
    }
}
