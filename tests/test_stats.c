/* Random numbers and statistics against published vectors and closed forms. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>
#include "base/rng.h"
#include "base/stats.h"

/* xoshiro256** from the state 1, 2, 3, 4: first outputs of the authors' code. */
static void test_generator(void **state)
{
    (void)state;
    static const uint64_t expected[] = {11520u, 0u, 1509978240u, 1215971899390074240u, 1216172134540287360u,
                                        607988272756665600u};
    rng r = {{1, 2, 3, 4}};
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
        assert_true(rng_next(&r) == expected[i]);
}

static void test_streams(void **state)
{
    (void)state;
    rng a, b, c, d;
    rng_seed(&a, 7, 0);
    rng_seed(&b, 7, 0);
    rng_seed(&c, 7, 1);
    rng_seed(&d, 0, 7); /* seed and stream are no sum */
    int same_c = 0, same_d = 0;
    for (int i = 0; i < 100; i++) {
        uint64_t x = rng_next(&a);
        assert_true(x == rng_next(&b));
        same_c += x == rng_next(&c);
        same_d += x == rng_next(&d);
    }
    assert_int_equal(same_c + same_d, 0);
}

/* Counts of 3, 7 and 1,000 values within five standard deviations of what is expected. */
static void test_uniform(void **state)
{
    (void)state;
    static const int64_t sizes[] = {1, 3, 7, 1000};
    rng r;
    rng_seed(&r, 11, 0);
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        int64_t n = sizes[s], count[1000] = {0}, draws = 1000 * n;
        for (int64_t i = 0; i < draws; i++) {
            int64_t x = rng_below(&r, n);
            assert_true(x >= 0 && x < n);
            count[x]++;
        }
        for (int64_t x = 0; x < n; x++)
            assert_true(llabs(count[x] - 1000) <= 5 * 32);
    }
    double sum = 0, squares = 0, normal = 0, normal2 = 0;
    for (int i = 0; i < 100000; i++) {
        double u = rng_uniform(&r), z = rng_normal(&r);
        assert_true(u >= 0 && u < 1);
        sum += u;
        squares += u * u;
        normal += z;
        normal2 += z * z;
    }
    assert_true(fabs(sum / 1e5 - .5) < .005 && fabs(squares / 1e5 - 1. / 3) < .005);
    assert_true(fabs(normal / 1e5) < .02 && fabs(normal2 / 1e5 - 1) < .03);
}

static void test_shuffle(void **state)
{
    (void)state;
    rng r;
    rng_seed(&r, 3, 0);
    int64_t at[5], first[5] = {0};
    for (int i = 0; i < 5000; i++) {
        rng_shuffle(&r, at, 5);
        int seen = 0;
        for (int k = 0; k < 5; k++)
            seen |= 1 << at[k];
        assert_int_equal(seen, 31);
        first[at[0]]++;
    }
    for (int k = 0; k < 5; k++)
        assert_true(llabs(first[k] - 1000) < 150);
}

static void test_percentiles(void **state)
{
    (void)state;
    static const double x[] = {1, 2, 4, 8};
    assert_true(percentile_of_sorted(x, 4, 0) == 1 && percentile_of_sorted(x, 4, 1) == 8);
    assert_true(fabs(percentile_of_sorted(x, 4, .5) - 3) < 1e-15);
    assert_true(fabs(percentile_of_sorted(x, 4, .025) - 1.075) < 1e-12); /* numpy.percentile(x, 2.5) */
    assert_true(fabs(percentile_of_sorted(x, 4, .9) - 6.8) < 1e-12);
    assert_true(percentile_of_sorted(x, 1, .3) == 1);
    double y[] = {5, 1, 3};
    assert_true(median_of(y, 3) == 3);
    double z[] = {9, 1, 2, 4};
    assert_true(median_of(z, 4) == 3);
}

