/* What comes between products and weights: scores and softmax of every table that this machine can run, against plain C to the
 * last bit (statistics within their budget), and plain C against the definition in double.  Bounds that cut a vector, queries
 * that see nothing, masks of -inf, scores of 3.4e38, NaN, sinks, stretches of keys, one key. */
#include "tests/checkasm.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_KEYS = 2049, CELLS = MOST_KEYS * GEMM_MAX_NR };

static const int64_t key_counts[] = {0, 1, 2, 3, 7, 15, 16, 17, 31, 33, 63, 64, 65, 100, 127, 129, 500, MOST_KEYS, -1};

/* ---- scores ---- */

typedef enum scores {
    SCORES_INPUTS = INPUTS_COUNT, /* below: as inputs */
    SCORES_MASKED = INPUTS_COUNT, /* three of four -inf, and here and there a whole column */
    SCORES_FLAT,                  /* all of a column the same, small or 1e30 */
    SCORES_APART,                 /* +-3.4e38: differences overflow */
    SCORES_LOUD,                  /* one key 50 above the others */
    SCORES_EDGE,                  /* so far below one key that the exponential is just normal, or 0 */
    SCORES_COUNT
} scores;

static const char *scores_name(scores kind)
{
    static const char *const names[] = {"masked", "flat", "far apart", "loud", "edge"};
    return kind < SCORES_INPUTS ? inputs_name((inputs)kind) : names[kind - SCORES_INPUTS];
}

static void fill_scores(float *s, int64_t n_key, int nr, scores kind)
{
    if (kind < SCORES_INPUTS) {
        random_fill(s, n_key * nr, (inputs)kind);
        return;
    }
    for (int j = 0; j < nr; j++) {
        bool whole = random_below(4) == 0;
        float level = random_below(2) ? random_float(-3, 3) : random_below(2) ? 1e30f : -1e30f;
        int64_t loud = n_key ? random_below((int)n_key) : 0;
        for (int64_t k = 0; k < n_key; k++)
            s[k * nr + j] = kind == SCORES_MASKED ? (whole || random_below(4) ? -INFINITY : random_float(-5, 5))
                            : kind == SCORES_FLAT ? level
                            : kind == SCORES_APART ? (random_below(2) ? FLT_MAX : -FLT_MAX)
                            : kind == SCORES_LOUD ? random_float(-2, 2) + (k == loud ? 50.0f : 0)
                            : k == loud ? 0 : random_below(2) ? -87.33654f : random_below(2) ? -87.33655f : -104;
    }
}

/* ---- score_columns ---- */

/* Plain C, as many columns at a time as it has. */
static void plain_scores(float *s, const score_block *b, int nr)
{
    static float part[CELLS];
    int width = kernels_c.nr;
    for (int j = 0; j < b->n_query; j += width) {
        score_block c = *b;
        c.s = part;
        c.n_query = b->n_query - j < width ? b->n_query - j : width;
        c.rel_bias = b->rel_bias ? b->rel_bias + j : NULL;
        for (int64_t k = 0; k < b->n_key; k++)
            memcpy(part + k * width, s + k * nr + j, (size_t)c.n_query * sizeof *s);
        kernels_c.score_columns(&c);
        for (int64_t k = 0; k < b->n_key; k++)
            memcpy(s + k * nr + j, part + k * width, (size_t)c.n_query * sizeof *s);
    }
}

