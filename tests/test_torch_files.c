/* PyTorch's older stream; and its files on disk: directories, shards, files of its own making. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "tests/test_base_folder.h"
#include "tests/torch_checks.h"

/* ---- the older stream ---- */

static void stream_storage(strbuf *b, const char *name, const char *key, int64_t count, const char *view)
{
    op_text(b, name);
    op_global(b, "torch._utils", "_rebuild_tensor");
    OPS(b, "((");
    op_text(b, "storage");
    op_global(b, "torch", "ShortStorage");
    op_text(b, key);
    op_text(b, "cpu");
    op_long(b, count);
    strbuf_puts(b, view);
    OPS(b, "tQK\1K\2\x85K\1\x85tRs");
}

typedef struct stream_case {
    const char *view;
    bool big;
    int n_key;
    uint64_t count;
    size_t n;
    const char *why;
} stream_case;

static void test_stream(void **state)
{
    (void)state;
    static const stream_case cases[] = {
        {"N", false, 1, 4, 8, NULL},
        {"(X\1\1\1\1", false, 1, 4, 8, "the pickle ends"},
        {"(NK\2K\4t", false, 1, 4, 8, "the view of a storage reaches beyond it"},
        {"K\1", false, 1, 4, 8, "the parts of the view of a storage"},
        {"N", true, 1, 4, 8, "written on a big-endian machine"},
        {"N", false, 0, 4, 8, "storage \"a\" is not in the file"},
        {"N", false, 2, 4, 8, "storage \"a\" is listed twice"},
        {"N", false, 1, 5, 10, "storage \"a\" should have 4 elements, but has 5"},
        {"N", false, 1, UINT64_MAX, 8, "storage \"a\" should have 4 elements, but has 18446744073709551615"},
        {"N", false, 1, 4, 7, "storage \"a\" is cut short"},
        {"N", false, 1, 4, 9, "1 bytes follow the last storage"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        strbuf b = {0};
        stream_head(&b, !cases[i].big);
        OPS(&b, PROTO "}");
        stream_storage(&b, "w", "a", 4, cases[i].view);
        OPS(&b, ".");
        stream_tail(&b, cases[i].n_key, (const char *const[]){"a", "a"}, cases[i].count, cases[i].n);
        if (cases[i].why) {
            refuse_torch(&b, cases[i].why, "");
        } else {
            opened o = open_bytes(b.s, b.len, "x.bin");
            const tensor *t = find_tensor(&o, "w");
            assert_true(t->type == DT_I16 && t->n_dim == 1 && t->shape[0] == 2);
            assert_memory_equal(t->data, "\2\3\4\5", 4);
            close_bytes(&o);
            for (size_t n = 0; n < b.len; n++) {
                o = open_bytes(b.s, n, "x.pt");
                assert_null(o.c);
                close_bytes(&o);
            }
        }
        strbuf_free(&b);
    }
}

static void test_stream_parts(void **state)
{
    (void)state;
    strbuf b = {0};
    stream_head(&b, true); /* a view of a storage */
    OPS(&b, PROTO "}");
    stream_storage(&b, "w", "a", 4, "(NK\1K\3t");
    b.s[b.len - 1] = 's';
    OPS(&b, ".");
    stream_tail(&b, 1, (const char *const[]){"a"}, 4, 8);
    opened o = open_bytes(b.s, b.len, "x.bin");
    assert_memory_equal(find_tensor(&o, "w")->data, "\4\5\6\7", 4);
    close_bytes(&o);

    strbuf_clear(&b);
    stream_head(&b, true);
    OPS(&b, PROTO "}");
    stream_storage(&b, "w", "a", 4, "N");
    stream_storage(&b, "v", "a", 5, "N");
    OPS(&b, ".");
    stream_tail(&b, 1, (const char *const[]){"a"}, 4, 8);
    refuse_torch(&b, "storage \"a\"", "");

    strbuf_clear(&b);
    stream_head(&b, true);
    OPS(&b, PROTO "}.");
    stream_tail(&b, 1, (const char *const[]){"a"}, 4, 8);
    refuse_torch(&b, "storage \"a\" belongs to no tensor", "");
    strbuf_clear(&b);
    stream_head(&b, true);
    OPS(&b, PROTO "}." PROTO "}.");
    refuse_torch(&b, "the keys of its storages are a dictionary, not a list", "");
    strbuf_clear(&b);
    stream_head(&b, true);
    OPS(&b, PROTO "}." PROTO "]K\1a.");
    refuse_torch(&b, "the key of a storage is an integer", "");
    strbuf_clear(&b);
    OPS(&b, PROTO "}.");
    refuse_torch(&b, "is a Python pickle, but not a file of torch.save", "torch.save");
    strbuf_free(&b);
}

/* ---- directories ---- */

static void write_torch(const char *name, const char *tensor_name)
{
    strbuf p = {0};
    zip_bytes z = {0};
    OPS(&p, PROTO "}");
    op_vector(&p, tensor_name, "ByteStorage", "0", 4);
    OPS(&p, ".");
    torch_archive(&z, &p, 4);
    write_bytes(in_folder(name), z.b.s, z.b.len);
    zip_bytes_free(&z);
    strbuf_free(&p);
}

static void write_text(const char *name, const char *text)
{
    write_bytes(in_folder(name), text, strlen(text));
}

static void opens_with(const char *path, const char *tensor_name)
{
    checkpoint *c = NULL;
    err e = {0};
    if (checkpoint_open(&c, path, &e) != 0)
        fprintf(stderr, "refused: %s\n", e.msg);
    assert_non_null(c);
    assert_non_null(checkpoint_find(c, tensor_name));
    checkpoint_close(c);
}

static void refuses(const char *path, const char *why)
{
    checkpoint *c;
    err e = {0};
    assert_int_equal(checkpoint_open(&c, path, &e), ERR_INPUT);
    if (!strstr(e.msg, why))
        fprintf(stderr, "expected '%s', got '%s'\n", why, e.msg);
    assert_non_null(strstr(e.msg, why));
}

static void test_directories(void **state)
{
    (void)state;
    write_torch("consolidated.00.pth", "meta");
    write_text("training_args.bin", "x");
    write_text("optimizer.pt", "x");
    write_text("rng_state.pth", "x");
    refuses(folder, "has weights (consolidated.00.pth) but no config.json");
    write_text("config.json", "{}");
    opens_with(folder, "meta");
    write_torch("consolidated.01.pth", "meta");
    refuses(folder, "consolidated.00.pth and the others each hold a slice of every tensor");
    assert_int_equal(unlink(in_folder("consolidated.01.pth")), 0);
    write_torch("z.pt", "z");
    refuses(folder, "which of its 2 PyTorch files? (consolidated.00.pth, z.pt)");
    opens_with(in_folder("z.pt"), "z");

    write_torch("pytorch_model-00001-of-00002.bin", "a");
    write_torch("pytorch_model-00002-of-00002.bin", "b");
    write_text("pytorch_model.bin.index.json",
               "{\"weight_map\":{\"a\":\"pytorch_model-00001-of-00002.bin\","
               "\"b\":\"pytorch_model-00002-of-00002.bin\"}}");
    opens_with(folder, "a");
    opens_with(folder, "b");
    opens_with(in_folder("pytorch_model.bin.index.json"), "b");
    refuses(in_folder("pytorch_model-00001-of-00002.bin"), "is one shard of a model in several files");
    write_torch("pytorch_model.bin", "single");
    opens_with(folder, "single");

    strbuf b = {0};
    put_safetensors(&b, "{\"s\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1);
    write_bytes(in_folder("model.safetensors"), b.s, b.len);
    strbuf_free(&b);
    opens_with(folder, "s");
}

static void test_shards_without_index(void **state)
{
    (void)state;
    write_text("config.json", "{}");
    write_torch("pytorch_model-00001-of-00002.bin", "a");
    write_torch("pytorch_model-00002-of-00002.bin", "b");
    refuses(folder, "2 PyTorch files but no pytorch_model.bin.index.json");
}

/* ---- files of PyTorch's own making ---- */

static void test_fixtures(void **state)
{
    (void)state;
    char path[PATH_MAX];
    static const checkpoint_options bare = {.weights_only = true};
    static const struct { const char *file, *name; int n_dim; int64_t shape[3]; } cases[] = {
        {"test.pt", "test", 2, {2, 4}}, {"test_with_key.pt", "test", 2, {2, 4}},
        {"fortran_tensor_3d.pth", "tensor_fortran", 3, {2, 3, 4}},
    };
    if (!shared_path(path, "fixtures/torch"))
        skip();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char name[64];
        checkpoint *c = NULL;
        err e = {0};
        snprintf(name, sizeof name, "fixtures/torch/%s", cases[i].file);
        assert_non_null(shared_path(path, name));
        assert_int_equal(checkpoint_open_with(&c, path, &bare, &e), 0);
        const tensor *t = &checkpoint_find(c, cases[i].name)->t;
        assert_true(t->type == DT_I64 && t->n_dim == cases[i].n_dim);
        assert_memory_equal(t->shape, cases[i].shape, (size_t)t->n_dim * sizeof *t->shape);
        const int64_t *v = t->data;
        for (int k = 0; k < (t->n_dim == 3 ? 24 : 8); k++) /* whatever the order in the file */
            assert_int_equal(v[k], k + 1);
        checkpoint_close(c);
    }
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stream),
        cmocka_unit_test(test_stream_parts),
        FILE_TEST(test_directories),
        FILE_TEST(test_shards_without_index),
        cmocka_unit_test(test_fixtures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
