/* The GGUF reader: each rule and each published defect as a small file, and damage of every kind to a good
 * one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <math.h>

#include "tests/checkpoint_bytes.h"

enum { F32 = 0, F16 = 1, Q4_0 = 2, Q8_0 = 8, I8 = 24, I16 = 25 }; /* tensor type ids */

static const uint64_t huge[] = {
    1u << 31, (1ull << 31) - 1, (1ull << 31) + 1, (1ull << 32) - 1, 1ull << 32, (1ull << 32) + 1, 1ull << 40,
    1ull << 60, 1ull << 61, 1ull << 62, (1ull << 63) - 1, 1ull << 63, UINT64_MAX - 1, UINT64_MAX,
};
enum { N_HUGE = sizeof huge / sizeof *huge };

/* Refused as bad input, with a message that names the file and holds the fragment, and a hint; frees b. */
static void refused(strbuf *b, const char *fragment)
{
    opened o = open_bytes(b->s, b->len, "x.gguf");
    if (o.c || !strstr(o.e.msg, fragment))
        fprintf(stderr, "wanted \"%s\", got \"%s\"\n", fragment, o.c ? "(opened)" : o.e.msg);
    assert_null(o.c);
    assert_int_equal(o.e.code, ERR_INPUT);
    assert_non_null(strstr(o.e.msg, fragment));
    assert_ptr_equal(strstr(o.e.msg, "x.gguf: "), o.e.msg);
    assert_true(o.e.hint[0]);
    close_bytes(&o);
    strbuf_free(b);
}

static opened accepted(strbuf *b)
{
    opened o = open_bytes(b->s, b->len, "x.gguf");
    if (!o.c)
        fprintf(stderr, "refused: %s\n", o.e.msg);
    assert_non_null(o.c);
    assert_string_equal(o.c->reader->name, "gguf");
    touch_all(o.c);
    strbuf_free(b);
    return o;
}

static void accept_and_close(strbuf *b, int n_tensor)
{
    opened o = accepted(b);
    assert_int_equal(o.c->n_tensor, n_tensor);
    close_bytes(&o);
}

static strbuf header(uint32_t version, uint64_t n_tensor, uint64_t n_kv)
{
    strbuf b = {0};
    put_gguf_header(&b, version, n_tensor, n_kv);
    return b;
}

/* ---- header ---- */

static void test_header(void **state)
{
    (void)state;
    strbuf b = header(3, 0, 0);
    accept_and_close(&b, 0);
    b = header(2, 0, 0);
    accept_and_close(&b, 0);
    b = header(3, 0, 0);
    put_zeros(&b, 100); /* trailing bytes */
    accept_and_close(&b, 0);

    b = header(3, 0, 0);
    b.s[0] = 'X';
    refused(&b, "does not begin with the letters GGUF");
    b = header(0, 0, 0);
    refused(&b, "version 0 is not supported");
    b = header(1, 0, 0);
    refused(&b, "version 1 is not supported");
    b = header(4, 0, 0);
    refused(&b, "version 4 is not supported");
    b = header(0x03000000, 0, 0);
    refused(&b, "big-endian");
    for (size_t n = 4; n < 24; n++) {
        b = header(3, 0, 0);
        b.len = n;
        refused(&b, "too few for a GGUF header");
    }
}

static void test_counts(void **state)
{
    (void)state;
    for (int i = 0; i < N_HUGE; i++) {
        strbuf b = header(3, huge[i], 0);
        refused(&b, "tensors, more than its 24 bytes can hold");
        b = header(3, 0, huge[i]);
        refused(&b, "metadata entries, more than its 24 bytes can hold");
        b = header(3, 0, huge[i]);
        put_kv_string(&b, "general.architecture", "llama");
        refused(&b, "metadata entries, more than its");
    }
    strbuf b = header(3, 0, 2); /* one entry of two */
    put_kv_string(&b, "general.architecture", "llama");
    refused(&b, "metadata entry 1: key: the metadata runs past the end of the file");
    b = header(3, 1, 0);
    put_zeros(&b, 24);
    refused(&b, "declares 1 tensors, more than its 48 bytes can hold");
}

/* ---- metadata ---- */

