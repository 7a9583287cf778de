/* Blocks of the types that row_dot_body.h has not, 32 elements at a time; row_values_body.h makes products and rows of them.
 * Every float is rounded as dtypes[].to_f32 does, whose sources (dtype_q.c, dtype_k.c, dtype_narrow.c, dtype_iq.c) describe
 * the layouts.  Besides what row_dot_body.h asks for, the file that includes this defines v_chars(x, part): lanes part * VW ..
 * of 16 signed bytes as floats.
 *
 * open_<name> works out what a block has once: scales, and signs for types with grids (row_grid_body.h).
 * decode_<name> makes elements 32 part .. of the block: bytes first, which shuffles look up in tables of 16 values. */

typedef struct block_room {
    float scale[16], least[16]; /* of 16 elements or of 32 */
    uint8_t signs[32];          /* a bit an element, set: minus; or a byte for eight elements, what is added to them */
} block_room;

static inline __m256i wide_at(const void *p)
{
    return _mm256_loadu_si256((const __m256i *)p);
}

static inline __m256i wide_bits(__m256i x, int shift, int mask)
{
    return _mm256_and_si256(_mm256_srl_epi16(x, _mm_cvtsi32_si128(shift)), _mm256_set1_epi8((char)mask));
}

static inline __m256i two_halves(__m128i low, __m128i high)
{
    return _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);
}

/* The low nibbles of 16 bytes, then the high ones. */
static inline __m256i low_then_high(__m128i x)
{
    return _mm256_and_si256(two_halves(x, _mm_srli_epi16(x, 4)), _mm256_set1_epi8(15));
}

/* The nibbles of 8 bytes in order; those of 16. */
static inline __m128i nibbles_of_8(__m128i x)
{
    return _mm_and_si128(_mm_unpacklo_epi8(x, _mm_srli_epi16(x, 4)), _mm_set1_epi8(15));
}

static inline __m256i nibbles_of_16(__m128i x)
{
    const __m128i high = _mm_srli_epi16(x, 4);
    return _mm256_and_si256(two_halves(_mm_unpacklo_epi8(x, high), _mm_unpackhi_epi8(x, high)), _mm256_set1_epi8(15));
}

/* 32 fields of two bits, those of 8 bytes; a..d: the values of 0..3. */
static inline __m256i pairs_by_table(__m128i x, char a, char b, char c, char d)
{
    const __m128i first = _mm_setr_epi8(a, b, c, d, a, b, c, d, a, b, c, d, a, b, c, d);
    const __m128i second = _mm_setr_epi8(a, a, a, a, b, b, b, b, c, c, c, c, d, d, d, d);
    const __m128i n = nibbles_of_8(x), even = _mm_shuffle_epi8(first, n), odd = _mm_shuffle_epi8(second, n);
    return two_halves(_mm_unpacklo_epi8(even, odd), _mm_unpackhi_epi8(even, odd));
}

static inline __m256i by_table(__m128i table, __m256i nibbles)
{
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(table), nibbles);
}

/* Four bytes, each eight times. */
static inline __m256i each_eight_times(const uint8_t *p)
{
    const __m256i from = _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
    return _mm256_shuffle_epi8(_mm256_set1_epi32(*(const i32_at *)p), from);
}

/* All ones where the bit of an element is set in the four bytes at p. */
static inline __m256i where_bits(const uint8_t *p)
{
    const __m256i bit = _mm256_set1_epi64x((int64_t)0x8040201008040201);
    return _mm256_cmpeq_epi8(_mm256_and_si256(each_eight_times(p), bit), bit);
}

static inline __m256i minus_where_bits(__m256i x, const uint8_t *p)
{
    const __m256i minus = where_bits(p);
    return _mm256_sub_epi8(_mm256_xor_si256(x, minus), minus);
}

/* 32 signed bytes as floats, times a scale each half, or one for all. */
static inline void v_wide_chars(V e[BLOCK_V], __m256i x)
{
    const __m128i half[2] = {_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1)};
