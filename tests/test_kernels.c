/* Every kernel table that this machine can run, against plain C: random and extreme inputs, odd sizes,
 * unaligned pointers, and pages that must not be touched right before and behind each buffer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "compute/kernels.h"

/* Budgets: what a faster kernel may differ by.  ulp counts steps between neighbouring floats. */
enum { ULP_EXACT = 0, ULP_ACTIVATION = 8 };
#define REL_SUM 4e-6f    /* sums of products, relative to the sum of magnitudes */
#define ABS_PROB 3e-7f   /* probabilities */
#define ABS_ENTROPY 1e-5f

static uint64_t seed = 20260101;

static uint64_t next(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static float uniform(float lo, float hi)
{
    return lo + (hi - lo) * (float)(next() >> 40) / (float)(1 << 24);
}

/* n floats that end right before a forbidden page (or start right behind one). */
typedef struct guarded { float *p; unsigned char *map; size_t bytes; } guarded;

static guarded guard(size_t n, bool at_end)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), body = (n * sizeof(float) + page - 1) / page * page;
    guarded g = {.bytes = body + 2 * page};
    g.map = mmap(NULL, g.bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(g.map != MAP_FAILED);
    assert_int_equal(mprotect(g.map + page, body, PROT_READ | PROT_WRITE), 0);
    g.p = (float *)(void *)(g.map + page + (at_end ? body - n * sizeof(float) : 0));
    return g;
}

static void release(guarded *g)
{
    munmap(g->map, g->bytes);
}

static void fill(float *x, size_t n, int kind)
{
    static const float extreme[] = {0.0f, -0.0f, 1e-42f, -1e-42f, 88.7f, -88.7f, 1e4f, -1e4f, 1e-20f, 3.5f};
    for (size_t i = 0; i < n; i++)
        x[i] = kind == 0 ? uniform(-2, 2) : kind == 1 ? uniform(-30, 30) : extreme[next() % 10];
}

static int32_t ulps(float a, float b)
{
    int32_t i, j;
    memcpy(&i, &a, sizeof i);
    memcpy(&j, &b, sizeof j);
    i = i < 0 ? (int32_t)0x80000000 - i : i;
    j = j < 0 ? (int32_t)0x80000000 - j : j;
    int64_t d = (int64_t)i - j;
    return (int32_t)(d < 0 ? -d : d);
}

/* Runs f for every usable table except plain C; passes trivially where there is none. */
static void each_table(void (*f)(const kernels *k))
{
    for (const kernels *const *k = kernels_all(); *k; k++)
        if (*k != &kernels_c && kernels_usable(*k))
            f(*k);
}

static void check_gemm(const kernels *k)
{
    static const int64_t depths[] = {1, 2, 3, 15, 16, 17, 64, 127, 576};
    for (size_t d = 0; d < sizeof depths / sizeof *depths; d++) {
        int64_t depth = depths[d];
        for (int trial = 0; trial < 12; trial++) {
            int m = trial == 0 ? k->mr : 1 + (int)(next() % (unsigned)k->mr);
            int n = trial == 0 ? k->nr : 1 + (int)(next() % (unsigned)k->nr);
            int64_t ldc = n + (int64_t)(next() % 5);
            guarded a = guard((size_t)(depth * k->mr), trial & 1), b = guard((size_t)(depth * k->nr), trial & 1);
            guarded c = guard((size_t)((m - 1) * ldc + n), trial & 1);
            fill(a.p, (size_t)(depth * k->mr), 0);
            fill(b.p, (size_t)(depth * k->nr), 0);
            for (int64_t i = 0; i < (m - 1) * ldc + n; i++)
                c.p[i] = 12345;
            k->gemm_micro(depth, a.p, b.p, c.p, ldc, m, n);
            for (int i = 0; i < m; i++)
                for (int64_t j = 0; j < (i + 1 < m ? ldc : n); j++) {
                    double sum = 0, size = 0;
                    if (j >= n) {
                        assert_true(c.p[i * ldc + j] == 12345);
                        continue;
                    }
                    for (int64_t p = 0; p < depth; p++) {
                        double t = (double)a.p[p * k->mr + i] * b.p[p * k->nr + j];
                        sum += t;
                        size += fabs(t);
                    }
                    assert_true(fabs(c.p[i * ldc + j] - sum) <= REL_SUM * size);
                }
            release(&a);
            release(&b);
            release(&c);
        }
    }
}

