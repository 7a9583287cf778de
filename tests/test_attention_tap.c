/* What a tap is given that wants a part: sums of columns alone, and tiles of which it reads some cells.  The same bits as with
 * everything, in every precision and instruction set, for any number of threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "tests/attention_reference.h"

enum { FIRST = 3, NEAR = 9, BAND = 300, BAND_END = 310 };

static bool read_cell(int64_t position, int64_t key)
{
    return key < FIRST || (key >= BAND && key < BAND_END) || llabs(position - key) < NEAR;
}

static bool reads(void *ud, const attn_tile *part)
{
    (void)ud;
    for (int64_t q = 0; q < part->n_query; q++)
        for (int64_t k = part->k0; k < part->k0 + part->n_key; k++)
            if (read_cell(part->pos0 + part->q0 + q, k))
                return true;
    return false;
}

static bool reads_none(void *ud, const attn_tile *part)
{
    (void)ud, (void)part;
    return false;
}

static size_t column_bytes(const attn_args *a)
{
    return (size_t)a->n_head * ATTN_MAX_CHUNK * (size_t)a->n_key * sizeof(double);
}

static void same_rows(const attn_args *a, record *got, record *want)
{
    for (size_t i = 0; i < N_STATS; i++)
        assert_memory_equal(*record_stat(got, i), *record_stat(want, i), (size_t)(a->n_head * a->n_query) * sizeof(float));
    assert_memory_equal(got->columns, want->columns, column_bytes(a));
}

/* Against a tap that is given everything: with a few cells, with none, with sums of columns alone. */
static void parts_of(const attn_args *a)
{
    size_t bytes = (size_t)(a->n_query * a->ldo) * sizeof(float);
    record *all = run(a, 1);
    float *out = malloc(bytes);
    memcpy(out, a->out, bytes);
    for (int h = 0; h < a->n_head; h++)
        compare_columns(a, all, h);
    for (int threads = 1; threads <= 3; threads++) {
        record *some = run_with(a, threads, ALL_NEEDS, reads), *none = run_with(a, threads, ALL_NEEDS, reads_none);
        same_rows(a, some, all);
        same_rows(a, none, all);
        assert_memory_equal(a->out, out, bytes);
        for (int64_t h = 0; h < a->n_head; h++)
            for (int64_t q = 0; q < a->n_query; q++)
                for (int64_t k = 0; k < a->n_key; k++) {
                    const int64_t cell = (h * a->n_query + q) * a->n_key + k;
                    if (read_cell(a->pos0 + q, k) && paper_sees(a, q, k))
                        assert_memory_equal(&some->probs[cell], &all->probs[cell], sizeof *all->probs);
                }
        free_record(some);
        free_record(none);
        record *columns = run_with(a, threads, ATTN_NEED_COLUMNS, NULL);
        assert_memory_equal(columns->columns, all->columns, column_bytes(a));
        assert_memory_equal(a->out, out, bytes);
        free_record(columns);
    }
    free_record(all);
    free(out);
}

static void each_precision(attn_args a)
{
    static const precision precisions[] = {PRECISION_F32_STRICT, PRECISION_F32, PRECISION_BF16};
    for (size_t i = 0; i < sizeof precisions / sizeof *precisions; i++) {
        a.prec = precisions[i];
        parts_of(&a);
    }
}

static void shapes(void)
{
    static const struct { int64_t n_query, n_key, window; bool causal; } s[] = {
        {1, 1, 0, true}, {1, 400, 0, true}, {3, 400, 50, true}, {33, 33, 0, true}, {500, 500, 0, true}, {500, 500, 70, true},
        {70, 430, 0, true}, {150, 150, 0, false}, {150, 150, 20, false},
    };
    for (size_t i = 0; i < sizeof s / sizeof *s; i++) {
        attn_args a = make(s[i].n_query, s[i].n_key, 2, 1, 16, 8);
        a.window = s[i].window;
        a.causal = s[i].causal;
        each_precision(a);
        destroy(&a);
    }
}

/* Halves the weights on the first keys. */
static void halve(void *ud, const attn_tile *t, float *probs)
{
    (void)ud;
    for (int64_t q = 0; q < t->n_query; q++)
        for (int64_t k = t->k0; k < t->k0 + t->n_key && k < 20; k++)
            probs[q * t->q_stride + (k - t->k0) * t->k_stride] *= 0.5f;
}

/* Columns of a head that is edited are those of its new weights; a learned sink takes its share of all. */
static void edited(void)
{
    static const bool heads[3] = {true, false, true};
    static const float sinks[3] = {0.5f, -1, 2};
    const attn_edit edit = {heads, halve, NULL};
    attn_args a = make(300, 300, 3, 1, 16, 8);
    a.edit = &edit;
    a.sinks = sinks;
    each_precision(a);
    a.sinks = NULL;
    destroy(&a);
}

/* Of scores that are all the same, key k receives 1 / (i + 1) from every query i >= k. */
static void uniform_scores(void)
{
    enum { N = 200 };
    static const precision precisions[] = {PRECISION_F32, PRECISION_BF16};
    attn_args a = make(N, N, 1, 1, 8, 8);
    memset((void *)a.q, 0, (size_t)(N * a.ldq) * sizeof(float));
    for (size_t i = 0; i < sizeof precisions / sizeof *precisions; i++) {
        a.prec = precisions[i];
        record *rec = run_with(&a, 2, ATTN_NEED_COLUMNS, NULL);
        double want = 0;
        for (int k = N - 1; k >= 0; k--) {
            double got = 0;
            want += 1.0 / (k + 1);
            for (int chunk = 0; chunk < ATTN_MAX_CHUNK; chunk++)
                got += rec->columns[chunk * N + k];
            close_to(got, want, 1e-6 * want);
        }
        free_record(rec);
    }
    destroy(&a);
}

static void test_shapes(void **s) { (void)s; each_isa(shapes); }
static void test_edited(void **s) { (void)s; each_isa(edited); }
static void test_uniform(void **s) { (void)s; each_isa(uniform_scores); }

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes), cmocka_unit_test(test_edited), cmocka_unit_test(test_uniform),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("taps that want a part", tests, NULL, NULL);
}
