/* Kernels written once for vectors of any width.  The file that includes this defines, inside its target
 * region:
 *   VW lanes; V the vector of float; M the lane mask
 *   v_load v_store v_set1 v_add v_sub v_mul v_div v_fma(a,b,c)=ab+c v_max v_min v_round(nearest) v_abs
 *   v_total(a): the sum of the lanes, halves onto halves
 *   v_scale2(x, n): x 2^n for integral n in [-126, 151], in two steps; m_and_range(k, lo, hi): lanes with lo <= k < hi
 *   v_keep(m, a): a where m, else 0; v_pick(m, a, b): a where m, else b; v_below(a, b): mask of a < b
 *   v_round_bf16(x): to the nearest bfloat16, ties to even, a NaN quiet
 *   SIMD_NR: columns of a panel (a multiple of VW).
 * No include guard: each instruction set includes it once. */

/* kernel_c_exp in lanes. */
static inline V v_exp(V x)
{
    M gone = v_below(x, v_set1(-87.33654f));
    x = v_max(v_set1(-87.33654f), v_min(v_set1(104), x)); /* the order lets a NaN through */
    V n = v_round(v_mul(x, v_set1(1.44269504088896340736f)));
    V r = v_fma(n, v_set1(-0.693145751953125f), x);
    r = v_fma(n, v_set1(-1.428606765330187045e-06f), r);
    V p = v_set1(0.000198527617612853646278381f);
    p = v_fma(p, r, v_set1(0.00139304355252534151077271f));
    p = v_fma(p, r, v_set1(0.00833336077630519866943359f));
    p = v_fma(p, r, v_set1(0.0416664853692054748535156f));
    p = v_fma(p, r, v_set1(0.166666671633720397949219f));
    p = v_fma(p, r, v_set1(0.5f));
    p = v_add(v_set1(1.0f), v_fma(v_mul(r, r), p, r));
    return v_pick(gone, v_set1(0), v_scale2(p, n));
}

static void simd_silu(float *x, int64_t n)
{
    int64_t i = 0;
    for (; i + VW <= n; i += VW) {
        V v = v_load(x + i);
        v_store(x + i, v_div(v, v_add(v_set1(1), v_exp(v_sub(v_set1(0), v)))));
    }
    kernel_c_silu(x + i, n - i);
}

static void simd_gelu_tanh(float *x, int64_t n)
{
    gelu_tanh_row(x, n);
}

static void simd_gelu_new(float *x, int64_t n)
{
    gelu_new_row(x, n);
}

