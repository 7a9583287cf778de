/* Weights of heads in all layouts, and the metrics of weights against dense products, known matrices and numpy. */
#include "tests/model_run.h"

#include "analysis/copying.h"
#include "analysis/head_weights.h"
#include "analysis/linalg.h"
#include "analysis/spectrum.h"
#include "tests/metric_feed.h"
#include "tests/tiny_model.h"

/* cmocka's own compares as float. */
#define assert_near(a, b, room) \
    do { \
        double a_ = (double)(a), b_ = (double)(b); \
        if (!(fabs(a_ - b_) <= (room))) \
            fail_msg("%.17g is not %.17g", a_, b_); \
    } while (0)

/* A metric of weights on a model; settings "a=b" or NULL, two at most. */
static void weigh(emitted *out, const char *name, const model *m, runtime *r, attn_kind kind, const char *const *settings)
{
    const metric *x = metric_find(name);
    assert_non_null(x);
    params *p = feed_params(x, NULL);
    err e = {0};
    for (int i = 0; settings && settings[i]; i++) {
        char option[64];
        const char *eq = strchr(settings[i], '=');
        snprintf(option, sizeof option, "%.*s", (int)(eq - settings[i]), settings[i]);
        assert_int_equal(params_set(p, option, eq + 1, &e), 0);
    }
    metric_ctx c = {.m = x, .p = p, .n_layer = model_stack(m, kind)->n_layer, .kind = kind, .model = m, .run = r,
                    .placeholder = -1};
    const result_sink sink = {emitted_add, NULL, out};
    *out = (emitted){0};
    if (x->weights(&c, &sink, NULL, &e))
        fail_msg("%s: %s", name, e.msg);
    params_free(p);
}

static double weight_value(const emitted *v, int layer, int head, int64_t position)
{
    for (int64_t i = 0; i < v->n; i++)
        if (v->v[i].layer == layer && v->v[i].head == head && v->v[i].position == position)
            return v->v[i].value;
    fail_msg("no value of L%dH%d at %lld", layer, head, (long long)position);
    return 0;
}

/* ---- layouts ---- */

static void test_layouts(void **state)
{
    (void)state;
    enum { OUT = 8, IN = 3 };
    float plain[OUT * IN], stored[OUT * IN], spread[3 * OUT * IN], *copy;
    err e = {0};
    for (int i = 0; i < OUT * IN; i++)
        plain[i] = (float)(i * i % 37);
    weight w = {.type = DT_F32, .data = plain, .n_out = OUT, .n_in = IN, .ld = IN};
    assert_int_equal(weight_copy(&copy, &w, &e), 0);
    assert_memory_equal(copy, plain, sizeof plain);
    free(copy);

    for (int o = 0; o < OUT; o++)
        for (int i = 0; i < IN; i++)
            stored[i * OUT + o] = plain[o * IN + i];
    weight turned = {.type = DT_F32, .data = stored, .n_out = OUT, .n_in = IN, .ld = OUT, .transposed = true};
    assert_int_equal(weight_copy(&copy, &turned, &e), 0);
    assert_memory_equal(copy, plain, sizeof plain);
    free(copy);

    float halves[OUT * IN]; /* heads of 4 rows, halves interleaved */
    for (int o = 0; o < OUT; o++)
        memcpy(halves + (o / 4 * 4 + 2 * (o % 4 % 2) + o % 4 / 2) * IN, plain + o * IN, IN * sizeof(float));
    w.data = halves;
    w.paired = 4;
    assert_int_equal(weight_copy(&copy, &w, &e), 0);
    assert_memory_equal(copy, plain, sizeof plain);
    free(copy);

    for (int o = 0; o < OUT; o++) /* blocks of 2 rows, 6 apart */
        memcpy(spread + (o / 2 * 6 + o % 2) * IN, plain + o * IN, IN * sizeof(float));
    w = (weight){.type = DT_F32, .data = spread, .n_out = OUT, .n_in = IN, .ld = IN, .row_block = 2, .row_stride = 6};
    assert_int_equal(weight_copy(&copy, &w, &e), 0);
    assert_memory_equal(copy, plain, sizeof plain);
    free(copy);
}

