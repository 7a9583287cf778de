/* Second implementations of the metrics that are fed by rows and tiles: plain loops in double over a dense matrix. */
#ifndef ATTNSCOPE_TESTS_TILE_EXPECT_H
#define ATTNSCOPE_TESTS_TILE_EXPECT_H

#include "tests/metric_feed.h"

typedef struct expected {
    int64_t n;
    int64_t position[512];
    double value[512];
} expected;

static inline void expect(expected *x, int64_t position, double value)
{
    assert_true(x->n < 512);
    x->position[x->n] = position;
    x->value[x->n++] = value;
}

static inline bool sees(const dense *d, int64_t i, int64_t k)
{
    return k >= d->lo[i] && k < d->hi[i];
}

static inline double weight_of(const dense *d, int64_t i, int64_t k)
{
    return (double)d->a[i * d->n_key + k];
}

static inline int64_t keys_seen(const dense *d, int64_t i)
{
    int64_t n = 0;
    for (int64_t k = 0; k < d->n_key; k++)
        n += sees(d, i, k);
    return n;
}

static inline int64_t queries_seeing(const dense *d, int64_t k)
{
    int64_t n = 0;
    for (int64_t i = 0; i < d->n; i++)
        n += sees(d, i, k);
    return n;
}

static inline double row_sum(const dense *d, int64_t i)
{
    double sum = 0;
    for (int64_t k = 0; k < d->n_key; k++)
        sum += weight_of(d, i, k);
    return sum;
}

static inline double column_total(const dense *d, int64_t k)
{
    double sum = 0;
    for (int64_t i = 0; i < d->n; i++)
        sum += weight_of(d, i, k);
    return sum;
}

static inline double alpha_of(const dense *d, int64_t k)
{
    return column_total(d, k) / (double)queries_seeing(d, k);
}

static inline double entropy_of_row(const dense *d, int64_t i)
{
    double h = 0;
    for (int64_t k = 0; k < d->n_key; k++)
        h -= weight_of(d, i, k) > 0 ? weight_of(d, i, k) * log(weight_of(d, i, k)) : 0;
    return h;
}

/* Mean over the rows for which f gives a value. */
typedef bool row_value(double *v, const dense *d, int64_t i, double option);
static inline void expect_rows(expected *x, const dense *d, row_value *f, double option)
{
    double sum = 0, v;
    int64_t n = 0;
    for (int64_t i = 0; i < d->n; i++)
        if (keys_seen(d, i) > 0 && f(&v, d, i, option)) {
            sum += v;
            n++;
        }
    if (n > 0)
        expect(x, NO_INDEX, sum / (double)n);
}

static inline bool row_normalised(double *v, const dense *d, int64_t i, double zero)
{
    int64_t n = keys_seen(d, i);
    *v = n > 1 ? entropy_of_row(d, i) / log((double)n) : 0;
    return n > 1 || zero > 0;
}

static inline bool row_effective(double *v, const dense *d, int64_t i, double order)
{
    double sum = row_sum(d, i), h = 0, squares = 0;
    if (!(sum > 0))
        return false;
    for (int64_t k = 0; k < d->n_key; k++) {
        double w = weight_of(d, i, k) / sum;
        h -= w > 0 ? w * log(w) : 0;
        squares += w * w;
    }
    *v = order > 1 ? 1 / squares : exp(h);
    return true;
}

static inline bool row_total(double *v, const dense *d, int64_t i, double option)
{
    (void)option;
    *v = row_sum(d, i);
    return true;
}

static inline bool row_spiky(double *v, const dense *d, int64_t i, double peak)
{
    int64_t n = keys_seen(d, i);
    double most = 0;
    for (int64_t k = 0; k < d->n_key; k++)
        most = fmax(most, weight_of(d, i, k));
    *v = peak > 0 ? most * (double)n : n > 1 ? 1 - entropy_of_row(d, i) / log((double)n) : 0;
    return n > 1;
}

static inline bool row_local(double *v, const dense *d, int64_t i, double window)
{
    *v = 0;
    for (int64_t k = 0; k < d->n_key; k++)
        *v += (double)llabs(i - k) < window ? weight_of(d, i, k) : 0;
    return true;
}

static inline bool row_first(double *v, const dense *d, int64_t i, double keys)
{
    *v = 0;
    for (int64_t k = 0; k < d->n_key && (double)k < keys; k++)
        *v += weight_of(d, i, k);
    return true;
}

static inline bool row_first_boost(double *v, const dense *d, int64_t i, double keys)
{
    double seen = 0;
    for (int64_t k = 0; k < d->n_key && (double)k < keys; k++)
        seen += sees(d, i, k);
    row_first(v, d, i, keys);
    *v /= seen / (double)keys_seen(d, i);
    return seen > 0;
}

