/* Blocks whose elements are taken in groups from code books (grids), and those with a table of 16 values.
 *
 * Grids are stored with two or four bits for an element (dtype_grids.h).  A group is unpacked into the bytes
 * of one 64-bit number, where all its elements are worked on at once. */
#include "compute/dtype_rows.h"

#include "compute/dtype_grids.h"

#define EACH_BYTE UINT64_C(0x0101010101010101)

/* Eight fields of two bits, the lowest first, to bytes. */
static inline uint64_t spread_pairs(uint16_t w)
{
    uint64_t x = w;
    x = (x | x << 24) & UINT64_C(0x000000ff000000ff);
    x = (x | x << 12) & UINT64_C(0x000f000f000f000f);
    return (x | x << 6) & UINT64_C(0x0303030303030303);
}

/* Two times four fields of four bits. */
static inline uint64_t spread_nibbles(uint16_t low, uint16_t high)
{
    uint64_t x = low | (uint64_t)high << 32;
    x = (x | x << 8) & UINT64_C(0x00ff00ff00ff00ff);
    return (x | x << 4) & UINT64_C(0x0f0f0f0f0f0f0f0f);
}

/* Values of the grids: {8, 25, 43}, {4, 12, 20, 28, 36, 44, 52, 62} and {1, 3, .. 15}. */
static inline uint64_t grid2(uint16_t w)
{
    uint64_t x = spread_pairs(w);
    return 8 * EACH_BYTE + 17 * x + (x >> 1 & EACH_BYTE);
}

static inline uint64_t grid3_xxs(uint16_t low, uint16_t high)
{
    uint64_t x = spread_nibbles(low, high);
    return 4 * EACH_BYTE + 8 * x + 2 * (x & x >> 1 & x >> 2 & EACH_BYTE);
}

static inline uint64_t grid3_s(uint16_t low, uint16_t high)
{
    return EACH_BYTE + 2 * spread_nibbles(low, high);
}

/* Eight elements: bytes of 1..127, those whose bit in `signs` is set being negative, times scale. */
static inline void put_signed(float *restrict dst, uint64_t values, unsigned signs, float scale)
{
    uint64_t bit = signs * EACH_BYTE & UINT64_C(0x8040201008040201);
    uint64_t minus = (bit + 0x7f * EACH_BYTE) >> 7 & EACH_BYTE;
    union { uint64_t u; int8_t v[8]; } x = {(values ^ minus * 0xff) + minus};
    for (int j = 0; j < 8; j++)
        dst[j] = scale * (float)x.v[j];
}

/* Seven signs are stored; the number of minus signs is even. */
static inline unsigned eight_signs(uint32_t seven)
{
    return seven | (unsigned)__builtin_parity(seven) << 7;
}

/* { d; 8 x { u8 grid[4]; u32: 4 x 7 signs, scale << 28 } } */
DTYPE_ROW(iq2_xxs)
{
    const uint8_t *b = src;
    for (int64_t k = 0; k < n / 256; k++, b += 66) {
        const uint8_t *q = b + 2;
        float d = half_at(b);
        for (int i = 0; i < 8; i++, q += 8) {
            uint32_t s = *(const u32_at *)(q + 4);
            float scale = d * (0.5f + (float)(s >> 28)) * 0.25f;
            for (int l = 0; l < 4; l++, dst += 8)
                put_signed(dst, grid2(dtype_grid_iq2_xxs[q[l]]), eight_signs(s >> 7 * l & 127), scale);
        }
    }
}

/* { d; u16 q[32]: grid, signs << 9; u8 scale[8]: a nibble for 16 elements } */
DTYPE_ROW(iq2_xs)
{
    const uint8_t *b = src;
    for (int64_t k = 0; k < n / 256; k++, b += 74) {
        const u16_at *q = (const u16_at *)(b + 2);
        float d = half_at(b);
        for (int i = 0; i < 16; i++) {
            float scale = d * (0.5f + (float)(b[66 + i / 2] >> i % 2 * 4 & 15)) * 0.25f;
            for (int l = 0; l < 2; l++, dst += 8, q++)
                put_signed(dst, grid2(dtype_grid_iq2_xs[*q & 511]), eight_signs(*q >> 9), scale);
        }
    }
}

/* { d; u8 grid[32]; u8 signs[32]; u8 high[8]: bits 8 and 9 of grid; u8 scale[8] } */
DTYPE_ROW(iq2_s)
{
    const uint8_t *b = src;
    for (int64_t k = 0; k < n / 256; k++, b += 82) {
        float d = half_at(b);
        for (int i = 0; i < 16; i++) {
            float scale = d * (0.5f + (float)(b[74 + i / 2] >> i % 2 * 4 & 15)) * 0.25f;
            for (int g = 2 * i; g < 2 * i + 2; g++, dst += 8) {
                int at = b[2 + g] | (b[66 + g / 4] >> g % 4 * 2 & 3) << 8;
                put_signed(dst, grid2(dtype_grid_iq2_s[at]), b[34 + g], scale);
            }
        }
    }
}