/* A decoder with grouped heads, gains everywhere, a LayerNorm in layer 1. */
static void grouped(tiny_model *t)
{
    tiny_new(t, TINY_DECODER);
    for (int l = 0; l < 2; l++) {
        model_layer *y = &t->layers[0][l];
        y->self.plan.n_kv_head = 1;
        y->self.k = tiny_weight(t, TINY_WIDTH / 2, TINY_WIDTH);
        y->self.v = tiny_weight(t, TINY_WIDTH / 2, TINY_WIDTH);
        y->at_self.pre.w = tiny_numbers(t, TINY_WIDTH, 1);
        y->at_self.pre.kind = l ? NORM_LAYER : NORM_RMS;
        y->at_self.gain = tiny_numbers(t, TINY_WIDTH, 1);
        y->at_self.scale = 0.5f;
    }
    t->stacks[0].final_norm.w = tiny_numbers(t, TINY_WIDTH, 1);
}

enum { C = TINY_WIDTH, D = TINY_WIDTH / TINY_HEADS };

/* W [C, D] of a head in double, straight from the stored arrays; O comes as [D, C]. */
static void dense_head(double w[C * D], const model *m, int layer, head_part part, int head, bool fold)
{
    const model_layer *y = &m->main->layers[layer];
    const attention_block *b = &y->self;
    const weight *from = part == HEAD_Q ? &b->q : part == HEAD_K ? &b->k : part == HEAD_V ? &b->v : &b->out;
    const float *x = from->data, *g = y->at_self.pre.w;
    int h = part == HEAD_Q || part == HEAD_O ? head : head * b->plan.n_kv_head / b->plan.n_head;
    for (int c = 0; c < C; c++)
        for (int j = 0; j < D; j++)
            if (part == HEAD_O)
                w[j * C + c] = (double)x[c * C + h * D + j] * (fold ? (double)y->at_self.gain[c] * 0.5 : 1);
            else
                w[c * D + j] = (double)x[(h * D + j) * C + c] * (fold ? (double)g[c] : 1);
    for (int j = 0; j < D && fold && layer == 1; j++) { /* beside the LayerNorm */
        double mean = 0;
        for (int c = 0; c < C; c++)
            mean += (part == HEAD_O ? w[j * C + c] : w[c * D + j]) / C;
        for (int c = 0; c < C; c++)
            *(part == HEAD_O ? &w[j * C + c] : &w[c * D + j]) -= mean;
    }
}

/* W_QK or W_OV [C, C], or its transpose. */
static void dense_circuit(double w[C * C], const model *m, int layer, int head, bool ov, bool turned, bool fold)
{
    double a[C * D], b[C * D], y[C * C];
    dense_head(a, m, layer, ov ? HEAD_V : HEAD_Q, head, fold);
    dense_head(b, m, layer, ov ? HEAD_O : HEAD_K, head, fold);
    if (ov)
        linalg_times(y, a, b, C, C, D);
    else
        linalg_times_transposed(y, a, b, C, C, D);
    for (int i = 0; i < C; i++)
        for (int j = 0; j < C; j++)
            w[turned ? j * C + i : i * C + j] = y[i * C + j];
}

static void test_composition_is_the_dense_product(void **state)
{
    (void)state;
    static const char *const names[] = {"composition_q", "composition_k", "composition_v"};
    static const char *const bare[] = {"composition-fold=false", "composition-center=false", NULL};
    static const char *const less[] = {"composition-baseline=true", NULL};
    tiny_model t;
    err e = {0};
    runtime *r;
    grouped(&t);
    assert_int_equal(runtime_new(&r, &t.m, 2, PRECISION_F32, &e), 0);
    for (int kind = 0; kind < 3; kind++)
        for (int fold = 0; fold < 2; fold++) {
            emitted v, minus;
            weigh(&v, names[kind], &t.m, r, ATTN_SELF, fold ? NULL : bare);
            assert_int_equal(v.n, 4);
            for (int h2 = 0; h2 < 2; h2++)
                for (int h1 = 0; h1 < 2; h1++) {
                    double a[C * C], b[C * C], y[C * C];
                    dense_circuit(a, &t.m, 0, h1, true, false, fold);
                    dense_circuit(b, &t.m, 1, h2, kind == 2, kind == 1, fold);
                    linalg_times(y, a, b, C, C, C);
                    double score = linalg_norm(y, C * C) / linalg_norm(a, C * C) / linalg_norm(b, C * C);
                    assert_near(weight_value(&v, 1, h2, h1), score, 1e-6);
                    assert_in_range((int)(score * 1000), 1, 1000);
                }
            if (fold) {
                weigh(&minus, names[kind], &t.m, r, ATTN_SELF, less);
                assert_near(minus.v[2].value, v.v[2].value - 1 / sqrt(8), 1e-12);
                emitted_free(&minus);
            }
            emitted_free(&v);
        }
    runtime_free(r);
    tiny_free(&t);
}

