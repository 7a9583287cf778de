/* Direct logit attribution and the logit lens: parts that add up to the model's logits, second implementations. */
#include "tests/model_run.h"

#include "analysis/attribution.h"
#include "tests/family_cases.h"
#include "tests/tiny_model.h"

/* cmocka's own compares as float. */
#define assert_near(a, b, room) \
    do { \
        double a_ = (double)(a), b_ = (double)(b); \
        if (!(fabs(a_ - b_) <= (room))) \
            fail_msg("%.17g is not %.17g", a_, b_); \
    } while (0)

static const char *const every_part = "attribution,attribution_cross,attribution_mlp,attribution_bias,"
                                      "attribution_embedding,attribution_position,attribution_logit";

static double sum_of(const collected *c, const char *name)
{
    double sum = 0;
    for (int64_t i = 0; i < c->n_value; i++)
        if (strcmp(c->value[i].metric, name) == 0)
            sum += c->value[i].value;
    return sum;
}

static double sum_of_parts(const collected *c)
{
    double sum = 0;
    for (int64_t i = 0; i < c->n_value; i++)
        if (strcmp(c->value[i].metric, "attribution_logit") != 0)
            sum += c->value[i].value;
    return sum;
}

/* The logits of one position. */
typedef struct wanted { int64_t position; float *logits; } wanted;

static int on_logits(void *ud, int64_t pos0, const float *z, int64_t n, int64_t vocab, err *e)
{
    const wanted *w = ud;
    (void)e;
    if (w->position >= pos0 && w->position < pos0 + n)
        memcpy(w->logits, z + (w->position - pos0) * vocab, (size_t)vocab * sizeof *z);
    return 0;
}

static float *logits_at(const opened *o, const model_input *in, int64_t position)
{
    wanted w = {position, calloc((size_t)o->m->vocab, sizeof(float))};
    const observer watch = {.logits = on_logits, .ud = &w};
    err e = {0};
    assert_non_null(w.logits);
    assert_int_equal(forward(o->r, in, &watch, NULL, &e), 0);
    return w.logits;
}

static double before_cap(const model *m, float z)
{
    double cap = (double)m->head.softcap;
    return cap > 0 ? cap * atanh((double)z / cap) : (double)z;
}

/* The parts against the logits that the model itself gives, for two tokens and two positions. */
static void check_sum(const opened *o, const char *name, const model_input *in)
{
    for (int64_t position = in->n - 1; position >= 1; position -= in->n - 2)
        for (int pair = 0; pair < 2; pair++) {
            char at[64], token_text_[64], against[64];
            snprintf(at, sizeof at, "attribution-position=%lld", (long long)position);
            snprintf(token_text_, sizeof token_text_, "attribution-token=%d", 5);
            snprintf(against, sizeof against, "attribution-against=%d", 11);
            const char *const settings[] = {at, token_text_, pair ? against : NULL, NULL};
            collected c = {0};
            if (run_analysis_of(&c, o, in, every_part, settings, NULL, 0, 0))
                fail_msg("%s: %s", name, c.e.msg);
            float *z = logits_at(o, in, position);
            double logit = before_cap(o->m, z[5]) - (pair ? before_cap(o->m, z[11]) : 0), size = 0;
            for (int64_t i = 0; i < c.n_value; i++)
                size += fabs(c.value[i].value);
            if (fabs(sum_of(&c, "attribution_logit") - logit) > 1e-4 * (1 + fabs(logit)))
                fail_msg("%s: logit %.9g, the model's %.9g", name, sum_of(&c, "attribution_logit"), logit);
            if (fabs(sum_of_parts(&c) - logit) > 1e-4 * (1 + fabs(logit)) + 1e-6 * size)
                fail_msg("%s: parts add up to %.9g, the logit is %.9g", name, sum_of_parts(&c), logit);
            free(z);
            collected_free(&c);
        }
}

/* All families whose stream is a sum and that read tokens alone; returns how many. */
static int check_cases(const char *root)
{
    static model_case cases[CASES_MAX];
    int n = list_cases(cases, root), done = 0;
    for (int i = 0; i < n; i++) {
        model *m;
        err e = {0};
        int32_t ids[] = {3, 5, 7, 11, 2, 9, 4}, source[] = {4, 8, 3};
        if (model_open(&m, cases[i].path, &e))
            fail_msg("%s: %s", cases[i].name, e.msg);
        opened o = {.m = m};
        bool reads = !(m->needs & (unsigned)(NEEDS_PIXELS | NEEDS_FEATURES));
        if (reads && metric_applies(metric_find("attribution"), m, ATTN_SELF)) {
            model_input in = {.ids = ids, .n = 7};
            if (m->needs & NEEDS_SOURCE) {
                in.source = source;
                in.n_source = 3;
            }
            assert_int_equal(runtime_new(&o.r, m, 2, PRECISION_F32, &e), 0);
            check_sum(&o, cases[i].name, &in);
            runtime_free(o.r);
            done++;
        }
        model_free(m);
    }
    return done;
}