static void score_case(const kernels *k, int64_t n_key, int place, scores kind)
{
    static const float scales[] = {1, 0.125f, 0.0883883476f, 1e-30f, 1e10f}, caps[] = {0, 0, 1, 30, 50, 1e-20f, 1e20f};
    static float want[CELLS];
    int nr = k->nr, n_query = random_below(3) ? 1 + random_below(nr) : nr;
    bool key_bias = random_below(2), rel_bias = random_below(2);
    float *s = buffer_floats(n_key * nr, place), *by_key = buffer_floats(n_key, (place + 1) % PLACES);
    float *by_distance = buffer_floats(n_key + nr - 1, (place + 2) % PLACES);
    inputs bias = random_below(3) ? INPUTS_SMALL : (inputs)random_below(INPUTS_COUNT);
    score_block b = {.s = s, .scale = scales[random_below(5)], .n_key = n_key, .n_query = n_query,
                     .softcap = caps[random_below(7)], .key_bias = key_bias ? by_key : NULL,
                     .rel_bias = rel_bias ? by_distance + n_key - 1 : NULL};
    fill_scores(s, n_key, nr, kind);
    random_fill(by_key, n_key, bias);
    random_fill(by_distance, n_key + nr - 1, bias);
    if (n_key == 0)
        b.rel_bias = NULL;
    memcpy(want, s, (size_t)(n_key * nr) * sizeof *want);
    plain_scores(want, &b, nr);
    k->score_columns(&b);
    this_case("%lld keys, %d of %d queries, %s scores, scale %g, cap %g, biases %d %d, place %d", (long long)n_key, n_query, nr,
              scores_name(kind), (double)b.scale, (double)b.softcap, key_bias, rel_bias, place);
    for (int64_t i = 0; i < n_key * nr; i++)
        if (i % nr < n_query)
            expect(BUDGET_EXACT, i, s[i], (double)want[i], 0);
    buffers_done();
}

static void check_scores(const kernels *k, const void *data)
{
    (void)data;
    for (const int64_t *n = key_counts; *n >= 0; n++)
        for (int kind = 0; kind < SCORES_COUNT; kind++)
            for (int place = 0; place < (*n > 130 ? 1 : PLACES); place++)
                score_case(k, *n, (place + kind) % PLACES, (scores)kind);
}

/* Plain C against cap tanh(scale s / cap) + biases in double. */
static void check_scores_formula(const kernels *k, const void *data)
{
    enum { KEYS = 400 };
    float s[KEYS * GEMM_MAX_NR], before[KEYS * GEMM_MAX_NR], bias[KEYS], relative[KEYS + GEMM_MAX_NR];
    (void)data;
    for (int round = 0; round < 8; round++) {
        float cap = round & 1 ? 30 : 0, scale = round & 2 ? 0.125f : 3;
        score_block b = {.s = s, .scale = scale, .n_key = KEYS, .n_query = k->nr, .softcap = cap,
                         .key_bias = round & 4 ? bias : NULL, .rel_bias = round & 4 ? relative + KEYS - 1 : NULL};
        random_fill(s, KEYS * k->nr, INPUTS_WIDE);
        random_fill(bias, KEYS, INPUTS_SMALL);
        random_fill(relative, KEYS + k->nr - 1, INPUTS_SMALL);
        memcpy(before, s, sizeof s);
        k->score_columns(&b);
        this_case("against its formula, round %d", round);
        for (int i = 0; i < KEYS * k->nr; i++) {
            double x = (double)(before[i] * scale), want = cap > 0 ? (double)cap * tanh(x / (double)cap) : x;
            if (b.key_bias)
                want += (double)bias[i / k->nr] + (double)relative[KEYS - 1 + i % k->nr - i / k->nr];
            expect(BUDGET_FORMULA, i, s[i], want, fmax(cap > 0 ? (double)cap : fabs(x), fabs(want)) + 4);
        }
    }
}

/* ---- softmax_columns ---- */

typedef struct softmax_results { float s[CELLS], lse[GEMM_MAX_NR], entropy[GEMM_MAX_NR], maximum[GEMM_MAX_NR],
                                 distance[GEMM_MAX_NR], sink_weight[GEMM_MAX_NR]; } softmax_results;

static void plain_softmax(softmax_results *r, const softmax_block *b, const float *s, int nr)
{
    static float part[CELLS];
    int width = kernels_c.nr;
    for (int j = 0; j < nr; j += width) {
        softmax_block c = {.s = part, .scale = b->scale, .n_key = b->n_key, .key0 = b->key0, .n_total = b->n_total,
                           .lo = b->lo + j, .hi = b->hi + j, .qpos = b->qpos + j, .sink = b->sink,
                           .sink_weight = r->sink_weight + j, .lse = r->lse + j, .entropy = r->entropy + j,
                           .maximum = r->maximum + j, .distance = r->distance + j};
        for (int64_t k = 0; k < b->n_key; k++)
            memcpy(part + k * width, s + k * nr + j, (size_t)width * sizeof *s);
        kernels_c.softmax_columns(&c);
        for (int64_t k = 0; k < b->n_key; k++)
            memcpy(r->s + k * nr + j, part + k * width, (size_t)width * sizeof *s);
    }
}

