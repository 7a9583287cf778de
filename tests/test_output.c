/* cli: result tables as text, widths of characters, the progress line. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "cli/output.h"
#include "cli/pager.h"
#include "cli/progress_bar.h"
#include "base/text_width.h"

static const output_style plain = {.utf8 = true};

/* A table from a description of its cells: "i" int, "r" real, "t" text, "-" NULL. */
static table *make(int n_col, const char *const *columns, const char *kinds, ...)
{
    table *t;
    va_list ap;
    assert_int_equal(table_new(&t, n_col, columns, NULL), 0);
    va_start(ap, kinds);
    for (int i = 0; kinds[i]; i++) {
        static cell *row;
        if (i % n_col == 0)
            row = table_row(t, NULL);
        cell *c = &row[i % n_col];
        if (kinds[i] == 'i')
            *c = cell_int(va_arg(ap, int));
        else if (kinds[i] == 'r')
            *c = cell_real(va_arg(ap, double));
        else if (kinds[i] == 't') {
            const char *s = va_arg(ap, const char *);
            assert_int_equal(table_text(t, c, s, strlen(s), NULL), 0);
        }
    }
    va_end(ap);
    return t;
}

static char text[1 << 16];

static const char *written(table *t, output_format format, const output_style *style)
{
    err e = {0};
    FILE *f = fmemopen(text, sizeof text, "w");
    assert_non_null(f);
    assert_int_equal(output_table(f, t, format, "attnscope.test/1", style, &e), 0);
    fclose(f);
    table_free(t);
    return text;
}

static const char *const four[] = {"head", "layer", "score", "note"};

static table *sample(void)
{
    table *t = make(4, four, "tirttir-", "L0H6", 0, 0.67411, "first", "L3H10", 12, 0.0123456);
    assert_int_equal(table_set_unit(t, 2, "nats", NULL), 0);
    return t;
}

static void aligned(void **state)
{
    (void)state;
    assert_string_equal(written(sample(), FORMAT_TABLE, &plain),
                        "head   layer  score [nats]  note\n"
                        "L0H6       0        0.6741  first\n"
                        "L3H10     12        0.0123  -\n");
}

static void aligned_numbers(void **state)
{
    (void)state;
    static const char *const one[] = {"x"};
    /* one scale: as many decimals as give the largest number four digits */
    assert_string_equal(written(make(1, one, "rrr", 1.0, 23.456, -0.5), FORMAT_TABLE, &plain),
                        "    x\n 1.00\n23.46\n-0.50\n");
    /* but none that are zero in all rows */
    assert_string_equal(written(make(1, one, "rrr", 0.04, 0.5, -0.25), FORMAT_TABLE, &plain),
                        "    x\n 0.04\n 0.50\n-0.25\n");
    assert_string_equal(written(make(1, one, "rr", 0.5, 0.1), FORMAT_TABLE, &plain), "  x\n0.5\n0.1\n");
    /* too far apart for that: four digits each, points in line */
    assert_string_equal(written(make(1, one, "rrrr", 0.91234, 0.0001234567, 0.0, 123.45678), FORMAT_TABLE,
                                &plain),
                        "          x\n  0.9123\n  0.0001235\n  0\n123.5\n");
    assert_string_equal(written(make(1, one, "rr", 1e-9, 5e12 + 0.5), FORMAT_TABLE, &plain),
                        "        x\n1.000e-09\n5.000e+12\n");
    assert_string_equal(written(make(1, one, "rr", 3.0, 1234567.0), FORMAT_TABLE, &plain),
                        "      x\n      3\n1234567\n");
    assert_string_equal(written(make(1, one, "r-", 9.9996), FORMAT_TABLE, &plain), "    x\n10.00\n    -\n");
}

static void aligned_text(void **state)
{
    (void)state;
    static const char *const two[] = {"token", "n"};
    /* control characters never reach the terminal; wide characters take two columns, marks none */
    assert_string_equal(written(make(2, two, "titititi", "a\tb\x1b[31m\n", 1, "\xe6\xbc\xa2\xe5\xad\x97", 2,
                                     "e\xcc\x81", 3, "\xff", 4), FORMAT_TABLE, &plain),
                        "token           n\n"
                        "a\\tb\\x1B[31m\\n  1\n"
                        "\xe6\xbc\xa2\xe5\xad\x97            2\n"
                        "e\xcc\x81               3\n"
                        "\\xFF            4\n");
    assert_string_equal(written(make(1, two, ""), FORMAT_TABLE, &plain), "token\n");
    output_style colour = {.colour = true, .utf8 = true};
    assert_string_equal(written(make(2, two, "ti", "x", 1), FORMAT_TABLE, &colour),
                        "\033[1;4mtoken\033[0m  \033[1;4mn\033[0m\nx      1\n");
}

