/* Every kind of attention measured: values and maps of analyse() against the arrays of the same run, or of a
 * reference, from which they are computed here again. */
#include "tests/model_run.h"
#include <glob.h>
#include "analysis/reference.h"
#include "base/npz.h"
#include "cli/head_select.h"
#include "tests/test_base_folder.h"
#include "tests/tiny_model.h"

static const char all_heads[] = "sink,entropy,max,self,prev_token,distance,induction,duplicate_token,nll";

/* The value of a head of one kind; NAN when there is none. */
static double value_at(const collected *c, attn_kind kind, const char *name, int layer, int head)
{
    double found = NAN;
    for (int64_t i = 0; i < c->n_value; i++) {
        const result_value *v = &c->value[i];
        if (v->kind == kind && v->layer == layer && v->head == head && strcmp(v->metric, name) == 0) {
            assert_true(isnan(found));
            found = v->value;
        }
    }
    return found;
}

static void close_to(double ours, double want, double gate, const char *what)
{
    if (!(fabs(ours - want) <= gate))
        fail_msg("%s: %.9g, wanted %.9g", what, ours, want);
}

/* Statistics of one head's matrix w [n_query, n_key] in double. */
static void check_head(const collected *c, attn_kind kind, int layer, int head, const npy *a, int64_t at, int64_t n_query,
                       int64_t n_key)
{
    double entropy = 0, largest = 0, own = 0, before = 0, distance = 0, sink = 0;
    for (int64_t q = 0; q < n_query; q++) {
        double top = 0;
        for (int64_t k = 0; k < n_key; k++) {
            double w = npy_real(a, at + q * n_key + k);
            entropy -= w > 0 ? w * log(w) : 0;
            top = w > top ? w : top;
            distance += w * (double)llabs(q - k);
            sink += k == 0 ? w : 0;
            own += k == q ? w : 0;
            before += k == q - 1 ? w : 0;
        }
        largest += top;
    }
    double n = (double)n_query;
    char what[64];
    snprintf(what, sizeof what, "%s L%dH%d", attn_kind_name(kind), layer, head);
    close_to(value_at(c, kind, "entropy", layer, head), entropy / n, 1e-4, what);
    close_to(value_at(c, kind, "max", layer, head), largest / n, 2e-5, what);
    close_to(value_at(c, kind, "sink", layer, head), sink / n, 2e-5, what);
    if (kind == ATTN_CROSS) {
        assert_true(isnan(value_at(c, kind, "self", layer, head)));
        assert_true(isnan(value_at(c, kind, "prev_token", layer, head)));
        assert_true(isnan(value_at(c, kind, "distance", layer, head)));
        assert_true(isnan(value_at(c, kind, "induction", layer, head)));
        assert_true(isnan(value_at(c, kind, "duplicate_token", layer, head)));
        return;
    }
    close_to(value_at(c, kind, "self", layer, head), own / n, 2e-5, what);
    close_to(value_at(c, kind, "distance", layer, head), distance / n, 1e-3, what);
    if (n_query > 1)
        close_to(value_at(c, kind, "prev_token", layer, head), before / (n - 1), 2e-5, what);
    if (kind == ATTN_VISION)
        assert_true(isnan(value_at(c, kind, "duplicate_token", layer, head)));
}

/* The stored map of a head: blocks of pool x pool cells, by their mean over the visible ones. */
static void check_map(const result_map *m, const npy *a, int64_t at, bool causal)
{
    int64_t rows = (m->n_query + m->pool - 1) / m->pool, cols = (m->n_key + m->pool - 1) / m->pool;
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < cols; c++) {
            double sum = 0;
            int64_t n = 0;
            for (int64_t q = r * m->pool; q < (r + 1) * m->pool && q < m->n_query; q++)
                for (int64_t k = c * m->pool; k < (c + 1) * m->pool && k < m->n_key; k++)
                    if (!causal || k <= q) {
                        sum += npy_real(a, at + q * m->n_key + k);
                        n++;
                    }
            float v = m->cells[r * cols + c];
            if (n == 0)
                assert_true(isnan(v));
            else
                close_to((double)v, sum / (double)n, 2e-5, "map");
        }
}

