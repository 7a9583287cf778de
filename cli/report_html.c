/* A report as one page of HTML that needs nothing else: figures are inlined, no script is needed to read it. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/cancel.h"
#include "base/hash.h"
#include "cli/report.h"

static void put_part(strbuf *out, const char *s, size_t n)
{
    for (; n > 0; s++, n--) {
        switch (*s) {
        case '&': strbuf_puts(out, "&amp;"); break;
        case '<': strbuf_puts(out, "&lt;"); break;
        case '>': strbuf_puts(out, "&gt;"); break;
        case '"': strbuf_puts(out, "&quot;"); break;
        case '\'': strbuf_puts(out, "&#39;"); break;
        default: strbuf_putc(out, *s);
        }
    }
}

static void put_text(strbuf *out, const char *s)
{
    put_part(out, s, strlen(s));
}

static void put_prose(strbuf *out, const char *s)
{
    const char *piece;
    size_t n;
    bool code;
    while (report_piece(&s, &piece, &n, &code)) {
        strbuf_puts(out, code ? "<code>" : "");
        put_part(out, piece, n);
        strbuf_puts(out, code ? "</code>" : "");
    }
}

static void put_element(strbuf *out, const char *name, const char *class, const char *text)
{
    strbuf_printf(out, "<%s%s%s%s>", name, class ? " class=\"" : "", class ? class : "", class ? "\"" : "");
    put_text(out, text);
    strbuf_printf(out, "</%s>\n", name);
}

/* ---- figures ---- */

/* From `begin` to behind `end`, at or after at; NULL: not there. */
static const char *element(const char *at, const char *begin, const char *end, const char **behind)
{
    const char *from = strstr(at, begin), *to = from ? strstr(from, end) : NULL;
    *behind = to ? to + strlen(end) : NULL;
    return to ? from : NULL;
}

/* The SVG as an element of the page: without prolog, and without title and metadata, which the page says itself. */
static int put_svg(strbuf *out, const char *svg, const char *alt, err *e)
{
    static const char *const leave[][2] = {{"<title>", "</title>\n"}, {"<metadata>", "</metadata>\n"}};
    const char *at = strstr(svg, "<svg");
    if (!at)
        return err_set(e, ERR_FAILED, "a figure is no SVG");
    strbuf_puts(out, "<svg role=\"img\" aria-label=\"");
    put_text(out, alt);
    strbuf_putc(out, '"');
    at += 4;
    for (size_t i = 0; i < sizeof leave / sizeof *leave; i++) {
        const char *behind, *from = element(at, leave[i][0], leave[i][1], &behind);
        if (from) {
            strbuf_add(out, at, (size_t)(from - at));
            at = behind;
        }
    }
    strbuf_puts(out, at);
    return 0;
}

/* Millimetres in width="174mm". */
static double width_of(const char *svg)
{
    const char *at = strstr(svg, " width=\"");
    return at ? strtod(at + 8, NULL) : 0;
}