static void test_keys(void **state)
{
    (void)state;
    for (int i = 0; i < N_HUGE; i++) {
        strbuf b = header(3, 0, 1);
        put_u64(&b, huge[i]);
        put_zeros(&b, 16);
        refused(&b, "metadata entry 0: key: a string of");
    }
    strbuf b = header(3, 0, 1);
    put_u64(&b, 17); /* one more than there are */
    put_zeros(&b, 16);
    refused(&b, "a string of 17 bytes does not fit in the 16 bytes left");

    b = header(3, 0, 1);
    put_kv_u32(&b, "", 1);
    refused(&b, "metadata entry 0: the key is empty");
    b = header(3, 0, 1);
    put_kv_u32(&b, "a\tb", 1);
    refused(&b, "not printable ASCII (byte 0x09)");
    b = header(3, 0, 1);
    put_kv_u32(&b, "\xc3\xa9", 1);
    refused(&b, "not printable ASCII (byte 0xc3)");

    char *key = malloc(65537);
    assert_non_null(key);
    memset(key, 'k', 65536);
    key[65536] = '\0';
    b = header(3, 0, 1);
    put_kv_u32(&b, key, 1);
    refused(&b, "the key is 65536 bytes long");
    b = header(3, 0, 1);
    put_kv_u32(&b, key + 1, 1);
    accept_and_close(&b, 0);
    free(key);

    b = header(3, 0, 3);
    put_kv_u32(&b, "twice", 1);
    put_kv_u32(&b, "other", 1);
    put_kv_string(&b, "twice", "2");
    refused(&b, "metadata \"twice\" appears twice");
}

static void test_value_types(void **state)
{
    (void)state;
    static const uint32_t bad[] = {13, 14, 255, 0x7fffffff, 0x80000000, UINT32_MAX};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        strbuf b = header(3, 0, 1);
        put_key(&b, "k", bad[i]);
        put_zeros(&b, 32);
        refused(&b, "metadata \"k\": unknown value type");
        b = header(3, 0, 1);
        put_kv_array(&b, "k", bad[i], 1);
        put_zeros(&b, 32);
        refused(&b, "metadata \"k\": unknown array element type");
    }
    strbuf b = header(3, 0, 1);
    put_kv_array(&b, "k", GGUF_ARRAY, 1);
    put_zeros(&b, 32);
    refused(&b, "arrays of arrays");

    b = header(3, 0, 1);
    put_key(&b, "k", GGUF_BOOL);
    strbuf_putc(&b, 2);
    refused(&b, "metadata \"k\": a bool is stored as 2");
    b = header(3, 0, 1);
    put_kv_array(&b, "k", GGUF_BOOL, 3);
    strbuf_add(&b, "\0\1\xff", 3);
    refused(&b, "a bool is stored as 255");

    for (int i = 0; i < N_HUGE; i++) {
        b = header(3, 0, 1);
        put_key(&b, "k", GGUF_STRING);
        put_u64(&b, huge[i]);
        put_zeros(&b, 8);
        refused(&b, "metadata \"k\": a string of");
    }
    static const int bytes[] = {1, 1, 2, 2, 4, 4, 4, 1, 8, 0, 8, 8, 8};
    for (uint32_t t = 0; t < GGUF_TYPE_COUNT; t++) { /* a plain value cut short by a byte */
        if (t == GGUF_ARRAY)
            continue;
        b = header(3, 0, 1);
        put_key(&b, "kkkkkkkkk", t);
        put_zeros(&b, (size_t)bytes[t] - 1);
        refused(&b, "metadata \"kkkkkkkkk\": the metadata runs past the end");
    }
}

static void test_array_counts(void **state)
{
    (void)state;
    for (uint32_t t = 0; t < GGUF_TYPE_COUNT; t++) {
        if (t == GGUF_ARRAY)
            continue;
        for (int i = 0; i < N_HUGE; i++) {
            strbuf b = header(3, 0, 1);
            put_kv_array(&b, "k", t, huge[i]);
            put_zeros(&b, 64);
            refused(&b, "metadata \"k\": an array of");
        }
    }
    strbuf b = header(3, 0, 1);
    put_kv_array(&b, "k", GGUF_F64, 9);
    put_zeros(&b, 64);
    refused(&b, "an array of 9 f64 values does not fit in the 64 bytes left");
    b = header(3, 0, 1);
    put_kv_array(&b, "k", GGUF_STRING, 3); /* the third string is cut */
    put_string(&b, "one");
    put_string(&b, "two");
    put_u64(&b, 4);
    strbuf_puts(&b, "thr");
    refused(&b, "a string of 4 bytes does not fit in the 3 bytes left");
}

