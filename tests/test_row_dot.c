/* Products with stored rows read where they lie, of every instruction set that this machine can run, for random bytes at every
 * alignment, ending right before a page that must not be touched: as floats to the last bit what converting the row and the
 * table's own dot give; as integers (blocks.h) within a budget, and the same bits in every set. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <float.h>
#include <math.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "compute/blocks.h"
#include "compute/gemm.h"

enum { LONGEST = 1024 };

static uint64_t seed = 41;

static uint64_t next(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

/* Bytes that end where a forbidden page begins. */
typedef struct guarded { unsigned char *end, *map; size_t bytes; } guarded;

static guarded guard(size_t bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), body = (bytes + page - 1) / page * page;
    guarded g = {.bytes = body + page};
    g.map = mmap(NULL, g.bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(g.map != MAP_FAILED);
    g.end = g.map + body;
    assert_int_equal(mprotect(g.end, page, PROT_NONE), 0);
    return g;
}

static bool all_finite(const float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(x[i]))
            return false;
    return true;
}

/* A row of n elements of random bytes right before g's forbidden page, drawn again until its values are finite; plain floats
 * are below 2. */
static const void *random_row(const guarded *g, dtype t, int64_t n, float *values)
{
    const size_t size = (size_t)dtypes[t].block_bytes, bytes = (size_t)(n / dtypes[t].block) * size;
    unsigned char *row = g->end - bytes;
    do {
        for (size_t i = 0; i < bytes; i++)
            row[i] = (unsigned char)next();
        if (dtypes[t].block == 1)
            for (size_t i = size - 1; i < bytes; i += size)
                row[i] &= (unsigned char)~0x40;
        dtypes[t].to_f32(values, row, n);
    } while (!all_finite(values, n));
    return row;
}

static uint32_t bits(float x)
{
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

static double exact_sum(const float *x, const float *y, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)x[i] * y[i];
    return sum;
}

static double sum_of_magnitudes(const float *x, const float *y, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += fabs((double)x[i] * y[i]);
    return sum;
}

static void test_same_bits(void **state)
{
    (void)state;
    const int64_t lengths[] = {1, 7, 8, 15, 16, 31, 32, 33, 64, 96, 100, 128, 160, 256, 512, 576, 768, 1000, 1024};
    static float x[LONGEST], values[LONGEST], parted[2][LONGEST];
    guarded g = guard(LONGEST * sizeof(float));
    int compared = 0;
    for (const kernels *const *k = kernels_all(); *k; k++)
        for (int t = 0; t < DT_COUNT; t++) {
            if (!kernels_usable(*k) || !(*k)->row_dot[t])
                continue;
            for (size_t l = 0; l < sizeof lengths / sizeof *lengths; l++) {
                const int64_t n = lengths[l];
                if (n % dtypes[t].block)
                    continue;
                for (int round = 0; round < 5; round++) {
                    const void *row = random_row(&g, (dtype)t, n, values);
                    for (int64_t i = 0; i < n; i++)
                        x[i] = (float)(int32_t)next() * 0x1p-31f;
                    if (t == DT_Q8_0) /* a block's scale is multiplied once */
                        assert_true(fabs((*k)->row_dot[t](x, row, n) - exact_sum(x, values, n)) <=
                                    4e-7 * sum_of_magnitudes(x, values, n));
                    else if (t == DT_BF16) {
                        (*k)->part_pairs(parted[0], x, n);
                        (*k)->part_pairs(parted[1], values, n);
                        assert_int_equal(bits((*k)->row_dot[t](parted[0], row, n)), bits((*k)->dot(parted[0], parted[1], n)));
                        assert_true(fabs((*k)->row_dot[t](parted[0], row, n) - exact_sum(x, values, n)) <=
                                    4e-7 * sum_of_magnitudes(x, values, n));
                    } else
                        assert_int_equal(bits((*k)->row_dot[t](x, row, n)), bits((*k)->dot(x, values, n)));
                    compared++;
                }
            }
        }
    munmap(g.map, g.bytes);
    if (kernels_usable(&kernels_avx2))
        assert_true(compared >= 1100); /* 30 types */
}

