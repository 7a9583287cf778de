/* Metrics that are fed by rows and tiles: second implementations under every cut and mask, and what they must give where
 * the answer is known on paper. */
#include "tests/tile_expect.h"

/* ---- any mask, any cut ---- */

static const cut cuts[] = {
    {"whole, keys innermost", 1, 1 << 20, 1 << 20, false, 0},
    {"16 queries as kernels lay them out", 4, 16, 16, true, 0},
    {"40 queries, queries innermost, padded", 2, 40, 8, true, 3},
    {"single queries", 2, 1, 1, false, 0},
    {"odd blocks", 1, 3, 5, false, 2},
    {"odd blocks, queries innermost", 5, 7, 3, true, 1},
    {"chunk a query", 16, 1, 2, false, 0},
    {"7 chunks", 7, 17, 4, true, 0},
};
enum { N_CUT = sizeof(cuts) / sizeof(cuts[0]) };

typedef enum mask { CAUSAL, WINDOW, TWO_SIDED, TWO_SIDED_WINDOW, WIDE, TALL, N_MASK } mask;

static dense make_mask(mask kind, int64_t n)
{
    switch (kind) {
    case CAUSAL:
        return dense_new(n, 0);
    case WINDOW:
        return dense_new(n, 5);
    case TWO_SIDED:
        return dense_new_two_sided(n, 0);
    case TWO_SIDED_WINDOW:
        return dense_new_two_sided(n, 4);
    case WIDE:
        return dense_new_rectangle(n, 2 * n + 3);
    default:
        return dense_new_rectangle(n, n / 2 + 1);
    }
}

/* Softmax of random scores, sharp for large heat; sink: one more score that is no key.  Two equal scores in each row. */
static void fill_random(dense *d, double heat, bool sink, uint64_t *seed)
{
    if (sink)
        assert_non_null(d->sink = calloc((size_t)d->n, sizeof(float)));
    for (int64_t i = 0; i < d->n; i++) {
        double z[512], sum = 0;
        assert_true(d->n_key <= 512);
        for (int64_t k = d->lo[i]; k < d->hi[i]; k++)
            sum += z[k] = exp(heat * feed_uniform(seed) + (k == 2 ? heat / 2 : 0));
        if (d->hi[i] - d->lo[i] > 1) {
            sum += z[d->lo[i]] - z[d->hi[i] - 1];
            z[d->hi[i] - 1] = z[d->lo[i]];
        }
        double extra = sink ? exp(heat * feed_uniform(seed)) : 0;
        sum += extra;
        for (int64_t k = d->lo[i]; k < d->hi[i]; k++)
            d->a[i * d->n_key + k] = (float)(z[k] / sum);
        if (sink)
            d->sink[i] = (float)(extra / sum);
    }
}

static bool makes_sense(const metric *m, mask kind)
{
    return kind < WIDE || (m->kinds & KIND_CROSS);
}

static void conform(const tile_case *t, const dense *d, mask kind)
{
    const metric *m = metric_find(t->metric);
    assert_non_null(m);
    if (!makes_sense(m, kind))
        return;
    static expected x;
    emitted first = {0};
    expect_case(&x, t->what, d);
    for (int c = 0; c < N_CUT; c++) {
        emitted out = {0};
        char where[160];
        snprintf(where, sizeof(where), "%s, mask %d, n %d, %s", t->set ? t->set : "", (int)kind, (int)d->n, cuts[c].name);
        feed_metric(m, t->set, NULL, d, &cuts[c], &out);
        assert_expected(t->metric, where, out.v, out.n, &x, t->near_only ? 2e-6 : 1e-12);
        for (int64_t i = 0; c > 0 && i < out.n; i++)
            assert_true(fabs(out.v[i].value - first.v[i].value) <= 1e-12 * (1 + fabs(first.v[i].value)));
        if (c == 0)
            first = out;
        else
            emitted_free(&out);
    }
    emitted_free(&first);
}

static void test_second_implementations(void **state)
{
    (void)state;
    static const int64_t sizes[] = {1, 2, 3, 9, 33, 70};
    uint64_t seed = 3;
    for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++)
        for (int kind = 0; kind < N_MASK; kind++)
            for (int heat = 0; heat < 3; heat++) {
                dense d = make_mask((mask)kind, sizes[s]);
                fill_random(&d, (double)(2 + 6 * heat), heat == 1, &seed);
                for (int i = 0; i < N_TILE_CASE; i++)
                    conform(&tile_cases[i], &d, (mask)kind);
                dense_free(&d);
            }
}

