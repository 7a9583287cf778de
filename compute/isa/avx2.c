/* AVX2 + FMA + F16C. */
#include "compute/attention_few.h"
#include "compute/dtype_rows.h"
#include "compute/kernels_c.h"

#if defined(__x86_64__)
#include <float.h>
#include <immintrin.h>
#include <math.h>
#include <string.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c")
#endif

#define VW 8
#define SIMD_MR 6
#define SIMD_NR 16
typedef __m256 V;
typedef __m256d W;
typedef __m256 M;

static inline V v_load(const float *p) { return _mm256_loadu_ps(p); }
static inline void v_store(float *p, V v) { _mm256_storeu_ps(p, v); }
static inline V v_set1(float x) { return _mm256_set1_ps(x); }
static inline V v_add(V a, V b) { return _mm256_add_ps(a, b); }
static inline V v_sub(V a, V b) { return _mm256_sub_ps(a, b); }
static inline V v_mul(V a, V b) { return _mm256_mul_ps(a, b); }
static inline V v_div(V a, V b) { return _mm256_div_ps(a, b); }
static inline V v_fma(V a, V b, V c) { return _mm256_fmadd_ps(a, b, c); }
static inline V v_max(V a, V b) { return _mm256_max_ps(a, b); }
static inline V v_min(V a, V b) { return _mm256_min_ps(a, b); }
static inline V v_abs(V a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a); }
static inline V v_round(V a) { return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
static inline V v_scale2(V x, V n)
{
    __m256i i = _mm256_cvtps_epi32(n), half = _mm256_srai_epi32(i, 1), bias = _mm256_set1_epi32(127);
    __m256i rest = _mm256_sub_epi32(i, half);
    x = _mm256_mul_ps(x, _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(half, bias), 23)));
    return _mm256_mul_ps(x, _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(rest, bias), 23)));
}
static inline float v_total(V a)
{
    __m128 x = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    x = _mm_add_ps(x, _mm_movehl_ps(x, x));
    return _mm_cvtss_f32(_mm_add_ss(x, _mm_movehdup_ps(x)));
}
static inline W w_load(const float *p) { return _mm256_cvtps_pd(_mm_loadu_ps(p)); }
static inline W w_low(V a) { return _mm256_cvtps_pd(_mm256_castps256_ps128(a)); }
static inline W w_high(V a) { return _mm256_cvtps_pd(_mm256_extractf128_ps(a, 1)); }
static inline W w_add(W a, W b) { return _mm256_add_pd(a, b); }
static inline void w_store(double *p, W a) { _mm256_storeu_pd(p, a); }
static inline W w_totals(const W a[VW / 2])
{
    const W x = _mm256_add_pd(_mm256_permute2f128_pd(a[0], a[2], 0x20), _mm256_permute2f128_pd(a[0], a[2], 0x31));
    const W y = _mm256_add_pd(_mm256_permute2f128_pd(a[1], a[3], 0x20), _mm256_permute2f128_pd(a[1], a[3], 0x31));
    return _mm256_add_pd(_mm256_unpacklo_pd(x, y), _mm256_unpackhi_pd(x, y));
}
static inline __m256 v_halves(V a) { return a; }
static inline V v_round_bf16(V x)
{
    const __m256i u = _mm256_castps_si256(x), odd = _mm256_and_si256(_mm256_srli_epi32(u, 16), _mm256_set1_epi32(1));
    const __m256i up = _mm256_add_epi32(u, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
    const __m256i quiet = _mm256_or_si256(u, _mm256_set1_epi32(0x400000));
    const __m256i r = _mm256_blendv_epi8(up, quiet, _mm256_castps_si256(_mm256_cmp_ps(x, x, _CMP_UNORD_Q)));
    return _mm256_castsi256_ps(_mm256_and_si256(r, _mm256_set1_epi32((int)0xffff0000)));
}
static inline V v_keep(M m, V a) { return _mm256_and_ps(m, a); }
static inline V v_pick(M m, V a, V b) { return _mm256_blendv_ps(b, a, m); }
static inline M v_below(V a, V b) { return _mm256_cmp_ps(a, b, _CMP_LT_OQ); }
static inline M m_and_range(int64_t k, const int64_t *lo, const int64_t *hi)
{
    int lane[VW];
    for (int l = 0; l < VW; l++)
        lane[l] = k >= lo[l] && k < hi[l] ? -1 : 0;
    return _mm256_castsi256_ps(_mm256_loadu_si256((const __m256i *)lane));
}
static inline V v_mantissa(V x)
{
    V kept = _mm256_and_ps(x, _mm256_castsi256_ps(_mm256_set1_epi32(0x007fffff)));
    return _mm256_or_ps(kept, _mm256_set1_ps(1));
}
static inline V v_exponent(V x)
{
    return _mm256_cvtepi32_ps(_mm256_sub_epi32(_mm256_srli_epi32(_mm256_castps_si256(x), 23), _mm256_set1_epi32(127)));
}
static inline V v_power(V x) { return _mm256_and_ps(x, _mm256_castsi256_ps(_mm256_set1_epi32(0x7f800000))); }
static inline V v_bytes(__m128i x, int part)
{
    return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(part ? _mm_srli_si128(x, 8) : x));
}
static inline V v_chars(__m128i x, int part)
{
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(part ? _mm_srli_si128(x, 8) : x));
}
static inline V v_load_chars(const uint8_t *p)
{
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)p)));
}
static inline V v_load_f16(const uint8_t *p) { return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p)); }
static inline V v_load_bf16(const uint8_t *p)
{
    __m256i x = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p));
    return _mm256_castsi256_ps(_mm256_slli_epi32(x, 16));
}
static inline V v_even_bf16(const uint8_t *p)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_loadu_si256((const __m256i *)p), 16));
}
static inline V v_odd_bf16(const uint8_t *p)
{
    return _mm256_castsi256_ps(_mm256_and_si256(_mm256_loadu_si256((const __m256i *)p), _mm256_set1_epi32((int)0xffff0000)));
}
static inline V v_in_order(V pairs) /* of a and b in turn */
{
    return _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(pairs), 0xd8));
}
static inline V v_evens(V a, V b) { return v_in_order(_mm256_shuffle_ps(a, b, 0x88)); }
static inline V v_odds(V a, V b) { return v_in_order(_mm256_shuffle_ps(a, b, 0xdd)); }

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

