/* The safetensors reader: each rule as a small file, right or wrong, and damage of every kind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "tests/checkpoint_bytes.h"

static strbuf file(const char *header, size_t n_data)
{
    strbuf b = {0};
    put_safetensors(&b, header, n_data);
    return b;
}

/* Refused as bad input; the message names the file and holds the fragment; nothing ends in a full stop. */
static void refused_bytes(const strbuf *b, const char *fragment)
{
    opened o = open_bytes(b->s, b->len, "x.safetensors");
    if (o.c || !strstr(o.e.msg, fragment))
        fprintf(stderr, "wanted \"%s\", got \"%s\"\n", fragment, o.c ? "(opened)" : o.e.msg);
    assert_null(o.c);
    assert_int_equal(o.e.code, ERR_INPUT);
    assert_non_null(strstr(o.e.msg, fragment));
    assert_ptr_equal(strstr(o.e.msg, "x.safetensors: "), o.e.msg);
    assert_true(o.e.hint[0]);
    close_bytes(&o);
}

static void refused(const char *header, size_t n_data, const char *fragment)
{
    strbuf b = file(header, n_data);
    refused_bytes(&b, fragment);
    strbuf_free(&b);
}

static opened accepted(const char *header, size_t n_data)
{
    strbuf b = file(header, n_data);
    opened o = open_bytes(b.s, b.len, "x.safetensors");
    if (!o.c)
        fprintf(stderr, "refused: %s\n", o.e.msg);
    assert_non_null(o.c);
    touch_all(o.c);
    strbuf_free(&b);
    return o;
}

static void accept_and_close(const char *header, size_t n_data, int n_tensor)
{
    opened o = accepted(header, n_data);
    assert_int_equal(o.c->n_tensor, n_tensor);
    close_bytes(&o);
}

/* ---- what is right ---- */

static void test_tensors(void **state)
{
    (void)state;
    opened o = accepted("{\"b\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[2,26]},"
                        "\"__metadata__\":{\"format\":\"pt\"},"
                        "\"a\":{\"dtype\":\"BF16\",\"shape\":[],\"data_offsets\":[0,2]}}",
                        26);
    assert_string_equal(o.c->reader->name, "safetensors");
    assert_int_equal(o.c->n_tensor, 2);
    assert_string_equal(o.c->tensors[0].name, "a");
    const checkpoint_tensor *a = checkpoint_find(o.c, "a"), *b = checkpoint_find(o.c, "b");
    assert_int_equal(a->t.type, DT_BF16);
    assert_int_equal(a->t.n_dim, 0);
    assert_int_equal(a->t.bytes, 2);
    assert_int_equal(b->t.type, DT_F32);
    assert_int_equal(b->t.n_dim, 2);
    assert_int_equal(b->t.shape[0], 2);
    assert_int_equal(b->t.shape[1], 3);
    assert_int_equal(b->t.bytes, 24);
    for (int i = 0; i < 2; i++)
        assert_int_equal(((const unsigned char *)a->t.data)[i], i);
    for (int i = 0; i < 24; i++)
        assert_int_equal(((const unsigned char *)b->t.data)[i], i + 2);
    assert_null(checkpoint_find(o.c, "c"));
    assert_null(checkpoint_find(o.c, ""));
    close_bytes(&o);
}

/* The accepted inputs of the reference reader's own tests. */
static void test_reference_accepts(void **state)
{
    (void)state;
    accept_and_close("{}", 0, 0);
    accept_and_close("{}\r \t\n", 0, 0);
    accept_and_close(" \t\r\n{}", 0, 0);
    accept_and_close("{\"test\":{\"dtype\":\"I32\",\"shape\":[],\"data_offsets\":[0,4]}}", 4, 1);
    accept_and_close("{\"test\":{\"dtype\":\"I32\",\"shape\":[2,0],\"data_offsets\":[0,0]}}", 0, 1);
    accept_and_close("{\"test\":{\"dtype\":\"I32\",\"shape\":[2,2],\"data_offsets\":[0,16]}}", 16, 1);
    accept_and_close("{\"__metadata__\":{\"framework\":\"pt\"},"
                     "\"test\":{\"dtype\":\"I32\",\"shape\":[2,2],\"data_offsets\":[0,16]}}       ", 16, 1);
    accept_and_close("{\"a\":{\"dtype\":\"F4\",\"shape\":[1,2],\"data_offsets\":[0,1]}}", 1, 1);
    accept_and_close("{\"__metadata__\":null}", 0, 0);
    accept_and_close("{\"__metadata__\":{}}", 0, 0);
    /* members that are not known are ignored, as the reference does */
    accept_and_close("{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1],\"note\":[1.5]}}", 1, 1);
}

