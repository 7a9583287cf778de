/* Edits of attention weights: published vectors, identities, second implementations from the dense map; the registry. */
#include "tests/model_run.h"
#include "tests/tiny_model.h"
#include "analysis/edit.h"
#include "base/rng.h"

static void near(double value, double expected, double tolerance, const char *what)
{
    if (!(fabs(value - expected) <= tolerance))
        fail_msg("%s: %.10g, expected %.10g", what, value, expected);
}

/* "name value name=value ..." */
static params *values_of(const edit *kind, const char *text)
{
    const char *words[8] = {NULL};
    char buf[256], *save = NULL;
    int n = 0;
    err e = {0};
    params *p;
    snprintf(buf, sizeof buf, "%s", text);
    for (char *w = strtok_r(buf, " ", &save); w; w = strtok_r(NULL, " ", &save))
        words[n++] = w;
    if (edit_params(&p, kind, words, &e))
        fail_msg("%s: %s", text, e.msg);
    return p;
}

static void add(edit_plan *plan, const char *name, const char *values, const head_id *heads, int n, const head_reference *ref)
{
    err e = {0};
    const edit *kind = edit_find(name);
    assert_non_null(kind);
    if (edit_plan_add(plan, kind, heads, n, values_of(kind, values), ref, &e))
        fail_msg("%s %s: %s", name, values, e.msg);
}

/* ---- one attention by hand ---- */

typedef struct dense { int64_t n_query, n_key; double *w; } dense;

static void keep_tile(void *ud, const attn_tile *t)
{
    dense *d = ud;
    for (int64_t q = t->q0; q < t->q0 + t->n_query && t->head == 0; q++)
        for (int64_t k = t->k0; k < t->k0 + t->n_key; k++)
            d->w[q * d->n_key + k] = (double)attn_tile_at(t, q, k);
}

/* Weights of head 0 of an attention with one head changed by an edit (name NULL: none): out [n_query, n_key]. */
static void weights_under(double *out, attn_args a, const char *name, const char *values, int threads)
{
    tiny_model t;
    tiny_new(&t, TINY_DECODER);
    t.m.main->layers[0].self.sinks = a.sinks;
    runtime *r;
    edit_plan *plan;
    attn_scratch *s;
    err e = {0};
    dense d = {a.n_query, a.n_key, out};
    const attn_tap tap = {.need = ATTN_NEED_PROBS, .tile = keep_tile, .ud = &d};
    const head_id head = {ATTN_SELF, 0, 0};
    assert_int_equal(runtime_new(&r, &t.m, threads, PRECISION_F32, &e), 0);
    assert_int_equal(edit_plan_new(&plan, &t.m, &e), 0);
    assert_int_equal(attn_scratch_new(&s, runtime_pool(r), &e), 0);
    memset(out, 0, (size_t)(a.n_query * a.n_key) * sizeof *out);
    if (name) {
        add(plan, name, values, &head, 1, NULL);
        const forward_edits *f = edit_plan_edits(plan);
        assert_int_equal(f->weights(f->ud, r, &a, &a.edit, &e), 0);
        assert_non_null(a.edit);
    }
    assert_int_equal(attention(s, &a, &tap, &e), 0);
    attn_scratch_free(s);
    edit_plan_free(plan);
    runtime_free(r);
    tiny_free(&t);
}

/* One query head of width d over one key head. */
static attn_args one_head(const float *q, const float *k, int64_t n_query, int64_t n_key, int64_t pos0, int d)
{
    return (attn_args){.kind = ATTN_SELF, .layer = 0, .n_head = 1, .n_kv_head = 1, .d_qk = d, .d_v = d, .n_query = n_query,
                       .n_key = n_key, .pos0 = pos0, .scale = 1, .causal = true, .q = q, .k = k, .ldq = d, .ldk = d, .ldv = d,
                       .ldo = d};
}

static void rows_are(const double *w, const double *expected, int64_t n, double tolerance, const char *what)
{
    for (int64_t i = 0; i < n; i++)
        near(w[i], expected[i], tolerance, what);
}

