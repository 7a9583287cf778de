/* Metrics of queries, keys, values and head outputs: held against a second implementation, in double, on the arrays
 * that a plain observer keeps of the same run, for families that differ in what these are. */
#include "tests/activation_capture.h"
#include "tests/tiny_model.h"

static const char *const picks[] = {"mean", "first", "rest", "ratio", "each"};
enum { N_PICK = sizeof picks / sizeof picks[0] };

static double length_of(const float *x, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)x[i] * x[i];
    return sqrt(sum);
}

static const float *query(const attn_args *a, int h, int64_t i)
{
    return a->q + i * a->ldq + (int64_t)h * a->d_qk;
}

static const float *key(const attn_args *a, int h, int64_t j)
{
    return a->k + j * a->ldk + (int64_t)(h / (a->n_head / a->n_kv_head)) * a->d_qk;
}

static const float *value(const attn_args *a, int h, int64_t j)
{
    return a->v + j * a->ldv + (int64_t)(h / (a->n_head / a->n_kv_head)) * a->d_v;
}

static bool sees(const attn_args *a, int64_t i, int64_t j)
{
    int64_t back = a->pos0 + i - j;
    return !(a->causal && back < 0) && !(a->window > 0 && llabs(back) >= a->window);
}

static double logit(const attn_args *a, int h, int64_t i, int64_t j)
{
    double z = a->scale * product(query(a, h, i), key(a, h, j), a->d_qk);
    if (a->softcap > 0)
        z = a->softcap * tanh(z / a->softcap);
    if (a->key_bias)
        z += a->key_bias[h * a->n_key + j];
    if (a->rel_bias)
        z += a->rel_bias[h * (a->n_query + a->n_key - 1) + j - i + a->n_query - 1];
    return z;
}

/* || x W ||, x the inputs d h .. d (h + 1) - 1 of w, straight through the rows of w. */
static double projected(const weight *w, int h, int d, const float *x)
{
    float *row = malloc((size_t)w->n_in * sizeof *row);
    double square = 0;
    assert_non_null(row);
    for (int64_t r = 0; r < w->n_out; r++) {
        weight_load(row, w, r, 0, w->n_in);
        double y = product(row + (int64_t)h * d, x, d);
        square += y * y;
    }
    free(row);
    return sqrt(square);
}

#define EACH_ATTENTION(c, a)                                                                                            \
    for (int kind_ = 0; kind_ < CAPTURE_KINDS; kind_++)                                                                 \
        for (const attn_args *a = (c)->in[kind_]; a < (c)->in[kind_] + CAPTURE_LAYERS; a++)                             \
            for (int h = 0; h < a->n_head; h++)

static void check_norms(const case_data *d, const capture *c)
{
    static const char *const names[] = {"key_norm", "value_norm", "query_norm"};
    double v[512];
    for (int which = 0; which < 3; which++)
        for (int p = 0; p < N_PICK; p++) {
            wanted w = {0};
            char set[64], option[32];
            snprintf(option, sizeof option, "%s", names[which]);
            *strchr(option, '_') = '-';
            snprintf(set, sizeof set, "%s-positions=%s", option, picks[p]);
            EACH_ATTENTION(c, a) {
                int64_t n = which == 2 ? a->n_query : a->n_key;
                assert_in_range(n, 1, 512);
                for (int64_t i = 0; i < n; i++)
                    v[i] = which == 0   ? length_of(key(a, h, i), a->d_qk)
                           : which == 1 ? length_of(value(a, h, i), a->d_v)
                                        : length_of(query(a, h, i), a->d_qk);
                want_tokens(&w, picks[p], a->kind, a->layer, h, v, n);
            }
            expect(&d->o, &d->ref.in, names[which], set, NULL, &w, 1e-12);
        }
}