static void test_every_dtype(void **state)
{
    (void)state;
    static const struct { const char *name; int bits; } types[] = {
        {"F4", 4}, {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"BOOL", 8}, {"U8", 8}, {"I8", 8}, {"F8_E5M2", 8},
        {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}, {"I16", 16}, {"U16", 16},
        {"F16", 16}, {"BF16", 16}, {"I32", 32}, {"U32", 32}, {"F32", 32}, {"C64", 64}, {"F64", 64},
        {"I64", 64}, {"U64", 64},
    };
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        char header[128];
        size_t bytes = (size_t)types[i].bits * 3 * 4 / 8; /* 12 elements */
        snprintf(header, sizeof header, "{\"a\":{\"dtype\":\"%s\",\"shape\":[3,4],\"data_offsets\":[0,%zu]}}",
                 types[i].name, bytes);
        opened o = accepted(header, bytes);
        assert_int_equal(strcasecmp(dtypes[o.c->tensors[0].t.type].name, types[i].name), 0);
        assert_int_equal(o.c->tensors[0].t.bytes, bytes);
        close_bytes(&o);
        snprintf(header, sizeof header, "{\"a\":{\"dtype\":\"%s\",\"shape\":[3,4],\"data_offsets\":[0,%zu]}}",
                 types[i].name, bytes + 1);
        refused(header, bytes + 1, "but data_offsets hold");
    }
}

