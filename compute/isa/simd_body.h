/* Kernels written once for vectors of any width.  The file that includes this defines, inside its target
 * region:
 *   VW lanes; V the vector of float; M the lane mask
 *   v_load v_store v_set1 v_add v_sub v_mul v_div v_fma(a,b,c)=ab+c v_max v_round(nearest) v_abs
 *   v_pow2(n): 2^n for integral n in [-126, 128); m_and_range(k, lo, hi): lanes with lo <= k < hi
 *   v_keep(m, a): a where m, else 0; v_pick(m, a, b): a where m, else b; v_below(a, b): mask of a < b
 *   SIMD_NR: columns of a panel (a multiple of VW).
 * No include guard: each instruction set includes it once. */

/* exp(x) to about 1 ulp for x in [-87.3, 88]; 0 below.  Range reduction by ln 2 in two parts and the
 * degree-5 polynomial of the Cephes library. */
static inline V v_exp(V x)
{
    M gone = v_below(x, v_set1(-87.33654f));
    x = v_max(x, v_set1(-87.33654f));
    V n = v_round(v_mul(x, v_set1(1.44269504f)));
    V r = v_fma(n, v_set1(-0.693359375f), x);
    r = v_fma(n, v_set1(2.12194440e-4f), r);
    V p = v_set1(1.9875691500e-4f);
    p = v_fma(p, r, v_set1(1.3981999507e-3f));
    p = v_fma(p, r, v_set1(8.3334519073e-3f));
    p = v_fma(p, r, v_set1(4.1665795894e-2f));
    p = v_fma(p, r, v_set1(1.6666665459e-1f));
    p = v_fma(p, r, v_set1(5.0000001201e-1f));
    p = v_fma(p, v_mul(r, r), v_add(r, v_set1(1.0f)));
    return v_pick(gone, v_set1(0), v_mul(p, v_pow2(n)));
}

static void simd_silu(float *x, int64_t n)
{
    int64_t i = 0;
    for (; i + VW <= n; i += VW) {
        V v = v_load(x + i);
        V t = v_exp(v_max(v_sub(v_set1(0), v), v_set1(-87)));
        /* exp(-x) beyond e^88 would overflow the range reduction; x / (1 + inf) is 0 there. */
        M far = v_below(v, v_set1(-87));
        v_store(x + i, v_pick(far, v_set1(0), v_div(v, v_add(v_set1(1), t))));
    }
    kernel_c_silu(x + i, n - i);
}

static void simd_gelu_tanh(float *x, int64_t n)
{
    int64_t i = 0;
    for (; i + VW <= n; i += VW) {
        V v = v_load(x + i);
        V u = v_mul(v, v_fma(v_mul(v, v), v_set1(0.7978845608028654f * 0.044715f), v_set1(0.7978845608028654f)));
        u = v_mul(u, v_set1(-2));  /* .5 (1 + tanh u) = 1 / (1 + exp(-2u)) */
        M far = v_below(v_set1(87), u);
        V t = v_exp(v_pick(far, v_set1(0), u));
        v_store(x + i, v_pick(far, v_set1(0), v_div(v, v_add(v_set1(1), t))));
    }
    kernel_c_gelu_tanh(x + i, n - i);
}

static void simd_mul(float *x, const float *y, int64_t n)
{
    int64_t i = 0;
    for (; i + VW <= n; i += VW)
        v_store(x + i, v_mul(v_load(x + i), v_load(y + i)));
    kernel_c_mul(x + i, y + i, n - i);
}

static void simd_add(float *x, const float *y, int64_t n)
{
    int64_t i = 0;
    for (; i + VW <= n; i += VW)
        v_store(x + i, v_add(v_load(x + i), v_load(y + i)));
    kernel_c_add(x + i, y + i, n - i);
}

static float simd_dot(const float *x, const float *y, int64_t n)
{
    V acc[4] = {v_set1(0), v_set1(0), v_set1(0), v_set1(0)};
    int64_t i = 0;
    for (; i + 4 * VW <= n; i += 4 * VW)
        for (int l = 0; l < 4; l++)
            acc[l] = v_fma(v_load(x + i + l * VW), v_load(y + i + l * VW), acc[l]);
    for (; i + VW <= n; i += VW)
        acc[0] = v_fma(v_load(x + i), v_load(y + i), acc[0]);
    float part[VW], sum = 0;
    v_store(part, v_add(v_add(acc[0], acc[1]), v_add(acc[2], acc[3])));
    for (int step = VW / 2; step; step /= 2)
        for (int l = 0; l < step; l++)
            part[l] += part[l + step];
    for (; i < n; i++)
        sum += x[i] * y[i];
    return part[0] + sum;
}

static double simd_sum_squares(const float *x, int64_t n)
{
    /* Blocks of a few hundred keep the float sums short; the total is kept in double. */
    double total = 0;
    for (int64_t i = 0; i < n; i += 256)
        total += simd_dot(x + i, x + i, n - i < 256 ? n - i : 256);
    return total;
}

static void simd_rms_norm(float *y, const float *x, const float *w, int64_t n, float eps)
{
    float r = (float)(1 / sqrt(simd_sum_squares(x, n) / (double)n + eps));
    for (int64_t i = 0; i < n; i++)
        y[i] = x[i] * r * (w ? w[i] : 1);
}

/* Partial sums are taken over stretches of this many keys, so that a float accumulator stays short and a
 * column's result does not depend on its neighbours. */
enum { STRETCH = 64 };

typedef struct column_sums { V sum, weighted, distance; } column_sums;

