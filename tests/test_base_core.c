/* base: errors, memory, parameters, tables, head names. */
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

#include "base/cancel.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/param.h"
#include "base/result.h"
#include "base/strbuf.h"
#include "base/table.h"

/* --- err --- */

static void err_basic(void **state)
{
    (void)state;
    err e = {0};

    assert_int_equal(err_set(&e, ERR_INPUT, "layer %d", 40), ERR_INPUT);
    assert_int_equal(e.code, ERR_INPUT);
    assert_string_equal(e.msg, "layer 40");
    assert_int_equal(err_hint(&e, "use %s", "less"), ERR_INPUT);
    assert_string_equal(e.hint, "use less");
    assert_int_equal(err_prefix(&e, "file %d", 7), ERR_INPUT);
    assert_string_equal(e.msg, "file 7: layer 40");
    assert_string_equal(e.hint, "use less");
    assert_int_equal(err_set(&e, ERR_USAGE, "again: %s", e.msg), ERR_USAGE); /* its own text as argument */
    assert_string_equal(e.msg, "again: file 7: layer 40");
    assert_string_equal(e.hint, "");
    assert_int_equal(err_nomem(&e, "scores"), ERR_RESOURCE);
    assert_string_equal(e.msg, "out of memory (scores)");
}

static void err_without_struct(void **state)
{
    (void)state;
    assert_int_equal(err_set(NULL, ERR_INPUT, "x"), ERR_INPUT);
    assert_int_equal(err_hint(NULL, "y"), ERR_INPUT); /* `return err_hint(...)` must not become success */
    assert_int_equal(err_prefix(NULL, "z"), ERR_INPUT);
    assert_int_equal(err_nomem(NULL, "x"), ERR_RESOURCE);
    assert_int_equal(err_prefix(NULL, "z"), ERR_RESOURCE);
}

static void err_is_safe_for_terminals(void **state)
{
    (void)state;
    err e = {0};

    err_set(&e, ERR_INPUT, "%s", "a\x1b[31m\n\t\x7f b\xc3\xa9 \xe2\x82\xac \xff \xc2\x9b end");
    assert_string_equal(e.msg,
                        "a\\x1B[31m\\x0A\\x09\\x7F b\xc3\xa9 \xe2\x82\xac \\xFF \\xC2\\x9B end");
}

/* Too long: the beginning and the end stay, cut between characters. */
static void err_too_long(void **state)
{
    (void)state;
    err e = {0};
    char text[6000];

    for (size_t shift = 0; shift < 3; shift++) {
        memset(text, 'x', shift);
        size_t end = shift;
        for (; end + 3 < sizeof text; end += 3)
            memcpy(text + end, "\xe2\x82\xac", 4);
        err_set(&e, ERR_INPUT, "%s: no such file", text);
        size_t n = strlen(e.msg);
        assert_in_range(n, 500, 511);
        assert_string_equal(e.msg + n - 15, "\xac: no such file");
        assert_non_null(strstr(e.msg, "\xac...\xe2"));
        for (size_t i = 0; i < n;) {
            int len = utf8_next(NULL, e.msg + i, n - i);
            assert_true(len > 0);
            i += (size_t)len;
        }
    }
    memset(text, '\n', sizeof text);
    text[sizeof text - 1] = '\0';
    err_set(&e, ERR_INPUT, "%s", text);
    assert_int_equal(strlen(e.msg), 63 * 4 + 3 + 63 * 4); /* whole escapes only */
    text[127] = '\0';
    err_set(&e, ERR_INPUT, "%s", text);
    assert_int_equal(strlen(e.msg), 127 * 4); /* just fits */
    err_set(&e, ERR_INPUT, "end of file");
    memset(text, 'p', sizeof text);
    text[5000] = '\0';
    err_prefix(&e, "%s", text);
    assert_in_range(strlen(e.msg), 500, 511);
    assert_non_null(strstr(e.msg, "ppp: end of file"));
    err_hint(&e, "%s", text);
    assert_in_range(strlen(e.hint), 250, 255);
}

