/* Checkpoints in several parts, as NumPy archives, and with a configuration that lies elsewhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <ftw.h>
#include <sys/stat.h>

#include "base/npz.h"
#include "tests/llama2c_bytes.h"

#define CONFIG "{\"model_type\":\"llama\",\"hidden_size\":8}"

static char root[64];

static int make_root(void **state)
{
    (void)state;
    snprintf(root, sizeof root, "/tmp/attnscope-test-XXXXXX");
    return mkdtemp(root) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *where)
{
    (void)st, (void)flag, (void)where;
    return remove(path);
}

static int remove_root(void **state)
{
    (void)state;
    return nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* root/name, one of a few static buffers. */
static const char *in_root(const char *name)
{
    static char paths[4][PATH_MAX];
    static int next;
    char *p = paths[next++ % 4];
    snprintf(p, PATH_MAX, "%s/%s", root, name);
    return p;
}

static void write_bytes(const char *name, const void *bytes, size_t n)
{
    FILE *f = fopen(in_root(name), "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static checkpoint *opens_with(const char *path, const checkpoint_options *o)
{
    checkpoint *c = NULL;
    err e = {0};
    if (checkpoint_open_with(&c, path, o, &e) != 0)
        fprintf(stderr, "refused: %s\n", e.msg);
    assert_non_null(c);
    touch_all(c);
    return c;
}

static checkpoint *opens(const char *path)
{
    return opens_with(path, NULL);
}

static void refused_with(const char *path, const checkpoint_options *o, int code, const char *fragment,
                         const char *hint)
{
    checkpoint *c = NULL;
    err e = {0};
    int rc = checkpoint_open_with(&c, path, o, &e);
    if (rc != code || !strstr(e.msg, fragment) || !strstr(e.hint, hint))
        fprintf(stderr, "wanted \"%s\" and \"%s\", got \"%s\" and \"%s\"\n", fragment, hint,
                rc ? e.msg : "(opened)", e.hint);
    assert_int_equal(rc, code);
    assert_null(c);
    assert_non_null(strstr(e.msg, fragment));
    assert_non_null(strstr(e.hint, hint));
}

static void refused(const char *path, const char *fragment, const char *hint)
{
    refused_with(path, NULL, ERR_INPUT, fragment, hint);
}

/* ---- GGUF in several parts ---- */

/* Part no of count with one tensor "t<no>" of four bytes, all no + 1.  total 0: no split.tensors.count. */
static void write_part(const char *name, uint64_t no, uint64_t count, uint64_t total)
{
    strbuf b = {0};
    char tensor_name[16];
    put_gguf_header(&b, 3, 1, no == 0 ? total ? 4 : 3 : 2);
    put_key(&b, "split.no", GGUF_U16), strbuf_add(&b, &no, 2);
    put_key(&b, "split.count", GGUF_U16), strbuf_add(&b, &count, 2);
    if (no == 0) {
        put_kv_string(&b, "general.architecture", "llama"); /* the other parts do not repeat it */
        if (total)
            put_key(&b, "split.tensors.count", GGUF_I32), put_u32(&b, (uint32_t)total);
    }
    snprintf(tensor_name, sizeof tensor_name, "t%d", (int)no);
    put_tensor_info(&b, tensor_name, 1, (uint64_t[]){4}, 24, 0);
    put_padding(&b, 32);
    for (int i = 0; i < 4; i++)
        strbuf_putc(&b, (char)(no + 1));
    write_bytes(name, b.s, b.len);
    strbuf_free(&b);
}

static void check_parts(const char *path)
{
    gguf_string s;
    checkpoint *c = opens(path);
    assert_string_equal(c->path, path);
    assert_int_equal(c->n_file, 3);
    assert_int_equal(c->n_tensor, 3);
    for (int i = 0; i < 3; i++) {
        char name[16];
        snprintf(name, sizeof name, "t%d", i);
        const checkpoint_tensor *t = checkpoint_find(c, name);
        assert_non_null(t);
        assert_int_equal(t->file, i);
        assert_int_equal(*(const unsigned char *)t->t.data, i + 1);
    }
    assert_int_equal(gguf_count(c->gguf), 4); /* the metadata of the first part, whichever was named */
    assert_true(gguf_text(&s, gguf_find(c->gguf, "general.architecture")));
    checkpoint_close(c);
}

static void test_parts(void **state)
{
    (void)state;
    write_part("m-00002-of-00003.gguf", 1, 3, 0);
    write_part("m-00003-of-00003.gguf", 2, 3, 0);
    refused(in_root("m-00002-of-00003.gguf"),
            "m-00001-of-00003.gguf: no such file: part 1 of the 3 parts of \"m\" is missing", "fetch the missing part");
    write_part("m-00001-of-00003.gguf", 0, 3, 3);
    check_parts(root);
    check_parts(in_root("m-00001-of-00003.gguf"));
    check_parts(in_root("m-00002-of-00003.gguf"));
    check_parts(in_root("m-00003-of-00003.gguf"));

    write_part("x-00001-of-00002.gguf", 0, 2, 0); /* another model beside it */
    refused(root, "which of its 4 .gguf files?", "give the path of one of them");
    check_parts(in_root("m-00003-of-00003.gguf"));
    refused(in_root("x-00001-of-00002.gguf"), "x-00002-of-00002.gguf: no such file", "");
    write_part("x-00002-of-00002.gguf", 1, 2, 0);
    checkpoint *c = opens(in_root("x-00002-of-00002.gguf"));
    assert_int_equal(c->n_tensor, 2);
    checkpoint_close(c);
}

static void test_part_refusals(void **state)
{
    (void)state;
    write_part("a-00001-of-00002.gguf", 0, 2, 2);
    write_part("a-00002-of-00002.gguf", 0, 2, 2); /* the first part again */
    refused(root, "00002-of-00002.gguf: should be part 2 of 2 of a split model, but says that it is part 1 of 2",
            "fetch them again");
    write_part("a-00002-of-00002.gguf", 1, 3, 0);
    refused(in_root("a-00001-of-00002.gguf"), "should be part 2 of 2 of a split model, but says that it is part 2 of 3",
            "fetch them again");
    refused(in_root("a-00002-of-00002.gguf"), "its name does not say where the others are", "-00001-of-00003.gguf");
    write_part("a-00002-of-00002.gguf", 1, 2, 0);
    write_part("a-00001-of-00002.gguf", 0, 2, 5);
    refused(root, "hold 2 tensors together, but split.tensors.count is 5", "fetch");
    write_part("a-00001-of-00002.gguf", 0, 2, 2);
    write_part("whole.gguf", 1, 2, 0);
    refused(in_root("whole.gguf"), "is one part of a model in 2 files, and its name does not say", "name the parts");
    write_bytes("a-00002-of-00002.gguf", "\2\0\0\0\0\0\0\0{}", 10);
    refused(in_root("a-00001-of-00002.gguf"), "is safetensors, but the other files are gguf", "");

    /* a name alone makes no split model */
    strbuf b = {0};
    put_gguf_header(&b, 3, 0, 0);
    write_bytes("b-00002-of-00007.gguf", b.s, b.len);
    checkpoint *c = opens(in_root("b-00002-of-00007.gguf"));
    assert_int_equal(c->n_file, 1);
    checkpoint_close(c);
    strbuf_free(&b);

    /* the same tensor in two parts */
    b = (strbuf){0};
    put_gguf_header(&b, 3, 1, 2);
    put_key(&b, "split.no", GGUF_U16), strbuf_add(&b, "\1\0", 2);
    put_key(&b, "split.count", GGUF_U16), strbuf_add(&b, "\2\0", 2);
    put_tensor_info(&b, "t0", 1, (uint64_t[]){4}, 24, 0);
    put_padding(&b, 32);
    put_zeros(&b, 4);
    write_bytes("a-00002-of-00002.gguf", b.s, b.len);
    strbuf_free(&b);
    refused(in_root("a-00001-of-00002.gguf"), "tensor \"t0\" is in two files", "fetch them again");
}

/* ---- NPZ ---- */

static void write_npz(const char *name, bool deflate)
{
    npz_writer *w = NULL;
    float values[600];
    const int64_t whole[] = {-1, 7};
    const uint16_t half = 0x3c00;
    for (int i = 0; i < 600; i++)
        values[i] = (float)i / 4;
    assert_int_equal(npz_create(&w, in_root(name), deflate, NULL), 0);
    assert_int_equal(npz_put(w, "layers.0/kernel", NPY_F32, 3, (int64_t[]){10, 20, 3}, values, NULL), 0);
    assert_int_equal(npz_put(w, "ids", NPY_I64, 1, (int64_t[]){2}, whole, NULL), 0);
    assert_int_equal(npz_put(w, "scale", NPY_F16, 0, NULL, &half, NULL), 0);
    assert_int_equal(npz_put(w, "none", NPY_U8, 2, (int64_t[]){0, 4}, "", NULL), 0);
    assert_int_equal(npz_commit(w, NULL), 0);
}

static void check_npz(const checkpoint *c)
{
    float row[600];
    assert_string_equal(c->reader->name, "npz");
    assert_int_equal(c->n_tensor, 4);
    const tensor *t = &checkpoint_find(c, "layers.0/kernel")->t;
    assert_int_equal(t->type, DT_F32);
    assert_int_equal(t->n_dim, 3);
    assert_int_equal(t->shape[0], 10);
    assert_int_equal(t->shape[1], 20);
    assert_int_equal(t->shape[2], 3);
    assert_int_equal(t->bytes, 2400);
    memcpy(row, t->data, sizeof row);
    for (int i = 0; i < 600; i++)
        assert_true(row[i] == (float)i / 4);
    t = &checkpoint_find(c, "ids")->t;
    int64_t ids[2];
    memcpy(ids, t->data, sizeof ids);
    assert_true(t->type == DT_I64 && ids[0] == -1 && ids[1] == 7);
    t = &checkpoint_find(c, "scale")->t;
    assert_true(t->type == DT_F16 && t->n_dim == 0 && t->bytes == 2);
    t = &checkpoint_find(c, "none")->t;
    assert_true(t->type == DT_U8 && t->n_dim == 2 && t->bytes == 0);
}

static void test_npz(void **state)
{
    (void)state;
    write_bytes("config.json", CONFIG, strlen(CONFIG));
    for (int deflate = 0; deflate < 2; deflate++) {
        write_npz("w.npz", deflate);
        checkpoint *c = opens(root);
        check_npz(c);
        assert_string_equal(json_str(json_get(c->config, "model_type"), NULL), "llama");
        checkpoint_close(c);
        c = opens(in_root("w.npz"));
        check_npz(c);
        assert_string_equal(c->directory, root);
        checkpoint_close(c);
    }
    write_npz("v.npz", false);
    refused(root, "which of its 2 .npz files? (v.npz, w.npz)", "give the path of one of them");
    assert_int_equal(unlink(in_root("config.json")), 0);
    refused(in_root("w.npz"), "w.npz: no config.json beside it", "--config");
    refused(root, "has weights (v.npz) but no config.json", "--config");

    const float one = 1;
    assert_int_equal(npy_save(in_root("one.npy"), NPY_F32, 0, NULL, &one, NULL), 0);
    refused(in_root("one.npy"), "is a NumPy array, not a checkpoint", "give a directory with config.json");
}

static void npz_refused(const char *fragment)
{
    refused_with(in_root("w.npz"), &(checkpoint_options){.weights_only = true}, ERR_INPUT, fragment, "");
}

static void test_npz_refusals(void **state)
{
    (void)state;
    npz_writer *w = NULL;
    assert_int_equal(npz_create(&w, in_root("w.npz"), false, NULL), 0);
    assert_int_equal(npz_put(w, "deep", NPY_U8, 7, (int64_t[]){1, 1, 1, 1, 1, 1, 1}, "x", NULL), 0);
    assert_int_equal(npz_commit(w, NULL), 0);
    npz_refused("array 'deep' has 7 dimensions (at most 6)");

    /* 32 MB of zeros that take 32 kB */
    size_t n = 32 << 20;
    void *zeros = calloc(n, 1);
    assert_non_null(zeros);
    assert_int_equal(npz_create(&w, in_root("w.npz"), true, NULL), 0);
    assert_int_equal(npz_put(w, "zeros", NPY_U8, 1, (int64_t[]){(int64_t)n}, zeros, NULL), 0);
    assert_int_equal(npz_commit(w, NULL), 0);
    free(zeros);
    npz_refused("would unpack to");

    /* every cut, and every byte of the archive changed */
    char *bytes;
    write_npz("w.npz", true);
    assert_int_equal(read_file(&bytes, &n, in_root("w.npz"), 1 << 20, NULL), 0);
    for (size_t k = 0; k < n; k++) {
        opened o = open_bytes(bytes, k, "w.npz");
        assert_null(o.c);
        assert_true(o.e.code == ERR_INPUT && o.e.msg[0] && o.e.hint[0]);
        close_bytes(&o);
    }
    int n_opened = 0;
    for (size_t k = 0; k < n; k++) {
        bytes[k] = (char)~bytes[k];
        opened o = open_bytes(bytes, n, "w.npz");
        if (o.c) {
            n_opened++;
            touch_all(o.c);
        } else {
            assert_true(o.e.code == ERR_INPUT && o.e.msg[0] && o.e.hint[0]);
        }
        close_bytes(&o);
        bytes[k] = (char)~bytes[k];
    }
    assert_true(n_opened < (int)n / 4); /* times, attributes and the like are all that may differ */
    free(bytes);
}

/* ---- a configuration from elsewhere ---- */

static void write_weights(const char *name)
{
    strbuf b = {0};
    put_safetensors(&b, "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4);
    write_bytes(name, b.s, b.len);
    strbuf_free(&b);
}

static int64_t hidden_size(const checkpoint *c)
{
    int64_t v = -1;
    assert_true(json_int(&v, json_get(c->config, "hidden_size")));
    return v;
}

static void test_config(void **state)
{
    (void)state;
    assert_int_equal(mkdir(in_root("w"), 0777), 0);
    write_weights("w/model.safetensors");
    write_bytes("other.json", CONFIG, strlen(CONFIG));
    write_bytes("list.json", "[1]", 3);
    char config[PATH_MAX], weights[PATH_MAX];
    snprintf(config, sizeof config, "%s/other.json", root);
    snprintf(weights, sizeof weights, "%s/w/model.safetensors", root);
    const checkpoint_options with = {.config = config}, only = {.weights_only = true};

    refused(weights, "no config.json beside it", "name one with --config");
    refused(in_root("w"), "has weights (model.safetensors) but no config.json", "name one with --config");
    const char *paths[] = {weights, in_root("w")};
    for (int i = 0; i < 2; i++) {
        checkpoint *c = opens_with(paths[i], &with);
        assert_int_equal(hidden_size(c), 8);
        assert_string_equal(c->config_path, config);
        assert_int_equal(c->n_tensor, 1);
        checkpoint_close(c);
        c = opens_with(paths[i], &only);
        assert_null(c->config);
        assert_null(c->config_path);
        assert_int_equal(c->n_tensor, 1);
        checkpoint_close(c);
    }
    /* it takes the place of the one that lies there */
    write_bytes("w/config.json", "{\"hidden_size\":1}", 17);
    checkpoint *c = opens_with(weights, &with);
    assert_int_equal(hidden_size(c), 8);
    checkpoint_close(c);
    c = opens_with(weights, &only);
    assert_int_equal(hidden_size(c), 1);
    checkpoint_close(c);

    refused_with(weights, &(checkpoint_options){.config = in_root("nothing.json")}, ERR_INPUT, "nothing.json", "");
    refused_with(weights, &(checkpoint_options){.config = in_root("list.json")}, ERR_INPUT,
                 "list.json: is not a JSON object", "");
    refused_with(weights, &(checkpoint_options){.config = root}, ERR_INPUT, "is a directory", "");

    /* formats that say it all themselves */
    strbuf b = {0};
    put_gguf_header(&b, 3, 0, 0);
    write_bytes("x.gguf", b.s, b.len);
    strbuf_free(&b);
    refused_with(in_root("x.gguf"), &with, ERR_USAGE, "a gguf file carries its own configuration",
                 "leave --config out");
    b = llama2c_file(0, false);
    write_bytes("tiny.bin", b.s, b.len);
    strbuf_free(&b);
    refused_with(in_root("tiny.bin"), &with, ERR_USAGE, "a llama2c file carries its own configuration",
                 "leave --config out");
    c = opens(in_root("tiny.bin"));
    assert_null(c->config_path);
    assert_string_equal(c->directory, root);
    checkpoint_close(c);
}

/* Only the tensors are asked for: a shard of a model opens alone. */
static void test_weights_only(void **state)
{
    (void)state;
    const checkpoint_options only = {.weights_only = true};
    write_weights("model-00001-of-00002.safetensors");
    write_bytes("model.safetensors.index.json", "{}", 2);
    refused(in_root("model-00001-of-00002.safetensors"), "is one shard of a model in several files", "directory");
    checkpoint *c = opens_with(in_root("model-00001-of-00002.safetensors"), &only);
    assert_int_equal(c->n_tensor, 1);
    checkpoint_close(c);
    assert_int_equal(unlink(in_root("model.safetensors.index.json")), 0);
    c = opens_with(root, &only);
    assert_int_equal(c->n_tensor, 1);
    checkpoint_close(c);
}

/* A directory without config.json opens when one file in it says all itself. */
static void test_complete_file(void **state)
{
    (void)state;
    strbuf b = llama2c_file(0, true);
    write_bytes("tok5.bin", "\5\0\0\0 not weights at all", 20);
    refused(root, "has weights (tok5.bin) but no config.json", "--config");
    write_bytes("tiny.bin", b.s, b.len);
    for (int only = 0; only < 2; only++) {
        checkpoint *c = opens_with(root, &(checkpoint_options){.weights_only = only});
        assert_string_equal(c->reader->name, "llama2c");
        assert_string_equal(c->directory, root);
        checkpoint_close(c);
    }
    write_bytes("more.bin", b.s, b.len);
    strbuf_free(&b);
    refused(root, "which of its 2 llama2.c files? (more.bin, tiny.bin)", "give the path of one of them");
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
#define IN_ROOT(test) cmocka_unit_test_setup_teardown(test, make_root, remove_root)
    const struct CMUnitTest tests[] = {
        IN_ROOT(test_parts),
        IN_ROOT(test_part_refusals),
        IN_ROOT(test_npz),
        IN_ROOT(test_npz_refusals),
        IN_ROOT(test_config),
        IN_ROOT(test_weights_only),
        IN_ROOT(test_complete_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
