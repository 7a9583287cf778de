/* Inner loops of the attention of few queries, of every table that this machine can run: against plain C, to the last bit where
 * that is promised, else within the budget of sums. */
#include "tests/checkasm.h"

#include <math.h>
#include <string.h>

#include "compute/attention_few.h"

enum { MOST = 2048 };

static const int64_t counts[] = {0, 1, 2, 3, 4, 5, 7, 8, 9, 16, 17, 100, 513, -1};
static const int widths[] = {1, 2, 7, 8, 15, 16, 17, 31, 33, 63, 64, 65, 80, 96, 127, 128, 129, 192, 256, 257, -1};

/* ---- dots and sums of rows ---- */

/* Memory may be asked for that is not there. */
static few_ahead ahead_of(const float *rows)
{
    return (few_ahead){(const char *)rows, random_below(5)};
}

/* Scores of n keys of d elements; keys lie apart, what is between them is NaN. */
static void dots_case(const kernels *k, int64_t n, int d, int place, inputs kind)
{
    int64_t ld = d + random_below(5);
    float *q = buffer_floats(d, place), *keys = buffer_floats(n ? (n - 1) * ld + d : 0, (place + 1) % PLACES);
    float *s = buffer_floats(n, (place + 2) % PLACES), alone;
    random_fill(q, d, kind);
    for (int64_t i = 0; i < n; i++)
        random_fill(keys + i * ld, d, kind);
    this_case("%lld keys of %d, %lld apart, %s inputs, place %d", (long long)n, d, (long long)ld, inputs_name(kind), place);
    few_for(k)->dots(s, q, keys, ld, n, d, ahead_of(keys));
    for (int64_t i = 0; i < n; i++) {
        double sum = 0, size = 0;
        for (int c = 0; c < d; c++) {
            sum += (double)q[c] * (double)keys[i * ld + c];
            size += fabs((double)q[c] * (double)keys[i * ld + c]);
        }
        expect(BUDGET_DOT, i, s[i], sum, size + 1e-37);
        few_for(k)->dots(&alone, q, keys + i * ld, ld, 1, d, (few_ahead){NULL, 0});
        expect(BUDGET_EXACT, i, alone, (double)s[i], 0); /* whatever is beside it */
    }
    buffers_done();
}

static void rows_case(const kernels *k, int64_t n, int d, int place, inputs kind)
{
    int64_t ld = d + random_below(5);
    float *p = buffer_floats(n, place), *v = buffer_floats(n ? (n - 1) * ld + d : 0, (place + 1) % PLACES);
    float *out = buffer_floats(d, (place + 2) % PLACES), before[257];
    random_fill(p, n, kind);
    random_fill(out, d, kind);
    memcpy(before, out, (size_t)d * sizeof *out);
    for (int64_t i = 0; i < n; i++)
        random_fill(v + i * ld, d, kind);
    this_case("%lld values of %d, %lld apart, %s inputs, place %d", (long long)n, d, (long long)ld, inputs_name(kind), place);
    few_for(k)->sum_rows(out, p, v, ld, n, d, ahead_of(v));
    for (int c = 0; c < d; c++) {
        double sum = (double)before[c], size = fabs(sum);
        for (int64_t i = 0; i < n; i++) {
            sum += (double)p[i] * (double)v[i * ld + c];
            size += fabs((double)p[i] * (double)v[i * ld + c]);
        }
        expect(BUDGET_FORMULA_SUM, c, out[c], sum, size + 1e-37);
    }
    buffers_done();
}

static void check_products(const kernels *k, const void *data)
{
    static const inputs kinds[] = {INPUTS_SMALL, INPUTS_WIDE, INPUTS_DENORMAL};
    bool rows = *(const bool *)data;
    for (const int64_t *n = counts; *n >= 0; n++)
        for (const int *d = widths; *d >= 0; d++)
            for (int kind = 0; kind < 3; kind++)
                (rows ? rows_case : dots_case)(k, *n, *d, (int)(*n + *d + kind) % PLACES, kinds[kind]);
}

/* ---- exponentials ---- */

static void fill_scores(float *s, int64_t n, int kind)
{
    random_fill(s, n, kind == 0 ? INPUTS_SMALL : kind == 4 ? INPUTS_DENORMAL : INPUTS_WIDE);
    for (int64_t i = 0; i < n && kind >= 2 && kind != 4; i++)
        s[i] = kind == 3 || random_below(4) ? -INFINITY : kind == 5 ? 1e30f : s[i];
    if (kind == 6 && n)
        s[random_below((int)n)] = NAN;
}

static void check_exponentials(const kernels *k, const void *data)
{
    static float want[MOST];
    (void)data;
    for (int64_t n = 0; n <= MOST; n += n < 256 ? SOFTMAX_WAYS : 256 - SOFTMAX_WAYS)
        for (int kind = 0; kind < 7; kind++)
            for (int place = 0; place < PLACES; place++) {
                float *s = buffer_floats(n, place), scale = random_below(2) ? 0.125f : 1;
                int64_t position = random_below(3 * MOST);
                few_sums got, plain;
                fill_scores(s, n, kind);
                memcpy(want, s, (size_t)n * sizeof *s);
                this_case("%lld keys, scores %d, scale %g, place %d", (long long)n, kind, (double)scale, place);
                float top = few_c.largest(s, n, scale), most = few_for(k)->largest(s, n, scale);
                if (kind != 6) /* NaN: either */
                    expect(BUDGET_EXACT, 0, most, (double)top, 0);
                top = top < -3e38f ? 0 : top;
                few_for(k)->exponentials(&got, s, n, scale, top, position);
                few_c.exponentials(&plain, want, n, scale, top, position);
                expect_floats(BUDGET_EXACT, s, want, n);
                expect_floats(BUDGET_EXACT, got.part, plain.part, SOFTMAX_WAYS);
                double sum = 0, far = fmax((double)position, fabs((double)(position - n)));
                for (int i = 0; i < SOFTMAX_WAYS; i++)
                    sum += (double)plain.part[i];
                if (kind != 6) { /* shows in the parts, by which these are divided */
                    expect(BUDGET_ENTROPY, 1, (float)got.weighted, plain.weighted, sum * fmax(1, log((double)n + 1)));
                    expect(BUDGET_DISTANCE, 2, (float)got.distance, plain.distance, sum * far);
                }
                buffers_done();
            }
}

static void test_dots(void **state) { (void)state; each_table("dots of few queries", check_products, &(const bool){false}); }
static void test_sum_rows(void **state) { (void)state; each_table("sums of few queries", check_products, &(const bool){true}); }
static void test_exponentials(void **state) { (void)state; each_table("exponentials of few queries", check_exponentials, NULL); }

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dots), cmocka_unit_test(test_sum_rows), cmocka_unit_test(test_exponentials),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("kernels of few queries", tests, NULL, NULL);
}
