/* Products with rows of small integers: AVX-512 F, BW, DQ, VL, and AVX512-VNNI where the machine has it.  Both give the same
 * bits: the sums are exact. */
#include "compute/blocks.h"
#include "compute/dtype_rows.h"

#if defined(__x86_64__)
#include <immintrin.h>
#include <string.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c"))), \
                             apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c,prefer-vector-width=512")
#endif

#define VW 16
typedef __m512 V;
typedef __m512i B;
#include "compute/isa/block_types.h"

static ALWAYS_INLINE V f_load(const float *p) { return _mm512_loadu_ps(p); }
static ALWAYS_INLINE V f_set1(float x) { return _mm512_set1_ps(x); }
static ALWAYS_INLINE V f_zero(void) { return _mm512_setzero_ps(); }
static ALWAYS_INLINE V f_mul(V a, V b) { return _mm512_mul_ps(a, b); }
static ALWAYS_INLINE V f_fma(V a, V b, V c) { return _mm512_fmadd_ps(a, b, c); }
static ALWAYS_INLINE V f_of(B t) { return _mm512_cvtepi32_ps(t); }
static ALWAYS_INLINE B b_load(const void *p) { return _mm512_loadu_si512(p); }
static ALWAYS_INLINE B b_kept(B x)
{
    __asm__("" : "+v"(x)); /* not a memory operand of every use */
    return x;
}
static ALWAYS_INLINE V f_kept(V x)
{
    __asm__("" : "+v"(x));
    return x;
}
static ALWAYS_INLINE B b_shift8(B t) { return _mm512_slli_epi32(t, 8); }
static ALWAYS_INLINE V f_abs(V a) { return _mm512_abs_ps(a); }
static ALWAYS_INLINE V f_of_bits(B a) { return _mm512_castsi512_ps(a); }
static ALWAYS_INLINE B b_of_bits(V a) { return _mm512_castps_si512(a); }
static ALWAYS_INLINE B b_round(V a) { return _mm512_cvtps_epi32(a); }
static ALWAYS_INLINE B b_set1(int x) { return _mm512_set1_epi32(x); }
static ALWAYS_INLINE B b_add(B a, B b) { return _mm512_add_epi32(a, b); }
static ALWAYS_INLINE B b_sub(B a, B b) { return _mm512_sub_epi32(a, b); }
static ALWAYS_INLINE B b_mul(B a, B b) { return _mm512_mullo_epi32(a, b); }
static ALWAYS_INLINE B b_max(B a, B b) { return _mm512_max_epi32(a, b); }
static ALWAYS_INLINE B b_left(B a, int n) { return _mm512_sll_epi32(a, _mm_cvtsi32_si128(n)); }
static ALWAYS_INLINE B b_right(B a, int n) { return _mm512_sra_epi32(a, _mm_cvtsi32_si128(n)); }
static ALWAYS_INLINE B b_swap1(B a) { return _mm512_shuffle_epi32(a, _MM_PERM_CDAB); }
static ALWAYS_INLINE B b_swap2(B a) { return _mm512_shuffle_epi32(a, _MM_PERM_BADC); }
static ALWAYS_INLINE void b_store_bytes(int8_t *p, B a) { _mm_storeu_si128((__m128i *)p, _mm512_cvtepi32_epi8(a)); }
static ALWAYS_INLINE void b_store_fourths(void *p, B a)
{
    const __m512i at = _mm512_setr_epi32(0, 4, 8, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    _mm_storeu_si128((__m128i *)p, _mm512_castsi512_si128(_mm512_permutexvar_epi32(at, a)));
}
static ALWAYS_INLINE V f_first(__m256 x) { return _mm512_castps256_ps512(x); }
static ALWAYS_INLINE V f_chars(const uint8_t *p)
{
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)p)));
}
static ALWAYS_INLINE __m256 f_halves(V a[PARTS][BLOCK_ROWS], int r)
{
    return _mm256_add_ps(_mm512_castps512_ps256(a[0][r]), _mm512_extractf32x8_ps(a[0][r], 1));
}
static ALWAYS_INLINE V f_spread(V p, int first, int step, int run)
{
    const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    __m512i group = run == 8 ? _mm512_srli_epi32(lane, 3) : _mm512_srli_epi32(lane, 2);
    group = _mm512_add_epi32(_mm512_mullo_epi32(group, _mm512_set1_epi32(step)), _mm512_set1_epi32(first));
    return _mm512_permutexvar_ps(group, p);
}

