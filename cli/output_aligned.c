#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "base/text_width.h"
#include "cli/output.h"
#include "cli/output_layout.h"

#define FLUSH_AT ((size_t)1 << 15)
#define ROW_LINES 3      /* that the text of a row may take on a narrow terminal */
#define NARROWEST_VALUE 8 /* columns of a value in a block of lines */

static int larger(int a, int b)
{
    return a > b ? a : b;
}

static void put_blanks(strbuf *b, int n)
{
    for (; n > 0; n--)
        strbuf_putc(b, ' ');
}

/* s cut to `columns`, at its end or in its middle; returns the columns it takes. */
static int put_elided(strbuf *b, const char *s, size_t n, int columns, bool middle, const output_style *style)
{
    int width = text_columns(s, n);
    if (width <= columns) {
        strbuf_add(b, s, n);
        return width;
    }
    const char *dots = style->utf8 ? "\xe2\x80\xa6" : "..";
    int dots_width = style->utf8 ? 1 : 2, room = columns - dots_width;
    size_t fit = text_fit(s, n, middle ? (room + 1) / 2 : room), rest = n;
    while (!middle && fit > 1 && s[fit - 1] == ' ')
        fit--;
    strbuf_add(b, s, fit);
    strbuf_puts(b, dots);
    int took = text_columns(s, fit) + dots_width;
    while (middle && text_columns(s + rest, n - rest) < columns - took) /* characters of the end, one at a time */
        do
            rest--;
        while (rest > fit && ((unsigned char)s[rest] & 0xc0) == 0x80);
    if (text_columns(s + rest, n - rest) > columns - took) /* the last of them was a wide one */
        rest += (size_t)utf8_next(NULL, s + rest, n - rest);
    strbuf_add(b, s + rest, n - rest);
    return took + text_columns(s + rest, n - rest);
}

/* The blanks from `end` on only lined up what did not come. */
static void end_line(strbuf *b, size_t end)
{
    if (!b->failed && b->len > end)
        b->s[b->len = end] = '\0';
    strbuf_putc(b, '\n');
}

static void put_header_line(strbuf *b, const layout *l, int n, bool below, const output_style *style)
{
    size_t end = b->len;
    for (int i = 0; i < n; i++) {
        const strbuf *text = below ? &l[i].below : &l[i].header;
        const char *s = strbuf_str(text);
        int pad = l[i].width - text_columns(s, text->len);
        if (i)
            put_blanks(b, COLUMN_GAP);
        if (l[i].number)
            put_blanks(b, pad);
        if (style->colour && text->len)
            strbuf_puts(b, "\033[1;4m");
        int took = put_elided(b, s, text->len, l[i].width, false, style);
        if (style->colour && text->len)
            strbuf_puts(b, "\033[0m");
        end = text->len ? b->len : end;
        if (!l[i].number && i + 1 < n)
            put_blanks(b, l[i].width - took);
    }
    end_line(b, end);
}

/* One line of a cell from *at on, moved behind it; returns the columns it takes.  The last line holds the rest. */
static int put_text_line(strbuf *b, const strbuf *text, size_t *at, const layout *l, bool last, const output_style *style)
{
    const char *s = strbuf_str(text) + *at;
    size_t n = text->len - *at, fit = text_fit(s, n, l->width);
    if (fit == n || !l->wraps || last) {
        *at = text->len;
        return put_elided(b, s, n, l->width, !l->wraps, style);
    }
    size_t end = fit;
    while (end > 0 && s[end] != ' ')
        end--;
    end = end ? end : fit;
    strbuf_add(b, s, end);
    *at += end;
    *at += strspn(strbuf_str(text) + *at, " ");
    return text_columns(s, end);
}

static void put_number(strbuf *b, const strbuf *text, const cell *c, const layout *l, bool end_of_line)
{
    int left = (int)strcspn(strbuf_str(text), "."), right = (int)text->len - left;
    int after = c->kind == CELL_NULL ? 0 : l->right - right;
    put_blanks(b, l->width - (int)text->len - after);
    strbuf_add(b, strbuf_str(text), text->len);
    if (!end_of_line)
        put_blanks(b, after);
}

