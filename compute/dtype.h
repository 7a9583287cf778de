/* Element types of stored weights: plain numbers and quantised blocks, and their exact float32 values. */
#ifndef ATTNSCOPE_COMPUTE_DTYPE_H
#define ATTNSCOPE_COMPUTE_DTYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum dtype {
    DT_F32, DT_F16, DT_BF16, DT_F64,
    DT_I8, DT_I16, DT_I32, DT_I64, DT_U8, DT_U16, DT_U32, DT_U64, DT_BOOL,
    /* safetensors: narrow floats and complex numbers.  F4 and F6 elements are packed, hence blocks. */
    DT_F8_E4M3, DT_F8_E5M2, DT_F8_E8M0, DT_F8_E4M3FNUZ, DT_F8_E5M2FNUZ, DT_F6_E2M3, DT_F6_E3M2, DT_F4, DT_C64,
    /* GGUF blocks */
    DT_Q8_0, DT_Q4_0, DT_Q4_1, DT_Q5_0, DT_Q5_1, DT_Q8_1,
    DT_Q2_K, DT_Q3_K, DT_Q4_K, DT_Q5_K, DT_Q6_K, DT_Q8_K,
    DT_IQ2_XXS, DT_IQ2_XS, DT_IQ2_S, DT_IQ3_XXS, DT_IQ3_S, DT_IQ1_S, DT_IQ1_M, DT_IQ4_NL, DT_IQ4_XS,
    DT_TQ1_0, DT_TQ2_0, DT_MXFP4, DT_NVFP4, DT_Q1_0, DT_Q2_0,
    DT_COUNT
} dtype;

typedef struct dtype_info {
    const char *name;      /* "f32", "q4_1" */
    int block;             /* elements in a block; 1 for plain numbers */
    int block_bytes;
    /* n elements (a multiple of block) at src, which may be unaligned, as float32.  NULL when weights of
     * this type can be listed but not computed with. */
    void (*to_f32)(float *dst, const void *src, int64_t n);
} dtype_info;

extern const dtype_info dtypes[DT_COUNT];

float f16_to_f32(uint16_t h);
/* To the nearest half, ties to even.  *overflow is set when a finite x is beyond the largest half. */
uint16_t f32_to_f16(float x, bool *overflow);
uint16_t f32_to_bf16(float x); /* round to nearest even; NaN stays NaN */
static inline float bf16_to_f32(uint16_t h)
{
    union { uint32_t u; float f; } v = {(uint32_t)h << 16};
    return v.f;
}

#endif