/* The keys that each query sees, of n_key. */
static void choose_bounds(int64_t *lo, int64_t *hi, int64_t *qpos, int nr, int64_t n_key)
{
    int n = (int)n_key, shape = random_below(5), start = random_below(n + 1);
    for (int j = 0; j < nr; j++) {
        int at = start + j < n ? start + j : n - 1, window = 1 + random_below(20);
        lo[j] = 0;
        hi[j] = n;
        qpos[j] = random_below(8) ? at : random_below(100000);
        if (shape == 1 || shape == 2) /* causal */
            hi[j] = at + 1;
        if (shape == 2)
            lo[j] = at > window ? at - window : 0;
        if (shape == 3) { /* any */
            lo[j] = random_below(n + 1);
            hi[j] = lo[j] + random_below(n + 1 - (int)lo[j]);
        }
        if (shape == 4 || (random_below(9) == 0 && n)) /* one key, or none */
            hi[j] = lo[j] = random_below(n + 1);
        if (shape == 4 && lo[j] < n && random_below(4))
            hi[j]++;
    }
}

static double largest_distance(const softmax_block *b, int j)
{
    double far = 1;
    for (int64_t k = b->lo[j]; k < b->hi[j]; k++)
        far = fmax(far, fabs((double)(b->qpos[j] - k)));
    return far;
}

static void softmax_case(const kernels *k, int64_t n_key, int place, scores kind)
{
    static const float scales[] = {1, 0.5f, 0.0883883476f, 2, 1e-30f};
    static const float sinks[] = {0, 3, -3, 40, 59, 61, 300, -300, 1e30f, -1e30f, -INFINITY};
    static float before[CELLS];
    static softmax_results want;
    int nr = k->nr;
    float *s = buffer_floats(n_key * nr, place), *out[5];
    int64_t *lo = buffer_ints(nr, place), *hi = buffer_ints(nr, (place + 1) % PLACES);
    int64_t *qpos = buffer_ints(nr, (place + 2) % PLACES);
    for (int i = 0; i < 5; i++)
        out[i] = buffer_floats(nr, (place + i) % PLACES);
    float *sink = buffer_floats(1, place);
    *sink = sinks[random_below(11)];
    bool with_sink = random_below(2), entropy = random_below(4), maximum = random_below(4), distance = random_below(4);
    int64_t key0 = random_below(2) ? random_below(40) : 0;
    softmax_block b = {.s = s, .scale = scales[random_below(5)], .n_key = n_key, .key0 = key0,
                       .n_total = key0 + n_key + (random_below(2) ? random_below(40) : 0), .lo = lo, .hi = hi, .qpos = qpos,
                       .sink = with_sink ? sink : NULL, .sink_weight = out[0], .lse = out[1], .entropy = entropy ? out[2] : NULL,
                       .maximum = maximum ? out[3] : NULL, .distance = distance ? out[4] : NULL};
    choose_bounds(lo, hi, qpos, nr, n_key);
    fill_scores(s, n_key, nr, kind);
    memcpy(before, s, (size_t)(n_key * nr) * sizeof *before);
    plain_softmax(&want, &b, before, nr);
    this_case("%lld keys, %s scores, scale %g, sink %g, keys from %lld of %lld, place %d", (long long)n_key, scores_name(kind),
              (double)b.scale, with_sink ? (double)*sink : (double)NAN, (long long)key0, (long long)b.n_total, place);
    k->softmax_columns(&b);
    expect_floats(BUDGET_EXACT, s, want.s, n_key * nr);
    expect_floats(BUDGET_EXACT, out[1], want.lse, nr);
    for (int j = 0; j < nr; j++) {
        for (int64_t i = 0; i < n_key; i++)
            if (i < lo[j] || i >= hi[j])
                expect(BUDGET_EXACT, i, s[i * nr + j], 0, 0);
        if (with_sink)
            expect(BUDGET_EXACT, j, out[0][j], (double)want.sink_weight[j], 0);
        if (entropy)
            expect(BUDGET_ENTROPY, j, out[2][j], (double)want.entropy[j], fmax(1, log((double)n_key + 1)));
        if (maximum)
            expect(BUDGET_EXACT, j, out[3][j], (double)want.maximum[j], 0);
        if (distance)
            expect(BUDGET_DISTANCE, j, out[4][j], (double)want.distance[j], largest_distance(&b, j));
        expect_that((with_sink || untouched(out[0][j])) && (entropy || untouched(out[2][j])) &&
                    (maximum || untouched(out[3][j])) && (distance || untouched(out[4][j])), "wrote what was not wanted");
    }
    buffers_done();
}

