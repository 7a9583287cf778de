/* base: strings, numbers as text, UTF-8. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/param.h"
#include "base/strbuf.h"

/* --- strings --- */

static void string_building(void **state)
{
    (void)state;
    strbuf b = {0};
    err e = {0};

    assert_string_equal(strbuf_str(&b), "");
    for (int i = 0; i < 1000; i++)
        strbuf_printf(&b, "%d,", i);
    assert_int_equal(b.len, 10 * 2 + 90 * 3 + 900 * 4);
    assert_memory_equal(b.s + b.len - 8, "998,999,", 9);
    strbuf_clear(&b);
    assert_string_equal(strbuf_str(&b), "");
    strbuf_putc(&b, '\0');
    strbuf_add(&b, "xy", 2);
    assert_int_equal(b.len, 3);
    assert_memory_equal(b.s, "\0xy", 4);
    strbuf_clear(&b);
    char long_text[1000];
    memset(long_text, 'q', sizeof long_text);
    strbuf_printf(&b, "%.*s", 1000, long_text); /* longer than the room that is there */
    assert_int_equal(b.len, 1000);
    char *s = strbuf_take(&b, &e);
    assert_int_equal(strlen(s), 1000);
    assert_null(b.s);
    free(s);
    s = strbuf_take(&b, &e);
    assert_string_equal(s, "");
    free(s);
    strbuf_free(&b);
}

#define CHECK_TEXT(call, expected)                  \
    do {                                            \
        strbuf b = {0};                             \
        call;                                       \
        assert_string_equal(strbuf_str(&b), expected); \
        strbuf_free(&b);                            \
    } while (0)

static void escaping(void **state)
{
    (void)state;
    CHECK_TEXT(strbuf_put_json(&b, "a\"b\\c/\b\f\n\r\t\x01", 12), "\"a\\\"b\\\\c/\\b\\f\\n\\r\\t\\u0001\"");
    CHECK_TEXT(strbuf_put_json(&b, "\0", 1), "\"\\u0000\"");
    CHECK_TEXT(strbuf_put_json(&b, "\xc3\xa9\xff\xf0\x9f\x98\x80\xe2\x82", 9),
               "\"\xc3\xa9\xef\xbf\xbd\xf0\x9f\x98\x80\xef\xbf\xbd\xef\xbf\xbd\"");
    CHECK_TEXT(strbuf_put_json(&b, "\x7f\xc2\x85", 3), "\"\\u007f\\u0085\"");
    CHECK_TEXT(strbuf_put_json(&b, "", 0), "\"\"");

    CHECK_TEXT(strbuf_put_visible(&b, "a\nb\tc\x1b\xff\xc3\xa9\0z", 11), "a\\nb\\tc\\x1B\\xFF\xc3\xa9\\x00z");

    CHECK_TEXT(strbuf_put_quoted(&b, "models/a-1.gguf"), "models/a-1.gguf");
    CHECK_TEXT(strbuf_put_quoted(&b, "d\xc3\xa9j\xc3\xa0"), "d\xc3\xa9j\xc3\xa0");
    CHECK_TEXT(strbuf_put_quoted(&b, ""), "''");
    CHECK_TEXT(strbuf_put_quoted(&b, "two words"), "'two words'");
    CHECK_TEXT(strbuf_put_quoted(&b, "back\\slash \"x\""), "'back\\slash \"x\"'");
    CHECK_TEXT(strbuf_put_quoted(&b, "@file"), "'@file'");
    CHECK_TEXT(strbuf_put_quoted(&b, "a;b#c"), "'a;b#c'");
    CHECK_TEXT(strbuf_put_quoted(&b, "it's \"so\"\n\x1b\\"), "\"it's \\\"so\\\"\\n\\x1B\\\\\"");
}

