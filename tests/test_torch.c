/* PyTorch archives: what they may hold, and every way in which they can lie. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "tests/torch_checks.h"

/* ---- values ---- */

/* One archive with a dictionary of many tensors of one storage of 48 counting bytes. */
static void test_layouts(void **state)
{
    (void)state;
    strbuf p = {0};
    zip_bytes z = {0};
    static const struct { const char *name; int64_t offset; int n; int64_t shape[3], stride[3]; size_t bytes;
                          unsigned char first[12]; } cases[] = {
        {"whole", 0, 2, {6, 8}, {8, 1}, 48, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}},
        {"rows", 16, 2, {1, 8}, {99, 1}, 8, {16, 17, 18, 19, 20, 21, 22, 23}},
        {"transposed", 0, 2, {8, 6}, {1, 8}, 48, {0, 8, 16, 24, 32, 40, 1, 9, 17, 25, 33, 41}},
        {"fortran", 0, 3, {2, 3, 2}, {1, 2, 6}, 12, {0, 6, 2, 8, 4, 10, 1, 7, 3, 9, 5, 11}},
        {"columns", 1, 2, {3, 2}, {8, 2}, 6, {1, 3, 9, 11, 17, 19}},
        {"repeated", 5, 2, {3, 2}, {0, 1}, 6, {5, 6, 5, 6, 5, 6}},
        {"scalar", 7, 0, {0}, {0}, 1, {7}},
        {"none", 48, 2, {0, 4}, {4, 1}, 0, {0}},
    };
    size_t n = sizeof cases / sizeof *cases;
    OPS(&p, PROTO "}");
    for (size_t i = 0; i < n; i++) {
        op_text(&p, cases[i].name);
        op_tensor(&p, "ByteStorage", "0", 48, cases[i].offset, cases[i].n, cases[i].shape, cases[i].stride);
        OPS(&p, "s");
    }
    OPS(&p, ".");
    torch_archive(&z, &p, 48);
    opened o = open_bytes(z.b.s, z.b.len, "x.pt");
    for (size_t i = 0; i < n; i++) {
        const tensor *t = find_tensor(&o, cases[i].name);
        size_t shown = cases[i].bytes < 12 ? cases[i].bytes : 12;
        assert_int_equal(t->type, DT_U8);
        assert_int_equal(t->n_dim, cases[i].n);
        assert_memory_equal(t->shape, cases[i].shape, (size_t)t->n_dim * sizeof *t->shape);
        assert_int_equal(t->bytes, cases[i].bytes);
        assert_memory_equal(t->data, cases[i].first, shown);
    }
    assert_int_equal(o.c->n_tensor, n);
    assert_string_equal(o.c->reader->name, "torch");
    const unsigned char *file = o.bytes; /* what is contiguous is not copied */
    const unsigned char *whole = find_tensor(&o, "whole")->data, *rows = find_tensor(&o, "rows")->data;
    const unsigned char *turned = find_tensor(&o, "transposed")->data;
    assert_true(whole > file && whole + 48 < file + z.b.len && rows == whole + 16);
    assert_true(turned < file || turned >= file + z.b.len);
    close_bytes(&o);
    zip_bytes_free(&z);
    strbuf_free(&p);
}