static void test_accessors(void **state)
{
    (void)state;
    strbuf b = header(3, 0, 18);
    const int8_t i8[] = {-5, 100};
    const double f64 = 1e300;
    const float f32[] = {0.5f, -2.25f};
    const uint64_t u64 = UINT64_MAX;
    const int64_t i64 = INT64_MIN;
    put_key(&b, "u8", GGUF_U8), strbuf_putc(&b, (char)250);
    put_key(&b, "i8", GGUF_I8), strbuf_putc(&b, (char)-5);
    put_key(&b, "u16", GGUF_U16), strbuf_add(&b, "\xff\xfe", 2);
    put_key(&b, "i16", GGUF_I16), strbuf_add(&b, "\xff\xfe", 2);
    put_key(&b, "u32", GGUF_U32), put_u32(&b, 4000000000u);
    put_key(&b, "i32", GGUF_I32), put_u32(&b, 4000000000u);
    put_key(&b, "f32", GGUF_F32), strbuf_add(&b, f32, 4);
    put_key(&b, "bool", GGUF_BOOL), strbuf_putc(&b, 1);
    put_key(&b, "u64", GGUF_U64), strbuf_add(&b, &u64, 8);
    put_key(&b, "i64", GGUF_I64), strbuf_add(&b, &i64, 8);
    put_key(&b, "f64", GGUF_F64), strbuf_add(&b, &f64, 8);
    put_kv_string(&b, "text", "hello");
    put_kv_string(&b, "texture", "");
    put_kv_array(&b, "i8s", GGUF_I8, 2), strbuf_add(&b, i8, 2);
    put_kv_array(&b, "f32s", GGUF_F32, 2), strbuf_add(&b, f32, 8);
    put_kv_array(&b, "texts", GGUF_STRING, 3);
    put_string(&b, "a"), put_string(&b, ""), put_string(&b, "ccc");
    put_kv_array(&b, "none", GGUF_STRING, 0);
    put_kv_array(&b, "bools", GGUF_BOOL, 3), strbuf_add(&b, "\0\1\0", 3);

    opened o = accepted(&b);
    const gguf_meta *m = o.c->gguf;
    int64_t i;
    double r;
    bool yes = false;
    gguf_string s, list[3];
    assert_int_equal(gguf_count(m), 18);
    assert_int_equal(gguf_at(m, 0)->key.len, 2);
    assert_memory_equal(gguf_at(m, 17)->key.s, "bools", 5);
    assert_null(gguf_at(m, 18));
    for (size_t k = 0; k < gguf_count(m); k++) { /* every key is found again */
        char key[16] = "";
        memcpy(key, gguf_at(m, k)->key.s, gguf_at(m, k)->key.len);
        assert_ptr_equal(gguf_find(m, key), gguf_at(m, k));
    }
    assert_null(gguf_find(m, "tex"));
    assert_null(gguf_find(m, "textures"));
    assert_null(gguf_find(m, ""));

    static const struct { const char *key; int64_t value; } ints[] = {
        {"u8", 250}, {"i8", -5}, {"u16", 0xfeff}, {"i16", -257}, {"u32", 4000000000}, {"i32", -294967296},
        {"i64", INT64_MIN},
    };
    for (size_t k = 0; k < sizeof ints / sizeof *ints; k++) {
        assert_true(gguf_int(&i, gguf_find(m, ints[k].key), 0));
        assert_int_equal(i, ints[k].value);
        assert_false(gguf_int(&i, gguf_find(m, ints[k].key), 1));
        assert_true(gguf_real(&r, gguf_find(m, ints[k].key), 0));
        assert_true(r == (double)ints[k].value);
    }
    assert_false(gguf_int(&i, gguf_find(m, "u64"), 0)); /* does not fit */
    assert_true(gguf_real(&r, gguf_find(m, "u64"), 0) && r == 0x1p64);
    assert_true(gguf_real(&r, gguf_find(m, "f32"), 0) && r == 0.5);
    assert_true(gguf_real(&r, gguf_find(m, "f64"), 0) && r == 1e300);
    static const char *const not_ints[] = {"f32", "f64", "bool", "text", "texts", "f32s", "absent"};
    for (size_t k = 0; k < sizeof not_ints / sizeof *not_ints; k++)
        assert_false(gguf_int(&i, gguf_find(m, not_ints[k]), 0));
    static const char *const not_reals[] = {"bool", "text", "texts", "none", "absent"};
    for (size_t k = 0; k < sizeof not_reals / sizeof *not_reals; k++)
        assert_false(gguf_real(&r, gguf_find(m, not_reals[k]), 0));

    assert_true(gguf_int(&i, gguf_find(m, "i8s"), 1) && i == 100);
    assert_false(gguf_int(&i, gguf_find(m, "i8s"), 2));
    assert_false(gguf_int(&i, gguf_find(m, "i8s"), UINT64_MAX));
    assert_true(gguf_real(&r, gguf_find(m, "f32s"), 1) && r == -2.25);
    assert_true(gguf_bool(&yes, gguf_find(m, "bool"), 0) && yes);
    assert_false(gguf_bool(&yes, gguf_find(m, "u8"), 0));
    assert_false(gguf_bool(&yes, NULL, 0));
    assert_false(gguf_bool(&yes, gguf_find(m, "bool"), 1));
    for (uint64_t k = 0; k < 3; k++)
        assert_true(gguf_bool(&yes, gguf_find(m, "bools"), k) && yes == (k == 1));
    assert_false(gguf_bool(&yes, gguf_find(m, "bools"), 3));
    assert_false(gguf_bool(&yes, gguf_find(m, "bools"), UINT64_MAX));
    assert_true(gguf_text(&s, gguf_find(m, "text")) && s.len == 5 && memcmp(s.s, "hello", 5) == 0);
    assert_true(gguf_text(&s, gguf_find(m, "texture")) && s.len == 0);
    assert_false(gguf_text(&s, gguf_find(m, "texts")));
    assert_int_equal(gguf_find(m, "texts")->count, 3);
    assert_int_equal(gguf_find(m, "texts")->element, GGUF_STRING);
    assert_true(gguf_texts(list, gguf_find(m, "texts")));
    assert_true(list[0].len == 1 && list[1].len == 0 && list[2].len == 3 && memcmp(list[2].s, "ccc", 3) == 0);
    assert_true(gguf_texts(list, gguf_find(m, "none")));
    assert_false(gguf_texts(list, gguf_find(m, "text")));
    assert_false(gguf_texts(list, gguf_find(m, "i8s")));
    assert_false(gguf_texts(list, NULL));
    assert_string_equal(gguf_type_name(GGUF_U32), "u32");
    assert_string_equal(gguf_type_name(GGUF_TYPE_COUNT), "?");
    close_bytes(&o);
}

