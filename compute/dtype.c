/* The table of element types and their conversion to float32.
 *
 * The conversions are on the path of every matrix product (weights are expanded panel by panel), so the
 * common ones are written as short branch-free loops that a compiler vectorises for any x86-64.  Source
 * pointers come from files and may be unaligned: multi-byte fields are read through types of alignment 1. */
#include "compute/dtype.h"

#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "checkpoints are mapped, and little-endian");

#define UNALIGNED __attribute__((aligned(1), may_alias))
typedef uint16_t UNALIGNED u16_at;
typedef uint32_t UNALIGNED u32_at;
typedef uint64_t UNALIGNED u64_at;
typedef int16_t UNALIGNED i16_at;
typedef int32_t UNALIGNED i32_at;
typedef int64_t UNALIGNED i64_at;
typedef double UNALIGNED f64_at;

static inline float float_of_bits(uint32_t u)
{
    union { uint32_t u; float f; } v = {u};
    return v.f;
}

static inline uint32_t bits_of_float(float f)
{
    union { float f; uint32_t u; } v = {f};
    return v.u;
}

/* All ones when a > b, for values below 2^31: written so that no compiler makes a branch of it. */
static inline uint32_t mask_above(uint32_t a, uint32_t b)
{
    return (uint32_t)((int32_t)(b - a) >> 31);
}

/* Half to single without branches, for rows of halves.  The mantissa and exponent move to their new place and
 * the exponent is rebiased by 112; infinities and NaN get 112 more.  A subnormal is read as the fraction of
 * 2^-14 above 2^-14 itself, which is then taken away: exact, and no float32 subnormal is ever touched. */
static inline float half_value(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16;
    uint32_t magnitude = (uint32_t)(h & 0x7fff) << 13;
    uint32_t normal = magnitude + 0x38000000 + (mask_above(magnitude, 0x0f7fffff) & 0x38000000);
    uint32_t subnormal = bits_of_float(float_of_bits(magnitude + 0x38800000) - float_of_bits(0x38800000));
    uint32_t is_normal = mask_above(magnitude, 0x007fffff);
    return float_of_bits(sign | (normal & is_normal) | (subnormal & ~is_normal));
}

/* The same with branches, for the scales of blocks: one well predicted branch for each is cheaper, and it
 * leads the vectoriser to the elements inside a block instead of across blocks. */
static inline float half_scale(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16;
    uint32_t magnitude = (uint32_t)(h & 0x7fff) << 13;
    if (magnitude >= 0x0f800000)
        return float_of_bits(sign | (magnitude + 0x70000000));
    if (magnitude >= 0x00800000)
        return float_of_bits(sign | (magnitude + 0x38000000));
    return (sign ? -0x1p-24f : 0x1p-24f) * (float)(h & 0x3ff);
}

float f16_to_f32(uint16_t h)
{
    return half_scale(h);
}

