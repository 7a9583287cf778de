/* What the conversions of element types share.  Source pointers come from files and may be unaligned:
 * multi-byte fields are read through types of alignment 1. */
#ifndef ATTNSCOPE_COMPUTE_DTYPE_ROWS_H
#define ATTNSCOPE_COMPUTE_DTYPE_ROWS_H

#include "compute/dtype.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "checkpoints are mapped, and little-endian");

#define UNALIGNED __attribute__((aligned(1), may_alias))
typedef uint16_t UNALIGNED u16_at;
typedef uint32_t UNALIGNED u32_at;
typedef uint64_t UNALIGNED u64_at;
typedef int16_t UNALIGNED i16_at;
typedef int32_t UNALIGNED i32_at;
typedef int64_t UNALIGNED i64_at;
typedef float UNALIGNED f32_at;
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

/* Half to single with branches, for the scales of blocks: one well predicted branch for each is cheaper than
 * none (as for rows of halves), and it leads the vectoriser to the elements inside a block instead of across
 * blocks. */
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

static inline float half_at(const uint8_t *p)
{
    return half_scale(*(const u16_at *)p);
}

/* dtype_info.to_f32 of each type. */
#define DTYPE_ROW(name) void dtype_row_##name(float *restrict dst, const void *restrict src, int64_t n)
/* dtype_plain.c */
DTYPE_ROW(f32); DTYPE_ROW(f16); DTYPE_ROW(bf16); DTYPE_ROW(f64); DTYPE_ROW(bool);
DTYPE_ROW(i8); DTYPE_ROW(i16); DTYPE_ROW(i32); DTYPE_ROW(i64);
DTYPE_ROW(u8); DTYPE_ROW(u16); DTYPE_ROW(u32); DTYPE_ROW(u64);
/* dtype_narrow.c */
DTYPE_ROW(f8_e4m3); DTYPE_ROW(f8_e5m2); DTYPE_ROW(f8_e8m0); DTYPE_ROW(f8_e4m3fnuz); DTYPE_ROW(f8_e5m2fnuz);
DTYPE_ROW(f6_e2m3); DTYPE_ROW(f6_e3m2); DTYPE_ROW(f4); DTYPE_ROW(mxfp4); DTYPE_ROW(nvfp4);
/* dtype_q.c */
DTYPE_ROW(q8_0); DTYPE_ROW(q8_1); DTYPE_ROW(q4_0); DTYPE_ROW(q4_1); DTYPE_ROW(q5_0); DTYPE_ROW(q5_1);
DTYPE_ROW(q1_0); DTYPE_ROW(q2_0); DTYPE_ROW(tq1_0); DTYPE_ROW(tq2_0);
/* dtype_k.c */
DTYPE_ROW(q2_k); DTYPE_ROW(q3_k); DTYPE_ROW(q4_k); DTYPE_ROW(q5_k); DTYPE_ROW(q6_k); DTYPE_ROW(q8_k);
/* dtype_iq.c */
DTYPE_ROW(iq2_xxs); DTYPE_ROW(iq2_xs); DTYPE_ROW(iq2_s); DTYPE_ROW(iq3_xxs); DTYPE_ROW(iq3_s);
DTYPE_ROW(iq1_s); DTYPE_ROW(iq1_m); DTYPE_ROW(iq4_nl); DTYPE_ROW(iq4_xs);

#endif