#pragma GCC unroll 4
    for (int i = 0; i < BLOCK_V; i++)
        e[i] = v_chars(half[i / (BLOCK_V / 2)], i % (BLOCK_V / 2));
}

static inline void scaled_by_halves(V e[BLOCK_V], __m256i x, const float *scale)
{
    v_wide_chars(e, x);
#pragma GCC unroll 4
    for (int i = 0; i < BLOCK_V; i++)
        e[i] = v_mul(v_set1(scale[i / (BLOCK_V / 2)]), e[i]);
}

static inline void scaled(V e[BLOCK_V], __m256i x, float scale)
{
    v_wide_chars(e, x);
    v_block_scale(e, scale);
}

/* ---- scales ---- */

/* scale[i] = d times 16 signed bytes. */
static inline void scales_of_16(float *scale, float d, __m128i x)
{
    for (int i = 0; i < 16 / VW; i++)
        v_store(scale + i * VW, v_mul(v_set1(d), v_chars(x, i)));
}

/* The same of eight integers. */
static inline void scales_of_8(float *scale, float d, __m256i x)
{
    _mm256_storeu_ps(scale, _mm256_mul_ps(_mm256_set1_ps(d), _mm256_cvtepi32_ps(x)));
}

/* Fields of 1 << log_bits bits of a number, eight of them. */
static inline __m256i eight_fields(uint32_t u, int log_bits)
{
    const __m256i step = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    const __m256i x = _mm256_srlv_epi32(_mm256_set1_epi32((int)u), _mm256_sll_epi32(step, _mm_cvtsi32_si128(log_bits)));
    return _mm256_and_si256(x, _mm256_set1_epi32((1 << (1 << log_bits)) - 1));
}

/* d (1/2 + s) f, each step rounded. */
static inline void half_scales_of_16(float *scale, float d, __m128i s, float f)
{
    for (int i = 0; i < 16 / VW; i++)
        v_store(scale + i * VW, v_mul(v_mul(v_set1(d), v_add(v_set1(0.5f), v_chars(s, i))), v_set1(f)));
}

static inline void half_scales_of_8(float *scale, float d, __m256i s, float f)
{
    const __m256 x = _mm256_add_ps(_mm256_set1_ps(0.5f), _mm256_cvtepi32_ps(s));
    _mm256_storeu_ps(scale, _mm256_mul_ps(_mm256_mul_ps(_mm256_set1_ps(d), x), _mm256_set1_ps(f)));
}

static inline __m128i eight_bytes_at(const uint8_t *p)
{
    return _mm_loadl_epi64((const __m128i *)p);
}

/* ---- types with a table of 16 values, in blocks of 32 or 64 ---- */

static inline void open_iq4_nl(block_room *r, const uint8_t *b)
{
    r->scale[0] = half_float(b);
}

static inline __m128i nonlinear_table(void)
{
    return _mm_setr_epi8(-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113);
}

static inline void decode_iq4_nl(V e[BLOCK_V], const block_room *r, const uint8_t *b, int part)
{
    (void)part;
    scaled(e, by_table(nonlinear_table(), low_then_high(bytes_at(b + 2))), r->scale[0]);
}

static inline void open_iq4_xs(block_room *r, const uint8_t *b)
{
    const __m256i low = eight_fields(*(const u32_at *)(b + 4), 2), high = eight_fields(*(const u16_at *)(b + 2), 1);
    const __m256i s = _mm256_or_si256(low, _mm256_slli_epi32(high, 4));
    scales_of_8(r->scale, half_float(b), _mm256_sub_epi32(s, _mm256_set1_epi32(32)));
}

static inline void decode_iq4_xs(V e[BLOCK_V], const block_room *r, const uint8_t *b, int part)
{
    scaled(e, by_table(nonlinear_table(), low_then_high(bytes_at(b + 8 + 16 * part))), r->scale[part]);
}

/* E2M1, doubled. */
static inline __m128i fp4_table(void)
{
    return _mm_setr_epi8(0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12);
}