/* The matrix M of four rows of weights, as scores ln M with the identity for queries. */
static attn_args matrix_m(float *q, float *k)
{
    static const double m[4][4] = {{1, 0, 0, 0}, {.6, .4, 0, 0}, {.5, .3, .2, 0}, {.1, .6, .1, .2}};
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++) {
            q[i * 4 + j] = i == j;
            k[j * 4 + i] = m[i][j] > 0 ? (float)log(m[i][j]) : 0;
        }
    return one_head(q, k, 4, 4, 0, 4);
}

/* ---- vectors ---- */

static void test_zerotuning_vector(void **state)
{
    (void)state;
    static const double expected[] = {.369428, .041215, .087253, .502104}, plain[] = {.226563, .050553, .107021, .615863};
    const float q[] = {1}, k[] = {1, -0.5f, 0.25f, 2};
    double w[4];
    attn_args a = one_head(q, k, 1, 4, 3, 1);
    weights_under(w, a, NULL, "", 1);
    rows_are(w, plain, 4, 1e-6, "softmax");
    weights_under(w, a, "scale_first", "gamma=2", 1);
    rows_are(w, expected, 4, 1e-6, "gamma 2");
    weights_under(w, a, "scale_first", "1", 1);
    rows_are(w, plain, 4, 1e-6, "gamma 1");
    weights_under(w, a, "scale_first", "0", 1);
    near(w[0], 0, 0, "gamma 0 removes the column");
    near(w[1] + w[2] + w[3], 1, 1e-6, "and the others share the row");
    near(w[3] / w[1], .615863 / .050553, 1e-3, "as before");
}

/* The last index that can be written is as good as any behind the prompt. */
static void test_open_spans_of_keys(void **state)
{
    (void)state;
    const float q[] = {1}, k[] = {1, -0.5f, 0.25f, 2};
    double w[4];
    attn_args a = one_head(q, k, 1, 4, 3, 1);
    weights_under(w, a, "scale_first", "gamma=0 keys=1-9223372036854775807", 1);
    near(w[0], 1, 1e-6, "all keys but the first are taken away");
    weights_under(w, a, "impose", "keys=1-9223372036854775807 weight=1", 1);
    near(w[0], 0, 0, "the first key has nothing left");
    near(w[2], 1. / 3, 1e-6, "the others share alike");
}

/* With all but a little of the weight on key 0 the little that is left is the row. */
static void test_scale_first_of_a_strong_sink(void **state)
{
    (void)state;
    enum { KEYS = 7 };
    const float q[] = {1}, left[] = {40, 30, 22, 16.5f, 9};
    for (size_t i = 0; i < sizeof left / sizeof *left; i++) {
        float k[KEYS] = {left[i], 0, 0.5f, -1, 0.25f, 1, 0};
        double w[KEYS], sum = 0, expected = 0;
        attn_args a = one_head(q, k, 1, KEYS, KEYS - 1, 1);
        weights_under(w, a, "scale_first", "0", 1);
        for (int j = 1; j < KEYS; j++) {
            sum += w[j];
            expected += exp((double)k[j]);
        }
        near(w[0], 0, 0, "nothing on key 0");
        near(sum, 1, 1e-6, "gamma 0: the others share the row");
        for (int j = 1; j < KEYS; j++)
            near(w[j], exp((double)k[j]) / expected, 1e-6, "as the softmax over them");
        weights_under(w, a, "scale_first", "gamma=0.001", 1);
        sum = w[0];
        expected = 0.001 * exp((double)k[0]);
        for (int j = 1; j < KEYS; j++) {
            sum += w[j];
            expected += exp((double)k[j]);
        }
        near(sum, 1, 1e-6, "gamma 0.001");
        near(w[1], 1 / expected, 1e-6, "as with ln gamma added to the score");
    }
}