/* --- mem --- */

static void sizes_are_checked(void **state)
{
    (void)state;
    size_t v = 77;

    assert_false(size_mul(&v, SIZE_MAX, 2));
    assert_false(size_mul(&v, (size_t)1 << 32, (size_t)1 << 32));
    assert_false(size_add(&v, SIZE_MAX, 1));
    assert_int_equal(v, 77);
    assert_true(size_mul(&v, SIZE_MAX / 2, 2));
    assert_true(v == SIZE_MAX - 1);
    assert_true(size_mul(&v, 0, SIZE_MAX));
    assert_int_equal(v, 0);
    assert_true(size_add(&v, SIZE_MAX - 1, 1));
    assert_true(v == SIZE_MAX);
}

static void arrays(void **state)
{
    (void)state;
    err e = {0};
    volatile size_t huge = (size_t)1 << 62; /* volatile: compilers warn about the very thing tested */
    unsigned char *p = mem_array(1000, 3, &e);

    assert_non_null(p);
    for (int i = 0; i < 3000; i++)
        assert_int_equal(p[i], 0);
    memset(p, 5, 3000);
    p = mem_grow(p, 2000, 3, &e);
    assert_non_null(p);
    assert_int_equal(p[2999], 5);
    assert_null(mem_grow(p, huge, 8, &e)); /* p stays valid */
    assert_int_equal(p[2999], 5);
    free(p);

    assert_null(mem_array(huge, 8, &e));
    assert_int_equal(e.code, ERR_RESOURCE);
    assert_null(mem_array(huge * 2, 1, &e)); /* above PTRDIFF_MAX */
    p = mem_array(0, 8, &e);
    assert_non_null(p);
    free(p);

    char *s = mem_strndup("abc\0def", 7, &e);
    assert_memory_equal(s, "abc\0def", 8);
    free(s);
    s = mem_strdup("", &e);
    assert_string_equal(s, "");
    free(s);
}

static void failure_on_demand(void **state)
{
    (void)state;
    err e = {0};
    strbuf b = {0};

    mem_fail_at(3);
    void *one = mem_array(1, 1, &e), *two = mem_large(100, &e);
    assert_non_null(one);
    assert_non_null(two);
    assert_null(mem_strdup("x", &e));
    assert_int_equal(e.code, ERR_RESOURCE);
    void *four = mem_array(1, 1, &e); /* only the third fails */
    assert_non_null(four);
    free(one);
    mem_free_large(two);
    free(four);

    mem_fail_at(1);
    strbuf_puts(&b, "lost");
    strbuf_puts(&b, "also lost");
    assert_true(b.failed);
    e.code = 0;
    assert_null(strbuf_take(&b, &e));
    assert_int_equal(e.code, ERR_RESOURCE);

    const char *names[] = {"a", "b"};
    for (long nth = 1;; nth++) { /* every allocation of a table fails once */
        table *t = NULL;
        mem_fail_at(nth);
        int rc = table_new(&t, 2, names, &e);
        cell *row = rc ? NULL : table_row(t, &e);
        if (row)
            rc = table_text(t, row, "text", 4, &e);
        mem_fail_at(0);
        if (rc == 0)
            table_free(t);
        if (row && rc == 0)
            break;
        assert_int_equal(e.code, ERR_RESOURCE);
        assert_true(nth < 20);
    }
}

static void large_buffers(void **state)
{
    (void)state;
    err e = {0};
    static const size_t sizes[] = {0, 1, 100, (2 << 20) - 1, 2 << 20, (5 << 20) + 3};

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        unsigned char *p = mem_large(sizes[i], &e);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 64, 0);
        if (sizes[i] >= 2 << 20)
            assert_int_equal((uintptr_t)p % (2 << 20), 0);
        memset(p, 1, sizes[i]);
        mem_free_large(p);
    }
    assert_null(mem_large(SIZE_MAX - 10, &e));
    assert_int_equal(e.code, ERR_RESOURCE);
    mem_free_large(NULL);
}