static inline void open_mxfp4(block_room *r, const uint8_t *b)
{
    r->scale[0] = float_of_bits(b[0] < 2 ? (uint32_t)0x00200000 << b[0] : (uint32_t)(b[0] - 1) << 23);
}

static inline void decode_mxfp4(V e[BLOCK_V], const block_room *r, const uint8_t *b, int part)
{
    (void)part;
    scaled(e, by_table(fp4_table(), low_then_high(bytes_at(b + 1))), r->scale[0]);
}

/* The magnitude of an E4M3, shifted up, is a half whose exponent is biased by 8 more. */
static inline void open_nvfp4(block_room *r, const uint8_t *b)
{
    const __m128i x = _mm_cvtsi32_si128(*(const i32_at *)b), none = _mm_cmpeq_epi8(x, _mm_set1_epi8(0x7f));
    const __m128i magnitude = _mm_and_si128(_mm_andnot_si128(none, x), _mm_set1_epi8(0x7f));
    const __m128 half = _mm_cvtph_ps(_mm_slli_epi16(_mm_cvtepu8_epi16(magnitude), 7));
    _mm_storeu_ps(r->scale, _mm_mul_ps(half, _mm_set1_ps(128)));
}

static inline void decode_nvfp4(V e[BLOCK_V], const block_room *r, const uint8_t *b, int part)
{
    const __m256i q = _mm256_permute4x64_epi64(low_then_high(bytes_at(b + 4 + 16 * part)), 0xd8);
    scaled_by_halves(e, by_table(fp4_table(), q), r->scale + 2 * part);
}

/* ---- plain bits ---- */

static inline void open_q2_k(block_room *r, const uint8_t *b)
{
    const __m128i s = bytes_at(b);
    scales_of_16(r->scale, half_float(b + 80), low_bits(s, 0, 15));
    scales_of_16(r->least, half_float(b + 82), low_bits(s, 4, 15));
}

static inline void decode_q2_k(V e[BLOCK_V], const block_room *r, const uint8_t *b, int part)
{
    scaled_by_halves(e, wide_bits(wide_at(b + 16 + 32 * (part / 4)), part % 4 * 2, 3), r->scale + 2 * part);
#pragma GCC unroll 4
    for (int i = 0; i < BLOCK_V; i++)
        e[i] = v_sub(e[i], v_set1(r->least[2 * part + i / (BLOCK_V / 2)]));
}

static inline void open_q3_k(block_room *r, const uint8_t *b)
{
    const __m128i s = eight_bytes_at(b + 96), four = _mm_set1_epi32(*(const i32_at *)(b + 104));
    const __m128i low = _mm_and_si128(_mm_unpacklo_epi64(s, _mm_srli_epi16(s, 4)), _mm_set1_epi8(15));
    const __m128i high = _mm_and_si128(_mm_srlv_epi32(four, _mm_setr_epi32(0, 2, 4, 6)), _mm_set1_epi8(3));
    const __m128i x = _mm_or_si128(low, _mm_slli_epi16(high, 4));
    scales_of_16(r->scale, half_float(b + 108), _mm_sub_epi8(x, _mm_set1_epi8(32)));
}

static inline void decode_q3_k(V e[BLOCK_V], const block_room *r, const uint8_t *b, int part)
{
    const __m256i low = wide_bits(wide_at(b + 32 + 32 * (part / 4)), part % 4 * 2, 3), high = wide_bits(wide_at(b), part, 1);
    const __m256i x = _mm256_or_si256(low, _mm256_slli_epi16(high, 2));
    scaled_by_halves(e, _mm256_sub_epi8(x, _mm256_set1_epi8(4)), r->scale + 2 * part);
}

static inline void open_tq2_0(block_room *r, const uint8_t *b)
{
    r->scale[0] = half_float(b + 64);
}

static inline void decode_tq2_0(V e[BLOCK_V], const block_room *r, const uint8_t *b, int part)
{
    const __m256i q = wide_bits(wide_at(b + 32 * (part / 4)), part % 4 * 2, 3);
    scaled(e, _mm256_sub_epi8(q, _mm256_set1_epi8(1)), r->scale[0]);
}

