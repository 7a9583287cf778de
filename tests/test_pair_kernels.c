/* Sums over keys for pairs of heads: each instruction set against plain C bit for bit, plain C against double. */
#include "tests/checkasm.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { KEYS = 70, COLUMNS = 32, HEADS = 8, STRIDE = COLUMNS, PANEL = KEYS * STRIDE + 16 };

static uint64_t seed = 11;

static double uniform(void)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (double)(seed >> 11) / 9007199254740992.0;
}

/* Rows of weights as attention has them: some masked, some tiny, some at 1; columns sum to 1 in each head. */
static float *panels(int spread)
{
    float *p = calloc((size_t)HEADS * PANEL, sizeof *p);
    for (int h = 0; h < HEADS; h++)
        for (int c = 0; c < COLUMNS; c++) {
            double sum = 0, w[KEYS];
            int seen = 1 + (int)(uniform() * KEYS);
            for (int k = 0; k < KEYS; k++) {
                w[k] = k < seen ? exp(-spread * uniform()) : 0;
                sum += w[k];
            }
            for (int k = 0; k < KEYS; k++)
                p[h * PANEL + k * STRIDE + c] = (float)(w[k] / sum);
        }
    return p;
}

static double f(double u)
{
    return u > 0 ? u * (log2(u) + MIXTURE_SHIFT) : 0;
}

static void test_plain_c(void **state)
{
    static const int spreads[] = {0, 1, 6, 30, 100};
    float mixture[HEADS * COLUMNS], product[HEADS * COLUMNS];
    (void)state;
    for (size_t s = 0; s < sizeof spreads / sizeof *spreads; s++) {
        float *p = panels(spreads[s]);
        for (int n_key = 1; n_key <= KEYS; n_key += 23) {
            kernels_c.mixture_sums(mixture, p + PANEL, p, PANEL, HEADS, n_key, STRIDE, COLUMNS);
            kernels_c.product_sums(product, p + PANEL, p, PANEL, HEADS, n_key, STRIDE, COLUMNS);
            for (int j = 0; j < HEADS; j++)
                for (int c = 0; c < COLUMNS; c++) {
                    double mixed = 0, dot = 0, mass = 0, size = 0;
                    for (int k = 0; k < n_key; k++) {
                        double x = p[PANEL + k * STRIDE + c], y = p[j * PANEL + k * STRIDE + c];
                        mixed += f(x + y);
                        mass += x + y;
                        size += fabs(f(x + y));
                        dot += x * y;
                    }
                    assert_true(fabs(mixture[j * COLUMNS + c] - mixed) <= 2.9e-6 * mass + 1e-6 * size + 1e-30);
                    assert_true(fabs(product[j * COLUMNS + c] - dot) <= 1e-6 * dot + 1e-30);
                }
        }
        free(p);
    }
}

/* The logarithm over every mantissa and many exponents. */
static void test_logarithm(void **state)
{
    static float x[COLUMNS], y[COLUMNS];
    float out[COLUMNS];
    double worst = 0;
    (void)state;
    for (int e = -125; e <= 1; e += 9)
        for (uint32_t step = 0; step < 1u << 23; step += 16 * 1021) {
            for (uint32_t c = 0; c < COLUMNS; c++)
                x[c] = (float)ldexp(1 + (double)((step + c * 509) & 0x7fffff) / (1 << 23), e);
            kernels_c.mixture_sums(out, x, y, 0, 1, 1, COLUMNS, COLUMNS);
            for (int c = 0; c < COLUMNS; c++) {
                double u = (double)x[c], error = fabs(out[c] / u - f(u) / u) - 1.2e-7 * fabs(log2(u));
                worst = u > 1e-30 && error > worst ? error : worst;
            }
        }
    assert_true(worst > 2e-6 && worst < 2.9e-6);
}

static double jsd(const float *aa, const float *bb, const float *ab, int c)
{
    return ((double)aa[c] + (double)bb[c] - 2 * (double)ab[c]) / 4;
}