/* Rounded elements, added in the order of dot. */
static void test_rounded_rows(void **state)
{
    (void)state;
    const int64_t lengths[] = {1, 7, 8, 15, 31, 32, 33, 64, 96, 100, 160, 256, 576, 1000, 1024};
    static float x[LONGEST], values[LONGEST], parted[2][LONGEST];
    guarded g = guard(LONGEST * sizeof(float));
    int compared = 0;
    for (const kernels *const *k = kernels_all(); *k; k++)
        for (int t = 0; t < DT_COUNT; t++)
            for (size_t l = 0; l < sizeof lengths / sizeof *lengths; l++) {
                const int64_t n = lengths[l];
                if (!kernels_usable(*k) || !(*k)->row_dot_bf16[t] || n % dtypes[t].block)
                    continue;
                const float *left = x, *right = values;
                const void *row = random_row(&g, (dtype)t, n, values);
                for (int64_t i = 0; i < n; i++)
                    x[i] = (float)(int32_t)next() * 0x1p-31f;
                kernels_c.round_bf16(values, n);
                if (t == DT_BF16) {
                    (*k)->part_pairs(parted[0], x, n);
                    (*k)->part_pairs(parted[1], values, n);
                    left = parted[0];
                    right = parted[1];
                }
                assert_int_equal(bits((*k)->row_dot_bf16[t](left, row, n)), bits((*k)->dot(left, right, n)));
                compared++;
            }
    munmap(g.map, g.bytes);
    if (kernels_usable(&kernels_avx2))
        assert_true(compared >= 143);
}

/* Rows as floats are those of dtypes[].to_f32 whatever their bytes are, and nothing behind them is written.  Blocks that share
 * a scale that is no number have elements that are none. */
static void test_row_values(void **state)
{
    (void)state;
    const int64_t lengths[] = {1, 7, 15, 16, 17, 32, 33, 64, 96, 100, 128, 160, 256, 768, 1000, 1024};
    static float values[LONGEST];
    guarded g = guard(LONGEST * sizeof(float)), out = guard(LONGEST * sizeof(float));
    int compared = 0;
    for (const kernels *const *k = kernels_all(); *k; k++)
        for (int t = 0; t < DT_COUNT; t++)
            for (size_t l = 0; l < sizeof lengths / sizeof *lengths; l++) {
                const int64_t n = lengths[l];
                if (!kernels_usable(*k) || !(*k)->row_values[t] || n % dtypes[t].block)
                    continue;
                for (int round = 0; round < 20; round++) {
                    const size_t bytes = (size_t)(n / dtypes[t].block * dtypes[t].block_bytes);
                    float *have = (float *)(void *)out.end - n;
                    for (size_t i = 0; i < bytes; i++)
                        g.end[i - bytes] = (unsigned char)next();
                    (*k)->row_values[t](have, g.end - bytes, n);
                    dtypes[t].to_f32(values, g.end - bytes, n);
                    for (int64_t i = 0; i < n; i++)
                        assert_true(bits(have[i]) == bits(values[i]) ||
                                    (dtypes[t].block > 1 && isnan(have[i]) && isnan(values[i])));
                    compared++;
                }
            }
    munmap(g.map, g.bytes);
    munmap(out.map, out.bytes);
    if (kernels_usable(&kernels_avx2))
        assert_true(compared >= 20 * 201);
}

