/* Inner loops of the attention of few queries (attention_few.h) for vectors of any width.  Besides what simd_body.h asks for,
 * the file that includes this defines v_halves(a): the lanes' halves onto each other, as eight floats. */

/* Keys that are worked on together. */
enum { FEW_KEYS = 4 };

static inline __m128 totals_of_four(__m256 a, __m256 b, __m256 c, __m256 d)
{
    const __m256 t = _mm256_hadd_ps(_mm256_hadd_ps(a, b), _mm256_hadd_ps(c, d));
    return _mm_add_ps(_mm256_castps256_ps128(t), _mm256_extractf128_ps(t, 1));
}

static inline void fetch_ahead(few_ahead *a)
{
    for (int i = 0; i < a->lines; i++, a->at += 64)
        __builtin_prefetch(a->at);
}

static void few_dots(float *s, const float *q, const float *k, int64_t ldk, int64_t n, int d, few_ahead ahead)
{
    for (int64_t i = 0; i < n; i += FEW_KEYS) {
        V acc[FEW_KEYS];
        const float *row[FEW_KEYS];
        float sum[FEW_KEYS];
        fetch_ahead(&ahead);
#pragma GCC unroll 4
        for (int l = 0; l < FEW_KEYS; l++) {
            acc[l] = v_set1(0);
            row[l] = k + (i + l < n ? i + l : n - 1) * ldk;
        }
        int c = 0;
        for (; c + VW <= d; c += VW) {
            const V x = v_load(q + c);
#pragma GCC unroll 4
            for (int l = 0; l < FEW_KEYS; l++)
                acc[l] = v_fma(v_load(row[l] + c), x, acc[l]);
        }
        _mm_storeu_ps(sum, totals_of_four(v_halves(acc[0]), v_halves(acc[1]), v_halves(acc[2]), v_halves(acc[3])));
        for (; c < d; c++)
            for (int l = 0; l < FEW_KEYS; l++)
                sum[l] += row[l][c] * q[c];
        for (int l = 0; l < FEW_KEYS && i + l < n; l++)
            s[i + l] = sum[l];
    }
}

static float few_largest(const float *s, int64_t n, float scale)
{
    float lane[VW];
    V most = v_set1(-INFINITY);
    for (int64_t i = 0; i < n; i += VW)
        most = v_max(most, v_mul(v_load(s + i), v_set1(scale)));
    v_store(lane, most);
    for (int l = 1; l < VW; l++)
        lane[0] = lane[l] > lane[0] ? lane[l] : lane[0];
    return lane[0];
}

static void few_exponentials(few_sums *sums, float *s, int64_t n, float scale, float m, int64_t position)
{
    enum { PARTS = SOFTMAX_WAYS / VW };
    V part[PARTS], order;
    float lane[VW];
    for (int p = 0; p < PARTS; p++)
        part[p] = v_set1(0);
    for (int l = 0; l < VW; l++)
        lane[l] = (float)l;
    order = v_load(lane);
    sums->weighted = sums->distance = 0;
    for (int64_t i = 0; i < n;) { /* a float accumulator stays short */
        const int64_t end = i + STRETCH * SOFTMAX_WAYS < n ? i + STRETCH * SOFTMAX_WAYS : n;
        V weighted = v_set1(0), distance = v_set1(0);
        for (; i < end; i += SOFTMAX_WAYS)
            for (int p = 0; p < PARTS; p++) {
                const int64_t at = i + p * VW;
                const V t = v_sub(v_mul(v_load(s + at), v_set1(scale)), v_set1(m)), e = v_exp(t);
                v_store(s + at, e);
                part[p] = v_add(part[p], e);
                weighted = v_fma(e, v_max(t, v_set1(-100)), weighted); /* e is 0 there: keep 0 * -inf out of the sum */
                distance = v_fma(e, v_abs(v_sub(v_set1((float)(position - at)), order)), distance);
            }
        sums->weighted += (double)v_total(weighted);
        sums->distance += (double)v_total(distance);
    }
    for (int p = 0; p < PARTS; p++)
        v_store(sums->part + p * VW, part[p]);
}

/* Columns of `width` vectors. */
static inline void few_columns(float *out, const float *p, const float *v, int64_t ldv, int64_t n, const int width,
                               few_ahead ahead)
{
    V acc[8];
    for (int c = 0; c < width; c++)
        acc[c] = v_load(out + c * VW);
    for (int64_t i = 0; i < n; i++, v += ldv) {
        const V x = v_set1(p[i]);
        if (i % FEW_KEYS == 0)
            fetch_ahead(&ahead);
#pragma GCC unroll 8
        for (int c = 0; c < width; c++)
            acc[c] = v_fma(x, v_load(v + c * VW), acc[c]);
    }
    for (int c = 0; c < width; c++)
        v_store(out + c * VW, acc[c]);
}

static void few_sum_rows(float *out, const float *p, const float *v, int64_t ldv, int64_t n, int d, few_ahead ahead)
{
    int c = 0;
    for (; c + 8 * VW <= d; c += 8 * VW, ahead.lines = 0)
        few_columns(out + c, p, v + c, ldv, n, 8, ahead);
    for (; c + 4 * VW <= d; c += 4 * VW, ahead.lines = 0)
        few_columns(out + c, p, v + c, ldv, n, 4, ahead);
    for (; c + VW <= d; c += VW, ahead.lines = 0)
        few_columns(out + c, p, v + c, ldv, n, 1, ahead);
    for (; c < d; c++) {
        for (int64_t i = 0; i < n; i++)
            out[c] += p[i] * v[i * ldv + c];
    }
}