static void simd_gelu_fast(float *x, int64_t n)
{
    gelu_fast_row(x, n);
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

static inline V v_sigmoid(V x)
{
    return v_div(v_set1(1), v_add(v_set1(1), v_exp(v_sub(v_set1(0), x))));
}

/* The order of the operands lets a NaN through. */
static inline V v_clamp(V x, V lo, V hi)
{
    return v_min(hi, v_max(lo, x));
}

static void simd_quick_gelu(float *x, int64_t n)
{
    int64_t i = 0;
    for (; i + VW <= n; i += VW) {
        V v = v_load(x + i);
        v_store(x + i, v_mul(v, v_sigmoid(v_mul(v_set1(1.702f), v))));
    }
    kernel_c_quick_gelu(x + i, n - i);
}

static void simd_relu2(float *x, int64_t n)
{
    int64_t i = 0;
    for (; i + VW <= n; i += VW) {
        V v = v_max(v_set1(0), v_load(x + i));
        v_store(x + i, v_mul(v, v));
    }
    kernel_c_relu2(x + i, n - i);
}

static void simd_sigmoid(float *x, int64_t n)
{
    int64_t i = 0;
    for (; i + VW <= n; i += VW)
        v_store(x + i, v_sigmoid(v_load(x + i)));
    kernel_c_sigmoid(x + i, n - i);
}

static void simd_clamp(float *x, float lo, float hi, int64_t n)
{
    int64_t i = 0;
    for (; i + VW <= n; i += VW)
        v_store(x + i, v_clamp(v_load(x + i), v_set1(lo), v_set1(hi)));
    kernel_c_clamp(x + i, lo, hi, n - i);
}

static void simd_scale(float *x, float a, int64_t n)
{
    int64_t i = 0;
    for (; i + VW <= n; i += VW)
        v_store(x + i, v_mul(v_load(x + i), v_set1(a)));
    kernel_c_scale(x + i, a, n - i);
}

static void simd_round_bf16(float *x, int64_t n)
{
    int64_t i = 0;
    for (; i + VW <= n; i += VW)
        v_store(x + i, v_round_bf16(v_load(x + i)));
    kernel_c_round_bf16(x + i, n - i);
}

static void simd_add_scaled(float *x, const float *y, float a, int64_t n)
{
    int64_t i = 0;
    for (; i + VW <= n; i += VW)
        v_store(x + i, v_add(v_load(x + i), v_mul(v_set1(a), v_load(y + i))));
    kernel_c_add_scaled(x + i, y + i, a, n - i);
}

static void simd_swiglu_oai(float *gate, const float *up, int64_t n, float alpha, float limit)
{
    int64_t i = 0;
    for (; i + VW <= n; i += VW) {
        V g = v_min(v_set1(limit), v_load(gate + i)), u = v_clamp(v_load(up + i), v_set1(-limit), v_set1(limit));
        v_store(gate + i, v_mul(v_add(u, v_set1(1)), v_mul(g, v_sigmoid(v_mul(g, v_set1(alpha))))));
    }
    kernel_c_swiglu_oai(gate + i, up + i, n - i, alpha, limit);
}

/* The end of every dot. */
static inline float v_dot_total(const V acc[4])
{
    return v_total(v_add(v_add(acc[0], acc[1]), v_add(acc[2], acc[3])));
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
    float sum = 0;
    for (; i < n; i++)
        sum += x[i] * y[i];
    return v_dot_total(acc) + sum;
}

/* kernel_c_tanh in lanes. */
static inline V v_tanh(V x)
{
    V a = v_abs(x), z = v_mul(x, x);
    V p = v_fma(v_set1(TANH_P0), z, v_set1(TANH_P1));
    p = v_fma(p, z, v_set1(TANH_P2));
    p = v_fma(p, z, v_set1(TANH_P3));
    p = v_fma(p, z, v_set1(TANH_P4));
    p = v_fma(v_mul(p, z), x, x);
    V t = v_sub(v_set1(1), v_div(v_set1(2), v_add(v_exp(v_add(a, a)), v_set1(1))));
    t = v_pick(v_below(x, v_set1(0)), v_sub(v_set1(0), t), t);
    return v_pick(v_below(a, v_set1(TANH_SMALL)), p, t);
}

static void simd_score_columns(const score_block *b)
{
    V scale = v_set1(b->scale), cap = v_set1(b->softcap);
    for (int64_t k = 0; k < b->n_key; k++)
        for (int j = 0; j < b->n_query; j += VW) {
            float *at = b->s + k * SIMD_NR + j;
            V s = v_mul(v_load(at), scale);
            if (b->softcap > 0)
                s = v_mul(v_tanh(v_div(s, cap)), cap);
            if (b->key_bias)
                s = v_add(s, v_set1(b->key_bias[k]));
            if (b->rel_bias)
                s = v_add(s, v_load(b->rel_bias + j - k));
            v_store(at, s);
        }
}

/* Sums of the statistics are taken over stretches of this many keys, so that a float accumulator stays short and
 * a column's result does not depend on its neighbours. */
enum { STRETCH = 64 };

typedef struct column_sums { V weighted, distance; } column_sums;

/* e = exp(s - m) for keys k .. end - 1 of one vector of columns, and its sums. */
static inline column_sums softmax_stretch(float *s, V part[SOFTMAX_WAYS], int64_t key0, int64_t k, int64_t end, V scale, V m,
                                          V qpos, const int64_t *lo,
                                          const int64_t *hi, bool all_visible, bool want_distance)
{
    column_sums c = {v_set1(0), v_set1(0)};
    for (; k < end; k++) {
        V t = v_sub(v_mul(v_load(s + k * SIMD_NR), scale), m), e = v_exp(t);
        V te = v_max(t, v_set1(-100)); /* e is 0 there: keep 0 * -inf out of the sum */
        if (!all_visible) {
            M seen = m_and_range(k, lo, hi);
            e = v_keep(seen, e);
            te = v_keep(seen, te);
        }
        v_store(s + k * SIMD_NR, e);
        V *sum = &part[(uint64_t)(key0 + k) % SOFTMAX_WAYS];
        *sum = v_add(*sum, e);
        c.weighted = v_fma(e, te, c.weighted);
        if (want_distance)
            c.distance = v_fma(e, v_abs(v_sub(qpos, v_set1((float)k))), c.distance);
    }
    return c;
}

/* softmax_total in lanes; parts are lost. */
static inline V softmax_sum(V part[SOFTMAX_WAYS], int64_t n_total)
{
    for (int half = SOFTMAX_WAYS / 2; half && n_total >= SOFTMAX_WAYS; half /= 2)
        for (int l = 0; l < half; l++)
            part[l] = v_add(part[l], part[l + half]);
    for (int l = 1; l < SOFTMAX_WAYS && n_total < SOFTMAX_WAYS; l++)
        part[0] = v_add(part[0], part[l]);
    return part[0];
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
    V m = v_set1(-INFINITY), qpos = v_load(qpos_lane), scale = v_set1(b->scale);
    for (int64_t k = first; k < last; k++) {
        V v = v_mul(v_load(s + k * SIMD_NR), scale);
        m = k >= all_lo && k < all_hi ? v_max(m, v) : v_max(m, v_pick(m_and_range(k, lo, hi), v, v_set1(-INFINITY)));
    }
    V top = m;
    float lse[VW] = {0};
    bool far[VW] = {false};
    if (b->sink) {
        float top_lane[VW];
        m = v_max(m, v_set1(*b->sink));
        v_store(top_lane, top);
        for (int l = 0; l < VW; l++)
            if ((far[l] = *b->sink - top_lane[l] > SINK_FAR))
                lse[l] = top_lane[l] < LOWEST_SCORE ? -INFINITY
                         : kernel_c_lse(s + l, SIMD_NR, b->scale, lo[l], hi[l], top_lane[l]);
    }
    /* A column that sees nothing has no maximum; any finite stand-in keeps NaN away. */
    m = v_pick(v_below(m, v_set1(LOWEST_SCORE)), v_set1(0), m);

    column_sums total = {v_set1(0), v_set1(0)};
    V part[SOFTMAX_WAYS];
    for (int l = 0; l < SOFTMAX_WAYS; l++)
        part[l] = v_set1(0);
    for (int64_t k = 0; k < first; k++)
        v_store(s + k * SIMD_NR, v_set1(0));
    for (int64_t k = first / STRETCH * STRETCH; k < last; k += STRETCH) {
        int64_t from = k > first ? k : first, to = k + STRETCH < last ? k + STRETCH : last;
        column_sums c = softmax_stretch(s, part, b->key0, from, to, scale, m, qpos, lo, hi, from >= all_lo && to <= all_hi,
                                        b->distance);
        total.weighted = v_add(total.weighted, c.weighted);
        total.distance = v_add(total.distance, c.distance);
    }
    V keys, sum, e_sink = v_set1(0);
    if (b->sink) {
        V seen[SOFTMAX_WAYS];
        for (int l = 0; l < SOFTMAX_WAYS; l++)
            seen[l] = part[l];
        keys = softmax_sum(seen, b->n_total);
        e_sink = v_exp(v_sub(v_set1(*b->sink), m));
        V *way = &part[(uint64_t)b->n_total % SOFTMAX_WAYS];
        *way = v_add(*way, e_sink);
        sum = softmax_sum(part, b->n_total + 1);
    } else {
        keys = sum = softmax_sum(part, b->n_total);
    }
    /* A sum is >= 1, 0 or NaN. */
    V inverse = v_pick(v_below(sum, v_set1(0.5f)), v_set1(0), v_div(v_set1(1), sum));
    for (int64_t k = first; k < last; k++)
        v_store(s + k * SIMD_NR, v_mul(v_load(s + k * SIMD_NR), inverse));
    for (int64_t k = last; k < b->n_key; k++)
        v_store(s + k * SIMD_NR, v_set1(0));

    float key_sum[VW], share[VW], weighted[VW], largest[VW], maximum[VW], distance[VW], whole[VW];
    v_store(key_sum, keys);
    v_store(weighted, v_mul(total.weighted, inverse));
    v_store(distance, v_mul(total.distance, inverse));
    v_store(largest, m);
    v_store(maximum, b->sink ? v_mul(v_exp(v_sub(top, m)), inverse) : inverse);
    v_store(whole, sum);
    v_store(share, v_mul(keys, inverse));
    if (b->sink)
        v_store(b->sink_weight + j0, v_mul(e_sink, inverse));
    for (int l = 0; l < VW; l++) {
        bool empty = key_sum[l] == 0;
        double ln_keys = empty ? 0 : log((double)key_sum[l]);
        b->lse[j0 + l] = far[l] && key_sum[l] == key_sum[l] ? lse[l] : empty ? -INFINITY : (float)(largest[l] + ln_keys);
        for (int64_t k = first; whole[l] != whole[l] && k < last; k++) /* 0 times NaN is no 0 */
            if (k < lo[l] || k >= hi[l])
                s[k * SIMD_NR + l] = 0;
        if (b->entropy)
            b->entropy[j0 + l] = empty ? 0 : b->sink ? (float)(log((double)whole[l]) * share[l] - weighted[l])
                                 : (float)(ln_keys - weighted[l]);
        if (b->maximum)
            b->maximum[j0 + l] = maximum[l];
        if (b->distance)
            b->distance[j0 + l] = distance[l];
    }
}

static void simd_softmax_columns(const softmax_block *b)
{
    for (int j = 0; j < SIMD_NR; j += VW)
        softmax_vector(b, j);
}

/* One stretch of the sum: c = (or, behind the first stretch, c +=) a b. */
static inline void gemm_stretch(int64_t k, const float *a, const float *b, float *c, int64_t ldc, int m, int n, bool first)
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
        float *to = c + i * ldc;
        if (n == SIMD_NR) {
            for (int v = 0; v < NV; v++)
                v_store(to + v * VW, first ? acc[i][v] : v_add(v_load(to + v * VW), acc[i][v]));
        } else {
            for (int v = 0; v < NV; v++)
                v_store(tail + v * VW, acc[i][v]);
            for (int j = 0; j < n; j++)
                to[j] = first ? tail[j] : to[j] + tail[j];
        }
    }
}

