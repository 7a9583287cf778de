/* Metrics and arrays of whole models against files that other programs computed, with every table of kernels that this
 * machine can run; SmolLM2 in plain C with its short texts alone. */
#include "tests/model_run.h"
#include "tests/usable_tables.h"
#include <glob.h>
#include "base/json.h"

static const kernels *tables[TABLES_MAX];

static int choose_table(void **state)
{
    const kernels *k = *state;
    const char *note;
    return kernels_select(k->isa, &note, NULL);
}

/* Plain C takes a twentieth of a second for each token of SmolLM2; where there is more, it is there to be right, not fast. */
static bool slow(void)
{
    return kernels_get() == &kernels_c && tables[0] != &kernels_c;
}

static const char *const per_head[][2] = {
    /* name in the file, metric */
    {"sink0", "sink"}, {"entropy", "entropy"}, {"prev_token", "prev_token"}, {"self", "self"},
    {"max", "max"}, {"distance", "distance"}, {NULL, NULL},
};

static double number_at(const json *table, int layer, int head)
{
    double v = NAN;
    const json *cell = json_at(json_at(table, (size_t)layer), (size_t)head);
    assert_true(json_real(&v, cell));
    return v;
}

typedef struct worst {
    double head, nll, induction;
    int values;
} worst;

static void compare_head(worst *w, const json *table, const collected *c, const char *name, int64_t position,
                         int layer, int head)
{
    double ours = value_of(c, name, layer, head, position), theirs = number_at(table, layer, head);
    double diff = fabs(ours - theirs);
    if (!(diff <= 1e-4))
        fail_msg("%s of L%dH%d: %.9g, reference %.9g", name, layer, head, ours, theirs);
    w->head = diff > w->head ? diff : w->head;
    w->values++;
}

static void compare_file(worst *w, const opened *o, const char *path)
{
    json *file;
    err e = {0};
    int32_t ids[512];
    if (json_load(&file, path, 16 << 20, &e))
        fail_msg("%s", e.msg);
    const json *list = json_get(file, "ids"), *heads = json_get(file, "per_head");
    const json *nll = json_get(file, "nll"), *induction = json_get(file, "induction");
    int64_t n = (int64_t)json_count(list);
    assert_in_range(n, 2, 512);
    for (int64_t i = 0; i < n; i++) {
        int64_t id;
        assert_true(json_int(&id, json_at(list, (size_t)i)));
        ids[i] = (int32_t)id;
    }

    collected c = {0}, last = {0};
    if (run_analysis(&c, o, ids, n, metric_defaults, NULL, NULL, 0, 0))
        fail_msg("%s: %s", path, c.e.msg);
    const char *const at_the_end[] = {"entropy-rows=last", NULL};
    if (run_analysis(&last, o, ids, n, "entropy", at_the_end, NULL, 0, 0))
        fail_msg("%s: %s", path, last.e.msg);
    for (int l = 0; l < o->m->main->n_layer; l++)
        for (int h = 0; h < o->m->main->layers[l].self.plan.n_head; h++) {
            for (int i = 0; per_head[i][0]; i++)
                compare_head(w, json_get(heads, per_head[i][0]), &c, per_head[i][1], i == 0 ? 0 : NO_INDEX,
                             l, h);
            compare_head(w, json_get(heads, "entropy_last"), &last, "entropy", n - 1, l, h);
            if (induction) {
                double diff = fabs(value_of(&c, "induction", l, h, NO_INDEX) - number_at(induction, l, h));
                if (!(diff <= 1e-4))
                    fail_msg("%s: induction of L%dH%d differs by %g", path, l, h, diff);
                w->induction = diff > w->induction ? diff : w->induction;
                w->values++;
            }
        }
    assert_int_equal(json_count(nll), n - 1);
    for (int64_t i = 0; i < n - 1; i++) {
        double theirs;
        assert_true(json_real(&theirs, json_at(nll, (size_t)i)));
        double diff = fabs(value_of(&c, "nll", NO_INDEX, NO_INDEX, i + 1) - theirs);
        if (!(diff <= 1e-3))
            fail_msg("%s: nll at %d differs by %g", path, (int)i + 1, diff);
        w->nll = diff > w->nll ? diff : w->nll;
        w->values++;
    }
    collected_free(&c);
    collected_free(&last);
    json_free(file);
}

