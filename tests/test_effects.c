/* Experiments with edits: the published ablation figures of the bundled model, random heads to compare with, the order in
 * which layers are dropped. */
#include "tests/model_run.h"
#include "tests/tiny_model.h"
#include "analysis/experiments/drop_order.h"
#include "analysis/experiments/effect.h"

static void near(double value, double expected, double tolerance, const char *what)
{
    if (!(fabs(value - expected) <= tolerance))
        fail_msg("%s: %.10g, expected %.10g", what, value, expected);
}

static opened lantern(int threads)
{
    path_text path;
    source_path(path, "examples/models/lantern-3m");
    return open_model(path, threads);
}

static const int32_t text_ids[] = {0, 806, 308, 260, 1092, 793, 13, 278, 264, 693, 440};
static const int32_t other_ids[] = {0, 200, 492, 1595, 87, 484, 276};
enum { N_TEXT = 11, N_OTHER = 7, LAYERS = 4 };

/* ---- ablation ---- */

/* Mean recall of all trials, and the share of trials above one half. */
static void recall_without(double *mean, double *above, const opened *o, const trials *t, const head_id *heads, int n)
{
    edit_plan *plan;
    err e = {0};
    *mean = *above = 0;
    assert_int_equal(edit_plan_new(&plan, o->m, &e), 0);
    if (n)
        assert_int_equal(edit_plan_add(plan, edit_find("zero"), heads, n, NULL, NULL, &e), 0);
    for (int64_t i = 0; i < t->n; i++) {
        double recall;
        if (effect_on_trial(&recall, NULL, NULL, o->r, o->m, &t->t[i], plan, &e))
            fail_msg("%s", e.msg);
        *mean += recall / (double)t->n;
        *above += (recall > .5) / (double)t->n;
    }
    edit_plan_free(plan);
}

static void test_published_figures(void **state)
{
    (void)state;
    static const struct { head_id heads[3]; int n; double mean, above; } cases[] = {
        {{{0}}, 0, .93, .97},
        {{{ATTN_SELF, 1, 2}, {ATTN_SELF, 1, 3}, {ATTN_SELF, 2, 5}}, 3, .84, .90},
        {{{ATTN_SELF, 1, 3}}, 1, .83, .90},
        {{{ATTN_SELF, 1, 0}, {ATTN_SELF, 1, 7}, {ATTN_SELF, 2, 3}}, 3, .78, .85},
        {{{ATTN_SELF, 1, 5}, {ATTN_SELF, 1, 6}, {ATTN_SELF, 2, 6}}, 3, .86, .95},
        {{{ATTN_SELF, 1, 1}, {ATTN_SELF, 1, 4}, {ATTN_SELF, 2, 0}}, 3, .86, .90},
    };
    path_text path;
    trials t;
    err e = {0};
    const trial_rules rules = {.vocab = 2048};
    shared_path(path, "models/lantern-3m-reference/needle-trials.jsonl");
    opened o = lantern(0);
    if (trials_load(&t, path, &rules, &e))
        fail_msg("%s", e.msg);
    assert_int_equal(t.n, 40);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double mean, above;
        recall_without(&mean, &above, &o, &t, cases[i].heads, cases[i].n);
        near(mean, cases[i].mean, .005, "mean recall");
        near(above, cases[i].above, .0051, "trials above one half");
    }
    trials_free(&t);
    close_model(&o);
}

static void test_runtime_is_left_without_edits(void **state)
{
    (void)state;
    opened o = lantern(1);
    edit_plan *plan;
    loss plain, edited, again;
    const head_id head = {ATTN_SELF, 0, 1};
    const model_input in = {.ids = text_ids, .n = N_TEXT};
    assert_int_equal(edit_plan_new(&plan, o.m, NULL), 0);
    assert_int_equal(edit_plan_add(plan, edit_find("zero"), &head, 1, NULL, NULL, NULL), 0);
    assert_int_equal(effect_on_text(&plain, o.r, o.m, &in, NULL, NULL, NULL), 0);
    assert_int_equal(effect_on_text(&edited, o.r, o.m, &in, plan, NULL, NULL), 0);
    assert_int_equal(loss_measure(&again, NULL, o.r, o.m, &in, NULL, NULL), 0);
    near(again.nll, plain.nll, 0, "no edits are left");
    assert_true(fabs(edited.nll - plain.nll) > 1e-2);
    edit_plan_free(plan);
    close_model(&o);
}

