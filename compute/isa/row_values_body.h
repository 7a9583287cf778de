/* Products with stored rows, in the order of additions of simd_dot, and whole rows as floats, by the decoders of
 * row_decode_body.h and row_grid_body.h. */

/* A step is what fills four accumulators: one block or, where that is too short, two; what is left behind is such a block.
 * begin and make: what opens `block` into r and decodes its part `part` into e. */
#define PARTS_SUM(name, parts, bytes, begin, make)                                                             \
    static inline __attribute__((always_inline)) float sum_##name(const float *x, const uint8_t *b, int64_t n, \
                                                                  const bool rounded)                          \
    {                                                                                                          \
        enum { STEP = 32 * parts < 4 * VW ? 4 * VW : 32 * parts };                                             \
        V acc[4] = {v_set1(0), v_set1(0), v_set1(0), v_set1(0)}, e[BLOCK_V];                                   \
        block_room r;                                                                                          \
        for (; n >= STEP; n -= STEP, x += STEP, b += STEP / 32 / parts * bytes)                                \
            _Pragma("GCC unroll 8") for (int at = 0; at < STEP / 32; at++) {                                   \
                const uint8_t *block = b + at / parts * bytes;                                                 \
                const int part = at % parts;                                                                   \
                if (part == 0)                                                                                 \
                    begin;                                                                                     \
                make;                                                                                          \
                _Pragma("GCC unroll 4") for (int l = 0; l < BLOCK_V; l++) {                                    \
                    V *to = &acc[(at * BLOCK_V + l) % 4];                                                      \
                    *to = v_fma(v_load(x + at * 32 + l * VW), v_as(e[l], rounded), *to);                       \
                }                                                                                              \
            }                                                                                                  \
        if (STEP > 32 * parts && n > 0) {                                                                      \
            const uint8_t *block = b;                                                                          \
            const int part = 0;                                                                                \
            begin;                                                                                             \
            make;                                                                                              \
            for (int l = 0; l < BLOCK_V; l++)                                                                  \
                acc[0] = v_fma(v_load(x + l * VW), v_as(e[l], rounded), acc[0]);                               \
        }                                                                                                      \
        return v_dot_total(acc);                                                                               \
    }

/* Whole rows. */
#define PARTS_VALUES(name, parts, bytes, begin, make)                                     \
    static void values_##name(float *restrict dst, const void *restrict row, int64_t n)   \
    {                                                                                     \
        const uint8_t *block = row;                                                       \
        block_room r;                                                                     \
        V e[BLOCK_V];                                                                     \
        for (; n > 0; n -= 32 * parts, block += bytes) {                                  \
            begin;                                                                        \
            _Pragma("GCC unroll 8") for (int part = 0; part < parts; part++, dst += 32) { \
                make;                                                                     \
                _Pragma("GCC unroll 4") for (int l = 0; l < BLOCK_V; l++)                 \
                    v_store(dst + l * VW, e[l]);                                          \
            }                                                                             \
        }                                                                                 \
    }

#define BOTH_OF(name, parts, bytes, begin, make) \
    PARTS_SUM(name, parts, bytes, begin, make)   \
    PARTS_VALUES(name, parts, bytes, begin, make)