/* One f32 tensor of 3 x 2 at the file's alignment; alignment 0 leaves the key out. */
static strbuf aligned(uint32_t alignment, size_t padding)
{
    strbuf b = header(3, 2, alignment ? 1 : 0);
    if (alignment)
        put_kv_u32(&b, "general.alignment", alignment);
    size_t a = alignment ? alignment : 32, second = (24 + a - 1) / a * a;
    put_tensor_info(&b, "a", 2, (uint64_t[]){3, 2}, F32, 0);
    put_tensor_info(&b, "b", 1, (uint64_t[]){5}, I8, second);
    put_padding(&b, padding);
    for (size_t i = 0; i < second + 5; i++)
        strbuf_putc(&b, (char)i);
    return b;
}

static void test_alignment(void **state)
{
    (void)state;
    static const uint32_t good[] = {0, 1, 2, 8, 32, 64, 4096, 1 << 20};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        size_t a = good[i] ? good[i] : 32;
        strbuf b = aligned(good[i], a);
        opened o = accepted(&b);
        const tensor *t = &checkpoint_find(o.c, "b")->t;
        assert_int_equal(gguf_alignment(o.c->gguf), a);
        assert_int_equal(*(const unsigned char *)t->data, (24 + a - 1) / a * a & 0xff);
        close_bytes(&o);
    }
    static const uint32_t bad[] = {3, 13, 24, 1 << 21, 1u << 31, UINT32_MAX};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        strbuf b = header(3, 0, 1);
        put_kv_u32(&b, "general.alignment", bad[i]);
        refused(&b, "not a power of two");
    }
    strbuf b = header(3, 0, 1);
    put_kv_u32(&b, "general.alignment", 0);
    refused(&b, "\"general.alignment\" is 0, not a power of two");
    b = header(3, 0, 1);
    put_kv_string(&b, "general.alignment", "32");
    refused(&b, "is of type string, not u32");
    b = header(3, 0, 1);
    put_key(&b, "general.alignment", GGUF_I32), put_u32(&b, 32);
    refused(&b, "is of type i32, not u32");
    b = header(3, 0, 1);
    put_key(&b, "general.alignment", GGUF_U64), put_u64(&b, 32);
    refused(&b, "is of type u64, not u32");
    b = header(3, 0, 1);
    put_kv_array(&b, "general.alignment", GGUF_U32, 1), put_u32(&b, 32);
    refused(&b, "is of type array, not u32");

    b = aligned(64, 32); /* written with another alignment than it says */
    refused(&b, "runs past the end of the file");
    b = aligned(0, 64);
    accept_and_close(&b, 2);
}