static void simd_gemm_micro(int64_t k, const float *a, const float *b, float *c, int64_t ldc, int m, int n)
{
    int64_t step = gemm_stretch_length(k), done = 0;
    do { /* once for k = 0, too */
        gemm_stretch(k - done < step ? k - done : step, a + done * SIMD_MR, b + done * SIMD_NR, c, ldc, m, n, done == 0);
        done += step;
    } while (done < k);
}

static void simd_layer_norm(float *y, const float *x, const float *w, const float *b, int64_t n, float eps)
{
    layer_norm_row(y, x, w, b, n, eps);
}

/* As many chains as hide the latency of a multiply-add on two ports, or nearly. */
static float simd_multiply_adds(int64_t rounds, int *flop)
{
    enum { CHAINS = 12 };
    V x[CHAINS], a = v_set1(0.999f), b = v_set1(0.001f);
    for (int i = 0; i < CHAINS; i++)
        x[i] = v_set1((float)i);
    for (int64_t r = 0; r < rounds; r++)
#pragma GCC unroll 12
        for (int i = 0; i < CHAINS; i++)
            x[i] = v_fma(x[i], a, b);
    for (int i = 1; i < CHAINS; i++)
        x[0] = v_add(x[0], x[i]);
    *flop = 2 * VW * CHAINS;
    return v_total(x[0]);
}