static void test_act_vector(void **state)
{
    (void)state;
    static const double expected[] = {1, 0, 0, 0, .84, .16, 0, 0, .628571, .12, .251429, 0, .19, .24, .19, .38};
    float q[16], k[16];
    double w[16], plain[16];
    attn_args a = matrix_m(q, k);
    weights_under(plain, a, NULL, "", 1);
    near(plain[13], .6, 1e-6, "row 3 of M");
    weights_under(w, a, "act", "threshold=0.25 beta=0.4", 1);
    rows_are(w, expected, 16, 1e-6, "ACT");
    weights_under(w, a, "act", "relative=1 beta=0.4", 1); /* 1 / 4 tokens */
    rows_are(w, expected, 16, 1e-6, "the same threshold, relative");
    weights_under(w, a, "act", "threshold=0.25 beta=1", 1);
    rows_are(w, plain, 16, 0, "beta 1");
    weights_under(w, a, "act", "threshold=1 beta=0.4", 1);
    rows_are(w, plain, 16, 0, "nothing above the threshold");
    /* column means .55 .4333 .15 .2: above .5 only token 0, which is kept; but for keep=zero it is the same */
    weights_under(w, a, "act", "threshold=0.5", 1);
    rows_are(w, plain, 16, 0, "the first sink is kept");
    weights_under(w, a, "act", "threshold=0.5 keep=zero", 1);
    rows_are(w, plain, 16, 0, "token 0 is kept");
}

static void test_uniform_first_impose(void **state)
{
    (void)state;
    static const double even[] = {1, 0, 0, 0, .5, .5, 0, 0, 1. / 3, 1. / 3, 1. / 3, 0, .25, .25, .25, .25};
    static const double first[] = {1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0};
    static const double last_window[] = {1, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0};
    /* keys 1 and 2 get .5 together; row 0 sees neither */
    static const double imposed[] = {1, 0, 0, 0, .5, .5, 0, 0, .5, .25, .25, 0, .5 / 3, .25, .25, 1. / 3};
    static const double one_row[] = {1, 0, 0, 0, .6, .4, 0, 0, 0, .5, .5, 0, .1, .6, .1, .2};
    float q[16], k[16];
    double w[16];
    attn_args a = matrix_m(q, k);
    weights_under(w, a, "uniform", "", 1);
    rows_are(w, even, 16, 1e-7, "uniform");
    weights_under(w, a, "first", "", 1);
    rows_are(w, first, 16, 0, "first");
    weights_under(w, a, "impose", "keys=1-2 weight=0.5", 1);
    rows_are(w, imposed, 16, 1e-6, "impose");
    weights_under(w, a, "impose", "1-2 queries=2", 1);
    rows_are(w, one_row, 16, 1e-6, "impose in one row");
    a.window = 2;
    weights_under(w, a, "first", "", 1);
    rows_are(w, last_window, 16, 0, "first of a window");
}

/* A cache of the first keys and the latest: rows as the softmax over those keys alone gives. */
static void test_keep(void **state)
{
    (void)state;
    static const double one_and_two[] = {1, 0, 0, 0, .6, .4, 0, 0, .5, .3, .2, 0, .25, 0, .25, .5};
    static const double itself[] = {1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1};
    static const double both_sides[] = {.5, .5, 0, 0, .5, .3, .2, 0, 0, .5, .2, .3, 0, 0, .4, .6};
    float q[16], k[16], both[16];
    double w[16], plain[16];
    attn_args a = matrix_m(q, k);
    weights_under(w, a, "keep", "first=1 last=2", 1);
    rows_are(w, one_and_two, 16, 1e-6, "the first and the latest two");
    weights_under(w, a, "keep", "first=0 last=1", 1);
    rows_are(w, itself, 16, 1e-6, "the query itself");
    weights_under(plain, a, NULL, "", 1);
    weights_under(w, a, "keep", "", 1);
    assert_memory_equal(w, plain, sizeof w); /* shorter than the default */
    static const double full[] = {.4, .4, .1, .1, .5, .3, .2, 1e-30, .1, .5, .2, .3, .2, .2, .4, .6};
    for (int i = 0; i < 16; i++)
        both[i % 4 * 4 + i / 4] = (float)log(full[i]);
    a = one_head(q, both, 4, 4, 0, 4), a.causal = false;
    weights_under(w, a, "keep", "first=0 last=2", 1);
    rows_are(w, both_sides, 16, 1e-6, "a window to both sides");
    a = matrix_m(q, k), a.q = q + 12, a.n_query = 1, a.pos0 = 3;
    weights_under(w, a, "keep", "first=1 last=2", 1);
    rows_are(w, one_and_two + 12, 4, 1e-6, "a decoder's step: the last row alone");
}