static void test_spectra_and_copying_are_the_dense_ones(void **state)
{
    (void)state;
    tiny_model t;
    grouped(&t);
    for (int ov = 0; ov < 2; ov++) {
        emitted all, most, rank, copy;
        weigh(&all, ov ? "ov_spectrum" : "qk_spectrum", &t.m, NULL, ATTN_SELF, NULL);
        weigh(&most, ov ? "ov_largest" : "qk_largest", &t.m, NULL, ATTN_SELF, NULL);
        weigh(&rank, ov ? "ov_rank" : "qk_rank", &t.m, NULL, ATTN_SELF, NULL);
        weigh(&copy, "copying", &t.m, NULL, ATTN_SELF, NULL);
        assert_int_equal(all.n, 2 * 2 * D);
        for (int l = 0; l < 2; l++)
            for (int h = 0; h < 2; h++) {
                double w[C * C], s[C], score;
                bool any;
                err e = {0};
                dense_circuit(w, &t.m, l, h, ov, false, true);
                assert_int_equal(linalg_singular_values(s, w, C, C, &e), 0);
                for (int i = 0; i < C; i++)
                    if (i < D)
                        assert_near(weight_value(&all, l, h, i), s[i], 1e-6);
                    else
                        assert_near(s[i], 0, 1e-6);
                assert_near(weight_value(&most, l, h, NO_INDEX), s[0], 1e-6);
                assert_near(weight_value(&rank, l, h, NO_INDEX), effective_rank(s, D), 1e-6);
                dense_circuit(w, &t.m, l, h, true, false, true);
                assert_int_equal(copying_score(&score, &any, w, C, &e), 0);
                assert_near(weight_value(&copy, l, h, NO_INDEX), score, 1e-5);
            }
        emitted_free(&all);
        emitted_free(&most);
        emitted_free(&rank);
        emitted_free(&copy);
    }
    tiny_free(&t);
}

/* W_E W_OV W_U [V, V] as it is written down. */
static void test_full_copying_is_the_dense_one(void **state)
{
    (void)state;
    enum { V = TINY_VOCAB };
    tiny_model t;
    emitted v;
    grouped(&t);
    weigh(&v, "copying_full", &t.m, NULL, ATTN_SELF, NULL);
    const float *in = t.m.main->embed.tokens.data, *out = t.m.head.unembedding.data;
    for (int l = 0; l < 2; l++)
        for (int h = 0; h < 2; h++) {
            double ov[C * C], embed[V * C], unembed[V * C], half[V * C], full[V * V], score;
            bool any;
            err e = {0};
            dense_circuit(ov, &t.m, l, h, true, false, true);
            for (int c = 0; c < C; c++) {
                double mean = 0;
                for (int i = 0; i < V; i++)
                    mean += (double)out[i * C + c] / V;
                for (int i = 0; i < V; i++) {
                    embed[i * C + c] = (double)in[i * C + c];
                    unembed[i * C + c] = ((double)out[i * C + c] - mean) * (double)t.stacks[0].final_norm.w[c];
                }
            }
            linalg_times(half, embed, ov, V, C, C);
            linalg_times_transposed(full, half, unembed, V, V, C);
            assert_int_equal(copying_score(&score, &any, full, V, &e), 0);
            assert_near(weight_value(&v, l, h, NO_INDEX), score, 1e-5);
        }
    emitted_free(&v);
    tiny_free(&t);
}

/* ---- known matrices ---- */

/* Head 0 of a layer: W_V takes channels from.. to its dimensions, W_O writes them to channels to.., times by. */
static void carry(tiny_model *t, int layer, int from, int to, float by)
{
    attention_block *b = &t->layers[0][layer].self;
    float *v = (float *)(uintptr_t)b->v.data, *o = (float *)(uintptr_t)b->out.data;
    memset(v, 0, C * C * sizeof *v);
    memset(o, 0, C * C * sizeof *o);
    for (int j = 0; j < D; j++) {
        v[j * C + from + j] = 1;
        o[(to + j) * C + j] = by;
    }
}

