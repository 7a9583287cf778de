/* Products of several maps of the same inputs have the bits of each map alone, on every instruction set, in every precision, with
 * any number of threads; maps whose stored halves of heads are interleaved give the outputs of the map in order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "compute/gemm.h"
#include "usable_tables.h"

enum { N_IN = 256, MOST_OUT = 300, ROWS = 19, WIDEST = MOST_OUT + GEMM_MAPS };

static uint64_t seed = 7;

static float small(void)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (float)((double)(seed >> 33) / (1u << 30) - 1);
}

/* Stored numbers of a map: whatever bytes make finite, small values. */
static unsigned char stored[GEMM_MAPS][MOST_OUT * N_IN * sizeof(float)];

static weight make(int place, dtype type, int64_t n_out, int64_t n_in)
{
    const dtype_info *t = &dtypes[type];
    const size_t bytes = (size_t)(n_out * n_in / t->block * t->block_bytes);
    assert_true(bytes <= sizeof stored[place]);
    for (size_t i = 0; i < bytes; i++)
        stored[place][i] = (unsigned char)(0x20 + (unsigned)(small() * 7 + 8));
    return (weight){.type = type, .data = stored[place], .n_out = n_out, .n_in = n_in, .ld = n_in};
}

static void compare(const weight *w, int n, int64_t n_in, int threads, precision prec)
{
    static float x[ROWS * N_IN], alone[GEMM_MAPS][ROWS * WIDEST], together[GEMM_MAPS][ROWS * WIDEST];
    gemm_map maps[GEMM_MAPS];
    gemm_scratch *s;
    pool *p;
    assert_int_equal(pool_new(&p, threads, NULL), 0);
    assert_int_equal(gemm_scratch_new(&s, p, NULL), 0);
    assert_int_equal(gemm_scratch_reserve(s, ROWS, n_in, NULL), 0);
    for (int64_t i = 0; i < ROWS * n_in; i++)
        x[i] = small();
    memset(alone, 0, sizeof alone);
    memset(together, 0, sizeof together);
    for (int i = 0; i < n; i++) {
        gemm(s, alone[i], w[i].n_out + i, x, n_in, ROWS, &w[i], prec);
        maps[i] = (gemm_map){&w[i], together[i], w[i].n_out + i};
    }
    gemm_maps(s, maps, n, x, n_in, ROWS, prec);
    assert_memory_equal(together, alone, sizeof alone);
    assert_true(alone[n - 1][0] != 0);
    memset(alone, 0, sizeof alone);
    memset(together, 0, sizeof together);
    for (int i = 0; i < n; i++)
        gemv(s, alone[i], x, &w[i], prec);
    gemv_maps(s, maps, n, x, prec);
    assert_memory_equal(together, alone, sizeof alone);
    assert_true(alone[n - 1][0] != 0);
    gemm_scratch_free(s);
    pool_free(p);
}

static void test_groups(void **state)
{
    (void)state;
    static const struct { dtype type[GEMM_MAPS]; int64_t n_out[GEMM_MAPS], n_in; } groups[] = {
        {{DT_Q4_K, DT_Q4_K, DT_Q6_K, DT_BF16}, {67, 16, 300, 33}, 256},
        {{DT_F32, DT_F16, DT_BF16, DT_Q8_0}, {1, 255, 64, 9}, 256},
        {{DT_Q4_1, DT_Q4_1, DT_Q4_1, DT_Q4_1}, {3, 129, 1, 300}, 32},
        {{DT_BF16, DT_F32, DT_Q4_0, DT_Q5_0}, {300, 8, 5, 40}, 32},
        {{DT_F32, DT_BF16, DT_F32, DT_BF16}, {4, 300, 299, 4}, 16},
    };
    static const precision precisions[] = {PRECISION_F32, PRECISION_F32_STRICT, PRECISION_BF16};
    const kernels *tables[TABLES_MAX];
    const char *note;
    for (int k = usable_tables(tables) - 1; k >= 0; k--) {
        assert_int_equal(kernels_select(tables[k]->isa, &note, NULL), 0);
        for (size_t g = 0; g < sizeof groups / sizeof *groups; g++)
            for (int i = 0; i < 9; i++) {
                weight w[GEMM_MAPS];
                for (int m = 0; m < GEMM_MAPS; m++)
                    w[m] = make(m, groups[g].type[m], groups[g].n_out[m], groups[g].n_in);
                compare(w, 1 + i % GEMM_MAPS, groups[g].n_in, 1 + i % 3 * 2, precisions[i / 3]);
            }
    }
    assert_int_equal(kernels_select("best", &note, NULL), 0);
}

/* Against rows that lie in order, with a bias, as the order in which gemv reads them is its own. */
static void test_paired(void **state)
{
    (void)state;
    enum { HEAD = 10, N_OUT = 7 * HEAD };
    static float x[N_IN], bias[N_OUT], in_order[N_OUT * N_IN], y[N_OUT], want[N_OUT];
    gemm_scratch *s;
    pool *p;
    weight w = make(0, DT_F32, N_OUT, N_IN), plain = w;
    w.paired = HEAD;
    plain.data = in_order;
    w.bias = plain.bias = bias;
    for (int64_t row = 0; row < N_OUT; row++) {
        memcpy(in_order + row * N_IN, stored[0] + (size_t)weight_stored_row(&w, row) * N_IN * sizeof(float),
               N_IN * sizeof(float));
        bias[row] = small();
    }
    for (int i = 0; i < N_IN; i++)
        x[i] = small();
    for (int threads = 1; threads <= 3; threads++) {
        assert_int_equal(pool_new(&p, threads, NULL), 0);
        assert_int_equal(gemm_scratch_new(&s, p, NULL), 0);
        assert_int_equal(gemm_scratch_reserve(s, 1, N_IN, NULL), 0);
        gemv(s, y, x, &w, PRECISION_F32);
        gemv(s, want, x, &plain, PRECISION_F32);
        assert_memory_equal(y, want, sizeof y);
        assert_memory_not_equal(want, want + HEAD / 2, HEAD / 2 * sizeof *want);
        gemm_scratch_free(s);
        pool_free(p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_groups), cmocka_unit_test(test_paired)};
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("gemm maps", tests, NULL, NULL);
}
