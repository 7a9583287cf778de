/* The table of element types.
 *
 * Conversions are on the path of every matrix product (weights are expanded panel by panel), so they are
 * written as short branch-free loops that a compiler vectorises for any x86-64. */
#include "compute/dtype_rows.h"

float f16_to_f32(uint16_t h)
{
    return half_scale(h);
}

uint16_t f32_to_f16(float x, bool *overflow)
{
    union { float f; uint32_t u; } v = {x};
    uint16_t sign = (uint16_t)(v.u >> 16 & 0x8000);
    uint32_t a = v.u & 0x7fffffff;

    if (a >= 0x7f800000) /* infinity; NaN keeps what fits of its payload */
        return (uint16_t)(sign | 0x7c00 | (a > 0x7f800000 ? 0x200 | (a >> 13 & 0x3ff) : 0));
    if (a >= 0x477ff000) { /* 65520 rounds to 2^16 */
        *overflow = true;
        return (uint16_t)(sign | 0x7c00);
    }
    if (a < 0x38800000) { /* a subnormal half counts units of 2^-24: let the addition round */
        v.u = a;
        v.f += 0.5f;
        return (uint16_t)(sign | (v.u - 0x3f000000));
    }
    a += 0xfff + (a >> 13 & 1);
    return (uint16_t)(sign | (a - 0x38000000) >> 13);
}

uint16_t f32_to_bf16(float x)
{
    uint32_t u = bits_of_float(x);
    if ((u & 0x7fffffff) > 0x7f800000)
        return (uint16_t)(u >> 16 | 0x40); /* a payload in the low half alone must not become infinity */
    return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

const dtype_info dtypes[DT_COUNT] = {
    [DT_F32] = {"f32", 1, 4, dtype_row_f32},
    [DT_F16] = {"f16", 1, 2, dtype_row_f16},
    [DT_BF16] = {"bf16", 1, 2, dtype_row_bf16},
    [DT_F64] = {"f64", 1, 8, dtype_row_f64},
    [DT_I8] = {"i8", 1, 1, dtype_row_i8},
    [DT_I16] = {"i16", 1, 2, dtype_row_i16},
    [DT_I32] = {"i32", 1, 4, dtype_row_i32},
    [DT_I64] = {"i64", 1, 8, dtype_row_i64},
    [DT_U8] = {"u8", 1, 1, dtype_row_u8},
    [DT_U16] = {"u16", 1, 2, dtype_row_u16},
    [DT_U32] = {"u32", 1, 4, dtype_row_u32},
    [DT_U64] = {"u64", 1, 8, dtype_row_u64},
    [DT_BOOL] = {"bool", 1, 1, dtype_row_bool},

    [DT_F8_E4M3] = {"f8_e4m3", 1, 1, dtype_row_f8_e4m3},
    [DT_F8_E5M2] = {"f8_e5m2", 1, 1, dtype_row_f8_e5m2},
    [DT_F8_E8M0] = {"f8_e8m0", 1, 1, dtype_row_f8_e8m0},
    [DT_F8_E4M3FNUZ] = {"f8_e4m3fnuz", 1, 1, dtype_row_f8_e4m3fnuz},
    [DT_F8_E5M2FNUZ] = {"f8_e5m2fnuz", 1, 1, dtype_row_f8_e5m2fnuz},
    [DT_F6_E2M3] = {"f6_e2m3", 4, 3, dtype_row_f6_e2m3},
    [DT_F6_E3M2] = {"f6_e3m2", 4, 3, dtype_row_f6_e3m2},
    [DT_F4] = {"f4", 2, 1, dtype_row_f4},
    [DT_C64] = {"c64", 1, 8, NULL},

    [DT_Q8_0] = {"q8_0", 32, 34, dtype_row_q8_0},
    [DT_Q4_0] = {"q4_0", 32, 18, dtype_row_q4_0},
    [DT_Q4_1] = {"q4_1", 32, 20, dtype_row_q4_1},
    [DT_Q5_0] = {"q5_0", 32, 22, dtype_row_q5_0},
    [DT_Q5_1] = {"q5_1", 32, 24, dtype_row_q5_1},
    [DT_Q8_1] = {"q8_1", 32, 36, dtype_row_q8_1},
    [DT_Q2_K] = {"q2_k", 256, 84, dtype_row_q2_k},
    [DT_Q3_K] = {"q3_k", 256, 110, dtype_row_q3_k},
    [DT_Q4_K] = {"q4_k", 256, 144, dtype_row_q4_k},
    [DT_Q5_K] = {"q5_k", 256, 176, dtype_row_q5_k},
    [DT_Q6_K] = {"q6_k", 256, 210, dtype_row_q6_k},
    [DT_Q8_K] = {"q8_k", 256, 292, dtype_row_q8_k},
    [DT_IQ2_XXS] = {"iq2_xxs", 256, 66, dtype_row_iq2_xxs},
    [DT_IQ2_XS] = {"iq2_xs", 256, 74, dtype_row_iq2_xs},
    [DT_IQ2_S] = {"iq2_s", 256, 82, dtype_row_iq2_s},
    [DT_IQ3_XXS] = {"iq3_xxs", 256, 98, dtype_row_iq3_xxs},
    [DT_IQ3_S] = {"iq3_s", 256, 110, dtype_row_iq3_s},
    [DT_IQ1_S] = {"iq1_s", 256, 50, dtype_row_iq1_s},
    [DT_IQ1_M] = {"iq1_m", 256, 56, dtype_row_iq1_m},
    [DT_IQ4_NL] = {"iq4_nl", 32, 18, dtype_row_iq4_nl},
    [DT_IQ4_XS] = {"iq4_xs", 256, 136, dtype_row_iq4_xs},
    [DT_TQ1_0] = {"tq1_0", 256, 54, dtype_row_tq1_0},
    [DT_TQ2_0] = {"tq2_0", 256, 66, dtype_row_tq2_0},
    [DT_MXFP4] = {"mxfp4", 32, 17, dtype_row_mxfp4},
    [DT_NVFP4] = {"nvfp4", 64, 36, dtype_row_nvfp4},
    [DT_Q1_0] = {"q1_0", 128, 18, dtype_row_q1_0},
    [DT_Q2_0] = {"q2_0", 64, 18, dtype_row_q2_0},
};