static void check_softmax(const kernels *k, const void *data)
{
    (void)data;
    for (const int64_t *n = key_counts; *n >= 0; n++)
        for (int kind = 0; kind < SCORES_COUNT; kind++)
            for (int place = 0; place < (*n > 1000 ? 1 : *n > 130 ? 2 : 2 * PLACES); place++)
                softmax_case(k, *n, (place + kind) % PLACES, (scores)kind);
}

/* One column in double: p, lse, entropy, maximum, distance and the weight of the sink. */
static void softmax_formula(double *p, double out[5], const softmax_block *b, const float *s, int nr, int j)
{
    double m = b->sink ? (double)*b->sink : -INFINITY, sum = 0, keys = 0;
    for (int64_t k = b->lo[j]; k < b->hi[j]; k++)
        m = fmax(m, (double)s[k * nr + j] * (double)b->scale);
    for (int64_t k = b->lo[j]; k < b->hi[j]; k++)
        keys += exp((double)s[k * nr + j] * (double)b->scale - m);
    sum = keys + (b->sink ? exp((double)*b->sink - m) : 0);
    out[0] = m + log(keys);
    out[1] = out[2] = out[3] = 0;
    out[4] = b->sink ? exp((double)*b->sink - m) / sum : 0;
    for (int64_t k = b->lo[j]; k < b->hi[j]; k++) {
        p[k] = exp((double)s[k * nr + j] * (double)b->scale - m) / sum;
        out[1] -= p[k] > 0 ? p[k] * log(p[k]) : 0;
        out[2] = fmax(out[2], p[k]);
        out[3] += p[k] * fabs((double)(b->qpos[j] - k));
    }
}

/* Scores that exponentials can tell apart; scales that are powers of two, so that they round nothing. */
static void check_softmax_formula(const kernels *k, const void *data)
{
    static float s[CELLS], before[CELLS];
    static double p[MOST_KEYS];
    (void)data;
    for (const int64_t *n = key_counts; *n >= 0; n++)
        for (int round = 0; round < 12; round++) {
            float lse[GEMM_MAX_NR], entropy[GEMM_MAX_NR], maximum[GEMM_MAX_NR], distance[GEMM_MAX_NR], weight[GEMM_MAX_NR];
            int64_t lo[GEMM_MAX_NR], hi[GEMM_MAX_NR], qpos[GEMM_MAX_NR];
            float sink = random_float(-5, 5);
            softmax_block b = {.s = s, .scale = round & 1 ? 0.5f : 1, .n_key = *n, .n_total = *n, .lo = lo, .hi = hi,
                               .qpos = qpos, .sink = round & 2 ? &sink : NULL, .sink_weight = weight, .lse = lse,
                               .entropy = entropy, .maximum = maximum, .distance = distance};
            choose_bounds(lo, hi, qpos, k->nr, *n);
            fill_scores(s, *n, k->nr, round % 3 == 2 ? SCORES_LOUD : round % 3 ? (scores)INPUTS_WIDE : (scores)INPUTS_SMALL);
            memcpy(before, s, (size_t)(*n * k->nr) * sizeof *s);
            k->softmax_columns(&b);
            for (int j = 0; j < k->nr; j++) {
                double want[5], size = fmax(1, log((double)*n + 1));
                this_case("%lld keys, against the definition, round %d, column %d", (long long)*n, round, j);
                memset(p, 0, sizeof p);
                softmax_formula(p, want, &b, before, k->nr, j);
                for (int64_t i = 0; i < *n; i++)
                    expect(BUDGET_FORMULA_SUM, i, s[i * k->nr + j], p[i], 0.1);
                expect(BUDGET_FORMULA_SUM, 0, lse[j], want[0], fmax(1, fabs(want[0])));
                expect(BUDGET_FORMULA_SUM, 1, entropy[j], want[1], size);
                expect(BUDGET_FORMULA_SUM, 2, maximum[j], want[2], 0.1);
                expect(BUDGET_FORMULA_SUM, 3, distance[j], want[3], largest_distance(&b, j));
                if (b.sink)
                    expect(BUDGET_FORMULA_SUM, 4, weight[j], want[4], 0.1);
            }
        }
}

