/* Sums over keys for pairs of heads, for vectors of any width.  Besides what simd_body.h asks for, the file that includes
 * this defines for finite x >= FLT_MIN
 *   v_mantissa(x) in [1, 2), v_exponent(x) integral, and v_power(x) = 2^v_exponent(x).
 * The steps are those of kernels_pair.c. */

/* Adds to *s and *p what f(x + y) is made of; see MIXTURE_INVERSE. */
static inline void mixture_step(V x, V y, V *s, V *p)
{
    V u = v_add(x, y), m = v_mantissa(u);
    V q = v_fma(v_set1(MIXTURE_C4), m, v_set1(MIXTURE_C3));
    q = v_fma(q, m, v_set1(MIXTURE_C2));
    q = v_fma(q, m, v_set1(MIXTURE_C1));
    *p = v_add(*p, v_power(u));
    *s = v_fma(u, v_fma(q, m, v_exponent(u)), *s);
}

/* Two vectors of columns with two heads at a time: the rows of a panel are read whole, as they lie in the cache. */
static inline void mixture_pairs(float *out, const float *a, const float *b, int64_t y_stride, int64_t n_key, int64_t stride,
                                 int columns)
{
    V s[4], p[4];
    for (int i = 0; i < 4; i++)
        s[i] = p[i] = v_set1(0);
    for (int64_t k = 0; k < n_key; k++, a += stride, b += stride) {
        V u = v_add(v_load(a), v_set1(FLT_MIN)), w = v_add(v_load(a + VW), v_set1(FLT_MIN));
        mixture_step(u, v_load(b), &s[0], &p[0]);
        mixture_step(w, v_load(b + VW), &s[1], &p[1]);
        mixture_step(u, v_load(b + y_stride), &s[2], &p[2]);
        mixture_step(w, v_load(b + y_stride + VW), &s[3], &p[3]);
    }
    for (int i = 0; i < 4; i++)
        v_store(out + (i / 2) * columns + (i % 2) * VW, v_fma(v_set1(MIXTURE_INVERSE), p[i], s[i]));
}

static void simd_mixture_sums(float *out, const float *x, const float *y, int64_t y_stride, int n_y, int64_t n_key,
                              int64_t stride, int columns)
{
    int pairs = VW >= 16 && columns % (2 * VW) == 0 ? n_y / 2 * 2 : 0;
    for (int j = 0; j < pairs; j += 2)
        for (int c = 0; c < columns; c += 2 * VW)
            mixture_pairs(out + j * columns + c, x + c, y + j * y_stride + c, y_stride, n_key, stride, columns);
    for (int c = 0; c < columns; c += VW) {
        int j = pairs;
        for (; j + 2 <= n_y; j += 2) {
            V s0 = v_set1(0), s1 = v_set1(0), p0 = v_set1(0), p1 = v_set1(0);
            const float *a = x + c, *b = y + j * y_stride + c;
            for (int64_t k = 0; k < n_key; k++, a += stride, b += stride) {
                V v = v_add(v_load(a), v_set1(FLT_MIN));
                mixture_step(v, v_load(b), &s0, &p0);
                mixture_step(v, v_load(b + y_stride), &s1, &p1);
            }
            v_store(out + j * columns + c, v_fma(v_set1(MIXTURE_INVERSE), p0, s0));
            v_store(out + (j + 1) * columns + c, v_fma(v_set1(MIXTURE_INVERSE), p1, s1));
        }
        for (; j < n_y; j++) {
            V s = v_set1(0), p = v_set1(0);
            const float *a = x + c, *b = y + j * y_stride + c;
            for (int64_t k = 0; k < n_key; k++, a += stride, b += stride)
                mixture_step(v_add(v_load(a), v_set1(FLT_MIN)), v_load(b), &s, &p);
            v_store(out + j * columns + c, v_fma(v_set1(MIXTURE_INVERSE), p, s));
        }
    }
}

static void simd_product_sums(float *out, const float *x, const float *y, int64_t y_stride, int n_y, int64_t n_key,
                              int64_t stride, int columns)
{
    enum { NY = 4 };
    for (int c = 0; c < columns; c += VW)
        for (int j = 0; j < n_y; j += NY) {
            V s[NY] = {v_set1(0), v_set1(0), v_set1(0), v_set1(0)};
            int n = n_y - j < NY ? n_y - j : NY;
            const float *a = x + c, *b = y + j * y_stride + c;
            if (n == NY)
                for (int64_t k = 0; k < n_key; k++, a += stride, b += stride)
                    for (int i = 0; i < NY; i++)
                        s[i] = v_fma(v_load(a), v_load(b + i * y_stride), s[i]);
            else
                for (int64_t k = 0; k < n_key; k++, a += stride, b += stride)
                    for (int i = 0; i < n; i++)
                        s[i] = v_fma(v_load(a), v_load(b + i * y_stride), s[i]);
            for (int i = 0; i < n; i++)
                v_store(out + (j + i) * columns + c, s[i]);
        }
}
