/* A report as PDF. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/cancel.h"
#include "cli/report.h"
#include "plots/document.h"

static int put_table(document *d, const report_block *k, int number, err *e)
{
    const table *t = k->t;
    int64_t n_row = k->folded ? REPORT_FOLD_ROWS : t->n_row;
    strbuf text = {0}, caption = {0};
    size_t n = 0, cells = 0;
    int rc = size_mul(&cells, (size_t)n_row + 1, (size_t)t->n_col) ? 0 : err_nomem(e, "table");
    const char **word = rc ? NULL : mem_array(cells, sizeof *word, e);
    size_t *at = word ? mem_array(cells, sizeof *at, e) : NULL;
    bool *number_col = at ? mem_array((size_t)t->n_col, sizeof *number_col, e) : NULL;
    if (!number_col)
        rc = rc ? rc : ERR_RESOURCE;
    for (int c = 0; c < t->n_col && !rc; c++, n++) {
        number_col[c] = report_numeric(t, c);
        at[n] = text.len;
        strbuf_puts(&text, t->column[c]);
        if (t->unit[c] && *t->unit[c])
            strbuf_printf(&text, " (%s)", t->unit[c]);
        strbuf_add(&text, "", 1);
    }
    for (int64_t r = 0; r < n_row && !rc; r++)
        for (int c = 0; c < t->n_col; c++, n++) {
            at[n] = text.len;
            report_cell(&text, k, r, c);
            strbuf_add(&text, "", 1);
        }
    strbuf_printf(&caption, "Table %d. %s", number, k->text);
    if (n_row < t->n_row)
        strbuf_printf(&caption, " The first %" PRId64 " of %" PRId64 " rows; a report in HTML has all.", n_row, t->n_row);
    if (!rc && (text.failed || caption.failed))
        rc = err_nomem(e, "table");
    for (size_t i = 0; i < n && !rc; i++)
        word[i] = text.s + at[i];
    if (!rc) {
        const document_table made = {.caption = strbuf_str(&caption), .n_col = t->n_col, .n_row = n_row, .head = word,
                                     .number = number_col, .cells = word + t->n_col};
        rc = document_table_add(d, &made, e);
    }
    free(word);
    free(at);
    free(number_col);
    strbuf_free(&text);
    strbuf_free(&caption);
    return rc;
}

static int put_figure(document *d, report_build *b, const report_block *k, int number, err *e)
{
    const report_figure *f = k->figure;
    figure_source src = {0};
    scene *s = NULL;
    int rc = report_figure_load(&src, NULL, b, f, e);
    if (rc == ERR_FAILED || rc == ERR_USAGE) {
        document_quiet(d, report_print(b->doc, "Figure %d. Not drawn: %s: %s", number, f->recipe->name, e->msg));
        *e = (err){0};
        rc = 0;
        goto out;
    }
    if (!rc)
        rc = f->recipe->build(&s, &src.d, f->p, e);
    if (!rc) {
        const char *text = src.d.caption ? src.d.caption : src.d.subtitle ? src.d.subtitle : "";
        rc = document_figure(d, s, report_print(b->doc, "Figure %d. %s. %s", number, src.d.title ? src.d.title : "", text), e);
    }
    scene_free(s);
out:
    figure_source_free(&src);
    return rc;
}

/* The words alone. */
static const char *plain(report_build *b, const char *s)
{
    strbuf text = {0};
    const char *piece;
    size_t n;
    bool code;
    while (report_piece(&s, &piece, &n, &code))
        strbuf_add(&text, piece, n);
    const char *out = text.failed ? "" : report_print(b->doc, "%s", strbuf_str(&text));
    b->doc->failed |= text.failed;
    strbuf_free(&text);
    return out;
}

static void put_facts(document *d, report_build *b, const report_block *k)
{
    if (k->n && k->text)
        document_heading(d, 3, k->text);
    for (int i = 0; i < k->n; i++)
        document_fact(d, k->fact[i].name, k->fact[i].code ? k->fact[i].value : plain(b, k->fact[i].value), k->fact[i].code);
}

int report_write_pdf(strbuf *out, report_build *b, err *e)
{
    const report_doc *r = b->doc;
    document *d = NULL;
    int n_figure = 0, n_table = 0;
    const params *p = b->opt->figure;
    const char *font = params_row(p, "font") ? params_str(p, "font") : "DejaVu Sans";
    int rc = document_new(&d, b->opt->letter ? PAPER_LETTER : PAPER_A4, font, r->about, e);
    if (rc)
        return rc;
    document_title(d, r->title, r->author && *r->author && r->subtitle && *r->subtitle
                                    ? report_print(b->doc, "%s; %s", r->author, r->subtitle)
                                : r->author && *r->author ? r->author : r->subtitle);
    for (int i = 0; i < r->n && !rc; i++) {
        const report_block *k = &r->block[i];
        progress_step(&b->s->prog, "writing the report", i, r->n);
        switch (k->kind) {
        case REPORT_HEADING: document_heading(d, k->level - 1, k->text); break;
        case REPORT_TEXT: document_text(d, k->prose ? plain(b, k->text) : k->text); break;
        case REPORT_CODE:
            if (k->folded)
                document_quiet(d, k->fold);
            document_code(d, k->text);
            break;
        case REPORT_FACTS: put_facts(d, b, k); break;
        case REPORT_TABLE: rc = put_table(d, k, ++n_table, e); break;
        case REPORT_FIGURE: rc = put_figure(d, b, k, ++n_figure, e); break;
        }
        if (!rc)
            rc = cancel_check(e);
    }
    if (!rc)
        rc = document_finish(d, out, e);
    document_free(d);
    return rc ? rc : b->doc->failed ? err_nomem(e, "report") : 0;
}
