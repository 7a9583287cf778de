/* base: JSON. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "tests/test_base_folder.h"

static json *parsed(const char *text)
{
    json *root;
    err e = {0};
    if (json_parse(&root, text, strlen(text), "test.json", &e))
        fail_msg("%s", e.msg);
    return root;
}

static void json_values(void **state)
{
    (void)state;
    json *root = parsed("\xef\xbb\xbf{\"i\": -9007199254740993, \"r\": 0.25, \"whole\": 2.0, \"t\": true,"
                        " \"n\": null, \"s\": \"a\\u0000b\\u00e9\", \"list\": [1, [2], {}],"
                        " \"map\": {\"k\": 1}}");
    int64_t i = 7;
    double r = 7;
    bool b = false;
    size_t n = 0;

    assert_int_equal(json_kind_of(root), JSON_MAP);
    assert_int_equal(json_count(root), 8);
    assert_true(json_int(&i, json_get(root, "i")) && i == -9007199254740993);
    assert_true(json_real(&r, json_get(root, "i")) && r == -9007199254740992.0);
    assert_true(json_real(&r, json_get(root, "r")) && r == 0.25);
    assert_false(json_int(&i, json_get(root, "whole"))); /* written as a real number */
    assert_true(json_bool(&b, json_get(root, "t")) && b);
    assert_int_equal(json_kind_of(json_get(root, "n")), JSON_NULL_);
    assert_memory_equal(json_str(json_get(root, "s"), &n), "a\0b\xc3\xa9", 6);
    assert_int_equal(n, 5);
    assert_non_null(json_str(json_get(root, "s"), NULL));
    const json *list = json_get(root, "list");
    assert_int_equal(json_kind_of(list), JSON_LIST);
    assert_int_equal(json_count(list), 3);
    assert_true(json_int(&i, json_at(list, 0)) && i == 1);
    assert_int_equal(json_kind_of(json_at(json_at(list, 1), 0)), JSON_INT);
    assert_int_equal(json_count(json_at(list, 2)), 0);
    assert_null(json_at(list, 3));
    assert_true(json_int(&i, json_get(json_get(root, "map"), "k")));

    /* absent and wrong types answer the same */
    assert_null(json_get(root, "absent"));
    assert_null(json_get(list, "x"));
    assert_null(json_get(NULL, "x"));
    assert_null(json_at(root, 0));
    assert_null(json_at(NULL, 0));
    assert_int_equal(json_count(NULL), 0);
    assert_int_equal(json_count(json_get(root, "i")), 0);
    assert_int_equal(json_kind_of(NULL), JSON_ABSENT);
    assert_null(json_str(root, NULL));
    assert_null(json_str(NULL, NULL));
    i = 7;
    r = 7;
    assert_false(json_int(&i, NULL) || json_int(&i, root) || json_int(&i, json_get(root, "s")));
    assert_false(json_real(&r, NULL) || json_real(&r, json_get(root, "s")));
    assert_false(json_real(&r, json_get(root, "t")));
    assert_false(json_bool(&b, NULL) || json_bool(&b, json_get(root, "i")));
    assert_true(i == 7 && r == 7);
    json_free(root);
    json_free(NULL);
}

static void json_order(void **state)
{
    (void)state;
    strbuf text = {0};
    void *it = NULL;
    const char *key;
    const json *value;
    int n = 0;

    strbuf_putc(&text, '{');
    for (int i = 0; i < 1000; i++)
        strbuf_printf(&text, "%s\"key %d\": %d", i ? "," : "", i * 7919 % 1000, i);
    strbuf_putc(&text, '}');
    json *root = parsed(strbuf_str(&text));
    while (json_each(root, &it, &key, &value)) {
        char expected[32];
        int64_t v;
        snprintf(expected, sizeof expected, "key %d", n * 7919 % 1000);
        assert_string_equal(key, expected);
        assert_true(json_int(&v, value) && v == n);
        n++;
    }
    assert_int_equal(n, 1000);
    it = NULL;
    assert_false(json_each(json_get(root, "key 1"), &it, &key, &value));
    it = NULL;
    assert_false(json_each(NULL, &it, &key, &value));
    json_free(root);
    strbuf_free(&text);
}