static void arenas(void **state)
{
    (void)state;
    arena a = {0};
    err e = {0};
    enum { N = 5000 };
    static unsigned char *block[N];
    static size_t size[N];
    uint32_t seed = 1;

    for (int i = 0; i < N; i++) {
        seed = seed * 1664525 + 1013904223;
        size[i] = i % 500 == 0 ? seed >> 13 : seed >> 24;
        block[i] = arena_alloc(&a, size[i], 1, &e);
        assert_non_null(block[i]);
        assert_int_equal((uintptr_t)block[i] % 16, 0);
        for (size_t k = 0; k < size[i]; k++)
            assert_int_equal(block[i][k], 0);
        memset(block[i], i & 255, size[i]);
    }
    for (int i = 0; i < N; i++) { /* nothing overlaps and nothing moved */
        for (size_t k = 0; k < size[i]; k++)
            assert_int_equal(block[i][k], i & 255);
    }
    assert_string_equal(arena_strdup(&a, "word", &e), "word");
    assert_memory_equal(arena_strndup(&a, "a\0b", 3, &e), "a\0b", 4);
    assert_null(arena_alloc(&a, SIZE_MAX / 2, 4, &e));
    assert_null(arena_alloc(&a, SIZE_MAX, 1, &e));
    assert_int_equal(e.code, ERR_RESOURCE);
    arena_free(&a);
    assert_null(a.head);
    assert_int_equal(a.total, 0);
    assert_non_null(arena_alloc(&a, 1, 1, &e)); /* usable again */
    arena_free(&a);
}

/* --- parameters --- */

static const char *const formats[] = {"table", "json", "csv", NULL};
static const char *const metric_names[] = {"entropy", "sink", "prev_token", NULL};

static const param first_table[] = {
    {"threads", PARAM_INT, "2", "N", "threads", 1, 1024, NULL, NULL},
    {"temperature", PARAM_REAL, "1.0", "T", "sampling temperature", 0, 10, NULL, NULL},
    {"title", PARAM_BOOL, "true", NULL, "draw a title", 0, 0, NULL, NULL},
    {"format", PARAM_ENUM, "table", "NAME", "output format", 0, 0, formats, NULL},
    {"seed", PARAM_INT, NULL, "N", "seed", 0, 0, NULL, NULL},
    {"no-special", PARAM_BOOL, NULL, NULL, "no special tokens", 0, 0, NULL, NULL},
    {0},
};
static const param second_table[] = {
    {"metrics", PARAM_LIST, "entropy", "LIST", "metrics", 0, 0, metric_names, "metrics"},
    {"output", PARAM_PATH, NULL, "FILE", "output file", 0, 0, NULL, NULL},
    {"prompt", PARAM_STR, NULL, "TEXT", "prompt", 0, 0, NULL, NULL},
    {"steps", PARAM_INT, NULL, "N", "steps", 1, INFINITY, NULL, NULL},
    {0},
};

static int params_setup(void **state)
{
    params *p;
    if (params_new(&p, NULL) || params_use(p, first_table, NULL) || params_use(p, second_table, NULL))
        return -1;
    *state = p;
    return 0;
}

static int params_teardown(void **state)
{
    params_free(*state);
    return 0;
}