static int put_figure(strbuf *out, report_build *b, const report_block *k, int number, err *e)
{
    enum { NARROW_MM = 100 };
    figure_source src = {0};
    strbuf svg = {0}, alt = {0};
    const report_figure *f = k->figure;
    int rc = report_figure_load(&src, &alt, b, f, e);
    if (rc == ERR_FAILED || rc == ERR_USAGE) { /* the rows do not suffice: said, not left out in silence */
        strbuf_printf(out, "<figure class=\"narrow\" id=\"figure-%d\"><figcaption><b>Figure %d.</b> Not drawn: ", number, number);
        put_text(out, f->recipe->name);
        strbuf_puts(out, ": ");
        put_text(out, report_visible(b->doc, e->msg, false));
        strbuf_puts(out, "</figcaption></figure>\n");
        *e = (err){0};
        rc = 0;
        goto out;
    }
    if (!rc)
        rc = figure_encode(&svg, f->recipe, &src.d, f->p, "figure.svg", e);
    if (rc)
        goto out;
    strbuf_printf(out, "<figure class=\"%s\" id=\"figure-%d\">\n<div class=\"scroll\" tabindex=\"0\" role=\"region\""
                  " aria-label=\"Figure %d\">\n", width_of(strbuf_str(&svg)) > NARROW_MM ? "wide" : "narrow", number, number);
    rc = put_svg(out, strbuf_str(&svg), strbuf_str(&alt), e);
    strbuf_printf(out, "</div>\n<figcaption><b>Figure %d.</b> ", number);
    if (src.d.title)
        put_text(out, report_visible(b->doc, src.d.title, false));
    strbuf_puts(out, ". ");
    put_text(out, report_visible(b->doc, src.d.caption ? src.d.caption : src.d.subtitle ? src.d.subtitle : "", false));
    if (f->command) {
        strbuf_puts(out, "\n<details><summary>Command</summary><code>");
        put_text(out, f->command);
        strbuf_puts(out, "</code></details>");
    }
    strbuf_puts(out, "</figcaption>\n</figure>\n");
    if (!rc && (svg.failed || alt.failed || out->failed))
        rc = err_nomem(e, "report");
out:
    figure_source_free(&src);
    strbuf_free(&svg);
    strbuf_free(&alt);
    return rc;
}

/* ---- tables ---- */

/* Short words, as numbers and names are, stay on one line. */
static bool is_short(const table *t, int col)
{
    for (int64_t i = 0; i < t->n_row; i++)
        if (strlen(cell_string(table_cell(t, i, col))) > 24)
            return false;
    return true;
}

static void put_cell(strbuf *out, const report_block *k, int64_t row, int col, bool number, bool brief)
{
    const cell *c = table_cell(k->t, row, col);
    strbuf text = {0};
    report_cell(&text, k, row, col);
    if (col == 0)
        strbuf_puts(out, "<th scope=\"row\"");
    else
        strbuf_puts(out, number ? "<td class=\"n\"" : brief ? "<td class=\"t s\"" : "<td class=\"t\"");
    if (c->kind == CELL_REAL) {
        strbuf_puts(out, " data-v=\"");
        strbuf_put_real(out, c->u.r);
        strbuf_putc(out, '"');
    }
    strbuf_putc(out, '>');
    put_text(out, strbuf_str(&text));
    strbuf_puts(out, col == 0 ? "</th>" : "</td>");
    out->failed |= text.failed;
    strbuf_free(&text);
}

static int put_table(strbuf *out, const report_block *k, int number, err *e)
{
    const table *t = k->t;
    bool *numeric = mem_array((size_t)t->n_col, sizeof *numeric, e), *brief = mem_array((size_t)t->n_col, sizeof *brief, e);
    int rc = numeric && brief ? 0 : ERR_RESOURCE;
    if (rc)
        goto out;
    if (k->folded) {
        strbuf_printf(out, "<details><summary>Table %d, %" PRId64 " rows. ", number, t->n_row);
        put_text(out, k->text);
        strbuf_puts(out, "</summary>\n");
    }
    strbuf_printf(out, "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-labelledby=\"table-%d\">\n<table%s>\n"
                  "<caption id=\"table-%d\"><b>Table %d.</b> ", number, t->n_row > 1 ? " class=\"sortable\"" : "", number,
                  number);
    put_text(out, k->text);
    strbuf_puts(out, "</caption>\n<thead>\n<tr>");
    for (int c = 0; c < t->n_col; c++) {
        numeric[c] = report_numeric(t, c);
        brief[c] = is_short(t, c);
        strbuf_printf(out, "<th scope=\"col\"%s>", numeric[c] ? " class=\"n\"" : "");
        put_text(out, t->column[c]);
        if (t->unit[c] && *t->unit[c]) {
            strbuf_puts(out, " (");
            put_text(out, t->unit[c]);
            strbuf_putc(out, ')');
        }
        strbuf_puts(out, "</th>");
    }
    strbuf_puts(out, "</tr>\n</thead>\n<tbody>\n");
    for (int64_t r = 0; r < t->n_row && !rc; r++) {
        strbuf_puts(out, "<tr>");
        for (int c = 0; c < t->n_col; c++)
            put_cell(out, k, r, c, numeric[c], brief[c]);
        strbuf_puts(out, "</tr>\n");
        rc = cancel_check(e);
    }
    strbuf_puts(out, k->folded ? "</tbody>\n</table>\n</div>\n</details>\n" : "</tbody>\n</table>\n</div>\n");
out:
    free(numeric);
    free(brief);
    return rc;
}