/* Words of four blocks of `words` 16-bit words behind each other, as an index into those that 64 bytes from their beginning
 * and 64 bytes up to their end hold: the first of each block, the second, or the eight words of its nibbles. */
#define WORD(words, block, i) \
    (short)((block) * (words) + (i) < 32 ? (block) * (words) + (i) : (block) * (words) + (i) + 64 - 4 * (words))
#define FOUR_WORDS(words, i) WORD(words, 0, i), WORD(words, 1, i), WORD(words, 2, i), WORD(words, 3, i)
#define NIBBLE_WORDS(words, block) \
    WORD(words, block, (words) - 8), WORD(words, block, (words) - 7), WORD(words, block, (words) - 6), \
    WORD(words, block, (words) - 5), WORD(words, block, (words) - 4), WORD(words, block, (words) - 3), \
    WORD(words, block, (words) - 2), WORD(words, block, (words) - 1)

typedef struct small_blocks { __m512i from, to; const uint8_t *b; int n; } small_blocks;

static ALWAYS_INLINE small_blocks four_blocks(const uint8_t *b, int n_block, int words)
{
    if (n_block == 4)
        return (small_blocks){b_kept(b_load(b)), b_kept(b_load(b + 8 * words - 64)), b, n_block};
    const uint64_t have = (1ull << n_block * words) - 1;
    return (small_blocks){
        _mm512_maskz_loadu_epi16((__mmask32)have, b),
        _mm512_maskz_loadu_epi16((__mmask32)(have >> (4 * words - 32)), b + 8 * words - 64), b, n_block,
    };
}

static ALWAYS_INLINE block_sets nibbles(__m512i q)
{
    const __m512i mask = _mm512_set1_epi8(15);
    return (block_sets){_mm512_and_si512(q, mask), _mm512_and_si512(_mm512_srli_epi16(q, 4), mask)};
}

/* 16 more where a fifth bit is set: of 16 elements of each block, from the word that is `at` bytes from its beginning. */
static ALWAYS_INLINE __m512i fifth_bits(__m512i q, const small_blocks *b, int block_bytes, int at)
{
    uint64_t m = 0;
    for (int i = 0; i < b->n; i++)
        m |= (uint64_t)*(const u16_at *)(b->b + i * block_bytes + at) << 16 * i;
    return _mm512_mask_add_epi8(q, (__mmask64)m, q, _mm512_set1_epi8(16));
}

/* fifth: bytes before the fifth bits, 0: none; second: the word that holds c, or d again. */
#define SMALL_SETS(name, words, fifth, second)                                                                    \
    static ALWAYS_INLINE small_blocks raw_##name(const uint8_t *b, int n_block)                                   \
    {                                                                                                             \
        return four_blocks(b, n_block, words);                                                                    \
    }                                                                                                             \
                                                                                                                  \
    static ALWAYS_INLINE __m256 scales_##name(const small_blocks *b)                                              \
    {                                                                                                             \
        const __m512i at = _mm512_castsi128_si512(_mm_setr_epi16(FOUR_WORDS(words, 0), FOUR_WORDS(words, second))); \
        return _mm256_cvtph_ps(_mm512_castsi512_si128(_mm512_permutex2var_epi16(b->from, at, b->to)));            \
    }                                                                                                             \
                                                                                                                  \
    static ALWAYS_INLINE block_sets set_##name(const small_blocks *b, int part)                                   \
    {                                                                                                             \
        static const short at[32] = {NIBBLE_WORDS(words, 0), NIBBLE_WORDS(words, 1), NIBBLE_WORDS(words, 2),      \
                                     NIBBLE_WORDS(words, 3)};                                                     \
        block_sets s = nibbles(_mm512_permutex2var_epi16(b->from, _mm512_loadu_si512(at), b->to));                \
        (void)part;                                                                                               \
        if (fifth > 0) {                                                                                          \
            s.low = fifth_bits(s.low, b, 2 * words, fifth);                                                       \
            s.high = fifth_bits(s.high, b, 2 * words, fifth + 2);                                                 \
        }                                                                                                         \
        return s;                                                                                                 \
    }