/* ---- second implementations ---- */

enum { N = 307, D = 8 };

static void random_numbers(float *x, int64_t n, uint64_t seed, double size)
{
    rng r;
    rng_seed(&r, seed, 0);
    for (int64_t i = 0; i < n; i++)
        x[i] = (float)(size * rng_normal(&r));
}

/* ln gamma added to the score of key 0, by the kernel itself, with a learned sink and without. */
static void test_scale_first_is_a_bias(void **state)
{
    (void)state;
    static const double gammas[] = {0.1, 0.5, 3, 40};
    float *q = malloc(N * D * sizeof *q), *k = malloc(N * D * sizeof *k), *bias = calloc(N, sizeof *bias);
    double *w = malloc((size_t)N * N * sizeof *w), *expected = malloc((size_t)N * N * sizeof *w);
    const float sink = 0.7f;
    random_numbers(q, N * D, 1, 1);
    random_numbers(k, N * D, 2, 1);
    for (int i = 0; i < 8; i++) {
        char values[64];
        attn_args a = one_head(q, k, N, N, 0, D);
        a.sinks = i % 2 ? &sink : NULL;
        snprintf(values, sizeof values, "gamma=%g", gammas[i / 2]);
        weights_under(w, a, "scale_first", values, 2);
        bias[0] = (float)log(gammas[i / 2]);
        a.key_bias = bias;
        weights_under(expected, a, NULL, "", 1);
        rows_are(w, expected, (int64_t)N * N, 2e-6, values);
    }
    free(q);
    free(k);
    free(bias);
    free(w);
    free(expected);
}

/* ACT from the dense map, in double, straight from the text; sharp weights so that some columns are sinks. */
static void act_by_hand(double *w, int64_t n, double threshold, double beta)
{
    bool sink[N] = {false}, found = false;
    for (int64_t j = 0; j < n; j++) {
        double c = 0;
        for (int64_t i = j; i < n; i++)
            c += w[i * n + j];
        sink[j] = c / (double)(n - j) > threshold;
        if (sink[j] && !found)
            sink[j] = !(found = true);
    }
    for (int64_t i = 0; i < n; i++) {
        double freed = 0, rest = 0;
        for (int64_t j = 0; j <= i; j++)
            *(sink[j] ? &freed : &rest) += w[i * n + j];
        freed *= 1 - beta;
        for (int64_t j = 0; j <= i; j++)
            w[i * n + j] = sink[j] ? beta * w[i * n + j] : w[i * n + j] + freed * w[i * n + j] / rest;
    }
}

static void test_act_from_the_dense_map(void **state)
{
    (void)state;
    static const int64_t lengths[] = {5, 64, N};
    float *q = malloc(N * D * sizeof *q), *k = malloc(N * D * sizeof *k);
    double *w = malloc((size_t)N * N * sizeof *w), *expected = malloc((size_t)N * N * sizeof *w);
    double *again = malloc((size_t)N * N * sizeof *w);
    random_numbers(q, N * D, 3, 1);
    random_numbers(k, N * D, 4, 0.6);
    for (int64_t i = 0; i < N; i++) /* keys 1, 40 and 200 attract everybody */
        q[i * D] = 3;
    k[1 * D] = k[40 * D] = k[200 * D] = 2;
    for (int i = 0; i < 3; i++) {
        int64_t n = lengths[i];
        attn_args a = one_head(q, k, n, n, 0, D);
        weights_under(expected, a, NULL, "", 1);
        double before = expected[(n - 1) * n + 1];
        act_by_hand(expected, n, 0.02, 0.4);
        weights_under(w, a, "act", "threshold=0.02", 1);
        rows_are(w, expected, n * n, 2e-6, "ACT");
        weights_under(again, a, "act", "threshold=0.02", 3);
        assert_memory_equal(w, again, (size_t)(n * n) * sizeof *w);
        assert_true(n < 50 || fabs(w[(n - 1) * n + 1] - before) > 1e-4);
    }
    free(q);
    free(k);
    free(w);
    free(expected);
    free(again);
}