/* ---- the rest ---- */

static void put_facts(strbuf *out, const report_block *k)
{
    if (k->n == 0)
        return;
    if (k->text) {
        strbuf_puts(out, "<section class=\"def\">\n");
        put_element(out, "h4", NULL, k->text);
    }
    strbuf_puts(out, "<dl>\n");
    for (int i = 0; i < k->n; i++) {
        strbuf_puts(out, "<dt>");
        put_text(out, k->fact[i].name);
        strbuf_puts(out, k->fact[i].code ? "</dt><dd><code>" : "</dt><dd>");
        (k->fact[i].code ? put_text : put_prose)(out, k->fact[i].value);
        strbuf_puts(out, k->fact[i].code ? "</code></dd>\n" : "</dd>\n");
    }
    strbuf_puts(out, k->text ? "</dl>\n</section>\n" : "</dl>\n");
}

static void put_code(strbuf *out, const report_block *k)
{
    if (k->folded) {
        strbuf_puts(out, "<details><summary>");
        put_text(out, k->fold);
        strbuf_puts(out, "</summary>\n");
    }
    strbuf_puts(out, "<pre>\n");
    put_text(out, k->text);
    strbuf_puts(out, k->folded ? "</pre></details>\n" : "</pre>\n");
}

static int put_body(strbuf *out, report_build *b, err *e)
{
    const report_doc *d = b->doc;
    int n_figure = 0, n_table = 0, rc = 0;
    for (int i = 0; i < d->n && !rc; i++) {
        const report_block *k = &d->block[i];
        bool before = i > 0 && d->block[i - 1].kind == REPORT_FIGURE, after = i + 1 < d->n &&
            d->block[i + 1].kind == REPORT_FIGURE;
        progress_step(&b->s->prog, "writing the report", i, d->n);
        switch (k->kind) {
        case REPORT_HEADING:
            strbuf_printf(out, "<h%d id=\"%s\">", k->level, k->id);
            put_text(out, k->text);
            strbuf_printf(out, "</h%d>\n", k->level);
            break;
        case REPORT_TEXT:
            strbuf_puts(out, "<p>");
            (k->prose ? put_prose : put_text)(out, k->text);
            strbuf_puts(out, "</p>\n");
            break;
        case REPORT_CODE: put_code(out, k); break;
        case REPORT_FACTS: put_facts(out, k); break;
        case REPORT_TABLE: rc = put_table(out, k, ++n_table, e); break;
        case REPORT_FIGURE:
            strbuf_puts(out, before ? "" : "<div class=\"figures\">\n");
            rc = put_figure(out, b, k, ++n_figure, e);
            strbuf_puts(out, after ? "" : "</div>\n");
            break;
        }
        if (!rc)
            rc = cancel_check(e);
    }
    return rc;
}

static void put_nav(strbuf *out, const report_doc *d)
{
    int level = 1;
    for (int i = 0; i < d->n; i++) {
        const report_block *k = &d->block[i];
        if (k->kind != REPORT_HEADING || k->level > 3)
            continue;
        for (; level < k->level; level++)
            strbuf_puts(out, "<ul>\n<li>");
        if (level > k->level) {
            for (; level > k->level; level--)
                strbuf_puts(out, "</li>\n</ul>");
            strbuf_puts(out, "</li>\n<li>");
        } else if (out->len && out->s[out->len - 1] == '\n') {
            strbuf_puts(out, "</li>\n<li>");
        }
        strbuf_printf(out, "<a href=\"#%s\">", k->id);
        put_text(out, k->text);
        strbuf_puts(out, "</a>\n");
    }
    for (; level > 1; level--)
        strbuf_puts(out, "</li>\n</ul>\n");
}

