/* Products of activations with stored rows that are read where they lie: what dtypes[].to_f32 gives, element by element, in
 * the order of additions of simd_dot, without the floats going through memory.  Besides what simd_body.h asks for, the file
 * that includes this defines
 *   v_bytes(x, part): lanes part * VW .. of 16 unsigned bytes as floats; v_load_chars(p): VW stored signed bytes
 *   v_load_f16(p), v_load_bf16(p): VW stored halves or bfloat16s as floats
 *   v_even_bf16(p), v_odd_bf16(p): those of even and of odd index of 2 VW stored bfloat16s
 *   v_evens(a, b), v_odds(a, b): lanes of even and of odd index of a, then of b
 * Blocks are decoded by 32 elements: BLOCK_V vectors.  The layouts are described in dtype_q.c and dtype_k.c. */

enum { BLOCK_V = 32 / VW };

static inline float half_float(const uint8_t *p)
{
    return _cvtsh_ss(*(const u16_at *)p);
}

/* 32 bytes, unsigned, as floats. */
static inline void v_block(V e[BLOCK_V], __m128i first, __m128i second)
{
    for (int i = 0; i < BLOCK_V; i++)
        e[i] = v_bytes(i < BLOCK_V / 2 ? first : second, i % (BLOCK_V / 2));
}

static inline __m128i bytes_at(const uint8_t *p)
{
    return _mm_loadu_si128((const __m128i *)p);
}

static inline __m128i low_bits(__m128i x, int shift, int mask)
{
    return _mm_and_si128(_mm_srl_epi16(x, _mm_cvtsi32_si128(shift)), _mm_set1_epi8((char)mask));
}

/* e = e * a, or e * a + c, each step rounded. */
static inline void v_block_scale(V e[BLOCK_V], float a)
{
    for (int i = 0; i < BLOCK_V; i++)
        e[i] = v_mul(e[i], v_set1(a));
}

static inline void v_block_scale_add(V e[BLOCK_V], float a, float c)
{
    for (int i = 0; i < BLOCK_V; i++)
        e[i] = v_add(v_mul(e[i], v_set1(a)), v_set1(c));
}

static inline void v_block_less(V e[BLOCK_V], float c)
{
    for (int i = 0; i < BLOCK_V; i++)
        e[i] = v_sub(e[i], v_set1(c));
}

static inline void decode_q4_0(V e[BLOCK_V], const uint8_t *b, int part)
{
    (void)part;
    __m128i q = bytes_at(b + 2);
    v_block(e, low_bits(q, 0, 15), low_bits(q, 4, 15));
    v_block_less(e, 8);
    v_block_scale(e, half_float(b));
}

static inline void decode_q4_1(V e[BLOCK_V], const uint8_t *b, int part)
{
    (void)part;
    __m128i q = bytes_at(b + 4);
    v_block(e, low_bits(q, 0, 15), low_bits(q, 4, 15));
    v_block_scale_add(e, half_float(b), half_float(b + 2));
}

/* 16 where the bit of an element is set in the two bytes at h. */
static inline __m128i fifth_bits(const uint8_t *h)
{
    const __m128i bit = _mm_set1_epi64x((int64_t)0x8040201008040201), spread = _mm_setr_epi8(0, 0, 0, 0, 0, 0, 0, 0, 1, 1,
                                                                                          1, 1, 1, 1, 1, 1);
    __m128i x = _mm_shuffle_epi8(_mm_cvtsi32_si128(*(const u16_at *)h), spread);
    return _mm_and_si128(_mm_cmpeq_epi8(_mm_and_si128(x, bit), bit), _mm_set1_epi8(16));
}

static inline void decode_q5_0(V e[BLOCK_V], const uint8_t *b, int part)
{
    (void)part;
    __m128i q = bytes_at(b + 6);
    v_block(e, _mm_or_si128(low_bits(q, 0, 15), fifth_bits(b + 2)), _mm_or_si128(low_bits(q, 4, 15), fifth_bits(b + 4)));
    v_block_less(e, 16);
    v_block_scale(e, half_float(b));
}