static strbuf part(uint32_t type, uint64_t no, uint64_t count)
{
    strbuf b = header(3, 0, 2);
    put_key(&b, "split.no", type), strbuf_add(&b, &no, type == GGUF_U16 ? 2 : 8);
    put_key(&b, "split.count", type), strbuf_add(&b, &count, type == GGUF_U16 ? 2 : 8);
    return b;
}

/* One part alone; whole models of several files are in test_readers.c. */
static void test_split(void **state)
{
    (void)state;
    strbuf b = part(GGUF_U16, 1, 3);
    refused(&b, "is one part of a model in 3 files");
    b = part(GGUF_U64, 0, 2);
    refused(&b, "is one part of a model in 2 files");
    b = part(GGUF_U16, 0, 1);
    accept_and_close(&b, 0);
    b = part(GGUF_U16, 0, 0);
    accept_and_close(&b, 0);
    b = part(GGUF_U16, 3, 3);
    refused(&b, "\"split.no\" is 3, but \"split.count\" is 3");
    b = part(GGUF_U16, 1, 1);
    refused(&b, "\"split.no\" is 1, but \"split.count\" is 1");
    b = part(GGUF_U64, 0, 65536);
    refused(&b, "\"split.count\" is not an integer from 0 to 65535");
    b = part(GGUF_I64, UINT64_MAX, 3);
    refused(&b, "\"split.no\" is not an integer from 0 to 65535");
    b = header(3, 0, 1);
    put_kv_string(&b, "split.count", "2");
    refused(&b, "\"split.count\" is not an integer");
    b = header(3, 0, 1);
    put_kv_array(&b, "split.count", GGUF_U16, 1), strbuf_add(&b, "\2\0", 2);
    refused(&b, "\"split.count\" is not an integer");
}

/* ---- tensors ---- */

static void test_tensors(void **state)
{
    (void)state;
    strbuf b = header(3, 3, 0);
    put_tensor_info(&b, "w", 2, (uint64_t[]){64, 3}, Q4_0, 0);          /* 3 rows of 2 blocks: 108 bytes */
    put_tensor_info(&b, "deep", 4, (uint64_t[]){2, 3, 4, 1}, F16, 128); /* 48 bytes */
    put_tensor_info(&b, "scalar", 0, NULL, F32, 192);
    put_padding(&b, 32);
    size_t start = b.len;
    for (int i = 0; i < 196; i++)
        strbuf_putc(&b, (char)i);
    opened o = accepted(&b);
    const checkpoint_tensor *w = checkpoint_find(o.c, "w"), *deep = checkpoint_find(o.c, "deep");
    const checkpoint_tensor *scalar = checkpoint_find(o.c, "scalar");
    assert_int_equal(w->t.type, DT_Q4_0);
    assert_int_equal(w->t.n_dim, 2);
    assert_int_equal(w->t.shape[0], 3); /* PyTorch's order */
    assert_int_equal(w->t.shape[1], 64);
    assert_int_equal(w->t.bytes, 108);
    assert_ptr_equal(w->t.data, (const char *)o.bytes + start);
    assert_int_equal(deep->t.n_dim, 4);
    assert_int_equal(deep->t.shape[0], 1);
    assert_int_equal(deep->t.shape[1], 4);
    assert_int_equal(deep->t.shape[2], 3);
    assert_int_equal(deep->t.shape[3], 2);
    assert_ptr_equal(deep->t.data, (const char *)o.bytes + start + 128);
    assert_int_equal(scalar->t.n_dim, 0);
    assert_int_equal(scalar->t.bytes, 4);
    assert_string_equal(o.c->tensors[0].name, "deep"); /* sorted */
    close_bytes(&o);
}

/* A file with one tensor and n_data bytes of data. */
static strbuf one(const char *name, uint32_t n_dim, const uint64_t *dims, uint32_t type, uint64_t offset,
                  size_t n_data)
{
    strbuf b = header(3, 1, 0);
    put_tensor_info(&b, name, n_dim, dims, type, offset);
    put_padding(&b, 32);
    put_zeros(&b, n_data);
    return b;
}

