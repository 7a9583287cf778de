#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "cli/output.h"
#include "base/text_width.h"

#define GAP 2           /* blanks between columns */
#define NARROWEST 8     /* columns that elided text keeps */
#define FLUSH_AT ((size_t)1 << 15)
#define EACH (-1)       /* decimals: chosen for each number apart */

typedef struct layout {
    bool number;        /* nothing but numbers and NULL */
    int digits;         /* significant ones of its reals */
    int decimals;       /* of its reals */
    int left, right;    /* columns before the point, and from the point on (numbers) */
    int width;          /* columns of the cells and the header */
    strbuf header;      /* the name, with the unit */
    strbuf below;       /* the unit, where it has a line of its own */
} layout;

/* --- numbers --- */

/* floor(log10(x)) of the number rounded to so many digits. */
static int magnitude(double x, int digits)
{
    int exponent = (int)floor(log10(x));
    return x / pow(10, exponent) >= 10 - 5 * pow(10, -digits) ? exponent + 1 : exponent;
}

/* As many decimals for the whole column as give its largest number so many digits, when that leaves the
 * smallest at least two. */
static int common_decimals(double smallest, double largest, bool integral, int digits)
{
    if (integral && largest < 1e15)
        return 0;
    if (largest < 1e-3 || largest >= 1e7)
        return EACH;
    int decimals = digits - 1 - magnitude(largest, digits);
    if (decimals < 0)
        decimals = 0;
    return smallest * pow(10, decimals) < 9.5 ? EACH : decimals;
}

/* Drop decimals that are zero in the whole column: 0.04 and 0.5 need two of them, not four. */
static int needed_decimals(const table *t, int col, int decimals)
{
    for (; decimals > 0; decimals--) {
        double unit = pow(10, decimals - 1);
        for (int64_t row = 0; row < t->n_row; row++) {
            double v = cell_number(table_cell(t, row, col));
            if (isfinite(v) && fabs(v * unit - round(v * unit)) > 1e-9 * fabs(v * unit))
                return decimals;
        }
    }
    return decimals;
}

static void put_real(strbuf *b, double v, int decimals, int digits)
{
    double size = fabs(v);
    if (isnan(v) || isinf(v)) {
        strbuf_puts(b, isnan(v) ? "nan" : v < 0 ? "-inf" : "inf");
    } else if (v == 0) {
        strbuf_printf(b, "%.*f", decimals > 0 ? decimals : 0, 0.0);
    } else if (decimals != EACH) {
        strbuf_printf(b, "%.*f", decimals, v);
    } else if (size < 1e-4 || size >= 1e7) {
        strbuf_printf(b, "%.*e", digits - 1, v);
    } else {
        decimals = digits - 1 - magnitude(size, digits);
        strbuf_printf(b, "%.*f", decimals > 0 ? decimals : 0, v);
    }
}

/* The text of a cell, safe for a terminal. */
static void put_cell(strbuf *b, const cell *c, const layout *l)
{
    strbuf_clear(b);
    switch (c->kind) {
    case CELL_NULL: strbuf_putc(b, '-'); break;
    case CELL_INT: strbuf_printf(b, "%" PRId64, c->u.i); break;
    case CELL_REAL: put_real(b, c->u.r, l->decimals, l->digits); break;
    case CELL_TEXT: strbuf_put_visible(b, c->u.s, strlen(c->u.s)); break;
    }
}

/* --- layout --- */

static void scan_numbers(const table *t, int col, layout *l)
{
    double smallest = INFINITY, largest = 0;
    bool integral = true;
    l->number = t->n_row > 0;
    for (int64_t row = 0; row < t->n_row; row++) {
        const cell *c = table_cell(t, row, col);
        if (c->kind == CELL_TEXT)
            l->number = false;
        if (c->kind != CELL_REAL || !isfinite(c->u.r) || c->u.r == 0)
            continue;
        double size = fabs(c->u.r);
        smallest = size < smallest ? size : smallest;
        largest = size > largest ? size : largest;
        integral = integral && c->u.r == trunc(c->u.r);
    }
    l->decimals = largest > 0 ? common_decimals(smallest, largest, integral, l->digits) : 0;
    if (l->decimals > 0)
        l->decimals = needed_decimals(t, col, l->decimals);
}