/* The table of the instruction set that includes this. */
#define SIMD_KERNELS(name, tile_table) { \
    .isa = name, \
    .mr = SIMD_MR, \
    .nr = SIMD_NR, \
    .gemm_micro = simd_gemm_micro, \
    .dot = simd_dot, \
    .row_dot = { \
        [DT_F32] = row_dot_f32, [DT_F16] = row_dot_f16, [DT_BF16] = row_dot_bf16, [DT_Q8_0] = row_dot_q8_0, \
        [DT_Q4_0] = row_dot_q4_0, [DT_Q4_1] = row_dot_q4_1, [DT_Q5_0] = row_dot_q5_0, [DT_Q5_1] = row_dot_q5_1, \
        [DT_Q4_K] = row_dot_q4_k, [DT_Q5_K] = row_dot_q5_k, [DT_Q6_K] = row_dot_q6_k, \
        [DT_IQ4_NL] = row_dot_iq4_nl, [DT_IQ4_XS] = row_dot_iq4_xs, [DT_MXFP4] = row_dot_mxfp4, \
        [DT_NVFP4] = row_dot_nvfp4, [DT_Q2_K] = row_dot_q2_k, [DT_Q3_K] = row_dot_q3_k, \
        [DT_IQ3_XXS] = row_dot_iq3_xxs, [DT_IQ3_S] = row_dot_iq3_s, [DT_IQ2_XXS] = row_dot_iq2_xxs, \
        [DT_IQ2_XS] = row_dot_iq2_xs, [DT_IQ2_S] = row_dot_iq2_s, [DT_IQ1_S] = row_dot_iq1_s, \
        [DT_IQ1_M] = row_dot_iq1_m, [DT_TQ1_0] = row_dot_tq1_0, [DT_TQ2_0] = row_dot_tq2_0, [DT_Q1_0] = row_dot_q1_0, \
        [DT_Q2_0] = row_dot_q2_0, [DT_Q8_1] = row_dot_q8_1, [DT_Q8_K] = row_dot_q8_k, \
    }, \
    .row_dot_bf16 = { \
        [DT_F32] = rounded_f32, [DT_F16] = rounded_f16, [DT_BF16] = row_dot_bf16, [DT_Q8_0] = rounded_q8_0, \
        [DT_Q4_0] = rounded_q4_0, [DT_Q4_1] = rounded_q4_1, [DT_Q5_0] = rounded_q5_0, [DT_Q5_1] = rounded_q5_1, \
        [DT_Q4_K] = rounded_q4_k, [DT_Q5_K] = rounded_q5_k, [DT_Q6_K] = rounded_q6_k, \
        [DT_IQ4_NL] = rounded_iq4_nl, [DT_IQ4_XS] = rounded_iq4_xs, [DT_MXFP4] = rounded_mxfp4, \
        [DT_NVFP4] = rounded_nvfp4, [DT_Q2_K] = rounded_q2_k, [DT_Q3_K] = rounded_q3_k, \
        [DT_IQ3_XXS] = rounded_iq3_xxs, [DT_IQ3_S] = rounded_iq3_s, [DT_IQ2_XXS] = rounded_iq2_xxs, \
        [DT_IQ2_XS] = rounded_iq2_xs, [DT_IQ2_S] = rounded_iq2_s, [DT_IQ1_S] = rounded_iq1_s, \
        [DT_IQ1_M] = rounded_iq1_m, [DT_TQ1_0] = rounded_tq1_0, [DT_TQ2_0] = rounded_tq2_0, [DT_Q1_0] = rounded_q1_0, \
        [DT_Q2_0] = rounded_q2_0, [DT_Q8_1] = rounded_q8_1, [DT_Q8_K] = rounded_q8_k, \
    }, \
    .rows_dot = { \
        [DT_F32] = rows_dot_f32, [DT_F16] = rows_dot_f16, [DT_BF16] = rows_dot_bf16, [DT_Q8_0] = rows_dot_q8_0, \
    }, \
    .row_values = { \
        [DT_F8_E4M3] = values_f8_e4m3, [DT_F8_E5M2] = values_f8_e5m2, [DT_F4] = values_f4, \
        [DT_F16] = values_f16, [DT_BF16] = values_bf16, [DT_Q8_0] = values_q8_0, [DT_Q4_0] = values_q4_0, \
        [DT_Q4_1] = values_q4_1, [DT_Q5_0] = values_q5_0, [DT_Q5_1] = values_q5_1, [DT_Q4_K] = values_q4_k, \
        [DT_Q5_K] = values_q5_k, [DT_Q6_K] = values_q6_k, [DT_IQ4_NL] = values_iq4_nl, [DT_IQ4_XS] = values_iq4_xs, \
        [DT_MXFP4] = values_mxfp4, [DT_NVFP4] = values_nvfp4, [DT_Q2_K] = values_q2_k, [DT_Q3_K] = values_q3_k, \
        [DT_IQ3_XXS] = values_iq3_xxs, [DT_IQ3_S] = values_iq3_s, [DT_IQ2_XXS] = values_iq2_xxs, \
        [DT_IQ2_XS] = values_iq2_xs, [DT_IQ2_S] = values_iq2_s, [DT_IQ1_S] = values_iq1_s, [DT_IQ1_M] = values_iq1_m, \
        [DT_TQ1_0] = values_tq1_0, [DT_TQ2_0] = values_tq2_0, [DT_Q1_0] = values_q1_0, [DT_Q2_0] = values_q2_0, \
        [DT_Q8_1] = values_q8_1, [DT_Q8_K] = values_q8_k, \
    }, \
    .part_pairs = simd_part_pairs, \
    .interleave = kernel_avx2_interleave, \
    .score_columns = simd_score_columns, \
    .softmax_columns = simd_softmax_columns, \
    .sum_squares = kernel_c_sum_squares, \
    .rms_norm = kernel_c_rms_norm, \
    .layer_norm = simd_layer_norm, \
    .silu = simd_silu, \
    .gelu_tanh = simd_gelu_tanh, \
    .gelu_erf = kernel_c_gelu_erf, \
    .relu = kernel_c_relu, \
    .mul = simd_mul, \
    .add = simd_add, \
    .round_bf16 = simd_round_bf16, \
    .quick_gelu = simd_quick_gelu, \
    .relu2 = simd_relu2, \
    .sigmoid = simd_sigmoid, \
    .softplus = kernel_c_softplus, \
    .clamp = simd_clamp, \
    .scale = simd_scale, \
    .add_scaled = simd_add_scaled, \
    .swiglu_oai = simd_swiglu_oai, \
    .gelu_new = simd_gelu_new, \
    .gelu_fast = simd_gelu_fast, \
    .product_sums = simd_product_sums, \
    .mixture_sums = simd_mixture_sums, \
    .column_sums = simd_column_sums, \
    .scale_columns = simd_scale_columns, \
    .multiply_adds = simd_multiply_adds, \
    .tiles = tile_table, \
}