static void test_every_type(void **state)
{
    (void)state;
    static const struct { uint32_t id; const char *name; unsigned block, bytes; } types[] = {
        {0, "f32", 1, 4}, {1, "f16", 1, 2}, {2, "q4_0", 32, 18}, {3, "q4_1", 32, 20}, {6, "q5_0", 32, 22},
        {7, "q5_1", 32, 24}, {8, "q8_0", 32, 34}, {9, "q8_1", 32, 36}, {10, "q2_k", 256, 84},
        {11, "q3_k", 256, 110}, {12, "q4_k", 256, 144}, {13, "q5_k", 256, 176}, {14, "q6_k", 256, 210},
        {15, "q8_k", 256, 292}, {16, "iq2_xxs", 256, 66}, {17, "iq2_xs", 256, 74}, {18, "iq3_xxs", 256, 98},
        {19, "iq1_s", 256, 50}, {20, "iq4_nl", 32, 18}, {21, "iq3_s", 256, 110}, {22, "iq2_s", 256, 82},
        {23, "iq4_xs", 256, 136}, {24, "i8", 1, 1}, {25, "i16", 1, 2}, {26, "i32", 1, 4}, {27, "i64", 1, 8},
        {28, "f64", 1, 8}, {29, "iq1_m", 256, 56}, {30, "bf16", 1, 2}, {34, "tq1_0", 256, 54},
        {35, "tq2_0", 256, 66}, {39, "mxfp4", 32, 17}, {40, "nvfp4", 64, 36}, {41, "q1_0", 128, 18},
        {42, "q2_0", 64, 18},
    };
    unsigned known = 0;
    for (uint32_t id = 0; id < 64; id++) {
        if (known < sizeof types / sizeof *types && types[known].id == id) {
            uint64_t dims[] = {types[known].block, 3};
            size_t bytes = 3 * types[known].bytes;
            strbuf b = one("t", 2, dims, id, 0, bytes);
            opened o = accepted(&b);
            assert_string_equal(dtypes[o.c->tensors[0].t.type].name, types[known].name);
            assert_int_equal(o.c->tensors[0].t.bytes, bytes);
            close_bytes(&o);
            b = one("t", 2, dims, id, 0, bytes - 1);
            refused(&b, "runs past the end of the file");
            dims[0]++;
            if (types[known].block > 1) {
                b = one("t", 2, dims, id, 0, 2 * bytes);
                refused(&b, "are not whole");
            }
            known++;
        } else {
            strbuf b = one("t", 1, (uint64_t[]){256}, id, 0, 4096);
            refused(&b, id < 43 ? "was removed from GGUF" : "unknown tensor type");
        }
    }
    static const uint32_t bad[] = {43, 0x7fffffff, 0x80000000, UINT32_MAX};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        strbuf b = one("t", 1, (uint64_t[]){256}, bad[i], 0, 4096);
        refused(&b, "tensor \"t\": unknown tensor type");
    }
    strbuf b = one("t", 0, NULL, Q8_0, 0, 34); /* one element is not a block */
    refused(&b, "rows of 1 elements are not whole q8_0 blocks of 32");
}

static void test_tensor_names(void **state)
{
    (void)state;
    char name[66];
    memset(name, 'n', sizeof name);
    for (size_t len = 62; len <= 65; len++) {
        strbuf b = header(3, 1, 0);
        put_u64(&b, len);
        strbuf_add(&b, name, len);
        put_u32(&b, 1), put_u64(&b, 4), put_u32(&b, I8), put_u64(&b, 0);
        put_padding(&b, 32);
        put_zeros(&b, 4);
        if (len < 64)
            accept_and_close(&b, 1);
        else
            refused(&b, "tensor 0: the name is 6");
    }
    for (int i = 0; i < N_HUGE; i++) {
        strbuf b = header(3, 1, 0);
        put_u64(&b, huge[i]);
        put_zeros(&b, 64);
        refused(&b, "tensor 0: the name is");
    }
    strbuf b = one("", 1, (uint64_t[]){4}, I8, 0, 4);
    refused(&b, "tensor 0: the name is 0 bytes long");
    b = header(3, 1, 0);
    put_u64(&b, 3);
    strbuf_add(&b, "a\0b", 3);
    put_u32(&b, 0), put_u32(&b, I8), put_u64(&b, 0);
    put_padding(&b, 32);
    put_zeros(&b, 4);
    refused(&b, "NUL");
    b = header(3, 2, 0);
    put_tensor_info(&b, "same", 1, (uint64_t[]){32}, I8, 0);
    put_tensor_info(&b, "same", 1, (uint64_t[]){32}, I8, 32);
    put_padding(&b, 32);
    put_zeros(&b, 64);
    refused(&b, "tensor \"same\" appears twice");
}