static inline void decode_q5_1(V e[BLOCK_V], const uint8_t *b, int part)
{
    (void)part;
    __m128i q = bytes_at(b + 8);
    v_block(e, _mm_or_si128(low_bits(q, 0, 15), fifth_bits(b + 4)), _mm_or_si128(low_bits(q, 4, 15), fifth_bits(b + 6)));
    v_block_scale_add(e, half_float(b), half_float(b + 2));
}

/* Scale and minimum of sub-block i of q4_k and q5_k; s: their twelve bytes. */
static inline void six_bit(float *scale, float *least, const uint8_t *s, int i)
{
    const int a = i < 4 ? s[i] & 63 : (s[i + 4] & 15) | s[i - 4] >> 6 << 4;
    const int c = i < 4 ? s[i + 4] & 63 : s[i + 4] >> 4 | s[i] >> 6 << 4;
    *scale = (float)a;
    *least = (float)c;
}

static inline void decode_q4_k(V e[BLOCK_V], const uint8_t *b, int part)
{
    float scale, least;
    const uint8_t *q = b + 16 + part / 2 * 32;
    six_bit(&scale, &least, b + 4, part);
    v_block(e, low_bits(bytes_at(q), part % 2 * 4, 15), low_bits(bytes_at(q + 16), part % 2 * 4, 15));
    v_block_scale(e, half_float(b) * scale);
    v_block_less(e, half_float(b + 2) * least);
}

static inline void decode_q5_k(V e[BLOCK_V], const uint8_t *b, int part)
{
    float scale, least;
    const uint8_t *q = b + 48 + part / 2 * 32, *h = b + 16;
    __m128i x[2];
    six_bit(&scale, &least, b + 4, part);
    for (int i = 0; i < 2; i++)
        x[i] = _mm_or_si128(low_bits(bytes_at(q + 16 * i), part % 2 * 4, 15),
                            _mm_slli_epi16(low_bits(bytes_at(h + 16 * i), part, 1), 4));
    v_block(e, x[0], x[1]);
    v_block_scale(e, half_float(b) * scale);
    v_block_less(e, half_float(b + 2) * least);
}

static inline void decode_q6_k(V e[BLOCK_V], const uint8_t *b, int part)
{
    const int8_t *s = (const int8_t *)b + 192 + 2 * part;
    const float d = half_float(b + 208);
    const int half = part / 4, quarter = part % 4;
    const uint8_t *low = b + 64 * half + 32 * (quarter % 2), *high = b + 128 + 32 * half;
    __m128i x[2];
    for (int i = 0; i < 2; i++)
        x[i] = _mm_or_si128(low_bits(bytes_at(low + 16 * i), quarter / 2 * 4, 15),
                            _mm_slli_epi16(low_bits(bytes_at(high + 16 * i), 2 * quarter, 3), 4));
    v_block(e, x[0], x[1]);
    v_block_less(e, 32);
    for (int i = 0; i < BLOCK_V; i++)
        e[i] = v_mul(v_set1(d * (float)s[i < BLOCK_V / 2 ? 0 : 1]), e[i]);
}

static inline V v_as(V x, bool rounded)
{
    return rounded ? v_round_bf16(x) : x;
}

/* A dot product with stored rows, and one that rounds their elements to bfloat16 first. */
#define BOTH_ROW_DOTS(name)                                                  \
    static float row_dot_##name(const float *x, const void *row, int64_t n)  \
    {                                                                        \
        return sum_##name(x, row, n, false);                                 \
    }                                                                        \
    static float rounded_##name(const float *x, const void *row, int64_t n)  \
    {                                                                        \
        return sum_##name(x, row, n, true);                                  \
    }

static inline void decode_q8_0(V e[BLOCK_V], const uint8_t *b, int part)
{
    (void)part;
    for (int l = 0; l < BLOCK_V; l++)
        e[l] = v_mul(v_load_chars(b + 2 + l * VW), v_set1(half_float(b)));
}
/* How far ahead memory is asked for: prefetchers of a processor stop where a page ends. */
enum { ROW_AHEAD = 2048 };