SMALL_SETS(q4_0, 9, 0, 0)
SMALL_SETS(q4_1, 10, 0, 1)
SMALL_SETS(q5_0, 11, 2, 0)
SMALL_SETS(q5_1, 12, 4, 1)

static ALWAYS_INLINE block_sets set_q4_k(const uint8_t *b, int half, int part)
{
    (void)part;
    return nibbles(b_load(b + 16 + 64 * half));
}

static ALWAYS_INLINE block_sets set_q5_k(const uint8_t *b, int half, int part)
{
    (void)part;
    block_sets s = nibbles(b_load(b + 48 + 64 * half));
    const uint8_t *h = b + 16;
    const __m256i x = _mm256_loadu_si256((const __m256i *)h);
    const __m512i both = _mm512_inserti64x4(_mm512_castsi256_si512(x), _mm256_srli_epi16(x, 2), 1);
    const __m512i bit = _mm512_set1_epi8(16);
    const __m512i low = half ? both : _mm512_slli_epi16(both, 4);
    const __m512i high = half ? _mm512_srli_epi16(both, 1) : _mm512_slli_epi16(both, 3);
    s.low = _mm512_ternarylogic_epi64(s.low, low, bit, 0xf8);
    s.high = _mm512_ternarylogic_epi64(s.high, high, bit, 0xf8);
    return s;
}

static ALWAYS_INLINE block_sets set_q6_k(const uint8_t *b, int half, int part)
{
    (void)part;
    block_sets s = nibbles(b_load(b + 64 * half));
    const __m256i x = _mm256_loadu_si256((const __m256i *)(b + 128 + 32 * half));
    const __m512i both = _mm512_inserti64x4(_mm512_castsi256_si512(x), _mm256_srli_epi16(x, 2), 1);
    const __m512i bits = _mm512_set1_epi8(48);
    s.low = _mm512_ternarylogic_epi64(s.low, _mm512_slli_epi16(both, 4), bits, 0xf8);
    s.high = _mm512_ternarylogic_epi64(s.high, both, bits, 0xf8);
    return s;
}

#include "compute/isa/block_prepare.h"

static ALWAYS_INLINE B dot_bw(B t, B q, B x)
{
    return _mm512_add_epi32(t, _mm512_madd_epi16(_mm512_maddubs_epi16(q, x), _mm512_set1_epi16(1)));
}

#define BLOCK_NAME(name) name##_bw
#include "compute/isa/block_body.h"
#undef BLOCK_NAME

#if defined(__clang__)
#pragma clang attribute pop
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c"))), \
                             apply_to = function)
#else
#pragma GCC pop_options
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c,prefer-vector-width=512")
#endif

static ALWAYS_INLINE B dot_vnni(B t, B q, B x)
{
    return _mm512_dpbusd_epi32(t, q, x);
}

#define BLOCK_NAME(name) name##_vnni
#include "compute/isa/block_body.h"
#undef BLOCK_NAME

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

const block_kernels blocks_avx512 = {prepare, BLOCK_DOTS(_bw)};
const block_kernels blocks_avx512_vnni = {prepare, BLOCK_DOTS(_vnni)};
#else
typedef int attnscope_no_blocks_avx512;
#endif