/* The value of an element must not depend on how many rows and columns are wanted. */
static void check_gemm_tails(const kernels *k)
{
    enum { DEPTH = 77 };
    float a[DEPTH * GEMM_MAX_MR], b[DEPTH * GEMM_MAX_NR], full[GEMM_MAX_MR * GEMM_MAX_NR], part[GEMM_MAX_MR * GEMM_MAX_NR];
    fill(a, (size_t)(DEPTH * k->mr), 0);
    fill(b, (size_t)(DEPTH * k->nr), 0);
    k->gemm_micro(DEPTH, a, b, full, k->nr, k->mr, k->nr);
    for (int m = 1; m <= k->mr; m++)
        for (int n = 1; n <= k->nr; n += 3) {
            k->gemm_micro(DEPTH, a, b, part, k->nr, m, n);
            for (int i = 0; i < m; i++)
                assert_memory_equal(part + i * k->nr, full + i * k->nr, (size_t)n * sizeof(float));
        }
}

/* Every table gives the bits of plain C. */
static void check_gemm_bits(const kernels *k)
{
    enum { DEPTH = 700, ROWS = 4, COLS = 4 };
    static float a[DEPTH * GEMM_MAX_MR], b[DEPTH * GEMM_MAX_NR], pa[DEPTH * ROWS], pb[DEPTH * COLS];
    float got[ROWS * COLS], want[ROWS * COLS];
    fill(a, (size_t)(DEPTH * k->mr), 0);
    fill(b, (size_t)(DEPTH * k->nr), 0);
    for (int p = 0; p < DEPTH; p++) {
        memcpy(pa + p * ROWS, a + p * k->mr, ROWS * sizeof(float));
        memcpy(pb + p * COLS, b + p * k->nr, COLS * sizeof(float));
    }
    assert_int_equal(kernels_c.mr, ROWS);
    assert_int_equal(kernels_c.nr, COLS);
    k->gemm_micro(DEPTH, a, b, got, COLS, ROWS, COLS);
    kernels_c.gemm_micro(DEPTH, pa, pb, want, COLS, ROWS, COLS);
    assert_memory_equal(got, want, sizeof got);
}

static void check_dot(const kernels *k)
{
    for (int64_t n = 0; n < 200; n += n < 70 ? 1 : 13) {
        guarded x = guard((size_t)n + 1, n & 1), y = guard((size_t)n + 1, n & 1);
        float *px = x.p + (n & 1 ? 1 : 0), *py = y.p + (n & 1 ? 1 : 0);
        fill(px, (size_t)n, 0);
        fill(py, (size_t)n, 0);
        double sum = 0, size = 0;
        for (int64_t i = 0; i < n; i++) {
            sum += (double)px[i] * py[i];
            size += fabs((double)px[i] * py[i]);
        }
        assert_true(fabs(k->dot(px, py, n) - sum) <= REL_SUM * size);
        release(&x);
        release(&y);
    }
}