/* A weight that is no number must never become a value. */
static void test_no_number_is_an_error(void **state)
{
    (void)state;
    uint64_t seed = 9;
    dense d = make_mask(TWO_SIDED, 20);
    fill_random(&d, 3, false, &seed);
    for (int64_t k = 0; k < 20; k++) /* what softmax gives when a score is NaN; in the last block as well */
        d.a[2 * 20 + k] = d.a[19 * 20 + k] = NAN;
    for (int i = 0; i < N_TILE_CASE; i++) {
        const metric *m = metric_find(tile_cases[i].metric);
        params *p = feed_params(m, tile_cases[i].set);
        metric_ctx c = {.m = m, .p = p, .n = 20, .n_key = 20, .placeholder = -1, .n_layer = 1, .kind = ATTN_ENCODER};
        emitted out = {0};
        err e = {0};
        if (m->prepare)
            assert_int_equal(m->prepare(&c, &e), 0);
        int rc = feed_attention_code(&c, &d, &cuts[1], &out);
        if (rc != ERR_FAILED && (tile_cases[i].what != CASE_LEARNED || out.n > 0))
            fail_msg("%s %s: %d values", m->name, tile_cases[i].set ? tile_cases[i].set : "", (int)out.n);
        emitted_free(&out);
        if (m->release)
            m->release(&c);
        params_free(p);
    }
    dense_free(&d);
}

/* ---- known on paper ---- */

enum { T = 64 };

static void near(double value, double expected_value, const char *what)
{
    if (!(fabs(value - expected_value) <= 1e-6 * (1 + fabs(expected_value))))
        fail_msg("%s: %.12g, expected %.12g", what, value, expected_value);
}

/* Value of a metric at a position; fails when there is none. */
static double at(const char *name, const char *set, const dense *d, int64_t position)
{
    emitted out = {0};
    double v = NAN;
    feed_metric(metric_find(name), set, NULL, d, &cuts[1], &out);
    for (int64_t i = 0; i < out.n; i++)
        if (out.v[i].position == position)
            v = out.v[i].value;
    if (isnan(v))
        fail_msg("no %s at %d", name, (int)position);
    emitted_free(&out);
    return v;
}

static double one(const char *name, const char *set, const dense *d)
{
    return at(name, set, d, NO_INDEX);
}

static double harmonic(int64_t n)
{
    double h = 0;
    for (int64_t i = n; i >= 1; i--)
        h += 1.0 / (double)i;
    return h;
}

static void test_uniform_causal(void **state)
{
    (void)state;
    dense d = dense_new(T, 0);
    double median = 0, top = 0;
    for (int64_t i = 0; i < T; i++) {
        for (int64_t k = 0; k <= i; k++)
            d.a[i * T + k] = (float)(1.0 / (double)(i + 1));
        median += (double)((i + 2) / 2 - 1) / T;
        top += fmin(4, (double)(i + 1)) / (double)(i + 1) / T;
    }
    for (int64_t k = 0; k < T; k += 9)
        near(at("received", NULL, &d, k), (harmonic(T) - harmonic(k)) / (double)(T - k), "alpha_k");
    assert_true(fabs(at("received", NULL, &d, 0) - 0.0741) < 5e-5);
    assert_true(fabs(at("received", NULL, &d, 9) - 0.0348) < 5e-5);
    near(one("sink_position", NULL, &d), 0, "position");
    near(one("sink_peak", NULL, &d), harmonic(T) / T, "H_T / T");
    near(one("hidden_sink", NULL, &d), 0, "no sink");
    near(one("row_mass", NULL, &d), 1, "row mass");
    near(one("entropy_normalised", NULL, &d), 1, "entropy ratio");
    near(one("entropy_normalised", "entropy-single=zero", &d), (T - 1.0) / T, "factor (T - 1) / T");
    near(one("effective_keys", NULL, &d), (T + 1) / 2.0, "perplexity");
    near(one("effective_keys", "effective-order=2", &d), (T + 1) / 2.0, "participation");
    near(one("spikiness", NULL, &d), 0, "spikiness");
    near(one("spikiness", "spikiness-form=peak", &d), 1, "largest over mean");
    near(at("top_k_mass", NULL, &d, 4), top, "4 largest");
    near(one("local_mass", "local-window=4", &d), top, "4 nearest");
    near(one("first_k_mass", NULL, &d), top, "4 first");
    near(one("first_k_mass", "first-form=boost", &d), 1, "boost");
    near(one("median_distance", NULL, &d), median, "median");
    for (int64_t k = 0; k < T; k += 7)
        near(at("distance_profile", NULL, &d, k), (harmonic(T) - harmonic(k)) / (double)(T - k), "diagonal");
    near(one("dormant", NULL, &d), 0, "active");
    dense_free(&d);
}