static void test_shapes(void **state)
{
    (void)state;
    static const uint32_t counts[] = {5, 6, 255, 0x7fffffff, 0x80000000, UINT32_MAX};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        strbuf b = header(3, 1, 0);
        put_string(&b, "t");
        put_u32(&b, counts[i]);
        put_zeros(&b, 128);
        refused(&b, "dimensions (at most 4)");
    }
    for (int i = 0; i < 4; i++) {
        uint64_t dims[] = {2, 2, 2, 2};
        dims[i] = UINT64_MAX;
        strbuf b = one("t", 4, dims, F32, 0, 64);
        refused(&b, "is negative");
        dims[i] = 0; /* an empty tensor, whichever dimension it is */
        b = one("t", 4, dims, F32, 0, 64);
        accept_and_close(&b, 1);
        b = one("t", 4, dims, F32, 0, 0);
        accept_and_close(&b, 1);
        uint64_t quantised[] = {32, 2, 2, 2};
        quantised[i] = 0;
        b = one("t", 4, quantised, Q8_0, 0, 0);
        accept_and_close(&b, 1);
    }
    strbuf b = one("t", 4, (uint64_t[]){4ull * INT32_MAX, 4ull * INT32_MAX, 1, 1}, I8, 0, 64);
    refused(&b, "multiply to more elements than can be counted");
    b = one("t", 2, (uint64_t[]){1ull << 32, 1ull << 32}, I8, 0, 64);
    refused(&b, "multiply to more elements than can be counted");
    b = one("t", 2, (uint64_t[]){1ull << 32, 1ull << 31}, I8, 0, 64); /* fits 64 bits, not 63 */
    refused(&b, "multiply to more elements than can be counted");
    b = one("t", 1, (uint64_t[]){1ull << 62}, F32, 0, 64); /* elements fit, bytes do not */
    refused(&b, "more bytes than can be counted");
    b = one("t", 2, (uint64_t[]){1ull << 31, 1ull << 31}, F32, 0, 64);
    refused(&b, "more bytes than can be counted");
    b = one("t", 1, (uint64_t[]){1ull << 61}, F32, 0, 64);
    refused(&b, "runs past the end of the file");
    b = one("t", 1, (uint64_t[]){INT64_MAX / 32 * 32}, Q8_0, 0, 64);
    refused(&b, "runs past the end of the file");
    b = one("t", 1, (uint64_t[]){INT64_MAX}, I8, 0, 64);
    refused(&b, "runs past the end of the file");
    for (size_t len = 24; len < 60; len++) { /* a description of 36 bytes cut at every byte */
        b = header(3, 1, 0);
        put_tensor_info(&b, "name", 1, (uint64_t[]){4}, I8, 0);
        b.len = len;
        refused(&b, len < 24 + 25 ? "declares 1 tensors" : "the tensor descriptions run past the end");
    }
}

static void test_places(void **state)
{
    (void)state;
    static const uint64_t offsets[] = {1, 8, 31, 32, 64, 1ull << 32, 1ull << 63, UINT64_MAX - 31, UINT64_MAX};
    for (size_t i = 0; i < sizeof offsets / sizeof *offsets; i++) {
        strbuf b = one("t", 1, (uint64_t[]){4}, F32, offsets[i], 256);
        refused(&b, "tensor \"t\" is at offset");
    }
    /* the second tensor: aliasing, overlapping, unaligned, after a gap */
    static const uint64_t second[] = {0, 16, 33, 36, 48, 96};
    for (size_t i = 0; i < sizeof second / sizeof *second; i++) {
        strbuf b = header(3, 2, 0);
        put_tensor_info(&b, "k", 1, (uint64_t[]){36}, I8, 0);
        put_tensor_info(&b, "v", 1, (uint64_t[]){36}, I8, second[i]);
        put_padding(&b, 32);
        put_zeros(&b, 256);
        refused(&b, "tensor \"v\" is at offset");
    }
    strbuf b = header(3, 2, 0); /* in another order than described */
    put_tensor_info(&b, "k", 1, (uint64_t[]){32}, I8, 32);
    put_tensor_info(&b, "v", 1, (uint64_t[]){32}, I8, 0);
    put_padding(&b, 32);
    put_zeros(&b, 256);
    refused(&b, "tensor \"k\" is at offset 32, expected 0");

    /* padded sizes that wrap when summed */
    b = header(3, 3, 0);
    put_tensor_info(&b, "a", 1, (uint64_t[]){0x7fffffffffffffc0}, I8, 0);
    put_tensor_info(&b, "b", 1, (uint64_t[]){0x7fffffffffffffc0}, I8, 0x7fffffffffffffc0);
    put_tensor_info(&b, "c", 1, (uint64_t[]){256}, I8, 0xffffffffffffff80);
    put_padding(&b, 32);
    put_zeros(&b, 256);
    refused(&b, "runs past the end of the file");

    b = one("t", 1, (uint64_t[]){16}, F32, 0, 64);
    accept_and_close(&b, 1);
    b = one("t", 1, (uint64_t[]){16}, F32, 0, 63);
    refused(&b, "tensor \"t\" of 64 bytes runs past the end of the file");
    b = one("t", 1, (uint64_t[]){32}, F32, 0, 64); /* twice as long as its data */
    refused(&b, "runs past the end of the file");
    b = one("t", 1, (uint64_t[]){16}, F32, 0, 0);
    refused(&b, "runs past the end of the file");
    b = one("t", 1, (uint64_t[]){16}, F32, 0, 100); /* bytes behind the last tensor */
    accept_and_close(&b, 1);
    b = header(3, 1, 0);
    put_tensor_info(&b, "t", 1, (uint64_t[]){16}, F32, 0); /* the padding before the data is missing */
    refused(&b, "runs past the end of the file");
}

