/* AVX-512 F, BW, DQ, VL. */
#include "compute/attention_few.h"
#include "compute/dtype_rows.h"
#include "compute/kernels_c.h"

#if defined(__x86_64__)
#include <float.h>
#include <immintrin.h>
#include <math.h>
#include <string.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c"))), \
                             apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c,prefer-vector-width=512")
#endif

#define VW 16
#define SIMD_MR 12
#define SIMD_NR 32
typedef __m512 V;
typedef __m512d W;
typedef __mmask16 M;

static inline V v_load(const float *p) { return _mm512_loadu_ps(p); }
static inline void v_store(float *p, V v) { _mm512_storeu_ps(p, v); }
static inline V v_set1(float x) { return _mm512_set1_ps(x); }
static inline V v_add(V a, V b) { return _mm512_add_ps(a, b); }
static inline V v_sub(V a, V b) { return _mm512_sub_ps(a, b); }
static inline V v_mul(V a, V b) { return _mm512_mul_ps(a, b); }
static inline V v_div(V a, V b) { return _mm512_div_ps(a, b); }
static inline V v_fma(V a, V b, V c) { return _mm512_fmadd_ps(a, b, c); }
static inline V v_max(V a, V b) { return _mm512_max_ps(a, b); }
static inline V v_min(V a, V b) { return _mm512_min_ps(a, b); }
static inline V v_abs(V a) { return _mm512_abs_ps(a); }
static inline V v_round(V a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
static inline V v_scale2(V x, V n) { return _mm512_scalef_ps(x, n); }
static inline float v_total(V a)
{
    __m256 h = _mm256_add_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
    __m128 x = _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
    x = _mm_add_ps(x, _mm_movehl_ps(x, x));
    return _mm_cvtss_f32(_mm_add_ss(x, _mm_movehdup_ps(x)));
}
static inline W w_load(const float *p) { return _mm512_cvtps_pd(_mm256_loadu_ps(p)); }
static inline W w_low(V a) { return _mm512_cvtps_pd(_mm512_castps512_ps256(a)); }
static inline W w_high(V a) { return _mm512_cvtps_pd(_mm512_extractf32x8_ps(a, 1)); }
static inline W w_add(W a, W b) { return _mm512_add_pd(a, b); }
static inline void w_store(double *p, W a) { _mm512_storeu_pd(p, a); }
/* Two vectors become one with half the lanes of each, three times; their order puts lanes in place. */
static inline W w_totals(const W a[VW / 2])
{
    W part[2];
    for (int i = 0; i < 2; i++) {
        const W x = _mm512_add_pd(_mm512_shuffle_f64x2(a[i], a[i + 2], 0x44), _mm512_shuffle_f64x2(a[i], a[i + 2], 0xee));
        const W y = _mm512_add_pd(_mm512_shuffle_f64x2(a[i + 4], a[i + 6], 0x44), _mm512_shuffle_f64x2(a[i + 4], a[i + 6], 0xee));
        part[i] = _mm512_add_pd(_mm512_shuffle_f64x2(x, y, 0x88), _mm512_shuffle_f64x2(x, y, 0xdd));
    }
    return _mm512_add_pd(_mm512_unpacklo_pd(part[0], part[1]), _mm512_unpackhi_pd(part[0], part[1]));
}
static inline __m256 v_halves(V a)
{
    return _mm256_add_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
}
static inline V v_round_bf16(V x)
{
    const __m512i u = _mm512_castps_si512(x), odd = _mm512_and_si512(_mm512_srli_epi32(u, 16), _mm512_set1_epi32(1));
    const __m512i up = _mm512_add_epi32(u, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
    const __m512i r = _mm512_mask_or_epi32(up, _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q), u, _mm512_set1_epi32(0x400000));
    return _mm512_castsi512_ps(_mm512_and_si512(r, _mm512_set1_epi32((int)0xffff0000)));
}
static inline V v_keep(M m, V a) { return _mm512_maskz_mov_ps(m, a); }
static inline V v_pick(M m, V a, V b) { return _mm512_mask_blend_ps(m, b, a); }
static inline M v_below(V a, V b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
#include "compute/isa/avx512_range.h"
static inline V v_mantissa(V x) { return _mm512_getmant_ps(x, _MM_MANT_NORM_1_2, _MM_MANT_SIGN_src); }
static inline V v_exponent(V x) { return _mm512_getexp_ps(x); }
static inline V v_power(V x)
{
    return _mm512_castsi512_ps(_mm512_and_epi32(_mm512_castps_si512(x), _mm512_set1_epi32(0x7f800000)));
}
static inline V v_bytes(__m128i x, int part) { return (void)part, _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(x)); }
static inline V v_chars(__m128i x, int part) { return (void)part, _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(x)); }
static inline V v_load_chars(const uint8_t *p)
{
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)p)));
}
static inline V v_load_f16(const uint8_t *p) { return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p)); }
static inline V v_load_bf16(const uint8_t *p)
{
    __m512i x = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p));
    return _mm512_castsi512_ps(_mm512_slli_epi32(x, 16));
}
static inline V v_even_bf16(const uint8_t *p)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_loadu_si512(p), 16));
}
static inline V v_odd_bf16(const uint8_t *p)
{
    return _mm512_castsi512_ps(_mm512_and_si512(_mm512_loadu_si512(p), _mm512_set1_epi32((int)0xffff0000)));
}
static inline __m512i every_other(int first)
{
    const __m512i step = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    return _mm512_add_epi32(step, _mm512_set1_epi32(first));
}
static inline V v_evens(V a, V b) { return _mm512_permutex2var_ps(a, every_other(0), b); }
static inline V v_odds(V a, V b) { return _mm512_permutex2var_ps(a, every_other(1), b); }

#include "compute/gelu.h"
#include "compute/layer_norm.h"
#include "compute/isa/simd_body.h"
#include "compute/isa/column_body.h"
#include "compute/isa/pair_body.h"
#include "compute/isa/row_dot_body.h"
#include "compute/isa/row_decode_body.h"
#include "compute/isa/row_grid_body.h"
#include "compute/isa/row_values_body.h"
#include "compute/isa/few_body.h"

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

const few_kernels few_avx512 = {few_dots, few_largest, few_exponentials, few_sum_rows};
const kernels kernels_avx512 = SIMD_KERNELS("avx512", &tiles_c);
const kernels kernels_avx512_bf16 = SIMD_KERNELS("avx512bf16", &tiles_avx512_bf16);
const kernels kernels_amx = SIMD_KERNELS("amx", &tiles_amx);
#else
typedef int attnscope_no_avx512;
#endif