static void params_defaults(void **state)
{
    params *p = *state;

    assert_int_equal(params_int(p, "threads"), 2);
    assert_true(params_real(p, "temperature") == 1.0);
    assert_true(params_bool(p, "title"));
    assert_false(params_bool(p, "no-special"));
    assert_string_equal(params_str(p, "format"), "table");
    assert_null(params_str(p, "output"));
    assert_int_equal(params_int(p, "seed"), 0);
    assert_false(params_given(p, "threads"));
    assert_null(params_row(p, "nothing"));
    assert_ptr_equal(params_row(p, "metrics"), &second_table[0]);
    assert_ptr_equal(params_row(p, "no-title"), &first_table[2]);
    assert_ptr_equal(params_row(p, "no-special"), &first_table[5]);
    assert_null(params_row(p, "no-threads"));
}

static void params_good(void **state)
{
    params *p = *state;

    assert_int_equal(params_set(p, "threads", "8", NULL), 0);
    assert_int_equal(params_set(p, "threads", "16", NULL), 0); /* the last one counts */
    assert_int_equal(params_int(p, "threads"), 16);
    assert_true(params_given(p, "threads"));
    assert_int_equal(params_set(p, "temperature", ".5e0", NULL), 0);
    assert_true(params_real(p, "temperature") == 0.5);
    assert_int_equal(params_set(p, "no-title", NULL, NULL), 0);
    assert_false(params_bool(p, "title"));
    assert_true(params_given(p, "title"));
    static const char *const yes[] = {"true", "1", "yes", "on"}, *const no[] = {"false", "0", "no", "off"};
    for (int i = 0; i < 4; i++) {
        assert_int_equal(params_set(p, "title", yes[i], NULL), 0);
        assert_true(params_bool(p, "title"));
        assert_int_equal(params_set(p, "title", no[i], NULL), 0);
        assert_false(params_bool(p, "title"));
    }
    assert_int_equal(params_set(p, "title", NULL, NULL), 0);
    assert_true(params_bool(p, "title"));
    assert_int_equal(params_set(p, "no-special", NULL, NULL), 0); /* a name of its own, no negation */
    assert_true(params_bool(p, "no-special"));
    assert_int_equal(params_set(p, "seed", "-9223372036854775808", NULL), 0);
    assert_true(params_int(p, "seed") == INT64_MIN);
    assert_int_equal(params_set(p, "metrics", "sink,entropy", NULL), 0);
    assert_string_equal(params_str(p, "metrics"), "sink,entropy");
    assert_int_equal(params_set(p, "metrics", "", NULL), 0); /* an empty list is a list */
    assert_int_equal(params_set(p, "prompt", "", NULL), 0);
    assert_string_equal(params_str(p, "prompt"), "");
}

static void refused(params *p, const char *name, const char *value, const char *msg, const char *hint)
{
    err e = {0};
    assert_int_equal(params_set(p, name, value, &e), ERR_USAGE);
    assert_string_equal(e.msg, msg);
    assert_string_equal(e.hint, hint);
}