/* Types that are opened first, and those that are not. */
#define PARTS_ROW(name, parts, bytes) \
    BOTH_OF(name, parts, bytes, open_##name(&r, block), decode_##name(e, &r, block, part)) BOTH_ROW_DOTS(name)
#define BLOCK_ROW(name, parts, bytes) \
    BOTH_OF(name, parts, bytes, (void)r, decode_##name(e, block, part)) BOTH_ROW_DOTS(name)
PARTS_ROW(iq4_nl, 1, 18)
PARTS_ROW(iq4_xs, 8, 136)
PARTS_ROW(mxfp4, 1, 17)
PARTS_ROW(nvfp4, 2, 36)
PARTS_ROW(q2_k, 8, 84)
PARTS_ROW(q3_k, 8, 110)
PARTS_ROW(iq3_xxs, 8, 98)
PARTS_ROW(iq3_s, 8, 110)
PARTS_ROW(iq2_xxs, 8, 66)
PARTS_ROW(iq2_xs, 8, 74)
PARTS_ROW(iq2_s, 8, 82)
PARTS_ROW(iq1_s, 8, 50)
PARTS_ROW(iq1_m, 8, 56)
PARTS_ROW(tq1_0, 8, 54)
PARTS_ROW(tq2_0, 8, 66)
PARTS_ROW(q1_0, 4, 18)
PARTS_ROW(q2_0, 2, 18)
PARTS_ROW(q8_1, 1, 36)
PARTS_ROW(q8_k, 8, 292)
BLOCK_ROW(q4_0, 1, 18)
BLOCK_ROW(q4_1, 1, 20)
BLOCK_ROW(q5_0, 1, 22)
BLOCK_ROW(q5_1, 1, 24)
BLOCK_ROW(q4_k, 8, 144)
BLOCK_ROW(q5_k, 8, 176)
BLOCK_ROW(q6_k, 8, 210)
BOTH_OF(q8_0, 1, 34, (void)r, decode_q8_0(e, block, part))
#undef BLOCK_ROW
#undef PARTS_ROW
#undef BOTH_OF
#undef PARTS_VALUES
#undef PARTS_SUM

/* Not rounded, the scale of a block is multiplied once: row_dot_q8_0. */
static float rounded_q8_0(const float *x, const void *row, int64_t n)
{
    return sum_q8_0(x, row, n, true);
}

/* Halves that are no numbers keep their bits: those go the slow way. */
static void values_f16(float *restrict dst, const void *restrict row, int64_t n)
{
    const uint8_t *b = row;
    const __m256i magnitude = _mm256_set1_epi16(0x7fff), infinity = _mm256_set1_epi16(0x7c00);
    for (; n >= 16; n -= 16, b += 32, dst += 16) {
        const __m256i none = _mm256_cmpgt_epi16(_mm256_and_si256(wide_at(b), magnitude), infinity);
        if (!_mm256_testz_si256(none, none))
            dtype_row_f16(dst, b, 16);
        else
            for (int l = 0; l < 16; l += VW)
                v_store(dst + l, v_load_f16(b + 2 * l));
    }
    dtype_row_f16(dst, b, n);
}

static void values_bf16(float *restrict dst, const void *restrict row, int64_t n)
{
    const uint8_t *b = row;
    for (; n >= VW; n -= VW, b += 2 * VW, dst += VW)
        v_store(dst, v_load_bf16(b));
    dtype_row_bf16(dst, b, n);
}

static inline void store_halves(float *dst, __m256i halves, float times)
{
    uint16_t h[16];
    _mm256_storeu_si256((__m256i *)h, halves);
    for (int l = 0; l < 16; l += VW)
        v_store(dst + l, v_mul(v_load_f16((const uint8_t *)(h + l)), v_set1(times)));
}

/* Floats of eight bits, sixteen at a time, as halves: as they are, and with an exponent whose bias is 8 less.  From `none` on
 * magnitudes are no numbers. */
#define BYTE_VALUES(name, none, halves, times)                                                  \
    static void values_##name(float *restrict dst, const void *restrict row, int64_t n)         \
    {                                                                                           \
        const uint8_t *b = row;                                                                 \
        for (; n >= 16; n -= 16, b += 16, dst += 16) {                                          \
            const __m256i x = _mm256_cvtepu8_epi16(bytes_at(b));                                \
            const __m256i magnitude = _mm256_and_si256(x, _mm256_set1_epi16(0x7f));             \
            const __m256i out = _mm256_cmpgt_epi16(magnitude, _mm256_set1_epi16(none - 1));     \
            if (!_mm256_testz_si256(out, out))                                                  \
                dtype_row_##name(dst, b, 16);                                                   \
            else                                                                                \
                store_halves(dst, halves, times);                                               \
        }                                                                                       \
        dtype_row_##name(dst, b, n);                                                            \
    }
BYTE_VALUES(f8_e5m2, 0x7d, _mm256_slli_epi16(x, 8), 1)
BYTE_VALUES(f8_e4m3, 0x7f, _mm256_add_epi16(_mm256_slli_epi16(x, 7), _mm256_slli_epi16(_mm256_srli_epi16(x, 7), 14)), 256)
#undef BYTE_VALUES

/* The upper bytes of halves; the lower ones are 0. */
static void values_f4(float *restrict dst, const void *restrict row, int64_t n)
{
    const __m128i upper = _mm_setr_epi8(0, 0x38, 0x3c, 0x3e, 0x40, 0x42, 0x44, 0x46, -128, -72, -68, -66, -64, -62, -60, -58);
    const uint8_t *b = row;
    for (; n >= 32; n -= 32, b += 16, dst += 32) {
        const __m256i x = by_table(upper, nibbles_of_16(bytes_at(b)));
        store_halves(dst, _mm256_slli_epi16(_mm256_cvtepu8_epi16(_mm256_castsi256_si128(x)), 8), 1);
        store_halves(dst + 16, _mm256_slli_epi16(_mm256_cvtepu8_epi16(_mm256_extracti128_si256(x, 1)), 8), 1);
    }
    dtype_row_f4(dst, b, n);
}