/* Four rows at once have the bits of one at a time, wherever they lie. */
static void test_rows_together(void **state)
{
    (void)state;
    const int64_t lengths[] = {1, 7, 16, 31, 32, 33, 64, 96, 100, 128, 160, 256, 576, 1000, 1024};
    static float x[LONGEST], values[LONGEST];
    guarded g[ROWS_TOGETHER];
    int compared = 0;
    for (int r = 0; r < ROWS_TOGETHER; r++)
        g[r] = guard(LONGEST * sizeof(float));
    for (const kernels *const *k = kernels_all(); *k; k++)
        for (int t = 0; t < DT_COUNT; t++)
            for (size_t l = 0; l < sizeof lengths / sizeof *lengths; l++) {
                const int64_t n = lengths[l];
                const void *rows[ROWS_TOGETHER];
                float y[ROWS_TOGETHER];
                if (!kernels_usable(*k) || !(*k)->rows_dot[t] || n % dtypes[t].block)
                    continue;
                for (int r = 0; r < ROWS_TOGETHER; r++)
                    rows[r] = random_row(&g[r], (dtype)t, n, values);
                for (int64_t i = 0; i < n; i++)
                    x[i] = (float)(int32_t)next() * 0x1p-31f;
                (*k)->rows_dot[t](y, x, rows, n);
                for (int r = 0; r < ROWS_TOGETHER; r++)
                    assert_int_equal(bits(y[r]), bits((*k)->row_dot[t](x, rows[r], n)));
                compared++;
            }
    for (int r = 0; r < ROWS_TOGETHER; r++)
        munmap(g[r].map, g[r].bytes);
    if (kernels_usable(&kernels_avx2))
        assert_true(compared >= 3 * 15 + 7);
}

/* Groups of a size that is the table's own: even indices, then odd ones; the rest stays. */
static void test_part_pairs(void **state)
{
    (void)state;
    enum { N = 100 };
    for (const kernels *const *k = kernels_all(); *k; k++) {
        float x[N], y[N];
        int64_t half = 0;
        if (!kernels_usable(*k))
            continue;
        for (int i = 0; i < N; i++)
            x[i] = (float)i;
        (*k)->part_pairs(y, x, N);
        while (y[half] == (float)(2 * half))
            half++;
        assert_true((half > 1 || *k == &kernels_c) && (half & (half - 1)) == 0);
        for (int64_t i = 0; i < N; i++) {
            const int64_t in = i % (2 * half), whole = N / (2 * half) * 2 * half;
            assert_true(y[i] == (float)(i >= whole ? i : i - in + (in < half ? 2 * in : 2 * (in - half) + 1)));
        }
    }
}

/* ---- rows that stay integers ---- */

/* Kinds of vectors: as activations are, shifted so that sums of what is small would cancel, mostly zeros, of many sizes. */
enum { PLAIN, SHIFTED, SPARSE, WIDE, KINDS };

static void fill(float *x, int64_t n, int kind)
{
    for (int64_t i = 0; i < n; i++) {
        x[i] = (float)(int32_t)next() * 0x1p-31f;
        if (kind == SHIFTED)
            x[i] += 3;
        if (kind == SPARSE && next() % 8)
            x[i] = 0;
        if (kind == WIDE)
            x[i] = ldexpf(x[i], (int)(next() % 9) - 4);
    }
}

/* What a product may be off by, as a part of the sum of magnitudes: a float32 sum in order of 1,024 terms is off by 1e-6 of it
 * (shifted: by more). */
static const double budget[KINDS] = {2e-7, 2e-7, 3e-7, 1e-6};

/* Four rows of n elements of random bytes that end before g's forbidden page; their values. */
static void random_rows(const guarded *g, dtype t, int64_t n, const void **rows, float (*values)[LONGEST])
{
    const size_t bytes = (size_t)(n / dtypes[t].block * dtypes[t].block_bytes);
    for (int r = 0; r < BLOCK_ROWS; r++) {
        guarded shorter = {.end = g->end - bytes * (size_t)(BLOCK_ROWS - 1 - r)};
        rows[r] = random_row(&shorter, t, n, values[r]);
    }
}

