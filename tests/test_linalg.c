/* LAPACK's wrappers: analytic cases, identities on random matrices, what is refused. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "analysis/linalg.h"
#include "base/rng.h"

/* cmocka's own compares as float. */
#define assert_near(a, b, room) \
    do { \
        double a_ = (double)(a), b_ = (double)(b); \
        if (!(fabs(a_ - b_) <= (room))) \
            fail_msg("%.17g is not %.17g", a_, b_); \
    } while (0)

static void fill(double *a, int64_t n, uint64_t seed)
{
    rng r;
    rng_seed(&r, seed, 0);
    for (int64_t i = 0; i < n; i++)
        a[i] = rng_normal(&r);
}

static void test_singular_values(void **state)
{
    (void)state;
    err e = {0};
    double s[3], a[] = {3, 0, 4, 5}, wide[] = {0, -2, 0, 0, 0, 7}, nothing[6] = {0};
    assert_int_equal(linalg_singular_values(s, a, 2, 2, &e), 0);
    assert_near(s[0], sqrt(45), 1e-13);
    assert_near(s[1], sqrt(5), 1e-13);
    assert_int_equal(linalg_singular_values(s, wide, 2, 3, &e), 0);
    assert_near(s[0], 7, 1e-13);
    assert_near(s[1], 2, 1e-13);
    assert_int_equal(linalg_singular_values(s, nothing, 3, 2, &e), 0);
    assert_true(s[0] == 0 && s[1] == 0);
}

static int descending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x < y) - (x > y);
}

/* The characteristic polynomial (x - 1)(x - 2)(x - 3), and a rotation. */
static void test_eigenvalues(void **state)
{
    (void)state;
    err e = {0};
    double re[3], im[3], companion[] = {6, -11, 6, 1, 0, 0, 0, 1, 0}, c = cos(0.3), s = sin(0.3), turn[] = {c, -s, s, c};
    assert_int_equal(linalg_eigenvalues(re, im, companion, 3, &e), 0);
    qsort(re, 3, sizeof *re, descending);
    for (int i = 0; i < 3; i++) {
        assert_near(re[i], 3 - i, 1e-11);
        assert_near(im[i], 0, 1e-11);
    }
    assert_int_equal(linalg_eigenvalues(re, im, turn, 2, &e), 0);
    assert_near(re[0], c, 1e-14);
    assert_near(re[1], c, 1e-14);
    assert_near(fabs(im[0]), s, 1e-14);
    assert_near(im[0] + im[1], 0, 1e-14);
}

static void test_random_identities(void **state)
{
    (void)state;
    enum { N = 40 };
    err e = {0};
    static double a[N * N], b[N * N], s[N], re[N], im[N];
    double trace = 0, square = 0, sum = 0, sum_re = 0, sum_im = 0;
    fill(a, N * N, 3);
    for (int i = 0; i < N; i++)
        trace += a[i * N + i];
    for (int i = 0; i < N * N; i++)
        square += a[i] * a[i];
    memcpy(b, a, sizeof b);
    assert_int_equal(linalg_singular_values(s, b, N, N, &e), 0);
    for (int i = 0; i < N; i++) {
        sum += s[i] * s[i];
        assert_true(i == 0 || s[i] <= s[i - 1]);
    }
    assert_near(sum / square, 1, 1e-12);
    assert_near(linalg_norm(a, N * N), sqrt(square), 1e-10);
    memcpy(b, a, sizeof b);
    assert_int_equal(linalg_eigenvalues(re, im, b, N, &e), 0);
    for (int i = 0; i < N; i++) {
        sum_re += re[i];
        sum_im += im[i];
    }
    assert_near(sum_re, trace, 1e-10);
    assert_near(sum_im, 0, 1e-10);
    static double again[N];
    memcpy(b, a, sizeof b);
    assert_int_equal(linalg_singular_values(again, b, N, N, &e), 0);
    assert_memory_equal(s, again, sizeof s);
}

/* a a^T = r^T r, for more columns than rows and the other way round. */
static void test_qr(void **state)
{
    (void)state;
    static const int64_t shapes[][2] = {{5, 30}, {6, 6}, {9, 4}, {1, 7}};
    err e = {0};
    for (size_t k = 0; k < sizeof shapes / sizeof *shapes; k++) {
        int64_t n = shapes[k][0], m = shapes[k][1];
        double a[200], b[200], r[100], gram[100], again[100];
        fill(a, n * m, k + 1);
        memcpy(b, a, sizeof b);
        assert_int_equal(linalg_qr(r, b, n, m, &e), 0);
        linalg_times_transposed(gram, a, a, n, n, m);
        for (int64_t i = 0; i < n; i++)
            for (int64_t j = 0; j < n; j++) {
                double sum = 0;
                for (int64_t l = 0; l < n; l++)
                    sum += r[l * n + i] * r[l * n + j];
                again[i * n + j] = sum;
                assert_true(j >= i || r[i * n + j] == 0);
            }
        for (int64_t i = 0; i < n * n; i++)
            assert_near(again[i], gram[i], 1e-12);
    }
}

static void test_products(void **state)
{
    (void)state;
    const double a[] = {1, 2, 3, 4, 5, 6}, b[] = {1, 0, 2, -1, 1, 3}, bt[] = {1, 2, 1, 0, -1, 3};
    double x[4], y[4];
    linalg_times(x, a, b, 2, 2, 3);
    linalg_times_transposed(y, a, bt, 2, 2, 3);
    assert_memory_equal(x, y, sizeof x);
    assert_true(x[0] == 8 && x[1] == 7 && x[2] == 20 && x[3] == 13);
    assert_true(linalg_norm(x, 0) == 0);
    const double huge[] = {3e200, 4e200};
    assert_near(linalg_norm(huge, 2) / 5e200, 1, 1e-14);
}

static void test_what_is_not_finite_is_refused(void **state)
{
    (void)state;
    double s[2], t[2], r[4];
    for (int i = 0; i < 2; i++) {
        err e = {0};
        double bad = i ? NAN : (double)INFINITY, a[] = {1, 2, bad, 4};
        assert_int_equal(linalg_singular_values(s, a, 2, 2, &e), ERR_FAILED);
        assert_true(strstr(e.msg, "not finite") && e.hint[0]);
        assert_int_equal(linalg_eigenvalues(s, t, a, 2, &e), ERR_FAILED);
        assert_int_equal(linalg_qr(r, a, 2, 2, &e), ERR_FAILED);
    }
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_singular_values),
        cmocka_unit_test(test_eigenvalues),
        cmocka_unit_test(test_random_identities),
        cmocka_unit_test(test_qr),
        cmocka_unit_test(test_products),
        cmocka_unit_test(test_what_is_not_finite_is_refused),
    };
    return cmocka_run_group_tests_name("linalg", tests, NULL, NULL);
}