static void test_types(void **state)
{
    (void)state;
    static const struct { const char *class; dtype type; size_t item; } cases[] = {
        {"FloatStorage", DT_F32, 4}, {"DoubleStorage", DT_F64, 8}, {"HalfStorage", DT_F16, 2},
        {"BFloat16Storage", DT_BF16, 2}, {"LongStorage", DT_I64, 8}, {"IntStorage", DT_I32, 4},
        {"ShortStorage", DT_I16, 2}, {"CharStorage", DT_I8, 1}, {"ByteStorage", DT_U8, 1},
        {"BoolStorage", DT_BOOL, 1}, {"ComplexFloatStorage", DT_C64, 8},
    };
    static const struct { const char *name; dtype type; size_t item; } untyped[] = {
        {"uint16", DT_U16, 2}, {"uint32", DT_U32, 4}, {"uint64", DT_U64, 8}, {"float8_e4m3fn", DT_F8_E4M3, 1},
        {"float8_e5m2", DT_F8_E5M2, 1}, {"float8_e4m3fnuz", DT_F8_E4M3FNUZ, 1},
        {"float8_e5m2fnuz", DT_F8_E5M2FNUZ, 1}, {"float8_e8m0fnu", DT_F8_E8M0, 1}, {"bfloat16", DT_BF16, 2},
    };
    size_t n_typed = sizeof cases / sizeof *cases;
    for (size_t i = 0; i < n_typed + sizeof untyped / sizeof *untyped; i++) {
        strbuf p = {0};
        zip_bytes z = {0};
        size_t k = i - n_typed, item = i < n_typed ? cases[i].item : 0;
        OPS(&p, PROTO "}");
        if (item) {
            op_vector(&p, "w", cases[i].class, "0", 3);
        } else {
            item = untyped[k].item;
            op_text(&p, "w");
            op_global(&p, "torch._utils", "_rebuild_tensor_v3");
            OPS(&p, "(");
            op_storage(&p, "UntypedStorage", "0", (int64_t)(3 * item));
            OPS(&p, "K\0K\3\x85K\1\x85\x89}");
            op_global(&p, "torch", untyped[k].name);
            OPS(&p, "tRs");
        }
        OPS(&p, ".");
        torch_archive(&z, &p, 3 * item);
        opened o = open_bytes(z.b.s, z.b.len, "x.pt");
        const tensor *t = find_tensor(&o, "w");
        assert_int_equal(t->type, i < n_typed ? cases[i].type : untyped[k].type);
        assert_int_equal(t->bytes, 3 * item);
        assert_memory_equal(t->data, counting(), 3 * item);
        close_bytes(&o);
        zip_bytes_free(&z);
        strbuf_free(&p);
    }
    strbuf p = {0};
    zip_bytes z = {0};
    OPS(&p, PROTO "}");
    op_vector(&p, "w", "ComplexDoubleStorage", "0", 3);
    OPS(&p, ".");
    torch_archive(&z, &p, 48);
    refuse_torch(&z.b, "tensor \"w\": elements of type complex128 are not supported", "");
    zip_bytes_free(&z);
    strbuf_free(&p);
}