static inline bool row_first_late(double *v, const dense *d, int64_t i, double keys)
{
    return i >= d->n - 5 && row_first(v, d, i, keys);
}

static inline bool row_median(double *v, const dense *d, int64_t i, double option)
{
    double half = row_sum(d, i) / 2, within = 0;
    (void)option;
    for (*v = 0; half > 0; ++*v) {
        for (int64_t k = 0; k < d->n_key; k++)
            within += (double)llabs(i - k) == *v ? weight_of(d, i, k) : 0;
        if (within >= half)
            return true;
    }
    return false;
}

static inline bool row_next(double *v, const dense *d, int64_t i, double option)
{
    (void)option;
    if (i + 1 >= d->n_key || !sees(d, i, i + 1))
        return false;
    *v = weight_of(d, i, i + 1);
    return true;
}

static inline void expect_received(expected *x, const dense *d, bool all)
{
    for (int64_t k = 0; k < d->n_key; k++)
        if (queries_seeing(d, k) > 0)
            expect(x, k, all ? column_total(d, k) / (double)d->n : alpha_of(d, k));
}

static inline void expect_hidden(expected *x, const dense *d, double threshold, char emit, bool drop_first, int64_t queries)
{
    double count = 0, largest = 0, others = 0;
    bool dropped = false;
    for (int64_t k = 0; k < d->n_key; k++) {
        if (queries_seeing(d, k) < queries)
            continue;
        double a = alpha_of(d, k);
        if (drop_first ? a > threshold && !dropped : k == 0) {
            dropped = true;
            continue;
        }
        others++;
        largest = fmax(largest, a);
        count += a > threshold;
        if (a > threshold && emit == 'e')
            expect(x, k, a);
    }
    if (emit == 'c' || (emit == 'l' && others > 0))
        expect(x, NO_INDEX, emit == 'c' ? count : largest);
}

static inline void expect_peak(expected *x, const dense *d, bool position)
{
    int64_t best = -1;
    for (int64_t k = 0; k < d->n_key; k++)
        if (queries_seeing(d, k) > 0 && (best < 0 || alpha_of(d, k) > alpha_of(d, best)))
            best = k;
    if (best >= 0)
        expect(x, NO_INDEX, position ? (double)best : alpha_of(d, best));
}

static inline double column_score(const dense *d, int64_t k)
{
    double sum = column_total(d, k), h = 0;
    if (queries_seeing(d, k) < 2 || !(sum > 0))
        return 0;
    for (int64_t i = 0; i < d->n; i++) {
        double w = weight_of(d, i, k) / sum;
        h -= w > 0 ? w * log(w) : 0;
    }
    return h / log((double)queries_seeing(d, k));
}

static inline void expect_columns(expected *x, const dense *d, bool each)
{
    double most = -1;
    for (int64_t k = 0; k < d->n_key; k++)
        if (queries_seeing(d, k) > 0) {
            most = fmax(most, column_score(d, k));
            if (each)
                expect(x, k, column_score(d, k));
        }
    if (!each && most >= 0)
        expect(x, NO_INDEX, most);
}

static inline void expect_dormant(expected *x, const dense *d, char rule, double row, double column, double mass)
{
    double most = 0, rows = 0, key0 = 0, v;
    for (int64_t k = 0; k < d->n_key; k++)
        most = fmax(most, column_score(d, k));
    for (int64_t i = 0; i < d->n; i++) {
        row_normalised(&v, d, i, 1);
        rows += v / (double)d->n;
    }
    for (int64_t i = 0; i < d->n; i++)
        key0 += sees(d, i, 0) ? weight_of(d, i, 0) / (double)queries_seeing(d, 0) : 0;
    if (rule == 'e')
        expect(x, NO_INDEX, rows < row && most > column);
    else if (rule == 'm')
        expect(x, NO_INDEX, key0 >= mass);
    else if (sees(d, d->n - 1, 0))
        expect(x, NO_INDEX, weight_of(d, d->n - 1, 0) >= mass);
}

static inline int falling(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x < y) - (x > y);
}

static inline void expect_top(expected *x, const dense *d, const int *ks)
{
    for (int c = 0; ks[c]; c++) {
        double sum = 0;
        for (int64_t i = 0; i < d->n; i++) {
            double *w = calloc((size_t)d->n_key, sizeof(*w));
            assert_non_null(w);
            for (int64_t k = 0; k < d->n_key; k++)
                w[k] = weight_of(d, i, k);
            qsort(w, (size_t)d->n_key, sizeof(*w), falling);
            for (int64_t k = 0; k < d->n_key && k < ks[c]; k++)
                sum += w[k];
            free(w);
        }
        expect(x, ks[c], sum / (double)d->n);
    }
}

