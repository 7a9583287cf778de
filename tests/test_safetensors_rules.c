/* The rules of the safetensors reference reader, one after another, and those that it leaves to each reader: for
 * each a small file and the one message that it must end in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "tests/checkpoint_bytes.h"

#define A(body) "{\"a\":{" body "}}"
#define U8(name, from, to) \
    "\"" name "\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[" #from "," #to "]}"

enum { RIGHT = -1 }; /* the length field says what the header has */

static const struct {
    const char *rule;
    int64_t length;     /* in the length field, or RIGHT */
    const char *header;
    size_t n_data;
    const char *message; /* NULL: it opens */
} rules[] = {
    {"2 header too large", 100000001, "{}", 0, "above the limit of 100000000 bytes"},
    {"2 header too large", INT64_MAX, "{}", 0, "above the limit of 100000000 bytes"},
    {"3 header past the end", 100000000, "{}", 0, "runs past the end of the file (10 bytes)"},
    {"3 header past the end", 3, "{}", 0, "the header of 3 bytes runs past the end"},
    {"4 UTF-8", RIGHT, "{\"\xff\":{}}", 0, "header: line 1"},
    {"4 surrogates", RIGHT, "{\"\\udc00\":{}}", 0, "header: line 1"},
    {"4 JSON", RIGHT, "{", 0, "header: line 1"},
    {"4 JSON, NaN", RIGHT, "{\"a\":NaN}", 0, "header: line 1"},
    {"4 JSON, trailing comma", RIGHT, "{\"a\":{},}", 0, "header: line 1"},
    {"4 JSON, comment", RIGHT, "{}//", 0, "header: line 1"},
    {"4 JSON, two values", RIGHT, "{}{}", 0, "header: line 1"},
    {"4 whole numbers", RIGHT, A("\"dtype\":\"U8\",\"shape\":[1.0],\"data_offsets\":[0,1]"), 1,
     "dimension 0 of shape is not a non-negative integer"},
    {"4 whole numbers", RIGHT, A("\"dtype\":\"U8\",\"shape\":[1e0],\"data_offsets\":[0,1]"), 1,
     "dimension 0 of shape is not a non-negative integer"},
    {"4 whole numbers", RIGHT, A("\"dtype\":\"U8\",\"shape\":[-1],\"data_offsets\":[0,1]"), 1,
     "dimension 0 of shape is not a non-negative integer"},
    {"4 whole numbers", RIGHT, A("\"dtype\":\"U8\",\"shape\":[18446744073709551616],\"data_offsets\":[0,1]"), 1,
     "header: line 1"},
    {"5 metadata", RIGHT, "{\"__metadata__\":1}", 0, "__metadata__ is not an object"},
    {"5 metadata", RIGHT, "{\"__metadata__\":{\"a\":1}}", 0, "__metadata__ entry \"a\" is not a string"},
    {"5 metadata", RIGHT, "{\"__metadata__\":null}", 0, NULL},
    {"6 members", RIGHT, A("\"shape\":[1],\"data_offsets\":[0,1]"), 1, "tensor \"a\": dtype is missing"},
    {"6 members", RIGHT, A("\"dtype\":\"U8\",\"data_offsets\":[0,1]"), 1, "tensor \"a\": shape is missing"},
    {"6 members", RIGHT, A("\"dtype\":\"U8\",\"shape\":[1]"), 1, "tensor \"a\": data_offsets is missing"},
    {"6 members", RIGHT, A("\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1,2]"), 1,
     "data_offsets is not a pair of non-negative integers"},
    {"6 dtypes", RIGHT, A("\"dtype\":\"f32\",\"shape\":[1],\"data_offsets\":[0,4]"), 4, "unknown dtype \"f32\""},
    {"6 unknown members", RIGHT, A("\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1],\"x\":[]"), 1, NULL},
    {"7 hole at the start", RIGHT, "{" U8("a", 4, 8) "}", 8, "begins at byte 4 of the data, expected 0"},
    {"7 hole", RIGHT, "{" U8("a", 0, 4) "," U8("b", 5, 9) "}", 9, "bytes before it belong to no tensor"},
    {"7 overlap", RIGHT, "{" U8("a", 0, 4) "," U8("b", 3, 7) "}", 7, "it overlaps another tensor"},
    {"7 aliasing", RIGHT, "{" U8("k_proj", 0, 4) "," U8("v_proj", 0, 4) "}", 4, "it overlaps another tensor"},
    {"7 end before begin", RIGHT, A("\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,0]"), 1,
     "data_offsets end at 0, before they begin at 1"},
    {"7 any order", RIGHT, "{" U8("b", 4, 8) "," U8("a", 0, 4) "}", 8, NULL},
    {"8 elements overflow", RIGHT, A("\"dtype\":\"U8\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]"), 0,
     "shape has more elements than can be counted"},
    {"8 bytes overflow", RIGHT, A("\"dtype\":\"I32\",\"shape\":[2,9223372036854775807],\"data_offsets\":[0,16]"), 16,
     "shape has more bytes than can be counted"},
    {"9 half a byte", RIGHT, A("\"dtype\":\"F4\",\"shape\":[3],\"data_offsets\":[0,2]"), 2,
     "3 elements of f4 do not fill whole bytes"},
    {"10 shape against offsets", RIGHT, A("\"dtype\":\"I32\",\"shape\":[2,2],\"data_offsets\":[0,4]"), 4,
     "4 elements of i32 take 16 bytes, but data_offsets hold 4"},
    {"11 bytes missing", RIGHT, "{" U8("a", 0, 4) "}", 2, "the data should have 4 bytes, but the file holds 2"},
    {"11 bytes too many", RIGHT, "{" U8("a", 0, 4) "}", 5, "1 bytes after the last tensor belong to none"},
    {"11 bytes too many", RIGHT, "{}", 5, "5 bytes after the last tensor belong to none"},

    {"own: blanks before the brace", RIGHT, " \t\r\n{}", 0, NULL},
    {"own: brace first", RIGHT, "[]", 0, "the header is not a JSON object"},
    {"own: names once", RIGHT, "{" U8("a", 0, 4) "," U8("a", 4, 8) "}", 8, "duplicate"},
    {"own: names once, unescaped", RIGHT, "{" U8("a", 0, 4) "," U8("\\u0061", 4, 8) "}", 8, "duplicate"},
    {"own: members once", RIGHT, A("\"dtype\":\"U8\",\"dtype\":\"I8\",\"shape\":[1],\"data_offsets\":[0,1]"), 1,
     "duplicate"},
    {"own: metadata once", RIGHT, "{\"__metadata__\":{},\"__metadata__\":{}}", 0, "duplicate"},
    {"own: entries are objects", RIGHT, "{\"a\":[\"U8\",[1],[0,1]]}", 1, "tensor \"a\": the entry is not an object"},
    {"own: names not empty", RIGHT, "{" U8("", 0, 4) "}", 4, "a tensor has an empty name"},
    {"own: no NUL in names", RIGHT, "{" U8("a\\u0000b", 0, 4) "}", 4, "NUL"},
    {"own: names are escaped", RIGHT, "{" U8("\\u001b[2J", 1, 5) "}", 5, "tensor \"\\x1B[2J\" begins at byte 1"},
    {"own: six dimensions", RIGHT, A("\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1,1],\"data_offsets\":[0,1]"), 1,
     "7 dimensions (at most 6)"},
    {"own: no alignment asked for", RIGHT, "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}  ", 4, NULL},
};