static void test_known_heads(void **state)
{
    (void)state;
    tiny_model t;
    emitted v;
    err e = {0};
    runtime *r;
    tiny_new(&t, TINY_DECODER);
    assert_int_equal(runtime_new(&r, &t.m, 1, PRECISION_F32, &e), 0);
    carry(&t, 0, 0, 0, 2);   /* copies */
    carry(&t, 1, 0, 0, -3);  /* takes away */
    weigh(&v, "copying", &t.m, r, ATTN_SELF, NULL);
    assert_int_equal(v.n, 2); /* heads 1 write nothing: they have no eigenvalue to tell of */
    assert_near(weight_value(&v, 0, 0, NO_INDEX), 1, 1e-12);
    assert_near(weight_value(&v, 1, 0, NO_INDEX), -1, 1e-12);
    emitted_free(&v);
    weigh(&v, "ov_rank", &t.m, r, ATTN_SELF, NULL);
    assert_near(weight_value(&v, 0, 0, NO_INDEX), D, 1e-12);
    emitted_free(&v);
    weigh(&v, "ov_largest", &t.m, r, ATTN_SELF, NULL);
    assert_near(weight_value(&v, 1, 0, NO_INDEX), 3, 1e-12);
    emitted_free(&v);
    weigh(&v, "composition_v", &t.m, r, ATTN_SELF, NULL); /* what it wrote is all read: 1 / sqrt(D) of rank D */
    assert_int_equal(v.n, 1);
    assert_near(weight_value(&v, 1, 0, 0), 1 / sqrt(D), 1e-6);
    emitted_free(&v);
    carry(&t, 0, 0, D, 1);   /* writes where nobody reads */
    weigh(&v, "composition_v", &t.m, r, ATTN_SELF, NULL);
    assert_near(weight_value(&v, 1, 0, 0), 0, 1e-12);
    emitted_free(&v);
    float *o = (float *)(uintptr_t)t.layers[0][0].self.out.data; /* a quarter turn of two planes: i and -i */
    carry(&t, 0, 0, 0, 0);
    for (int j = 0; j < D; j++)
        o[(j ^ 1) * C + j] = j % 2 ? -1 : 1;
    weigh(&v, "copying", &t.m, r, ATTN_SELF, NULL);
    assert_near(weight_value(&v, 0, 0, NO_INDEX), 0, 1e-12);
    emitted_free(&v);
    runtime_free(r);
    tiny_free(&t);
}

static void test_effective_rank(void **state)
{
    (void)state;
    const double one[] = {5, 0, 0}, even[] = {2, 2, 2, 2}, none[] = {0, 0};
    assert_near(effective_rank(one, 3), 1, 1e-14);
    assert_near(effective_rank(even, 4), 4, 1e-13);
    assert_true(effective_rank(none, 2) == 0);
}

/* Latent attention: the product of both factors, with the gain between them. */
static void test_latent_heads(void **state)
{
    (void)state;
    enum { RANK = 3, NOPE = 3, ROPE = 1 };
    tiny_model t;
    err e = {0};
    tiny_new(&t, TINY_DECODER);
    attention_block *b = &t.layers[0][0].self;
    latent low = {.kv_rank = RANK, .d_nope = NOPE, .d_rope = ROPE};
    low.kv_down = tiny_weight(&t, RANK + ROPE, C);
    low.k_up = tiny_weight(&t, TINY_HEADS * NOPE, RANK);
    low.v_up = tiny_weight(&t, TINY_HEADS * D, RANK);
    low.kv_norm = (norm){.kind = NORM_RMS, .w = tiny_numbers(&t, RANK, 1)};
    b->mla = &low;
    head_matrices k, v;
    assert_int_equal(head_weights_load(&k, &t.m, ATTN_SELF, 0, HEAD_K, (head_fold){false, false}, &e), 0);
    assert_int_equal(head_weights_load(&v, &t.m, ATTN_SELF, 0, HEAD_V, (head_fold){false, false}, &e), 0);
    const float *down = low.kv_down.data, *k_up = low.k_up.data, *v_up = low.v_up.data;
    for (int h = 0; h < TINY_HEADS; h++)
        for (int j = 0; j < D; j++)
            for (int c = 0; c < C; c++) {
                double key = 0, value = 0;
                for (int i = 0; i < RANK; i++) {
                    double x = (double)low.kv_norm.w[i] * (double)down[i * C + c];
                    key += j < NOPE ? x * (double)k_up[(h * NOPE + j) * RANK + i] : 0;
                    value += x * (double)v_up[(h * D + j) * RANK + i];
                }
                if (j >= NOPE)
                    key = (double)down[(RANK + j - NOPE) * C + c];
                assert_near(k.x[(h * D + j) * C + c], key, 1e-6);
                assert_near(v.x[(h * D + j) * C + c], value, 1e-6);
            }
    free(k.x);
    free(v.x);
    tiny_free(&t);
}