static void check_sink_column(const case_data *d, const capture *c, int64_t s)
{
    wanted cosines = {0}, lengths = {0};
    char set[2][64];
    snprintf(set[0], sizeof set[0], "sink-cosine-key=%lld", (long long)s);
    snprintf(set[1], sizeof set[1], "sink-logit-norms-key=%lld", (long long)s);
    EACH_ATTENTION(c, a) {
        double cosine = 0, norms = 0, n = 0;
        int64_t at = s < 0 ? s + a->n_key : s;
        for (int64_t i = 0; i < a->n_query && at < a->n_key; i++)
            if (sees(a, i, at)) {
                double both = length_of(query(a, h, i), a->d_qk) * length_of(key(a, h, at), a->d_qk);
                cosine += product(query(a, h, i), key(a, h, at), a->d_qk) / both;
                norms += both;
                n++;
            }
        if (n > 0) {
            want(&cosines, a->kind, a->layer, h, at, cosine / n);
            want(&lengths, a->kind, a->layer, h, at, norms / n);
        }
    }
    expect(&d->o, &d->ref.in, "sink_cosine", set[0], NULL, &cosines, 1e-11);
    expect(&d->o, &d->ref.in, "sink_logit_norms", set[1], NULL, &lengths, 1e-11);
}

static void check_gap(const case_data *d, const capture *c, int64_t s, bool each)
{
    wanted w = {0};
    char set[64];
    snprintf(set, sizeof set, "sink-logit-gap-key=%lld", (long long)s);
    EACH_ATTENTION(c, a) {
        double sum = 0, n = 0;
        for (int64_t i = 0; i < a->n_query; i++) {
            double rest = 0, others = 0;
            bool own = a->kind != ATTN_CROSS;
            for (int64_t j = 0; j < a->n_key; j++)
                if (j != s && !(own && j == a->pos0 + i) && sees(a, i, j)) {
                    rest += logit(a, h, i, j);
                    others++;
                }
            if (others == 0 || s >= a->n_key || !sees(a, i, s) || (own && s == a->pos0 + i))
                continue;
            double gap = logit(a, h, i, s) - rest / others;
            sum += gap;
            n++;
            if (each)
                want(&w, a->kind, a->layer, h, i, gap);
        }
        if (!each && n > 0)
            want(&w, a->kind, a->layer, h, NO_INDEX, sum / n);
    }
    expect(&d->o, &d->ref.in, "sink_logit_gap", set, each ? "sink-logit-gap-rows=each" : NULL, &w, 1e-10);
}

static void check_drain(const case_data *d, const capture *c, int64_t s, const char *form)
{
    wanted w = {0};
    char key_set[64], form_set[64];
    double v[512];
    snprintf(key_set, sizeof key_set, "value-drain-key=%lld", (long long)s);
    snprintf(form_set, sizeof form_set, "value-drain-form=%s", form);
    EACH_ATTENTION(c, a) {
        const weight *out = &model_attention(c->m, a->kind, a->layer)->out;
        double rest = 0;
        for (int64_t j = 0; j < a->n_key; j++) {
            v[j] = projected(out, h, a->d_v, value(a, h, j));
            rest += j == s ? 0 : v[j];
            if (!strcmp(form, "each"))
                want(&w, a->kind, a->layer, h, j, v[j]);
        }
        if (s >= a->n_key)
            continue;
        if (!strcmp(form, "sink"))
            want(&w, a->kind, a->layer, h, s, v[s]);
        if (!strcmp(form, "others") && a->n_key > 1)
            want(&w, a->kind, a->layer, h, NO_INDEX, rest / (double)(a->n_key - 1));
        if (!strcmp(form, "ratio") && a->n_key > 1)
            want(&w, a->kind, a->layer, h, s, v[s] / (rest / (double)(a->n_key - 1)));
    }
    expect(&d->o, &d->ref.in, "value_drain", key_set, form_set, &w, 1e-9);
}

static void check_head_norm(const case_data *d, const capture *c, const char *pick)
{
    wanted w = {0};
    char set[64];
    double v[512];
    snprintf(set, sizeof set, "head-norm-positions=%s", pick);
    for (int kind = 0; kind < CAPTURE_KINDS; kind++)
        for (int l = 0; l < CAPTURE_LAYERS; l++) {
            const head_outputs *o = &c->heads[kind][l];
            for (int h = 0; o->heads && o->plan && h < o->plan->n_head; h++) {
                int d_v = o->plan->d_v;
                for (int64_t i = 0; i < o->n; i++)
                    v[i] = projected(&model_attention(c->m, o->kind, l)->out, h, d_v, o->heads + i * o->width + h * d_v);
                want_tokens(&w, pick, o->kind, l, h, v, o->n);
            }
        }
    expect(&d->o, &d->ref.in, "head_norm", set, NULL, &w, 1e-9);
}