static void params_bad(void **state)
{
    params *p = *state;

    refused(p, "threads", "0", "option --threads: 0 is out of range (1 to 1024)", "--threads N: threads");
    refused(p, "threads", "1025", "option --threads: 1025 is out of range (1 to 1024)",
            "--threads N: threads");
    refused(p, "threads", "two", "option --threads: 'two' is not an integer", "--threads N: threads");
    refused(p, "threads", "1.5", "option --threads: '1.5' is not an integer", "--threads N: threads");
    refused(p, "threads", "99999999999999999999",
            "option --threads: '99999999999999999999' is not an integer", "--threads N: threads");
    refused(p, "steps", "0", "option --steps: 0 is out of range (at least 1)", "--steps N: steps");
    refused(p, "temperature", "nan", "option --temperature: 'nan' is not a finite number",
            "--temperature T: sampling temperature");
    refused(p, "temperature", "-0.1", "option --temperature: -0.1 is out of range (0 to 10)",
            "--temperature T: sampling temperature");
    refused(p, "metrcs", "x", "unknown option --metrcs", "did you mean --metrics?");
    refused(p, "thraeds", "1", "unknown option --thraeds", "did you mean --threads?");
    refused(p, "zzzzzzz", "1", "unknown option --zzzzzzz", "add --help to see the options");
    refused(p, "no-threads", NULL, "unknown option --no-threads", "add --help to see the options");
    refused(p, "no-title", "true", "option --no-title takes no value",
            "give --title or --no-title without a value");
    refused(p, "title", "maybe", "option --title: 'maybe' is neither true nor false",
            "give --title or --no-title without a value");
    refused(p, "format", "jsn", "option --format: unknown value 'jsn'",
            "did you mean 'json'? choices: table, json, csv");
    refused(p, "format", "png", "option --format: unknown value 'png'", "choices: table, json, csv");
    refused(p, "metrics", "entropy,sinc", "option --metrics: unknown value 'sinc'",
            "did you mean 'sink'? choices: entropy, sink, prev_token");
    refused(p, "metrics", "entropy,,sink", "option --metrics: empty word in 'entropy,,sink'",
            "write the words with one comma between them and no blanks");
    refused(p, "metrics", "entropy,", "option --metrics: empty word in 'entropy,'",
            "write the words with one comma between them and no blanks");
    refused(p, "output", "", "option --output: empty file name", "--output FILE: output file");
    refused(p, "output", NULL, "option --output needs a value", "--output FILE: output file");
    assert_false(params_given(p, "threads"));
    assert_false(params_given(p, "title"));
}

static void params_tables(void **state)
{
    (void)state;
    params *p;
    enum { N = 40 };
    static param many[N][2];

    assert_int_equal(params_new(&p, NULL), 0);
    for (int i = 0; i < N; i++) {
        many[i][0] = (param){.name = i == N - 1 ? "last" : "other", .kind = PARAM_INT, .def = "3"};
        assert_int_equal(params_use(p, many[i], NULL), 0);
    }
    assert_int_equal(params_use(p, many[0], NULL), 0); /* known already */
    assert_int_equal(params_int(p, "last"), 3);
    params_free(p);
    params_free(NULL);
}

static void near_words(void **state)
{
    (void)state;
    static const char *const words[] = {"run", "runs", "show", "list", "sql", "verify", "tensors", NULL};

    assert_string_equal(nearest_word("verfiy", words), "verify");  /* one swap */
    assert_string_equal(nearest_word("tensor", words), "tensors"); /* one insertion */
    assert_string_equal(nearest_word("vverifyy", words), "verify");
    assert_string_equal(nearest_word("ls", words), "list");
    assert_string_equal(nearest_word("run", words), "run");
    assert_string_equal(nearest_word("shw", words), "show");
    assert_null(nearest_word("q", words));
    assert_null(nearest_word("xyz", words));
    assert_null(nearest_word("", words));
    assert_null(nearest_word("generation", words));
}

static void numbers(void **state)
{
    (void)state;
    static const char *const bad_int[] = {
        "", "-", "+", " 1", "1 ", "0x10", "1e3", "--1", "9223372036854775808", "1_0",
    };
    static const char *const bad_real[] = {
        "", "-", ".", "1,5", " 1", "1 ", "0x1p3", "inf", "nan", "1e", "1e999", "1.2.3",
    };
    int64_t i = 5;
    double x = 5;

    for (size_t k = 0; k < sizeof bad_int / sizeof *bad_int; k++)
        assert_false(parse_int(&i, bad_int[k]));
    for (size_t k = 0; k < sizeof bad_real / sizeof *bad_real; k++)
        assert_false(parse_real(&x, bad_real[k]));
    assert_true(i == 5 && x == 5);
    assert_true(parse_int(&i, "+007") && i == 7);
    assert_true(parse_int(&i, "9223372036854775807") && i == INT64_MAX);
    assert_true(parse_real(&x, "-1.5e-3") && x == -1.5e-3);
    assert_true(parse_real(&x, "1e-400") && x == 0); /* too small is not wrong */
}

/* --- tables and heads --- */