static void json_refusals(void **state)
{
    (void)state;
    static const struct { const char *text, *line, *reason; } cases[] = {
        {"", "line 1", "expected"},
        {"{\"a\": 1,\n \"b\": 2,\n \"a\": 3}", "line 3", "duplicate object key"},
        {"{\"a\": 1", "line 1", ""},
        {"[1, 2,]", "line 1", ""},
        {"{\"a\": 1e999}", "line 1", "real number overflow"},
        {"{\"a\": 99999999999999999999}", "line 1", "too big integer"},
        {"{\"a\": NaN}", "line 1", ""},
        {"17", "line 1", "'[' or '{' expected"},
        {"{\"a\": \"\xff\"}", "line 1", "unable to decode byte 0xff"},
        {"{\"a\": \"\xed\xa0\x80\"}", "line 1", "unable to decode"},
        {"{\"a\": \"\\ud800\"}", "line 1", ""},
        {"{} {}", "line 1", "end of file expected"},
        {"{\"a\\u0000b\": 1}", "line 1", "NUL byte in object key"},
        {"[\"line\n\"]", "line 1", "unexpected newline"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        err e = {0};
        json *root = NULL;
        assert_int_equal(json_parse(&root, cases[i].text, strlen(cases[i].text), "some.json", &e), ERR_INPUT);
        assert_null(root);
        assert_memory_equal(e.msg, "some.json: ", 11);
        if (!strstr(e.msg, cases[i].line) || !strstr(e.msg, cases[i].reason))
            fail_msg("'%s' gave '%s'", cases[i].text, e.msg);
        assert_true(e.hint[0] != 0);
    }
}

static void json_depth(void **state)
{
    (void)state;
    enum { DEEP = 200000 };
    char *text = malloc(2 * DEEP);
    json *root;
    err e = {0};

    memset(text, '[', DEEP);
    memset(text + DEEP, ']', DEEP);
    assert_int_equal(json_parse(&root, text, 2 * DEEP, "deep", &e), ERR_INPUT);
    assert_non_null(strstr(e.msg, "depth"));
    memset(text + 1000, ']', 1000);
    assert_int_equal(json_parse(&root, text, 2000, "deep", &e), 0);
    json_free(root);
    free(text);
}

static void json_files(void **state)
{
    (void)state;
    json *root;
    err e = {0};
    const char *path = in_folder("config.json");

    write_bytes(path, "{\"a\": [1]}", 10);
    assert_int_equal(json_load(&root, path, 10, &e), 0);
    assert_int_equal(json_count(json_get(root, "a")), 1);
    json_free(root);
    assert_int_equal(json_load(&root, path, 9, &e), ERR_INPUT);
    assert_non_null(strstr(e.msg, "larger than 9 bytes"));
    write_bytes(path, "{\n\n!", 4);
    assert_int_equal(json_load(&root, path, 100, &e), ERR_INPUT);
    assert_non_null(strstr(e.msg, "config.json: line 3: "));
    write_bytes(path, "", 0);
    assert_int_equal(json_load(&root, path, 100, &e), ERR_INPUT);
    assert_int_equal(json_load(&root, in_folder("none.json"), 100, &e), ERR_INPUT);
    assert_int_equal(mkfifo(in_folder("fifo"), 0666), 0);
    assert_int_equal(json_load(&root, in_folder("fifo"), 100, &e), ERR_INPUT);
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_values),
        cmocka_unit_test(json_order),
        cmocka_unit_test(json_refusals),
        cmocka_unit_test(json_depth),
        FILE_TEST(json_files),
    };
    return cmocka_run_group_tests_name("base json", tests, NULL, NULL);
}