static void check_interleave(const kernels *k)
{
    for (int stride = 1; stride <= GEMM_MAX_NR; stride += stride < 18 ? 1 : 7)
        for (int rows = 1; rows <= stride; rows += rows < 10 ? 1 : 5) {
            int64_t cols = 1 + (int64_t)(next() % 40), ld = cols + (int64_t)(next() % 4);
            guarded src = guard((size_t)((rows - 1) * ld + cols), rows & 1);
            guarded dst = guard((size_t)(cols * stride), rows & 1);
            fill(src.p, (size_t)((rows - 1) * ld + cols), 0);
            memset(dst.p, 0x7f, (size_t)(cols * stride) * sizeof(float));
            k->interleave(dst.p, stride, src.p, ld, rows, cols);
            for (int64_t c = 0; c < cols; c++)
                for (int i = 0; i < stride; i++)
                    assert_true(dst.p[c * stride + i] == (i < rows ? src.p[i * ld + c] : 0));
            release(&src);
            release(&dst);
        }
}

#define SCALE 0.5f /* a power of two: exact in both */

/* One column in double. */
static void reference_softmax(const float *s, int64_t stride, int64_t lo, int64_t hi, int64_t qpos, double *p,
                              double *lse, double *entropy, double *maximum, double *distance)
{
    double m = -INFINITY, sum = 0;
    for (int64_t k = lo; k < hi; k++)
        m = fmax(m, s[k * stride] * (double)SCALE);
    for (int64_t k = lo; k < hi; k++)
        sum += exp(s[k * stride] * (double)SCALE - m);
    *lse = m + log(sum);
    *entropy = *maximum = *distance = 0;
    for (int64_t k = lo; k < hi; k++) {
        double q = exp(s[k * stride] * (double)SCALE - m) / sum;
        p[k] = q;
        *entropy -= q > 0 ? q * log(q) : 0;
        *maximum = fmax(*maximum, q);
        *distance += q * fabs((double)(qpos - k));
    }
}

static void check_softmax(const kernels *k)
{
    static const int64_t sizes[] = {1, 2, 3, 31, 63, 64, 65, 129, 500};
    double p[512];
    for (size_t t = 0; t < sizeof sizes / sizeof *sizes; t++)
        for (int kind = 0; kind < 5; kind++) {
            int64_t n = sizes[t], lo[GEMM_MAX_NR], hi[GEMM_MAX_NR], qpos[GEMM_MAX_NR];
            float lse[GEMM_MAX_NR], entropy[GEMM_MAX_NR], maximum[GEMM_MAX_NR], distance[GEMM_MAX_NR];
            guarded s = guard((size_t)(n * k->nr), kind & 1);
            float *before = malloc((size_t)(n * k->nr) * sizeof(float));
            for (int64_t i = 0; i < n * k->nr; i++)
                s.p[i] = kind == 0 ? uniform(-3, 3) : kind == 1 ? uniform(-90, 90) : kind == 2 ? uniform(-1e4f, 1e4f)
                         : kind == 3 ? 0 : next() % 4 ? uniform(-5, 5) : -INFINITY;
            for (int j = 0; j < k->nr; j++) {
                /* causal-like, windowed, everything, nothing */
                qpos[j] = n > k->nr ? n - k->nr + j : j % n;
                lo[j] = j % 3 == 1 ? qpos[j] / 2 : 0;
                hi[j] = j % 5 == 4 ? n : qpos[j] + 1;
                if (j % 7 == 6)
                    lo[j] = hi[j] = 0;
                if (kind == 4 && lo[j] < hi[j])
                    s.p[lo[j] * k->nr + j] = 1; /* at least one finite score */
            }
            memcpy(before, s.p, (size_t)(n * k->nr) * sizeof(float));
            softmax_block b = {.s = s.p, .scale = SCALE, .n_key = n, .n_total = n, .lo = lo, .hi = hi, .qpos = qpos, .lse = lse,
                               .entropy = entropy,
                               .maximum = maximum, .distance = distance};
            k->softmax_columns(&b);
            for (int j = 0; j < k->nr; j++) {
                double want_lse, want_entropy, want_maximum, want_distance;
                memset(p, 0, sizeof p);
                if (lo[j] < hi[j]) {
                    reference_softmax(before + j, k->nr, lo[j], hi[j], qpos[j], p, &want_lse, &want_entropy,
                                      &want_maximum, &want_distance);
                    assert_true(fabs(lse[j] - want_lse) <= 2e-6 * fmax(1, fabs(want_lse)));
                } else {
                    want_entropy = want_maximum = want_distance = 0;
                    assert_true(isinf(lse[j]) && lse[j] < 0);
                }
                for (int64_t i = 0; i < n; i++) {
                    assert_true(fabs(s.p[i * k->nr + j] - p[i]) <= ABS_PROB);
                    if (i < lo[j] || i >= hi[j])
                        assert_true(s.p[i * k->nr + j] == 0);
                }
                assert_true(fabs(entropy[j] - want_entropy) <= ABS_ENTROPY);
                assert_true(fabs(maximum[j] - want_maximum) <= ABS_PROB);
                assert_true(fabs(distance[j] - want_distance) <= 4e-6 * (double)n);
            }
            free(before);
            release(&s);
        }
}