static void aligned_narrow(void **state)
{
    (void)state;
    static const char *const three[] = {"name", "n", "description"};
    output_style narrow = {.width = 30, .utf8 = true};
    /* words go on in further lines, three at most */
    assert_string_equal(written(make(3, three, "titt", "short", 7, "a text that is longer than that", "x"),
                                FORMAT_TABLE, &narrow),
                        "name   n  description\n"
                        "short  7  a text that is\n"
                        "          longer than that\n"
                        "x      -  -\n");
    narrow.width = 22;
    assert_string_equal(written(make(3, three, "tittit", "a", 7, "one two three four five six seven eight nine ten", "b", 8,
                                     ""), FORMAT_TABLE, &narrow),
                        "name  n  description\n"
                        "a     7  one two three\n"
                        "         four five six\n"
                        "         seven eight\xe2\x80\xa6\n"
                        "b     8\n");
    /* what has no blanks is cut in its middle, and never by more than a third */
    narrow.width = 28;
    narrow.utf8 = false;
    assert_string_equal(written(make(3, three, "tit", "a", 7, "model.layers.0.weight"), FORMAT_TABLE, &narrow),
                        "name  n  description\na     7  model.lay..0.weight\n");
    /* where even that does not fit: a line a column */
    narrow.width = 16;
    assert_string_equal(written(make(3, three, "tittit", "short", 1234567, "some text", "b", 2, ""),
                                FORMAT_TABLE, &narrow),
                        "name      short\nn         1234567\ndescri..  some\n          text\n"
                        "\n"
                        "name      b\nn         2\n");
}

/* n bytes: `unit` over and over, then `end`; free() it. */
static char *long_text(const char *unit, const char *end, size_t n)
{
    char *s = calloc(n + 1, 1);
    size_t m = strlen(unit), k = strlen(end), at = 0;
    assert_non_null(s);
    for (; at + m + k <= n; at += m)
        memcpy(s + at, unit, m);
    memcpy(s + at, end, k);
    return s;
}

/* Of a text that is much longer than the page nothing else is shown than of one that is a little longer. */
static void aligned_very_long(void **state)
{
    (void)state;
    static const char *const units[] = {"ab c ", "abc", "\xc3\xa5 b", "\xe4\xb8\xad", "\xf0\x9f\x98\x80", "\xf0\x9d\x94\xb8",
                                        "\001 "};
    static const char *const columns[] = {"n", "text", "note"};
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        for (int width = 20; width <= 120; width += 50) {
            const output_style style = {.width = width, .utf8 = true};
            char *few = long_text(units[i], "the end", 3000), *many = long_text(units[i], "the end", 400000);
            char *want = strdup(written(make(3, columns, "ittitt", 1, few, "a", 22, "short", "b"), FORMAT_TABLE, &style));
            assert_non_null(want);
            const char *got = written(make(3, columns, "ittitt", 1, many, "a", 22, "short", "b"), FORMAT_TABLE, &style);
            assert_string_equal(got, want);
            assert_true(strlen(got) < 4096);
            free(want);
            free(few);
            free(many);
        }
    }
}

static table *two_reals(void)
{
    static const char *const columns[] = {"mean", "sd"};
    table *t = make(2, columns, "rrrr", 0.123456, 12.3456, 0.5, 10.0);
    assert_int_equal(table_set_unit(t, 0, "nats", NULL), 0);
    return t;
}

/* On a narrow terminal the unit goes below the name, then digits go; in records they come back. */
static void aligned_digits(void **state)
{
    (void)state;
    output_style narrow = {.width = 18, .utf8 = true};
    assert_string_equal(written(two_reals(), FORMAT_TABLE, &narrow),
                        "mean [nats]     sd\n     0.1235  12.35\n     0.5000  10.00\n");
    narrow.width = 14;
    assert_string_equal(written(two_reals(), FORMAT_TABLE, &narrow),
                        "  mean     sd\n[nats]\n0.1235  12.35\n0.5000  10.00\n");
    narrow.width = 12;
    assert_string_equal(written(two_reals(), FORMAT_TABLE, &narrow),
                        "  mean    sd\n[nats]\n 0.123  12.3\n 0.500  10.0\n");
    narrow.width = 10;
    assert_string_equal(written(two_reals(), FORMAT_TABLE, &narrow),
                        "  mean  sd\n[nats]\n  0.12  12\n  0.50  10\n");
    narrow.width = 9;
    assert_string_equal(written(two_reals(), FORMAT_TABLE, &narrow),
                        "mean [n\xe2\x80\xa6  0.1235\nsd        12.35\n\nmean [n\xe2\x80\xa6  0.5000\nsd        10.00\n");
    /* a number that is shorter stays so */
    static const char *const one[] = {"x"};
    assert_string_equal(written(make(1, one, "rrr", 0.07, 10.164, 250.0), FORMAT_TABLE, &plain),
                        "     x\n  0.07\n 10.16\n250\n");
}