static void test_parts_add_up_in_the_families_at_hand(void **state)
{
    (void)state;
    char root[CASE_PATH];
    carried_path(root, "");
    assert_true(check_cases(root) >= 5);
}

static void test_parts_add_up_in_all_families(void **state)
{
    (void)state;
    path_text root;
    shared_path(root, "golden");
    assert_true(check_cases(root) >= 30);
}

static void test_bundled_model(void **state)
{
    (void)state;
    path_text path;
    int32_t ids[] = {0, 300, 17, 45, 900, 300};
    collected c[2] = {0};
    source_path(path, "examples/models/lantern-3m");
    for (int k = 0; k < 2; k++) {
        opened o = open_model(path, k ? 3 : 1);
        const model_input in = {.ids = ids, .n = 6};
        assert_int_equal(run_analysis_of(&c[k], &o, &in, every_part, NULL, NULL, 0, 0), 0);
        assert_near(sum_of_parts(&c[k]), sum_of(&c[k], "attribution_logit"), 1e-4);
        float *z = logits_at(&o, &in, 5), largest = z[0];
        for (int64_t v = 1; v < o.m->vocab; v++)
            largest = z[v] > largest ? z[v] : largest;
        assert_near(sum_of(&c[k], "attribution_logit"), largest, 1e-4);
        free(z);
        close_model(&o);
    }
    assert_int_equal(c[0].n_value, c[1].n_value);
    for (int64_t i = 0; i < c[0].n_value; i++)
        assert_true(c[0].value[i].value == c[1].value[i].value);
    collected_free(&c[0]);
    collected_free(&c[1]);
}

/* ---- heads once more, from the observer ---- */

typedef struct heads_seen { float at[4][TINY_WIDTH], last[TINY_WIDTH]; int64_t position; } heads_seen;

static int see_heads(void *ud, const head_outputs *h, err *e)
{
    heads_seen *s = ud;
    (void)e;
    memcpy(s->at[h->layer], h->heads + s->position * h->width, sizeof s->at[0]);
    return 0;
}

static int see_stream(void *ud, attn_kind kind, int layer, const float *x, int64_t n, int64_t width, err *e)
{
    heads_seen *s = ud;
    (void)kind;
    (void)n;
    (void)e;
    if (layer == 2)
        memcpy(s->last, x + s->position * width, sizeof s->last);
    return 0;
}

static void test_heads_by_their_vectors(void **state)
{
    (void)state;
    enum { C = TINY_WIDTH, D = TINY_WIDTH / TINY_HEADS };
    static const char *const settings[] = {"attribution-position=3", "attribution-token=4", NULL};
    for (int layer_norm = 0; layer_norm < 2; layer_norm++) {
        tiny_model t;
        collected c = {0};
        err e = {0};
        opened o = {0};
        heads_seen s = {.position = 3};
        tiny_new(&t, TINY_DECODER);
        norm *f = &t.stacks[0].final_norm;
        f->kind = layer_norm ? NORM_LAYER : NORM_RMS;
        f->w = tiny_numbers(&t, C, 1);
        f->b = layer_norm ? tiny_numbers(&t, C, 1) : NULL;
        t.m.head.scale = 0.5f;
        o.m = &t.m;
        assert_int_equal(runtime_new(&o.r, &t.m, 1, PRECISION_F32, &e), 0);
        model_input in = tiny_input(&t, 6, 0);
        const observer watch = {.heads = see_heads, .hidden = see_stream, .ud = &s};
        assert_int_equal(forward(o.r, &in, &watch, NULL, &e), 0);
        assert_int_equal(run_analysis_of(&c, &o, &in, every_part, settings, NULL, 0, 0), 0);
        double mean = 0, square = 0;
        for (int i = 0; i < C; i++)
            mean += layer_norm ? (double)s.last[i] / C : 0;
        for (int i = 0; i < C; i++)
            square += ((double)s.last[i] - mean) * ((double)s.last[i] - mean) / C;
        const float *unembedding = t.m.head.unembedding.data;
        for (int l = 0; l < 2; l++)
            for (int h = 0; h < TINY_HEADS; h++) {
                const float *out = t.layers[0][l].self.out.data;
                double r[C], r_mean = 0, sum = 0;
                for (int i = 0; i < C; i++) {
                    r[i] = 0;
                    for (int k = h * D; k < (h + 1) * D; k++)
                        r[i] += (double)out[i * C + k] * (double)s.at[l][k];
                    r_mean += layer_norm ? r[i] / C : 0;
                }
                for (int i = 0; i < C; i++)
                    sum += (r[i] - r_mean) / sqrt(square + 1e-6) * (double)f->w[i] * (double)unembedding[4 * C + i] * 0.5;
                assert_near(value_of(&c, "attribution", l, h, NO_INDEX), sum, 1e-6);
            }
        assert_near(sum_of_parts(&c), sum_of(&c, "attribution_logit"), 1e-5);
        collected_free(&c);
        runtime_free(o.r);
        tiny_free(&t);
    }
}