/* ---- weights of a panel by column ---- */

/* A row's columns, halves onto halves. */
static double plain_sum(const float *x, const float *factor, int nr)
{
    double w[GEMM_MAX_NR];
    for (int j = 0; j < nr; j++)
        w[j] = (double)(factor ? x[j] * factor[j] : x[j]);
    for (int half = nr / 2; half; half /= 2)
        for (int j = 0; j < half; j++)
            w[j] += w[j + half];
    return w[0];
}

static void check_column_sums(const kernels *k, const void *data)
{
    (void)data;
    for (const int64_t *n = key_counts; *n >= 0; n++)
        for (int kind = 0; kind < INPUTS_COUNT; kind++)
            for (int place = 0; place < PLACES; place++) {
                float *x = buffer_floats(*n * k->nr, place), *factor = buffer_floats(k->nr, (place + 1) % PLACES);
                double *sums = (double *)(void *)buffer_ints(*n, place);
                random_fill(x, *n * k->nr, (inputs)kind);
                random_fill(factor, k->nr, INPUTS_SMALL);
                for (int scaled = 0; scaled < 2; scaled++) {
                    this_case("%lld keys, %s inputs, place %d, %s", (long long)*n, inputs_name((inputs)kind), place,
                              scaled ? "scaled" : "as they are");
                    k->column_sums(sums, x, scaled ? factor : NULL, *n);
                    for (int64_t i = 0; i < *n; i++) {
                        const double want = plain_sum(x + i * k->nr, scaled ? factor : NULL, k->nr);
                        expect_that(isnan(want) ? isnan(sums[i]) : sums[i] == want, "the sum of a row");
                    }
                }
                buffers_done();
            }
}

static void check_scale_columns(const kernels *k, const void *data)
{
    static float want[CELLS];
    (void)data;
    for (const int64_t *n = key_counts; *n >= 0; n++)
        for (int kind = 0; kind < INPUTS_COUNT; kind++)
            for (int place = 0; place < PLACES; place++) {
                float *x = buffer_floats(*n * k->nr, place), *factor = buffer_floats(k->nr, (place + 1) % PLACES);
                this_case("%lld keys, %s inputs, place %d", (long long)*n, inputs_name((inputs)kind), place);
                random_fill(x, *n * k->nr, (inputs)kind);
                random_fill(factor, k->nr, INPUTS_SMALL);
                for (int64_t i = 0; i < *n * k->nr; i++)
                    want[i] = x[i] * factor[i % k->nr];
                k->scale_columns(x, factor, *n);
                expect_floats(BUDGET_EXACT, x, want, *n * k->nr);
                buffers_done();
            }
}

static void test_column_sums(void **state) { (void)state; each_table("column_sums", check_column_sums, NULL); }
static void test_scale_columns(void **state) { (void)state; each_table("scale_columns", check_scale_columns, NULL); }
static void test_scores(void **state) { (void)state; each_table("score_columns", check_scores, NULL); }
static void test_scores_formula(void **state) { (void)state; each_table("score_columns", check_scores_formula, NULL); }
static void test_softmax(void **state) { (void)state; each_table("softmax_columns", check_softmax, NULL); }
static void test_softmax_formula(void **state) { (void)state; each_table("softmax_columns", check_softmax_formula, NULL); }
static void test_every_entry(void **state) { (void)state; check_entries("test_kernels_softmax"); }

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scores), cmocka_unit_test(test_scores_formula), cmocka_unit_test(test_softmax),
        cmocka_unit_test(test_softmax_formula), cmocka_unit_test(test_column_sums), cmocka_unit_test(test_scale_columns),
        cmocka_unit_test(test_every_entry),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("kernels of softmax", tests, NULL, NULL);
}
