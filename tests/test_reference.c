/* dump and verify: what a dump holds, that it verifies exactly, and that every kind of damage is found. */
#include "tests/model_run.h"
#include "analysis/reference.h"
#include <sys/stat.h>
#include "base/mem.h"
#include "base/npz.h"

static const int32_t prompt[] = {0, 806, 308, 260, 1092, 793, 13, 278, 264, 693, 440};
enum { N = 11, LAYERS = 4, HEADS = 8, C = 256, V = 2048 };

typedef struct folder {
    char dir[64];
    opened o;
    path_text dump;     /* a full dump of the prompt */
} folder;

static void file_in(const folder *f, path_text out, const char *name)
{
    snprintf(out, sizeof(path_text), "%s/%s", f->dir, name);
}

static int set_up(void **state)
{
    folder *f = calloc(1, sizeof(*f));
    const char *tmp = getenv("TMPDIR");
    path_text model_path;
    err e = {0};
    assert_non_null(f);
    snprintf(f->dir, sizeof(f->dir), "%.40s/attnscope-XXXXXX", tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(f->dir));
    source_path(model_path, "examples/models/lantern-3m");
    f->o = open_model(model_path, 2);
    file_in(f, f->dump, "full.npz");
    assert_int_equal(dump_run(f->o.r, f->o.m, &(model_input){.ids = prompt, .n = N}, true, f->dump, NULL, &e), 0);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    folder *f = *state;
    char command[128];
    snprintf(command, sizeof(command), "rm -rf '%s'", f->dir);
    close_model(&f->o);
    int r = system(command);
    free(f);
    return r;
}

/* ---- dump ---- */

static void check_array(const npz *z, const char *name, npy_dtype type, int n_dim, int64_t a, int64_t b,
                        int64_t c)
{
    npy x;
    err e = {0};
    int64_t shape[] = {a, b, c};
    if (npz_get(&x, z, name, &e))
        fail_msg("%s", e.msg);
    assert_int_equal(x.dtype, type);
    assert_int_equal(x.n_dim, n_dim);
    for (int i = 0; i < n_dim; i++)
        assert_int_equal(x.shape[i], shape[i]);
    npy_free(&x);
}

static void test_dump_holds_every_array(void **state)
{
    folder *f = *state;
    npz *z;
    npy a;
    err e = {0};
    char name[32];
    assert_int_equal(npz_open(&z, f->dump, &e), 0);
    assert_int_equal(npz_count(z), 1 + 1 + (LAYERS + 1) + LAYERS);
    check_array(z, "ids", NPY_I64, 1, N, 0, 0);
    check_array(z, "logits", NPY_F32, 2, N, V, 0);
    for (int l = 0; l <= LAYERS; l++) {
        snprintf(name, sizeof(name), "hidden_%d", l);
        check_array(z, name, NPY_F32, 2, N, C, 0);
    }
    for (int l = 0; l < LAYERS; l++) {
        snprintf(name, sizeof(name), "attn_%d", l);
        check_array(z, name, NPY_F32, 3, HEADS, N, N);
        assert_int_equal(npz_get(&a, z, name, &e), 0);
        for (int64_t row = 0; row < HEADS * N; row++) {
            double sum = 0;
            for (int64_t k = 0; k < N; k++) {
                double p = npy_real(&a, row * N + k);
                assert_true(k <= row % N ? p >= 0 : p == 0);
                sum += p;
            }
            assert_true(fabs(sum - 1) < 1e-5);
        }
        npy_free(&a);
    }
    assert_int_equal(npz_get(&a, z, "ids", &e), 0);
    for (int64_t i = 0; i < N; i++) {
        int64_t id;
        assert_true(npy_int(&id, &a, i));
        assert_int_equal(id, prompt[i]);
    }
    npy_free(&a);
    npz_close(z);

    int32_t *ids;
    int64_t n;
    assert_int_equal(reference_ids(&ids, &n, f->dump, &e), 0);
    assert_int_equal(n, N);
    assert_memory_equal(ids, prompt, sizeof(prompt));
    free(ids);
}

