/* Opening checkpoints as users have them on disk: directories, shards, single files, and everything that is
 * mistaken for a checkpoint; the digest of weights and its cache. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cancel.h"
#include "base/hash_cache.h"
#include "tests/checkpoint_bytes.h"

#define TENSOR(name, from, to) \
    "\"" name "\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[" #from "," #to "]}"

/* ---- a directory of its own for each test ---- */

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

static void write_text(const char *name, const char *text)
{
    write_bytes(name, text, strlen(text));
}

static void write_safetensors(const char *name, const char *header, size_t n_data)
{
    strbuf b = {0};
    put_safetensors(&b, header, n_data);
    write_bytes(name, b.s, b.len);
    strbuf_free(&b);
}

static void write_gguf(const char *name)
{
    strbuf b = {0};
    put_gguf_header(&b, 3, 1, 1);
    put_kv_string(&b, "general.architecture", "llama");
    put_tensor_info(&b, "in_gguf", 1, (uint64_t[]){4}, 0, 0);
    put_padding(&b, 32);
    put_zeros(&b, 16);
    write_bytes(name, b.s, b.len);
    strbuf_free(&b);
}

static void make_directory(const char *name)
{
    assert_int_equal(mkdir(in_root(name), 0777), 0);
}

static checkpoint *opens(const char *path)
{
    checkpoint *c = NULL;
    err e = {0};
    if (checkpoint_open(&c, path, &e) != 0)
        fprintf(stderr, "refused: %s\n", e.msg);
    assert_non_null(c);
    assert_string_equal(c->path, path);
    touch_all(c);
    return c;
}

/* Opens, and holds exactly this one tensor. */
static void opens_with(const char *path, const char *name)
{
    checkpoint *c = opens(path);
    assert_int_equal(c->n_tensor, 1);
    assert_string_equal(c->tensors[0].name, name);
    checkpoint_close(c);
}

static void refused(const char *path, const char *fragment, const char *hint)
{
    checkpoint *c = NULL;
    err e = {0};
    int rc = checkpoint_open(&c, path, &e);
    if (rc != ERR_INPUT || !strstr(e.msg, fragment) || !strstr(e.hint, hint))
        fprintf(stderr, "wanted \"%s\" and \"%s\", got \"%s\" and \"%s\"\n", fragment, hint,
                rc ? e.msg : "(opened)", e.hint);
    assert_int_equal(rc, ERR_INPUT);
    assert_int_equal(e.code, ERR_INPUT);
    assert_null(c);
    assert_non_null(strstr(e.msg, fragment));
    assert_non_null(strstr(e.hint, hint));
    assert_true(e.hint[0]);
}

/* ---- layouts ---- */

static void test_directory_order(void **state)
{
    (void)state;
    write_text("config.json", "{\"model_type\":\"llama\"}");
    write_safetensors("other.safetensors", "{" TENSOR("in_other", 0, 4) "}", 4);
    opens_with(root, "in_other"); /* the only one there is */
    write_gguf("model.gguf");
    opens_with(root, "in_gguf");
    write_safetensors("shard.safetensors", "{" TENSOR("in_shard", 0, 4) "}", 4);
    write_text("model.safetensors.index.json", "{\"weight_map\":{\"in_shard\":\"shard.safetensors\"}}");
    opens_with(root, "in_shard");
    write_safetensors("model.safetensors", "{" TENSOR("in_single", 0, 4) "}", 4);
    opens_with(root, "in_single");

    checkpoint *c = opens(root);
    const char *type = json_str(json_get(c->config, "model_type"), NULL);
    assert_string_equal(type, "llama");
    assert_string_equal(c->directory, root);
    assert_int_equal(c->n_file, 1);
    assert_null(c->gguf);
    checkpoint_close(c);

    opens_with(in_root("other.safetensors"), "in_other"); /* a path that names a file means that file */
    opens_with(in_root("model.gguf"), "in_gguf");
    opens_with(in_root("model.safetensors.index.json"), "in_shard");
    c = opens(in_root("other.safetensors"));
    assert_string_equal(c->directory, root);
    assert_non_null(c->config);
    checkpoint_close(c);
    c = opens(in_root("model.gguf"));
    assert_null(c->directory);
    assert_null(c->config);
    checkpoint_close(c);
}