/* Entropy and its bound, query by query from the logits: the bound holds, and the mean of both is what is emitted. */
static void check_entropy_bound(const case_data *d, const capture *c)
{
    wanted w = {0};
    EACH_ATTENTION(c, a) {
        double sum = 0;
        for (int64_t i = 0; i < a->n_query; i++) {
            double z[512], mean = 0, top = a->sinks ? a->sinks[h] : -INFINITY, total = 0, square = 0, entropy = 0, t = 0;
            for (int64_t j = 0; j < a->n_key; j++)
                if (sees(a, i, j)) {
                    z[(int)t] = logit(a, h, i, j);
                    mean += z[(int)t];
                    top = fmax(top, z[(int)t++]);
                }
            mean /= t;
            total = a->sinks ? exp(a->sinks[h] - top) : 0;
            for (int k = 0; k < (int)t; k++) {
                total += exp(z[k] - top);
                square += (z[k] - mean) * (z[k] - mean);
            }
            double mass = 0, sigma = sqrt(square), b = t > 1 ? exp(-sigma * sqrt(t / (t - 1))) : 1;
            for (int k = 0; k < (int)t; k++) {
                double p = exp(z[k] - top) / total;
                mass += p;
                entropy -= p > 0 ? p * log(p) : 0;
            }
            double least = t > 1 ? log(1 + (t - 1) * b) + sigma * sqrt(t * (t - 1)) * b / (1 + (t - 1) * b) : 0;
            least = mass * (least - log(mass));
            assert_true(least <= entropy + 1e-9);
            sum += least;
        }
        want(&w, a->kind, a->layer, h, NO_INDEX, sum / (double)a->n_query);
    }
    expect(&d->o, &d->ref.in, "entropy_bound", NULL, NULL, &w, 2e-5);
}

/* The order of the three: what the weights guarantee, what the rows guarantee, what is there. */
static void check_bounds_hold(const case_data *d)
{
    collected c = {0};
    if (run_analysis_of(&c, &d->o, &d->ref.in, "entropy,entropy_bound,entropy_bound_weights", NULL, NULL, 0, 0))
        fail_msg("%s", c.e.msg);
    for (int64_t i = 0; i < c.n_value; i++)
        for (int64_t k = 0; k < c.n_value; k++) {
            const result_value *a = &c.value[i], *b = &c.value[k];
            if (a->kind != b->kind || a->layer != b->layer || a->head != b->head)
                continue;
            if (!strcmp(a->metric, "entropy_bound") && !strcmp(b->metric, "entropy"))
                assert_true(a->value <= b->value + 1e-5);
            if (!strcmp(a->metric, "entropy_bound_weights") && !strcmp(b->metric, "entropy_bound"))
                assert_true(a->value >= 0 && a->value <= b->value + 1e-5);
        }
    collected_free(&c);
}

static void check_case(const char *name, int64_t length)
{
    case_data d;
    if (!case_open(&d, name, length))
        skip();
    capture *c = capture_run(&d.o, &d.ref.in);
    check_norms(&d, c);
    check_sink_column(&d, c, 0);
    check_sink_column(&d, c, 1);
    check_gap(&d, c, 0, false);
    check_gap(&d, c, 2, true);
    check_drain(&d, c, 0, "ratio");
    check_drain(&d, c, 0, "sink");
    check_drain(&d, c, 1, "others");
    check_drain(&d, c, 0, "each");
    check_head_norm(&d, c, "mean");
    check_head_norm(&d, c, "each");
    check_entropy_bound(&d, c);
    check_bounds_hold(&d);
    capture_free(c);
    case_close(&d);
}

#define CASE(id, name, length)                                                                                          \
    static void test_##id(void **state)                                                                                 \
    {                                                                                                                   \
        (void)state;                                                                                                    \
        check_case(name, length);                                                                                       \
    }