static void test_uniform_two_sided(void **state)
{
    (void)state;
    dense d = dense_new_two_sided(T, 0);
    for (int64_t i = 0; i < T * T; i++)
        d.a[i] = 1.f / T;
    near(at("received", NULL, &d, T - 1), 1.0 / T, "alpha of the last key");
    near(one("column_entropy", NULL, &d), 1, "columns");
    near(one("next_token", NULL, &d), 1.0 / T, "next");
    near(at("distance_profile", "distance-side=after", &d, T - 1), 1.0 / T, "corner");
    dense_free(&d);
}

static void test_identity_sink_and_shift(void **state)
{
    (void)state;
    dense own = dense_new(T, 0), sink = dense_new(T, 0), shift = dense_new(T, 0);
    for (int64_t i = 0; i < T; i++) {
        own.a[i * T + i] = 1;
        sink.a[i * T] = 1;
        shift.a[i * T + (i > 0 ? i - 1 : 0)] = 1;
    }
    near(at("received", NULL, &own, 0), 1.0 / T, "row 0 is included");
    near(one("sink_position", NULL, &own), T - 1, "the last column is its diagonal cell");
    near(one("sink_peak", NULL, &own), 1, "which has weight 1");
    near(one("hidden_sink", NULL, &own), 3, "columns of 3, 2 and 1 cells are above 0.3");
    near(one("hidden_sink", "hidden-queries=4", &own), 0, "not of 4");
    near(one("effective_keys", NULL, &own), 1, "one key");
    near(one("spikiness", NULL, &own), 1, "one hot");
    near(one("spikiness", "spikiness-form=peak", &own), (T * (T + 1) / 2.0 - 1) / (T - 1), "mean of the keys, from 2");
    near(one("local_mass", "local-window=1", &own), 1, "self");
    near(one("median_distance", NULL, &own), 0, "median");
    near(at("distance_profile", NULL, &own, 0), 1, "diagonal");
    near(at("distance_profile", NULL, &own, 1), 0, "below it");

    near(at("received", NULL, &sink, 0), 1, "alpha_0");
    near(at("received", NULL, &sink, 1), 0, "every other alpha");
    near(one("hidden_sink", "hidden-drop=first", &sink), 0, "the only sink is the first");
    near(one("column_entropy", NULL, &sink), 1, "all queries alike");
    near(one("entropy_normalised", NULL, &sink), 0, "entropy");
    near(one("dormant", NULL, &sink), 1, "dormant");
    near(one("dormant", "dormant-rule=mass", &sink), 1, "by mass");
    near(one("dormant", "dormant-rule=last", &sink), 1, "by the last query");
    near(one("first_k_mass", "first-keys=1", &sink), 1, "first key");
    near(one("first_k_mass", "first-keys=1\nfirst-form=boost", &sink), (T + 1) / 2.0, "boost");
    near(one("median_distance", NULL, &sink), (T - 1) / 2.0, "back to the start");

    near(one("local_mass", "local-window=2", &shift), 1, "previous");
    near(at("distance_profile", NULL, &shift, 1), 1, "first diagonal");
    near(one("median_distance", NULL, &shift), (T - 1.0) / T, "query 0 is included");
    near(one("dormant", NULL, &shift), 0, "no key that all share");

    /* The sink at key 5 for all that see it: hidden. */
    dense hidden = dense_new(T, 0);
    for (int64_t i = 0; i < T; i++)
        hidden.a[i * T + (i < 5 ? 0 : 5)] = 1;
    near(one("hidden_sink", NULL, &hidden), 1, "one");
    near(at("hidden_sink", "hidden-emit=each", &hidden, 5), 1, "at 5");
    near(one("hidden_sink", "hidden-drop=first", &hidden), 0, "as coded, it is taken for the initial one");
    near(one("sink_position", NULL, &hidden), 5, "position");
    dense_free(&own);
    dense_free(&sink);
    dense_free(&shift);
    dense_free(&hidden);
}

