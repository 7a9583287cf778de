/* What block_prepare.h, block_body.h and the files that include them share.  Behind VW, V and B. */
#define ALWAYS_INLINE inline __attribute__((always_inline))

enum { PARTS = BLOCK_LANES / VW, FETCH_AHEAD = 8 << 10, FETCH_FAR = 64 << 10 };

typedef struct block_sets { B low, high; } block_sets;

static ALWAYS_INLINE float half_float(const uint8_t *p)
{
    return _cvtsh_ss(*(const u16_at *)p);
}

static ALWAYS_INLINE float h_total(__m256 a)
{
    __m128 x = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    x = _mm_add_ps(x, _mm_movehl_ps(x, x));
    return _mm_cvtss_f32(_mm_add_ss(x, _mm_movehdup_ps(x)));
}

/* Rows that lie behind each other are asked for, in the order of their addresses, some rows before their turn: no prefetcher of
 * a processor follows rows that are read side by side.  They go to the second cache: to the first they would come too early. */
static ALWAYS_INLINE int64_t fetch_distance(const void *const *rows)
{
    const int64_t step = BLOCK_ROWS * ((const uint8_t *)rows[1] - (const uint8_t *)rows[0]);
    return step > 0 && step <= FETCH_FAR ? (FETCH_AHEAD + step - 1) / step * step : 0;
}

/* The share of rows to come that belongs to `bytes` of each row from `at` on. */
static ALWAYS_INLINE void fetch(const void *const *rows, int64_t at, int64_t ahead, int bytes)
{
    const uint8_t *p = (const uint8_t *)rows[0] + ahead + BLOCK_ROWS * at;
    for (int i = 0; i < BLOCK_ROWS * bytes; i += 64)
        __builtin_prefetch(p + i, 0, 2);
}

/* d scale and -m least of the eight sub-blocks of q4_k and q5_k. */
static ALWAYS_INLINE void six_bit_scales(__m256 *d, __m256 *c, const uint8_t *b)
{
    const uint32_t s0 = *(const u32_at *)(b + 4), s1 = *(const u32_at *)(b + 8), s2 = *(const u32_at *)(b + 12);
    const uint64_t scale = (s0 & 0x3f3f3f3f) | (uint64_t)((s2 & 0x0f0f0f0f) | (s0 >> 2 & 0x30303030)) << 32;
    const uint64_t least = (s1 & 0x3f3f3f3f) | (uint64_t)((s2 >> 4 & 0x0f0f0f0f) | (s1 >> 2 & 0x30303030)) << 32;
    *d = _mm256_mul_ps(_mm256_set1_ps(half_float(b)),
                       _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_cvtsi64_si128((long long)scale))));
    *c = _mm256_mul_ps(_mm256_set1_ps(-half_float(b + 2)),
                       _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_cvtsi64_si128((long long)least))));
}

/* block_kernels.dot of the functions <type><suffix>. */
#define BLOCK_DOTS(suffix) { \
    [DT_Q4_0] = q4_0##suffix, [DT_Q4_1] = q4_1##suffix, [DT_Q5_0] = q5_0##suffix, [DT_Q5_1] = q5_1##suffix, \
    [DT_Q4_K] = q4_k##suffix, [DT_Q5_K] = q5_k##suffix, [DT_Q6_K] = q6_k##suffix, \
}
