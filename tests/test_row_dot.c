/* Products with stored rows read where they lie, of every instruction set that this machine can run: to the last bit what
 * converting the row and the table's own dot give, for random bytes at every alignment, ending right before a page that must
 * not be touched. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "compute/gemm.h"
#include "compute/kernels.h"

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

static void test_same_bits(void **state)
{
    (void)state;
    const int64_t lengths[] = {1, 7, 8, 15, 16, 31, 32, 33, 64, 96, 100, 128, 160, 256, 512, 576, 768, 1000, 1024};
    static float x[LONGEST], values[LONGEST];
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
                    assert_int_equal(bits((*k)->row_dot[t](x, row, n)), bits((*k)->dot(x, values, n)));
                    compared++;
                }
            }
        }
    munmap(g.map, g.bytes);
    if (kernels_usable(&kernels_avx2))
        assert_true(compared > 2 * 11 * 5);
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
            assert_true(fabs(y[0][i] - sum) <= 4e-6 * size);
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
        cmocka_unit_test(test_products),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