static int larger(int a, int b)
{
    return a > b ? a : b;
}

/* The header on one line, or with its unit on a line below it. */
static void make_header(const table *t, int col, bool two_lines, layout *l)
{
    const char *name = t->column[col], *unit = t->unit[col];
    strbuf_clear(&l->header);
    strbuf_clear(&l->below);
    strbuf_put_visible(&l->header, name, strlen(name));
    if (unit && *unit) {
        strbuf *b = two_lines ? &l->below : &l->header;
        strbuf_puts(b, two_lines ? "[" : " [");
        strbuf_put_visible(b, unit, strlen(unit));
        strbuf_putc(b, ']');
    }
}

static void measure(const table *t, int col, int digits, bool two_lines, layout *l)
{
    strbuf text = {0};
    *l = (layout){.digits = digits, .header = l->header, .below = l->below};
    scan_numbers(t, col, l);
    make_header(t, col, two_lines, l);
    for (int64_t row = 0; row < t->n_row; row++) {
        const cell *c = table_cell(t, row, col);
        put_cell(&text, c, l);
        const char *s = strbuf_str(&text);
        if (!l->number || c->kind == CELL_NULL) {
            l->width = larger(l->width, text_columns(s, text.len));
        } else {
            int left = (int)strcspn(s, ".");
            l->left = larger(l->left, left);
            l->right = larger(l->right, (int)text.len - left);
        }
    }
    l->width = larger(l->width, l->left + l->right);
    l->width = larger(l->width, text_columns(strbuf_str(&l->header), l->header.len));
    l->width = larger(l->width, text_columns(strbuf_str(&l->below), l->below.len));
    l->header.failed = l->header.failed || l->below.failed || text.failed;
    strbuf_free(&text);
}

static int total_width(const layout *l, int n)
{
    int sum = GAP * (n - 1);
    for (int i = 0; i < n; i++)
        sum += l[i].width;
    return sum;
}

/* Take from the widest text until the table fits.  False: it cannot. */
static bool shrink(layout *l, int n, int width)
{
    for (int total = total_width(l, n); total > width; total--) {
        layout *widest = NULL;
        for (int i = 0; i < n; i++) {
            if (!l[i].number && l[i].width > NARROWEST && (!widest || l[i].width > widest->width))
                widest = &l[i];
        }
        if (!widest)
            return false;
        widest->width--;
    }
    return true;
}

static bool any_below(const layout *l, int n)
{
    for (int i = 0; i < n; i++) {
        if (l[i].below.len)
            return true;
    }
    return false;
}

/* The first of the ways that fits.  False: none does, and l is as on a page without limits. */
static bool arrange(const table *t, layout *l, int width)
{
    static const struct { int digits; bool two_lines, cut; } ways[] = {
        {4, false, false}, {4, true, false}, {3, true, false}, {4, false, true}, {4, true, true}, {3, true, true},
        {2, true, true}, {4, false, false},
    };
    for (size_t way = 0; way < sizeof ways / sizeof *ways; way++) {
        for (int i = 0; i < t->n_col; i++)
            measure(t, i, ways[way].digits, ways[way].two_lines, &l[i]);
        if (width <= 0 || (ways[way].cut ? shrink(l, t->n_col, width) : total_width(l, t->n_col) <= width))
            return true;
    }
    return t->n_row == 0;
}

/* --- writing --- */

static void put_blanks(strbuf *b, int n)
{
    for (; n > 0; n--)
        strbuf_putc(b, ' ');
}

/* s cut to `columns`; returns the columns it takes. */
static int put_elided(strbuf *b, const char *s, size_t n, int columns, const output_style *style)
{
    int width = text_columns(s, n);
    if (width <= columns) {
        strbuf_add(b, s, n);
        return width;
    }
    const char *dots = style->utf8 ? "\xe2\x80\xa6" : "..";
    int dots_width = style->utf8 ? 1 : 2;
    size_t fit = text_fit(s, n, columns - dots_width);
    strbuf_add(b, s, fit);
    strbuf_puts(b, dots);
    return text_columns(s, fit) + dots_width;
}