static void test_rules(void **state)
{
    (void)state;
    int bad = 0;
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        strbuf b = {0};
        put_safetensors(&b, rules[i].header, rules[i].n_data);
        if (rules[i].length != RIGHT)
            memcpy(b.s, &rules[i].length, 8);
        opened o = open_bytes(b.s, b.len, "x.safetensors");
        const char *want = rules[i].message;
        if (want ? o.c || o.e.code != ERR_INPUT || !strstr(o.e.msg, want) || !o.e.hint[0] : !o.c) {
            fprintf(stderr, "%s: %s: wanted \"%s\", got \"%s\"\n", rules[i].rule, rules[i].header,
                    want ? want : "(to open)", o.c ? "(opened)" : o.e.msg);
            bad++;
        }
        if (o.c)
            touch_all(o.c);
        close_bytes(&o);
        strbuf_free(&b);
    }
    assert_int_equal(bad, 0);
}

/* Rule 1: fewer bytes than the length field has. */
static void test_too_small(void **state)
{
    (void)state;
    for (size_t n = 0; n < 8; n++) {
        char text[64];
        opened o = open_bytes("\2\0\0\0\0\0\0\0{}", n, "x.safetensors");
        assert_null(o.c);
        snprintf(text, sizeof text, n ? "%zu bytes are too few for a safetensors header" : "the file is empty", n);
        assert_non_null(strstr(o.e.msg, text));
        close_bytes(&o);
    }
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_too_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
