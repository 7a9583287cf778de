/* Every metric of heads in the registry: the same for any cut of the attention; the oldest ones equal to a
 * straightforward second implementation on the dense matrix (the others' are in the tests of their own). */
#include "tests/metric_feed.h"
#include "base/mem.h"

/* ---- second implementations: one double loop over the dense matrix each ---- */

typedef struct expected {
    int64_t n;
    int64_t position[256];
    double value[256];
} expected;

static void expect(expected *x, int64_t position, double value)
{
    assert_true(x->n < 256);
    x->position[x->n] = position;
    x->value[x->n++] = value;
}

static bool sees(const dense *d, int64_t i, int64_t k)
{
    return k >= d->lo[i] && k < d->hi[i];
}

static double weight_of(const dense *d, int64_t i, int64_t k)
{
    return (double)d->a[i * d->n + k];
}

/* The mean over queries of whatever f gives; f answers false for a query that does not count. */
static void expect_mean(expected *x, const dense *d, bool (*f)(const dense *, int64_t, double *))
{
    double sum = 0;
    int64_t n = 0;
    for (int64_t i = 0; i < d->n; i++) {
        double v;
        if (f(d, i, &v)) {
            sum += v;
            n++;
        }
    }
    if (n > 0)
        expect(x, NO_INDEX, sum / (double)n);
}

static bool row_entropy(const dense *d, int64_t i, double *v)
{
    *v = 0;
    for (int64_t k = 0; k < d->n; k++)
        if (weight_of(d, i, k) > 0)
            *v -= weight_of(d, i, k) * log(weight_of(d, i, k));
    return true;
}

static bool row_distance(const dense *d, int64_t i, double *v)
{
    *v = 0;
    for (int64_t k = 0; k < d->n; k++)
        *v += weight_of(d, i, k) * fabs((double)(i - k));
    return true;
}

static bool row_max(const dense *d, int64_t i, double *v)
{
    *v = 0;
    for (int64_t k = 0; k < d->n; k++)
        *v = fmax(*v, weight_of(d, i, k));
    return true;
}

static bool row_self(const dense *d, int64_t i, double *v)
{
    *v = weight_of(d, i, i);
    return true;
}

static bool row_prev(const dense *d, int64_t i, double *v)
{
    if (i == 0 || !sees(d, i, i - 1))
        return false;
    *v = weight_of(d, i, i - 1);
    return true;
}

static void expect_alpha(expected *x, const dense *d, int64_t k)
{
    double sum = 0;
    int64_t n = 0;
    for (int64_t i = 0; i < d->n; i++) {
        sum += weight_of(d, i, k);
        n += sees(d, i, k);
    }
    expect(x, k, sum / (double)n);
}

static int64_t period_of(const int32_t *ids, int64_t n)
{
    for (int64_t start = 0; start <= 1; start++)
        for (int64_t p = 1; p <= (n - start) / 2; p++) {
            bool same = true;
            for (int64_t i = start + p; i < n && same; i++)
                same = ids[i] == ids[i - p];
            if (same && p == 1)
                break;
            if (same)
                return p;
        }
    return 0;
}

/* Weights on (earlier occurrence + shift); choice: "any", "last" or "period". */
static void expect_repeat(expected *x, const dense *d, const int32_t *ids, const char *choice, int64_t shift)
{
    double sum = 0;
    int64_t n = 0, period = period_of(ids, d->n);
    if (!strcmp(choice, "auto"))
        choice = period ? "period" : "any";
    for (int64_t i = 0; i < d->n; i++) {
        double w = 0;
        bool counts = false;
        for (int64_t j = i - 1; j >= 0; j--) {
            bool target = !strcmp(choice, "period") ? period && j == i - period : ids[j] == ids[i];
            if (target && sees(d, i, j + shift)) {
                w += weight_of(d, i, j + shift);
                counts = true;
            }
            if (target && !strcmp(choice, "last"))
                break;
        }
        /* One period back may be just before the prompt while the key after it is the first one. */
        if (!strcmp(choice, "period") && period && i == period - shift && i - period < 0 && sees(d, i, 0)) {
            w = weight_of(d, i, 0);
            counts = true;
        }
        sum += counts ? w : 0;
        n += counts;
    }
    if (n > 0)
        expect(x, NO_INDEX, sum / (double)n);
}

