/* Products of every table that this machine can run: gemm_micro and interleave to the last bit as they are defined, dot within
 * its budget.  What must not be written stays, what is padding does not count, and an element does not depend on how many rows
 * and columns are wanted. */
#include "tests/checkasm.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* Around the stretches in which long sums are cut (384), and what they leave. */
static const int64_t depths[] = {0, 1, 2, 3, 7, 15, 16, 17, 64, 127, 383, 384, 385, 576, 767, 768, 769, 1153, 2048, -1};

/* ---- gemm_micro ---- */

/* As kernels.h defines it. */
static float fused_sum(int64_t k, const float *a, int mr, const float *b, int nr)
{
    int64_t step = gemm_stretch_length(k);
    float total = 0;
    for (int64_t from = 0; from < k; from += step) {
        float sum = 0;
        for (int64_t p = from; p < k && p < from + step; p++)
            sum = fmaf(a[p * mr], b[p * nr], sum);
        total = from ? total + sum : sum;
    }
    return total;
}

/* Plain C fuses by way of double, which for extremes rounds twice: it has a budget there. */
static void expect_sum(const kernels *k, inputs kind, int64_t index, float got, int64_t depth, const float *a, const float *b)
{
    float want = fused_sum(depth, a, k->mr, b, k->nr);
    double size = 0;
    if (k != &kernels_c || kind == INPUTS_SMALL || kind == INPUTS_WIDE) {
        expect(BUDGET_EXACT, index, got, (double)want, 0);
        return;
    }
    for (int64_t p = 0; p < depth; p++)
        size += fabs((double)a[p * k->mr] * (double)b[p * k->nr]);
    expect(BUDGET_FORMULA_SUM, index, got, (double)want, size + DBL_MIN);
}

static void gemm_case(const kernels *k, int64_t depth, int m, int n, int place, inputs kind)
{
    int64_t ldc = n + random_below(5), cells = (m - 1) * ldc + n;
    float *a = buffer_floats(depth * k->mr, place), *b = buffer_floats(depth * k->nr, (place + 1) % PLACES);
    float *c = buffer_floats(cells, (place + 2) % PLACES);
    random_fill(a, depth * k->mr, kind);
    random_fill(b, depth * k->nr, kind);
    if (kind == INPUTS_HUGE) /* products that do not all overflow */
        for (int64_t i = 0; i < depth * k->nr; i++)
            b[i] = ldexpf(random_float(-1, 1), random_below(60) - 100);
    this_case("k %lld, %d x %d of %d x %d, ldc %lld, %s inputs, place %d", (long long)depth, m, n, k->mr, k->nr, (long long)ldc,
              inputs_name(kind), place);
    k->gemm_micro(depth, a, b, c, ldc, m, n);
    for (int64_t i = 0; i < cells; i++)
        if (i % ldc < n)
            expect_sum(k, kind, i, c[i], depth, a + i / ldc, b + i % ldc);
        else
            expect_that(untouched(c[i]), "written between the rows of c");
    buffers_done();
}

static void check_gemm(const kernels *k, const void *data)
{
    (void)data;
    assert_true(k->mr > 0 && k->mr <= GEMM_MAX_MR && k->nr > 0 && k->nr <= GEMM_MAX_NR);
    for (const int64_t *d = depths; *d >= 0; d++)
        for (int kind = 0; kind < INPUTS_COUNT; kind++)
            for (int trial = 0; trial < (*d > 130 ? 3 : 10); trial++) {
                bool whole_rows = trial % 5 == 0 || random_below(3) == 0, whole_columns = trial % 5 == 0 || random_below(3) == 0;
                gemm_case(k, *d, whole_rows ? k->mr : 1 + random_below(k->mr), whole_columns ? k->nr : 1 + random_below(k->nr),
                          (trial + kind) % PLACES, (inputs)kind);
            }
}

/* All numbers of rows and columns; padding that is NaN changes nothing. */
static void check_gemm_tails(const kernels *k, const void *data)
{
    enum { DEPTH = 77 };
    float a[DEPTH * GEMM_MAX_MR], b[DEPTH * GEMM_MAX_NR], full[GEMM_MAX_MR * GEMM_MAX_NR];
    (void)data;
    random_fill(a, DEPTH * k->mr, INPUTS_SMALL);
    random_fill(b, DEPTH * k->nr, INPUTS_SMALL);
    k->gemm_micro(DEPTH, a, b, full, k->nr, k->mr, k->nr);
    for (int m = 1; m <= k->mr; m++)
        for (int n = 1; n <= k->nr; n++) {
            float *pa = buffer_floats(DEPTH * k->mr, PLACE_BEHIND), *pb = buffer_floats(DEPTH * k->nr, PLACE_BEHIND);
            float *c = buffer_floats(k->mr * k->nr, (m + n) % PLACES);
            for (int p = 0; p < DEPTH; p++) {
                memcpy(pa + p * k->mr, a + p * k->mr, (size_t)m * sizeof *a);
                memcpy(pb + p * k->nr, b + p * k->nr, (size_t)n * sizeof *b);
            }
            this_case("padding behind %d x %d", m, n);
            k->gemm_micro(DEPTH, pa, pb, c, k->nr, m, n);
            for (int i = 0; i < k->mr * k->nr; i++)
                if (i / k->nr < m && i % k->nr < n)
                    expect(BUDGET_EXACT, i, c[i], (double)full[i], 0);
                else
                    expect_that(untouched(c[i]), "written beyond the rows and columns that are wanted");
            buffers_done();
        }
}