uint16_t f32_to_bf16(float x)
{
    uint32_t u = bits_of_float(x);
    if ((u & 0x7fffffff) > 0x7f800000)
        return (uint16_t)(u >> 16 | 0x40); /* a payload in the low half alone must not become infinity */
    return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

static void f32_row(float *restrict dst, const void *restrict src, int64_t n)
{
    memcpy(dst, src, (size_t)n * sizeof(float));
}

static void f16_row(float *restrict dst, const void *restrict src, int64_t n)
{
    const u16_at *s = src;
    for (int64_t i = 0; i < n; i++)
        dst[i] = half_value(s[i]);
}

static void bf16_row(float *restrict dst, const void *restrict src, int64_t n)
{
    const u16_at *s = src;
    for (int64_t i = 0; i < n; i++)
        dst[i] = float_of_bits((uint32_t)s[i] << 16);
}

/* Plain numbers: the conversion of C, which rounds to nearest. */
#define PLAIN(name, type)                                                          \
    static void name##_row(float *restrict dst, const void *restrict src, int64_t n) \
    {                                                                              \
        const type *s = src;                                                       \
        for (int64_t i = 0; i < n; i++)                                            \
            dst[i] = (float)s[i];                                                  \
    }
PLAIN(f64, f64_at)
PLAIN(i8, int8_t)
PLAIN(i16, i16_at)
PLAIN(i32, i32_at)
PLAIN(i64, i64_at)
PLAIN(u8, uint8_t)
PLAIN(u16, u16_at)
PLAIN(u32, u32_at)
PLAIN(u64, u64_at)
#undef PLAIN

static void bool_row(float *restrict dst, const void *restrict src, int64_t n)
{
    const uint8_t *s = src;
    for (int64_t i = 0; i < n; i++)
        dst[i] = s[i] ? 1.0f : 0.0f;
}

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
static void q8_0_row(float *restrict dst, const void *restrict src, int64_t n)
{
    const uint8_t *b = src;
    for (int64_t k = 0; k < n / 32; k++, b += 34, dst += 32) {
        float d = half_scale(*(const u16_at *)b);
        const int8_t *q = (const int8_t *)(b + 2);
        for (int j = 0; j < 32; j++)
            dst[j] = (float)q[j] * d;
    }
}

/* { d; q[16] }: (q - 8) d */
static void q4_0_row(float *restrict dst, const void *restrict src, int64_t n)
{
    const uint8_t *b = src;
    for (int64_t k = 0; k < n / 32; k++, b += 18, dst += 32) {
        float d = half_scale(*(const u16_at *)b);
        uint8_t v[32];
        split_nibbles(v, b + 2);
        for (int j = 0; j < 32; j++)
            dst[j] = (float)(v[j] - 8) * d;
    }
}

/* { d; m; q[16] }: q d + m */
static void q4_1_row(float *restrict dst, const void *restrict src, int64_t n)
{
    const uint8_t *b = src;
    for (int64_t k = 0; k < n / 32; k++, b += 20, dst += 32) {
        float d = half_scale(*(const u16_at *)b), m = half_scale(*(const u16_at *)(b + 2));
        uint8_t v[32];
        split_nibbles(v, b + 4);
        for (int j = 0; j < 32; j++)
            dst[j] = (float)v[j] * d + m;
    }
}

/* { d; u32 h; q[16] }: (q - 16) d */
static void q5_0_row(float *restrict dst, const void *restrict src, int64_t n)
{
    const uint8_t *b = src;
    for (int64_t k = 0; k < n / 32; k++, b += 22, dst += 32) {
        float d = half_scale(*(const u16_at *)b);
        uint8_t v[32];
        split_with_fifth(v, b + 6, b + 2);
        for (int j = 0; j < 32; j++)
            dst[j] = (float)(v[j] - 16) * d;
    }
}

/* { d; m; u32 h; q[16] }: q d + m */
static void q5_1_row(float *restrict dst, const void *restrict src, int64_t n)
{
    const uint8_t *b = src;
    for (int64_t k = 0; k < n / 32; k++, b += 24, dst += 32) {
        float d = half_scale(*(const u16_at *)b), m = half_scale(*(const u16_at *)(b + 2));
        uint8_t v[32];
        split_with_fifth(v, b + 8, b + 4);
        for (int j = 0; j < 32; j++)
            dst[j] = (float)v[j] * d + m;
    }
}

const dtype_info dtypes[DT_COUNT] = {
    [DT_F32] = {"f32", 1, 4, f32_row},
    [DT_F16] = {"f16", 1, 2, f16_row},
    [DT_BF16] = {"bf16", 1, 2, bf16_row},
    [DT_F64] = {"f64", 1, 8, f64_row},
    [DT_I8] = {"i8", 1, 1, i8_row},
    [DT_I16] = {"i16", 1, 2, i16_row},
    [DT_I32] = {"i32", 1, 4, i32_row},
    [DT_I64] = {"i64", 1, 8, i64_row},
    [DT_U8] = {"u8", 1, 1, u8_row},
    [DT_U16] = {"u16", 1, 2, u16_row},
    [DT_U32] = {"u32", 1, 4, u32_row},
    [DT_U64] = {"u64", 1, 8, u64_row},
    [DT_BOOL] = {"bool", 1, 1, bool_row},

    [DT_F8_E4M3] = {"f8_e4m3", 1, 1, NULL},
    [DT_F8_E5M2] = {"f8_e5m2", 1, 1, NULL},
    [DT_F8_E8M0] = {"f8_e8m0", 1, 1, NULL},
    [DT_F8_E4M3FNUZ] = {"f8_e4m3fnuz", 1, 1, NULL},
    [DT_F8_E5M2FNUZ] = {"f8_e5m2fnuz", 1, 1, NULL},
    [DT_F6_E2M3] = {"f6_e2m3", 4, 3, NULL},
    [DT_F6_E3M2] = {"f6_e3m2", 4, 3, NULL},
    [DT_F4] = {"f4", 2, 1, NULL},
    [DT_C64] = {"c64", 1, 8, NULL},

    [DT_Q8_0] = {"q8_0", 32, 34, q8_0_row},
    [DT_Q4_0] = {"q4_0", 32, 18, q4_0_row},
    [DT_Q4_1] = {"q4_1", 32, 20, q4_1_row},
    [DT_Q5_0] = {"q5_0", 32, 22, q5_0_row},
    [DT_Q5_1] = {"q5_1", 32, 24, q5_1_row},
    [DT_Q8_1] = {"q8_1", 32, 36, NULL},
    [DT_Q2_K] = {"q2_k", 256, 84, NULL},
    [DT_Q3_K] = {"q3_k", 256, 110, NULL},
    [DT_Q4_K] = {"q4_k", 256, 144, NULL},
    [DT_Q5_K] = {"q5_k", 256, 176, NULL},
    [DT_Q6_K] = {"q6_k", 256, 210, NULL},
    [DT_Q8_K] = {"q8_k", 256, 292, NULL},
    [DT_IQ2_XXS] = {"iq2_xxs", 256, 66, NULL},
    [DT_IQ2_XS] = {"iq2_xs", 256, 74, NULL},
    [DT_IQ2_S] = {"iq2_s", 256, 82, NULL},
    [DT_IQ3_XXS] = {"iq3_xxs", 256, 98, NULL},
    [DT_IQ3_S] = {"iq3_s", 256, 110, NULL},
    [DT_IQ1_S] = {"iq1_s", 256, 50, NULL},
    [DT_IQ1_M] = {"iq1_m", 256, 56, NULL},
    [DT_IQ4_NL] = {"iq4_nl", 32, 18, NULL},
    [DT_IQ4_XS] = {"iq4_xs", 256, 136, NULL},
    [DT_TQ1_0] = {"tq1_0", 256, 54, NULL},
    [DT_TQ2_0] = {"tq2_0", 256, 66, NULL},
    [DT_MXFP4] = {"mxfp4", 32, 17, NULL},
    [DT_NVFP4] = {"nvfp4", 64, 36, NULL},
    [DT_Q1_0] = {"q1_0", 128, 18, NULL},
    [DT_Q2_0] = {"q2_0", 64, 18, NULL},
};
