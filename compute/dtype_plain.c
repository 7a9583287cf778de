/* Plain numbers to float32. */
#include "compute/dtype_rows.h"

#include <string.h>

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

DTYPE_ROW(f32)
{
    memcpy(dst, src, (size_t)n * sizeof(float));
}

DTYPE_ROW(f16)
{
    const u16_at *s = src;
    for (int64_t i = 0; i < n; i++)
        dst[i] = half_value(s[i]);
}

DTYPE_ROW(bf16)
{
    const u16_at *s = src;
    for (int64_t i = 0; i < n; i++)
        dst[i] = float_of_bits((uint32_t)s[i] << 16);
}

/* Plain numbers: the conversion of C, which rounds to nearest. */
#define PLAIN(name, type)               \
    DTYPE_ROW(name)                     \
    {                                   \
        const type *s = src;            \
        for (int64_t i = 0; i < n; i++) \
            dst[i] = (float)s[i];       \
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

DTYPE_ROW(bool)
{
    const uint8_t *s = src;
    for (int64_t i = 0; i < n; i++)
        dst[i] = s[i] ? 1.0f : 0.0f;
}
