/* The decoders of row_decode_body.h for types that take groups of elements from grids (dtype_grids.h).  Entries are looked up
 * one by one; their nibbles, each two fields of two bits or one of four, then all at once. */
#include "compute/dtype_grids.h"

/* Four and eight entries, the first lowest. */
static inline __m128i four_grids(uint16_t a, uint16_t b, uint16_t c, uint16_t d)
{
    return _mm_cvtsi64_si128((int64_t)(a | (uint64_t)b << 16 | (uint64_t)c << 32 | (uint64_t)d << 48));
}

/* Those of four bytes at q, whose higher bits are h_l & bits; higher bits come from scalars, as what vectors have stored is
 * slow to load piece by piece. */
#define FOUR_GRIDS(grid, q, bits, h0, h1, h2, h3)                                                       \
    four_grids(grid[(q)[0] | ((h0) & bits)], grid[(q)[1] | ((h1) & bits)], grid[(q)[2] | ((h2) & bits)], \
               grid[(q)[3] | ((h3) & bits)])

/* Seven signs a byte, the number of minus signs being even: with the eighth. */
static inline __m256i eighth_signs(__m256i seven)
{
    const __m128i odd = _mm_setr_epi8(0, -128, -128, 0, -128, 0, 0, -128, -128, 0, 0, -128, 0, -128, -128, 0);
    const __m256i low = by_table(odd, wide_bits(seven, 0, 15)), high = by_table(odd, wide_bits(seven, 4, 15));
    return _mm256_or_si256(seven, _mm256_xor_si256(low, high));
}

/* Of eight numbers: four times seven signs from the lowest bit on. */
static inline void put_signs(block_room *r, __m256i x)
{
    __m256i seven = _mm256_and_si256(x, _mm256_set1_epi32(0x7f));
    seven = _mm256_or_si256(seven, _mm256_and_si256(_mm256_slli_epi32(x, 1), _mm256_set1_epi32(0x7f00)));
    seven = _mm256_or_si256(seven, _mm256_and_si256(_mm256_slli_epi32(x, 2), _mm256_set1_epi32(0x7f0000)));
    seven = _mm256_or_si256(seven, _mm256_and_si256(_mm256_slli_epi32(x, 3), _mm256_set1_epi32(0x7f000000)));
    _mm256_storeu_si256((__m256i *)r->signs, eighth_signs(seven));
}

static inline __m256i grid2_bytes(__m128i grids)
{
    return pairs_by_table(grids, 8, 25, 43, 60);
}

static inline void open_iq2_xxs(block_room *r, const uint8_t *b)
{
    const __m256 a = _mm256_castsi256_ps(wide_at(b + 2)), c = _mm256_castsi256_ps(wide_at(b + 34));
    const __m256i s = _mm256_permute4x64_epi64(_mm256_castps_si256(_mm256_shuffle_ps(a, c, 0xdd)), 0xd8);
    half_scales_of_8(r->scale, half_float(b), _mm256_srli_epi32(s, 28), 0.25f);
    put_signs(r, s);
}

static inline void decode_iq2_xxs(V e[BLOCK_V], const block_room *r, const uint8_t *b, int part)
{
    const __m256i x = grid2_bytes(FOUR_GRIDS(dtype_grid_iq2_xxs, b + 2 + 8 * part, 0, 0, 0, 0, 0));
    scaled(e, minus_where_bits(x, r->signs + 4 * part), r->scale[part]);
}

static inline void open_iq2_xs(block_room *r, const uint8_t *b)
{
    const __m256i q = _mm256_srli_epi16(wide_at(b + 2), 9), p = _mm256_srli_epi16(wide_at(b + 34), 9);
    const __m256i seven = _mm256_permute4x64_epi64(_mm256_packus_epi16(q, p), 0xd8);
    half_scales_of_16(r->scale, half_float(b), nibbles_of_8(eight_bytes_at(b + 66)), 0.25f);
    _mm256_storeu_si256((__m256i *)r->signs, eighth_signs(seven));
}

static inline void decode_iq2_xs(V e[BLOCK_V], const block_room *r, const uint8_t *b, int part)
{
    const u16_at *q = (const u16_at *)(b + 2) + 4 * part;
    const uint16_t *grid = dtype_grid_iq2_xs;
    const __m256i x = grid2_bytes(four_grids(grid[q[0] & 511], grid[q[1] & 511], grid[q[2] & 511], grid[q[3] & 511]));
    scaled_by_halves(e, minus_where_bits(x, r->signs + 4 * part), r->scale + 2 * part);
}

static inline void open_iq2_s(block_room *r, const uint8_t *b)
{
    half_scales_of_16(r->scale, half_float(b), nibbles_of_8(eight_bytes_at(b + 74)), 0.25f);
}

static inline void decode_iq2_s(V e[BLOCK_V], const block_room *r, const uint8_t *b, int part)
{
    const int h = b[66 + part];
    const __m256i x = grid2_bytes(FOUR_GRIDS(dtype_grid_iq2_s, b + 2 + 4 * part, 0x300, h << 8, h << 6, h << 4, h << 2));
    scaled_by_halves(e, minus_where_bits(x, b + 34 + 4 * part), r->scale + 2 * part);
}

static inline void open_iq3_xxs(block_room *r, const uint8_t *b)
{
    const __m256i s = wide_at(b + 66);
    half_scales_of_8(r->scale, half_float(b), _mm256_srli_epi32(s, 28), 0.5f);
    put_signs(r, s);
}