/* Masked cells stay 0, weights stay weights, rows keep their sum, at any thread count: for every edit of weights. */
static void test_every_edit_of_weights(void **state)
{
    (void)state;
    float *q = malloc(N * D * sizeof *q), *k = malloc(N * D * sizeof *k);
    double *w = malloc((size_t)N * N * sizeof *w), *again = malloc((size_t)N * N * sizeof *w);
    random_numbers(q, N * D, 5, 1);
    random_numbers(k, N * D, 6, 1);
    int n_edit = 0;
    for (int i = 0; edits[i]; i++) {
        const char *name = edits[i]->name;
        const char *values = !strcmp(name, "scale_first") ? "0.5" : !strcmp(name, "impose") ? "keys=3-9 weight=0.8" : "";
        if (!edits[i]->weights)
            continue;
        n_edit++;
        for (int c = 0; c < 3; c++) { /* causal, a window, both sides */
            attn_args a = one_head(q, k, N, N, 0, D);
            a.window = c == 1 ? 20 : 0;
            a.causal = c != 2;
            weights_under(w, a, name, values, 1);
            weights_under(again, a, name, values, 4);
            assert_memory_equal(w, again, (size_t)N * N * sizeof *w);
            for (int64_t r = 0; r < N; r++) {
                double sum = 0;
                for (int64_t j = 0; j < N; j++) {
                    bool visible = c == 2 || (j <= r && (c == 0 || r - j < 20));
                    assert_true(w[r * N + j] >= 0 && (visible || w[r * N + j] == 0));
                    sum += w[r * N + j];
                }
                near(sum, 1, 1e-5, name);
            }
        }
    }
    assert_int_equal(n_edit, 6);
    free(q);
    free(k);
    free(w);
    free(again);
}

/* ---- the registry ---- */

static void test_descriptions(void **state)
{
    (void)state;
    for (int i = 0; edits[i]; i++) {
        const edit *x = edits[i];
        assert_true(x->name && x->summary && x->definition && x->source && x->decoding);
        assert_true(strlen(x->definition) > 20);
        assert_ptr_equal(edit_find(x->name), x);
        assert_true(i == 0 || strcmp(edits[i - 1]->name, x->name) < 0);
        assert_int_equal(x->target == EDIT_LAYERS, x->skips != 0);
        assert_int_equal((x->weights != NULL) + (x->output != NULL) + (x->skips != 0), 1);
        assert_true(!x->measure || x->weights);
        for (const param *p = x->params; p && p->name; p++)
            assert_true(p->help && p->help[0]);
    }
    assert_null(edit_find("scale_last"));
}