/* choice: value of the metric's own choice parameter, NULL for metrics without one.  False: none is here. */
static bool second_implementation(expected *x, const metric *m, const char *choice, const int32_t *ids,
                                  const dense *d)
{
    double v;
    if (!strcmp(m->name, "sink")) {
        for (int64_t k = 0; k < d->n; k++)
            if (k == 0 || k == d->n / 2 || k == d->n - 1)
                expect_alpha(x, d, k);
    } else if (!strcmp(m->name, "entropy") && !strcmp(choice, "last")) {
        row_entropy(d, d->n - 1, &v);
        expect(x, d->n - 1, v);
    } else if (!strcmp(m->name, "entropy") && !strcmp(choice, "each")) {
        for (int64_t i = 0; i < d->n; i++) {
            row_entropy(d, i, &v);
            expect(x, i, v);
        }
    } else if (!strcmp(m->name, "entropy")) {
        expect_mean(x, d, row_entropy);
    } else if (!strcmp(m->name, "distance")) {
        expect_mean(x, d, row_distance);
    } else if (!strcmp(m->name, "max")) {
        expect_mean(x, d, row_max);
    } else if (!strcmp(m->name, "self")) {
        expect_mean(x, d, row_self);
    } else if (!strcmp(m->name, "prev_token")) {
        expect_mean(x, d, row_prev);
    } else if (!strcmp(m->name, "induction")) {
        expect_repeat(x, d, ids, choice, 1);
    } else if (!strcmp(m->name, "duplicate_token")) {
        expect_repeat(x, d, ids, choice, 0);
    } else {
        return false;
    }
    return true;
}

/* ---- matrices and prompts ---- */

typedef enum pattern {
    UNIFORM, IDENTITY, PURE_SINK, SHIFTED, RANDOM, RANDOM_WINDOW, LEARNED_SINK, N_PATTERN
} pattern;

static dense make_pattern(pattern kind, int64_t n, uint64_t *seed)
{
    dense d = dense_new(n, kind == RANDOM_WINDOW ? 5 : 0);
    for (int64_t i = 0; i < n; i++) {
        float *row = d.a + i * n;
        double z[64], sum = 0;
        assert_true(n <= 64);
        switch (kind) {
        case UNIFORM:
            for (int64_t k = 0; k <= i; k++)
                row[k] = (float)(1.0 / (double)(i + 1));
            break;
        case IDENTITY:
            row[i] = 1;
            break;
        case PURE_SINK:
            row[0] = 1;
            break;
        case SHIFTED:
            row[i > 0 ? i - 1 : 0] = 1;
            break;
        default:
            for (int64_t k = d.lo[i]; k <= i; k++)
                sum += z[k] = exp(6 * feed_uniform(seed));
            if (kind == LEARNED_SINK)
                sum += exp(6 * feed_uniform(seed));
            for (int64_t k = d.lo[i]; k <= i; k++)
                row[k] = (float)(z[k] / sum);
        }
    }
    return d;
}

typedef enum prompt {
    FEW_WORDS, DISTINCT, ONE_WORD, REPEATED, BOS_REPEATED, PARTLY_REPEATED, N_PROMPT
} prompt;

static void make_prompt(int32_t *ids, prompt kind, int64_t n, uint64_t *seed)
{
    int64_t bos = kind == BOS_REPEATED || kind == PARTLY_REPEATED;
    int64_t half = kind == PARTLY_REPEATED ? (n - 1) / 3 : (n - bos) / 2;
    for (int64_t i = 0; i < n; i++) {
        switch (kind) {
        case FEW_WORDS:
            ids[i] = (int32_t)(feed_random(seed) % 5);
            break;
        case ONE_WORD:
            ids[i] = 7;
            break;
        case DISTINCT:
            ids[i] = (int32_t)(100 + i);
            break;
        default: /* words repeat within the segment too */
            if (i < bos + half || half == 0)
                ids[i] = i < bos ? 0 : (int32_t)(1 + feed_random(seed) % 20);
            else
                ids[i] = ids[i - half];
        }
    }
}

/* ---- conformance ---- */