/* A score that is not a number must show, never become a plausible probability. */
static void check_softmax_nan(const kernels *k)
{
    enum { KEYS = 40 };
    float s[KEYS * GEMM_MAX_NR], lse[GEMM_MAX_NR], maximum[GEMM_MAX_NR];
    int64_t lo[GEMM_MAX_NR], hi[GEMM_MAX_NR], qpos[GEMM_MAX_NR];
    for (int i = 0; i < KEYS * k->nr; i++)
        s[i] = 0.5f;
    for (int j = 0; j < k->nr; j++) {
        lo[j] = qpos[j] = 0;
        hi[j] = KEYS;
    }
    s[7 * k->nr] = NAN;
    s[9 * k->nr + 1] = INFINITY;
    softmax_block b = {.s = s, .scale = 1, .n_key = KEYS, .n_total = KEYS, .lo = lo, .hi = hi, .qpos = qpos, .lse = lse,
                       .maximum = maximum};
    k->softmax_columns(&b);
    assert_true(isnan(maximum[0]) && isnan(maximum[1]));
    assert_true(fabsf(maximum[2] - 1.0f / KEYS) < 1e-7f);
}

static void check_activation(const kernels *k, void (*fast)(float *, int64_t), void (*plain)(float *, int64_t), float scale)
{
    (void)k;
    for (int64_t n = 1; n < 70; n++)
        for (int kind = 0; kind < 3; kind++) {
            guarded x = guard((size_t)n, n & 1), y = guard((size_t)n, n & 1);
            fill(x.p, (size_t)n, kind);
            memcpy(y.p, x.p, (size_t)n * sizeof(float));
            fast(x.p, n);
            plain(y.p, n);
            for (int64_t i = 0; i < n; i++)
                assert_true(ulps(x.p[i], y.p[i]) <= ULP_ACTIVATION || fabsf(x.p[i] - y.p[i]) <= scale);
            release(&x);
            release(&y);
        }
}

static void check_activations(const kernels *k)
{
    check_activation(k, k->silu, kernels_c.silu, 1e-30f);
    check_activation(k, k->gelu_tanh, kernels_c.gelu_tanh, 0);
    check_activation(k, k->gelu_new, kernels_c.gelu_new, 0);
    check_activation(k, k->gelu_fast, kernels_c.gelu_fast, 0);
    check_activation(k, k->gelu_erf, kernels_c.gelu_erf, 0);
    check_activation(k, k->relu, kernels_c.relu, 0);
    check_activation(k, k->quick_gelu, kernels_c.quick_gelu, 1e-30f);
    check_activation(k, k->sigmoid, kernels_c.sigmoid, 1e-30f);
    check_activation(k, k->relu2, kernels_c.relu2, 0);
}

