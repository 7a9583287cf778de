/* Edits in whole runs: what changes nothing changes no bit, edits against changed weights, against what the heads read, and
 * decoding against the whole sequence. */
#include "tests/model_run.h"
#include "tests/tiny_model.h"
#include "analysis/edit.h"

static const int32_t text_ids[] = {0, 806, 308, 260, 1092, 793, 13, 278, 264, 693, 440};
static const int32_t other_ids[] = {0, 200, 492, 1595, 87, 484, 276};
enum { N_TEXT = 11, N_OTHER = 7, LAYERS = 4, HEADS = 8, ALL = LAYERS * HEADS, VOCAB = 2048 };

static void near(double value, double expected, double tolerance, const char *what)
{
    if (!(fabs(value - expected) <= tolerance))
        fail_msg("%s: %.10g, expected %.10g", what, value, expected);
}

typedef struct bench {
    opened o;
    edit_plan *plan;
    head_id all[ALL];
} bench;

static bench lantern(int threads)
{
    path_text path;
    bench b;
    source_path(path, "examples/models/lantern-3m");
    b.o = open_model(path, threads);
    assert_int_equal(edit_plan_new(&b.plan, b.o.m, NULL), 0);
    for (int i = 0; i < ALL; i++)
        b.all[i] = (head_id){ATTN_SELF, i / HEADS, i % HEADS};
    return b;
}

static void put_away(bench *b)
{
    edit_plan_free(b->plan);
    close_model(&b->o);
}

static void add(edit_plan *plan, const char *name, const char *value, const head_id *heads, int n, const head_reference *ref)
{
    err e = {0};
    const char *words[] = {value, NULL};
    params *p;
    if (edit_params(&p, edit_find(name), value ? words : NULL, &e) || edit_plan_add(plan, edit_find(name), heads, n, p, ref, &e))
        fail_msg("%s: %s", name, e.msg);
}

static int keep_logits(void *ud, int64_t pos0, const float *logits, int64_t n, int64_t vocab, err *e)
{
    (void)e;
    memcpy((float *)ud + pos0 * vocab, logits, (size_t)(n * vocab) * sizeof(float));
    return 0;
}

/* Logits [n, V] under a plan (NULL: none); free() them. */
static float *logits_under(runtime *r, const model_input *in, int64_t vocab, edit_plan *plan)
{
    err e = {0};
    float *z = malloc((size_t)(in->n * vocab) * sizeof *z);
    const observer watch = {.logits = keep_logits, .ud = z};
    runtime_set_edits(r, plan ? edit_plan_edits(plan) : NULL);
    if (forward(r, in, &watch, NULL, &e))
        fail_msg("%s", e.msg);
    runtime_set_edits(r, NULL);
    return z;
}

static double distance(const float *a, const float *b, int64_t n)
{
    double most = 0;
    for (int64_t i = 0; i < n; i++)
        most = fmax(most, fabs((double)a[i] - (double)b[i]));
    return most;
}

/* ---- nothing changes ---- */

static void test_identities(void **state)
{
    (void)state;
    static const struct { const char *edit, *value; } same[] = {
        {"scale", "1"}, {"scale_first", "1"}, {"act", "beta=1"}, {"act", "threshold=1"}, {"impose", "keys=300-301"},
    };
    const model_input in = {.ids = text_ids, .n = N_TEXT};
    bench b = lantern(2);
    float *plain = logits_under(b.o.r, &in, VOCAB, NULL);
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        add(b.plan, same[i].edit, same[i].value, b.all, ALL, NULL);
        float *z = logits_under(b.o.r, &in, VOCAB, b.plan);
        assert_memory_equal(z, plain, N_TEXT * VOCAB * sizeof *z);
        edit_plan_clear(b.plan);
        free(z);
    }
    /* a run put into itself, head by head */
    head_reference *ref;
    assert_int_equal(head_reference_new(&ref, b.o.m, b.all, ALL, true, NULL), 0);
    assert_int_equal(head_reference_add(ref, b.o.r, &in, NULL, NULL), 0);
    add(b.plan, "resample", NULL, b.all, ALL, ref);
    float *z = logits_under(b.o.r, &in, VOCAB, b.plan);
    assert_memory_equal(z, plain, N_TEXT * VOCAB * sizeof *z);
    edit_plan_clear(b.plan);
    add(b.plan, "mean", "position=each", b.all, ALL, ref);
    free(z);
    z = logits_under(b.o.r, &in, VOCAB, b.plan);
    assert_memory_equal(z, plain, N_TEXT * VOCAB * sizeof *z);
    head_reference_free(ref);
    free(z);
    free(plain);
    put_away(&b);
}