static void test_names_do_not_decide(void **state)
{
    (void)state;
    write_gguf("weights.bin");
    opens_with(in_root("weights.bin"), "in_gguf");
    write_text("config.json", "{}");
    write_safetensors("weights.gguf", "{" TENSOR("a", 0, 4) "}", 4);
    opens_with(in_root("weights.gguf"), "a");
}

static void test_directory_refusals(void **state)
{
    (void)state;
    refused(root, "no config.json and no .gguf in this directory", "give a directory with config.json");
    write_text("config.json", "{}");
    refused(root, "has config.json but no weights", "fetch model.safetensors");
    write_text("training_args.bin", "x");
    refused(root, "has config.json but no weights", "fetch model.safetensors");
    write_text("tf_model.h5", "x");
    refused(root, "the format of tf_model.h5 is not supported", "convert");
    write_safetensors("a.safetensors", "{}", 0);
    write_safetensors("b.safetensors", "{}", 0);
    refused(root, "2 .safetensors files but no model.safetensors.index.json", "index");
    write_gguf("x.gguf");
    write_gguf("w.gguf");
    refused(root, "which of its 2 .gguf files? (w.gguf, x.gguf)", "give the path of one of them");
    assert_int_equal(unlink(in_root("config.json")), 0);
    refused(root, "which of its 2 .gguf files? (w.gguf, x.gguf)", "give the path of one of them");
    for (int i = 0; i < 9; i++) {
        char name[32];
        snprintf(name, sizeof name, "q%d.gguf", i);
        write_gguf(name);
    }
    refused(root, "which of its 11 .gguf files? (q0.gguf, q1.gguf, q2.gguf, q3.gguf, q4.gguf, q5.gguf, "
                  "q6.gguf, q7.gguf and 3 more)", "give the path");

    make_directory("weights");
    write_safetensors("weights/model.safetensors", "{}", 0);
    refused(in_root("weights"), "has weights (model.safetensors) but no config.json", "fetch config.json");
    refused(in_root("weights/model.safetensors"), "model.safetensors: no config.json beside it",
            "fetch config.json");
    make_directory("hub");
    make_directory("hub/snapshots");
    refused(in_root("hub"), "Hugging Face cache folder", "snapshots");
    write_gguf("hub/one.gguf");
    opens_with(in_root("hub"), "in_gguf"); /* one GGUF needs no config.json */
}

static void test_config_refusals(void **state)
{
    (void)state;
    write_safetensors("model.safetensors", "{}", 0);
    write_text("config.json", "[]");
    refused(root, "config.json: is not a JSON object", "fetch");
    write_text("config.json", "{\"a\":1,\n\"a\":2}");
    refused(root, "config.json: line 2: duplicate", "JSON");
    write_text("config.json", "");
    refused(root, "config.json", "JSON");
    assert_int_equal(unlink(in_root("config.json")), 0);
    make_directory("config.json");
    refused(root, "config.json: is a directory", "");
}

