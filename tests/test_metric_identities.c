/* What each metric must give where the answer is known on paper: uniform, identity, pure sink, shifted and
 * copying attention; uniform and certain predictions. */
#include "tests/metric_feed.h"

enum { T = 64 };

static int32_t distinct[T];

/* Weights are float32: identities hold to their rounding. */
static void near(double value, double expected, const char *what)
{
    if (!(fabs(value - expected) <= 2e-7 * (1 + fabs(expected))))
        fail_msg("%s: %.12g, expected %.12g", what, value, expected);
}

static double harmonic(int64_t n)
{
    double h = 0;
    for (int64_t i = n; i >= 1; i--)
        h += 1.0 / (double)i;
    return h;
}

static double alpha(const dense *d, int64_t key)
{
    char set[32];
    snprintf(set, sizeof(set), "sink-keys=%d", (int)key);
    return feed_one("sink", set, distinct, d);
}

static void test_uniform_causal(void **state)
{
    (void)state;
    dense d = dense_new(T, 0);
    double log_factorial = 0;
    for (int64_t i = 0; i < T; i++) {
        log_factorial += log((double)(i + 1));
        for (int64_t k = 0; k <= i; k++)
            d.a[i * T + k] = (float)(1.0 / (double)(i + 1));
    }
    near(alpha(&d, 0), harmonic(T) / T, "alpha_0 = H_T / T");
    near(alpha(&d, 9), (harmonic(T) - harmonic(9)) / (T - 9), "alpha_9");
    near(alpha(&d, -1), 1.0 / T, "the last key has one query");
    /* The floors printed beside the sink rate's definition. */
    assert_true(fabs(alpha(&d, 0) - 0.0741) < 5e-5);
    assert_true(fabs(alpha(&d, 1) - 0.0594) < 5e-5);
    assert_true(fabs(alpha(&d, 9) - 0.0348) < 5e-5);
    near(feed_one("entropy", NULL, distinct, &d), log_factorial / T, "mean of ln(i + 1)");
    near(feed_one("entropy", "entropy-rows=last", distinct, &d), log(T), "ln T");
    near(feed_one("distance", NULL, distinct, &d), (T - 1) / 4.0, "(T - 1) / 4");
    near(feed_one("self", NULL, distinct, &d), harmonic(T) / T, "self = H_T / T");
    near(feed_one("max", NULL, distinct, &d), harmonic(T) / T, "max = H_T / T");
    near(feed_one("prev_token", NULL, distinct, &d), (harmonic(T) - 1) / (T - 1), "previous token");

    /* One token all over: every earlier key is an earlier occurrence. */
    int32_t same[T] = {0};
    near(feed_one("duplicate_token", NULL, same, &d), 1 - (harmonic(T) - 1) / (T - 1),
         "all but the query itself");
    near(feed_one("duplicate_token", "duplicate-match=last", same, &d), (harmonic(T) - 1) / (T - 1),
         "one of them");
    near(feed_one("induction", NULL, same, &d), 1 - (harmonic(T) - 1) / (T - 1), "all keys but the first");
    dense_free(&d);
}

static void test_identity(void **state)
{
    (void)state;
    dense d = dense_new(T, 0);
    for (int64_t i = 0; i < T; i++)
        d.a[i * T + i] = 1;
    near(feed_one("entropy", NULL, distinct, &d), 0, "entropy");
    near(feed_one("prev_token", NULL, distinct, &d), 0, "previous token");
    near(feed_one("self", NULL, distinct, &d), 1, "self");
    near(feed_one("max", NULL, distinct, &d), 1, "max");
    near(feed_one("distance", NULL, distinct, &d), 0, "distance");
    near(alpha(&d, 0), 1.0 / T, "alpha_0: row 0 is included");
    near(alpha(&d, -1), 1, "the last column is its diagonal cell");
    dense_free(&d);
}

static void test_pure_sink(void **state)
{
    (void)state;
    dense d = dense_new(T, 0);
    for (int64_t i = 0; i < T; i++)
        d.a[i * T] = 1;
    near(alpha(&d, 0), 1, "alpha_0");
    for (int64_t k = 1; k < T; k++)
        near(alpha(&d, k), 0, "every other alpha");
    near(feed_one("entropy", NULL, distinct, &d), 0, "entropy");
    near(feed_one("distance", NULL, distinct, &d), (T - 1) / 2.0, "distance");
    near(feed_one("self", NULL, distinct, &d), 1.0 / T, "self");
    dense_free(&d);
}