/* e = exp(s - m) for keys k .. end - 1 of one vector of columns, and its sums. */
static inline column_sums softmax_stretch(float *s, int64_t k, int64_t end, V m, V qpos, const int64_t *lo,
                                          const int64_t *hi, bool all_visible, bool want_distance)
{
    column_sums c = {v_set1(0), v_set1(0), v_set1(0)};
    for (; k < end; k++) {
        V t = v_sub(v_load(s + k * SIMD_NR), m), e = v_exp(t);
        V te = v_max(t, v_set1(-100)); /* e is 0 there: keep 0 * -inf out of the sum */
        if (!all_visible) {
            M seen = m_and_range(k, lo, hi);
            e = v_keep(seen, e);
            te = v_keep(seen, te);
        }
        v_store(s + k * SIMD_NR, e);
        c.sum = v_add(c.sum, e);
        c.weighted = v_fma(e, te, c.weighted);
        if (want_distance)
            c.distance = v_fma(e, v_abs(v_sub(qpos, v_set1((float)k))), c.distance);
    }
    return c;
}

static void softmax_vector(const softmax_block *b, int j0)
{
    float *s = b->s + j0;
    const int64_t *lo = b->lo + j0, *hi = b->hi + j0;
    int64_t first = b->n_key, last = 0, all_lo = 0, all_hi = b->n_key;
    float qpos_lane[VW];
    for (int l = 0; l < VW; l++) {
        qpos_lane[l] = (float)b->qpos[j0 + l];
        first = lo[l] < first ? lo[l] : first;
        last = hi[l] > last ? hi[l] : last;
        all_lo = lo[l] > all_lo ? lo[l] : all_lo;
        all_hi = hi[l] < all_hi ? hi[l] : all_hi;
    }
    V m = v_set1(-INFINITY), qpos = v_load(qpos_lane);
    for (int64_t k = first; k < last; k++) {
        V v = v_load(s + k * SIMD_NR);
        m = k >= all_lo && k < all_hi ? v_max(m, v) : v_max(m, v_pick(m_and_range(k, lo, hi), v, v_set1(-INFINITY)));
    }
    /* A column that sees nothing has no maximum; any finite stand-in keeps NaN away. */
    m = v_pick(v_below(m, v_set1(-3e38f)), v_set1(0), m);

    column_sums total = {v_set1(0), v_set1(0), v_set1(0)};
    for (int64_t k = 0; k < first; k++)
        v_store(s + k * SIMD_NR, v_set1(0));
    for (int64_t k = first / STRETCH * STRETCH; k < last; k += STRETCH) {
        int64_t from = k > first ? k : first, to = k + STRETCH < last ? k + STRETCH : last;
        column_sums c = softmax_stretch(s, from, to, m, qpos, lo, hi, from >= all_lo && to <= all_hi, b->distance);
        total.sum = v_add(total.sum, c.sum);
        total.weighted = v_add(total.weighted, c.weighted);
        total.distance = v_add(total.distance, c.distance);
    }
    V inverse = v_div(v_set1(1), total.sum);
    inverse = v_pick(v_below(v_set1(0), total.sum), inverse, v_set1(0));
    for (int64_t k = first; k < last; k++)
        v_store(s + k * SIMD_NR, v_mul(v_load(s + k * SIMD_NR), inverse));
    for (int64_t k = last; k < b->n_key; k++)
        v_store(s + k * SIMD_NR, v_set1(0));

    float sum[VW], weighted[VW], top[VW], one_over[VW], distance[VW];
    v_store(sum, total.sum);
    v_store(weighted, v_mul(total.weighted, inverse));
    v_store(distance, v_mul(total.distance, inverse));
    v_store(one_over, inverse);
    v_store(top, m);
    for (int l = 0; l < VW; l++) {
        bool empty = lo[l] >= hi[l];
        double ln_sum = empty ? 0 : log((double)sum[l]);
        b->lse[j0 + l] = empty ? -INFINITY : (float)(top[l] + ln_sum);
        if (b->entropy)
            b->entropy[j0 + l] = empty ? 0 : (float)(ln_sum - weighted[l]);
        if (b->maximum)
            b->maximum[j0 + l] = one_over[l];
        if (b->distance)
            b->distance[j0 + l] = distance[l];
    }
}

static void simd_softmax_columns(const softmax_block *b)
{
    for (int j = 0; j < SIMD_NR; j += VW)
        softmax_vector(b, j);
}

static void simd_gemm_micro(int64_t k, const float *a, const float *b, float *c, int64_t ldc, int m, int n)
{
    enum { NV = SIMD_NR / VW };
    V acc[SIMD_MR][NV];
    for (int i = 0; i < SIMD_MR; i++)
        for (int v = 0; v < NV; v++)
            acc[i][v] = v_set1(0);
    for (int64_t p = 0; p < k; p++, a += SIMD_MR, b += SIMD_NR) {
        V row[NV];
        for (int v = 0; v < NV; v++)
            row[v] = v_load(b + v * VW);
#pragma GCC unroll 16
        for (int i = 0; i < SIMD_MR; i++) {
            V x = v_set1(a[i]);
#pragma GCC unroll 4
            for (int v = 0; v < NV; v++)
                acc[i][v] = v_fma(x, row[v], acc[i][v]);
        }
    }
    float tail[SIMD_NR];
#pragma GCC unroll 16
    for (int i = 0; i < SIMD_MR; i++) {
        if (i >= m)
            break;
        if (n == SIMD_NR) {
            for (int v = 0; v < NV; v++)
                v_store(c + i * ldc + v * VW, acc[i][v]);
        } else {
            for (int v = 0; v < NV; v++)
                v_store(tail + v * VW, acc[i][v]);
            for (int j = 0; j < n; j++)
                c[i * ldc + j] = tail[j];
        }
    }
}