/* A row, in as many lines as its longest text needs, ROW_LINES at most.  at: room for n_col. */
static void put_row(strbuf *b, strbuf *text, size_t *at, const table *t, int64_t row, const layout *l,
                    const output_style *style)
{
    bool more = true;
    memset(at, 0, (size_t)t->n_col * sizeof *at);
    for (int line = 0; more && line < ROW_LINES; line++) {
        size_t end = b->len;
        more = false;
        for (int i = 0; i < t->n_col; i++) {
            const cell *c = table_cell(t, row, i);
            layout_cell(text, c, &l[i]);
            if (i)
                put_blanks(b, COLUMN_GAP);
            if (l[i].number && line == 0) {
                put_number(b, text, c, &l[i], i + 1 == t->n_col);
                end = b->len;
                continue;
            }
            int took = l[i].number ? 0 : put_text_line(b, text, &at[i], &l[i], line + 1 == ROW_LINES, style);
            end = took ? b->len : end;
            more = more || (!l[i].number && at[i] < text->len);
            if (i + 1 < t->n_col)
                put_blanks(b, l[i].width - took);
        }
        end_line(b, end);
    }
}

/* A block of "name  value" lines. */
static void put_record(strbuf *b, strbuf *text, const table *t, int64_t row, const layout *l, int names,
                       const output_style *style)
{
    const layout value = {.wraps = true, .width = larger(style->width - names - COLUMN_GAP, NARROWEST_VALUE)};
    if (row)
        strbuf_putc(b, '\n');
    for (int i = 0; i < t->n_col; i++) {
        size_t at = 0;
        layout_cell(text, table_cell(t, row, i), &l[i]);
        if (text->len == 0)
            continue;
        if (style->colour)
            strbuf_puts(b, "\033[1m");
        int took = put_elided(b, strbuf_str(&l[i].header), l[i].header.len, names, false, style);
        if (style->colour)
            strbuf_puts(b, "\033[0m");
        for (int line = 0; line == 0 || (at < text->len && line < ROW_LINES); line++) {
            put_blanks(b, line ? names + COLUMN_GAP : names - took + COLUMN_GAP);
            put_text_line(b, text, &at, &value, line + 1 == ROW_LINES, style);
            strbuf_putc(b, '\n');
        }
    }
}

/* A line a column for a screen reader: no columns to line up, nothing for what is not there. */
static void put_plain(strbuf *b, strbuf *text, const table *t, int64_t row, const layout *l)
{
    if (row)
        strbuf_putc(b, '\n');
    for (int i = 0; i < t->n_col; i++) {
        const cell *c = table_cell(t, row, i);
        if (c->kind == CELL_NULL)
            continue;
        layout_cell(text, c, &l[i]);
        if (text->len == 0)
            continue;
        strbuf_puts(b, strbuf_str(&l[i].header));
        if (l[i].below.len)
            strbuf_printf(b, " %s", strbuf_str(&l[i].below));
        strbuf_puts(b, ": ");
        strbuf_add(b, strbuf_str(text), text->len);
        strbuf_putc(b, '\n');
    }
}

static bool any_below(const layout *l, int n)
{
    for (int i = 0; i < n; i++) {
        if (l[i].below.len)
            return true;
    }
    return false;
}

int output_aligned(FILE *f, const table *t, const output_style *style, err *e)
{
    strbuf b = {0}, text = {0};
    int names = 0, rc = 0;
    layout *l = mem_array((size_t)t->n_col, sizeof *l, e);
    size_t *at = mem_array((size_t)t->n_col, sizeof *at, e);
    if (!l || !at) {
        free(l);
        free(at);
        return ERR_RESOURCE;
    }
    bool records = !layout_arrange(l, t, style->plain ? 0 : style->width);
    for (int i = 0; i < t->n_col; i++) {
        names = larger(names, text_columns(strbuf_str(&l[i].header), l[i].header.len));
        if (l[i].header.failed && !rc)
            rc = err_nomem(e, "output");
    }
    if (style->width > 0 && names > style->width / 2)
        names = larger(style->width / 2, NARROWEST_VALUE);
    if (!rc && !records && !(style->plain && t->n_row)) {
        put_header_line(&b, l, t->n_col, false, style);
        if (any_below(l, t->n_col))
            put_header_line(&b, l, t->n_col, true, style);
    }
    for (int64_t row = 0; row < t->n_row && !rc; row++) {
        if (style->plain)
            put_plain(&b, &text, t, row, l);
        else if (records)
            put_record(&b, &text, t, row, l, names, style);
        else
            put_row(&b, &text, at, t, row, l, style);
        if (text.failed)
            rc = err_nomem(e, "output");
        else if (b.len >= FLUSH_AT)
            rc = output_flush(f, &b, e);
    }
    if (!rc)
        rc = output_flush(f, &b, e);
    for (int i = 0; i < t->n_col; i++) {
        strbuf_free(&l[i].header);
        strbuf_free(&l[i].below);
    }
    free(l);
    free(at);
    strbuf_free(&text);
    strbuf_free(&b);
    return rc;
}