/* The same under a window: alpha divides by the queries that see the key, not by all after it. */
static void test_pure_sink_in_a_window(void **state)
{
    (void)state;
    dense d = dense_new(T, 8);
    for (int64_t i = 0; i < T; i++)
        d.a[i * T + d.lo[i]] = 1;
    near(alpha(&d, 0), 1, "alpha_0 over the 8 queries that see key 0");
    near(alpha(&d, 1), 1.0 / 8, "alpha_1: 1 of 8 queries");
    near(alpha(&d, -1), 0, "alpha of the last key");
    dense_free(&d);
}

static void test_shifted(void **state)
{
    (void)state;
    dense d = dense_new(T, 0);
    d.a[0] = 1;
    for (int64_t i = 1; i < T; i++)
        d.a[i * T + i - 1] = 1;
    near(feed_one("prev_token", NULL, distinct, &d), 1, "queries 1 .. n - 1 only");
    near(feed_one("distance", NULL, distinct, &d), (T - 1.0) / T, "(n - 1) / n: query 0 is included");
    near(feed_one("self", NULL, distinct, &d), 1.0 / T, "self");
    dense_free(&d);
}

/* Learned sink: a constant share of each row is missing; nothing is renormalised. */
static void test_missing_mass(void **state)
{
    (void)state;
    dense d = dense_new(T, 0);
    for (int64_t i = 0; i < T; i++)
        d.a[i * T] = 0.25f;
    near(alpha(&d, 0), 0.25, "alpha_0");
    near(feed_one("max", NULL, distinct, &d), 0.25, "max");
    near(feed_one("entropy", NULL, distinct, &d), 0.25 * log(4), "entropy of the row as it is");
    near(feed_one("distance", NULL, distinct, &d), 0.25 * (T - 1) / 2.0, "distance");
    dense_free(&d);
}

/* Float32 weights and entropies overstep ranges by their rounding; what is emitted does not. */
static void test_ends_of_ranges(void **state)
{
    (void)state;
    for (int64_t n = 2; n <= 400; n++) {
        int32_t *ids = calloc((size_t)n, sizeof *ids);
        dense uniform = dense_new_rectangle(n, n), one = dense_new_rectangle(n, n);
        for (int64_t i = 0; i < n * n; i++)
            uniform.a[i] = 1 / (float)n;
        for (int64_t i = 0; i < n; i++)
            one.a[i * n + i] = 1;
        double normalised = feed_one("entropy_normalised", NULL, ids, &uniform);
        double spiky = feed_one("spikiness", NULL, ids, &uniform);
        double keys = feed_one("effective_keys", NULL, ids, &uniform);
        double squares = feed_one("effective_keys", "effective-order=2", ids, &uniform);
        double column = feed_one("column_entropy", NULL, ids, &uniform);
        near(normalised, 1, "entropy_normalised");
        near(spiky, 0, "spikiness");
        assert_true(fabs(keys / (double)n - 1) < 2e-6);
        assert_true(normalised <= 1 && spiky >= 0 && column <= 1 && keys <= (double)n && squares <= (double)n);
        assert_true(feed_one("effective_keys", NULL, ids, &one) >= 1);
        assert_true(feed_one("effective_keys", "effective-order=2", ids, &one) >= 1);
        assert_true(feed_one("column_entropy", NULL, ids, &one) >= 0);
        /* What is further outside than rounding is not made to fit. */
        for (int64_t i = 0; i < n * n; i++)
            uniform.a[i] = n < 4 ? 1 / (float)n : 1.01f / (float)n;
        if (n >= 4)
            assert_true(feed_one("entropy_normalised", NULL, ids, &uniform) > 1 + 1e-5);
        dense_free(&uniform);
        dense_free(&one);
        free(ids);
    }
}

