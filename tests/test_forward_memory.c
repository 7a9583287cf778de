/* Memory told before a pass against what the pass takes: scratch of products to the byte, all buffers within bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compute/attention_parts.h"
#include "compute/gemm_scratch.h"
#include "compute/kernels.h"
#include "model/forward.h"
#include "model/runtime.h"

static size_t taken(const gemm_scratch *s, int threads)
{
    return (s->packed_len + (size_t)threads * s->panel_len) * sizeof(float);
}

static void products(void **state)
{
    static const struct { int64_t rows, k; int threads; } cases[] = {
        {1, 1, 1}, {17, 33, 3}, {40, 576, 2}, {512, 1536, 2}, {513, 1536, 2}, {100000, 4097, 1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const int threads = cases[i].threads;
        pool *p;
        gemm_scratch *s;
        assert_int_equal(pool_new(&p, threads, NULL), 0);
        assert_int_equal(gemm_scratch_new(&s, p, NULL), 0);
        assert_int_equal(gemm_scratch_reserve(s, cases[i].rows, cases[i].k, NULL), 0);
        assert_int_equal(taken(s, threads), gemm_scratch_bytes(cases[i].rows, cases[i].k, threads));
        /* Three terms of two bytes for every element of a block of rows. */
        const int64_t rows = cases[i].rows < GEMM_ROW_BLOCK ? cases[i].rows : GEMM_ROW_BLOCK;
        assert_true(s->packed_len * sizeof(float) >= 6 * (size_t)(rows * cases[i].k));
        assert_int_equal(gemm_scratch_reserve(s, 1, 1, NULL), 0); /* fits in what there is */
        assert_int_equal(taken(s, threads), gemm_scratch_bytes(cases[i].rows, cases[i].k, threads));
        gemm_scratch_free(s);
        pool_free(p);
    }
}

static void too_much(void **state)
{
    err e = {0};
    pool *p;
    gemm_scratch *s;
    (void)state;
    assert_true(gemm_scratch_bytes(512, INT64_MAX / 64, 1) == SIZE_MAX);
    assert_true(gemm_scratch_bytes(1, INT64_MAX / 200, 1 << 20) == SIZE_MAX);
    assert_int_equal(pool_new(&p, 1, NULL), 0);
    assert_int_equal(gemm_scratch_new(&s, p, NULL), 0);
    assert_int_equal(gemm_scratch_reserve(s, 512, INT64_MAX / 64, &e), ERR_RESOURCE);
    gemm_scratch_free(s);
    pool_free(p);
}

/* Buffers of a pass, in bytes. */
static forward_bytes held(const runtime *r, int threads)
{
    forward_bytes b = {.scratch = (double)taken(r->gemm, threads)};
    const attn_scratch *a = r->attn;
    b.scratch += (double)sizeof(float) * (double)(a->keys_len + a->values_len + (size_t)threads * a->panel_len);
    for (int i = 0; i < BUF_COUNT; i++)
        *(i == BUF_LOGITS ? &b.logits : &b.activations) += (double)sizeof(float) * (double)r->room[i];
    for (int i = 0; i < r->m->n_rope; i++)
        b.activations += (double)sizeof(float) * (double)r->rope_rows * r->m->ropes[i].dim;
    return b;
}

static void whole_pass(void **state)
{
    enum { LONGEST = 512, THREADS = 2 };
    static const int64_t lengths[] = {33, 300, LONGEST};
    static int32_t ids[LONGEST];
    const char *srcdir = getenv("srcdir"), *note;
    char path[600];
    model *m;
    (void)state;
    for (int i = 0; i < LONGEST; i++)
        ids[i] = 2 + i * 7 % 2000;
    snprintf(path, sizeof path, "%s/examples/models/lantern-3m", srcdir ? srcdir : ".");
    assert_int_equal(model_open(&m, path, NULL), 0);
    for (const kernels *const *k = kernels_all(); *k; k++)
        for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
            const input_lengths n = {.main = lengths[i]};
            runtime *r;
            if (strcmp((*k)->isa, "c") == 0 && lengths[i] > 300)
                continue; /* slow, and takes what the others do */
            assert_int_equal(kernels_select((*k)->isa, &note, NULL), 0);
            assert_int_equal(runtime_new(&r, m, THREADS, PRECISION_F32, NULL), 0);
            assert_int_equal(forward(r, &(model_input){.ids = ids, .n = n.main}, NULL, NULL, NULL), 0);
            const forward_bytes told = forward_memory_parts(m, &n, THREADS), is = held(r, THREADS);
            assert_true(is.activations <= told.activations && is.activations > 0.8 * told.activations);
            assert_true(is.scratch <= told.scratch && is.scratch > 0.8 * told.scratch);
            runtime_free(r);
        }
    assert_int_equal(kernels_select("best", &note, NULL), 0);
    model_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(products), cmocka_unit_test(too_much), cmocka_unit_test(whole_pass)};
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("forward memory", tests, NULL, NULL);
}