static void test_dump_without_attention(void **state)
{
    folder *f = *state;
    path_text path;
    npz *z;
    verify_row *rows;
    int n_row;
    err e = {0};
    file_in(f, path, "lean.npz");
    assert_int_equal(dump_run(f->o.r, f->o.m, &(model_input){.ids = prompt, .n = N}, false, path, NULL, &e), 0);
    assert_int_equal(npz_open(&z, path, &e), 0);
    assert_int_equal(npz_count(z), 2 + LAYERS + 1);
    assert_false(npz_has(z, "attn_0"));
    npz_close(z);
    assert_int_equal(verify_run(f->o.r, f->o.m, path, &rows, &n_row, NULL, &e), 0);
    assert_int_equal(n_row, LAYERS + 2);
    free(rows);
}

static void test_failed_dump_leaves_nothing(void **state)
{
    folder *f = *state;
    path_text path;
    err e = {0};
    const int32_t outside[] = {0, V};
    file_in(f, path, "failed.npz");
    assert_int_equal(dump_run(f->o.r, f->o.m, &(model_input){.ids = outside, .n = 2}, true, path, NULL, &e), ERR_INPUT);
    assert_int_not_equal(access(path, F_OK), 0);
    file_in(f, path, "no such folder/x.npz");
    assert_int_not_equal(dump_run(f->o.r, f->o.m, &(model_input){.ids = prompt, .n = N}, true, path, NULL, &e), 0);
    assert_true(e.msg[0] != '\0');
    assert_int_equal(dump_run(f->o.r, f->o.m, &(model_input){.ids = prompt, .n = 0}, true, path, NULL, &e), ERR_USAGE);
}

/* Whichever allocation fails, the code says so and no file appears. */
static void test_no_memory(void **state)
{
    folder *f = *state;
    path_text path;
    file_in(f, path, "starved.npz");
    int failures = 0, r = ERR_RESOURCE;
    for (long nth = 1; r != 0 && nth < 500; nth++) {
        err e = {0};
        mem_fail_at(nth);
        r = dump_run(f->o.r, f->o.m, &(model_input){.ids = prompt, .n = N}, true, path, NULL, &e);
        mem_fail_at(0);
        if (r != 0) {
            assert_int_equal(r, ERR_RESOURCE);
            assert_int_not_equal(access(path, F_OK), 0);
            failures++;
        }
    }
    assert_in_range(failures, 3, 498);
    r = ERR_RESOURCE;
    for (long nth = 1; r != 0 && nth < 500; nth++) {
        err e = {0};
        verify_row *rows;
        int n_row;
        mem_fail_at(nth);
        r = verify_run(f->o.r, f->o.m, path, &rows, &n_row, NULL, &e);
        mem_fail_at(0);
        assert_int_equal(rows != NULL, r == 0);
        if (r != 0)
            assert_int_equal(r, ERR_RESOURCE);
        free(rows);
    }
    assert_int_equal(r, 0);
}

/* ---- verify ---- */

/* Copy the full dump, leaving arrays out and changing one cell of one array. */
typedef struct change {
    const char *keep;     /* only arrays whose names begin so; NULL: all */
    const char *array;    /* changed array; NULL: none */
    int64_t cell;
    float add;
    bool deflate;
    npy_dtype real;       /* stored type of the floating-point arrays: NPY_F32 or NPY_F64 */
    npy_dtype id;         /* of the ids: NPY_I64 or NPY_I32 */
} change;