/* A segment of S tokens twice after a BOS, and heads that copy perfectly. */
static void test_copying(void **state)
{
    (void)state;
    enum { S = 20, N = 2 * S + 1 };
    int32_t ids[N] = {0};
    for (int64_t i = 0; i < S; i++)
        ids[1 + i] = ids[1 + S + i] = (int32_t)(100 + i);
    dense after = dense_new(N, 0), same = dense_new(N, 0);
    for (int64_t i = 0; i < N; i++) {
        /* Queries without an earlier occurrence rest on themselves. */
        after.a[i * N + (i > S ? i - (S - 1) : i)] = 1;
        same.a[i * N + (i > S ? i - S : i)] = 1;
    }
    near(feed_one("induction", "induction-match=any", ids, &after), 1, "induction head, any");
    near(feed_one("induction", "induction-match=last", ids, &after), 1, "induction head, last");
    /* The diagonal starts two queries before the second pass: at S - 1 and S nothing occurred before. */
    near(feed_one("induction", NULL, ids, &after), S / (S + 2.0), "induction head, period");
    near(feed_one("induction", "induction-match=any", ids, &same), 0, "duplicate head");
    near(feed_one("duplicate_token", NULL, ids, &same), 1, "duplicate head");
    near(feed_one("duplicate_token", NULL, ids, &after), 0, "induction head");

    /* Without a BOS the diagonal has S + 1 entries. */
    dense d = dense_new(2 * S, 0);
    for (int64_t i = 0; i < 2 * S; i++)
        d.a[i * 2 * S + (i >= S ? i - (S - 1) : i)] = 1;
    near(feed_one("induction", NULL, ids + 1, &d), S / (S + 1.0), "S + 1 entries");
    dense_free(&d);

    /* No period, no repeated token: no value. */
    emitted out = {0};
    cut whole = {"whole", 1, N, N, false, 0};
    feed_metric(metric_find("induction"), NULL, distinct, &after, &whole, &out);
    feed_metric(metric_find("induction"), "induction-match=period", distinct, &after, &whole, &out);
    feed_metric(metric_find("duplicate_token"), NULL, distinct, &after, &whole, &out);
    assert_int_equal(out.n, 0);
    dense_free(&after);
    dense_free(&same);
}

/* A prompt that is almost periodic is not taken for a repeated one. */
static void test_period_is_exact(void **state)
{
    (void)state;
    int32_t ids[9] = {0, 5, 6, 7, 8, 5, 6, 7, 9};
    dense d = dense_new(9, 0);
    for (int64_t i = 0; i < 9; i++)
        d.a[i * 9 + (i >= 5 ? i - 3 : i)] = 1;
    emitted out = {0};
    cut whole = {"whole", 1, 9, 9, false, 0};
    feed_metric(metric_find("induction"), "induction-match=period", ids, &d, &whole, &out);
    assert_int_equal(out.n, 0);
    near(feed_one("induction", NULL, ids, &d), 1, "falls back to token matching");
    ids[8] = 8;
    near(feed_one("induction", NULL, ids, &d), 4.0 / 6, "period 4 over queries 3 .. 8");
    dense_free(&d);
}

/* ---- nll ---- */

/* Feed logits [n, V] in blocks of at most `rows` positions. */
static void feed_logits(const int32_t *ids, int64_t n, int64_t vocab, const float *z, int64_t rows,
                        emitted *out)
{
    const metric *m = metric_find("nll");
    metric_ctx c = {.m = m, .p = NULL, .ids = ids, .n = n, .key_ids = ids, .n_key = n, .placeholder = -1, .n_layer = 1};
    result_sink sink = {emitted_add, NULL, out};
    err e = {0};
    for (int64_t pos = 0; pos < n; pos += rows) {
        int64_t take = n - pos < rows ? n - pos : rows;
        assert_int_equal(m->logits(&c, pos, z + pos * vocab, take, vocab, &sink, &e), 0);
    }
}