/* acc += d times the products of a block. */
static inline V q8_0_block(V acc, const float *x, const uint8_t *b)
{
    V t = v_mul(v_load(x), v_load_chars(b + 2));
#pragma GCC unroll 4
    for (int l = 1; l < BLOCK_V; l++)
        t = v_fma(v_load(x + l * VW), v_load_chars(b + 2 + l * VW), t);
    return v_fma(t, v_set1(half_float(b)), acc);
}

/* The scale of a block is multiplied once: sums of a block first. */
static float row_dot_q8_0(const float *x, const void *row, int64_t n)
{
    V acc[4] = {v_set1(0), v_set1(0), v_set1(0), v_set1(0)};
    const uint8_t *b = row;
    for (; n >= 128; n -= 128, x += 128, b += 4 * 34) {
        __builtin_prefetch(b + ROW_AHEAD);
        __builtin_prefetch(b + ROW_AHEAD + 64);
#pragma GCC unroll 4
        for (int l = 0; l < 4; l++)
            acc[l] = q8_0_block(acc[l], x + 32 * l, b + 34 * l);
    }
    for (; n > 0; n -= 32, x += 32, b += 34)
        acc[0] = q8_0_block(acc[0], x, b);
    return v_dot_total(acc);
}

/* The same of four rows, bit by bit. */
static void rows_dot_q8_0(float *y, const float *x, const void *const *rows, int64_t n)
{
    V acc[ROWS_TOGETHER][4];
    int64_t at = 0;
    for (int r = 0; r < ROWS_TOGETHER; r++)
        for (int l = 0; l < 4; l++)
            acc[r][l] = v_set1(0);
    for (; at + 4 <= n / 32; at += 4)
#pragma GCC unroll 4
        for (int l = 0; l < 4; l++)
#pragma GCC unroll 4
            for (int r = 0; r < ROWS_TOGETHER; r++)
                acc[r][l] = q8_0_block(acc[r][l], x + 32 * (at + l), (const uint8_t *)rows[r] + 34 * (at + l));
    for (int r = 0; r < ROWS_TOGETHER; r++) {
        for (int64_t rest = at; rest < n / 32; rest++)
            acc[r][0] = q8_0_block(acc[r][0], x + 32 * rest, (const uint8_t *)rows[r] + 34 * rest);
        y[r] = v_dot_total(acc[r]);
    }
}

/* Plain numbers, of one row or of four that share the loads of x: lanes by v_load_<name>, one by one_<name>. */
static inline V v_load_f32(const uint8_t *p) { return v_load((const float *)(const void *)p); }
static inline float one_f32(const uint8_t *p) { return *(const f32_at *)p; }
static inline float one_f16(const uint8_t *p) { return half_float(p); }
static inline float one_bf16(const uint8_t *p) { return bf16_to_f32(*(const u16_at *)p); }