CASE(llama, "llama", 130)
CASE(gpt2, "gpt2", 9)
CASE(falcon_mqa, "falcon-mqa", 9)
CASE(bloom, "bloom", 9)
CASE(gemma2, "gemma2", 17)
CASE(gpt_oss, "gpt_oss", 100)
CASE(qwen3_next, "qwen3_next", 60)
CASE(deepseek_v3, "deepseek_v3", 9)
CASE(bert, "bert", 9)
CASE(modernbert, "modernbert", 17)
CASE(t5, "t5", 25)
CASE(vit, "vit", 1)

/* ---- without reference data ---- */

static void check_tiny(tiny_kind kind)
{
    tiny_model t;
    case_data d = {0};
    err e = {0};
    tiny_new(&t, kind);
    d.o.m = &t.m;
    assert_int_equal(runtime_new(&d.o.r, &t.m, 2, PRECISION_F32, &e), 0);
    d.ref.in = tiny_input(&t, 11, 7);
    capture *c = capture_run(&d.o, &d.ref.in);
    check_norms(&d, c);
    check_sink_column(&d, c, 0);
    check_gap(&d, c, 0, false);
    check_gap(&d, c, 3, true);
    check_drain(&d, c, 0, "ratio");
    check_drain(&d, c, 2, "each");
    check_head_norm(&d, c, "ratio");
    check_entropy_bound(&d, c);
    check_bounds_hold(&d);
    capture_free(c);
    runtime_free(d.o.r);
    tiny_free(&t);
}

static void test_tiny_models(void **state)
{
    (void)state;
    for (int k = TINY_DECODER; k <= TINY_LLAVA; k++)
        check_tiny((tiny_kind)k);
}

static const char every[] = "attention_outlier,attention_similarity,block_similarity,entropy_bound,entropy_bound_weights,"
                            "head_norm,inner_outlier,key_norm,mlp_similarity,query_norm,residual_norm,sink_cosine,"
                            "sink_logit_gap,sink_logit_norms,value_drain,value_norm";

static void test_threads_change_no_bit(void **state)
{
    (void)state;
    collected first = {0};
    for (int threads = 1; threads <= 5; threads += 2) {
        tiny_model t;
        opened o = {0};
        err e = {0};
        collected c = {0};
        tiny_new(&t, TINY_TRANSLATOR);
        o.m = &t.m;
        assert_int_equal(runtime_new(&o.r, &t.m, threads, PRECISION_F32, &e), 0);
        model_input in = tiny_input(&t, 31, 23);
        if (run_analysis_of(&c, &o, &in, every, NULL, NULL, 0, 0))
            fail_msg("%s", c.e.msg);
        runtime_free(o.r);
        tiny_free(&t);
        if (threads == 1) {
            first = c;
            assert_true(c.n_value > 100);
            continue;
        }
        assert_int_equal(c.n_value, first.n_value);
        for (int64_t i = 0; i < c.n_value; i++) {
            assert_string_equal(c.value[i].metric, first.value[i].metric);
            assert_memory_equal(&c.value[i].value, &first.value[i].value, sizeof c.value[i].value);
        }
        collected_free(&c);
    }
    collected_free(&first);
}

static void test_one_token(void **state)
{
    (void)state;
    tiny_model t;
    opened o = {0};
    collected c = {0};
    err e = {0};
    tiny_new(&t, TINY_DECODER);
    o.m = &t.m;
    assert_int_equal(runtime_new(&o.r, &t.m, 1, PRECISION_F32, &e), 0);
    model_input in = tiny_input(&t, 1, 0);
    assert_int_equal(run_analysis_of(&c, &o, &in, "sink_logit_gap,value_drain,residual_peak", NULL, NULL, 0, 0), 0);
    assert_int_equal(c.n_value, 0);
    collected_free(&c);
    assert_int_equal(run_analysis_of(&c, &o, &in, "entropy_bound,sink_cosine", NULL, NULL, 0, 0), 0);
    assert_int_equal(c.n_value, 2 * 2 * TINY_HEADS);
    assert_true(fabs(value_of(&c, "entropy_bound", 1, 1, NO_INDEX)) < 1e-6);
    collected_free(&c);
    static const char *const outside[] = {"sink-cosine-key=1", NULL};
    assert_int_equal(run_analysis_of(&c, &o, &in, "sink_cosine", outside, NULL, 0, 0), ERR_USAGE);
    assert_non_null(strstr(c.e.msg, "outside the prompt (1 token)"));
    runtime_free(o.r);
    tiny_free(&t);
}