static void test_threads_do_not_matter(void **state)
{
    (void)state;
    const model_input in = {.ids = text_ids, .n = N_TEXT};
    float *z[2];
    for (int i = 0; i < 2; i++) {
        bench b = lantern(i ? 3 : 1);
        const head_id heads[] = {{ATTN_SELF, 0, 1}, {ATTN_SELF, 2, 5}, {ATTN_SELF, 1, 3}};
        add(b.plan, "act", "threshold=0.02", b.all, ALL, NULL);
        add(b.plan, "scale_first", "0.3", heads, 2, NULL);
        add(b.plan, "zero", NULL, heads + 2, 1, NULL);
        z[i] = logits_under(b.o.r, &in, VOCAB, b.plan);
        put_away(&b);
    }
    assert_memory_equal(z[0], z[1], N_TEXT * VOCAB * sizeof **z);
    free(z[0]);
    free(z[1]);
}

/* ---- against changed weights ---- */

/* The columns of the output projection that read a head, times a number: the same model as one with the head scaled. */
static void test_outputs_are_columns_of_the_projection(void **state)
{
    (void)state;
    static const struct { const char *edit, *value; float factor; } cases[] = {
        {"zero", NULL, 0}, {"scale", "0", 0}, {"scale", "2.5", 2.5f}, {"scale", "-1", -1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int c = 0; c < 2; c++) { /* self attention of a decoder, cross attention of a translator */
            tiny_model t;
            runtime *r;
            edit_plan *plan;
            const head_id head = {c ? ATTN_CROSS : ATTN_SELF, 1, 1};
            tiny_new(&t, c ? TINY_TRANSLATOR : TINY_DECODER);
            const model_input in = tiny_input(&t, 9, 5);
            assert_int_equal(runtime_new(&r, &t.m, 2, PRECISION_F32, NULL), 0);
            assert_int_equal(edit_plan_new(&plan, &t.m, NULL), 0);
            add(plan, cases[i].edit, cases[i].value, &head, 1, NULL);
            float *plain = logits_under(r, &in, TINY_VOCAB, NULL), *z = logits_under(r, &in, TINY_VOCAB, plan);
            weight *out = c ? &t.m.main->layers[1].cross.out : &t.m.main->layers[1].self.out;
            float *w = (float *)(uintptr_t)out->data;
            for (int row = 0; row < TINY_WIDTH; row++)
                for (int col = TINY_WIDTH / 2; col < TINY_WIDTH; col++)
                    w[row * TINY_WIDTH + col] *= cases[i].factor;
            float *expected = logits_under(r, &in, TINY_VOCAB, NULL);
            near(distance(z, expected, 9 * TINY_VOCAB), 0, 2e-5, cases[i].edit);
            assert_true(distance(plain, expected, 9 * TINY_VOCAB) > 1e-2);
            free(plain);
            free(z);
            free(expected);
            edit_plan_free(plan);
            runtime_free(r);
            tiny_free(&t);
        }
}

/* A sublayer that adds nothing is one whose last projection is zero (these have no bias). */
static void test_dropped_layers(void **state)
{
    (void)state;
    static const char *const names[] = {"drop_attention", "drop_mlp", "drop_block"};
    for (int i = 0; i < 3; i++) {
        tiny_model t;
        runtime *r;
        edit_plan *plan;
        const head_id layers[] = {{ATTN_SELF, 0, 0}, {ATTN_SELF, 0, 1}};
        tiny_new(&t, TINY_TRANSLATOR);
        const model_input in = tiny_input(&t, 9, 5);
        assert_int_equal(runtime_new(&r, &t.m, 2, PRECISION_F32, NULL), 0);
        assert_int_equal(edit_plan_new(&plan, &t.m, NULL), 0);
        add(plan, names[i], NULL, layers, 2, NULL);
        float *plain = logits_under(r, &in, TINY_VOCAB, NULL), *z = logits_under(r, &in, TINY_VOCAB, plan);
        model_layer *y = &t.m.main->layers[0];
        weight *off[] = {i != 1 ? &y->self.out : NULL, i != 0 ? &y->mlp.down : NULL, i == 2 ? &y->cross.out : NULL};
        for (int w = 0; w < 3; w++)
            if (off[w])
                memset((void *)(uintptr_t)off[w]->data, 0, TINY_WIDTH * TINY_WIDTH * sizeof(float));
        float *expected = logits_under(r, &in, TINY_VOCAB, NULL);
        near(distance(z, expected, 9 * TINY_VOCAB), 0, 1e-6, names[i]);
        assert_true(distance(plain, expected, 9 * TINY_VOCAB) > 1e-2);
        free(plain);
        free(z);
        free(expected);
        edit_plan_free(plan);
        runtime_free(r);
        tiny_free(&t);
    }
}

/* ---- against what the heads read ---- */

typedef struct seen { float v[N_TEXT * 256], heads[N_TEXT * 256]; int layer, width; } seen;

static int keep_values(void *ud, const model *m, const attn_args *a, err *e)
{
    seen *s = ud;
    (void)m;
    (void)e;
    for (int64_t i = 0; i < a->n_key && a->layer == s->layer; i++)
        memcpy(s->v + i * a->ldv, a->v + i * a->ldv, (size_t)a->ldv * sizeof(float));
    return 0;
}

static int keep_heads(void *ud, const head_outputs *h, err *e)
{
    seen *s = ud;
    (void)e;
    s->width = h->layer == s->layer ? (int)h->width : s->width;
    if (h->layer == s->layer)
        memcpy(s->heads, h->heads, (size_t)(h->n * h->width) * sizeof(float));
    return 0;
}

static void watch_layer(seen *s, runtime *r, const model_input *in, int layer, edit_plan *plan)
{
    err e = {0};
    const observer watch = {.inputs = keep_values, .heads = keep_heads, .ud = s};
    *s = (seen){.layer = layer};
    runtime_set_edits(r, plan ? edit_plan_edits(plan) : NULL);
    assert_int_equal(forward(r, in, &watch, NULL, &e), 0);
    runtime_set_edits(r, NULL);
}

/* Uniform: the running mean of the values; first: the first value; others of the layer as they were. */
static void test_uniform_is_the_running_mean(void **state)
{
    (void)state;
    static seen before, after;
    const model_input in = {.ids = text_ids, .n = N_TEXT};
    bench b = lantern(2);
    const attn_plan *p = &b.o.m->main->layers[1].self.plan;
    const head_id uniform = {ATTN_SELF, 1, 3}, first = {ATTN_SELF, 1, 6};
    int d = p->d_v, group = p->n_head / p->n_kv_head, ldv = p->n_kv_head * d;
    assert_true(p->n_head * d <= 256);
    add(b.plan, "uniform", NULL, &uniform, 1, NULL);
    add(b.plan, "first", NULL, &first, 1, NULL);
    watch_layer(&before, b.o.r, &in, 1, NULL);
    watch_layer(&after, b.o.r, &in, 1, b.plan);
    for (int c = 0; c < d; c++) {
        double sum = 0;
        for (int i = 0; i < N_TEXT; i++) {
            sum += (double)after.v[i * ldv + 3 / group * d + c];
            near((double)after.heads[i * after.width + 3 * d + c], sum / (i + 1), 1e-5, "running mean");
            near((double)after.heads[i * after.width + 6 * d + c], (double)after.v[6 / group * d + c], 0, "first value");
            near((double)after.heads[i * after.width + c], (double)before.heads[i * before.width + c], 0, "L1H0");
        }
    }
    put_away(&b);
}

/* Means against sums of what an observer sees, and what resample does behind the end of the other prompt. */
static void test_reference_outputs(void **state)
{
    (void)state;
    static seen one, two, after;
    const model_input in[] = {{.ids = text_ids, .n = N_TEXT}, {.ids = other_ids, .n = N_OTHER}};
    static const char *const modes[] = {"position=pooled", "position=each", NULL};
    bench b = lantern(2);
    const head_id head = {ATTN_SELF, 2, 5};
    int d = b.o.m->main->layers[2].self.plan.d_v;
    watch_layer(&one, b.o.r, &in[0], 2, NULL);
    watch_layer(&two, b.o.r, &in[1], 2, NULL);
    for (int mode = 0; mode < 3; mode++) {
        head_reference *ref;
        assert_int_equal(head_reference_new(&ref, b.o.m, &head, 1, mode != 0, NULL), 0);
        for (int i = mode == 2; i < 2; i++)
            assert_int_equal(head_reference_add(ref, b.o.r, &in[i], NULL, NULL), 0);
        edit_plan_clear(b.plan);
        add(b.plan, mode == 2 ? "resample" : "mean", modes[mode], &head, 1, ref);
        watch_layer(&after, b.o.r, &in[0], 2, b.plan);
        for (int i = 0; i < N_TEXT; i++)
            for (int c = 0; c < d; c++) {
                int at = 5 * d + c, w = one.width;
                double sum = 0, expected = (double)one.heads[i * w + at];
                for (int j = 0; j < N_TEXT + N_OTHER; j++)
                    sum += (double)(j < N_TEXT ? one.heads[j * w + at] : two.heads[(j - N_TEXT) * w + at]);
                if (mode == 0)
                    expected = sum / (N_TEXT + N_OTHER);
                else if (mode == 1 && i < N_OTHER)
                    expected = (expected + (double)two.heads[i * w + at]) / 2;
                else if (mode == 2) /* positions 1 .. 6 come again: 7 is 1, 10 is 4 */
                    expected = (double)two.heads[(i < N_OTHER ? i : i - 6) * w + at];
                near((double)after.heads[i * w + at], expected, 1e-6, modes[mode] ? modes[mode] : "resample");
            }
        head_reference_free(ref);
    }
    put_away(&b);
}

/* ---- decoding ---- */

/* All edits but ACT, whose square of weights only a prompt has: pieces give the logits of the whole. */
static void test_decoding(void **state)
{
    (void)state;
    const model_input in = {.ids = text_ids, .n = N_TEXT}, other = {.ids = other_ids, .n = N_OTHER};
    bench b = lantern(2);
    const head_id heads[] = {{ATTN_SELF, 1, 3}, {ATTN_SELF, 2, 5}, {ATTN_SELF, 3, 0}};
    head_reference *ref;
    float *plain = logits_under(b.o.r, &in, VOCAB, NULL);
    assert_int_equal(head_reference_new(&ref, b.o.m, heads, 3, true, NULL), 0);
    assert_int_equal(head_reference_add(ref, b.o.r, &other, NULL, NULL), 0);
    for (int i = 0; edits[i]; i++) {
        const char *name = edits[i]->name, *value = !strcmp(name, "scale") || !strcmp(name, "scale_first") ? "0.5"
                                                    : !strcmp(name, "impose") ? "keys=2-4"
                                                    : !strcmp(name, "keep") ? "last=1" : NULL;
        decoder *d;
        const float *last = NULL;
        if (edits[i]->measure)
            continue;
        add(b.plan, name, value, heads, 3, edits[i]->needs_reference ? ref : NULL);
        float *z = logits_under(b.o.r, &in, VOCAB, b.plan);
        assert_true(distance(z, plain, N_TEXT * VOCAB) > 1e-3);
        runtime_set_edits(b.o.r, edit_plan_edits(b.plan));
        assert_int_equal(decoder_new(&d, b.o.r, NULL, N_TEXT, NULL), 0);
        static const int64_t pieces[] = {6, 1, 1, 3};
        int64_t at = 0;
        for (int p = 0; p < 4; at += pieces[p++]) {
            assert_int_equal(decoder_feed(d, text_ids + at, pieces[p], &last, NULL, NULL), 0);
            near(distance(last, z + (at + pieces[p] - 1) * VOCAB, VOCAB), 0, 2e-4, name);
        }
        decoder_free(d);
        runtime_set_edits(b.o.r, NULL);
        edit_plan_clear(b.plan);
        free(z);
    }
    /* ACT: the prompt as it is in a forward pass, tokens behind it without */
    float *z[2];
    for (int i = 0; i < 2; i++) {
        decoder *d;
        const float *last;
        if (i)
            add(b.plan, "act", "threshold=0.02", heads, 3, NULL);
        z[i] = logits_under(b.o.r, &in, VOCAB, i ? b.plan : NULL);
        runtime_set_edits(b.o.r, i ? edit_plan_edits(b.plan) : NULL);
        assert_int_equal(decoder_new(&d, b.o.r, NULL, N_TEXT + 1, NULL), 0);
        assert_int_equal(decoder_feed(d, text_ids, N_TEXT, &last, NULL, NULL), 0);
        near(distance(last, z[i] + (N_TEXT - 1) * VOCAB, VOCAB), 0, 2e-4, "act on a prompt");
        assert_int_equal(decoder_feed(d, text_ids + 3, 1, &last, NULL, NULL), 0);
        runtime_set_edits(b.o.r, NULL);
        decoder_free(d);
    }
    assert_true(distance(z[0], z[1], N_TEXT * VOCAB) > 1e-3);
    free(z[0]);
    free(z[1]);
    free(plain);
    head_reference_free(ref);
    put_away(&b);
}

/* Every edit on every kind of attention of models with several stacks: runs, changes something, twice the same. */
static void test_all_kinds(void **state)
{
    (void)state;
    static const tiny_kind models[] = {TINY_DECODER, TINY_TRANSLATOR, TINY_SPEECH, TINY_LLAVA};
    for (size_t k = 0; k < sizeof models / sizeof *models; k++)
        for (int i = 0; edits[i]; i++)
            for (int kind = ATTN_SELF; kind <= ATTN_VISION; kind++) {
                tiny_model t;
                runtime *r;
                edit_plan *plan;
                head_reference *ref;
                const char *name = edits[i]->name, *value = !strcmp(name, "scale") || !strcmp(name, "scale_first") ? "0.5"
                                                            : !strcmp(name, "impose") ? "keys=1" : !strcmp(name, "act")
                                                            ? "threshold=0.01" : !strcmp(name, "keep") ? "last=1" : NULL;
                const head_id heads[] = {{(attn_kind)kind, 0, 0}, {(attn_kind)kind, 0, 1}};
                tiny_new(&t, models[k]);
                bool none_of_cross = edits[i]->target == EDIT_LAYERS || !strcmp(name, "keep");
                if (!model_stack(&t.m, (attn_kind)kind) || (none_of_cross && kind == ATTN_CROSS)) {
                    tiny_free(&t);
                    continue;
                }
                const model_input in = tiny_input(&t, 9, 5);
                assert_int_equal(runtime_new(&r, &t.m, 2, PRECISION_F32, NULL), 0);
                assert_int_equal(edit_plan_new(&plan, &t.m, NULL), 0);
                assert_int_equal(head_reference_new(&ref, &t.m, heads, 2, false, NULL), 0);
                assert_int_equal(head_reference_add(ref, r, &in, NULL, NULL), 0);
                add(plan, name, value, heads, 2, edits[i]->needs_reference ? ref : NULL);
                float *plain = logits_under(r, &in, TINY_VOCAB, NULL), *z = logits_under(r, &in, TINY_VOCAB, plan);
                float *again = logits_under(r, &in, TINY_VOCAB, plan);
                assert_memory_equal(z, again, 9 * TINY_VOCAB * sizeof *z);
                if (distance(z, plain, 9 * TINY_VOCAB) < 1e-6 && strcmp(name, "resample") != 0)
                    fail_msg("%s of %s attention changes nothing (model %zu)", name, attn_kind_name((attn_kind)kind), k);
                free(plain);
                free(z);
                free(again);
                head_reference_free(ref);
                edit_plan_free(plan);
                runtime_free(r);
                tiny_free(&t);
            }
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_identities),
        cmocka_unit_test(test_threads_do_not_matter),
        cmocka_unit_test(test_outputs_are_columns_of_the_projection),
        cmocka_unit_test(test_dropped_layers),
        cmocka_unit_test(test_uniform_is_the_running_mean),
        cmocka_unit_test(test_reference_outputs),
        cmocka_unit_test(test_decoding),
        cmocka_unit_test(test_all_kinds),
    };
    return cmocka_run_group_tests_name("edit_runs", tests, NULL, NULL);
}