static void test_no_such_path(void **state)
{
    (void)state;
    refused(in_root("nothing"), "nothing: no such file or directory", "give a directory with config.json");
    refused(in_root("nothing/deeper"), "no such file or directory", "give a directory");
    refused("", "the path of the model is empty", "give a directory");
    refused("some-owner/Some_Model-1.5B", "no such file or directory",
            "hf download some-owner/Some_Model-1.5B");
    refused("./some-owner/model", "no such file or directory", "give a directory");
    refused("some-owner/model.gguf", "no such file or directory", "give a directory");
    write_text("file", "x");
    refused(in_root("file/model"), "no such file or directory", "give a directory");

    assert_int_equal(mkfifo(in_root("fifo.gguf"), 0600), 0);
    refused(in_root("fifo.gguf"), "fifo.gguf: not a regular file", "copy");
    refused("/dev/null", "/dev/null: not a regular file", "copy");
    if (geteuid() != 0) {
        write_gguf("secret.gguf");
        assert_int_equal(chmod(in_root("secret.gguf"), 0), 0);
        refused(in_root("secret.gguf"), "permission denied", "readable");
    }
}

/* ---- files that are something else ---- */

static void test_other_formats(void **state)
{
    (void)state;
    static const struct { const char *bytes; size_t n; const char *message, *hint; } files[] = {
#define FILE_OF(bytes, message, hint) {bytes, sizeof bytes - 1, message, hint}
        FILE_OF("", "the file is empty", "fetch the file again"),
        FILE_OF("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 548105171\n",
                "is a Git LFS pointer, not the weights", "git lfs pull"),
        FILE_OF("<!DOCTYPE html>\n<html><body>404</body></html>\n", "is an HTML page",
                "fetch the file itself"),
        FILE_OF("\n  <HTML lang=\"en\"><head></head></html>", "is an HTML page", "fetch the file itself"),
        FILE_OF("PK\3\4\0\0\x08\x08\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x10\0\x12\0archive/data.pklFB",
                "damaged zip archive: its end is missing", "fetch it again"),
        FILE_OF("PK\3\4\x14\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\7\0\0\0ids.npy\x93NUMPY",
                "damaged zip archive: its end is missing", "fetch it again"),
        FILE_OF("PK\3\4\x14\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\5\0\0\0a.txtxyz", "is a zip archive",
                "unpack"),
        FILE_OF("PK\3\4\x14\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\xff\xff\0\0a.txt", "is a zip archive",
                "unpack"),
        FILE_OF("PK\5\6\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", "is an empty zip archive", "fetch"),
        FILE_OF("\x80\2\x8a\x0al\xfc\x9c\x46\xf9 j\xa8P\x19.", "the pickle ends in the middle", "fetch the file again"),
        FILE_OF("\x80\5\x95\0\0\0\0\0\0\0\0}.", "pickle protocol 5", "torch.save"),
        FILE_OF("\x93NUMPY\1\0v\0{'descr': '<f4'}", "is a NumPy array", "give a directory"),
        FILE_OF("\x89HDF\r\n\x1a\n\0\0\0\0", "is an HDF5 file", "safetensors or GGUF"),
        FILE_OF("\x1c\0\0\0TFL3\0\0\0\0", "is a TensorFlow Lite model", "safetensors or GGUF"),
        FILE_OF("tjgg\3\0\0\0\0\0\0\0", "is a GGJT file", "convert the model again"),
        FILE_OF("\x1f\x8b\x08\0\0\0\0\0", "is a gzip file", "unpack"),
        FILE_OF("{\"model_type\": \"llama\", \"hidden_size\": 64}", "is a JSON file", "give the directory"),
        FILE_OF("Access to this model is restricted.\n", "is a text file", "give a directory"),
        FILE_OF("\0\1\2\3\4\5\6\7\x08\x09", "begins with the bytes 00 01 02 03 04 05 06 07",
                "give a directory"),
        FILE_OF("            \t\n            ", "is a text file", "give a directory"),
        FILE_OF("\xfe", "begins with the bytes fe", "give a directory"),
#undef FILE_OF
    };
    static const char *const names[] = {"model", "model.bin"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        for (size_t k = 0; k < 2; k++) {
            write_bytes(names[k], files[i].bytes, files[i].n);
            refused(in_root(names[k]), files[i].message, files[i].hint);
        }
        for (size_t n = 0; n <= files[i].n; n++) { /* no prefix is read past its end */
            opened o = open_bytes(files[i].bytes, n, "model");
            assert_null(o.c);
            assert_true(o.e.msg[0] && o.e.hint[0]);
            close_bytes(&o);
        }
    }
    /* the name does not hide what a file is; where the content says nothing, the name's reader explains */
    write_text("model.safetensors", "version https://git-lfs.github.com/spec/v1\n");
    write_text("config.json", "{}");
    refused(root, "model.safetensors: is a Git LFS pointer", "git lfs pull");
    write_bytes("x.safetensors", "\0\1\2\3\4\5\6\7\x08\x09", 10);
    refused(in_root("x.safetensors"), "above the limit of 100000000 bytes", "not in the safetensors format");
    write_bytes("x.GGUF", "\0\1\2\3\4\5\6\7\x08\x09", 10);
    refused(in_root("x.GGUF"), "does not begin with the letters GGUF", "damaged");
    strbuf tar = {0};
    put_zeros(&tar, 257);
    strbuf_puts(&tar, "ustar");
    put_zeros(&tar, 250);
    write_bytes("model", tar.s, tar.len);
    refused(in_root("model"), "is a tar archive", "unpack");
    strbuf_free(&tar);
}