static const cut cuts[] = {
    {"whole panel, keys innermost", 1, 1 << 20, 1 << 20, false, 0},
    {"whole panel, queries innermost", 1, 1 << 20, 1 << 20, true, 0},
    {"panels of 4 queries, queries innermost, padded", 3, 4, 1 << 20, true, 3},
    {"single cells", 2, 1, 1, false, 0},
    {"odd tiles", 1, 3, 5, false, 2},
    {"odd tiles, queries innermost", 5, 7, 3, true, 1},
    {"chunk a query", 16, 1, 2, false, 0},
    {"2 chunks", 2, 8, 16, false, 0},
    {"4 chunks", 4, 16, 7, true, 0},
    {"7 chunks", 7, 2, 64, false, 0},
    {"11 chunks", 11, 5, 9, true, 0},
    {"16 chunks", 16, 64, 64, true, 0},
};
enum { N_CUT = sizeof(cuts) / sizeof(cuts[0]) };

static void assert_near(double a, double b, double tolerance, const char *what, const char *where)
{
    if (!(fabs(a - b) <= tolerance * (1 + fabs(b))))
        fail_msg("%s (%s): %.17g, expected %.17g", what, where, a, b);
}

/* One metric with one choice of its parameter on one matrix and prompt, under all cuts. */
static void conform(const metric *m, const char *set, const char *choice, const int32_t *ids, const dense *d)
{
    /* Row statistics arrive as float32; weights themselves are exact, and so are their sums here. */
    double tolerance = m->need & (ATTN_NEED_PROBS | ATTN_NEED_COLUMNS) ? 1e-12 : 1e-6;
    expected x = {0};
    emitted first = {0};
    bool known = second_implementation(&x, m, choice, ids, d);
    for (int c = 0; c < N_CUT; c++) {
        emitted out = {0};
        feed_metric(m, set, ids, d, &cuts[c], &out);
        int64_t n = known ? x.n : c > 0 ? first.n : out.n;
        if (out.n != n)
            fail_msg("%s %s (%s, n %d): %d values, expected %d", m->name, set ? set : "", cuts[c].name,
                     (int)d->n, (int)out.n, (int)n);
        for (int64_t i = 0; i < out.n; i++) {
            assert_string_equal(out.v[i].metric, m->name);
            assert_true(i == 0 || out.v[i].position > out.v[i - 1].position);
            if (known) {
                assert_int_equal(out.v[i].position, x.position[i]);
                assert_near(out.v[i].value, x.value[i], tolerance, m->name, cuts[c].name);
            }
            if (c > 0) {
                assert_int_equal(out.v[i].position, first.v[i].position);
                assert_near(out.v[i].value, first.v[i].value, 1e-12, m->name, cuts[c].name);
            }
        }
        if (c == 0)
            first = out;
        else
            emitted_free(&out);
    }
    emitted_free(&first);
}

static void conform_choices(const metric *m, const int32_t *ids, const dense *d)
{
    const param *row = m->params;
    char set[128];
    if (!strcmp(m->name, "sink")) {
        /* Out of order, one twice, one from the end. */
        snprintf(set, sizeof(set), "sink-keys=-1,%d,0,0", (int)(d->n / 2));
        conform(m, set, NULL, ids, d);
        return;
    }
    bool one = row && row->name && row->kind == PARAM_ENUM && !row[1].name;
    for (; row && row->name; row++)
        for (int i = 0; row->kind == PARAM_ENUM && row->choices[i]; i++) {
            snprintf(set, sizeof(set), "%s=%s", row->name, row->choices[i]);
            conform(m, set, one ? row->choices[i] : NULL, ids, d);
        }
    conform(m, NULL, one ? m->params->def : NULL, ids, d);
}

static void test_any_cut_gives_the_dense_value(void **state)
{
    (void)state;
    static const int64_t sizes[] = {1, 2, 3, 9, 33, 64};
    uint64_t seed = 20;
    int32_t ids[64];
    for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++)
        for (int pat = 0; pat < N_PATTERN; pat++) {
            dense d = make_pattern((pattern)pat, sizes[s], &seed);
            for (int pr = 0; pr < N_PROMPT; pr++) {
                make_prompt(ids, (prompt)pr, sizes[s], &seed);
                for (const metric *const *m = metrics; *m; m++)
                    if ((*m)->scope == METRIC_HEAD && (*m)->finish && ((*m)->kinds & KIND_SELF))
                        conform_choices(*m, ids, &d);
            }
            dense_free(&d);
        }
}

/* A window below 2 hides the position before; nothing is emitted rather than 0 / 0. */
static void test_no_value_rather_than_nan(void **state)
{
    (void)state;
    dense d = dense_new(6, 1);
    int32_t ids[6] = {4, 4, 5, 5, 6, 6};
    for (int64_t i = 0; i < 6; i++)
        d.a[i * 6 + i] = 1;
    static const char *const silent[] = {"prev_token", "duplicate_token", NULL};
    for (int i = 0; silent[i]; i++) {
        emitted out = {0};
        feed_metric(metric_find(silent[i]), NULL, ids, &d, &cuts[1], &out);
        assert_int_equal(out.n, 0);
        emitted_free(&out);
    }
    dense_free(&d);
}