static void test_streams_that_are_no_sum(void **state)
{
    (void)state;
    tiny_model t;
    const metric *m = metric_find("attribution");
    tiny_new(&t, TINY_DECODER);
    assert_null(attribution_unfit(&t.m, ATTN_SELF));
    assert_true(metric_applies(m, &t.m, ATTN_SELF));
    t.layers[0][1].at_mlp.after.kind = NORM_LAYER;
    assert_non_null(strstr(attribution_unfit(&t.m, ATTN_SELF), "post-norm"));
    assert_false(metric_applies(m, &t.m, ATTN_SELF));
    t.layers[0][1].at_mlp.after.kind = NORM_NONE;
    t.layers[0][0].at_self.residual_normed = true;
    assert_non_null(attribution_unfit(&t.m, ATTN_SELF));
    tiny_free(&t);
}

static void test_parts_that_a_model_has_not(void **state)
{
    (void)state;
    tiny_model t;
    const metric *cross = metric_find("attribution_cross"), *position = metric_find("attribution_position");
    tiny_new(&t, TINY_DECODER);
    assert_string_equal(cross->unfit(&t.m, ATTN_SELF), "it has no cross attention");
    assert_false(metric_applies_somewhere(cross, &t.m));
    assert_true(metric_applies(position, &t.m, ATTN_SELF));
    t.stacks[0].embed.norm.kind = NORM_LAYER;
    assert_string_equal(position->unfit(&t.m, ATTN_SELF), "its positions cannot be told from its tokens");
    t.stacks[0].embed.positions.data = NULL;
    assert_string_equal(position->unfit(&t.m, ATTN_SELF), "it has no learned positions");
    assert_false(metric_applies_somewhere(position, &t.m));
    tiny_free(&t);
    tiny_new(&t, TINY_TRANSLATOR);
    assert_true(metric_applies(cross, &t.m, ATTN_SELF));
    tiny_free(&t);
}

static void test_refusals(void **state)
{
    (void)state;
    static const struct { const char *setting, *message; } bad[] = {
        {"attribution-position=6", "attribution-position 6 is outside the prompt of 6 tokens"},
        {"attribution-token=20", "attribution-token: id 20 is outside the vocabulary"},
        {"attribution-against=moon", "attribution-against: 'moon' is a text, and there is no tokenizer"},
    };
    tiny_model t;
    err e = {0};
    opened o = {0};
    tiny_new(&t, TINY_DECODER);
    o.m = &t.m;
    assert_int_equal(runtime_new(&o.r, &t.m, 1, PRECISION_F32, &e), 0);
    model_input in = tiny_input(&t, 6, 0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const char *const settings[] = {bad[i].setting, NULL};
        collected c = {0};
        assert_int_equal(run_analysis_of(&c, &o, &in, "attribution", settings, NULL, 0, 0), ERR_USAGE);
        assert_string_equal(c.e.msg, bad[i].message);
        assert_true(c.e.hint[0]);
        collected_free(&c);
    }
    runtime_free(o.r);
    tiny_free(&t);
}

/* ---- the lens ---- */

typedef struct streams { float x[3][8][TINY_WIDTH]; } streams;

static int keep_streams(void *ud, attn_kind kind, int layer, const float *x, int64_t n, int64_t width, err *e)
{
    streams *s = ud;
    (void)kind;
    (void)e;
    memcpy(s->x[layer], x, (size_t)(n * width) * sizeof *x);
    return 0;
}

static void softmax_of(double p[TINY_VOCAB], const tiny_model *t, const float *x)
{
    const float *u = t->m.head.unembedding.data;
    double square = 0, sum = 0;
    for (int c = 0; c < TINY_WIDTH; c++)
        square += (double)x[c] * (double)x[c] / TINY_WIDTH;
    for (int v = 0; v < TINY_VOCAB; v++) {
        double z = 0;
        for (int c = 0; c < TINY_WIDTH; c++)
            z += (double)u[v * TINY_WIDTH + c] * (double)x[c] / sqrt(square + 1e-6);
        sum += p[v] = exp(z);
    }
    for (int v = 0; v < TINY_VOCAB; v++)
        p[v] /= sum;
}