static void put_header_line(strbuf *b, const layout *l, int n, bool below, const output_style *style)
{
    for (int i = 0; i < n; i++) {
        const strbuf *text = below ? &l[i].below : &l[i].header;
        const char *s = strbuf_str(text);
        int pad = l[i].width - text_columns(s, text->len);
        if (i)
            put_blanks(b, GAP);
        if (l[i].number)
            put_blanks(b, pad);
        if (style->colour && text->len)
            strbuf_puts(b, "\033[1;4m");
        int took = put_elided(b, s, text->len, l[i].width, style);
        if (style->colour && text->len)
            strbuf_puts(b, "\033[0m");
        if (!l[i].number && i + 1 < n)
            put_blanks(b, l[i].width - took);
    }
    strbuf_putc(b, '\n');
}

static void put_row(strbuf *b, strbuf *text, const table *t, int64_t row, const layout *l,
                    const output_style *style)
{
    for (int i = 0; i < t->n_col; i++) {
        const cell *c = table_cell(t, row, i);
        put_cell(text, c, &l[i]);
        const char *s = strbuf_str(text);
        if (i)
            put_blanks(b, GAP);
        if (l[i].number) {
            int left = (int)strcspn(s, "."), right = (int)text->len - left;
            int after = c->kind == CELL_NULL ? 0 : l[i].right - right;
            put_blanks(b, l[i].width - (int)text->len - after);
            strbuf_add(b, s, text->len);
            if (i + 1 < t->n_col)
                put_blanks(b, after);
        } else {
            int took = put_elided(b, s, text->len, l[i].width, style);
            if (i + 1 < t->n_col)
                put_blanks(b, l[i].width - took);
        }
    }
    strbuf_putc(b, '\n');
}

/* A block of "name  value" lines. */
static void put_record(strbuf *b, strbuf *text, const table *t, int64_t row, const layout *l, int names,
                       const output_style *style)
{
    if (row)
        strbuf_putc(b, '\n');
    for (int i = 0; i < t->n_col; i++) {
        if (style->colour)
            strbuf_puts(b, "\033[1m");
        int took = put_elided(b, strbuf_str(&l[i].header), l[i].header.len, names, style);
        if (style->colour)
            strbuf_puts(b, "\033[0m");
        put_blanks(b, names - took + GAP);
        put_cell(text, table_cell(t, row, i), &l[i]);
        put_elided(b, strbuf_str(text), text->len, larger(style->width - names - GAP, NARROWEST), style);
        strbuf_putc(b, '\n');
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
        put_cell(text, c, &l[i]);
        strbuf_puts(b, strbuf_str(&l[i].header));
        if (l[i].below.len)
            strbuf_printf(b, " %s", strbuf_str(&l[i].below));
        strbuf_puts(b, ": ");
        strbuf_add(b, strbuf_str(text), text->len);
        strbuf_putc(b, '\n');
    }
}

int output_aligned(FILE *f, const table *t, const output_style *style, err *e)
{
    strbuf b = {0}, text = {0};
    int names = 0, rc = 0;
    layout *l = mem_array((size_t)t->n_col, sizeof *l, e);
    if (!l)
        return ERR_RESOURCE;
    bool records = !arrange(t, l, style->plain ? 0 : style->width);
    for (int i = 0; i < t->n_col; i++) {
        names = larger(names, text_columns(strbuf_str(&l[i].header), l[i].header.len));
        if (l[i].header.failed && !rc)
            rc = err_nomem(e, "output");
    }
    if (style->width > 0 && names > style->width / 2)
        names = larger(style->width / 2, NARROWEST);
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
            put_row(&b, &text, t, row, l, style);
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
    strbuf_free(&text);
    strbuf_free(&b);
    return rc;
}