/* 8 x 8 transpose in registers. */
static inline void transpose8(float *dst, int64_t stride, const float *src, int64_t ld)
{
    __m256 r[8], t[8];
    for (int i = 0; i < 8; i++)
        r[i] = _mm256_loadu_ps(src + i * ld);
    for (int i = 0; i < 8; i += 2) {
        t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
        t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
    }
    for (int i = 0; i < 8; i += 4) {
        r[i] = _mm256_shuffle_ps(t[i], t[i + 2], 0x44);
        r[i + 1] = _mm256_shuffle_ps(t[i], t[i + 2], 0xee);
        r[i + 2] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0x44);
        r[i + 3] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0xee);
    }
    for (int i = 0; i < 4; i++) {
        _mm256_storeu_ps(dst + i * stride, _mm256_permute2f128_ps(r[i], r[i + 4], 0x20));
        _mm256_storeu_ps(dst + (i + 4) * stride, _mm256_permute2f128_ps(r[i], r[i + 4], 0x31));
    }
}

void kernel_avx2_interleave(float *dst, int stride, const float *src, int64_t ld, int n_row, int64_t n_col)
{
    if (n_row < stride)
        memset(dst, 0, (size_t)n_col * (size_t)stride * sizeof *dst);
    int i = 0;
    for (; i + 8 <= n_row; i += 8) {
        int64_t k = 0;
        for (; k + 8 <= n_col; k += 8)
            transpose8(dst + k * stride + i, stride, src + i * ld + k, ld);
        for (; k < n_col; k++)
            for (int r = 0; r < 8; r++)
                dst[k * stride + i + r] = src[(i + r) * ld + k];
    }
    for (; i < n_row; i++)
        for (int64_t k = 0; k < n_col; k++)
            dst[k * stride + i] = src[i * ld + k];
}

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

const few_kernels few_avx2 = {few_dots, few_largest, few_exponentials, few_sum_rows};
const kernels kernels_avx2 = SIMD_KERNELS("avx2", &tiles_c);
#else
typedef int attnscope_no_avx2;
#endif