/* Where training programs put the weights; what else they save is passed over. */
static void test_nesting(void **state)
{
    (void)state;
    static const struct { const char *outer, *inner; bool found; } cases[] = {
        {NULL, NULL, true},           {"state_dict", NULL, true},     {"model_state_dict", NULL, true},
        {"model", NULL, true},        {"module", NULL, true},         {"model", "state_dict", true},
        {"optimizer", NULL, false},   {"state_dict", "other", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        strbuf p = {0};
        zip_bytes z = {0};
        const char *names[] = {cases[i].outer, cases[i].inner};
        OPS(&p, PROTO "}q\1");
        op_text(&p, "epoch"), OPS(&p, "K\3s");
        op_text(&p, "self"), OPS(&p, "h\1s");
        op_text(&p, "lr"), OPS(&p, "G\x3f\xf8\0\0\0\0\0\0s");
        for (size_t k = 0; k < 2; k++)
            if (names[k])
                op_text(&p, names[k]), OPS(&p, "}");
        op_vector(&p, "w", "ByteStorage", "0", 4);
        OPS(&p, "K\5K\6s");
        for (size_t k = 0; k < 2; k++)
            if (names[k])
                OPS(&p, "s");
        OPS(&p, ".");
        torch_archive(&z, &p, 4);
        if (cases[i].found) {
            opened o = open_bytes(z.b.s, z.b.len, "x.pt");
            assert_int_equal(find_tensor(&o, "w")->bytes, 4);
            assert_int_equal(o.c->n_tensor, 1);
            close_bytes(&o);
        } else {
            refuse_torch(&z.b, "holds a dictionary, but no tensors in it", "model.state_dict()");
        }
        zip_bytes_free(&z);
        strbuf_free(&p);
    }
}

/* A trainer's "best so far" beside the weights is not the weights; a model inside itself ends. */
static void test_wrappers(void **state)
{
    (void)state;
    strbuf p = {0};
    zip_bytes z = {0};
    OPS(&p, PROTO "}");
    op_vector(&p, "best", "ByteStorage", "0", 4);
    op_text(&p, "model"), OPS(&p, "}q\1");
    op_vector(&p, "w", "ByteStorage", "0", 4);
    op_text(&p, "model"), OPS(&p, "h\1ss.");
    torch_archive(&z, &p, 4);
    opened o = open_bytes(z.b.s, z.b.len, "x.pt");
    find_tensor(&o, "w");
    assert_int_equal(o.c->n_tensor, 1);
    close_bytes(&o);
    zip_bytes_free(&z);

    strbuf_clear(&p);
    OPS(&p, PROTO "]q\1h\1a.");
    torch_archive(&z, &p, 4);
    refuse_torch(&z.b, "holds a list, not a dictionary of tensors", "torch.save");
    zip_bytes_free(&z);
    strbuf_clear(&p);
    OPS(&p, PROTO "}.");
    torch_archive(&z, &p, 4);
    o = open_bytes(z.b.s, z.b.len, "x.pt");
    assert_true(o.c && o.c->n_tensor == 0);
    close_bytes(&o);
    zip_bytes_free(&z);
    strbuf_clear(&p);
    OPS(&p, PROTO "}");
    op_vector(&p, "w", "ByteStorage", "0", 4);
    op_vector(&p, "w", "ByteStorage", "0", 4);
    OPS(&p, ".");
    torch_archive(&z, &p, 4);
    refuse_torch(&z.b, "tensor \"w\" appears twice", "");
    zip_bytes_free(&z);
    strbuf_free(&p);
}

/* ---- archives ---- */

/* The pickle of a state dict with one vector of four bytes. */
static void plain_pickle(strbuf *p)
{
    strbuf_clear(p);
    OPS(p, PROTO "}");
    op_vector(p, "w", "ByteStorage", "0", 4);
    OPS(p, ".");
}

/* Archives of up to four members. */
typedef struct archive_case {
    zip_entry m[4];
    const char *why, *hint;
} archive_case;

#define MEMBER(member, text) {.name = member, .bytes = text, .n = sizeof(text) - 1}
#define PICKLE {.name = "m/data.pkl", .bytes = p.s, .n = p.len}
#define DATA MEMBER("m/data/0", "abcd")

static void test_archives(void **state)
{
    (void)state;
    strbuf p = {0};
    plain_pickle(&p);
    static char zeros[300000];
    const archive_case cases[] = {
        {{PICKLE, DATA}, NULL, NULL},
        {{DATA, {.name = "m/data.pkl", .bytes = p.s, .n = p.len, .no_crc = true}}, NULL, NULL},
        {{PICKLE, DATA, {.name = "m/byteorder", .bytes = "little", .n = 6, .deflate = true}}, NULL, NULL},
        {{PICKLE, {.name = "m/data/0", .bytes = "abcd", .n = 4, .deflate = true}}, NULL, NULL},
        {{{.name = "m/data.pkl", .bytes = p.s, .n = p.len, .deflate = true}, DATA}, NULL, NULL},
        {{MEMBER("m/", ""), PICKLE, DATA, MEMBER("readme", "x")}, NULL, NULL},
        {{PICKLE, DATA, MEMBER("m/byteorder", "big")}, "written on a big-endian machine", "save"},
        {{PICKLE, DATA, MEMBER("m/byteorder", "pdp")}, "neither little nor big", ""},
        {{PICKLE, DATA, {.name = "m/byteorder", .bytes = zeros, .n = 300}}, "its byteorder is no word", ""},
        {{PICKLE, DATA, MEMBER("m/constants.pkl", "x")}, "is a TorchScript program", "torch.jit"},
        {{PICKLE, DATA, MEMBER("m/code/a.py", "x")}, "is a TorchScript program", "state_dict"},
        {{PICKLE}, "storage \"0\" is not in the archive", "fetch"},
        {{DATA}, "is a zip archive, but not of PyTorch (no data.pkl in it)", "unpack it first"},
        {{PICKLE, {.name = "n/data.pkl", .bytes = p.s, .n = p.len}, DATA}, "has two pickles, \"m/data", ""},
        {{PICKLE, DATA, DATA}, "two members are named 'm/data/0'", ""},
        {{PICKLE, PICKLE, DATA}, "two members are named 'm/data.pkl'", ""},
        {{PICKLE, MEMBER("m/data/0", "abcde")}, "should have 4 bytes, but its member has 5", ""},
        {{PICKLE, MEMBER("m/data/0", "abc")}, "should have 4 bytes, but its member has 3", ""},
        {{PICKLE, {.name = "m/data/0", .bytes = "abcd", .n = 4, .flags = 1}}, "is encrypted", "password"},
        {{PICKLE, {.name = "m/data/0", .bytes = "abcd", .n = 4, .claimed = 60}}, "two members overlap", ""},
        {{PICKLE, {.name = "m/data/0", .bytes = "abcd", .n = 4, .claimed = 900}}, "beyond the file", ""},
        {{PICKLE, {.name = "m/data/0", .bytes = "abc", .n = 3, .deflate = true, .claimed = 4}},
         "compressed data do not give what was promised", ""},
        {{PICKLE, {.name = "m/data/0", .bytes = "abcd", .n = 4, .deflate = true, .claimed = 1 << 30}},
         "claims to grow more than deflate can", ""},
        {{{.name = "m/data.pkl", .bytes = zeros, .n = 16}}, "is not a pickle (it begins with 0x00)", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        zip_bytes z = {0};
        for (size_t k = 0; k < 4 && cases[i].m[k].name; k++)
            zip_put(&z, &cases[i].m[k]);
        if (cases[i].why && strstr(cases[i].why, "overlap"))
            zip_put(&z, &(zip_entry){.name = "m/version", .bytes = zeros, .n = 64});
        zip_finish(&z);
        if (cases[i].why) {
            refuse_torch(&z.b, cases[i].why, cases[i].hint);
        } else {
            opened o = open_bytes(z.b.s, z.b.len, "x.pt");
            assert_memory_equal(find_tensor(&o, "w")->data, "abcd", 4);
            close_bytes(&o);
        }
        zip_bytes_free(&z);
    }
    strbuf_free(&p);
}

/* Bits flipped and bytes added where only a checksum or an end says so; records of 64 bits that lie. */
static void test_damage(void **state)
{
    (void)state;
    strbuf p = {0};
    zip_bytes z = {0};
    plain_pickle(&p);
    torch_archive(&z, &p, 4);
    char *w = memmem(z.b.s, z.b.len, "X\1\0\0\0w", 6);
    assert_non_null(w);
    w[5] = 'v';
    refuse_torch(&z.b, "the checksum of \"m/data.pkl\" is wrong", "fetch");
    w[5] = 'w';
    size_t end64 = z.b.len - 22 - 20 - 56;
    static const struct { size_t at; const char *why; } lies[] = {
        {32, "several parts"}, {40, "contradict"}, {48, "contradict"}, {4, "wrong size"},
    };
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        z.b.s[end64 + lies[i].at] ^= 1;
        refuse_torch(&z.b, lies[i].why, "");
        z.b.s[end64 + lies[i].at] ^= 1;
    }
    for (size_t n = 0; n < z.b.len; n++) { /* every prefix */
        opened o = open_bytes(z.b.s, n, "x.pt");
        assert_null(o.c);
        assert_true(o.e.code == ERR_INPUT && o.e.msg[0] && o.e.hint[0]);
        close_bytes(&o);
    }
    zip_bytes_free(&z);

    OPS(&p, "junk");
    torch_archive(&z, &p, 4);
    refuse_torch(&z.b, "4 bytes follow the end of the pickle", "");
    zip_bytes_free(&z);
    strbuf_free(&p);
}

/* Small files that unpack to much, in every way there is. */
static void test_bombs(void **state)
{
    (void)state;
    strbuf p = {0};
    zip_bytes z = {0};
    static char zeros[1 << 24];
    OPS(&p, PROTO "}");
    for (int i = 0; i < 8; i++) { /* eight members of 16 MiB, of 16 KiB each in the file */
        char key[2] = {(char)('0' + i), 0}, name[16];
        snprintf(name, sizeof name, "m/data/%s", key);
        op_vector(&p, name, "ByteStorage", key, sizeof zeros);
        zip_put(&z, &(zip_entry){.name = name, .bytes = zeros, .n = sizeof zeros, .deflate = true});
    }
    OPS(&p, ".");
    zip_put(&z, &(zip_entry)PICKLE);
    zip_finish(&z);
    refuse_torch(&z.b, "more memory than a file of its size may ask for", "");
    zip_bytes_free(&z);

    strbuf_clear(&p); /* one byte, repeated */
    OPS(&p, PROTO "}");
    op_text(&p, "w");
    op_tensor(&p, "ByteStorage", "0", 4, 0, 2, (int64_t[]){1 << 20, 1 << 20}, (int64_t[]){0, 0});
    OPS(&p, "s.");
    torch_archive(&z, &p, 4);
    refuse_torch(&z.b, "tensor \"w\": unpacking it takes more memory", "contiguous");
    zip_bytes_free(&z);

    strbuf_clear(&p); /* one long name, for many tensors */
    OPS(&p, PROTO "}");
    char *name = calloc(4001, 1);
    assert_non_null(name);
    memset(name, 'n', 4000);
    op_text(&p, name);
    OPS(&p, "q\1");
    op_tensor(&p, "ByteStorage", "0", 4, 0, 0, NULL, NULL);
    OPS(&p, "q\2s");
    for (int i = 0; i < 40000; i++)
        OPS(&p, "h\1h\2s");
    OPS(&p, ".");
    torch_archive(&z, &p, 4);
    refuse_torch(&z.b, "more memory than a file of its size may ask for", "");
    free(name);
    zip_bytes_free(&z);
    strbuf_free(&p);
}

/* The pickle's attacks reach the user as one line. */
static void test_attack_in_archive(void **state)
{
    (void)state;
    strbuf p = {0};
    zip_bytes z = {0};
    OPS(&p, PROTO "cposix\nsystem\nX\4\0\0\0true\x85R.");
    torch_archive(&z, &p, 4);
    refuse_torch(&z.b, "x.pt: byte 2 of the pickle: asks for \"posix.system\", which no plain",
           "nothing in the file was run");
    zip_bytes_free(&z);
    strbuf_clear(&p);
    stream_head(&p, true);
    OPS(&p, PROTO "crunpy\n_run_code\n)R.");
    stream_tail(&p, 0, NULL, 0, 0);
    refuse_torch(&p, "asks for \"runpy._run_code\"", "nothing in the file was run");
    strbuf_free(&p);
}

/* Every allocation on the way may fail. */
static void test_out_of_memory(void **state)
{
    (void)state;
    strbuf p = {0}, *files[2];
    zip_bytes z = {0};
    OPS(&p, PROTO "}");
    op_text(&p, "w");
    op_tensor(&p, "ByteStorage", "0", 4, 0, 2, (int64_t[]){2, 2}, (int64_t[]){1, 2});
    OPS(&p, "q\1s.");
    zip_put(&z, &(zip_entry){.name = "m/data.pkl", .bytes = p.s, .n = p.len, .deflate = true});
    zip_put(&z, &(zip_entry){.name = "m/data/0", .bytes = "abcd", .n = 4, .deflate = true});
    zip_finish(&z);
    strbuf stream = {0};
    stream_head(&stream, true);
    strbuf_add(&stream, p.s, p.len);
    stream_tail(&stream, 1, (const char *const[]){"0"}, 4, 4);
    files[0] = &z.b;
    files[1] = &stream;
    for (int i = 0; i < 2; i++) {
        long nth = 0;
        bool finished = false;
        while (!finished) {
            mem_fail_at(++nth);
            opened o = open_bytes(files[i]->s, files[i]->len, "x.pt");
            mem_fail_at(0);
            finished = o.c != NULL;
            assert_true(finished || o.e.code == ERR_RESOURCE);
            close_bytes(&o);
        }
        assert_true(nth > 10);
    }
    strbuf_free(&stream);
    zip_bytes_free(&z);
    strbuf_free(&p);
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layouts),
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_nesting),
        cmocka_unit_test(test_wrappers),
        cmocka_unit_test(test_archives),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_bombs),
        cmocka_unit_test(test_attack_in_archive),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