/* Analyse in and hold everything against the arrays of the file. */
static void compare(const opened *o, const model_input *in, const char *file, int64_t map_limit)
{
    const model *m = o->m;
    collected c = {0};
    err e = {0};
    head_id *heads;
    int n_head, n_checked = 0, n_map = 0;
    npz *ref;
    assert_int_equal(head_select(&heads, &n_head, m, "all", &e), 0);
    if (run_analysis_of(&c, o, in, all_heads, NULL, heads, n_head < 64 ? n_head : 64, map_limit))
        fail_msg("%s", c.e.msg);
    assert_int_equal(npz_open(&ref, file, &e), 0);
    for (int k = ATTN_SELF; k <= ATTN_VISION; k++) {
        attn_kind kind = (attn_kind)k;
        const stack *s = model_stack(m, kind);
        const char *prefix = kind == ATTN_CROSS ? "cross_" : kind == m->main->kind ? "" : "enc_";
        for (int l = 0; s && l < s->n_run; l++) {
            const attention_block *b = model_attention(m, kind, l);
            char name[48];
            npy a;
            snprintf(name, sizeof name, "%sattn_%d", prefix, l);
            if (!b || !npz_has(ref, name))
                continue;
            assert_int_equal(npz_get(&a, ref, name, &e), 0);
            int64_t size = a.shape[1] * a.shape[2];
            bool causal = b->plan.causal && kind == ATTN_SELF && b->plan.window == 0;
            for (int h = 0; h < b->plan.n_head; h++)
                if (!b->plan.sinks && b->plan.window == 0) {
                    /* a causal sink is averaged over all queries too: every query sees key 0 */
                    check_head(&c, kind, l, h, &a, h * size, a.shape[1], a.shape[2]);
                    n_checked++;
                }
            for (int i = 0; i < c.n_map; i++)
                if (c.map[i].kind == kind && c.map[i].layer == l && b->plan.window == 0) {
                    assert_true(c.map[i].n_query == a.shape[1] && c.map[i].n_key == a.shape[2]);
                    check_map(&c.map[i], &a, c.map[i].head * size, causal);
                    n_map++;
                }
            npy_free(&a);
        }
    }
    assert_true(n_checked > 0 && n_map > 0);
    npz_close(ref);
    free(heads);
    collected_free(&c);
}

static opened open_tiny(tiny_model *t, tiny_kind kind)
{
    opened o = {.m = &t->m};
    tiny_new(t, kind);
    assert_int_equal(runtime_new(&o.r, &t->m, 2, PRECISION_F32, NULL), 0);
    return o;
}

static void test_tiny_models(void **state)
{
    (void)state;
    for (int kind = TINY_DECODER; kind <= TINY_LLAVA; kind++) {
        tiny_model t;
        char path[600];
        err e = {0};
        opened o = open_tiny(&t, (tiny_kind)kind);
        model_input in = tiny_input(&t, 9, 23);
        snprintf(path, sizeof path, "%s/tiny-%d.npz", folder, kind);
        if (dump_run(o.r, o.m, &in, true, path, NULL, &e))
            fail_msg("%d: %s", kind, e.msg);
        compare(&o, &in, path, 0);
        compare(&o, &in, path, 4); /* pooled: both axes by the same blocks */
        verify_row *rows = NULL;
        int n_row;
        if (verify_run(o.r, o.m, path, &rows, &n_row, NULL, &e))
            fail_msg("%d: %s", kind, e.msg);
        free(rows);
        runtime_free(o.r);
        tiny_free(&t);
    }
}

/* Vision, encoder, main; in a layer self before cross; logits last. */
static void test_order(void **state)
{
    tiny_model t;
    (void)state;
    opened o = open_tiny(&t, TINY_TRANSLATOR);
    model_input in = tiny_input(&t, 4, 6);
    collected c = {0};
    assert_int_equal(run_analysis_of(&c, &o, &in, "max,nll", NULL, NULL, 0, 0), 0);
    assert_int_equal(c.n_value, 2 * (3 + 2 + 2) + 3);
    static const attn_kind kinds[] = {ATTN_ENCODER, ATTN_ENCODER, ATTN_ENCODER, ATTN_SELF, ATTN_CROSS, ATTN_SELF, ATTN_CROSS};
    for (int i = 0; i < 14; i++)
        assert_int_equal(c.value[i].kind, kinds[i / 2]);
    assert_string_equal(c.value[14].metric, "nll");
    assert_int_equal(c.value[14].kind, ATTN_SELF);
    collected_free(&c);
    runtime_free(o.r);
    tiny_free(&t);
}

/* Threads and company change nothing, kind by kind. */
static void test_threads(void **state)
{
    (void)state;
    for (int kind = TINY_TRANSLATOR; kind <= TINY_LLAVA; kind++) {
        tiny_model t;
        collected one = {0}, three = {0};
        opened o = open_tiny(&t, (tiny_kind)kind);
        model_input in = tiny_input(&t, 11, 5);
        runtime_free(o.r);
        for (int threads = 1; threads <= 3; threads += 2) {
            assert_int_equal(runtime_new(&o.r, o.m, threads, PRECISION_F32, NULL), 0);
            assert_int_equal(run_analysis_of(threads == 1 ? &one : &three, &o, &in, all_heads, NULL, NULL, 0, 0), 0);
            runtime_free(o.r);
        }
        assert_int_equal(one.n_value, three.n_value);
        for (int64_t i = 0; i < one.n_value; i++)
            assert_memory_equal(&one.value[i].value, &three.value[i].value, sizeof(double));
        collected_free(&one);
        collected_free(&three);
        tiny_free(&t);
    }
}