/* Vectors worked out apart: the matrix M, and rows of [1, -0.5, 0.25, 2]. */
static void test_vectors(void **state)
{
    (void)state;
    static const float m[16] = {1, 0, 0, 0, .6f, .4f, 0, 0, .5f, .3f, .2f, 0, .1f, .6f, .1f, .2f};
    static const double means[] = {.55, .433333, .15, .2}, focus[] = {.45, .333333, .55, .1};
    dense d = dense_new(4, 0);
    memcpy(d.a, m, sizeof(m));
    for (int k = 0; k < 4; k++) {
        near(at("received", NULL, &d, k), means[k], "causal column means");
        near(at("distance_profile", NULL, &d, k), focus[k], "local focus");
    }
    near(at("hidden_sink", "hidden-threshold=0.25\nhidden-emit=each", &d, 1), .433333, "ACT picks column 1");
    near(one("hidden_sink", "hidden-threshold=0.25", &d), 1, "only");
    near(one("hidden_sink", "hidden-threshold=0.25\nhidden-drop=first", &d), 1, "as coded");
    dense_free(&d);

    static const double z[] = {1, -0.5, 0.25, 2};
    static const struct { double extra, sink; } with[] = {{0, 0}, {1, .076936}, {2.0137527, .143720}};
    for (int s = 0; s < 3; s++) {
        dense row = dense_new_rectangle(1, 4);
        double sum = with[s].extra;
        assert_non_null(row.sink = calloc(1, sizeof(float)));
        for (int k = 0; k < 4; k++)
            sum += exp(z[k]);
        for (int k = 0; k < 4; k++)
            row.a[k] = (float)(exp(z[k]) / sum);
        row.sink[0] = (float)(with[s].extra / sum);
        near(one("learned_sink", NULL, &row), with[s].sink, "sink mass");
        near(one("row_mass", NULL, &row), 1 - with[s].sink, "row mass");
        near(one("effective_keys", NULL, &row), 2.786994, "perplexity, whatever the sink takes");
        near(1 / sqrt(one("effective_keys", "effective-order=2", &row)), .666804, "Frobenius");
        dense_free(&row);
    }
}

/* A window below 2, one token: nothing rather than 0 / 0. */
static void test_no_value_rather_than_nan(void **state)
{
    (void)state;
    dense d = dense_new(6, 1);
    for (int64_t i = 0; i < 6; i++)
        d.a[i * 6 + i] = 1;
    static const char *const silent[] = {"entropy_normalised", "spikiness", "next_token", "learned_sink", NULL};
    for (int i = 0; silent[i]; i++) {
        emitted out = {0};
        feed_metric(metric_find(silent[i]), NULL, NULL, &d, &cuts[1], &out);
        assert_int_equal(out.n, 0);
        emitted_free(&out);
    }
    dense_free(&d);
}

/* Means over queries are over those that see key 0: 8 of them under a window of 8. */
static void test_windows_hide_the_first_key(void **state)
{
    (void)state;
    dense d = dense_new(T, 8);
    for (int64_t i = 0; i < T; i++)
        d.a[i * T + d.lo[i]] = 1;
    near(at("received", NULL, &d, 0), 1, "8 of 8");
    near(at("received", NULL, &d, 1), 1.0 / 8, "1 of 8");
    near(at("received", "received-divisor=all", &d, 0), 8.0 / T, "8 of all");
    near(one("dormant", "dormant-rule=mass\ndormant-mass=0.95", &d), 1, "8 of 8");
    near(one("first_k_mass", "first-keys=1", &d), 8.0 / T, "0 where it is hidden");
    near(one("first_k_mass", "first-keys=1\nfirst-form=boost", &d), 4.5, "mean of 1 .. 8");
    near(one("median_distance", NULL, &d), (7 * T - 28.0) / T, "7 back, less at the start");
    emitted out = {0};
    feed_metric(metric_find("dormant"), "dormant-rule=last", NULL, &d, &cuts[1], &out);
    assert_int_equal(out.n, 0);
    emitted_free(&out);
    dense_free(&d);
}

/* ---- patches ---- */

