/* Products with rows of small integers: AVX2 + FMA + F16C. */
#include "compute/blocks.h"
#include "compute/dtype_rows.h"

#if defined(__x86_64__)
#include <immintrin.h>
#include <string.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c")
#endif

#define VW 8
typedef __m256 V;
typedef __m256i B;
#include "compute/isa/block_types.h"

static ALWAYS_INLINE V f_load(const float *p) { return _mm256_loadu_ps(p); }
static ALWAYS_INLINE V f_set1(float x) { return _mm256_set1_ps(x); }
static ALWAYS_INLINE V f_zero(void) { return _mm256_setzero_ps(); }
static ALWAYS_INLINE V f_mul(V a, V b) { return _mm256_mul_ps(a, b); }
static ALWAYS_INLINE V f_fma(V a, V b, V c) { return _mm256_fmadd_ps(a, b, c); }
static ALWAYS_INLINE V f_of(B t) { return _mm256_cvtepi32_ps(t); }
static ALWAYS_INLINE V f_abs(V a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a); }
static ALWAYS_INLINE V f_of_bits(B a) { return _mm256_castsi256_ps(a); }
static ALWAYS_INLINE V f_first(V x) { return x; }
static ALWAYS_INLINE V f_halves(V a[PARTS][BLOCK_ROWS], int r) { return _mm256_add_ps(a[0][r], a[1][r]); }
static ALWAYS_INLINE V f_chars(const uint8_t *p)
{
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)p)));
}
static ALWAYS_INLINE V f_spread(V p, int first, int step, int run)
{
    const int second = first + (run == 4 ? step : 0);
    return _mm256_permutevar8x32_ps(p, _mm256_setr_epi32(first, first, first, first, second, second, second, second));
}
static ALWAYS_INLINE B b_load(const void *p) { return _mm256_loadu_si256(p); }
static ALWAYS_INLINE B b_kept(B x) { return x; }
static ALWAYS_INLINE V f_kept(V x) { return x; }
static ALWAYS_INLINE B b_shift8(B t) { return _mm256_slli_epi32(t, 8); }
static ALWAYS_INLINE B b_of_bits(V a) { return _mm256_castps_si256(a); }
static ALWAYS_INLINE B b_round(V a) { return _mm256_cvtps_epi32(a); }
static ALWAYS_INLINE B b_set1(int x) { return _mm256_set1_epi32(x); }
static ALWAYS_INLINE B b_add(B a, B b) { return _mm256_add_epi32(a, b); }
static ALWAYS_INLINE B b_sub(B a, B b) { return _mm256_sub_epi32(a, b); }
static ALWAYS_INLINE B b_mul(B a, B b) { return _mm256_mullo_epi32(a, b); }
static ALWAYS_INLINE B b_max(B a, B b) { return _mm256_max_epi32(a, b); }
static ALWAYS_INLINE B b_left(B a, int n) { return _mm256_sll_epi32(a, _mm_cvtsi32_si128(n)); }
static ALWAYS_INLINE B b_right(B a, int n) { return _mm256_sra_epi32(a, _mm_cvtsi32_si128(n)); }
static ALWAYS_INLINE B b_swap1(B a) { return _mm256_shuffle_epi32(a, 0xb1); }
static ALWAYS_INLINE B b_swap2(B a) { return _mm256_shuffle_epi32(a, 0x4e); }
static ALWAYS_INLINE void b_store_bytes(int8_t *p, B a)
{
    const B low = _mm256_setr_epi8(0, 4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
                                   0, 4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1);
    a = _mm256_shuffle_epi8(a, low);
    _mm_storel_epi64((__m128i *)p, _mm_unpacklo_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1)));
}
static ALWAYS_INLINE void b_store_fourths(void *p, B a)
{
    _mm_storel_epi64((__m128i *)p, _mm_unpacklo_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1)));
}
static ALWAYS_INLINE B dot_avx2(B t, B q, B x)
{
    return _mm256_add_epi32(t, _mm256_madd_epi16(_mm256_maddubs_epi16(q, x), _mm256_set1_epi16(1)));
}

static ALWAYS_INLINE B halves_of(__m128i first, __m128i second)
{
    return _mm256_inserti128_si256(_mm256_castsi128_si256(first), second, 1);
}

static ALWAYS_INLINE block_sets nibbles(B q)
{
    const B mask = _mm256_set1_epi8(15);
    return (block_sets){_mm256_and_si256(q, mask), _mm256_and_si256(_mm256_srli_epi16(q, 4), mask)};
}

/* 16 where the bit of an element is set in the two bytes at first, and at second. */
static ALWAYS_INLINE B fifth_bits(const uint8_t *first, const uint8_t *second)
{
    const B bit = _mm256_set1_epi64x((int64_t)0x8040201008040201);
    const B spread = _mm256_setr_epi8(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1,
                                      0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1);
    const B h = halves_of(_mm_cvtsi32_si128(*(const u16_at *)first), _mm_cvtsi32_si128(*(const u16_at *)second));
    const B x = _mm256_shuffle_epi8(h, spread);
    return _mm256_and_si256(_mm256_cmpeq_epi8(_mm256_and_si256(x, bit), bit), _mm256_set1_epi8(16));
}

