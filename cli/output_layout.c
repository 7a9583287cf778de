#include "cli/output_layout.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/text_width.h"

#define NARROWEST 8     /* columns that text keeps */
#define LONGEST_WORD 16 /* of a text that goes on in further lines: it need not be broken up to this */
#define EACH (-1)       /* decimals: chosen for each number apart */
/* Bytes for each column of the page that a long text keeps at its beginning and its end: however wide its characters are,
 * more than is ever shown of it. */
enum { KEPT_HEAD = 16, KEPT_TAIL = 4 };

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

/* 0.07, not 0.07000: zeros go while the rest is still the very number. */
static void drop_zeros(strbuf *b, size_t start, double v)
{
    if (b->failed || strtod(b->s + start, NULL) != v)
        return;
    while (b->s[b->len - 1] == '0' || b->s[b->len - 1] == '.') {
        bool point = b->s[b->len - 1] == '.';
        b->s[--b->len] = '\0';
        if (point)
            return;
    }
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
        size_t start = b->len;
        decimals = digits - 1 - magnitude(size, digits);
        strbuf_printf(b, "%.*f", decimals > 0 ? decimals : 0, v);
        if (decimals > 0)
            drop_zeros(b, start, v);
    }
}

static bool inside_character(char c)
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

static void put_text(strbuf *b, const char *s, const layout *l)
{
    size_t n = strlen(s), head = (size_t)l->page * KEPT_HEAD, tail = n - (size_t)l->page * KEPT_TAIL;
    if (n <= 2 * head || head == 0) {
        strbuf_put_visible(b, s, n);
        return;
    }
    while (inside_character(s[head]) && head > 1)
        head--;
    while (inside_character(s[tail]))
        tail++;
    strbuf_put_visible(b, s, head);
    strbuf_put_visible(b, s + tail, n - tail);
}

void layout_cell(strbuf *b, const cell *c, const layout *l)
{
    strbuf_clear(b);
    switch (c->kind) {
    case CELL_NULL: strbuf_putc(b, '-'); break;
    case CELL_INT: strbuf_printf(b, "%" PRId64, c->u.i); break;
    case CELL_REAL: put_real(b, c->u.r, l->decimals, l->digits); break;
    case CELL_TEXT: put_text(b, c->u.s, l); break;
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

static int longest_word(const char *s)
{
    int longest = 0;
    while (*s) {
        size_t n = strcspn(s, " ");
        longest = larger(longest, text_columns(s, n));
        s += n + (s[n] == ' ');
    }
    return longest;
}

static void measure(const table *t, int col, int digits, bool two_lines, int page, layout *l)
{
    strbuf text = {0};
    int word = 0;
    int64_t step = 1 + t->n_row / LAYOUT_SAMPLE;
    *l = (layout){.digits = digits, .page = page, .header = l->header, .below = l->below};
    scan_numbers(t, col, l);
    make_header(t, col, two_lines, l);
    for (int64_t row = 0; row < t->n_row; row++) {
        const cell *c = table_cell(t, row, col);
        layout_cell(&text, c, l);
        const char *s = strbuf_str(&text);
        if (!l->number || c->kind == CELL_NULL) {
            l->width = larger(l->width, text_columns(s, text.len));
            if (row % step == 0 && l->n_sample < LAYOUT_SAMPLE)
                l->sample[l->n_sample++] = text_columns(s, text.len);
            l->wraps = l->wraps || strchr(s, ' ');
            word = larger(word, longest_word(s));
        } else {
            int left = (int)strcspn(s, ".");
            l->left = larger(l->left, left);
            l->right = larger(l->right, (int)text.len - left);
        }
    }
    l->width = larger(l->width, l->left + l->right);
    l->width = larger(l->width, text_columns(strbuf_str(&l->header), l->header.len));
    l->width = larger(l->width, text_columns(strbuf_str(&l->below), l->below.len));
    /* words stay whole as far as can be; of a name without blanks two thirds still tell it */
    l->least = larger(NARROWEST, !l->wraps ? (2 * l->width + 2) / 3 : word < LONGEST_WORD ? word : LONGEST_WORD);
    l->header.failed = l->header.failed || l->below.failed || text.failed;
    strbuf_free(&text);
}

static int total_width(const layout *l, int n)
{
    int sum = COLUMN_GAP * (n - 1);
    for (int i = 0; i < n; i++)
        sum += l[i].width;
    return sum;
}

/* What it costs to show in so many columns: lines that the texts of the sample take. */
static int sample_lines(const layout *l, int width)
{
    int lines = 0;
    for (int i = 0; i < l->n_sample; i++)
        lines += (l->sample[i] + width - 1) / width;
    return l->wraps ? lines : 8 * lines; /* a name that is cut is worth more than a few lines */
}

/* Take from the texts until the table fits, where it makes fewest lines longer.  False: it cannot. */
static bool shrink(layout *l, int n, int width)
{
    for (int total = total_width(l, n); total > width; total--) {
        layout *best = NULL;
        int cost = 0;
        for (int i = 0; i < n; i++) {
            if (l[i].number || l[i].width <= l[i].least)
                continue;
            int more = sample_lines(&l[i], l[i].width - 1) - sample_lines(&l[i], l[i].width);
            if (!best || more < cost || (more == cost && l[i].width > best->width)) {
                best = &l[i];
                cost = more;
            }
        }
        if (!best)
            return false;
        best->width--;
    }
    return true;
}

bool layout_arrange(layout *l, const table *t, int width)
{
    static const struct { int digits; bool two_lines, cut; } ways[] = {
        {4, false, false}, {4, true, false}, {3, true, false}, {4, false, true}, {4, true, true}, {3, true, true},
        {2, true, true}, {4, false, false},
    };
    for (size_t way = 0; way < sizeof ways / sizeof *ways; way++) {
        for (int i = 0; i < t->n_col; i++)
            measure(t, i, ways[way].digits, ways[way].two_lines, width, &l[i]);
        if (width <= 0 || (ways[way].cut ? shrink(l, t->n_col, width) : total_width(l, t->n_col) <= width))
            return true;
    }
    return t->n_row == 0;
}