static void refused(const opened *o, const model_input *in, const char *setting, const head_id *head, int code,
                    const char *text)
{
    collected c = {0};
    const char *const settings[] = {setting, NULL};
    int rc = run_analysis_of(&c, o, in, "sink", setting ? settings : NULL, head, head != NULL, 0);
    if (rc != code || !strstr(c.e.msg, text))
        fail_msg("code %d, %s", rc, c.e.msg);
    assert_int_equal(c.n_value, 0);
    collected_free(&c);
}

static void test_refusals(void **state)
{
    tiny_model t;
    (void)state;
    opened o = open_tiny(&t, TINY_LLAVA);
    model_input in = tiny_input(&t, 9, 0), text = in;
    int32_t ids[] = {1, 2, 3};
    text.pixels = NULL;
    text.ids = ids;
    text.n = 3;
    refused(&o, &in, NULL, &(head_id){ATTN_VISION, 2, 0}, ERR_USAGE, "layer 2 out of range");
    refused(&o, &in, NULL, &(head_id){ATTN_CROSS, 0, 0}, ERR_USAGE, "no cross attention");
    refused(&o, &text, NULL, &(head_id){ATTN_VISION, 0, 0}, ERR_USAGE, "no image");
    refused(&o, &in, "sink-keys=9", NULL, ERR_USAGE, "outside the prompt");
    collected c = {0};
    const char *const far[] = {"sink-keys=0,8", NULL}; /* the tower has seven keys, the decoder nine */
    assert_int_equal(run_analysis_of(&c, &o, &in, "sink", far, NULL, 0, 0), 0);
    int64_t seen[4] = {0};
    for (int64_t i = 0; i < c.n_value; i++)
        seen[c.value[i].kind] += c.value[i].position == 8;
    assert_int_equal(seen[ATTN_VISION], 0);
    assert_int_equal(seen[ATTN_SELF], 4);
    collected_free(&c);
    runtime_free(o.r);
    tiny_free(&t);
}

static void test_applies(void **state)
{
    static const struct { tiny_kind model; const char *metric; bool anywhere; } cases[] = {
        {TINY_DECODER, "nll", true}, {TINY_ENCODER, "nll", false}, {TINY_TRANSLATOR, "nll", true},
        {TINY_TOWER, "nll", false}, {TINY_TOWER, "induction", false}, {TINY_TOWER, "sink", true},
        {TINY_ENCODER, "induction", true}, {TINY_SPEECH, "duplicate_token", true}, {TINY_TOWER, "distance", true}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tiny_model t;
        tiny_new(&t, cases[i].model);
        assert_true(metric_applies_somewhere(metric_find(cases[i].metric), &t.m) == cases[i].anywhere);
        assert_false(metric_applies(metric_find("distance"), &t.m, ATTN_CROSS));
        assert_true(metric_applies(metric_find("sink"), &t.m, ATTN_CROSS) == (t.m.encoder != NULL));
        tiny_free(&t);
    }
}

/* Places of an image hold different things under one id: they repeat nothing and are not predicted. */
static void test_image_places(void **state)
{
    tiny_model t;
    (void)state;
    opened o = open_tiny(&t, TINY_LLAVA);
    model_input in = tiny_input(&t, 9, 0);
    collected c = {0};
    assert_int_equal(run_analysis_of(&c, &o, &in, "induction,duplicate_token,nll", NULL, NULL, 0, 0), 0);
    assert_int_equal(c.n_value, 2); /* nll of the two tokens behind the image */
    assert_int_equal(c.value[0].position, 7);
    assert_int_equal(c.value[1].position, 8);
    collected_free(&c);
    runtime_free(o.r);
    tiny_free(&t);
}

static void test_references(void **state)
{
    static const char *const cases[] = {"bert", "vit", "dinov2-registers", "t5", "bart", "whisper", "llava",
                                        "qwen3_next", "mixtral"};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        path_text path, pattern;
        glob_t found = {0};
        char name[128];
        snprintf(name, sizeof name, "golden/%s", cases[i]);
        shared_path(path, name);
        snprintf(pattern, sizeof pattern, "%.900s/ref-*.npz", path);
        assert_int_equal(glob(pattern, 0, NULL, &found), 0);
        opened o = open_model(path, 2);
        for (size_t k = 0; k < found.gl_pathc; k++) {
            reference_input in;
            err e = {0};
            if (reference_input_open(&in, o.m, found.gl_pathv[k], &e))
                fail_msg("%s", e.msg);
            compare(&o, &in.in, found.gl_pathv[k], 0);
            compare(&o, &in.in, found.gl_pathv[k], 7);
            reference_input_free(&in);
        }
        globfree(&found);
        close_model(&o);
    }
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tiny_models), cmocka_unit_test(test_order), cmocka_unit_test(test_threads),
        cmocka_unit_test(test_refusals), cmocka_unit_test(test_applies), cmocka_unit_test(test_image_places),
        cmocka_unit_test(test_references),
    };
    return cmocka_run_group_tests_name("kinds of attention", tests, folder_setup, folder_teardown);
}