/* In bits: disjoint rows 1, equal rows exactly 0, and (1/2, 1/2) against (1, 0). */
static void test_identities(void **state)
{
    enum { N = 4 };
    static const float rows[4][N] = {{.25f, .25f, .25f, .25f}, {1, 0, 0, 0}, {0, 0, 1, 0}, {.5f, .5f, 0, 0}};
    static float p[4][N * COLUMNS];
    static float m[4][4][COLUMNS];
    (void)state;
    for (int h = 0; h < 4; h++)
        for (int k = 0; k < N; k++)
            for (int c = 0; c < COLUMNS; c++)
                p[h][k * COLUMNS + c] = rows[h][k];
    for (const kernels *const *t = kernels_all(); *t; t++) {
        if (!kernels_usable(*t))
            continue;
        for (int a = 0; a < 4; a++)
            (*t)->mixture_sums(m[a][0], p[a], p[0], N * COLUMNS, 4, N, COLUMNS, COLUMNS);
        for (int c = 0; c < COLUMNS; c += 5) {
            assert_true(fabs(jsd(m[1][1], m[2][2], m[1][2], c) - 1) < 6e-6);
            assert_true(fabs(jsd(m[1][1], m[3][3], m[1][3], c) - .3112781245) < 6e-6);
            assert_true(fabs(jsd(m[0][0], m[3][3], m[0][3], c) - .3112781245) < 6e-6);
            for (int a = 0; a < 4; a++)
                assert_true(jsd(m[a][a], m[a][a], m[a][a], c) == 0);
        }
    }
}

typedef void (*pair_sums)(float *out, const float *x, const float *y, int64_t y_stride, int n_y, int64_t n_key, int64_t stride,
                          int columns);

static void pair_case(pair_sums sums, pair_sums plain, int n_y, int columns, int64_t n_key, int place, bool weights)
{
    float want[(HEADS + 1) * 4 * COLUMNS];
    int64_t stride = columns + random_below(3), panel = n_key ? (n_key - 1) * stride + columns : 0;
    int64_t y_stride = panel + random_below(3), all = (n_y - 1) * y_stride + panel;
    float *x = buffer_floats(panel, place), *y = buffer_floats(all, (place + 1) % PLACES);
    float *out = buffer_floats(n_y * columns, (place + 2) % PLACES);
    for (int64_t i = 0; i < panel; i++) /* what lies between rows and panels stays NaN */
        if (i % stride < columns)
            random_fill(x + i, 1, weights ? INPUTS_SMALL : (inputs)random_below(INPUTS_HUGE));
    for (int64_t i = 0; i < all; i++)
        if (i % y_stride < panel && i % y_stride % stride < columns)
            random_fill(y + i, 1, weights ? INPUTS_SMALL : (inputs)random_below(INPUTS_HUGE));
    for (int64_t i = 0; weights && i < panel; i++) /* 0 or 0 .. 1, as small as e^-100 */
        x[i] = untouched(x[i]) ? x[i] : random_below(4) ? expf(-50 * fabsf(x[i])) : 0;
    for (int64_t i = 0; weights && i < all; i++)
        y[i] = untouched(y[i]) ? y[i] : random_below(4) ? expf(-50 * fabsf(y[i])) : 0;
    this_case("%d heads, %d columns %lld apart, %lld keys, %s, place %d", n_y, columns, (long long)stride, (long long)n_key,
              weights ? "weights" : "extremes", place);
    sums(out, x, y, y_stride, n_y, n_key, stride, columns);
    plain(want, x, y, y_stride, n_y, n_key, stride, columns);
    expect_floats(BUDGET_EXACT, out, want, n_y * columns);
    buffers_done();
}

static void check_pairs(const kernels *k, const void *data)
{
    static const int64_t keys[] = {0, 1, 2, 3, 15, 16, 17, 64, 100, -1};
    bool product = *(const bool *)data;
    for (int n_y = 1; n_y <= HEADS + 1; n_y++)
        for (int columns = 16; columns <= 4 * COLUMNS; columns += columns < 64 ? 16 : 64)
            for (const int64_t *n = keys; *n >= 0; n++)
                for (int extremes = 0; extremes <= product; extremes++)
                    pair_case(product ? k->product_sums : k->mixture_sums,
                              product ? kernels_c.product_sums : kernels_c.mixture_sums, n_y, columns, *n,
                              (n_y + columns / 16 + (int)*n) % PLACES, !extremes);
}

static void test_product_sums(void **state) { (void)state; each_table("product_sums", check_pairs, &(const bool){true}); }
static void test_mixture_sums(void **state) { (void)state; each_table("mixture_sums", check_pairs, &(const bool){false}); }
static void test_every_entry(void **state) { (void)state; check_entries("test_pair_kernels"); }

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_c),
        cmocka_unit_test(test_logarithm),
        cmocka_unit_test(test_identities),
        cmocka_unit_test(test_product_sums),
        cmocka_unit_test(test_mixture_sums),
        cmocka_unit_test(test_every_entry),
    };
    return cmocka_run_group_tests_name("pair kernels", tests, NULL, NULL);
}