static void tables(void **state)
{
    (void)state;
    table *t;
    err e = {0};
    const char *names[] = {"head", "value", "note"};

    assert_int_equal(table_new(&t, 3, names, &e), 0);
    assert_int_equal(table_set_unit(t, 1, "nat", &e), 0);
    assert_null(t->unit[0]);
    assert_string_equal(t->unit[1], "nat");
    for (int i = 0; i < 1000; i++) {
        cell *row = table_row(t, &e);
        assert_non_null(row);
        assert_int_equal(row[2].kind, CELL_NULL);
        row[0] = cell_int(i);
        row[1] = cell_real(i / 4.0);
        if (i % 2)
            assert_int_equal(table_text(t, &row[2], "odd\0one", 7, &e), 0);
    }
    assert_int_equal(t->n_row, 1000);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(table_cell(t, i, 0)->u.i, i);
        assert_true(cell_number(table_cell(t, i, 0)) == i);
        assert_true(cell_number(table_cell(t, i, 1)) == i / 4.0);
        assert_true(isnan(cell_number(table_cell(t, i, 2))));
        if (i % 2)
            assert_string_equal(table_cell(t, i, 2)->u.s, "odd");
        else
            assert_int_equal(table_cell(t, i, 2)->kind, CELL_NULL);
    }
    assert_int_equal(table_column(t, "note"), 2);
    assert_int_equal(table_column(t, "no"), -1);
    table_free(t);
    table_free(NULL);
}

static void tables_keep(void **state)
{
    (void)state;
    table *t;
    err e = {0};
    const char *names[] = {"head", "value", "note", "empty"}, *new_names[] = {NULL, "mean", NULL};
    const int use[] = {2, 1, 0}, none[] = {1};

    assert_int_equal(table_new(&t, 4, names, &e), 0);
    assert_int_equal(table_set_unit(t, 1, "nat", &e), 0);
    for (int i = 0; i < 40; i++) {
        cell *row = table_row(t, &e);
        row[0] = cell_int(i);
        row[1] = cell_real(i / 4.0);
        assert_int_equal(table_text(t, &row[2], "note", (size_t)i % 5, &e), 0);
    }
    assert_true(table_column_empty(t, 3) && !table_column_empty(t, 2));
    for (long nth = 1, rc = 1; rc; nth++) { /* what cannot be done leaves the table alone */
        mem_fail_at(nth);
        rc = table_keep(t, use, new_names, 3, &e);
        mem_fail_at(0);
        if (rc) {
            assert_int_equal(e.code, ERR_RESOURCE);
            assert_int_equal(t->n_col, 4);
            assert_string_equal(t->column[0], "head");
        }
        assert_true(nth < 20);
    }
    assert_int_equal(t->n_col, 3);
    assert_int_equal(t->n_row, 40);
    assert_string_equal(t->column[0], "note");
    assert_string_equal(t->column[1], "mean");
    assert_string_equal(t->column[2], "head");
    assert_string_equal(t->unit[1], "nat");
    assert_null(t->unit[0]);
    assert_int_equal(table_column(t, "value"), -1);
    for (int i = 0; i < 40; i++) {
        assert_memory_equal(table_cell(t, i, 0)->u.s, "note", i % 5);
        assert_int_equal(strlen(table_cell(t, i, 0)->u.s), i % 5);
        assert_true(cell_number(table_cell(t, i, 1)) == i / 4.0);
        assert_int_equal(table_cell(t, i, 2)->u.i, i);
    }
    for (int i = 0; i < 100; i++) { /* it grows as before */
        cell *row = table_row(t, &e);
        assert_non_null(row);
        row[2] = cell_int(-i);
    }
    assert_int_equal(table_cell(t, 139, 2)->u.i, -99);
    assert_int_equal(table_rename(t, 2, "place", &e), 0);
    assert_int_equal(table_column(t, "place"), 2);
    assert_int_equal(table_keep(t, none, NULL, 1, &e), 0);
    assert_string_equal(t->column[0], "mean");
    assert_true(cell_number(table_cell(t, 39, 0)) == 39 / 4.0);
    table_free(t);

    assert_int_equal(table_new(&t, 4, names, &e), 0); /* without rows */
    assert_true(table_column_empty(t, 0));
    assert_int_equal(table_keep(t, use, NULL, 2, &e), 0);
    assert_string_equal(t->column[1], "value");
    assert_non_null(table_row(t, &e));
    assert_int_equal(table_cell(t, 0, 1)->kind, CELL_NULL);
    table_free(t);
}