static void test_value_that_is_not_finite_is_refused(void **state)
{
    (void)state;
    emitted out = {0};
    result_sink sink = {emitted_add, NULL, &out};
    metric_ctx c = {.m = metric_find("max"), .p = NULL, .ids = NULL, .n = 4, .key_ids = NULL, .n_key = 4, .placeholder = -1,
                    .n_layer = 1};
    err e = {0};
    assert_int_equal(metric_emit(&c, &sink, 3, 7, NO_INDEX, NAN, &e), ERR_FAILED);
    assert_string_equal(e.msg, "max of L3H7 is not finite");
    assert_int_equal(metric_emit(&c, &sink, 3, 7, NO_INDEX, (double)INFINITY, &e), ERR_FAILED);
    assert_int_equal(metric_emit(&c, &sink, NO_INDEX, NO_INDEX, 2, NAN, &e), ERR_FAILED);
    assert_string_equal(e.msg, "max is not finite at position 2");
    assert_int_equal(metric_emit(&c, &sink, 3, NO_INDEX, NO_INDEX, NAN, &e), ERR_FAILED);
    assert_string_equal(e.msg, "max of layer 3 is not finite");
    assert_int_equal(out.n, 0);
    assert_int_equal(metric_emit(&c, &sink, 3, 7, NO_INDEX, 0.5, &e), 0);
    assert_int_equal(out.n, 1);
    emitted_free(&out);
}

/* ---- parameters ---- */

static void test_sink_keys_that_do_not_read(void **state)
{
    (void)state;
    static const struct { const char *list, *message; } bad[] = {
        {"11", "sink-keys: key 11 is outside the prompt (11 tokens)"},
        {"0,-12", "sink-keys: key -12 is outside the prompt (11 tokens)"},
        {"one", "sink-keys: 'one' is not a key position"},
        {"1.5", "sink-keys: '1.5' is not a key position"},
        {"99999999999999999999999999", "sink-keys: '99999999999999999999999999' is not a key position"},
    };
    int32_t ids[11] = {0};
    const metric *m = metric_find("sink");
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char set[64];
        snprintf(set, sizeof(set), "sink-keys=%s", bad[i].list);
        params *p = feed_params(m, set);
        metric_ctx c = {.m = m, .p = p, .ids = ids, .n = 11, .key_ids = ids, .n_key = 11, .placeholder = -1, .n_layer = 1};
        err e = {0};
        assert_int_equal(m->prepare(&c, &e), ERR_USAGE);
        assert_string_equal(e.msg, bad[i].message);
        assert_true(e.hint[0] != '\0');
        assert_null(c.shared);
        params_free(p);
    }
}

static void test_no_memory_leaves_nothing(void **state)
{
    (void)state;
    int32_t ids[8] = {1, 2, 3, 4, 1, 2, 3, 4};
    for (const metric *const *p = metrics; *p; p++) {
        const metric *m = *p;
        if (!m->prepare || m->scope != METRIC_HEAD || !m->finish)
            continue;
        params *own = feed_params(m, NULL);
        int failures = 0;
        for (long nth = 1; nth < 100; nth++) {
            metric_ctx c = {.m = m, .p = own, .ids = ids, .n = 8, .key_ids = ids, .n_key = 8, .placeholder = -1, .n_layer = 1};
            err e = {0};
            mem_fail_at(nth);
            int r = m->prepare(&c, &e);
            mem_fail_at(0);
            if (r == 0) {
                if (m->release)
                    m->release(&c);
                break;
            }
            assert_int_equal(r, ERR_RESOURCE);
            assert_null(c.shared);
            failures++;
        }
        assert_in_range(failures, 0, 98);
        params_free(own);
    }
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_cut_gives_the_dense_value),
        cmocka_unit_test(test_no_value_rather_than_nan),
        cmocka_unit_test(test_value_that_is_not_finite_is_refused),
        cmocka_unit_test(test_sink_keys_that_do_not_read),
        cmocka_unit_test(test_no_memory_leaves_nothing),
    };
    return cmocka_run_group_tests_name("metrics", tests, NULL, NULL);
}