/* side: -1 before, 1 after, 0 both. */
static inline void expect_profile(expected *x, const dense *d, int side, int64_t limit)
{
    for (int64_t apart = 0; apart < d->n_key && (limit == 0 || apart < limit); apart++) {
        double sum = 0;
        int64_t n = 0;
        for (int64_t i = 0; i < d->n; i++)
            for (int64_t k = 0; k < d->n_key; k++)
                if (sees(d, i, k) && llabs(i - k) == apart && (k - i) * side >= 0) {
                    sum += weight_of(d, i, k);
                    n++;
                }
        if (n > 0)
            expect(x, apart, sum / (double)n);
    }
}

/* A metric with settings, and what it gives. */
typedef struct tile_case {
    const char *metric, *set;
    int what;            /* for expect_case */
    bool near_only;      /* row statistics and logarithms are float32 */
} tile_case;

enum {
    CASE_RECEIVED, CASE_RECEIVED_ALL, CASE_HIDDEN, CASE_HIDDEN_LARGEST, CASE_HIDDEN_EACH, CASE_HIDDEN_ACT, CASE_HIDDEN_MANY,
    CASE_POSITION, CASE_PEAK, CASE_MASS, CASE_LEARNED, CASE_NORMALISED, CASE_NORMALISED_ZERO, CASE_EFFECTIVE,
    CASE_PARTICIPATION, CASE_COLUMN, CASE_COLUMN_EACH, CASE_DORMANT, CASE_DORMANT_OWN, CASE_DORMANT_MASS, CASE_DORMANT_LAST,
    CASE_TOP, CASE_TOP_OWN, CASE_SPIKY, CASE_PEAKY, CASE_LOCAL, CASE_LOCAL_OWN, CASE_FIRST, CASE_FIRST_BOOST, CASE_FIRST_LATE,
    CASE_MEDIAN, CASE_PROFILE, CASE_PROFILE_BEFORE, CASE_PROFILE_AFTER, CASE_NEXT,
};

static const tile_case tile_cases[] = {
    {"received", NULL, CASE_RECEIVED, false},
    {"received", "received-divisor=all", CASE_RECEIVED_ALL, false},
    {"hidden_sink", NULL, CASE_HIDDEN, false},
    {"hidden_sink", "hidden-emit=largest", CASE_HIDDEN_LARGEST, false},
    {"hidden_sink", "hidden-emit=each\nhidden-threshold=0.1", CASE_HIDDEN_EACH, false},
    {"hidden_sink", "hidden-drop=first\nhidden-relative=1.5", CASE_HIDDEN_ACT, false},
    {"hidden_sink", "hidden-queries=4\nhidden-threshold=0.1", CASE_HIDDEN_MANY, false},
    {"sink_position", NULL, CASE_POSITION, false},
    {"sink_peak", NULL, CASE_PEAK, false},
    {"row_mass", NULL, CASE_MASS, false},
    {"learned_sink", NULL, CASE_LEARNED, true},
    {"entropy_normalised", NULL, CASE_NORMALISED, true},
    {"entropy_normalised", "entropy-single=zero", CASE_NORMALISED_ZERO, true},
    {"effective_keys", NULL, CASE_EFFECTIVE, true},
    {"effective_keys", "effective-order=2", CASE_PARTICIPATION, false},
    {"column_entropy", NULL, CASE_COLUMN, true},
    {"column_entropy", "column-keys=each", CASE_COLUMN_EACH, true},
    {"dormant", NULL, CASE_DORMANT, true},
    {"dormant", "dormant-row=0.81\ndormant-column=0.83", CASE_DORMANT_OWN, true},
    {"dormant", "dormant-rule=mass\ndormant-mass=0.21", CASE_DORMANT_MASS, true},
    {"dormant", "dormant-rule=last", CASE_DORMANT_LAST, true},
    {"top_k_mass", NULL, CASE_TOP, false},
    {"top_k_mass", "top-k=3,1,40,3", CASE_TOP_OWN, false},
    {"spikiness", NULL, CASE_SPIKY, true},
    {"spikiness", "spikiness-form=peak", CASE_PEAKY, true},
    {"local_mass", NULL, CASE_LOCAL, false},
    {"local_mass", "local-window=3", CASE_LOCAL_OWN, false},
    {"first_k_mass", NULL, CASE_FIRST, false},
    {"first_k_mass", "first-form=boost\nfirst-keys=3", CASE_FIRST_BOOST, false},
    {"first_k_mass", "first-rows=5\nfirst-keys=2", CASE_FIRST_LATE, false},
    {"median_distance", NULL, CASE_MEDIAN, false},
    {"distance_profile", NULL, CASE_PROFILE, false},
    {"distance_profile", "distance-side=before\ndistance-limit=7", CASE_PROFILE_BEFORE, false},
    {"distance_profile", "distance-side=after", CASE_PROFILE_AFTER, false},
    {"next_token", NULL, CASE_NEXT, false},
};
enum { N_TILE_CASE = sizeof(tile_cases) / sizeof(tile_cases[0]) };