static void test_names(void **state)
{
    (void)state;
    opened o = accepted("{\"a\\u0007\\u001b[31m\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
                        "\"sub/dir\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]},"
                        "\"\\u00e9\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[2,3]}}",
                        3);
    assert_non_null(checkpoint_find(o.c, "a\a\x1b[31m"));
    assert_non_null(checkpoint_find(o.c, "sub/dir"));
    assert_non_null(checkpoint_find(o.c, "\xc3\xa9"));
    close_bytes(&o);

    /* in messages they are made safe */
    refused("{\"a\\u001b[31m\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,1]}}", 1,
            "tensor \"a\\x1B[31m\": 2 elements of u8 take 2 bytes, but data_offsets hold 1");
    refused("{\"\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1, "empty name");
    refused("{\"a\\u0000b\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1, "NUL");

    strbuf b = {0};
    strbuf_puts(&b, "{\"");
    for (int i = 0; i < 5000; i++)
        strbuf_puts(&b, "x");
    strbuf_puts(&b, "\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}");
    refused(strbuf_str(&b), 1, "is 5000 bytes long (at most 4096)");
    strbuf_free(&b);
}

/* ---- the frame ---- */

static void test_frame(void **state)
{
    (void)state;
    strbuf b = {0};
    refused_bytes(&b, "the file is empty");

    strbuf_add(&b, "\x3c\0\0\0\0\0\0", 7);
    refused_bytes(&b, "7 bytes are too few");
    strbuf_clear(&b);

    put_u64(&b, 60); /* a length and nothing else */
    refused_bytes(&b, "the header of 60 bytes runs past the end of the file (8 bytes)");
    strbuf_clear(&b);

    put_u64(&b, 0xffffff000000003c);
    strbuf_puts(&b, "{}");
    refused_bytes(&b, "above the limit of 100000000 bytes");
    strbuf_clear(&b);

    static const uint64_t lengths[] = {100000001,  1ull << 31,     1ull << 32,
                                       1ull << 63, UINT64_MAX - 7, UINT64_MAX};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        put_u64(&b, lengths[i]);
        strbuf_puts(&b, "{}");
        refused_bytes(&b, "above the limit of 100000000 bytes");
        strbuf_clear(&b);
    }
    put_u64(&b, 100000000);
    strbuf_puts(&b, "{}");
    refused_bytes(&b, "the header of 100000000 bytes runs past the end");
    strbuf_clear(&b);
    put_u64(&b, 3);
    strbuf_puts(&b, "{}");
    refused_bytes(&b, "the header of 3 bytes runs past the end of the file (10 bytes)");
    strbuf_clear(&b);
    put_u64(&b, 1);
    strbuf_puts(&b, "{}");
    refused_bytes(&b, "header");
    strbuf_clear(&b);
    put_u64(&b, 0);
    strbuf_puts(&b, "{}");
    refused_bytes(&b, "not a JSON object");
    strbuf_free(&b);
}

/* The largest header that is allowed is read without asking for more memory than a bound. */
static void test_huge_header(void **state)
{
    (void)state;
    enum { N = 9000000 };
    strbuf b = {0};
    strbuf_puts(&b, "{\"a\":[");
    while (b.len < N - 8)
        strbuf_puts(&b, "[],");
    strbuf_puts(&b, "0]}");
    strbuf f = {0};
    put_safetensors(&f, strbuf_str(&b), 0);
    refused_bytes(&f, "the header describes more than any checkpoint has");
    strbuf_free(&f);

    strbuf_clear(&b); /* long, but only padding */
    strbuf_puts(&b, "{}");
    for (int i = 0; i < N / 8; i++)
        strbuf_puts(&b, "        ");
    accept_and_close(strbuf_str(&b), 0, 0);
    strbuf_free(&b);
}

static void test_json(void **state)
{
    (void)state;
    refused("\xff", 0, "not a JSON object");
    refused("{", 0, "header: line 1");
    refused("{\"a\xff\":1}", 0, "header: line 1");
    refused("{\"a\":NaN}", 0, "header: line 1");
    refused("{\"a\":1,}", 0, "header: line 1");
    refused("{}/* note */", 0, "header: line 1");
    refused("{} {}", 0, "header: line 1");
    refused("[]", 0, "not a JSON object");
    refused("\xef\xbb\xbf{}", 0, "not a JSON object");
    refused("{\"a\":\"\\ud800\"}", 0, "header: line 1");

    strbuf b = {0};
    strbuf_puts(&b, "{\"a\":");
    for (int i = 0; i < 100000; i++)
        strbuf_puts(&b, "[");
    refused(strbuf_str(&b), 0, "header: line 1");
    strbuf_free(&b);

    strbuf nul = {0};
    put_u64(&nul, 3);
    strbuf_add(&nul, "{}\0", 3);
    refused_bytes(&nul, "header: line 1");
    strbuf_free(&nul);
}

static void test_metadata(void **state)
{
    (void)state;
    refused("{\"__metadata__\":\"pt\"}", 0, "__metadata__ is not an object");
    refused("{\"__metadata__\":[]}", 0, "__metadata__ is not an object");
    refused("{\"__metadata__\":{\"a\":1}}", 0, "__metadata__ entry \"a\" is not a string");
    refused("{\"__metadata__\":{\"a\":null}}", 0, "__metadata__ entry \"a\" is not a string");
    refused("{\"__metadata__\":{\"a\":{\"b\":\"c\"}}}", 0, "__metadata__ entry \"a\" is not a string");
    refused("{\"__metadata__\":{\"a\":\"1\",\"a\":\"2\"}}", 0, "duplicate");
    refused("{\"__metadata__\":{},\"__metadata__\":{}}", 0, "duplicate");
}

/* ---- entries ---- */

#define ENTRY(body) "{\"a\":{" body "}}"

static void test_entry_members(void **state)
{
    (void)state;
    refused("{\"a\":[\"F32\",[1],[0,4]]}", 4, "tensor \"a\": the entry is not an object");
    refused("{\"a\":null}", 0, "tensor \"a\": the entry is not an object");
    refused(ENTRY("\"shape\":[1],\"data_offsets\":[0,4]"), 4, "tensor \"a\": dtype is missing");
    refused(ENTRY("\"dtype\":\"F32\",\"data_offsets\":[0,4]"), 4, "shape is missing");
    refused(ENTRY("\"dtype\":\"F32\",\"shape\":[1]"), 4, "data_offsets is missing");
    refused(ENTRY("\"dtype\":32,\"shape\":[1],\"data_offsets\":[0,4]"), 4, "dtype is not a string");
    refused(ENTRY("\"dtype\":\"f32\",\"shape\":[1],\"data_offsets\":[0,4]"), 4, "unknown dtype \"f32\"");
    refused(ENTRY("\"dtype\":\"F32\\u0000\",\"shape\":[1],\"data_offsets\":[0,4]"), 4, "unknown dtype \"F32");
    refused(ENTRY("\"dtype\":\"\",\"shape\":[1],\"data_offsets\":[0,4]"), 4, "unknown dtype \"\"");
    refused(ENTRY("\"dtype\":\"F32\",\"shape\":1,\"data_offsets\":[0,4]"), 4, "shape is not a list");
    refused(ENTRY("\"dtype\":\"F32\",\"shape\":{},\"data_offsets\":[0,4]"), 4, "shape is not a list");
    refused(ENTRY("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":4"), 4, "data_offsets is not a list");
    refused(ENTRY("\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1],\"data_offsets\":[0,4]"), 4, "7 dimensions");
    refused(ENTRY("\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]"), 4,
            "duplicate");
}

static void test_entry_numbers(void **state)
{
    (void)state;
    static const char *const bad[] = {"1.0", "-1", "1e3", "\"1\"", "null", "true", "[1]", "{}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char header[200];
        snprintf(header, sizeof header, ENTRY("\"dtype\":\"F32\",\"shape\":[1,%s],\"data_offsets\":[0,4]"),
                 bad[i]);
        refused(header, 4, "dimension 1 of shape is not a non-negative integer");
        snprintf(header, sizeof header, ENTRY("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,%s]"),
                 bad[i]);
        refused(header, 4, "data_offsets is not a pair of non-negative integers");
    }
    refused(ENTRY("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]"), 4, "not a pair");
    refused(ENTRY("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[]"), 4, "not a pair");
    refused(ENTRY("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4,8]"), 4, "not a pair");
    refused(ENTRY("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]"), 4,
            "end at 0, before they begin at 4");
    refused(ENTRY("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,18446744073709551616]"), 4,
            "header: line 1");
}

static void test_entry_sizes(void **state)
{
    (void)state;
    refused(ENTRY("\"dtype\":\"I32\",\"shape\":[2,2],\"data_offsets\":[0,4]"), 4,
            "tensor \"a\": 4 elements of i32 take 16 bytes, but data_offsets hold 4");
    refused(ENTRY("\"dtype\":\"I32\",\"shape\":[2,18446744073709551614],\"data_offsets\":[0,16]"), 16,
            "header: line 1");
    refused(ENTRY("\"dtype\":\"I32\",\"shape\":[2,9223372036854775807],\"data_offsets\":[0,16]"), 16,
            "more bytes than can be counted");
    refused(ENTRY("\"dtype\":\"I32\",\"shape\":[3,9223372036854775807],\"data_offsets\":[0,16]"), 16,
            "more elements than can be counted");
    refused(ENTRY("\"dtype\":\"I32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]"), 0,
            "more elements than can be counted");
    refused(ENTRY("\"dtype\":\"F64\",\"shape\":[2305843009213693952],\"data_offsets\":[0,0]"), 0,
            "more bytes than can be counted");
    refused(ENTRY("\"dtype\":\"F4\",\"shape\":[1,3],\"data_offsets\":[0,2]"), 2,
            "3 elements of f4 do not fill whole bytes");
    refused(ENTRY("\"dtype\":\"F6_E3M2\",\"shape\":[2],\"data_offsets\":[0,2]"), 2,
            "2 elements of f6_e3m2 do not fill whole bytes");
    refused(ENTRY("\"dtype\":\"I32\",\"shape\":[2,0],\"data_offsets\":[0,4]"), 4,
            "0 elements of i32 take 0 bytes, but data_offsets hold 4");
}

/* ---- between entries ---- */

static void test_tiling(void **state)
{
    (void)state;
#define U8(name, from, to) \
    "\"" name "\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[" #from "," #to "]}"
    accept_and_close("{" U8("b", 4, 8) "," U8("a", 0, 4) "}", 8, 2);
    refused("{" U8("a", 0, 4) "," U8("b", 8, 12) "}", 12,
            "tensor \"b\" begins at byte 8 of the data, expected 4 (bytes before it belong to no tensor)");
    refused("{" U8("a", 4, 8) "}", 8, "begins at byte 4 of the data, expected 0");
    refused("{" U8("k_proj", 0, 4) "," U8("v_proj", 0, 4) "}", 4, "it overlaps another tensor");
    refused("{" U8("a", 0, 4) "," U8("b", 2, 6) "}", 6,
            "begins at byte 2 of the data, expected 4 (it overlaps another tensor)");
    refused("{" U8("a", 0, 4) "}", 3, "the data should have 4 bytes, but the file holds 3");
    refused("{" U8("a", 0, 4) "}", 2, "the data should have 4 bytes, but the file holds 2");
    refused("{" U8("a", 0, 4) "}", 9, "5 bytes after the last tensor belong to none");
    refused("{}", 1, "1 bytes after the last tensor belong to none");
    refused("{" U8("a", 0, 4) "," U8("a", 4, 8) "}", 8, "duplicate");
    refused("{" U8("a", 0, 4) "," U8("\\u0061", 4, 8) "}", 8, "duplicate");
    /* two empty duplicates would pass all other rules */
    refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]},"
            "\"\\u0061\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}}", 0, "duplicate");
    /* empty tensors lie between others */
    accept_and_close("{" U8("a", 0, 4) ",\"e\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[4,4]},"
                     U8("b", 4, 8) "}", 8, 3);
    refused("{" U8("a", 0, 4) ",\"e\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[2,2]}}", 4,
            "it overlaps another tensor");

    strbuf b = {0}; /* many names for the same bytes */
    for (int i = 0; i < 10; i++)
        strbuf_printf(&b, "%c\"t%d\":{\"dtype\":\"I32\",\"shape\":[2,2],\"data_offsets\":[0,16]}",
                      i ? ',' : '{', i);
    strbuf_puts(&b, "}");
    refused(strbuf_str(&b), 16, "it overlaps another tensor");
    strbuf_free(&b);
}

