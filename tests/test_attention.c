/* Instrumented attention and matrix products against straightforward double-precision code: head widths,
 * grouped heads, windows, decoding, taps, threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/cancel.h"
#include "tests/attention_reference.h"

static void shapes(void)
{
    static const struct { int64_t n; int heads, kv, d_qk, d_v; } s[] = {
        {1, 4, 2, 12, 12}, {2, 1, 1, 8, 8}, {4, 2, 1, 5, 5}, {5, 3, 3, 7, 7}, {9, 4, 4, 16, 16}, {33, 4, 1, 64, 64},
        {65, 9, 3, 64, 64}, {130, 2, 1, 80, 80}, {200, 2, 2, 24, 9}, {70, 1, 1, 256, 128}, {1030, 1, 1, 8, 8},
    };
    for (size_t i = 0; i < sizeof s / sizeof *s; i++) {
        attn_args a = make(s[i].n, s[i].n, s[i].heads, s[i].kv, s[i].d_qk, s[i].d_v);
        check(a, 2e-6);
        destroy(&a);
    }
}

static void windows(void)
{
    static const int64_t window[] = {1, 2, 7, 16, 100, 1000};
    for (size_t i = 0; i < sizeof window / sizeof *window; i++) {
        attn_args a = make(101, 101, 2, 1, 16, 16);
        a.window = window[i];
        check(a, 2e-6);
        a.causal = false;
        check(a, 2e-6);
        destroy(&a);
    }
}

static void bidirectional(void)
{
    attn_args a = make(50, 50, 2, 2, 16, 16);
    a.causal = false;
    check(a, 2e-6);
    destroy(&a);
}

/* Few queries over caches of every length, in ranges of keys; with windows, caps and sinks; to the last bit the same by any
 * number of threads. */
static void few_queries(void)
{
    static const int64_t n_key[] = {2, 5, 15, 16, 17, 33, 127, 128, 129, 257, 700};
    static const float sinks[] = {0.5f, -1, 90, 0, 2, -50};
    for (size_t i = 0; i < sizeof n_key / sizeof *n_key; i++)
        for (int64_t n_query = 1; n_query <= 4 && n_query < n_key[i]; n_query++) {
            attn_args a = make(n_query, n_key[i], 6, 2, i % 2 ? 32 : 19, i % 3 ? 16 : 67);
            a.softcap = i % 2 ? 0 : 2.5f;
            a.sinks = i % 3 ? NULL : sinks;
            a.window = n_query % 2 ? 0 : n_key[i] / 2 + 1;
            check(a, 2e-6);
            size_t floats = (size_t)(a.n_query * a.ldo);
            record *one = run(&a, 1);
            float *out = malloc(floats * sizeof *out);
            memcpy(out, a.out, floats * sizeof *out);
            record *many = run(&a, 3);
            assert_memory_equal(a.out, out, floats * sizeof *out);
            assert_memory_equal(one->lse, many->lse, (size_t)(a.n_head * a.n_query) * sizeof(float));
            free_record(one);
            free_record(many);
            free(out);
            a.sinks = NULL;
            destroy(&a);
        }
}

/* One query more at a time, and a block of queries, over a cache. */
static void decoding(void)
{
    few_queries();
    static const int64_t n_query[] = {1, 3, 40};
    for (size_t i = 0; i < 3; i++) {
        attn_args a = make(n_query[i], 90, 4, 2, 32, 32);
        check(a, 2e-6);
        destroy(&a);
    }
}

static void same_bits(void)
{
    attn_args a = make(700, 700, 3, 1, 32, 32);
    size_t bytes = (size_t)(a.n_query * a.ldo) * sizeof(float), rows = (size_t)(a.n_head * a.n_query) * sizeof(float);
    record *one = run(&a, 1);
    float *out = malloc(bytes);
    memcpy(out, a.out, bytes);
    for (int threads = 2; threads <= 8; threads++) {
        record *many = run(&a, threads);
        assert_memory_equal(a.out, out, bytes);
        assert_memory_equal(many->entropy, one->entropy, rows);
        assert_memory_equal(many->lse, one->lse, rows);
        free_record(many);
    }
    free(out);
    free_record(one);
    destroy(&a);
}

/* Uniform scores: every statistic has a closed form. */
static void uniform_scores(void)
{
    enum { N = 64 };
    attn_args a = make(N, N, 1, 1, 8, 8);
    memset((void *)a.q, 0, (size_t)(N * a.ldq) * sizeof(float));
    record *rec = run(&a, 1);
    for (int i = 0; i < N; i++) {
        close_to(rec->entropy[i], log(i + 1), 1e-6);
        close_to(rec->maximum[i], 1.0 / (i + 1), 1e-7);
        close_to(rec->distance[i], i / 2.0, 1e-5);
        close_to(rec->lse[i], log(i + 1), 1e-6);
    }
    free_record(rec);
    destroy(&a);
}

static void bf16(void)
{
    attn_args a = make(80, 80, 2, 1, 32, 32);
    a.prec = PRECISION_BF16;
    check(a, 2e-2);
    destroy(&a);
}