/* A number that is none, in the stream of one token: a metric that reads it fails and gives no number for it. */
static void check_not_finite(tiny_kind kind, const char *name, const char *set1, const char *set2)
{
    const char *const sets[] = {set1, set1 ? set2 : NULL, NULL};
    tiny_model t;
    opened o = {0};
    collected c = {0};
    err e = {0};
    tiny_new(&t, kind);
    o.m = &t.m;
    ((float *)(uintptr_t)t.stacks[0].embed.positions.data)[4 * TINY_WIDTH + 2] = NAN;
    assert_int_equal(runtime_new(&o.r, &t.m, 2, PRECISION_F32, &e), 0);
    model_input in = tiny_input(&t, 11, 7);
    if (run_analysis_of(&c, &o, &in, name, sets, NULL, 0, 0) != ERR_FAILED || !strstr(c.e.msg, "not finite"))
        fail_msg("%s %s gives numbers (%s)", name, set1 ? set1 : "", c.e.msg);
    collected_free(&c);
    runtime_free(o.r);
    tiny_free(&t);
}

static void test_streams_that_are_not_finite(void **state)
{
    (void)state;
    static const struct { const char *name, *set1, *set2; } cases[] = {
        {"attention_outlier", "attention-outlier-form=count", NULL},
        {"attention_outlier", "attention-outlier-form=keys", NULL},
        {"detect", "detect-pattern=previous_token_head", NULL},
        {"span_mass", "span-tokens=1-2", "span-rows=each"},
        {"span_shift", "span-tokens=1-2", NULL},
        {"span_shift", "span-tokens=1-2", "span-shift=keys"},
        {"activation_outlier", "activation-outlier-form=tokens", NULL},
        {"inner_outlier", "inner-outlier-form=each", NULL},
        {"massive_channel", NULL, NULL},
        {"massive_count", NULL, NULL},
        {"massive_top", NULL, NULL},
        {"residual_peak", "residual-peak-against=max", NULL},
        {"sink_token", "sink-token-form=count", NULL},
        {"sink_token", "sink-token-form=tokens", NULL},
        {"entropy_bound_weights", NULL, NULL},
        {"adl", NULL, NULL},
        {"adl", "adl-threshold=0", NULL},
        {"attribution_bias", NULL, NULL},
        {"attribution_position", NULL, NULL},
        {"flexprefill", "flexprefill-block=4", NULL},
        {"flow", NULL, NULL},
        {"flow", "flow-residual=false", NULL},
        {"jsd", NULL, NULL},
        {"jsd_layers", NULL, NULL},
        {"layer_similarity", NULL, NULL},
        {"layer_similarity", "layer-similarity-leave-out=both", NULL},
        {"logit_lens_kl", NULL, NULL},
        {"logit_lens_rank", "logit-lens-positions=auto", "logit-lens-token=3"},
        {"participation", NULL, NULL},
        {"row_cosine", NULL, NULL},
        {"row_cosine", "row-cosine-leave-out=both", NULL},
        {"stable_rank", NULL, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_not_finite(TINY_DECODER, cases[i].name, cases[i].set1, cases[i].set2);
    check_not_finite(TINY_TRANSLATOR, "attribution_cross", NULL, NULL);
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_llama), cmocka_unit_test(test_gpt2), cmocka_unit_test(test_falcon_mqa),
        cmocka_unit_test(test_bloom), cmocka_unit_test(test_gemma2), cmocka_unit_test(test_gpt_oss),
        cmocka_unit_test(test_qwen3_next), cmocka_unit_test(test_deepseek_v3), cmocka_unit_test(test_bert),
        cmocka_unit_test(test_modernbert), cmocka_unit_test(test_t5), cmocka_unit_test(test_vit),
        cmocka_unit_test(test_tiny_models), cmocka_unit_test(test_threads_change_no_bit),
        cmocka_unit_test(test_one_token), cmocka_unit_test(test_streams_that_are_not_finite),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