/* A safetensors header whose length looks like the magic of something weaker is still a safetensors. */
static void test_polyglots(void **state)
{
    (void)state;
    static const size_t lengths[] = {0x0280, 0x0580, 0x2078, 0x8b1f};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        strbuf b = {0};
        strbuf_puts(&b, "{" TENSOR("a", 0, 4) "}");
        while (b.len < lengths[i])
            strbuf_putc(&b, ' ');
        strbuf f = {0};
        put_safetensors(&f, strbuf_str(&b), 4);
        opened o = open_bytes(f.s, f.len, "model");
        assert_non_null(o.c);
        assert_string_equal(o.c->reader->name, "safetensors");
        close_bytes(&o);
        strbuf_free(&f);
        strbuf_free(&b);
    }
}

/* ---- shards ---- */

static void write_shards(void)
{
    write_text("config.json", "{}");
    write_safetensors("m-00001-of-00002.safetensors", "{" TENSOR("a", 0, 4) "," TENSOR("c", 4, 8) "}", 8);
    write_safetensors("m-00002-of-00002.safetensors", "{" TENSOR("b", 0, 4) "}", 4);
}

static void write_index(const char *map)
{
    char text[1024];
    snprintf(text, sizeof text, "{\"metadata\":{\"total_size\":1},\"weight_map\":%s}", map);
    write_text("model.safetensors.index.json", text);
}

#define A "\"a\":\"m-00001-of-00002.safetensors\""
#define B "\"b\":\"m-00002-of-00002.safetensors\""
#define C "\"c\":\"m-00001-of-00002.safetensors\""

static void test_shards(void **state)
{
    (void)state;
    write_shards();
    static const char *const maps[] = {"{" A "," B "," C "}", "{" B "," C "," A "}"};
    for (int i = 0; i < 2; i++) { /* files are in one order however the index is written */
        write_index(maps[i]);
        checkpoint *c = opens(root);
        assert_int_equal(c->n_file, 2);
        assert_string_equal(c->file_paths[0], in_root("m-00001-of-00002.safetensors"));
        assert_int_equal(c->n_tensor, 3);
        assert_int_equal(checkpoint_find(c, "a")->file, 0);
        assert_int_equal(checkpoint_find(c, "b")->file, 1);
        assert_int_equal(checkpoint_find(c, "c")->file, 0);
        assert_string_equal(c->directory, root);
        checkpoint_close(c);
    }
    write_index("{" A "," B "}"); /* a tensor that the map does not mention is there all the same */
    checkpoint *c = opens(root);
    assert_non_null(checkpoint_find(c, "c"));
    checkpoint_close(c);

    refused(in_root("m-00001-of-00002.safetensors"), "is one shard of a model in several files", root);

    /* as in the Hugging Face cache: names are links to blobs elsewhere */
    make_directory("blobs");
    assert_int_equal(rename(in_root("m-00002-of-00002.safetensors"), in_root("blobs/f00")), 0);
    assert_int_equal(symlink("blobs/f00", in_root("m-00002-of-00002.safetensors")), 0);
    c = opens(root);
    assert_int_equal(c->n_tensor, 3);
    checkpoint_close(c);
}