/* Entries with parameters or two operands: against their formulas, and a NaN that must survive. */
static void check_parametrised(const kernels *k)
{
    for (int64_t n = 1; n < 70; n++)
        for (int kind = 0; kind < 3; kind++) {
            guarded x = guard((size_t)n, n & 1), y = guard((size_t)n, n & 1);
            float before[70], want[70];
            fill(x.p, (size_t)n, kind);
            fill(y.p, (size_t)n, kind);
            x.p[n / 2] = NAN;
            memcpy(before, x.p, (size_t)n * sizeof(float));
            k->clamp(x.p, -1.5f, 2.5f, n);
            for (int64_t i = 0; i < n; i++)
                assert_true(i == n / 2 ? isnan(x.p[i]) : x.p[i] == fminf(fmaxf(before[i], -1.5f), 2.5f));
            x.p[n / 2] = 1;
            memcpy(before, x.p, (size_t)n * sizeof(float));
            k->scale(x.p, 1.1f, n);
            for (int64_t i = 0; i < n; i++)
                want[i] = before[i] * 1.1f;
            assert_memory_equal(x.p, want, (size_t)n * sizeof(float));
            k->add_scaled(x.p, y.p, -0.3f, n);
            for (int64_t i = 0; i < n; i++)
                want[i] += -0.3f * y.p[i];
            assert_memory_equal(x.p, want, (size_t)n * sizeof(float));

            fill(x.p, (size_t)n, kind);
            x.p[0] = y.p[n - 1] = NAN;
            memcpy(before, x.p, (size_t)n * sizeof(float));
            k->swiglu_oai(x.p, y.p, n, 1.702f, 7);
            for (int64_t i = 0; i < n; i++) {
                double g = fmin((double)before[i], 7), u = fmax(fmin((double)y.p[i], 7), -7);
                double r = (u + 1) * (g / (1 + exp(-g * 1.702)));
                assert_true(i == 0 || i == n - 1 ? isnan(x.p[i]) : fabs(x.p[i] - r) <= 1e-6 * fmax(1, fabs(r)));
            }
            release(&x);
            release(&y);
        }
}

static void check_elementwise(const kernels *k)
{
    for (int64_t n = 1; n < 70; n++) {
        guarded x = guard((size_t)n, n & 1), y = guard((size_t)n, n & 1);
        float want[70], w[70], b[70], got[70];
        fill(y.p, (size_t)n, (int)(n % 3));
        fill(x.p, (size_t)n, 0);
        for (int64_t i = 0; i < n; i++)
            want[i] = x.p[i] * y.p[i];
        k->mul(x.p, y.p, n);
        assert_memory_equal(x.p, want, (size_t)n * sizeof(float));
        for (int64_t i = 0; i < n; i++)
            want[i] = x.p[i] + y.p[i];
        k->add(x.p, y.p, n);
        assert_memory_equal(x.p, want, (size_t)n * sizeof(float));
        fill(x.p, (size_t)n, 0);
        fill(w, (size_t)n, 0);
        fill(b, (size_t)n, 0);
        k->rms_norm(got, x.p, w, n, 1e-5f);
        kernels_c.rms_norm(want, x.p, w, n, 1e-5f);
        for (int64_t i = 0; i < n; i++)
            assert_true(fabsf(got[i] - want[i]) <= 2e-6f * fmaxf(1, fabsf(want[i])));
        k->layer_norm(got, x.p, w, b, n, 1e-5f);
        kernels_c.layer_norm(want, x.p, w, b, n, 1e-5f);
        for (int64_t i = 0; i < n; i++)
            assert_true(fabsf(got[i] - want[i]) <= 4e-6f * fmaxf(1, fabsf(want[i])));
        release(&x);
        release(&y);
    }
}