/* Four blocks of a row; what lies behind it is zeros. */
typedef struct small_blocks { const uint8_t *b[4]; } small_blocks;

static ALWAYS_INLINE small_blocks four_blocks(const uint8_t *b, int n_block, int bytes)
{
    static const uint8_t nothing[24];
    return (small_blocks){{b, n_block > 1 ? b + bytes : nothing, n_block > 2 ? b + 2 * bytes : nothing,
                           n_block > 3 ? b + 3 * bytes : nothing}};
}

static ALWAYS_INLINE short word_at(const uint8_t *p)
{
    return *(const i16_at *)p;
}

/* d of the four, and what lies `second` bytes behind. */
static ALWAYS_INLINE __m256 half_floats(const small_blocks *b, int second)
{
    return _mm256_cvtph_ps(_mm_setr_epi16(word_at(b->b[0]), word_at(b->b[1]), word_at(b->b[2]), word_at(b->b[3]),
                                          word_at(b->b[0] + second), word_at(b->b[1] + second), word_at(b->b[2] + second),
                                          word_at(b->b[3] + second)));
}

static ALWAYS_INLINE block_sets two_blocks(const uint8_t *first, const uint8_t *second, int nibble, int fifth)
{
    const __m128i q0 = _mm_loadu_si128((const __m128i *)(first + nibble));
    const __m128i q1 = _mm_loadu_si128((const __m128i *)(second + nibble));
    block_sets s = nibbles(halves_of(q0, q1));
    if (fifth > 0) {
        s.low = _mm256_or_si256(s.low, fifth_bits(first + fifth, second + fifth));
        s.high = _mm256_or_si256(s.high, fifth_bits(first + fifth + 2, second + fifth + 2));
    }
    return s;
}

/* fifth: bytes before the fifth bits, 0: none; second: bytes before c, or d again. */
#define SMALL_SETS(name, bytes, fifth, second)                                                  \
    static ALWAYS_INLINE small_blocks raw_##name(const uint8_t *b, int n_block)                 \
    {                                                                                           \
        return four_blocks(b, n_block, bytes);                                                  \
    }                                                                                           \
                                                                                                \
    static ALWAYS_INLINE __m256 scales_##name(const small_blocks *b)                            \
    {                                                                                           \
        return half_floats(b, second);                                                          \
    }                                                                                           \
                                                                                                \
    static ALWAYS_INLINE block_sets set_##name(const small_blocks *b, int part)                 \
    {                                                                                           \
        return two_blocks(b->b[2 * part], b->b[2 * part + 1], bytes - 16, fifth);               \
    }
SMALL_SETS(q4_0, 18, 0, 0)
SMALL_SETS(q4_1, 20, 0, 2)
SMALL_SETS(q5_0, 22, 2, 0)
SMALL_SETS(q5_1, 24, 4, 2)

static ALWAYS_INLINE block_sets set_q4_k(const uint8_t *b, int half, int part)
{
    return nibbles(b_load(b + 16 + 64 * half + 32 * part));
}

/* Bit `from` of the bytes at h becomes bit 4, and so on upwards; all but the bits of mask are 0. */
static ALWAYS_INLINE B high_bits(const uint8_t *h, int from, int mask)
{
    const B x = b_load(h);
    return _mm256_and_si256(from < 4 ? _mm256_slli_epi16(x, 4 - from) : _mm256_srli_epi16(x, from - 4),
                            _mm256_set1_epi8((char)mask));
}

static ALWAYS_INLINE block_sets set_q5_k(const uint8_t *b, int half, int part)
{
    const block_sets s = nibbles(b_load(b + 48 + 64 * half + 32 * part));
    const int bit = 4 * half + 2 * part;
    return (block_sets){_mm256_or_si256(s.low, high_bits(b + 16, bit, 16)),
                        _mm256_or_si256(s.high, high_bits(b + 16, bit + 1, 16))};
}

static ALWAYS_INLINE block_sets set_q6_k(const uint8_t *b, int half, int part)
{
    const block_sets s = nibbles(b_load(b + 64 * half + 32 * part));
    const uint8_t *h = b + 128 + 32 * half;
    return (block_sets){_mm256_or_si256(s.low, high_bits(h, 2 * part, 48)),
                        _mm256_or_si256(s.high, high_bits(h, 4 + 2 * part, 48))};
}

#include "compute/isa/block_prepare.h"

#define BLOCK_NAME(name) name##_avx2
#include "compute/isa/block_body.h"
#undef BLOCK_NAME

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

const block_kernels blocks_avx2 = {prepare, BLOCK_DOTS(_avx2)};
#else
typedef int attnscope_no_blocks_avx2;
#endif