static void test_integer_rows(void **state)
{
    (void)state;
    static float x[LONGEST], values[BLOCK_ROWS][LONGEST];
    static _Alignas(64) block_unit units[LONGEST / BLOCK_UNIT], first[LONGEST / BLOCK_UNIT];
    guarded g = guard(2 * LONGEST * sizeof(float));
    int compared = 0;
    for (int t = 0; t < DT_COUNT; t++)
        for (int64_t n = dtypes[t].block; blocks_c.dot[t] && n <= LONGEST; n += dtypes[t].block)
            for (int kind = 0; kind < KINDS; kind++) {
                const void *rows[BLOCK_ROWS];
                float definition[BLOCK_ROWS], y[BLOCK_ROWS], before[BLOCK_ROWS];
                bool vectors = false;
                random_rows(&g, (dtype)t, n, rows, values);
                fill(x, n, kind);
                memset(units, 0, sizeof units);
                if (!blocks_c.prepare(units, x, n, (dtype)t))
                    continue;
                blocks_c.dot[t](definition, units, rows, n);
                memcpy(first, units, sizeof units);
                for (int r = 0; r < BLOCK_ROWS; r++)
                    assert_true(fabs(definition[r] - exact_sum(x, values[r], n)) <=
                                budget[kind] * sum_of_magnitudes(x, values[r], n));
                for (const block_kernels *const *b = blocks_all(); *b; b++) {
                    memset(units, 0, sizeof units);
                    assert_true((*b)->prepare(units, x, n, (dtype)t));
                    assert_memory_equal(units, first, (size_t)block_units(n) * sizeof *units);
                    (*b)->dot[t](y, units, rows, n);
                    for (int r = 0; r < BLOCK_ROWS; r++)
                        assert_true(fabs(y[r] - definition[r]) <= 1e-7 * sum_of_magnitudes(x, values[r], n));
                    if (vectors)
                        assert_memory_equal(y, before, sizeof y);
                    memcpy(before, y, sizeof y);
                    vectors = *b != &blocks_c;
                    compared++;
                }
            }
    assert_true(compared > 500);
    munmap(g.map, g.bytes);
}

/* Vectors that would lose digits, or are no numbers, are refused by every set. */
static void test_refusals(void **state)
{
    (void)state;
    enum { N = 256 };
    static _Alignas(64) block_unit units[N / BLOCK_UNIT];
    static const struct { float others, one; bool fits; } cases[] = {
        {1, 1, true}, {1, 100, true}, {1, 1e6f, false}, {1, -1e30f, false}, {0, 5, true}, {1, NAN, false}, {1, INFINITY, false},
        {-1, -INFINITY, false}, {1e-40f, 1e-40f, false}, {1e37f, 1e37f, true}, {0, 0, false},
    };
    for (const block_kernels *const *b = blocks_all(); *b; b++)
        for (int t = 0; t < DT_COUNT; t++)
            for (size_t c = 0; c < sizeof cases / sizeof *cases && (*b)->dot[t]; c++)
                for (int at = 0; at < N; at += 51) {
                    float x[N];
                    for (int i = 0; i < N; i++)
                        x[i] = i == at ? cases[c].one : cases[c].others;
                    assert_int_equal((*b)->prepare(units, x, N, (dtype)t), cases[c].fits);
                }
}