static void test_shard_refusals(void **state)
{
    (void)state;
    write_shards();
    static const char *const bad[] = {
        "../m-00001-of-00002.safetensors", "/etc/passwd", "./m-00001-of-00002.safetensors", "..", ".", "",
        "blobs/m.safetensors", "blobs\\\\m.safetensors", "m-00001-of-00002.safetensors\\u0000x",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char map[128];
        snprintf(map, sizeof map, "{\"a\":\"%s\"}", bad[i]);
        write_index(map);
        refused(root, "which is not a plain file name", "beside their index");
    }
    write_index("{\"a\":1}");
    refused(root, "weight_map entry \"a\" is not a file name", "fetch");
    write_index("{}");
    refused(root, "the weight_map is empty", "fetch");
    write_index("[]");
    refused(root, "no weight_map", "fetch");
    write_text("model.safetensors.index.json", "{}");
    refused(root, "no weight_map", "fetch");
    write_text("model.safetensors.index.json", "[1]");
    refused(root, "no weight_map", "fetch");
    write_index("{" A "," A "}");
    refused(root, "duplicate", "JSON");
    write_index("{\"a\":\"m-00003-of-00003.safetensors\"}");
    refused(root, "m-00003-of-00003.safetensors: no such file", "check");
    write_index("{" A "," B ",\"d\":\"m-00001-of-00002.safetensors\"}");
    refused(root, "tensor \"d\" is not in m-00001-of-00002.safetensors", "not of the same model");
    write_index("{" A ",\"b\":\"m-00001-of-00002.safetensors\",\"c\":\"m-00002-of-00002.safetensors\"}");
    refused(root, "tensor \"b\" should be in m-00001-of-00002.safetensors but is in m-00002-of-00002",
            "not of the same model");
    write_safetensors("m-00002-of-00002.safetensors", "{" TENSOR("b", 0, 4) "," TENSOR("c", 4, 8) "}", 8);
    write_index("{" A "," B "," C "}");
    refused(root, "tensor \"c\" is in two files, ", "fetch them again");
    write_gguf("m-00002-of-00002.safetensors");
    refused(root, "m-00002-of-00002.safetensors: is gguf, but the other files are safetensors", "fetch");
    write_safetensors("m-00002-of-00002.safetensors", "{" TENSOR("b", 0, 4) "}", 3);
    refused(root, "m-00002-of-00002.safetensors: the data should have 4 bytes", "incomplete");
}

/* ---- memory ---- */

/* Each allocation fails once; what was taken until then is given back (a leak checker sees to that). */
static void test_out_of_memory(void **state)
{
    (void)state;
    write_shards();
    write_index("{" A "," B "," C "}");
    make_directory("gguf");
    write_gguf("gguf/x.gguf");
    const char *const paths[] = {root, in_root("gguf"), in_root("gguf/x.gguf")};
    for (int i = 0; i < 3; i++) {
        checkpoint *c = NULL;
        int n = 0, rc;
        do {
            err e = {0};
            mem_fail_at(++n);
            rc = checkpoint_open(&c, paths[i], &e);
            mem_fail_at(0);
            if (rc) {
                assert_int_equal(rc, ERR_RESOURCE);
                assert_int_equal(e.code, ERR_RESOURCE);
                assert_non_null(strstr(e.msg, "out of memory"));
            }
        } while (rc);
        assert_true(n > 5);
        checkpoint_close(c);
    }
}