static inline void expect_case(expected *x, int what, const dense *d)
{
    static const int usual[] = {1, 2, 4, 8, 16, 0}, own[] = {1, 3, 40, 0};
    x->n = 0;
    switch (what) {
    case CASE_RECEIVED: expect_received(x, d, false); break;
    case CASE_RECEIVED_ALL: expect_received(x, d, true); break;
    case CASE_HIDDEN: expect_hidden(x, d, 0.3, 'c', false, 1); break;
    case CASE_HIDDEN_LARGEST: expect_hidden(x, d, 0.3, 'l', false, 1); break;
    case CASE_HIDDEN_EACH: expect_hidden(x, d, 0.1, 'e', false, 1); break;
    case CASE_HIDDEN_ACT: expect_hidden(x, d, 1.5 / (double)d->n_key, 'c', true, 1); break;
    case CASE_HIDDEN_MANY: expect_hidden(x, d, 0.1, 'c', false, 4); break;
    case CASE_POSITION: expect_peak(x, d, true); break;
    case CASE_PEAK: expect_peak(x, d, false); break;
    case CASE_MASS: expect_rows(x, d, row_total, 0); break;
    case CASE_LEARNED:
        for (int64_t i = 0; d->sink && i < d->n; i++) {
            x->n = 0;
            expect(x, NO_INDEX, (i ? x->value[0] : 0) + (double)d->sink[i] / (double)d->n);
        }
        break;
    case CASE_NORMALISED: expect_rows(x, d, row_normalised, 0); break;
    case CASE_NORMALISED_ZERO: expect_rows(x, d, row_normalised, 1); break;
    case CASE_EFFECTIVE: expect_rows(x, d, row_effective, 1); break;
    case CASE_PARTICIPATION: expect_rows(x, d, row_effective, 2); break;
    case CASE_COLUMN: expect_columns(x, d, false); break;
    case CASE_COLUMN_EACH: expect_columns(x, d, true); break;
    case CASE_DORMANT: expect_dormant(x, d, 'e', 0.3, 0.9, 0); break;
    case CASE_DORMANT_OWN: expect_dormant(x, d, 'e', 0.81, 0.83, 0); break;
    case CASE_DORMANT_MASS: expect_dormant(x, d, 'm', 0, 0, 0.21); break;
    case CASE_DORMANT_LAST: expect_dormant(x, d, 'l', 0, 0, 0.89); break;
    case CASE_TOP: expect_top(x, d, usual); break;
    case CASE_TOP_OWN: expect_top(x, d, own); break;
    case CASE_SPIKY: expect_rows(x, d, row_spiky, 0); break;
    case CASE_PEAKY: expect_rows(x, d, row_spiky, 1); break;
    case CASE_LOCAL: expect_rows(x, d, row_local, 16); break;
    case CASE_LOCAL_OWN: expect_rows(x, d, row_local, 3); break;
    case CASE_FIRST: expect_rows(x, d, row_first, 4); break;
    case CASE_FIRST_BOOST: expect_rows(x, d, row_first_boost, 3); break;
    case CASE_FIRST_LATE: expect_rows(x, d, row_first_late, 2); break;
    case CASE_MEDIAN: expect_rows(x, d, row_median, 0); break;
    case CASE_PROFILE: expect_profile(x, d, 0, 0); break;
    case CASE_PROFILE_BEFORE: expect_profile(x, d, -1, 7); break;
    case CASE_PROFILE_AFTER: expect_profile(x, d, 1, 0); break;
    case CASE_NEXT: expect_rows(x, d, row_next, 0); break;
    default: fail_msg("no expectation %d", what);
    }
}

/* Values of one metric against what is expected of it; absolute up to 1, relative above. */
static inline void assert_expected(const char *what, const char *where, const result_value *v, int64_t n, const expected *x,
                                   double tolerance)
{
    if (n != x->n)
        fail_msg("%s (%s): %d values, expected %d", what, where, (int)n, (int)x->n);
    for (int64_t i = 0; i < n; i++)
        if (v[i].position != x->position[i] || !(fabs(v[i].value - x->value[i]) <= tolerance * (1 + fabs(x->value[i]))))
            fail_msg("%s (%s): %.12g at %d, expected %.12g at %d", what, where, v[i].value, (int)v[i].position, x->value[i],
                     (int)x->position[i]);
}

#endif