/* ---- random heads ---- */

static void test_matched_heads(void **state)
{
    (void)state;
    static const head_id heads[] = {{ATTN_SELF, 1, 2}, {ATTN_SELF, 2, 5}, {ATTN_SELF, 1, 3}, {ATTN_SELF, 3, 0}};
    int drawn[LAYERS][8] = {{0}};
    opened o = lantern(1);
    head_id out[4], again[4];
    err e = {0};
    for (uint64_t d = 0; d < 4000; d++) {
        assert_int_equal(matched_heads(out, o.m, heads, 4, 7, d, &e), 0);
        for (int i = 0; i < 4; i++) {
            assert_int_equal(out[i].layer, heads[i].layer);
            for (int j = 0; j < 4; j++)
                assert_false(out[i].layer == heads[j].layer && out[i].head == heads[j].head);
            drawn[out[i].layer][out[i].head]++;
        }
        assert_int_not_equal(out[0].head, out[2].head);
    }
    for (int h = 0; h < 8; h++) { /* two of six in layer 1, one of seven in layers 2 and 3 */
        near(drawn[1][h], h == 2 || h == 3 ? 0 : 4000 / 3.0, 160, "layer 1");
        near(drawn[2][h], h == 5 ? 0 : 4000 / 7.0, 120, "layer 2");
    }
    assert_int_equal(matched_heads(again, o.m, heads, 4, 7, 3999, &e), 0);
    assert_memory_equal(out, again, sizeof out);

    head_id five[5];
    for (int i = 0; i < 5; i++)
        five[i] = (head_id){ATTN_SELF, 0, i};
    head_id many[5];
    assert_int_equal(matched_heads(many, o.m, five, 5, 0, 0, &e), ERR_USAGE);
    assert_string_equal(e.msg, "layer 0 has 3 other heads, and 5 random ones are wanted to match");
    close_model(&o);
}

/* ---- drop ---- */

static const model_input texts[] = {{.ids = text_ids, .n = N_TEXT}, {.ids = other_ids, .n = N_OTHER}};

static int get_text(void *ud, int64_t i, const model_input **out, err *e)
{
    (void)e;
    ++*(int *)ud;
    *out = &texts[i];
    return 0;
}

static void text_done(void *ud)
{
    --*(int *)ud;
}

/* Cosines of what an observer sees, in double. */
typedef struct following { double x[N_TEXT * 512]; double sum[2][LAYERS]; int64_t width; } following;

static int see_hidden(void *ud, attn_kind kind, int layer, const float *x, int64_t n, int64_t width, err *e)
{
    following *f = ud;
    (void)kind;
    (void)layer;
    (void)e;
    assert_true(n * width <= N_TEXT * 512);
    for (int64_t i = 0; i < n * width; i++)
        f->x[i] = (double)x[i];
    return 0;
}

static int see_added(void *ud, const part_rows *p, err *e)
{
    following *f = ud;
    (void)e;
    for (int64_t i = 0; i < p->rows; i++) {
        double xx = 0, yy = 0, xy = 0, *x = f->x + (p->row + i) * p->width;
        for (int64_t c = 0; c < p->width; c++) {
            double y = x[c] + (double)p->x[i * p->width + c];
            xx += x[c] * x[c];
            yy += y * y;
            xy += x[c] * y;
            x[c] = y;
        }
        f->sum[p->part == PART_MLP][p->layer] += xy / sqrt(xx * yy);
    }
    return 0;
}