#define PLAIN_ROWS(name, bytes)                                                                                        \
    static inline __attribute__((always_inline)) void rows_##name(float *y, const float *x, const void *const *rows,   \
                                                                  const int m, int64_t n, const bool rounded)          \
    {                                                                                                                  \
        V acc[ROWS_TOGETHER][4];                                                                                       \
        int64_t i = 0;                                                                                                 \
        for (int r = 0; r < m; r++)                                                                                    \
            for (int l = 0; l < 4; l++)                                                                                \
                acc[r][l] = v_set1(0);                                                                                 \
        for (; i + 4 * VW <= n; i += 4 * VW) {                                                                         \
            _Pragma("GCC unroll 4") for (int l = 0; l < 4; l++) {                                                      \
                const V part = v_load(x + i + l * VW);                                                                 \
                _Pragma("GCC unroll 4") for (int r = 0; r < m; r++)                                                    \
                    acc[r][l] = v_fma(part, v_as(v_load_##name((const uint8_t *)rows[r] + (i + l * VW) * bytes), rounded), \
                                      acc[r][l]);                                                                      \
            }                                                                                                          \
        }                                                                                                              \
        for (int r = 0; r < m; r++)                                                                                    \
            y[r] = end_##name(acc[r], x, rows[r], i, n, rounded);                                                      \
    }                                                                                                                  \
    static float rounded_##name(const float *x, const void *row, int64_t n)                                            \
    {                                                                                                                  \
        float y;                                                                                                       \
        rows_##name(&y, x, &row, 1, n, true);                                                                          \
        return y;                                                                                                      \
    }                                                                                                                  \
    ROWS_OF(name)

/* What is left of a row from element i on, and the sum. */
#define PLAIN_END(name, bytes)                                                                                           \
    static inline __attribute__((always_inline)) float end_##name(V acc[4], const float *x, const uint8_t *b, int64_t i, \
                                                                  int64_t n, const bool rounded)                         \
    {                                                                                                                    \
        float sum = 0;                                                                                                   \
        for (; i + VW <= n; i += VW)                                                                                     \
            acc[0] = v_fma(v_load(x + i), v_as(v_load_##name(b + i * bytes), rounded), acc[0]);                          \
        for (; i < n; i++) {                                                                                             \
            float w = one_##name(b + i * bytes);                                                                         \
            if (rounded)                                                                                                 \
                kernel_c_round_bf16(&w, 1);                                                                              \
            sum += x[i] * w;                                                                                             \
        }                                                                                                                \
        return v_dot_total(acc) + sum;                                                                                   \
    }

#define ROWS_OF(name)                                                                               \
    static float row_dot_##name(const float *x, const void *row, int64_t n)                         \
    {                                                                                               \
        float y;                                                                                    \
        rows_##name(&y, x, &row, 1, n, false);                                                      \
        return y;                                                                                   \
    }                                                                                               \
    static void rows_dot_##name(float *y, const float *x, const void *const *rows, int64_t n)       \
    {                                                                                               \
        rows_##name(y, x, rows, ROWS_TOGETHER, n, false);                                           \
    }
PLAIN_END(f32, 4)
PLAIN_END(f16, 2)
PLAIN_END(bf16, 2)
PLAIN_ROWS(f32, 4)
PLAIN_ROWS(f16, 2)
#undef PLAIN_END
#undef PLAIN_ROWS

/* Of every 2 VW numbers those of even index, then those of odd index. */
static void simd_part_pairs(float *dst, const float *x, int64_t n)
{
    int64_t i = 0;
    for (; i + 2 * VW <= n; i += 2 * VW) {
        const V a = v_load(x + i), b = v_load(x + i + VW);
        v_store(dst + i, v_evens(a, b));
        v_store(dst + i + VW, v_odds(a, b));
    }
    memcpy(dst + i, x + i, (size_t)(n - i) * sizeof *x);
}

/* Two stored numbers are one lane: shifted up it is the even one, without its lower half the odd one. */
static inline __attribute__((always_inline)) void rows_bf16(float *y, const float *x, const void *const *rows, const int m,
                                                            int64_t n, const bool rounded)
{
    V acc[ROWS_TOGETHER][4];
    int64_t i = 0;
    for (int r = 0; r < m; r++)
        for (int l = 0; l < 4; l++)
            acc[r][l] = v_set1(0);
    for (; i + 4 * VW <= n; i += 4 * VW)
#pragma GCC unroll 2
        for (int l = 0; l < 4; l += 2) {
            const V even = v_load(x + i + l * VW), odd = v_load(x + i + (l + 1) * VW);
#pragma GCC unroll 4
            for (int r = 0; r < m; r++) {
                const uint8_t *b = (const uint8_t *)rows[r] + 2 * (i + l * VW);
                acc[r][l] = v_fma(even, v_even_bf16(b), acc[r][l]);
                acc[r][l + 1] = v_fma(odd, v_odd_bf16(b), acc[r][l + 1]);
            }
        }
    for (int r = 0; r < m; r++) {
        const uint8_t *b = rows[r];
        int64_t at = i;
        for (; at + 2 * VW <= n; at += 2 * VW) {
            acc[r][0] = v_fma(v_load(x + at), v_even_bf16(b + 2 * at), acc[r][0]);
            acc[r][0] = v_fma(v_load(x + at + VW), v_odd_bf16(b + 2 * at), acc[r][0]);
        }
        y[r] = end_bf16(acc[r], x, b, at, n, rounded);
    }
}
ROWS_OF(bf16)
#undef ROWS_OF