/* The interval of a mean is near mean +- 1.96 sd / sqrt(n) for many values, and exact where it can be known. */
static void test_stats(void **state)
{
    (void)state;
    err e = {0};
    stats s, again;
    static const double one[] = {.25}, same[] = {2, 2, 2, 2}, four[] = {1, 2, 3, 4};
    assert_int_equal(stats_of(&s, one, 1, 0, &e), 0);
    assert_true(s.n == 1 && s.mean == .25 && s.sd == 0 && s.low == .25 && s.high == .25);
    assert_int_equal(stats_of(&s, same, 4, 0, &e), 0);
    assert_true(s.mean == 2 && s.sd == 0 && s.low == 2 && s.high == 2);
    assert_int_equal(stats_of(&s, four, 4, 1, &e), 0);
    assert_true(s.mean == 2.5 && fabs(s.sd - sqrt(5. / 3)) < 1e-15);
    assert_true(fabs(s.low - 1.5) <= .25 && fabs(s.high - 3.5) <= .25); /* of 256 samples: 1.5 and 3.5 */

    double x[400];
    rng r;
    rng_seed(&r, 5, 0);
    for (int i = 0; i < 400; i++)
        x[i] = 10 + 2 * rng_normal(&r);
    assert_int_equal(stats_of(&s, x, 400, 9, &e), 0);
    double half = 1.96 * s.sd / 20;
    assert_true(fabs(s.low - (s.mean - half)) < .03 && fabs(s.high - (s.mean + half)) < .03);
    assert_int_equal(stats_of(&again, x, 400, 9, &e), 0);
    assert_true(again.low == s.low && again.high == s.high);
    assert_int_equal(stats_of(&again, x, 400, 10, &e), 0);
    assert_true(again.low != s.low);
}

/* Draws that are kept, and a draw at a time for many values, give the same numbers. */
static void test_draws(void **state)
{
    (void)state;
    err e = {0};
    enum { MANY = 2100 };
    double *x = malloc(MANY * sizeof *x);
    rng r;
    stats_draws *d;
    stats a, b;
    assert_non_null(x);
    rng_seed(&r, 2, 0);
    for (int i = 0; i < MANY; i++)
        x[i] = rng_uniform(&r);
    static const int64_t sizes[] = {2, 61, MANY};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(stats_of(&a, x, sizes[i], 4, &e), 0);
        assert_int_equal(stats_draws_new(&d, sizes[i], 4, &e), 0);
        assert_int_equal(stats_draws_n(d), sizes[i]);
        assert_int_equal(stats_of_draws(&b, x, d, &e), 0);
        stats_draws_free(d);
        assert_true(a.mean == b.mean && a.sd == b.sd && a.low == b.low && a.high == b.high);
        assert_true(a.low < a.mean && a.mean < a.high);
    }
    /* two values: a quarter of the draws has the smaller twice, so both ends are the values themselves */
    assert_int_equal(stats_of(&a, x, 2, 4, &e), 0);
    assert_true(a.low == fmin(x[0], x[1]) && a.high == fmax(x[0], x[1]));
    free(x);
}

static void test_correlation(void **state)
{
    (void)state;
    static const double x[] = {1, 2, 3, 4, 5}, y[] = {2, 4, 6, 8, 11}, down[] = {5, 4, 3, 2, 1}, flat[] = {1, 1, 1, 1, 1};
    assert_true(fabs(pearson(x, y, 5) - .99589321) < 1e-6 && fabs(pearson(x, down, 5) + 1) < 1e-12);
    assert_true(pearson(x, flat, 5) == 0);
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_generator), cmocka_unit_test(test_streams), cmocka_unit_test(test_uniform),
        cmocka_unit_test(test_shuffle), cmocka_unit_test(test_percentiles), cmocka_unit_test(test_stats),
        cmocka_unit_test(test_draws), cmocka_unit_test(test_correlation),
    };
    return cmocka_run_group_tests_name("stats", tests, NULL, NULL);
}
