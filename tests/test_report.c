/* Pages of a PDF, blocks and cells of a report, directories with one inside, base64. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/cancel.h"
#include "base/outdir.h"
#include "cli/report.h"
#include "plots/document.h"

static char folder[] = "/tmp/test_report.XXXXXX";

static int count(const strbuf *b, const char *what)
{
    int n = 0;
    size_t len = strlen(what);
    for (size_t i = 0; i + len <= b->len; i++)
        n += memcmp(b->s + i, what, len) == 0;
    return n;
}

/* ---- documents ---- */

enum { ROWS = 150, COLS = 30 };

static void write_document(strbuf *out, document_paper paper, int n_col)
{
    static const char *const about[] = {"Title", "A title", "Author", "Somebody", NULL};
    static const char *head[COLS], *cells[ROWS * COLS];
    static bool number[COLS];
    document *d = NULL;
    err e = {0};
    for (int c = 0; c < n_col; c++) {
        head[c] = c ? "some score (nats)" : "head";
        number[c] = c > 0;
    }
    for (int i = 0; i < ROWS * n_col; i++)
        cells[i] = i % n_col ? "0.12345" : "L1H2";
    assert_int_equal(document_new(&d, paper, "DejaVu Sans", about, &e), 0);
    document_title(d, "A title", "below it");
    document_heading(d, 1, "First");
    document_text(d, "Words \xe2\x80\x94 and more words.");
    document_heading(d, 2, "Second");
    document_fact(d, "name", "value", false);
    document_code(d, "one line\nanother");
    const document_table t = {"A caption", n_col, ROWS, head, number, cells};
    assert_int_equal(document_table_add(d, &t, &e), 0);
    assert_int_equal(document_finish(d, out, &e), 0);
    document_free(d);
}

static void document_pages(void **state)
{
    (void)state;
    strbuf a = {0}, b = {0}, letter = {0}, wide = {0};
    write_document(&a, PAPER_A4, 4);
    write_document(&b, PAPER_A4, 4);
    write_document(&letter, PAPER_LETTER, 4);
    write_document(&wide, PAPER_A4, COLS);
    assert_true(a.len > 1000 && memcmp(a.s, "%PDF-", 5) == 0);
    assert_int_equal(a.len, b.len);
    assert_memory_equal(a.s, b.s, a.len);
    assert_int_equal(count(&a, "CreationDate"), 0);
    assert_true(count(&a, "/Outlines") > 0);
    assert_true(count(&a, "595.27") > 0 || count(&a, "595.28") > 0);
    assert_true(count(&letter, "612 792") > 0);
    /* 150 rows take three pages or so; with more columns than fit there are two parts */
    int pages = count(&a, "/Type /Page") - count(&a, "/Type /Pages");
    int more = count(&wide, "/Type /Page") - count(&wide, "/Type /Pages");
    assert_in_range(pages, 3, 5);
    assert_true(more > pages);
    strbuf_free(&a);
    strbuf_free(&b);
    strbuf_free(&letter);
    strbuf_free(&wide);
}

static void document_cancelled(void **state)
{
    (void)state;
    static const char *const about[] = {"Title", "x", NULL}, *const head[] = {"a"}, *const cells[] = {"1", "2"};
    static const bool number[] = {true};
    const document_table t = {NULL, 1, 2, head, number, cells};
    document *d = NULL;
    err e = {0};
    assert_int_equal(document_new(&d, PAPER_A4, "DejaVu Sans", about, &e), 0);
    cancel_request();
    assert_int_equal(document_table_add(d, &t, &e), ERR_CANCELLED);
    cancel_clear();
    document_free(d);
}

/* ---- blocks ---- */

static void ids_are_unique(void **state)
{
    (void)state;
    report_doc d = {.title = NULL};
    report_heading(&d, 2, "Run 3: census of lantern-3m");
    report_heading(&d, 3, "Figures");
    report_heading(&d, 3, "Figures");
    report_heading(&d, 3, "\xe5\x8c\x97\xe4\xba\xac");
    assert_false(d.failed);
    assert_int_equal(d.n, 4);
    assert_string_equal(d.block[0].id, "run-3-census-of-lantern-3m");
    assert_string_equal(d.block[1].id, "figures");
    assert_string_equal(d.block[2].id, "figures--2");
    assert_string_equal(d.block[3].id, "part");
    report_doc_free(&d);
}

static void texts_are_visible(void **state)
{
    (void)state;
    report_doc d = {.title = NULL};
    report_text(&d, "a\x1b[2Jb\xe2\x80\xae" "c\xff");
    report_code(&d, "one\ntwo\x01");
    assert_null(strpbrk(d.block[0].text, "\x1b\xff"));
    assert_null(strstr(d.block[0].text, "\xe2\x80\xae"));
    assert_string_equal(d.block[1].text, "one\ntwo\\x01");
    report_doc_free(&d);
}

static void cell_is(const report_block *k, int64_t row, int col, const char *want)
{
    strbuf b = {0};
    report_cell(&b, k, row, col);
    assert_string_equal(strbuf_str(&b), want);
    strbuf_free(&b);
}