static inline void decode_iq3_xxs(V e[BLOCK_V], const block_room *r, const uint8_t *b, int part)
{
    const __m128i values = _mm_setr_epi8(4, 12, 20, 28, 36, 44, 52, 62, 0, 0, 0, 0, 0, 0, 0, 0);
    const uint8_t *q = b + 2 + 8 * part;
    const __m128i first = FOUR_GRIDS(dtype_grid_iq3_xxs, q, 0, 0, 0, 0, 0);
    const __m128i second = FOUR_GRIDS(dtype_grid_iq3_xxs, q + 4, 0, 0, 0, 0, 0);
    const __m256i x = by_table(values, nibbles_of_16(_mm_unpacklo_epi64(first, second)));
    scaled(e, minus_where_bits(x, r->signs + 4 * part), r->scale[part]);
}

static inline void open_iq3_s(block_room *r, const uint8_t *b)
{
    const __m256i s = eight_fields(*(const u32_at *)(b + 106), 2);
    scales_of_8(r->scale, half_float(b), _mm256_add_epi32(_mm256_set1_epi32(1), _mm256_add_epi32(s, s)));
}

static inline void decode_iq3_s(V e[BLOCK_V], const block_room *r, const uint8_t *b, int part)
{
    const __m128i values = _mm_setr_epi8(1, 3, 5, 7, 9, 11, 13, 15, 0, 0, 0, 0, 0, 0, 0, 0);
    const uint8_t *q = b + 2 + 8 * part;
    const int h = b[66 + part];
    const __m128i first = FOUR_GRIDS(dtype_grid_iq3_s, q, 0x100, h << 8, h << 7, h << 6, h << 5);
    const __m128i second = FOUR_GRIDS(dtype_grid_iq3_s, q + 4, 0x100, h << 4, h << 3, h << 2, h << 1);
    const __m256i x = by_table(values, nibbles_of_16(_mm_unpacklo_epi64(first, second)));
    scaled(e, minus_where_bits(x, b + 74 + 4 * part), r->scale[part]);
}

/* Elements of the ternary grid and what is added to them, 1/8 or -1/8, are counted in eighths: an eighth of the scale is
 * exact. */
static inline __m256i eighths(__m128i grids, __m256i added)
{
    return _mm256_add_epi8(pairs_by_table(grids, -8, 0, 8, 16), added);
}

static inline void open_iq1_s(block_room *r, const uint8_t *b)
{
    const __m128i s = _mm_and_si128(_mm_srli_epi16(bytes_at(b + 34), 12), _mm_set1_epi16(7)), one = _mm_set1_epi16(1);
    scales_of_8(r->scale, half_float(b) * 0.125f, _mm256_cvtepi16_epi32(_mm_add_epi16(one, _mm_add_epi16(s, s))));
}

static inline void decode_iq1_s(V e[BLOCK_V], const block_room *r, const uint8_t *b, int part)
{
    const int h = ((const u16_at *)(b + 34))[part];
    const __m128i grids = FOUR_GRIDS(dtype_grid_iq1, b + 2 + 4 * part, 0x700, h << 8, h << 5, h << 2, h >> 1);
    scaled(e, eighths(grids, _mm256_set1_epi8(h & 0x8000 ? -1 : 1)), r->scale[part]);
}

/* Four numbers of 16 bits, each four times. */
static inline __m256i each_four_times(const uint8_t *p)
{
    const __m256i from = _mm256_setr_epi64x(0x0100010001000100, 0x0302030203020302, 0x0504050405040504, 0x0706070607060706);
    return _mm256_shuffle_epi8(_mm256_set1_epi64x(*(const i64_at *)p), from);
}

static inline void open_iq1_m(block_room *r, const uint8_t *b)
{
    const u16_at *s = (const u16_at *)(b + 48);
    const unsigned d = (s[0] >> 12) | (s[1] >> 8 & 0xf0) | (s[2] >> 4 & 0xf00) | (s[3] & 0xf000);
    const __m256i up = _mm256_set1_epi64x(INT64_C(0x0001000800400200)); /* times 512, 64, 8, 1 */
    const __m256i shifted = _mm256_srli_epi16(_mm256_mullo_epi16(each_four_times(b + 48), up), 9);
    const __m256i field = _mm256_and_si256(shifted, _mm256_set1_epi16(7)), eight = _mm256_set1_epi8(8);
    const __m256i odd = _mm256_add_epi16(_mm256_set1_epi16(1), _mm256_add_epi16(field, field));
    const __m256i minus = _mm256_cmpeq_epi8(_mm256_and_si256(nibbles_of_16(bytes_at(b + 32)), eight), eight);
    scales_of_16(r->scale, _cvtsh_ss((unsigned short)d) * 0.125f,
                 _mm_packs_epi16(_mm256_castsi256_si128(odd), _mm256_extracti128_si256(odd, 1)));
    _mm256_storeu_si256((__m256i *)r->signs, _mm256_or_si256(minus, _mm256_set1_epi8(1)));
}

static inline void decode_iq1_m(V e[BLOCK_V], const block_room *r, const uint8_t *b, int part)
{
    const int h = ((const u16_at *)(b + 32))[part];
    const __m128i grids = FOUR_GRIDS(dtype_grid_iq1, b + 4 * part, 0x700, h << 8, h << 4, h, h >> 4);
    scaled_by_halves(e, eighths(grids, each_eight_times(r->signs + 4 * part)), r->scale + 2 * part);
}