/* ---- damage ---- */

static strbuf sample(void)
{
    strbuf b = header(3, 3, 7);
    put_kv_string(&b, "general.architecture", "llama");
    put_kv_u32(&b, "llama.block_count", 2);
    put_kv_u32(&b, "general.alignment", 32);
    put_key(&b, "llama.rope.freq_base", GGUF_F32), strbuf_add(&b, "\0\x40\x1c\x46", 4);
    put_key(&b, "tokenizer.ggml.add_bos_token", GGUF_BOOL), strbuf_putc(&b, 1);
    put_kv_array(&b, "tokenizer.ggml.tokens", GGUF_STRING, 3);
    put_string(&b, "<s>"), put_string(&b, "a"), put_string(&b, "bc");
    put_kv_array(&b, "tokenizer.ggml.scores", GGUF_F32, 3), put_zeros(&b, 12);
    put_tensor_info(&b, "token_embd.weight", 2, (uint64_t[]){32, 3}, Q8_0, 0); /* 102 bytes */
    put_tensor_info(&b, "output_norm.weight", 1, (uint64_t[]){32}, F32, 128);
    put_tensor_info(&b, "none", 2, (uint64_t[]){0, 5}, F16, 256);
    put_padding(&b, 32);
    for (int i = 0; i < 256; i++)
        strbuf_putc(&b, (char)i);
    return b;
}

static void test_truncation(void **state)
{
    (void)state;
    strbuf b = sample();
    for (size_t n = 0; n < b.len; n++) {
        opened o = open_bytes(b.s, n, "x.gguf");
        assert_null(o.c);
        assert_int_equal(o.e.code, ERR_INPUT);
        assert_true(o.e.msg[0] && o.e.hint[0]);
        close_bytes(&o);
    }
    opened o = open_bytes(b.s, b.len, "x.gguf");
    assert_non_null(o.c);
    assert_int_equal(o.c->n_tensor, 3);
    close_bytes(&o);
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
            opened o = open_bytes(b.s, b.len, "x.gguf");
            if (o.c) {
                n_opened++;
                touch_all(o.c);
            } else {
                assert_int_equal(o.e.code, ERR_INPUT);
                assert_true(o.e.msg[0] && o.e.hint[0]);
            }
            close_bytes(&o);
            b.s[at] = was;
        }
    }
    assert_true(n_opened >= 9 * 256); /* flips in the data change nothing that is checked */
    strbuf_free(&b);
}

/* Every 64-bit field of the file, one after another, with every hard value: counts, lengths, dimensions and
 * offsets alike (fields are not aligned, so every position is tried). */
static void test_hard_values(void **state)
{
    (void)state;
    strbuf b = sample();
    for (size_t at = 8; at + 8 <= b.len - 256; at++) {
        char was[8];
        memcpy(was, b.s + at, 8);
        for (int i = -3; i < N_HUGE; i++) {
            uint64_t v = i == -3 ? 0 : i == -2 ? b.len - 1 : i == -1 ? b.len + 1 : huge[i];
            memcpy(b.s + at, &v, 8);
            opened o = open_bytes(b.s, b.len, "x.gguf");
            if (o.c)
                touch_all(o.c);
            else
                assert_int_equal(o.e.code, ERR_INPUT);
            close_bytes(&o);
        }
        memcpy(b.s + at, was, 8);
    }
    strbuf_free(&b);
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_header),
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_value_types),
        cmocka_unit_test(test_array_counts),
        cmocka_unit_test(test_accessors),
        cmocka_unit_test(test_alignment),
        cmocka_unit_test(test_split),
        cmocka_unit_test(test_tensors),
        cmocka_unit_test(test_every_type),
        cmocka_unit_test(test_tensor_names),
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_truncation),
        cmocka_unit_test(test_flips),
        cmocka_unit_test(test_hard_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