static void test_nll_of_uniform_and_certain_predictions(void **state)
{
    (void)state;
    enum { N = 7, V = 1000 };
    int32_t ids[N];
    float *z = calloc((size_t)N * V, sizeof(float));
    assert_non_null(z);
    for (int i = 0; i < N; i++)
        ids[i] = 37 * i;
    emitted out = {0};
    for (int i = 0; i < N * V; i++)
        z[i] = 1e4f; /* a constant does not matter, however large */
    feed_logits(ids, N, V, z, 3, &out);
    assert_int_equal(out.n, N - 1);
    for (int i = 0; i < N - 1; i++) {
        assert_int_equal(out.v[i].position, i + 1);
        assert_int_equal(out.v[i].layer, NO_INDEX);
        assert_int_equal(out.v[i].head, NO_INDEX);
        assert_true(fabs(out.v[i].value - log(V)) < 1e-12);
    }
    emitted_free(&out);
    /* Right once with odds 999 e^-d, wrong for the rest: d + ln(1 + 999 e^-d). */
    for (int i = 0; i < N; i++)
        z[i * V + (i == 2 ? ids[3] : 999)] = 1e4f + 16.f;
    feed_logits(ids, N, V, z, 100, &out);
    for (int i = 0; i < N - 1; i++)
        assert_true(fabs(out.v[i].value - ((i == 2 ? 0 : 16) + log1p(999 * exp(-16)))) < 1e-12);
    emitted_free(&out);
    free(z);
}

static void test_nll_against_long_double(void **state)
{
    (void)state;
    enum { N = 33, V = 257 };
    int32_t ids[N];
    float *z = calloc((size_t)N * V, sizeof(float));
    uint64_t seed = 5;
    assert_non_null(z);
    for (int i = 0; i < N; i++)
        ids[i] = (int32_t)(feed_random(&seed) % V);
    for (int i = 0; i < N * V; i++)
        z[i] = (float)(40 * feed_uniform(&seed) - 20);
    emitted first = {0};
    for (int64_t rows = 1; rows <= N; rows += 4) {
        emitted out = {0};
        feed_logits(ids, N, V, z, rows, &out);
        assert_int_equal(out.n, N - 1);
        for (int i = 0; i < N - 1; i++) {
            long double sum = 0;
            for (int v = 0; v < V; v++)
                sum += expl((long double)z[i * V + v]);
            long double expected = logl(sum) - (long double)z[i * V + ids[i + 1]];
            assert_true(fabsl(out.v[i].value - expected) < 1e-12L * (1 + expected));
            if (rows > 1)
                assert_true(out.v[i].value == first.v[i].value);
        }
        if (rows == 1)
            first = out;
        else
            emitted_free(&out);
    }
    emitted_free(&first);
    free(z);
}

static void test_nll_refuses_what_is_no_number(void **state)
{
    (void)state;
    const metric *m = metric_find("nll");
    int32_t ids[3] = {0, 1, 9};
    float z[6] = {0, 1, NAN, 2, 0, 0};
    metric_ctx c = {.m = m, .p = NULL, .ids = ids, .n = 3, .key_ids = ids, .n_key = 3, .placeholder = -1, .n_layer = 1};
    emitted out = {0};
    result_sink sink = {emitted_add, NULL, &out};
    err e = {0};
    assert_int_equal(m->logits(&c, 0, z, 1, 2, &sink, &e), 0);
    assert_int_equal(out.n, 1);
    assert_int_equal(m->logits(&c, 1, z + 4, 1, 2, &sink, &e), ERR_USAGE);
    assert_string_equal(e.msg, "token id 9 is outside the vocabulary of 2");
    ids[2] = 1;
    assert_int_equal(m->logits(&c, 1, z + 2, 1, 2, &sink, &e), ERR_FAILED);
    assert_int_equal(out.n, 1);
    emitted_free(&out);
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    for (int32_t i = 0; i < T; i++)
        distinct[i] = 100 + i;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_uniform_causal),
        cmocka_unit_test(test_identity),
        cmocka_unit_test(test_pure_sink),
        cmocka_unit_test(test_pure_sink_in_a_window),
        cmocka_unit_test(test_shifted),
        cmocka_unit_test(test_missing_mass),
        cmocka_unit_test(test_ends_of_ranges),
        cmocka_unit_test(test_copying),
        cmocka_unit_test(test_period_is_exact),
        cmocka_unit_test(test_nll_of_uniform_and_certain_predictions),
        cmocka_unit_test(test_nll_against_long_double),
        cmocka_unit_test(test_nll_refuses_what_is_no_number),
    };
    return cmocka_run_group_tests_name("metric identities", tests, NULL, NULL);
}