/* Whoever does not care for the text may pass no err. */
static void test_no_err(void **state)
{
    (void)state;
    checkpoint *c;
    write_text("x.gguf", "GGUF");
    assert_int_equal(checkpoint_open(&c, in_root("x.gguf"), NULL), ERR_INPUT);
    assert_int_equal(checkpoint_open(&c, in_root("absent"), NULL), ERR_INPUT);
    assert_int_equal(checkpoint_open(&c, root, NULL), ERR_INPUT);
}

/* ---- digests ---- */

typedef struct steps { int n; double last, total; } steps;

static void count_step(void *ud, const char *what, double done, double total)
{
    steps *s = ud;
    assert_string_equal(what, "hashing");
    assert_true(done > s->last && done <= total);
    s->n++;
    s->last = done;
    s->total = total;
}

/* Let a file look as if it had been written long ago: a fresh one is not remembered. */
static void age(const char *name)
{
    struct timespec t[2] = {{.tv_sec = 1700000000}, {.tv_sec = 1700000000, .tv_nsec = 123456789}};
    assert_int_equal(utimensat(AT_FDCWD, in_root(name), t, 0), 0);
}

static void hash_is(const checkpoint *c, const char *want)
{
    sha256_hex got;
    err e = {0};
    assert_int_equal(checkpoint_hash(c, got, NULL, &e), 0);
    assert_string_equal(got, want);
}

static void digest_of(sha256_hex out, const char *name)
{
    char *bytes;
    size_t n;
    assert_int_equal(read_file(&bytes, &n, in_root(name), 1 << 20, NULL), 0);
    assert_int_equal(sha256_of(out, bytes, n, NULL), 0);
    free(bytes);
}

static void test_hash(void **state)
{
    (void)state;
    setenv("XDG_CACHE_HOME", in_root("cache"), 1);
    write_gguf("x.gguf");
    checkpoint *c = opens(in_root("x.gguf"));
    sha256_hex want, got;
    digest_of(want, "x.gguf");
    steps s = {0};
    progress p = {count_step, &s};
    assert_int_equal(checkpoint_hash(c, got, &p, NULL), 0);
    assert_string_equal(got, want);
    assert_int_equal(s.n, 1);
    assert_true(s.last == s.total && s.total == (double)c->files[0].size);
    assert_int_equal(access(in_root("cache/attnscope/hashes"), F_OK), -1); /* written a moment ago */
    checkpoint_close(c);

    write_shards(); /* several files: the digest of their digests, a line each */
    write_index("{" A "," B "," C "}");
    sha256_hex one, two;
    char lines[2 * sizeof(sha256_hex) + 1];
    digest_of(one, "m-00001-of-00002.safetensors");
    digest_of(two, "m-00002-of-00002.safetensors");
    snprintf(lines, sizeof lines, "%s\n%s\n", one, two);
    assert_int_equal(sha256_of(want, lines, strlen(lines), NULL), 0);
    c = opens(root);
    s = (steps){0};
    assert_int_equal(checkpoint_hash(c, got, &p, NULL), 0);
    assert_string_equal(got, want);
    assert_int_equal(s.n, 2);

    cancel_request();
    err e = {0};
    assert_int_equal(checkpoint_hash(c, got, NULL, &e), ERR_CANCELLED);
    assert_int_equal(e.code, ERR_CANCELLED);
    cancel_clear();
    checkpoint_close(c);
}