/* ---- damage ---- */

static strbuf sample(void)
{
    return file("{\"__metadata__\":{\"format\":\"pt\"},"
                "\"model.embed.weight\":{\"dtype\":\"F32\",\"shape\":[5,4],\"data_offsets\":[0,80]},"
                "\"model.norm.weight\":{\"dtype\":\"BF16\",\"shape\":[4],\"data_offsets\":[80,88]},"
                "\"model.scale\":{\"dtype\":\"F64\",\"shape\":[],\"data_offsets\":[88,96]},"
                "\"model.none\":{\"dtype\":\"F16\",\"shape\":[0,7],\"data_offsets\":[96,96]}}   ", 96);
}

static void test_truncation(void **state)
{
    (void)state;
    strbuf b = sample();
    for (size_t n = 0; n < b.len; n++) {
        opened o = open_bytes(b.s, n, "x.safetensors");
        assert_null(o.c);
        assert_int_equal(o.e.code, ERR_INPUT);
        assert_true(o.e.msg[0]);
        close_bytes(&o);
    }
    opened whole = open_bytes(b.s, b.len, "x.safetensors");
    assert_non_null(whole.c);
    assert_int_equal(whole.c->n_tensor, 4);
    close_bytes(&whole);
    strbuf_free(&b);
}

static void test_flips(void **state)
{
    (void)state;
    strbuf b = sample();
    int n_opened = 0;
    for (size_t at = 0; at < b.len && at < 1024; at++) {
        for (int k = 0; k < 9; k++) {
            char was = b.s[at];
            b.s[at] = (char)(k < 8 ? was ^ 1 << k : ~was);
            opened o = open_bytes(b.s, b.len, "x.safetensors");
            if (o.c) {
                n_opened++;
                touch_all(o.c);
            } else {
                assert_int_equal(o.e.code, ERR_INPUT);
                assert_true(o.e.msg[0]);
            }
            close_bytes(&o);
            b.s[at] = was;
        }
    }
    assert_true(n_opened >= 9 * 96); /* flips in the data change nothing that is checked */
    strbuf_free(&b);
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tensors),
        cmocka_unit_test(test_reference_accepts),
        cmocka_unit_test(test_every_dtype),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_frame),
        cmocka_unit_test(test_huge_header),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_metadata),
        cmocka_unit_test(test_entry_members),
        cmocka_unit_test(test_entry_numbers),
        cmocka_unit_test(test_entry_sizes),
        cmocka_unit_test(test_tiling),
        cmocka_unit_test(test_truncation),
        cmocka_unit_test(test_flips),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
