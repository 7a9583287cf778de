/* Sweep files, the cells of a sweep, and how units are dealt out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "cli/sweep.h"

static char file[600];

static int make_file(void **state)
{
    const char *tmp = getenv("TMPDIR");
    (void)state;
    snprintf(file, sizeof file, "%s/attnscope-sweep-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    int fd = mkstemp(file);
    return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state)
{
    (void)state;
    return remove(file);
}

static void write_file(const char *text)
{
    FILE *f = fopen(file, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
    assert_int_equal(fclose(f), 0);
}

static int parse(sweep_file *f, const char *text, err *e)
{
    return sweep_file_parse(f, text, strlen(text), "folder/a.sweep", e);
}

/* ---- files ---- */

static void test_values(void **state)
{
    static const char text[] =
        "\xef\xbb\xbf# a comment\r\n"
        "command = run\r\n"
        "  prompt =  'It was, [they] said, \"dark\" # no comment'  \n"
        "edit = [as it is: \"\", off: zero L1H2, \"a, b\", 300:1000:3, it's]\n"
        "lengths = [ # not a value\n"
        "    1, # one\n"
        "    2\n"
        "  # between\n"
        "\n"
        "    3,\n"
        "]\n";
    static const char *const labels[] = {"as it is", "off", "a, b", "300:1000:3", "it's"};
    static const char *const texts[] = {"", "zero L1H2", "a, b", "300:1000:3", "it's"};
    sweep_file f;
    err e = {0};
    (void)state;
    if (parse(&f, text, &e))
        fail_msg("%s", e.msg);
    assert_string_equal(f.name, "a");
    assert_int_equal(f.n_entry, 4);
    assert_string_equal(f.entry[1].key, "prompt");
    assert_string_equal(f.entry[1].value[0].text, "It was, [they] said, \"dark\" # no comment");
    assert_false(f.entry[1].axis);
    assert_int_equal(f.entry[1].line, 3);
    const sweep_entry *edit = sweep_file_find(&f, "edit");
    assert_true(edit->axis);
    assert_int_equal(edit->n, 5);
    for (int i = 0; i < 5; i++) {
        assert_string_equal(edit->value[i].label, labels[i]);
        assert_string_equal(edit->value[i].text, texts[i]);
    }
    const sweep_entry *lengths = sweep_file_find(&f, "lengths");
    assert_int_equal(lengths->n, 3);
    assert_string_equal(lengths->value[2].text, "3");
    assert_null(sweep_file_find(&f, "nothing"));
    assert_int_equal(strlen(f.text), strlen(text));
    sweep_file_free(&f);
}

static void test_groups(void **state)
{
    sweep_file f;
    err e = {0};
    (void)state;
    if (parse(&f, "zip = b, c\nname = mine\na = [1, 2]\nb = [x, y]\nexclude = a=2, c=q\nc = [p, q]\n", &e))
        fail_msg("%s", e.msg);
    assert_string_equal(f.name, "mine");
    assert_int_equal(f.n_entry, 3);
    assert_int_equal(f.entry[0].group, 0);
    assert_int_equal(f.entry[1].group, 1);
    assert_int_equal(f.entry[2].group, 1);
    assert_int_equal(f.n_exclude, 1);
    assert_int_equal(f.exclude[0].n, 2);
    assert_string_equal(f.exclude[0].pair[1].axis->key, "c");
    assert_string_equal(f.exclude[0].pair[1].value, "q");
    sweep_file_free(&f);
}