static double patch_of(const dense *d, const stack *s, int64_t height, int64_t width, const char *set)
{
    const metric *m = metric_find("patch_distance");
    model whole = {.main = (stack *)(uintptr_t)s};
    params *p = feed_params(m, set);
    metric_ctx c = {.m = m, .p = p, .n = d->n, .n_key = d->n, .kind = ATTN_VISION, .model = &whole, .image_height = height,
                    .image_width = width, .n_layer = 1, .placeholder = -1};
    emitted out = {0};
    err e = {0};
    double v = NAN;
    assert_int_equal(m->prepare(&c, &e), 0);
    for (int k = 0; k < N_CUT; k++) {
        emitted_free(&out);
        feed_attention(&c, d, &cuts[k], &out);
        assert_true(out.n <= 1);
        if (out.n)
            assert_true(k == 0 || fabs(out.v[0].value - v) <= 1e-12 * (1 + v));
        v = out.n ? out.v[0].value : NAN;
    }
    emitted_free(&out);
    m->release(&c);
    params_free(p);
    return v;
}

static void test_patch_distance(void **state)
{
    (void)state;
    enum { ROWS = 3, COLUMNS = 5, FRONT = 3, N = FRONT + ROWS * COLUMNS };
    stack s = {.kind = ATTN_VISION, .n_layer = 1,
               .embed = {.kind = EMBED_PATCHES, .patch = 16, .n_prefix = 1, .n_register = 2}};
    dense d = dense_new_two_sided(N, 0);
    uint64_t seed = 11;
    double as_is = 0, normalised = 0;
    fill_random(&d, 4, false, &seed);
    for (int i = FRONT; i < N; i++) {
        double sum = 0, mass = 0;
        for (int k = FRONT; k < N; k++) {
            double dx = (i - FRONT) % COLUMNS - (k - FRONT) % COLUMNS, dy = (i - FRONT) / COLUMNS - (k - FRONT) / COLUMNS;
            sum += weight_of(&d, i, k) * 16 * sqrt(dx * dx + dy * dy);
            mass += weight_of(&d, i, k);
        }
        as_is += sum / (ROWS * COLUMNS);
        normalised += sum / mass / (ROWS * COLUMNS);
    }
    near(patch_of(&d, &s, 48, 80, NULL), as_is, "as the rows are");
    near(patch_of(&d, &s, 48, 80, "patch-renormalise"), normalised, "renormalised");
    assert_true(isnan(patch_of(&d, &s, 80, 80, NULL))); /* another image */

    /* Every patch on the one to its right, the last of a row on the class token: 16 pixels for 4 of 5. */
    memset(d.a, 0, N * N * sizeof(float));
    for (int i = 0; i < N; i++)
        d.a[i * N + (i < FRONT || (i - FRONT) % COLUMNS == COLUMNS - 1 ? 0 : i + 1)] = 1;
    near(patch_of(&d, &s, 48, 80, NULL), 16 * 4 / 5.0, "neighbours");
    near(patch_of(&d, &s, 48, 80, "patch-renormalise"), 16, "rows on the class token are left out");
    dense_free(&d);
}

/* ---- parameters ---- */

static void test_lists_that_do_not_read(void **state)
{
    (void)state;
    static const char *const bad[] = {"0", "257", "one", "1.5", "", "1,,2",
                                      ("1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,"
                                       "27,28,29,30,31,32,33")};
    const metric *m = metric_find("top_k_mass");
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        params *p;
        err e = {0};
        assert_int_equal(params_new(&p, &e), 0);
        assert_int_equal(params_use(p, m->params, &e), 0);
        if (params_set(p, "top-k", bad[i], &e) == 0) {
            metric_ctx c = {.m = m, .p = p, .n = 4, .n_key = 4, .placeholder = -1, .n_layer = 1};
            assert_int_equal(m->prepare(&c, &e), ERR_USAGE);
            assert_non_null(strstr(e.msg, "is not a number of weights"));
            assert_null(c.shared);
        }
        assert_true(e.hint[0] != '\0');
        params_free(p);
    }
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_second_implementations),
        cmocka_unit_test(test_no_number_is_an_error),
        cmocka_unit_test(test_uniform_causal),
        cmocka_unit_test(test_uniform_two_sided),
        cmocka_unit_test(test_identity_sink_and_shift),
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_no_value_rather_than_nan),
        cmocka_unit_test(test_windows_hide_the_first_key),
        cmocka_unit_test(test_patch_distance),
        cmocka_unit_test(test_lists_that_do_not_read),
    };
    return cmocka_run_group_tests_name("tile metrics", tests, NULL, NULL);
}