static inline void open_tq1_0(block_room *r, const uint8_t *b)
{
    r->scale[0] = half_float(b + 52);
}

/* q / 256 without its first digits to base 3. */
static inline __m256i without_digits(__m256i q, int digits)
{
#pragma GCC unroll 5
    for (int i = 0; i < digits; i++)
        q = _mm256_add_epi8(q, _mm256_add_epi8(q, q));
    return q;
}

/* The first digit: 2 from 171 on, 1 from 86 on. */
static inline __m256i first_digit(__m256i q)
{
    const __m256i least_1 = _mm256_set1_epi8(86), least_2 = _mm256_set1_epi8((char)171);
    const __m256i is_1 = _mm256_cmpeq_epi8(_mm256_max_epu8(q, least_1), q);
    const __m256i is_2 = _mm256_cmpeq_epi8(_mm256_max_epu8(q, least_2), q);
    return _mm256_sub_epi8(_mm256_setzero_si256(), _mm256_add_epi8(is_1, is_2));
}

/* Parts 0..4 are the digits of q[0..31]; parts 5..7 two digits of q[32..47] each, the last of them being those of h. */
static inline void decode_tq1_0(V e[BLOCK_V], const block_room *r, const uint8_t *b, int part)
{
    __m256i q;
    if (part < 5) {
        q = without_digits(wide_at(b), part);
    } else {
        const __m128i x = bytes_at(b + 32);
        __m128i second = _mm_add_epi8(x, _mm_add_epi8(x, x));
        if (part == 7) {
            const __m128i h = _mm_set1_epi32(*(const i32_at *)(b + 48)), power = _mm_setr_epi16(1, 1, 3, 3, 9, 9, 27, 27);
            const __m128i low = _mm_and_si128(_mm_mullo_epi16(h, power), _mm_set1_epi16(255));
            second = _mm_or_si128(low, _mm_slli_epi16(_mm_mullo_epi16(_mm_srli_epi16(h, 8), power), 8));
            q = two_halves(_mm256_castsi256_si128(without_digits(_mm256_castsi128_si256(x), 4)), second);
        } else {
            q = without_digits(two_halves(x, second), 2 * (part - 5));
        }
    }
    scaled(e, _mm256_sub_epi8(first_digit(q), _mm256_set1_epi8(1)), r->scale[0]);
}

static inline void open_q1_0(block_room *r, const uint8_t *b)
{
    r->scale[0] = half_float(b);
}

/* 1 where the bit is set, else -1. */
static inline void decode_q1_0(V e[BLOCK_V], const block_room *r, const uint8_t *b, int part)
{
    const __m256i two = _mm256_and_si256(where_bits(b + 2 + 4 * part), _mm256_set1_epi8(2));
    scaled(e, _mm256_sub_epi8(two, _mm256_set1_epi8(1)), r->scale[0]);
}

static inline void open_q2_0(block_room *r, const uint8_t *b)
{
    r->scale[0] = half_float(b);
}

static inline void decode_q2_0(V e[BLOCK_V], const block_room *r, const uint8_t *b, int part)
{
    scaled(e, pairs_by_table(eight_bytes_at(b + 2 + 8 * part), -1, 0, 1, 2), r->scale[0]);
}

static inline void open_q8_1(block_room *r, const uint8_t *b)
{
    r->scale[0] = half_float(b);
}

static inline void decode_q8_1(V e[BLOCK_V], const block_room *r, const uint8_t *b, int part)
{
    (void)part;
    scaled(e, wide_at(b + 4), r->scale[0]);
}

static inline void open_q8_k(block_room *r, const uint8_t *b)
{
    r->scale[0] = *(const f32_at *)b;
}

static inline void decode_q8_k(V e[BLOCK_V], const block_room *r, const uint8_t *b, int part)
{
    scaled(e, wide_at(b + 4 + 32 * part), r->scale[0]);
}