static void test_shapes(void **s) { (void)s; each_isa(shapes); }
static void test_windows(void **s) { (void)s; each_isa(windows); }
static void test_bidirectional(void **s) { (void)s; each_isa(bidirectional); }
static void test_decoding(void **s) { (void)s; each_isa(decoding); }
static void test_same_bits(void **s) { (void)s; each_isa(same_bits); }
static void test_uniform(void **s) { (void)s; each_isa(uniform_scores); }
static void test_bf16(void **s) { (void)s; each_isa(bf16); }

static void test_cancel(void **state)
{
    (void)state;
    attn_args a = make(30, 30, 2, 2, 8, 8);
    pool *p;
    attn_scratch *s;
    err e = {0};
    assert_int_equal(pool_new(&p, 2, &e), 0);
    assert_int_equal(attn_scratch_new(&s, p, &e), 0);
    cancel_request();
    assert_int_equal(attention(s, &a, NULL, &e), ERR_CANCELLED);
    cancel_clear();
    assert_int_equal(attention(s, &a, NULL, &e), 0);
    attn_scratch_free(s);
    pool_free(p);
    destroy(&a);
}

static void test_chunks(void **state)
{
    (void)state;
    assert_int_equal(attn_chunks(1), 1);
    assert_int_equal(attn_chunks(64), 1);
    assert_int_equal(attn_chunks(65), 2);
    for (int64_t n = 1; n < 5000; n += 7)
        assert_in_range(attn_chunks(n), 1, ATTN_MAX_CHUNK);
    assert_int_equal(attn_heads_in_flight(1, 9, 4096), 1);
    assert_int_equal(attn_heads_in_flight(8, 4, 10), 4);
}

/* Products of activations with weights of several types, all row counts around the panel sizes. */
static void products(void)
{
    static const int64_t rows[] = {1, 2, 5, 12, 13, 70, 513};
    pool *p;
    gemm_scratch *s;
    err e = {0};
    enum { IN = 96, OUT = 75 };
    float *w = random_floats(IN * OUT), *bias = random_floats(OUT), *transposed = malloc(IN * OUT * sizeof(float));
    uint16_t *half = malloc(IN * OUT * sizeof *half);
    for (int o = 0; o < OUT; o++)
        for (int i = 0; i < IN; i++) {
            half[o * IN + i] = f32_to_bf16(w[o * IN + i]);
            w[o * IN + i] = bf16_to_f32(half[o * IN + i]);
            transposed[i * OUT + o] = w[o * IN + i];
        }
    const weight forms[] = {
        {.type = DT_F32, .data = w, .n_out = OUT, .n_in = IN, .ld = IN, .bias = bias},
        {.type = DT_BF16, .data = half, .n_out = OUT, .n_in = IN, .ld = IN, .bias = bias},
        {.type = DT_F32, .data = transposed, .n_out = OUT, .n_in = IN, .ld = OUT, .transposed = true, .bias = bias},
    };
    assert_int_equal(pool_new(&p, 3, &e), 0);
    assert_int_equal(gemm_scratch_new(&s, p, &e), 0);
    assert_int_equal(gemm_scratch_reserve(s, 513, IN, &e), 0);
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        int64_t ldx = IN + 2, ldy = OUT + 5;
        float *x = random_floats(rows[r] * ldx), *y = malloc((size_t)(rows[r] * ldy) * sizeof *y);
        for (size_t c = 0; c < 6; c++) {
            const size_t f = c % 3;
            const precision prec = c < 3 ? PRECISION_F32_STRICT : PRECISION_F32;
            gemm(s, y, ldy, x, ldx, rows[r], &forms[f], prec);
            for (int64_t i = 0; i < rows[r]; i++)
                for (int o = 0; o < OUT; o++) {
                    double sum = bias[o];
                    for (int k = 0; k < IN; k++)
                        sum += (double)x[i * ldx + k] * w[o * IN + k];
                    close_to(y[i * ldy + o], sum, 2e-5);
                }
            /* A row alone gives the same bits. */
            float alone[OUT], vector[OUT];
            const float *last = x + (rows[r] - 1) * ldx;
            gemm(s, alone, OUT, last, ldx, 1, &forms[f], prec);
            assert_memory_equal(alone, y + (rows[r] - 1) * ldy, sizeof alone);
            gemv(s, vector, last, &forms[f], prec);
            for (int o = 0; o < OUT; o++)
                close_to(vector[o], alone[o], 2e-5);
        }
        free(x);
        free(y);
    }
    gemm_scratch_free(s);
    pool_free(p);
    free(w);
    free(bias);
    free(transposed);
    free(half);
}

static void test_products(void **s) { (void)s; each_isa(products); }

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes), cmocka_unit_test(test_windows), cmocka_unit_test(test_bidirectional),
        cmocka_unit_test(test_decoding), cmocka_unit_test(test_same_bits), cmocka_unit_test(test_uniform),
        cmocka_unit_test(test_bf16), cmocka_unit_test(test_cancel), cmocka_unit_test(test_chunks),
        cmocka_unit_test(test_products),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("attention", tests, NULL, NULL);
}
