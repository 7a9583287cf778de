/* Every model family against Hugging Face: whole forward passes, all attention weights, hidden states and logits,
 * with every table of kernels that this machine can run, from safetensors and from GGUF.  One test for each directory. */
#include "tests/family_cases.h"
#include "tests/usable_tables.h"

#include <errno.h>
#include <math.h>

#include "base/mapfile.h"
#include "compute/kernels.h"

enum { THREADS = 2 };

static const kernels *tables[TABLES_MAX];
static int n_table;

/* ---- GGUF twins that lack something: tests/families/twins.txt ---- */

typedef struct lack {
    char twin[32], reference[32], outcome[16], message[160], why[200];
} lack;

static lack lacks[32];
static int n_lack;

static int read_lacks(void)
{
    char path[CASE_PATH], line[512];
    carried_path(path, "twins.txt");
    FILE *f = fopen(path, "r");
    if (!f) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return -1;
    }
    while (fgets(line, sizeof line, f)) {
        lack *k = &lacks[n_lack];
        if (line[0] == '#')
            continue;
        if (n_lack == 32 || sscanf(line, "%31[^\t]\t%31[^\t]\t%15[^\t]\t%159[^\t]\t%199[^\n]", k->twin, k->reference, k->outcome,
                                   k->message, k->why) != 5) {
            fprintf(stderr, "%s: malformed: %s", path, line);
            fclose(f);
            return -1;
        }
        n_lack++;
    }
    fclose(f);
    return 0;
}

static const lack *lack_of(const char *twin, const char *reference)
{
    for (int i = 0; i < n_lack; i++)
        if (!strcmp(lacks[i].twin, twin) && (!strcmp(lacks[i].reference, "*") || !strcmp(lacks[i].reference, reference)))
            return &lacks[i];
    return NULL;
}

/* What a twin lacks, put in: a value of its metadata corrected, or what no key exists for set in the model. */
typedef struct repair {
    const char *twin;
    struct { const char *key; uint32_t value; } meta[2];
    double query_scalar;
    int max_distance;
} repair;

static const repair repairs[] = {
    {.twin = "bloom", .meta = {{"bloom.context_length", 512}}},
    {.twin = "bloom-6heads", .meta = {{"bloom.context_length", 512}}},
    {.twin = "gemma2", .query_scalar = 24},
    {.twin = "phi", .meta = {{"phi2.attention.head_count_kv", 2}, {"phi2.feed_forward_length", 96}}},
    {.twin = "t5", .max_distance = 20},
};

static const repair *repair_of(const char *twin)
{
    for (size_t i = 0; i < sizeof repairs / sizeof *repairs; i++)
        if (!strcmp(repairs[i].twin, twin))
            return &repairs[i];
    return NULL;
}

static void set_meta(char *bytes, size_t n, const char *key, uint32_t value)
{
    size_t len = strlen(key);
    char *at = memmem(bytes, n, key, len);
    if (!at || at + len + 8 > bytes + n)
        fail_msg("no key %s", key);
    memcpy(at + len + 4, &value, 4); /* behind the type */
}

static void check_repaired(const model_case *c, const char *file, const char *reference, const char *isa)
{
    const repair *fix = repair_of(c->name);
    char *bytes;
    size_t n;
    checkpoint *ckpt;
    model *m;
    runtime *r;
    err e = {0};
    if (!fix)
        fail_msg("%s: no repair shows that %s is all it lacks", file, c->name);
    if (read_file(&bytes, &n, file, 1 << 26, &e))
        fail_msg("%s: %s", file, e.msg);
    for (int i = 0; i < 2 && fix->meta[i].key; i++)
        set_meta(bytes, n, fix->meta[i].key, fix->meta[i].value);
    if (checkpoint_open_memory(&ckpt, bytes, n, file, &e) || model_from_checkpoint(&m, ckpt, &e))
        fail_msg("%s repaired: %s", file, e.msg);
    for (int l = 0; fix->query_scalar > 0 && l < m->main->n_layer; l++)
        m->main->layers[l].self.plan.scale = (float)pow(fix->query_scalar, -0.5);
    if (fix->max_distance)
        m->main->rel_max_distance = m->encoder->rel_max_distance = fix->max_distance;
    if (runtime_new(&r, m, THREADS, PRECISION_F32, &e) || run_reference(r, m, reference, &e))
        fail_msg("%s repaired, %s, %s: %s", file, reference, isa, e.msg);
    runtime_free(r);
    model_free(m);
    free(bytes);
}

/* ---- walking ---- */

/* Models whose scores are so sharp that their references, which are float32, are up to 2.03e-5 (1.5e-5) from a pass in double
 * precision.  Where float32 is made of bfloat16 terms, sums round elsewhere: these weights may miss the gate then, though they
 * were measured nearer to double precision than the references (8.4e-6 and 1.2e-5). */