static void put_copy(npz_writer *w, const npz *z, const char *name, const change *how)
{
    npy a;
    err e = {0};
    assert_int_equal(npz_get(&a, z, name, &e), 0);
    bool ids = !strcmp(name, "ids"), changed = how->array && !strcmp(name, how->array);
    npy_dtype type = ids ? how->id : how->real;
    unsigned char *bytes = calloc((size_t)a.count, 8);
    assert_non_null(bytes);
    for (int64_t i = 0; i < a.count; i++) {
        double x = npy_real(&a, i) + (changed && i == how->cell ? (double)how->add : 0);
        size_t at = (size_t)i * npy_dtype_size(type);
        if (type == NPY_F32)
            memcpy(bytes + at, &(float){(float)x}, 4);
        else if (type == NPY_F64)
            memcpy(bytes + at, &x, 8);
        else if (type == NPY_I32)
            memcpy(bytes + at, &(int32_t){(int32_t)x}, 4);
        else
            memcpy(bytes + at, &(int64_t){(int64_t)x}, 8);
    }
    assert_int_equal(npz_put(w, name, type, a.n_dim, a.shape, bytes, &e), 0);
    free(bytes);
    npy_free(&a);
}

static void write_changed(const folder *f, path_text out, change how)
{
    npz *z;
    npz_writer *w;
    err e = {0};
    file_in(f, out, "changed.npz");
    assert_int_equal(npz_open(&z, f->dump, &e), 0);
    assert_int_equal(npz_create(&w, out, how.deflate, &e), 0);
    for (int i = 0; i < npz_count(z); i++) {
        const char *name = npz_name(z, i);
        if (!how.keep || !strcmp(name, "ids") || !strncmp(name, how.keep, strlen(how.keep)))
            put_copy(w, z, name, &how);
    }
    assert_int_equal(npz_commit(w, &e), 0);
    npz_close(z);
}

static const change untouched = {.real = NPY_F32, .id = NPY_I64};

/* Own numbers, whatever way they are stored, come back without any difference. */
static void test_own_dump_is_equal(void **state)
{
    folder *f = *state;
    for (int way = 0; way < 4; way++) {
        path_text path;
        verify_row *rows;
        int n_row;
        err e = {0};
        change how = untouched;
        how.deflate = way & 1;
        how.real = way & 2 ? NPY_F64 : NPY_F32;
        how.id = way & 2 ? NPY_I32 : NPY_I64;
        write_changed(f, path, how);
        if (verify_run(f->o.r, f->o.m, path, &rows, &n_row, NULL, &e))
            fail_msg("%s", e.msg);
        assert_int_equal(n_row, 2 * LAYERS + 2);
        for (int i = 0; i < n_row; i++) {
            assert_true(rows[i].pass);
            assert_true(rows[i].max_abs == 0 && rows[i].nmse == 0);
            assert_true(rows[i].rms > 0);
        }
        /* In the order of the run. */
        assert_string_equal(rows[0].array, "hidden");
        assert_int_equal(rows[0].layer, 0);
        assert_string_equal(rows[1].array, "attn");
        assert_int_equal(rows[1].layer, 0);
        assert_string_equal(rows[n_row - 2].array, "hidden");
        assert_int_equal(rows[n_row - 2].layer, LAYERS);
        assert_string_equal(rows[n_row - 1].array, "logits");
        assert_int_equal(rows[n_row - 1].layer, NO_INDEX);
        free(rows);
    }
}

/* Any number of threads, the same rows. */
static void test_threads_verify_alike(void **state)
{
    folder *f = *state;
    path_text model_path;
    source_path(model_path, "examples/models/lantern-3m");
    for (int threads = 1; threads <= 3; threads += 2) {
        opened o = open_model(model_path, threads);
        verify_row *rows;
        int n_row;
        err e = {0};
        assert_int_equal(verify_run(o.r, o.m, f->dump, &rows, &n_row, NULL, &e), 0);
        for (int i = 0; i < n_row; i++)
            assert_true(rows[i].max_abs == 0);
        free(rows);
        close_model(&o);
    }
}