static void cells_have_digits(void **state)
{
    (void)state;
    static const char *const names[] = {"name", "share", "big", "n"};
    report_doc d = {.title = NULL};
    table *t = NULL, *none = NULL;
    err e = {0};
    assert_int_equal(table_new(&t, 4, names, &e), 0);
    for (int i = 0; i < 2; i++) {
        cell *c = table_row(t, &e);
        assert_int_equal(table_text(t, &c[0], i ? "b\x02" : "a", i ? 2 : 1, &e), 0);
        c[1] = cell_real(i ? 1 : .03125);
        c[2] = cell_real(i ? 1234.5 : -0.0);
        c[3] = i ? (cell){CELL_NULL, {0}} : cell_int(7);
    }
    report_table(&d, t, "caption %d", 5);
    const report_block *k = &d.block[0];
    assert_string_equal(k->text, "caption 5");
    cell_is(k, 0, 0, "a");
    cell_is(k, 1, 0, "b\\x02");
    cell_is(k, 0, 1, "0.031");
    cell_is(k, 1, 1, "1.000");
    cell_is(k, 0, 2, "0");
    cell_is(k, 1, 2, "1234");
    cell_is(k, 0, 3, "7");
    cell_is(k, 1, 3, "");
    assert_false(report_numeric(t, 0));
    assert_true(report_numeric(t, 1) && report_numeric(t, 3));
    report_by_row(&d);
    cell_is(k, 0, 1, "0.0312");
    report_fold(&d);
    assert_false(k->folded); /* two rows are no burden */
    assert_int_equal(table_new(&none, 4, names, &e), 0);
    report_table(&d, none, "no rows: no table");
    assert_int_equal(d.n, 1);
    report_doc_free(&d);
}

static void terms(void **state)
{
    (void)state;
    assert_string_equal(report_term_find("retrieval")->range, "0 ..");
    assert_string_equal(report_term_find("nll_edited")->name, "*_edited");
    assert_string_equal(report_term_find("diagonal_induction_top")->name, "*_top");
    assert_string_equal(report_term_find("patch_z")->name, "patch_*");
    assert_string_equal(report_term_find("patch_clean")->definition, "score of the clean prompt");
    assert_null(report_term_find("no such thing"));
    assert_null(report_term_find("_edited"));
}

/* ---- files ---- */

static void put(outdir *d, const char *name)
{
    outfile *f = NULL;
    err e = {0};
    assert_int_equal(outdir_create(&f, d, name, &e), 0);
    assert_int_equal(outfile_write(f, "x", 1, &e), 0);
    assert_int_equal(outfile_commit(f, &e), 0);
}

static void directory_inside(void **state)
{
    (void)state;
    char path[64], file[96];
    outdir *d = NULL;
    err e = {0};
    snprintf(path, sizeof path, "%s/report", folder);
    snprintf(file, sizeof file, "%s/figures/a.svg", path);
    assert_int_equal(outdir_open_with(&d, path, false, "figures", &e), 0);
    put(d, "report.md");
    put(d, "figures/a.svg");
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(outdir_commit(d, &e), 0);
    assert_int_equal(access(file, F_OK), 0);
    /* replaced as a whole */
    assert_int_equal(outdir_open_with(&d, path, true, "figures", &e), 0);
    put(d, "figures/b.svg");
    assert_int_equal(outdir_commit(d, &e), 0);
    assert_int_equal(access(file, F_OK), -1);
    /* abandoned: the old one stays, nothing else is there */
    assert_int_equal(outdir_open_with(&d, path, true, "figures", &e), 0);
    put(d, "figures/c.svg");
    outdir_abandon(d);
    snprintf(file, sizeof file, "%s/figures/b.svg", path);
    assert_int_equal(access(file, F_OK), 0);
    /* a directory of another name is none of ours; without the name, none is */
    assert_int_equal(outdir_open(&d, path, true, &e), ERR_FAILED);
    assert_int_equal(outdir_open_with(&d, path, true, "pictures", &e), ERR_FAILED);
    snprintf(file, sizeof file, "%s/figures/deep", path);
    assert_int_equal(mkdir(file, 0777), 0);
    assert_int_equal(outdir_open_with(&d, path, true, "figures", &e), ERR_FAILED);
    assert_int_equal(rmdir(file), 0);
}

/* RFC 4648, section 10. */
static void base64(void **state)
{
    (void)state;
    static const char *const want[] = {"", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"};
    for (size_t n = 0; n < sizeof want / sizeof *want; n++) {
        strbuf b = {0};
        strbuf_put_base64(&b, "foobar", n);
        assert_string_equal(strbuf_str(&b), want[n]);
        strbuf_free(&b);
    }
}

static int set_up(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    char line[96];
    snprintf(line, sizeof line, "rm -rf '%s'", folder);
    return system(line);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(document_pages), cmocka_unit_test(document_cancelled), cmocka_unit_test(ids_are_unique),
        cmocka_unit_test(texts_are_visible), cmocka_unit_test(cells_have_digits), cmocka_unit_test(terms),
        cmocka_unit_test(directory_inside), cmocka_unit_test(base64),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
