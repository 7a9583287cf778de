/* Outputs of heads that take the places of their queries: the bits of outputs beside them, and of every statistic. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "tests/attention_reference.h"

static void same_floats(const float *a, const float *b, int64_t n)
{
    assert_memory_equal(a, b, (size_t)n * sizeof *a);
}

/* The tapped attention of a, first beside its queries, then over a copy of them. */
static void both(attn_args a, int threads)
{
    int64_t cells = a.n_query * a.ldo;
    record *beside = run(&a, threads), *over;
    attn_args in_place = a;
    in_place.out = malloc((size_t)cells * sizeof(float));
    memcpy(in_place.out, a.q, (size_t)cells * sizeof(float));
    in_place.q = in_place.out;
    over = run(&in_place, threads);
    same_floats(in_place.out, a.out, cells);
    for (size_t i = 0; i < N_STATS; i++)
        same_floats(*record_stat(over, i), *record_stat(beside, i), a.n_head * a.n_query);
    free_record(over);
    free_record(beside);
    free(in_place.out);
}

static void shapes(void)
{
    static const struct { int64_t n_query, n_key; int heads, kv, d; } s[] = {
        {1, 1, 2, 1, 8}, {1, 70, 4, 2, 16}, {3, 50, 2, 2, 5}, {33, 33, 6, 2, 64}, {64, 64, 3, 3, 7}, {150, 150, 4, 1, 32},
        {40, 300, 2, 1, 80}, {700, 700, 2, 1, 16},
    };
    for (size_t i = 0; i < sizeof s / sizeof *s; i++)
        for (int threads = 1; threads <= 3; threads += 2) {
            attn_args a = make(s[i].n_query, s[i].n_key, s[i].heads, s[i].kv, s[i].d, s[i].d);
            a.ldq = a.ldo; /* as the rows of a runtime lie */
            both(a, threads);
            a.prec = PRECISION_BF16;
            both(a, threads);
            a.prec = PRECISION_F32_STRICT;
            a.window = 20;
            both(a, threads);
            if (s[i].n_query == s[i].n_key) {
                a.causal = false;
                a.window = 0;
                both(a, threads);
            }
            destroy(&a);
        }
}

static void test_shapes(void **s) { (void)s; each_isa(shapes); }

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_shapes)};
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("attention_in_place", tests, NULL, NULL);
}