static bool too_sharp(const char *name)
{
    return kernels_get()->tiles->split && (!strcmp(name, "gpt_neo") || !strcmp(name, "nemotron"));
}

/* As the table of lacks says, else exactly right. */
static void check_outcome(const model_case *c, const char *file, const model_case *ref, const char *isa, int rc, const err *e)
{
    const lack *k = strstr(file, ".gguf") ? lack_of(c->name, ref->name) : NULL;
    if (!k) {
        if (rc && !(rc == ERR_DIFFERS && too_sharp(c->name) && strstr(e->msg, "attn_")))
            fail_msg("%s, %s, %s: %s%s%s", file, ref->name, isa, e->msg, e->hint[0] ? "; " : "", e->hint);
        return;
    }
    int expected = !strcmp(k->outcome, "differs") ? ERR_DIFFERS : ERR_INPUT;
    if (rc != expected || !strstr(e->msg, k->message))
        fail_msg("%s, %s, %s: \"%s\" with \"%s\" was expected (%s), this happened: %d %s", file, ref->name, isa, k->outcome,
                 k->message, k->why, rc, e->msg);
    check_repaired(c, file, ref->path, isa);
}

static void check_file(const model_case *c, const char *file, const char *isa)
{
    static model_case refs[REFERENCES_MAX];
    model *m = NULL;
    runtime *r = NULL;
    err open_error = {0};
    int n = list_references(refs, c->path), opened = model_open(&m, file, &open_error);
    assert_true(n > 0);
    if (!opened && (opened = runtime_new(&r, m, THREADS, PRECISION_F32, &open_error)))
        fail_msg("%s: %s", file, open_error.msg);
    for (int i = 0; i < n; i++) {
        err e = open_error;
        int rc = opened ? opened : run_reference(r, m, refs[i].path, &e);
        check_outcome(c, file, &refs[i], isa, rc, &e);
    }
    if (!opened) {
        runtime_free(r);
        model_free(m);
    }
}

static void test_case(void **state)
{
    const model_case *c = *state;
    char twin[CASE_PATH];
    const char *note;
    snprintf(twin, sizeof twin, "%.1000s/model-f32.gguf", c->path);
    for (int i = 0; i < n_table; i++) {
        const char *isa = tables[i]->isa;
        assert_int_equal(kernels_select(isa, &note, NULL), 0);
        check_file(c, c->path, isa);
        if (access(twin, R_OK) == 0)
            check_file(c, twin, isa);
    }
}

static void test_golden_is_here(void **state)
{
    (void)state;
    char path[CASE_PATH];
    golden_path(path, "");
    if (access(path, R_OK) != 0) {
        fprintf(stderr, "# skipped: no %s\n", path);
        skip();
    }
}

/* Every row of twins.txt speaks of a twin and a reference that are there. */
static void test_lacks_are_current(void **state)
{
    (void)state;
    char path[CASE_PATH];
    golden_path(path, "");
    if (access(path, R_OK) != 0)
        skip();
    for (int i = 0; i < n_lack; i++) {
        golden_path(path, lacks[i].twin);
        assert_true(file_exists(path, "model-f32.gguf"));
        assert_true(!strcmp(lacks[i].reference, "*") || file_exists(path, lacks[i].reference));
        assert_true(!strcmp(lacks[i].outcome, "differs") || !strcmp(lacks[i].outcome, "refused"));
        assert_non_null(repair_of(lacks[i].twin));
    }
}

int main(void)
{
    static model_case carried[CASES_MAX], golden[CASES_MAX];
    static char names[2 * CASES_MAX][80];
    static struct CMUnitTest tests[2 * CASES_MAX + 2];
    char root[CASE_PATH];
    size_t n = 0;
    cmocka_set_message_output(CM_OUTPUT_TAP);
    if (read_lacks())
        return 1;
    n_table = usable_tables(tables);
    carried_path(root, "");
    int n_carried = list_cases(carried, root);
    golden_path(root, "");
    int n_golden = list_cases(golden, root);
    if (n_carried == 0) {
        fprintf(stderr, "no cases in tests/families\n");
        return 1;
    }
    for (int i = 0; i < n_carried + n_golden; i++) {
        model_case *c = i < n_carried ? &carried[i] : &golden[i - n_carried];
        snprintf(names[n], sizeof names[n], "%s %.63s", i < n_carried ? "carried" : "golden", c->name);
        tests[n] = (struct CMUnitTest){.name = names[n], .test_func = test_case, .initial_state = c};
        n++;
    }
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_golden_is_here);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_lacks_are_current);
    return _cmocka_run_group_tests("families", tests, n, NULL, NULL);
}