static void heads(void **state)
{
    (void)state;
    static const struct { const char *text; head_id h; const char *back; } good[] = {
        {"L3H7", {ATTN_SELF, 3, 7}, "L3H7"},          {"3.7", {ATTN_SELF, 3, 7}, "L3H7"},
        {"l10h0", {ATTN_SELF, 10, 0}, "L10H0"},       {"enc.L0H11", {ATTN_ENCODER, 0, 11}, "enc.L0H11"},
        {"cross.5.6", {ATTN_CROSS, 5, 6}, "cross.L5H6"}, {"vis.l1H2", {ATTN_VISION, 1, 2}, "vis.L1H2"},
        {"self.L1H2", {ATTN_SELF, 1, 2}, "L1H2"},
        {"999999.999999", {ATTN_SELF, 999999, 999999}, "L999999H999999"},
    };
    static const char *const bad[] = {
        "", "L3", "H7", "L3H", "LH", "3", "3.", ".7", "3.7.1", "L3.7", "3H7", "L-1H2", "L3H7 ", " L3H7",
        "dec.L1H1", "enc.", "L1234567H1", "3.+7", "encL1H1",
    };
    head_id h;
    head_text text;

    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_true(head_parse(&h, good[i].text));
        assert_int_equal(h.kind, good[i].h.kind);
        assert_int_equal(h.layer, good[i].h.layer);
        assert_int_equal(h.head, good[i].h.head);
        head_format(text, h);
        assert_string_equal(text, good[i].back);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (head_parse(&h, bad[i]))
            fail_msg("'%s' was taken for a head", bad[i]);
    }
    assert_string_equal(attn_kind_name(ATTN_SELF), "self");
    assert_string_equal(attn_kind_name(ATTN_VISION), "vis");
}

static void cancelling(void **state)
{
    (void)state;
    err e = {0};

    assert_int_equal(cancel_check(&e), 0);
    cancel_request();
    assert_true(cancel_requested());
    assert_int_equal(cancel_check(&e), ERR_CANCELLED);
    assert_string_equal(e.msg, "cancelled");
    cancel_clear();
    assert_int_equal(cancel_check(NULL), 0);
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(err_basic),
        cmocka_unit_test(err_without_struct),
        cmocka_unit_test(err_is_safe_for_terminals),
        cmocka_unit_test(err_too_long),
        cmocka_unit_test(sizes_are_checked),
        cmocka_unit_test(arrays),
        cmocka_unit_test(failure_on_demand),
        cmocka_unit_test(large_buffers),
        cmocka_unit_test(arenas),
        cmocka_unit_test_setup_teardown(params_defaults, params_setup, params_teardown),
        cmocka_unit_test_setup_teardown(params_good, params_setup, params_teardown),
        cmocka_unit_test_setup_teardown(params_bad, params_setup, params_teardown),
        cmocka_unit_test(params_tables),
        cmocka_unit_test(near_words),
        cmocka_unit_test(numbers),
        cmocka_unit_test(tables), cmocka_unit_test(tables_keep),
        cmocka_unit_test(heads),
        cmocka_unit_test(cancelling),
    };
    return cmocka_run_group_tests_name("base core", tests, NULL, NULL);
}