/* The definition itself against double. */
static void check_gemm_formula(const kernels *k, const void *data)
{
    static float a[2048 * GEMM_MAX_MR], b[2048 * GEMM_MAX_NR], c[GEMM_MAX_MR * GEMM_MAX_NR];
    (void)data;
    for (const int64_t *d = depths; *d >= 0; d++) {
        random_fill(a, *d * k->mr, INPUTS_SMALL);
        random_fill(b, *d * k->nr, INPUTS_SMALL);
        k->gemm_micro(*d, a, b, c, k->nr, k->mr, k->nr);
        this_case("k %lld against double", (long long)*d);
        for (int i = 0; i < k->mr * k->nr; i++) {
            double sum = 0, size = 0;
            for (int64_t p = 0; p < *d; p++) {
                double t = (double)a[p * k->mr + i / k->nr] * (double)b[p * k->nr + i % k->nr];
                sum += t;
                size += fabs(t);
            }
            expect(BUDGET_FORMULA_SUM, i, c[i], sum, size);
        }
    }
}

/* ---- dot ---- */

static void dot_case(const kernels *k, int64_t n, int place, inputs kind)
{
    float *x = buffer_floats(n, place), *y = buffer_floats(n, random_below(PLACES));
    double sum = 0, size = 0;
    random_fill(x, n, kind);
    random_fill(y, n, kind);
    if (kind == INPUTS_HUGE) /* products and their sums, in any order, stay finite */
        for (int64_t i = 0; i < n; i++)
            y[i] = ldexpf(random_float(-1, 1), -20 - random_below(60));
    for (int64_t i = 0; i < n; i++) {
        if (kind == INPUTS_SPECIAL && isfinite(x[i]) && isfinite(y[i]))
            x[i] = y[i] = 1; /* only what is infinite already makes the sum so */
        sum += (double)x[i] * (double)y[i];
        size += fabs((double)x[i] * (double)y[i]);
    }
    this_case("n %lld, %s inputs, place %d", (long long)n, inputs_name(kind), place);
    float got = k->dot(x, y, n), again = k->dot(x, y, n);
    expect(BUDGET_DOT, 0, got, sum, size + DBL_MIN + (kind == INPUTS_DENORMAL ? 2 * (double)n * (double)FLT_MIN : 0));
    expect(BUDGET_EXACT, 1, again, (double)got, 0);
    buffers_done();
}

static void check_dot(const kernels *k, const void *data)
{
    (void)data;
    for (const int64_t *n = kernel_sizes; *n >= 0; n++)
        for (int kind = 0; kind < INPUTS_COUNT; kind++)
            for (int place = 0; place < PLACES; place++)
                dot_case(k, *n, place, (inputs)kind);
}

/* Every element counts, once: powers of two that no rounding loses. */
static void check_dot_elements(const kernels *k, const void *data)
{
    (void)data;
    for (int64_t n = 1; n <= 300; n++) {
        float *x = buffer_floats(n, PLACE_BEHIND), *y = buffer_floats(n, PLACE_BEFORE + (int)(n % 4));
        double sum = 0;
        for (int64_t i = 0; i < n; i++) {
            x[i] = (float)(i + 1);
            y[i] = i % 2 ? -1 : 2;
            sum += (double)x[i] * (double)y[i];
        }
        this_case("n %lld, whole numbers", (long long)n);
        expect(BUDGET_EXACT, 0, k->dot(x, y, n), sum, 0);
        buffers_done();
    }
}

/* ---- interleave ---- */

static void interleave_case(const kernels *k, int stride, int rows, int64_t cols, int place)
{
    int64_t ld = cols + random_below(4), held = rows ? (rows - 1) * ld + cols : 0;
    float *src = buffer_floats(held, place), *dst = buffer_floats(cols * stride, (place + 1) % PLACES);
    random_fill(src, held, INPUTS_SPECIAL);
    this_case("%d rows of %d, %lld columns %lld apart, place %d", rows, stride, (long long)cols, (long long)ld, place);
    k->interleave(dst, stride, src, ld, rows, cols);
    for (int64_t c = 0; c < cols; c++)
        for (int i = 0; i < stride; i++)
            expect(BUDGET_EXACT, c * stride + i, dst[c * stride + i], i < rows ? (double)src[i * ld + c] : 0, 0);
    buffers_done();
}

static void check_interleave(const kernels *k, const void *data)
{
    (void)data;
    for (int stride = 1; stride <= GEMM_MAX_NR; stride += stride < 34 ? 1 : 5)
        for (int rows = 0; rows <= stride; rows++) {
            int64_t cols = random_below(8) ? random_below(40) : 200 + random_below(100);
            interleave_case(k, stride, rows, cols, (stride + rows) % PLACES);
        }
}

static void test_gemm(void **state) { (void)state; each_table("gemm_micro", check_gemm, NULL); }
static void test_gemm_tails(void **state) { (void)state; each_table("gemm_micro", check_gemm_tails, NULL); }
static void test_gemm_formula(void **state) { (void)state; each_table("gemm_micro", check_gemm_formula, NULL); }
static void test_dot(void **state) { (void)state; each_table("dot", check_dot, NULL); }
static void test_dot_elements(void **state) { (void)state; each_table("dot", check_dot_elements, NULL); }
static void test_interleave(void **state) { (void)state; each_table("interleave", check_interleave, NULL); }
static void test_every_entry(void **state) { (void)state; check_entries("test_kernels_gemm"); }

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gemm), cmocka_unit_test(test_gemm_tails), cmocka_unit_test(test_gemm_formula),
        cmocka_unit_test(test_dot), cmocka_unit_test(test_dot_elements), cmocka_unit_test(test_interleave),
        cmocka_unit_test(test_every_entry),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("kernels of products", tests, NULL, NULL);
}