static void test_drop_order(void **state)
{
    (void)state;
    opened o = lantern(2);
    static following f;
    double similarity[2][LAYERS] = {{0}};
    int open = 0, n;
    const drop_texts from = {2, get_text, text_done, &open};
    dropped *order;
    for (int t = 0; t < 2; t++) {
        const observer watch = {.hidden = see_hidden, .added = see_added, .ud = &f};
        memset(f.sum, 0, sizeof f.sum);
        assert_int_equal(forward(o.r, &texts[t], &watch, NULL, NULL), 0);
        for (int i = 0; i < 2 * LAYERS; i++)
            similarity[i / LAYERS][i % LAYERS] += f.sum[i / LAYERS][i % LAYERS] / (double)texts[t].n / 2;
    }
    assert_int_equal(drop_order(&order, &n, o.r, o.m, &from, DROP_BOTH, 100, false, NULL, NULL), 0);
    assert_int_equal(open, 0);
    assert_int_equal(n, 2 * LAYERS);
    for (int i = 0; i < n; i++) {
        near(order[i].similarity, similarity[order[i].part == DROP_MLP][order[i].layer], 1e-6, "similarity");
        assert_true(i == 0 || order[i].similarity <= order[i - 1].similarity);
    }
    /* one at a time: the first is the same, the second is what is most similar without it */
    dropped *again;
    int m;
    assert_int_equal(drop_order(&again, &m, o.r, o.m, &from, DROP_ATTENTION, 2, true, NULL, NULL), 0);
    assert_int_equal(m, 2);
    edit_plan *plan;
    assert_int_equal(edit_plan_new(&plan, o.m, NULL), 0);
    assert_int_equal(drop_plan(plan, o.m, again, 1, NULL), 0);
    double without[LAYERS] = {0};
    for (int t = 0; t < 2; t++) {
        const observer watch = {.hidden = see_hidden, .added = see_added, .ud = &f};
        memset(f.sum, 0, sizeof f.sum);
        runtime_set_edits(o.r, edit_plan_edits(plan));
        assert_int_equal(forward(o.r, &texts[t], &watch, NULL, NULL), 0);
        runtime_set_edits(o.r, NULL);
        for (int l = 0; l < LAYERS; l++)
            without[l] += f.sum[0][l] / (double)texts[t].n / 2;
    }
    near(without[again[0].layer], 0, 0, "the first is gone");
    for (int l = 0; l < LAYERS; l++)
        assert_true(l == again[0].layer || without[l] <= again[1].similarity + 1e-6);
    near(again[1].similarity, without[again[1].layer], 1e-6, "similarity of the second");
    edit_plan_free(plan);
    free(order);
    free(again);
    close_model(&o);
}

/* The plan of an order leaves out what it says, and nothing of an empty one. */
static void test_drop_plan(void **state)
{
    (void)state;
    tiny_model t;
    edit_plan *plan;
    strbuf b = {0};
    static const dropped order[] = {{1, DROP_MLP, 0.9}, {0, DROP_ATTENTION, 0.8}, {0, DROP_MLP, 0.7}};
    tiny_new(&t, TINY_DECODER);
    assert_int_equal(edit_plan_new(&plan, &t.m, NULL), 0);
    assert_int_equal(drop_plan(plan, &t.m, order, 0, NULL), 0);
    assert_int_equal(edit_plan_count(plan), 0);
    assert_int_equal(drop_plan(plan, &t.m, order, 3, NULL), 0);
    edit_plan_put_json(&b, plan);
    assert_string_equal(strbuf_str(&b),
                        "[{\"edit\":\"drop_attention\",\"layers\":\"L0\"},{\"edit\":\"drop_mlp\",\"layers\":\"L1,L0\"}]");
    strbuf_free(&b);
    edit_plan_free(plan);
    tiny_free(&t);
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_published_figures),
        cmocka_unit_test(test_runtime_is_left_without_edits),
        cmocka_unit_test(test_matched_heads),
        cmocka_unit_test(test_drop_order),
        cmocka_unit_test(test_drop_plan),
    };
    return cmocka_run_group_tests_name("effects", tests, NULL, NULL);
}