static void spoken(void **state)
{
    (void)state;
    output_style style = {.width = 10, .plain = true, .colour = false};
    assert_string_equal(written(sample(), FORMAT_TABLE, &style),
                        "head: L0H6\nlayer: 0\nscore [nats]: 0.6741\nnote: first\n"
                        "\n"
                        "head: L3H10\nlayer: 12\nscore [nats]: 0.0123\n");
    assert_string_equal(written(make(4, four, ""), FORMAT_TABLE, &style), "head  layer  score  note\n");
    assert_string_equal(written(make(1, four, "t", "x"), FORMAT_CSV, &style), "head\nx\n");

    char line[128];
    progress_words(line, sizeof line, "layer", 16, 32, 7);
    assert_string_equal(line, "layer: 50 percent, 7 seconds left");
    progress_words(line, sizeof line, "hashing", 1, 100, 100);
    assert_string_equal(line, "hashing: 1 percent, 2 hours 45 minutes left");
    progress_words(line, sizeof line, "layer", 31, 32, 31);
    assert_string_equal(line, "layer: 96 percent, 1 second left");
    progress_words(line, sizeof line, "layer", 0, 32, 61);
    assert_string_equal(line, "layer: 0 percent after 1 minute");
    progress_words(line, sizeof line, "rows", 1234, 0, 5);
    assert_string_equal(line, "rows: 1234 after 5 seconds");
}

static void rows_on_screen(void **state)
{
    (void)state;
    assert_int_equal(pager_rows("", 0, 80), 0);
    assert_int_equal(pager_rows("a\nb\n", 4, 80), 2);
    assert_int_equal(pager_rows("a\n\nb", 4, 80), 3);
    assert_int_equal(pager_rows("12345678\n", 9, 4), 2);
    assert_int_equal(pager_rows("123456789\n", 10, 4), 3);
    assert_int_equal(pager_rows("\033[1;4m1234\033[0m\n", 15, 4), 1);
    assert_int_equal(pager_rows("\xe6\xbc\xa2\xe5\xad\x97\n", 7, 4), 1);
    assert_int_equal(pager_rows("\xe6\xbc\xa2\xe5\xad\x97\n", 7, 3), 2);
}

static void csv(void **state)
{
    (void)state;
    assert_string_equal(written(sample(), FORMAT_CSV, &plain),
                        "head,layer,score,note\nL0H6,0,0.67411,first\nL3H10,12,0.0123456,\n");
    static const char *const one[] = {"a,b"};
    assert_string_equal(written(make(1, one, "tttt", "say \"x\"", "", "two\nlines", " blank"), FORMAT_CSV,
                                &plain),
                        "\"a,b\"\n\"say \"\"x\"\"\"\n\"\"\n\"two\nlines\"\n\" blank\"\n");
    output_style terminal = {.terminal = true};
    assert_string_equal(written(make(1, four, "t", "\x1b]0;x\x07"), FORMAT_CSV, &terminal),
                        "head\n\\x1B]0;x\\x07\n");
}

static void tsv(void **state)
{
    (void)state;
    assert_string_equal(written(sample(), FORMAT_TSV, &plain),
                        "head\tlayer\tscore\tnote\nL0H6\t0\t0.67411\tfirst\nL3H10\t12\t0.0123456\t\n");
    assert_string_equal(written(make(1, four, "t", "a\tb\nc\\d\re"), FORMAT_TSV, &plain),
                        "head\na\\tb\\nc\\\\d\\re\n");
}

/* Every number reads back as the same double, every text as the same bytes. */
static void json_lines(void **state)
{
    (void)state;
    assert_string_equal(written(sample(), FORMAT_JSON, &plain),
                        "{\"schema\":\"attnscope.test/1\",\"head\":\"L0H6\",\"layer\":0,\"score\":0.67411,"
                        "\"note\":\"first\"}\n"
                        "{\"schema\":\"attnscope.test/1\",\"head\":\"L3H10\",\"layer\":12,"
                        "\"score\":0.0123456,\"note\":null}\n");
    static const double numbers[] = {0.1, 1.0 / 3, 1e-300, 6.02214076e23, -0.0078125,
                                     123456789.123456789, 4.9e-324};
    static const char odd[] = "quote \" back \\ tab \t bell \a \xe6\xbc\xa2";
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        json *root;
        double back;
        const char *line = written(make(2, four, "tr", odd, numbers[i]), FORMAT_JSON, &plain);
        assert_int_equal(json_parse(&root, line, strlen(line), "line", NULL), 0);
        assert_true(json_real(&back, json_get(root, "layer")));
        assert_true(back == numbers[i]);
        assert_string_equal(json_str(json_get(root, "head"), NULL), odd);
        json_free(root);
    }
}

