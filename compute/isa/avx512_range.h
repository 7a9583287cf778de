/* For files with AVX-512, inside their target region: no include guard. */

/* Lanes of 16 with lo <= k < hi. */
static inline __mmask16 m_and_range(int64_t k, const int64_t *lo, const int64_t *hi)
{
    __m512i key = _mm512_set1_epi64(k);
    __mmask16 m = 0;
    for (int half = 0; half < 2; half++) {
        __mmask8 from = _mm512_cmple_epi64_mask(_mm512_loadu_si512(lo + 8 * half), key);
        __mmask8 to = _mm512_cmpgt_epi64_mask(_mm512_loadu_si512(hi + 8 * half), key);
        m = (__mmask16)(m | (unsigned)(from & to) << (8 * half));
    }
    return m;
}