/* One wrong cell is found, attributed, measured; the other arrays still pass. */
static void test_one_wrong_cell(void **state)
{
    folder *f = *state;
    static const struct { const char *array, *kind; int layer; int64_t cell; float add; } damage[] = {
        {"attn_2", "attn", 2, (3 * N + 7) * N + 2, 1e-3f},
        {"attn_0", "attn", 0, (7 * N + 4) * N + 9, 1e-3f},  /* a masked cell: must be 0 */
        {"attn_3", "attn", 3, 0, -0.5f},
        {"hidden_0", "hidden", 0, 5, 0.25f},
        {"hidden_4", "hidden", 4, N * C - 1, 1.f},
        {"logits", "logits", NO_INDEX, N * V - 1, 1.f},
        {"attn_1", "attn", 1, 5, NAN},
        {"hidden_2", "hidden", 2, 5, NAN},
        {"logits", "logits", NO_INDEX, 17, NAN},
        {"logits", "logits", NO_INDEX, 17, INFINITY},
    };
    for (size_t d = 0; d < sizeof(damage) / sizeof(damage[0]); d++) {
        path_text path;
        verify_row *rows;
        int n_row;
        err e = {0};
        change how = untouched;
        how.array = damage[d].array;
        how.cell = damage[d].cell;
        how.add = damage[d].add;
        write_changed(f, path, how);
        assert_int_equal(verify_run(f->o.r, f->o.m, path, &rows, &n_row, NULL, &e), ERR_DIFFERS);
        assert_non_null(rows);
        assert_non_null(strstr(e.msg, "1 of 10 arrays differ"));
        assert_non_null(strstr(e.msg, damage[d].array));
        for (int i = 0; i < n_row; i++) {
            bool hit = !strcmp(rows[i].array, damage[d].kind) && rows[i].layer == damage[d].layer;
            assert_int_equal(rows[i].pass, !hit);
            assert_false(isnan(rows[i].max_abs) || isnan(rows[i].nmse) || isnan(rows[i].rms));
            if (hit && isfinite(damage[d].add))
                assert_true(fabs(rows[i].max_abs - (double)fabsf(damage[d].add)) < 1e-5);
            else if (hit)
                assert_true(isinf(rows[i].max_abs));
        }
        free(rows);
    }
}

static void test_what_is_there_is_compared(void **state)
{
    folder *f = *state;
    static const struct { const char *keep; int rows; } part[] = {
        {"logits", 1}, {"attn_", LAYERS}, {"hidden_", LAYERS + 1}, {"attn_2", 1},
    };
    for (size_t i = 0; i < sizeof(part) / sizeof(part[0]); i++) {
        path_text path;
        verify_row *rows;
        int n_row;
        err e = {0};
        change how = untouched;
        how.keep = part[i].keep;
        write_changed(f, path, how);
        if (verify_run(f->o.r, f->o.m, path, &rows, &n_row, NULL, &e))
            fail_msg("%s", e.msg);
        assert_int_equal(n_row, part[i].rows);
        free(rows);
    }
}

/* ---- references that do not fit ---- */

typedef struct member {
    const char *name;
    npy_dtype dtype;
    int n_dim;
    int64_t shape[3];
} member;