static void shortest_numbers(void **state)
{
    (void)state;
    static const struct { double v; const char *text; } cases[] = {
        {0, "0"}, {-0.0, "-0"}, {1, "1"}, {-17, "-17"}, {0.5, "0.5"}, {0.1, "0.1"}, {1e-7, "1e-07"},
        {1.0 / 3, "0.3333333333333333"}, {0.1 + 0.2, "0.30000000000000004"},
        {123456789012345, "123456789012345"},
        {1e22, "1e+22"}, {5e-324, "5e-324"}, {DBL_MAX, "1.7976931348623157e+308"},
        {2.2250738585072014e-308, "2.2250738585072014e-308"}, {(double)0.1f, "0.10000000149011612"},
        {9007199254740993.0, "9007199254740992"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        CHECK_TEXT(strbuf_put_real(&b, cases[i].v), cases[i].text);
    CHECK_TEXT(strbuf_put_real(&b, NAN), "null");
    CHECK_TEXT(strbuf_put_real(&b, INFINITY), "null");
    CHECK_TEXT(strbuf_put_real(&b, -INFINITY), "null");

    uint64_t x = 88172645463325252u; /* xorshift: bit patterns of every exponent read back exactly */
    for (int i = 0; i < 20000; i++) {
        double v, back;
        strbuf b = {0};
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        memcpy(&v, &x, 8);
        if (!isfinite(v))
            continue;
        strbuf_put_real(&b, v);
        assert_true(parse_real(&back, strbuf_str(&b)));
        assert_memory_equal(&v, &back, 8);
        strbuf_free(&b);
    }
}

static void decimal_comma(void **state)
{
    (void)state;
    double v;
    static const char *const names[] = {"de_DE.UTF-8", "de_DE", "fr_FR.UTF-8", "fr_FR", NULL};
    const char *const *name = names;

    while (*name && !setlocale(LC_NUMERIC, *name))
        name++;
    if (!*name) {
        print_message("no locale with a decimal comma here\n");
        skip();
    }
    strbuf b = {0};
    strbuf_put_real(&b, 2.5);
    bool read = parse_real(&v, "2.5");
    setlocale(LC_NUMERIC, "C");
    assert_string_equal(strbuf_str(&b), "2.5");
    assert_true(read && v == 2.5);
    strbuf_free(&b);
}

/* --- UTF-8 --- */

/* The table of well-formed sequences (Unicode 15, table 3-7), written out as ranges per byte. */
static int well_formed(const unsigned char *s, size_t n)
{
    static const unsigned char rows[][9] = {
        {2, 0xc2, 0xdf, 0x80, 0xbf},
        {3, 0xe0, 0xe0, 0xa0, 0xbf, 0x80, 0xbf},
        {3, 0xe1, 0xec, 0x80, 0xbf, 0x80, 0xbf},
        {3, 0xed, 0xed, 0x80, 0x9f, 0x80, 0xbf},
        {3, 0xee, 0xef, 0x80, 0xbf, 0x80, 0xbf},
        {4, 0xf0, 0xf0, 0x90, 0xbf, 0x80, 0xbf, 0x80, 0xbf},
        {4, 0xf1, 0xf3, 0x80, 0xbf, 0x80, 0xbf, 0x80, 0xbf},
        {4, 0xf4, 0xf4, 0x80, 0x8f, 0x80, 0xbf, 0x80, 0xbf},
    };

    if (n > 0 && s[0] < 0x80)
        return 1;
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        size_t len = rows[r][0], k = 0;
        while (k < len && k < n && s[k] >= rows[r][1 + 2 * k] && s[k] <= rows[r][2 + 2 * k])
            k++;
        if (k == len)
            return (int)len;
    }
    return 0;
}

static void utf8_table(void **state)
{
    (void)state;
    static const unsigned char edges[] = {0, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xff};
    unsigned char s[4];

    for (unsigned a = 0; a < 256; a++) {
        for (unsigned b = 0; b < 256; b++) {
            for (size_t c = 0; c < sizeof edges; c++) {
                for (size_t d = 0; d < sizeof edges; d++) {
                    s[0] = (unsigned char)a;
                    s[1] = (unsigned char)b;
                    s[2] = edges[c];
                    s[3] = edges[d];
                    for (size_t n = 0; n <= 4; n++) {
                        int got = utf8_next(NULL, (const char *)s, n), want = well_formed(s, n);
                        if (got != want)
                            fail_msg("%02x %02x %02x %02x of %zu: %d, not %d", a, b, s[2], s[3], n, got,
                                     want);
                    }
                }
            }
        }
    }
}

static void utf8_round_trip(void **state)
{
    (void)state;
    strbuf b = {0};

    for (uint32_t c = 0; c <= 0x110000; c++) {
        uint32_t back = 0;
        bool scalar = c <= 0x10ffff && !(c >= 0xd800 && c <= 0xdfff);
        strbuf_clear(&b);
        strbuf_put_utf8(&b, c);
        int n = utf8_next(&back, b.s, b.len);
        if ((size_t)n != b.len || back != (scalar ? c : 0xfffd))
            fail_msg("U+%04X came back as U+%04X", c, back);
    }
    strbuf_free(&b);
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(string_building),
        cmocka_unit_test(escaping),
        cmocka_unit_test(shortest_numbers),
        cmocka_unit_test(decimal_comma),
        cmocka_unit_test(utf8_table),
        cmocka_unit_test(utf8_round_trip),
    };
    return cmocka_run_group_tests_name("base text", tests, NULL, NULL);
}