/* ---- the bundled model ---- */

static void test_bundled_model_as_numpy_has_it(void **state)
{
    (void)state;
#include "tests/weights_numpy.h"
    path_text path;
    source_path(path, "examples/models/lantern-3m");
    opened o = open_model(path, 1), many = open_model(path, 3);
    for (size_t i = 0; i < sizeof numpy / sizeof *numpy; i++) {
        emitted v, again;
        weigh(&v, numpy[i].metric, o.m, o.r, ATTN_SELF, NULL);
        weigh(&again, numpy[i].metric, many.m, many.r, ATTN_SELF, NULL);
        assert_int_equal(v.n, again.n);
        for (int64_t k = 0; k < v.n; k++)
            assert_true(v.v[k].value == again.v[k].value);
        double x = weight_value(&v, numpy[i].layer, numpy[i].head, numpy[i].position);
        if (fabs(x - numpy[i].value) > 1e-6 * fabs(numpy[i].value))
            fail_msg("%s: %.9g, numpy has %.9g", numpy[i].metric, x, numpy[i].value);
        emitted_free(&v);
        emitted_free(&again);
    }
    close_model(&o);
    close_model(&many);
}

static void test_no_memory_leaves_nothing(void **state)
{
    (void)state;
    static const char *const names[] = {"composition_q", "copying_full", "ov_spectrum"};
    tiny_model t;
    err e = {0};
    runtime *r;
    grouped(&t);
    assert_int_equal(runtime_new(&r, &t.m, 1, PRECISION_F32, &e), 0);
    for (int i = 0; i < 3; i++) {
        const metric *x = metric_find(names[i]);
        params *p = feed_params(x, NULL);
        int failures = 0, rc = ERR_RESOURCE;
        for (long nth = 1; rc != 0 && nth < 1000; nth++) {
            metric_ctx c = {.m = x, .p = p, .n_layer = 2, .kind = ATTN_SELF, .model = &t.m, .run = r, .placeholder = -1};
            emitted out = {0};
            const result_sink sink = {emitted_add, NULL, &out};
            mem_fail_at(nth);
            rc = x->weights(&c, &sink, NULL, &e);
            mem_fail_at(0);
            emitted_free(&out);
            failures += rc != 0;
            assert_true(rc == 0 || rc == ERR_RESOURCE);
        }
        assert_int_equal(rc, 0);
        assert_in_range(failures, 5, 998);
        params_free(p);
    }
    runtime_free(r);
    tiny_free(&t);
}

static void test_weights_that_are_not_finite(void **state)
{
    (void)state;
    static const char *const names[] = {"composition_q", "copying", "qk_spectrum"};
    tiny_model t;
    err e = {0};
    runtime *r;
    grouped(&t);
    *(float *)(uintptr_t)t.layers[0][1].self.q.data = NAN;
    *(float *)(uintptr_t)t.layers[0][1].self.v.data = NAN;
    assert_int_equal(runtime_new(&r, &t.m, 1, PRECISION_F32, &e), 0);
    for (int i = 0; i < 3; i++) {
        const metric *x = metric_find(names[i]);
        params *p = feed_params(x, NULL);
        metric_ctx c = {.m = x, .p = p, .n_layer = 2, .kind = ATTN_SELF, .model = &t.m, .run = r, .placeholder = -1};
        emitted out = {0};
        const result_sink sink = {emitted_add, NULL, &out};
        assert_int_equal(x->weights(&c, &sink, NULL, &e), ERR_FAILED);
        assert_non_null(strstr(e.msg, "not finite"));
        emitted_free(&out);
        params_free(p);
    }
    runtime_free(r);
    tiny_free(&t);
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layouts),
        cmocka_unit_test(test_composition_is_the_dense_product),
        cmocka_unit_test(test_spectra_and_copying_are_the_dense_ones),
        cmocka_unit_test(test_full_copying_is_the_dense_one),
        cmocka_unit_test(test_known_heads),
        cmocka_unit_test(test_effective_rank),
        cmocka_unit_test(test_latent_heads),
        cmocka_unit_test(test_bundled_model_as_numpy_has_it),
        cmocka_unit_test(test_no_memory_leaves_nothing),
        cmocka_unit_test(test_weights_that_are_not_finite),
    };
    return cmocka_run_group_tests_name("weights", tests, NULL, NULL);
}