/* The metrics-*.json of a folder, of these names; expected: values compared in all. */
static void compare_folder(const char *model_path, const char *folder, const char *names, int expected)
{
    opened o = open_model(model_path, 2);
    path_text pattern;
    glob_t found;
    worst w = {0};
    snprintf(pattern, sizeof(pattern), "%.900s/metrics-%.99s.json", folder, names);
    assert_int_equal(glob(pattern, GLOB_BRACE, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++)
        compare_file(&w, &o, found.gl_pathv[i]);
    fprintf(stderr, "# %zu files, %d values: largest difference %.2g, induction %.2g, nll %.2g\n",
            found.gl_pathc, w.values, w.head, w.induction, w.nll);
    assert_int_equal(w.values, expected);
    globfree(&found);
    close_model(&o);
}

/* What the project carries itself. */
static void test_bundled_metrics(void **state)
{
    (void)state;
    path_text model_path, folder;
    source_path(model_path, "examples/models/lantern-3m");
    source_path(folder, "examples/models/lantern-3m-reference");
    compare_folder(model_path, folder, "*", 3 * 7 * 32 + 32 + 180 + 10 + 73);
}

static void test_lantern_metrics(void **state)
{
    (void)state;
    path_text model_path, folder;
    source_path(model_path, "examples/models/lantern-3m");
    shared_path(folder, "models/lantern-3m-reference");
    /* 4 files of 7 numbers for 32 heads, one of them with induction; one nll a token but the first. */
    compare_folder(model_path, folder, "*", 4 * 7 * 32 + 32 + 113 + 180 + 10 + 73);
}

static void test_smollm2_metrics(void **state)
{
    (void)state;
    path_text model_path, folder;
    shared_path(folder, "golden/smollm2-135m-q4_1");
    smollm2_path(model_path);
    if (slow())
        compare_folder(model_path, folder, "{code,short}", 2 * 7 * 270 + 24 + 4);
    else
        compare_folder(model_path, folder, "*", 5 * 7 * 270 + 270 + 24 + 189 + 200 + 4 + 52);
}

/* ---- verify ---- */

static void verify_files(const char *model_path, const char *references, int expected_files)
{
    opened o = open_model(model_path, 2);
    glob_t found;
    assert_int_equal(glob(references, 0, NULL, &found), 0);
    assert_int_equal(found.gl_pathc, expected_files);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        verify_row *rows;
        int n_row;
        err e = {0};
        int r = verify_run(o.r, o.m, found.gl_pathv[i], &rows, &n_row, NULL, &e);
        if (r != 0)
            fail_msg("%s with %s: %s", model_path, found.gl_pathv[i], e.msg);
        assert_int_equal(n_row, 2 * o.m->main->n_layer + 2);
        double attn = 0, hidden = 0, logits = 0;
        for (int k = 0; k < n_row; k++) {
            assert_true(rows[k].pass);
            if (!strcmp(rows[k].array, "attn"))
                attn = fmax(attn, rows[k].max_abs);
            else if (!strcmp(rows[k].array, "hidden"))
                hidden = fmax(hidden, rows[k].max_abs / rows[k].rms);
            else
                logits = rows[k].nmse;
        }
        const char *base = strrchr(found.gl_pathv[i], '/');
        fprintf(stderr, "# %s %s: attn %.1e, hidden %.1e x rms, logits nmse %.1e\n", o.m->name,
                base ? base + 1 : found.gl_pathv[i], attn, hidden, logits);
        free(rows);
    }
    globfree(&found);
    close_model(&o);
}

static void verify_golden(const char *name, int expected_files)
{
    path_text dir, refs, twin;
    char relative[128];
    snprintf(relative, sizeof(relative), "golden/%s", name);
    shared_path(dir, relative);
    snprintf(refs, sizeof(refs), "%.900s/ref-*.npz", dir);
    verify_files(dir, refs, expected_files);
    snprintf(twin, sizeof(twin), "%.900s/model-f32.gguf", dir);
    if (access(twin, R_OK) == 0)
        verify_files(twin, refs, expected_files);
}

static void test_verify_bundled(void **state)
{
    (void)state;
    path_text model_path, refs;
    source_path(model_path, "examples/models/lantern-3m");
    source_path(refs, "examples/models/lantern-3m-reference/ref-*.npz");
    verify_files(model_path, refs, 2);
}

static void test_verify_gpt2(void **state)
{
    (void)state;
    verify_golden("gpt2", 4);
    verify_golden("gpt2-layer-scaled", 2);
}

static void test_verify_llama(void **state)
{
    (void)state;
    verify_golden("llama", 4);
    verify_golden("llama-headdim-tied", 2);
}

static void test_verify_llama_rope_scaling(void **state)
{
    (void)state;
    verify_golden("llama-rope-linear", 2);
    verify_golden("llama-rope-llama3", 3);
    verify_golden("llama-rope-yarn", 4);
}

static void test_verify_lantern(void **state)
{
    (void)state;
    path_text model_path, refs;
    source_path(model_path, "examples/models/lantern-3m");
    shared_path(refs, "models/lantern-3m-reference");
    strcat(refs, "/ref-*.npz");
    verify_files(model_path, refs, 3);
}

static void test_verify_smollm2(void **state)
{
    (void)state;
    path_text model_path, refs;
    shared_path(refs, "golden/smollm2-135m-q4_1");
    strcat(refs, slow() ? "/ref-short.npz" : "/ref-*.npz");
    smollm2_path(model_path);
    verify_files(model_path, refs, slow() ? 1 : 2);
}

int main(void)
{
    static const struct { const char *name; CMUnitTestFunction run; } cases[] = {
        {"verify, bundled model", test_verify_bundled}, {"metrics, bundled model", test_bundled_metrics},
        {"verify, Lantern", test_verify_lantern}, {"verify, GPT-2", test_verify_gpt2}, {"verify, Llama", test_verify_llama},
        {"verify, scaled rotary positions", test_verify_llama_rope_scaling}, {"verify, SmolLM2", test_verify_smollm2},
        {"metrics, Lantern", test_lantern_metrics}, {"metrics, SmolLM2", test_smollm2_metrics},
    };
    enum { CASES = sizeof cases / sizeof *cases };
    static struct CMUnitTest tests[CASES * TABLES_MAX];
    static char names[CASES * TABLES_MAX][80];
    size_t n = 0;
    cmocka_set_message_output(CM_OUTPUT_TAP);
    int n_table = usable_tables(tables);
    for (int t = 0; t < n_table; t++)
        for (int c = 0; c < CASES; c++, n++) {
            snprintf(names[n], sizeof names[n], "%s, %s", cases[c].name, tables[t]->isa);
            tests[n] = (struct CMUnitTest){names[n], cases[c].run, choose_table, NULL, (void *)tables[t]};
        }
    return _cmocka_run_group_tests("golden metrics", tests, n, NULL, NULL);
}