static void test_references_that_do_not_fit(void **state)
{
    folder *f = *state;
    static const struct { member m[3]; const char *message; } bad[] = {
        {{{"logits", NPY_F32, 2, {N, V}}}, "the reference has no array ids"},
        {{{"ids", NPY_I64, 1, {N}}},
         "the reference has none of hidden_*, attn_* and logits: nothing to compare"},
        {{{"ids", NPY_I64, 2, {1, N}}, {"logits", NPY_F32, 2, {N, V}}},
         "ids has shape [1, 11], expected [n]"},
        {{{"ids", NPY_I64, 1, {0}}, {"logits", NPY_F32, 2, {0, V}}}, "ids has shape [0], expected [n]"},
        {{{"ids", NPY_I64, 1, {N}}, {"logits", NPY_F32, 2, {N, V - 1}}},
         "logits has shape [11, 2047], the model gives [11, 2048]"},
        {{{"ids", NPY_I64, 1, {N}}, {"logits", NPY_F32, 3, {1, N, V}}},
         "logits has shape [1, 11, 2048], the model gives [11, 2048]"},
        {{{"ids", NPY_I64, 1, {N}}, {"hidden_0", NPY_F32, 2, {N, 128}}},
         "hidden_0 has shape [11, 128], the model gives [11, 256]"},
        {{{"ids", NPY_I64, 1, {N}}, {"attn_0", NPY_F32, 3, {4, N, N}}},
         "attn_0 has shape [4, 11, 11], the model gives [8, 11, 11]"},
        {{{"ids", NPY_I64, 1, {N}}, {"attn_3", NPY_F32, 3, {HEADS, N, N + 1}}},
         "attn_3 has shape [8, 11, 12], the model gives [8, 11, 11]"},
        {{{"ids", NPY_I64, 1, {N}}, {"attn_0", NPY_I64, 3, {HEADS, N, N}}},
         "attn_0 holds i64, not floating-point numbers"},
        {{{"ids", NPY_I64, 1, {N}}, {"hidden_5", NPY_F32, 2, {N, C}}},
         "the reference has hidden_5, the model 4 layers"},
        {{{"ids", NPY_I64, 1, {N}}, {"attn_4", NPY_F32, 3, {HEADS, N, N}}},
         "the reference has attn_4, the model 4 layers"},
        {{{"ids", NPY_I64, 1, {N}}, {"pixel_values", NPY_F32, 1, {4}}, {"logits", NPY_F32, 2, {N, V}}},
         "the reference has the input pixel_values, which this model does not take"},
    };
    float *zeros = calloc((size_t)N * V, sizeof(double));
    assert_non_null(zeros);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        path_text path;
        npz_writer *w;
        verify_row *rows;
        int n_row;
        err e = {0};
        file_in(f, path, "bad.npz");
        assert_int_equal(npz_create(&w, path, false, &e), 0);
        for (int k = 0; k < 3 && bad[i].m[k].name; k++) {
            const member *m = &bad[i].m[k];
            assert_int_equal(npz_put(w, m->name, m->dtype, m->n_dim, m->shape, zeros, &e), 0);
        }
        assert_int_equal(npz_commit(w, &e), 0);
        assert_int_equal(verify_run(f->o.r, f->o.m, path, &rows, &n_row, NULL, &e), ERR_INPUT);
        if (!strstr(e.msg, bad[i].message))
            fail_msg("'%s', expected '%s'", e.msg, bad[i].message);
        assert_null(rows);
        assert_int_equal(n_row, 0);
    }
    free(zeros);
}

static void test_files_that_are_no_reference(void **state)
{
    folder *f = *state;
    path_text path;
    verify_row *rows;
    int n_row;
    err e = {0};
    file_in(f, path, "missing.npz");
    assert_int_equal(verify_run(f->o.r, f->o.m, path, &rows, &n_row, NULL, &e), ERR_INPUT);
    assert_null(rows);
    source_path(path, "examples/models/lantern-3m/config.json");
    assert_int_equal(verify_run(f->o.r, f->o.m, path, &rows, &n_row, NULL, &e), ERR_INPUT);
    /* A token that the vocabulary does not have. */
    change how = untouched;
    how.array = "ids";
    how.cell = 3;
    how.add = V;
    write_changed(f, path, how);
    assert_int_equal(verify_run(f->o.r, f->o.m, path, &rows, &n_row, NULL, &e), ERR_INPUT);
    assert_null(rows);
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dump_holds_every_array),
        cmocka_unit_test(test_dump_without_attention),
        cmocka_unit_test(test_failed_dump_leaves_nothing),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_own_dump_is_equal),
        cmocka_unit_test(test_threads_verify_alike),
        cmocka_unit_test(test_one_wrong_cell),
        cmocka_unit_test(test_what_is_there_is_compared),
        cmocka_unit_test(test_references_that_do_not_fit),
        cmocka_unit_test(test_files_that_are_no_reference),
    };
    return cmocka_run_group_tests_name("reference", tests, set_up, tear_down);
}