static void test_spans(void **state)
{
    (void)state;
    int64_t lo, hi;
    assert_true(edit_read_span(&lo, &hi, "3") && lo == 3 && hi == 3);
    assert_true(edit_read_span(&lo, &hi, "3-17") && lo == 3 && hi == 17);
    static const char *const bad[] = {"", "-", "3-", "-3", "7-3", "3-x", "3 - 4", "99999999999999999999", "3-4-5"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(edit_read_span(&lo, &hi, bad[i]));
}

static void test_refusals(void **state)
{
    (void)state;
    static const struct { const char *edit, *values, *message; } bad[] = {
        {"scale", "", "edit scale has no factor"},
        {"scale_first", "", "edit scale_first has no gamma"},
        {"scale_first", "0.5 keys=x", "edit scale_first: keys=x is no range of tokens"},
        {"impose", "", "edit impose does not say which keys"},
        {"impose", "keys=3 queries=last", "edit impose: queries=last is no range of tokens"},
        {"act", "threshold=0.1 relative=5", "edit act: threshold and relative exclude each other"},
        {"mean", "", "edit mean needs outputs of other prompts"},
        {"resample", "", "edit resample needs outputs of other prompts"},
    };
    tiny_model t;
    edit_plan *plan;
    err e = {0};
    const head_id head = {ATTN_SELF, 1, 1}, none[] = {{ATTN_SELF, 2, 0}, {ATTN_SELF, 0, 2}, {ATTN_CROSS, 0, 0}};
    tiny_new(&t, TINY_DECODER);
    assert_int_equal(edit_plan_new(&plan, &t.m, &e), 0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const edit *kind = edit_find(bad[i].edit);
        assert_int_equal(edit_plan_add(plan, kind, &head, 1, values_of(kind, bad[i].values), NULL, &e), ERR_USAGE);
        assert_string_equal(e.msg, bad[i].message);
        assert_true(e.hint[0]);
    }
    for (int i = 0; i < 3; i++)
        assert_int_equal(edit_plan_add(plan, edit_find("zero"), &none[i], 1, NULL, NULL, &e), ERR_USAGE);
    assert_int_equal(edit_plan_add(plan, edit_find("zero"), &head, 0, NULL, NULL, &e), ERR_USAGE);
    assert_string_equal(e.msg, "edit zero names no head");
    assert_int_equal(edit_plan_count(plan), 0);
    assert_null(edit_plan_edits(plan));

    assert_int_equal(edit_plan_add(plan, edit_find("uniform"), &head, 1, NULL, NULL, &e), 0);
    assert_int_equal(edit_plan_add(plan, edit_find("act"), &head, 1, NULL, NULL, &e), ERR_USAGE);
    assert_string_equal(e.msg, "edit act of L1H1 comes behind another edit of its weights");

    params *p;
    const char *const unknown[] = {"gama=2", NULL}, *const wild[] = {"gamma=x", NULL}, *const extra[] = {"2", NULL};
    assert_int_equal(edit_params(&p, edit_find("scale_first"), unknown, &e), ERR_USAGE);
    assert_string_equal(e.msg, "edit scale_first has no parameter \"gama\"");
    assert_string_equal(e.hint, "it takes gamma, keys");
    assert_int_equal(edit_params(&p, edit_find("scale_first"), wild, &e), ERR_USAGE);
    assert_int_equal(edit_params(&p, edit_find("zero"), extra, &e), ERR_USAGE);
    assert_string_equal(e.msg, "edit zero has no parameter \"2\"");
    edit_plan_free(plan);
    tiny_free(&t);
}

static void test_json(void **state)
{
    (void)state;
    tiny_model t;
    edit_plan *plan;
    strbuf b = {0};
    const head_id heads[] = {{ATTN_SELF, 0, 1}, {ATTN_SELF, 1, 0}, {ATTN_SELF, 1, 1}};
    tiny_new(&t, TINY_DECODER);
    assert_int_equal(edit_plan_new(&plan, &t.m, NULL), 0);
    add(plan, "zero", "", heads, 2, NULL);
    add(plan, "scale_first", "0.5", heads + 2, 1, NULL);
    add(plan, "drop_mlp", "", heads, 3, NULL);
    edit_plan_put_json(&b, plan);
    assert_string_equal(strbuf_str(&b), "[{\"edit\":\"zero\",\"heads\":\"L0H1,L1H0\"},{\"edit\":\"scale_first\",\"heads\":"
                                        "\"L1H1\",\"gamma\":0.5,\"keys\":\"0\"},{\"edit\":\"drop_mlp\",\"layers\":\"L0,L1\"}]");
    strbuf_free(&b);
    edit_plan_free(plan);
    tiny_free(&t);
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_zerotuning_vector),
        cmocka_unit_test(test_open_spans_of_keys),
        cmocka_unit_test(test_scale_first_of_a_strong_sink),
        cmocka_unit_test(test_act_vector),
        cmocka_unit_test(test_uniform_first_impose),
        cmocka_unit_test(test_keep),
        cmocka_unit_test(test_scale_first_is_a_bias),
        cmocka_unit_test(test_act_from_the_dense_map),
        cmocka_unit_test(test_every_edit_of_weights),
        cmocka_unit_test(test_descriptions),
        cmocka_unit_test(test_spans),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_json),
    };
    return cmocka_run_group_tests_name("edits", tests, NULL, NULL);
}