static void test_lens_is_the_softmax_of_each_stream(void **state)
{
    (void)state;
    tiny_model t;
    collected c = {0};
    err e = {0};
    opened o = {0};
    streams s;
    tiny_new(&t, TINY_DECODER);
    o.m = &t.m;
    assert_int_equal(runtime_new(&o.r, &t.m, 2, PRECISION_F32, &e), 0);
    model_input in = tiny_input(&t, 7, 0);
    const observer watch = {.hidden = keep_streams, .ud = &s};
    assert_int_equal(forward(o.r, &in, &watch, NULL, &e), 0);
    assert_int_equal(run_analysis_of(&c, &o, &in, "logit_lens,logit_lens_rank,logit_lens_entropy,logit_lens_kl,nll", NULL,
                                     NULL, 0, 0), 0);
    for (int l = 0; l <= 2; l++)
        for (int i = 0; i < 7; i++) {
            double p[TINY_VOCAB], final[TINY_VOCAB], entropy = 0, kl = 0, rank = 0;
            softmax_of(p, &t, s.x[l][i]);
            softmax_of(final, &t, s.x[2][i]);
            for (int v = 0; v < TINY_VOCAB; v++) {
                entropy -= p[v] * log(p[v]);
                kl += final[v] * log(final[v] / p[v]);
            }
            assert_near(value_of(&c, "logit_lens_entropy", l, NO_INDEX, i), entropy, 1e-5);
            assert_near(value_of(&c, "logit_lens_kl", l, NO_INDEX, i), kl, 1e-5);
            if (i == 6)
                continue; /* nothing follows */
            for (int v = 0; v < TINY_VOCAB; v++)
                rank += p[v] > p[in.ids[i + 1]];
            assert_near(value_of(&c, "logit_lens", l, NO_INDEX, i), p[in.ids[i + 1]], 1e-6);
            assert_near(value_of(&c, "logit_lens_rank", l, NO_INDEX, i), rank, 0);
        }
    for (int i = 0; i < 6; i++) /* the last layer is the model */
        assert_near(-log(value_of(&c, "logit_lens", 2, NO_INDEX, i)), value_of(&c, "nll", NO_INDEX, NO_INDEX, i + 1), 1e-6);
    collected_free(&c);
    static const char *const one[] = {"logit-lens-positions=-1,2", "logit-lens-token=7", NULL};
    assert_int_equal(run_analysis_of(&c, &o, &in, "logit_lens,logit_lens_logit", one, NULL, 0, 0), 0);
    assert_int_equal(c.n_value, 2 * 2 * 3);
    double p[TINY_VOCAB];
    softmax_of(p, &t, s.x[1][6]);
    assert_near(value_of(&c, "logit_lens", 1, NO_INDEX, 6), p[7], 1e-6);
    collected_free(&c);
    runtime_free(o.r);
    tiny_free(&t);
}

static void test_no_memory_leaves_nothing(void **state)
{
    (void)state;
    tiny_model t;
    err e = {0};
    opened o = {0};
    int failures = 0, rc = ERR_RESOURCE;
    tiny_new(&t, TINY_DECODER);
    o.m = &t.m;
    assert_int_equal(runtime_new(&o.r, &t.m, 1, PRECISION_F32, &e), 0);
    model_input in = tiny_input(&t, 5, 0);
    const metric *list[] = {metric_find("attribution"), metric_find("attribution_bias"), metric_find("logit_lens_kl")};
    enum { N = sizeof list / sizeof *list };
    params *p;
    assert_int_equal(params_new(&p, &e), 0);
    for (int i = 0; i < N; i++)
        assert_int_equal(params_use(p, list[i]->params, &e), 0);
    const analysis_request req = {.metrics = list, .n_metric = N, .p = p};
    for (long nth = 1; rc != 0 && nth < 2000; nth++) {
        collected c = {0};
        const result_sink sink = {collect_value, collect_map, &c};
        mem_fail_at(nth);
        rc = analyse(o.r, o.m, &in, &req, &sink, NULL, &e);
        mem_fail_at(0);
        collected_free(&c);
        failures += rc != 0;
        assert_true(rc == 0 || rc == ERR_RESOURCE);
    }
    assert_int_equal(rc, 0);
    assert_in_range(failures, 10, 1998);
    params_free(p);
    runtime_free(o.r);
    tiny_free(&t);
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts_add_up_in_the_families_at_hand),
        cmocka_unit_test(test_parts_add_up_in_all_families),
        cmocka_unit_test(test_bundled_model),
        cmocka_unit_test(test_heads_by_their_vectors),
        cmocka_unit_test(test_streams_that_are_no_sum), cmocka_unit_test(test_parts_that_a_model_has_not),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_lens_is_the_softmax_of_each_stream),
        cmocka_unit_test(test_no_memory_leaves_nothing),
    };
    return cmocka_run_group_tests_name("attribution", tests, NULL, NULL);
}
