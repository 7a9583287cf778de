/* Weights of a panel by column, for vectors of any width.  Besides what simd_body.h asks for, the file that includes this
 * defines
 *   W the vector of VW / 2 doubles; w_load(VW / 2 floats) w_low(V) w_high(V): of half a vector of floats; w_add w_store;
 *   w_totals(a [VW / 2]): lane i the sum of the lanes of a[i], halves onto halves. */

_Static_assert(SIMD_NR == 2 * VW, "a row of a panel is two vectors");

/* A row of a panel, down to VW / 2 columns. */
static inline W folded_row(const float *x, V low, V high, bool scaled)
{
    if (!scaled)
        return w_add(w_add(w_load(x), w_load(x + VW)), w_add(w_load(x + VW / 2), w_load(x + VW + VW / 2)));
    const V a = v_mul(v_load(x), low), b = v_mul(v_load(x + VW), high);
    return w_add(w_add(w_low(a), w_low(b)), w_add(w_high(a), w_high(b)));
}

static inline void column_sums_of(double *sums, const float *x, V low, V high, bool scaled, int64_t n_key)
{
    W w[VW / 2];
    int64_t k = 0;
    for (; k + VW / 2 <= n_key; k += VW / 2, x += VW / 2 * SIMD_NR) {
        for (int i = 0; i < VW / 2; i++)
            w[i] = folded_row(x + i * SIMD_NR, low, high, scaled);
        w_store(sums + k, w_totals(w));
    }
    double last[VW / 2];
    for (int i = 0; i < VW / 2 && k < n_key; i++) /* some rows twice */
        w[i] = folded_row(x + (k + i < n_key ? i : 0) * SIMD_NR, low, high, scaled);
    if (k < n_key)
        w_store(last, w_totals(w));
    for (int i = 0; k < n_key; i++, k++)
        sums[k] = last[i];
}

static void simd_column_sums(double *sums, const float *x, const float *factor, int64_t n_key)
{
    if (factor)
        column_sums_of(sums, x, v_load(factor), v_load(factor + VW), true, n_key);
    else
        column_sums_of(sums, x, v_set1(1), v_set1(1), false, n_key);
}

static void simd_scale_columns(float *x, const float *factor, int64_t n_key)
{
    const V low = v_load(factor), high = v_load(factor + VW);
    for (int64_t k = 0; k < n_key; k++, x += SIMD_NR) {
        v_store(x, v_mul(v_load(x), low));
        v_store(x + VW, v_mul(v_load(x + VW), high));
    }
}