static void put_header(strbuf *out, const report_doc *d)
{
    put_element(out, "h1", NULL, d->title);
    if (d->subtitle && *d->subtitle)
        put_element(out, "p", "sub", d->subtitle);
    if (d->author && *d->author)
        put_element(out, "p", "sub", d->author);
}

/* Nothing is loaded from anywhere, and no script but ours runs. */
static int put_policy(strbuf *out, err *e)
{
    sha256_hex hex;
    uint8_t digest[32];
    int rc = sha256_of(hex, report_script, strlen(report_script), e);
    if (rc)
        return rc;
    for (size_t i = 0; i < sizeof digest; i++)
        digest[i] = (uint8_t)strtoul((char[]){hex[2 * i], hex[2 * i + 1], 0}, NULL, 16);
    strbuf_puts(out, "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-");
    strbuf_put_base64(out, digest, sizeof digest);
    strbuf_puts(out, "'; base-uri 'none'; form-action 'none'");
    return 0;
}

/* One {{name}} of the page. */
static int put_place(strbuf *out, report_build *b, const char *name, size_t n, int line, err *e)
{
    static const char *const names[] = {"title", "author", "generator", "csp", "style", "script", "header", "nav", "body",
                                        "footer",
                                        NULL};
    const report_doc *d = b->doc;
    int i = 0;
    while (names[i] && (strlen(names[i]) != n || strncmp(names[i], name, n) != 0))
        i++;
    switch (i) {
    case 0: put_text(out, d->title); return 0;
    case 1: put_text(out, d->author ? d->author : ""); return 0;
    case 2: strbuf_printf(out, "attnscope %s", program_version); return 0;
    case 3: return put_policy(out, e);
    case 4: strbuf_puts(out, report_style); return 0;
    case 5: strbuf_puts(out, report_script); return 0;
    case 6: put_header(out, d); return 0;
    case 7: {
        strbuf nav = {0};
        put_nav(&nav, d);
        strbuf_add(out, nav.s, nav.len);
        out->failed |= nav.failed;
        strbuf_free(&nav);
        return 0;
    }
    case 8: return put_body(out, b, e);
    case 9:
        strbuf_printf(out, "<p>Made by attnscope %s from stored rows. This page loads nothing from the network; its script only "
                      "lets tables be sorted by a click on a column.</p>\n", program_version);
        return 0;
    default:
        err_set(e, ERR_INPUT, "page, line %d: no part of a report is called '%.*s'", line, (int)(n < 40 ? n : 40), name);
        return err_hint(e, "title, author, generator, csp, style, script, header, nav, body and footer are");
    }
}

int report_write_html(strbuf *out, report_build *b, err *e)
{
    const char *page = b->opt->page ? b->opt->page : report_page_default, *at = page, *open;
    int rc = 0, line = 1;
    if (!strstr(page, "{{body}}")) {
        err_set(e, ERR_INPUT, "the page has no {{body}}");
        return err_hint(e, "put {{body}} where the text of the report is to stand");
    }
    for (; (open = strstr(at, "{{")) && !rc; ) {
        const char *close = strstr(open, "}}");
        for (const char *c = at; c < open; c++)
            line += *c == '\n';
        if (!close) {
            rc = err_set(e, ERR_INPUT, "page, line %d: {{ without }}", line);
            break;
        }
        strbuf_add(out, at, (size_t)(open - at));
        rc = put_place(out, b, open + 2, (size_t)(close - open) - 2, line, e);
        at = close + 2;
    }
    if (!rc)
        strbuf_puts(out, at);
    return rc ? rc : out->failed || b->doc->failed ? err_nomem(e, "report") : 0;
}