/* What is no number in a vector or in the scales of a row comes out as converting the row first has it. */
static void test_no_numbers(void **state)
{
    (void)state;
    enum { N_OUT = 6, N_IN = 256 };
    static float x[N_IN], values[N_OUT][N_IN], y[N_OUT];
    pool *p;
    gemm_scratch *s;
    assert_int_equal(pool_new(&p, 2, NULL), 0);
    assert_int_equal(gemm_scratch_new(&s, p, NULL), 0);
    assert_int_equal(gemm_scratch_reserve(s, 1, N_IN, NULL), 0);
    guarded g = guard(N_OUT * N_IN * sizeof(float));
    for (int t = 0; t < DT_COUNT; t++) {
        if (!blocks_c.dot[t])
            continue;
        const size_t bytes = (size_t)(N_IN / dtypes[t].block * dtypes[t].block_bytes), all = bytes * N_OUT;
        for (int i = 0; i < N_OUT; i++) {
            guarded one = {.end = g.end - all + bytes * (size_t)(i + 1)};
            random_row(&one, (dtype)t, N_IN, values[i]);
        }
        const weight w = {.type = (dtype)t, .data = g.end - all, .n_out = N_OUT, .n_in = N_IN, .ld = N_IN};
        for (int at = 0; at < N_IN; at += 37)
            for (int what = 0; what < 3; what++) {
                fill(x, N_IN, PLAIN);
                x[at] = what == 0 ? NAN : what == 1 ? INFINITY : -INFINITY;
                gemv(s, y, x, &w, PRECISION_F32);
                for (int i = 0; i < N_OUT; i++) {
                    const float want = (float)exact_sum(x, values[i], N_IN);
                    assert_true(isnan(want) ? isnan(y[i]) : y[i] == want);
                }
            }
        unsigned char *d = g.end - all + (t == DT_Q6_K ? 208 : 0); /* d of the first block of row 0: a NaN */
        d[0] = 0;
        d[1] = 0x7e;
        fill(x, N_IN, PLAIN);
        gemv(s, y, x, &w, PRECISION_F32);
        assert_true(isnan(y[0]));
        for (int i = 1; i < N_OUT; i++)
            assert_true(fabs(y[i] - exact_sum(x, values[i], N_IN)) <= 4e-7 * sum_of_magnitudes(x, values[i], N_IN));
        d[1] = 0x7c; /* infinity */
        for (int sign = -1; sign <= 1; sign++) {
            for (int i = 0; i < N_IN; i++)
                x[i] = (float)sign * (1 + (float)i);
            dtypes[t].to_f32(values[0], g.end - all, N_IN);
            gemv(s, y, x, &w, PRECISION_F32);
            const float want = (float)exact_sum(x, values[0], N_IN);
            assert_true(isnan(want) ? isnan(y[0]) : y[0] == want);
        }
    }
    munmap(g.map, g.bytes);
    gemm_scratch_free(s);
    pool_free(p);
}

/* A matrix-vector product of every such type against the same in double precision, and that of one thread against three. */
static void test_products(void **state)
{
    (void)state;
    enum { N_OUT = 67, N_IN = 512 };
    static float x[N_IN], values[N_OUT][N_IN], y[2][N_OUT];
    for (int t = 0; t < DT_COUNT; t++) {
        if (!kernels_get()->row_dot[t])
            continue;
        const size_t bytes = (size_t)(N_IN / dtypes[t].block * dtypes[t].block_bytes);
        guarded all = guard(bytes * N_OUT), one = guard(bytes);
        for (int i = 0; i < N_OUT; i++)
            memcpy(all.end - bytes * (size_t)(N_OUT - i), random_row(&one, (dtype)t, N_IN, values[i]), bytes);
        for (int i = 0; i < N_IN; i++)
            x[i] = (float)(int32_t)next() * 0x1p-31f;
        const weight w = {.type = (dtype)t, .data = all.end - bytes * N_OUT, .n_out = N_OUT, .n_in = N_IN, .ld = N_IN};
        for (int round = 0; round < 2; round++) {
            pool *p;
            gemm_scratch *s;
            assert_int_equal(pool_new(&p, round ? 3 : 1, NULL), 0);
            assert_int_equal(gemm_scratch_new(&s, p, NULL), 0);
            assert_int_equal(gemm_scratch_reserve(s, 1, N_IN, NULL), 0);
            gemv(s, y[round], x, &w, PRECISION_F32);
            gemm_scratch_free(s);
            pool_free(p);
        }
        assert_memory_equal(y[0], y[1], sizeof y[0]);
        for (int i = 0; i < N_OUT; i++) {
            double sum = 0, size = 0;
            for (int k = 0; k < N_IN; k++) {
                sum += (double)x[k] * values[i][k];
                size += fabs((double)x[k] * values[i][k]);
            }
            assert_true(size > FLT_MAX || fabs(y[0][i] - sum) <= 4e-6 * size); /* blocks with powers of two */
        }
        munmap(all.map, all.bytes);
        munmap(one.map, one.bytes);
    }
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_bits),
        cmocka_unit_test(test_rounded_rows),
        cmocka_unit_test(test_row_values),
        cmocka_unit_test(test_rows_together),
        cmocka_unit_test(test_part_pairs),
        cmocka_unit_test(test_integer_rows),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_no_numbers),
        cmocka_unit_test(test_products),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