static void test_bad_files(void **state)
{
    static const char *const cases[][2] = {
        {"a", "folder/a.sweep:1: no line of the form"},
        {"= a", "folder/a.sweep:1: no line of the form"},
        {"\na = [1, 2", "folder/a.sweep:2: the list has no closing bracket: a"},
        {"a = [1\n2]\nb", "folder/a.sweep:3: no line"},
        {"a = [\"x]\n", "a quote has no end"},
        {"a = \"x", "the quotes do not fit"},
        {"a = \"x\" y\"", "the quotes do not fit"},
        {"a = []", "the list is empty"},
        {"a = [1, 1]", "the list holds twice: 1"},
        {"a = [1] 2", "behind the list stands: 2"},
        {"a = 1\na = 2", "folder/a.sweep:2: stands twice: a"},
        {"name = [1, 2]", "a sweep has one name"},
        {"name =", "a sweep has one name"},
        {"zip = a", "no axis is called a"},
        {"a = 1\nzip = a", "no axis is called a"},
        {"a = [1]\nb = [1, 2]\nzip = a, b", "zip: a has 1 values, b 2"},
        {"a = [1]\nb = [1]\nc = [1]\nzip = a, b\nzip = b, c", "goes together with others already: b"},
        {"a = [1]\nexclude = a", "exclude: no KEY=VALUE: a"},
        {"a = [1]\nexclude = a=2", "the axis has no such value: 2"},
        {"a = \xff", "is no UTF-8"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sweep_file f;
        err e = {0};
        int rc = parse(&f, cases[i][0], &e);
        if (rc == 0 || !strstr(e.msg, cases[i][1]) || !e.hint[0])
            fail_msg("%s: code %d, \"%s\" (%s)", cases[i][0], rc, e.msg, e.hint);
        sweep_file_free(&f);
    }
    sweep_file f;
    err e = {0};
    assert_int_equal(sweep_file_parse(&f, "a = 1\0b", 7, "x", &e), ERR_INPUT);
    sweep_file_free(&f);
}

/* Any cut and any changed byte of a file ends in an answer, not in a crash. */
static void test_hostile(void **state)
{
    static const char text[] = "command = run\nzip = a, b\na = [x: \"1\", 'y',\n # c\n z]\nb = [1, 2, 3]\nexclude = a=x, b=1\n"
                               "name = \"q\"\n";
    static const char bytes[] = "[]\"',:=\n# \xff\xc3";
    char changed[sizeof text];
    (void)state;
    for (size_t i = 0; i < sizeof text; i++) {
        sweep_file f;
        (void)sweep_file_parse(&f, text, i, "x", NULL);
        sweep_file_free(&f);
        for (size_t k = 0; i + 1 < sizeof text && k < sizeof bytes; k++) {
            err e = {0};
            memcpy(changed, text, sizeof text);
            changed[i] = bytes[k];
            int rc = sweep_file_parse(&f, changed, sizeof text - 1, "x", &e);
            assert_true(rc == 0 || e.msg[0]);
            sweep_file_free(&f);
        }
    }
}

/* ---- cells ---- */

static int make(sweep *w, const char *text, err *e)
{
    write_file(text);
    return sweep_make(w, file, e);
}

static void test_cells(void **state)
{
    sweep w, again, changed;
    err e = {0};
    (void)state;
    static const char text[] = "command = run\nprompt = a b\nprecision = [f32, bf16]\nmodel = [m1, m2]\nspecial = [true, false]\n"
                               "exclude = precision=bf16, special=false\nname = one\n";
    if (make(&w, text, &e))
        fail_msg("%s", e.msg);
    /* the model goes slowest, for it is loaded once; else as in the file */
    static const char *const lines[] = {
        "run m1 --prompt 'a b' --precision f32 --special", "run m1 --prompt 'a b' --precision f32 --no-special",
        "run m1 --prompt 'a b' --precision bf16 --special", "run m2 --prompt 'a b' --precision f32 --special",
        "run m2 --prompt 'a b' --precision f32 --no-special", "run m2 --prompt 'a b' --precision bf16 --special"};
    assert_int_equal(w.n, 6);
    for (int i = 0; i < 6; i++) {
        char line[100];
        size_t n = 0;
        for (const char *c = w.cell[i].line; *c; c++) /* either form of quotes */
            line[n++] = *c == '"' ? '\'' : *c;
        line[n] = '\0';
        assert_string_equal(line, lines[i]);
        assert_int_equal(strlen(w.cell[i].uid), 32);
        assert_int_equal(w.cell[i].args.n, 1);
        for (int k = 0; k < i; k++)
            assert_string_not_equal(w.cell[i].uid, w.cell[k].uid);
    }
    assert_int_equal(w.n_axis, 3);
    assert_string_equal(w.axis[0], "model");
    assert_string_equal(w.cell[2].json, "{\"model\":\"m1\",\"precision\":\"bf16\",\"special\":\"true\"}");
    /* the same plan has the same identity, whatever the comments */
    char other[400];
    snprintf(other, sizeof other, "# other words\n\n%s", text);
    assert_int_equal(make(&again, other, &e), 0);
    assert_string_equal(again.uid, w.uid);
    assert_string_equal(again.cell[5].uid, w.cell[5].uid);
    snprintf(other, sizeof other, "%struncate = 3\n", text);
    assert_int_equal(make(&changed, other, &e), 0);
    assert_string_not_equal(changed.uid, w.uid);
    assert_string_not_equal(changed.cell[0].uid, w.cell[0].uid);
    sweep_free(&changed);
    sweep_free(&again);
    sweep_free(&w);
}

static void test_verbs(void **state)
{
    sweep w;
    err e = {0};
    (void)state;
    if (make(&w, "command = [run, ablate, compare]\nmodel = m\nprompt = a\nrun.metrics = [sink, entropy, nll]\n"
                 "ablate.heads = L0H0\ncompare.arguments = m2\n", &e))
        fail_msg("%s", e.msg);
    assert_int_equal(w.n, 5);
    assert_string_equal(w.cell[2].line, "run m --prompt a --metrics nll");
    assert_string_equal(w.cell[3].line, "ablate m --prompt a --heads L0H0");
    assert_string_equal(w.cell[4].line, "compare m m2 --prompt a");
    assert_string_equal(w.cell[4].json, "{\"command\":\"compare\"}");
    assert_null(w.cell[4].value[1]);
    sweep_free(&w);
}

static void test_bad_cells(void **state)
{
    static const char *const cases[][2] = {
        {"command = run\n", "no model"},
        {"model = m\n", "no command"},
        {"model =\ncommand = run\n", ":1: the model is empty"},
        {"model = m\ncommand = runn\n", ":2: no command is called runn"},
        {"model = m\ncommand = generate\n", ":2: a sweep cannot run generate"},
        {"model = m\ncommand = sweep\n", ":2: a sweep cannot run sweep"},
        {"model = m\ncommand = run\npromt = x\n", ":3: run has no option promt"},
        {"model = m\ncommand = run\ntruncate = 0\n", ":3: "},
        {"model = m\ncommand = [run, census]\nprompt = x\n", ":3: census has no option prompt"},
        {"model = m\ncommand = run\ncensus.length = 3\n", ":3: census is no command of this sweep"},
        {"model = m\ncommand = run\narguments = a b\n", "run does not take \"a\""},
        {"model = m\ncommand = track\n", "track needs 2 words"},
        {"model = m\ncommand = run\njson = true\n", "does not take json"},
        {"model = m\ncommand = run\nprompts = -\n", ":3: a sweep cannot read standard input: prompts"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sweep w;
        err e = {0};
        int rc = make(&w, cases[i][0], &e);
        if (rc != ERR_USAGE || !strstr(e.msg, cases[i][1]) || !e.hint[0])
            fail_msg("%s: code %d, \"%s\" (%s)", cases[i][0], rc, e.msg, e.hint);
        sweep_free(&w);
    }
}

/* ---- shards ---- */

static void test_shards(void **state)
{
    enum { CELLS = 5, UNITS = 7 };
    (void)state;
    for (int64_t of = 1; of < 12; of++) {
        int seen[CELLS][UNITS] = {{0}}, most = 0, least = CELLS * UNITS;
        for (int64_t number = 1; number <= of; number++) {
            sweep_shard shard = {.number = number, .of = of};
            const sweep_dealer deal = sweep_deal_shard(&shard);
            int n = 0;
            assert_true(deal.share * (double)of == 1);
            for (int64_t c = 0; c < CELLS; c++) {
                const sweep_cell one = {.index = c, .part = {.n_unit = UNITS}};
                int64_t unit, last = -1;
                while (deal.next(deal.ud, &one, &unit, NULL) == 0 && unit >= 0) {
                    assert_true(unit > last && unit < UNITS);
                    last = unit;
                    seen[c][unit]++;
                    n++;
                }
            }
            most = n > most ? n : most;
            least = n < least ? n : least;
        }
        for (int c = 0; c < CELLS; c++)
            for (int u = 0; u < UNITS; u++)
                assert_int_equal(seen[c][u], 1);
        assert_true(most - least <= CELLS);
    }
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values), cmocka_unit_test(test_groups), cmocka_unit_test(test_bad_files),
        cmocka_unit_test(test_hostile), cmocka_unit_test(test_cells), cmocka_unit_test(test_verbs),
        cmocka_unit_test(test_bad_cells), cmocka_unit_test(test_shards),
    };
    return cmocka_run_group_tests_name("sweep", tests, make_file, remove_file);
}