/* { d; u8 grid[64]; u32 s[8]: 4 x 7 signs, scale << 28 } */
DTYPE_ROW(iq3_xxs)
{
    const uint16_t *grid = dtype_grid_iq3_xxs;
    const uint8_t *b = src;
    for (int64_t k = 0; k < n / 256; k++, b += 98) {
        const uint8_t *q = b + 2;
        float d = half_at(b);
        for (int i = 0; i < 8; i++) {
            uint32_t s = *(const u32_at *)(b + 66 + 4 * i);
            float scale = d * (0.5f + (float)(s >> 28)) * 0.5f;
            for (int l = 0; l < 4; l++, dst += 8, q += 2)
                put_signed(dst, grid3_xxs(grid[q[0]], grid[q[1]]), eight_signs(s >> 7 * l & 127), scale);
        }
    }
}

/* { d; u8 grid[64]; u8 high[8]: bit 8 of grid; u8 signs[32]; u8 scale[4]: a nibble for 32 elements } */
DTYPE_ROW(iq3_s)
{
    const uint16_t *grid = dtype_grid_iq3_s;
    const uint8_t *b = src;
    for (int64_t k = 0; k < n / 256; k++, b += 110) {
        const uint8_t *q = b + 2;
        float d = half_at(b);
        for (int i = 0; i < 8; i++) {
            float scale = d * (float)(1 + 2 * (b[106 + i / 2] >> i % 2 * 4 & 15));
            for (int l = 0; l < 4; l++, dst += 8, q += 2) {
                int high = b[66 + i] >> 2 * l;
                uint64_t v = grid3_s(grid[q[0] | (high & 1) << 8], grid[q[1] | (high & 2) << 7]);
                put_signed(dst, v, b[74 + 4 * i + l], scale);
            }
        }
    }
}

/* Eight elements -1, 0 or 1 of a grid, plus delta, times scale. */
static inline void put_ternary(float *restrict dst, uint16_t grid, float delta, float scale)
{
    union { uint64_t u; uint8_t v[8]; } x = {spread_pairs(grid)};
    for (int j = 0; j < 8; j++)
        dst[j] = scale * ((float)(x.v[j] - 1) + delta);
}

/* { d; u8 grid[32]; u16 h[8]: bits 8..10 of four grids, scale << 12, sign of delta << 15 } */
DTYPE_ROW(iq1_s)
{
    const uint8_t *b = src;
    for (int64_t k = 0; k < n / 256; k++, b += 50) {
        const u16_at *h = (const u16_at *)(b + 34);
        float d = half_at(b);
        for (int i = 0; i < 8; i++) {
            float scale = d * (float)(2 * (h[i] >> 12 & 7) + 1);
            float delta = h[i] & 0x8000 ? -0.125f : 0.125f;
            for (int l = 0; l < 4; l++, dst += 8) {
                int at = b[2 + 4 * i + l] | (h[i] >> 3 * l & 7) << 8;
                put_ternary(dst, dtype_grid_iq1[at], delta, scale);
            }
        }
    }
}

/* { u8 grid[32]; u8 h[16]: for two grids bits 8..10 and the sign of delta; u16 s[4] }: each of s has four
 * scales of three bits for 16 elements, and above them a quarter of the half d. */
DTYPE_ROW(iq1_m)
{
    const uint8_t *b = src;
    for (int64_t k = 0; k < n / 256; k++, b += 56) {
        const u16_at *s = (const u16_at *)(b + 48);
        unsigned bits = (s[0] >> 12) | (s[1] >> 8 & 0xf0) | (s[2] >> 4 & 0xf00) | (s[3] & 0xf000);
        float d = half_scale((uint16_t)bits);
        for (int i = 0; i < 16; i++) {
            float scale = d * (float)(2 * (s[i / 4] >> 3 * (i % 4) & 7) + 1);
            for (int l = 0; l < 2; l++, dst += 8) {
                int h = b[32 + i] >> 4 * l, at = b[2 * i + l] | (h & 7) << 8;
                put_ternary(dst, dtype_grid_iq1[at], h & 8 ? -0.125f : 0.125f, scale);
            }
        }
    }
}

static const int8_t nonlinear[16] = {
    -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113,
};

/* 16 bytes: the low nibbles are elements 0..15, the high ones 16..31. */
static inline void put_nonlinear(float *restrict dst, const uint8_t *q, float scale)
{
    int8_t v[32];
    for (int j = 0; j < 16; j++) {
        v[j] = nonlinear[q[j] & 15];
        v[j + 16] = nonlinear[q[j] >> 4];
    }
    for (int j = 0; j < 32; j++)
        dst[j] = scale * (float)v[j];
}

/* { d; q[16] } */
DTYPE_ROW(iq4_nl)
{
    const uint8_t *b = src;
    for (int64_t k = 0; k < n / 32; k++, b += 18, dst += 32)
        put_nonlinear(dst, b + 2, half_at(b));
}

/* { d; u16 high; u8 low[4]; q[128] }: eight scales of six bits, less 32. */
DTYPE_ROW(iq4_xs)
{
    const uint8_t *b = src;
    for (int64_t k = 0; k < n / 256; k++, b += 136) {
        unsigned high = *(const u16_at *)(b + 2);
        float d = half_at(b);
        for (int i = 0; i < 8; i++, dst += 32) {
            int scale = (b[4 + i / 2] >> i % 2 * 4 & 15) | (int)(high >> 2 * i & 3) << 4;
            put_nonlinear(dst, b + 8 + 16 * i, d * (float)(scale - 32));
        }
    }
}