static void full_disk(void **state)
{
    (void)state;
    for (output_format f = FORMAT_TABLE; f <= FORMAT_JSON; f++) {
        FILE *full = fopen("/dev/full", "w");
        if (!full)
            skip();
        setvbuf(full, NULL, _IONBF, 0);
        err e = {0};
        table *t = sample();
        assert_int_equal(output_table(full, t, f, "s", &plain, &e), ERR_RESOURCE);
        assert_string_equal(e.msg, "cannot write output: no space left on device");
        table_free(t);
        fclose(full);
    }
}

static void out_of_memory(void **state)
{
    (void)state;
    for (output_format format = FORMAT_TABLE; format <= FORMAT_JSON; format++) {
        int failures = 0, rc = 1;
        for (long nth = 1; rc; nth++) {
            err e = {0};
            table *t = sample();
            FILE *f = fmemopen(text, sizeof text, "w");
            assert_non_null(f);
            mem_fail_at(nth);
            rc = output_table(f, t, format, "s", &plain, &e);
            mem_fail_at(0);
            assert_true(rc == 0 || rc == ERR_RESOURCE);
            failures += rc != 0;
            fclose(f);
            table_free(t);
        }
        assert_true(failures > 0);
    }
}

static void widths(void **state)
{
    (void)state;
    assert_int_equal(codepoint_columns('a'), 1);
    assert_int_equal(codepoint_columns(0xE9), 1);
    assert_int_equal(codepoint_columns(0x301), 0);
    assert_int_equal(codepoint_columns(0x4E2D), 2);
    assert_int_equal(codepoint_columns(0xAC00), 2);
    assert_int_equal(codepoint_columns(0xFF21), 2);
    assert_int_equal(codepoint_columns(0x1F600), 2);
    assert_int_equal(codepoint_columns(0x200B), 0);
    assert_int_equal(codepoint_columns(0x2026), 1);
    assert_int_equal(text_columns("a\xe4\xb8\xad\xcc\x81\xff", 7), 4);
    assert_int_equal(text_fit("a\xe4\xb8\xad\xe4\xb8\xad", 7, 4), 4);
    assert_int_equal(text_fit("abc", 3, 9), 3);
    assert_int_equal(text_fit("abc", 3, 0), 0);
}

static void progress_line(void **state)
{
    (void)state;
    char line[128];
    progress_bar_text(line, sizeof line, "layer", 0, 32, 1, 79);
    assert_string_equal(line, "layer [>                             ]   0 %");
    progress_bar_text(line, sizeof line, "layer", 16, 32, 7, 79);
    assert_string_equal(line, "layer [===============>              ]  50 %  0:07 left");
    progress_bar_text(line, sizeof line, "hashing", 1, 100, 100, 79);
    assert_string_equal(line, "hashing [>                             ]   1 %  2:45:00 left");
    progress_bar_text(line, sizeof line, "layer", 16, 32, 7, 34);
    assert_string_equal(line, "layer [====>   ]  50 %  0:07 left");
    progress_bar_text(line, sizeof line, "layer", 16, 32, 7, 30);
    assert_string_equal(line, "layer  50 %  0:07 left");
    progress_bar_text(line, sizeof line, "layer", 16, 32, 7, 12);
    assert_string_equal(line, "layer  50 % ");
    progress_bar_text(line, sizeof line, "rows", 1234, 0, 61, 79);
    assert_string_equal(line, "rows  1234  1:01");
    for (int columns = 0; columns < 80; columns++) {
        progress_bar_text(line, sizeof line, "step", columns, 79, 3, columns);
        assert_true((int)strlen(line) <= columns);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(aligned),      cmocka_unit_test(aligned_numbers), cmocka_unit_test(aligned_text),
        cmocka_unit_test(aligned_narrow), cmocka_unit_test(csv),           cmocka_unit_test(tsv),
        cmocka_unit_test(json_lines),   cmocka_unit_test(full_disk),
        cmocka_unit_test(out_of_memory),       cmocka_unit_test(widths),
        cmocka_unit_test(progress_line),       cmocka_unit_test(aligned_digits), cmocka_unit_test(spoken),
        cmocka_unit_test(rows_on_screen),      cmocka_unit_test(aligned_very_long),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("output", tests, NULL, NULL);
}