static void test_hash_cache(void **state)
{
    (void)state;
    static const char fake[] = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
    char line[256];
    sha256_hex want;
    setenv("XDG_CACHE_HOME", in_root("cache"), 1);
    write_gguf("x.gguf");
    age("x.gguf");
    digest_of(want, "x.gguf");
    checkpoint *c = opens(in_root("x.gguf"));
    const mapfile *f = &c->files[0];
    hash_is(c, want);
    assert_int_equal(access(in_root("cache/attnscope/hashes"), F_OK), -1); /* the inode was changed a moment ago */
    hash_cache_settle(-1);
    hash_cache_use(false);
    hash_is(c, want);
    assert_int_equal(access(in_root("cache/attnscope/hashes"), F_OK), -1);
    hash_cache_use(true);
    hash_is(c, want);

    char *text;
    size_t n;
    struct stat st;
    snprintf(line, sizeof line, "%llu %llu %zu %lld %lld %s\n", (unsigned long long)f->device,
             (unsigned long long)f->inode, f->size, (long long)f->mtime_ns, (long long)f->ctime_ns, want);
    assert_int_equal(f->mtime_ns, 1700000000123456789);
    assert_int_equal(stat(in_root("cache/attnscope/hashes"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(read_file(&text, &n, in_root("cache/attnscope/hashes"), 4096, NULL), 0);
    assert_string_equal(text, line);
    free(text);

    /* another digest in the cache is believed: the file is not read again */
    snprintf(line, sizeof line, "1 2 3 4 5 %s\n%llu %llu %zu %lld %lld %s\n", want, (unsigned long long)f->device,
             (unsigned long long)f->inode, f->size, (long long)f->mtime_ns, (long long)f->ctime_ns, fake);
    write_text("cache/attnscope/hashes", line);
    assert_int_equal(chmod(in_root("cache/attnscope/hashes"), 0600), 0);
    hash_is(c, fake);

    /* but not when it was touched a moment ago, the cache is off, or somebody else may write to the cache */
    hash_cache_settle(2000000000);
    hash_is(c, want);
    hash_cache_settle(-1);
    hash_cache_use(false);
    hash_is(c, want);
    hash_cache_use(true);
    assert_int_equal(chmod(in_root("cache/attnscope/hashes"), 0602), 0);
    hash_is(c, want);
    assert_int_equal(remove(in_root("cache/attnscope/hashes")), 0);
    write_text("elsewhere", line);
    assert_int_equal(symlink(in_root("elsewhere"), in_root("cache/attnscope/hashes")), 0);
    hash_is(c, want);
    assert_int_equal(lstat(in_root("cache/attnscope/hashes"), &st), 0); /* replaced, not followed */
    assert_true(S_ISREG(st.st_mode));
    write_text("cache/attnscope/hashes", line);
    hash_is(c, fake);
    checkpoint_close(c);

    /* but not for a file that has changed since; its line is replaced, the others stay */
    struct timespec t[2] = {{.tv_sec = 1700000001}, {.tv_sec = 1700000001}};
    assert_int_equal(utimensat(AT_FDCWD, in_root("x.gguf"), t, 0), 0);
    c = opens(in_root("x.gguf"));
    f = &c->files[0];
    hash_is(c, want);
    snprintf(line, sizeof line, "1 2 3 4 5 %s\n%llu %llu %zu 1700000001000000000 %lld %s\n", want,
             (unsigned long long)f->device, (unsigned long long)f->inode, f->size, (long long)f->ctime_ns, want);
    assert_int_equal(read_file(&text, &n, in_root("cache/attnscope/hashes"), 4096, NULL), 0);
    assert_string_equal(text, line);
    free(text);

    /* whatever the cache holds, the digest is right */
    static const char *const broken[] = {
        "", "\n", "\n\n\n", "garbage", "garbage\n", "1 2 3", "\xff\xfe\0x", "%llu %llu %zu %lld 0011\n",
    };
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        write_text("cache/attnscope/hashes", broken[i]);
        hash_is(c, want);
    }
    snprintf(line, sizeof line, "%llu %llu %zu %lld %lld 0011\n", (unsigned long long)f->device,
             (unsigned long long)f->inode, f->size, (long long)f->mtime_ns, (long long)f->ctime_ns);
    write_text("cache/attnscope/hashes", line); /* a digest cut short */
    hash_is(c, want);
    strbuf big = {0};
    for (int i = 0; i < 40000; i++)
        strbuf_printf(&big, "%d 1 1 1 1 %s\n", i, fake);
    write_bytes("cache/attnscope/hashes", big.s, big.len); /* too large to be ours */
    hash_is(c, want);
    strbuf_clear(&big);
    for (int i = 0; i < 3000; i++)
        strbuf_printf(&big, "%d 1 1 1 1 %s\n", i, fake);
    write_bytes("cache/attnscope/hashes", big.s, big.len); /* the oldest lines go */
    hash_is(c, want);
    assert_int_equal(read_file(&text, &n, in_root("cache/attnscope/hashes"), 1 << 20, NULL), 0);
    assert_ptr_equal(strstr(text, "1001 1 1 1 1 "), text);
    assert_non_null(strstr(text, want));
    free(text);
    strbuf_free(&big);

    /* a cache that cannot be is no error */
    setenv("XDG_CACHE_HOME", in_root("x.gguf"), 1);
    hash_is(c, want);
    setenv("XDG_CACHE_HOME", "relative", 1);
    setenv("HOME", in_root("home"), 1);
    hash_is(c, want);
    assert_int_equal(access(in_root("home/.cache/attnscope/hashes"), F_OK), 0);
    unsetenv("XDG_CACHE_HOME");
    unsetenv("HOME");
    hash_is(c, want);
    checkpoint_close(c);
    hash_cache_settle(2000000000);
}

/* Processes that remember different files at the same time lose no line, and one that was killed leaves nothing in the way. */
static void test_hash_cache_shared(void **state)
{
    enum { PROCESSES = 6, FILES = 20 };
    (void)state;
    setenv("XDG_CACHE_HOME", in_root("shared"), 1);
    assert_int_equal(mkdir(in_root("shared"), 0700), 0);
    assert_int_equal(mkdir(in_root("shared/attnscope"), 0700), 0);
    write_text("shared/attnscope/hashes.new", "1 2 3");
    for (int p = 0; p < PROCESSES; p++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            static const char digest[] = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
            for (int i = 0; i < FILES; i++)
                hash_cache_keep(&(mapfile){.inode = (uint64_t)(p * FILES + i), .mtime_ns = 1}, digest);
            _exit(0);
        }
    }
    for (int p = 0; p < PROCESSES; p++) {
        int status;
        assert_true(wait(&status) > 0);
        assert_int_equal(status, 0);
    }
    char *text;
    size_t n, lines = 0;
    assert_int_equal(read_file(&text, &n, in_root("shared/attnscope/hashes"), 1 << 20, NULL), 0);
    for (const char *s = text; (s = strchr(s, '\n')); s++)
        lines++;
    assert_int_equal(lines, PROCESSES * FILES);
    free(text);
    assert_int_equal(access(in_root("shared/attnscope/hashes.new"), F_OK), -1);
    unsetenv("XDG_CACHE_HOME");
}

static void test_hash_of_memory(void **state)
{
    (void)state;
    strbuf b = {0};
    sha256_hex want;
    put_safetensors(&b, "{}", 0);
    opened o = open_bytes(b.s, b.len, "memory");
    assert_non_null(o.c);
    assert_int_equal(sha256_of(want, b.s, b.len, NULL), 0);
    hash_is(o.c, want);
    close_bytes(&o);
    strbuf_free(&b);
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_root, remove_root)
    const struct CMUnitTest tests[] = {
        TEST(test_directory_order),
        TEST(test_names_do_not_decide),
        TEST(test_directory_refusals),
        TEST(test_config_refusals),
        TEST(test_no_such_path),
        TEST(test_other_formats),
        TEST(test_polyglots),
        TEST(test_shards),
        TEST(test_shard_refusals),
        TEST(test_out_of_memory),
        TEST(test_no_err),
        TEST(test_hash),
        TEST(test_hash_cache),
        TEST(test_hash_cache_shared),
        TEST(test_hash_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