static void test_gemm(void **state) { (void)state; check_gemm(&kernels_c); each_table(check_gemm); }
static void test_gemm_tails(void **state) { (void)state; check_gemm_tails(&kernels_c); each_table(check_gemm_tails); }
static void test_gemm_bits(void **state) { (void)state; each_table(check_gemm_bits); }
static void test_dot(void **state) { (void)state; check_dot(&kernels_c); each_table(check_dot); }
static void test_interleave(void **state) { (void)state; check_interleave(&kernels_c); each_table(check_interleave); }
static void test_softmax(void **state) { (void)state; check_softmax(&kernels_c); each_table(check_softmax); }
static void test_softmax_nan(void **state) { (void)state; check_softmax_nan(&kernels_c); each_table(check_softmax_nan); }
static void test_activations(void **state) { (void)state; each_table(check_activations); }
static void test_parametrised(void **state) { (void)state; check_parametrised(&kernels_c); each_table(check_parametrised); }
static void test_elementwise(void **state) { (void)state; check_elementwise(&kernels_c); each_table(check_elementwise); }

/* The plain activations themselves, at points computed to ten digits elsewhere. */
static void test_published_values(void **state)
{
    (void)state;
    float x[] = {1, -1, 3, 0}, y[] = {1, -1, 3, 0}, z[] = {1, -1, 3, 0};
    float q[] = {1, -1, 3, 0}, r[] = {1.5f, -1, 3, 0}, s[] = {1, -1, 3, 0};
    float new_form[] = {1, -1, 3, 0}, fast_form[] = {1, -1, 3, 0};
    const double quick[] = {0.8457957659, -0.1542042341, 2.9819286903, 0};
    const double sigmoid[] = {0.7310585786, 0.2689414214, 0.9525741268, 0.5};
    const double squared[] = {2.25, 0, 9, 0};
    const double silu[] = {0.7310585786, -0.2689414214, 2.8577223805, 0};
    const double tanh_form[] = {0.8411919906, -0.1588080094, 2.9963626179, 0};
    const double erf_form[] = {0.8413447461, -0.1586552539, 2.9959503060, 0};
    kernels_c.silu(x, 4);
    kernels_c.gelu_tanh(y, 4);
    kernels_c.gelu_new(new_form, 4);
    kernels_c.gelu_fast(fast_form, 4);
    kernels_c.gelu_erf(z, 4);
    kernels_c.quick_gelu(q, 4);
    kernels_c.relu2(r, 4);
    kernels_c.sigmoid(s, 4);
    for (int i = 0; i < 4; i++) {
        assert_float_equal(x[i], silu[i], 3e-7);
        assert_float_equal(y[i], tanh_form[i], 3e-7);
        assert_float_equal(new_form[i], tanh_form[i], 3e-7);
        assert_float_equal(fast_form[i], tanh_form[i], 3e-7);
        assert_float_equal(z[i], erf_form[i], 3e-7);
        assert_float_equal(q[i], quick[i], 3e-7);
        assert_true(r[i] == squared[i]);
        assert_float_equal(s[i], sigmoid[i], 3e-7);
    }
}

static void test_select(void **state)
{
    (void)state;
    const char *note;
    err e = {0};
    assert_int_equal(kernels_select("c", &note, &e), 0);
    assert_string_equal(kernels_get()->isa, "c");
    assert_null(note);
    assert_int_equal(kernels_select("mmx", &note, &e), ERR_USAGE);
    assert_string_equal(kernels_get()->isa, "c");
    assert_int_equal(kernels_select("best", &note, &e), 0);
    assert_true(kernels_usable(kernels_get()));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gemm), cmocka_unit_test(test_gemm_tails), cmocka_unit_test(test_gemm_bits),
        cmocka_unit_test(test_dot),
        cmocka_unit_test(test_interleave), cmocka_unit_test(test_softmax), cmocka_unit_test(test_softmax_nan),
        cmocka_unit_test(test_activations),
        cmocka_unit_test(test_elementwise), cmocka_unit_test(test_parametrised), cmocka_unit_test(test_published_values),
        cmocka_unit_test(test_select),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("kernels", tests, NULL, NULL);
}
