/* A chart in a terminal: dots of braille characters, one letter for each series where there is no colour; bars as
 * lines of blocks with their numbers. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cancel.h"
#include "base/mem.h"
#include "plots/chart_view.h"
#include "plots/heatmap_view.h"
#include "plots/label.h"

enum { MIN_COLUMNS = 24, MIN_LINES = 10, USUAL_ROWS = 16, LEAST_ROWS = 4 };

static const char letters[] = "ox#*@%&$=svwz+";

/* --- lines --- */

void chart_view_begin(chart_terminal *v, rgb c)
{
    heatmap_view_colour(v->out, v->ascii ? TERM_ASCII : v->exact ? TERM_TRUE : TERM_256, false, c);
}

void chart_view_end(chart_terminal *v)
{
    if (!v->ascii)
        strbuf_puts(v->out, "\x1b[0m");
}

void chart_view_end_line(chart_terminal *v)
{
    strbuf_putc(v->out, '\n');
    v->used = 0;
}

void chart_view_blanks(chart_terminal *v, int n)
{
    for (int i = 0; i < n && v->used < v->size.columns; i++, v->used++)
        strbuf_putc(v->out, ' ');
}

/* Text that a terminal may get, cut to `most` columns and to the line. */
void chart_view_text(chart_terminal *v, const char *text, int most)
{
    strbuf safe = {0}, cut = {0};

    if (v->ascii)
        label_put_ascii(&safe, text);
    else
        label_put_visible(&safe, text);
    most = most < v->size.columns - v->used ? most : v->size.columns - v->used;
    label_put_cut(&cut, strbuf_str(&safe), most, v->ascii);
    strbuf_puts(v->out, strbuf_str(&cut));
    v->used += label_columns(strbuf_str(&cut));
    v->out->failed |= safe.failed || cut.failed;
    strbuf_free(&safe);
    strbuf_free(&cut);
}

/* Colours for a dark ground or a light one: black is no colour here, and the darkest is made lighter. */
rgb chart_view_colour(const chart_terminal *v, int owner)
{
    const figure_chart *c = v->d->chart;
    rgb black = {0, 0, 0}, grey = {0x90, 0x90, 0x90}, blue = {0x3a, 0x9a, 0xd9};
    rgb colour = owner < c->n_series && !c->series[owner].plain ? chart_colour(c->series[owner].look) : grey;

    if (colour.r == black.r && colour.g == black.g && colour.b == black.b)
        return grey;
    return colour.r == 0 && colour.g == 0x72 ? blue : colour;
}

char chart_view_letter(const chart_terminal *v, int owner)
{
    const figure_chart *c = v->d->chart;

    if (owner < c->n_series && c->series[owner].plain)
        return '.';
    if (owner < c->n_series)
        return letters[c->series[owner].look % ((int)sizeof letters - 1)];
    return owner == c->n_series + c->n_rules ? '|' : '-';
}

/* --- canvas --- */

static int dots_wide(const chart_terminal *v) { return v->ascii ? v->columns : 2 * v->columns; }
static int dots_high(const chart_terminal *v) { return v->ascii ? v->rows : 4 * v->rows; }

static void put_dot(chart_terminal *v, int x, int y, int owner)
{
    static const uint8_t bit[4][2] = {{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}};

    if (x < 0 || y < 0 || x >= dots_wide(v) || y >= dots_high(v))
        return;
    int w = v->ascii ? 1 : 2, h = v->ascii ? 1 : 4;
    canvas_cell *c = &v->cells[y / h * v->columns + x / w];
    c->dots |= v->ascii ? 1 : bit[y % 4][x % 2];
    c->owner = (int16_t)owner;
}

/* A line whose ends may lie far outside. */
static void put_line(chart_terminal *v, double x0, double y0, double x1, double y1, int owner)
{
    double w = dots_wide(v), h = dots_high(v);
    double lo = fmax(fmin(x0, x1), -1), hi = fmin(fmax(x0, x1), w);
    double steep = fabs(x1 - x0) > 0 ? (y1 - y0) / (x1 - x0) : 0;

    for (double x = ceil(lo); x <= hi && fabs(x1 - x0) >= 0.5; x++)
        put_dot(v, (int)x, (int)round(y0 + (x - x0) * steep), owner);
    lo = fmax(fmin(y0, y1), -1);
    hi = fmin(fmax(y0, y1), h);
    steep = fabs(y1 - y0) > 0 ? (x1 - x0) / (y1 - y0) : 0;
    for (double y = ceil(lo); y <= hi && fabs(y1 - y0) >= 0.5; y++)
        put_dot(v, (int)round(x0 + (y - y0) * steep), (int)y, owner);
}

static void to_dots(const chart_terminal *v, double vx, double vy, double *x, double *y)
{
    *x = chart_axis_at(&v->x, vx) * (dots_wide(v) - 1);
    *y = (1 - chart_axis_at(&v->y, vy)) * (dots_high(v) - 1);
}

static void draw_series(chart_terminal *v, int owner)
{
    const figure_series *f = &v->d->chart->series[owner];
    double lx = NAN, ly = NAN;

    for (int64_t i = 0; i < f->n && !cancel_requested(); i++) {
        double x, y, a, b;
        to_dots(v, f->x[i], f->y[i], &x, &y);
        if (isfinite(x) && isfinite(y)) {
            if (fabs(x) < 1e6 && fabs(y) < 1e6)
                put_dot(v, (int)round(x), (int)round(y), owner);
            if (f->kind == SERIES_LINE && isfinite(lx) && isfinite(ly) && !v->ascii)
                put_line(v, lx, ly, x, y, owner);
        }
        if (f->kind == SERIES_POINTS && f->low && isfinite(f->low[i]) && isfinite(f->high[i])) {
            to_dots(v, f->x[i], f->low[i], &x, &a);
            to_dots(v, f->x[i], f->high[i], &x, &b);
            if (isfinite(a) && isfinite(b))
                put_line(v, x, b, x, a, owner);
        }
        lx = x;
        ly = y;
    }
}

static void draw_rules(chart_terminal *v)
{
    const figure_chart *c = v->d->chart;

    for (int i = 0; i < c->n_rules; i++) {
        double at = chart_axis_at(&v->y, c->rules[i].at);
        if (!(at >= 0 && at <= 1))
            continue;
        for (int k = 0; k < dots_wide(v); k += v->ascii ? 1 : 2)
            put_dot(v, k, (int)round((1 - at) * (dots_high(v) - 1)), c->n_series + i);
    }
}

/* A cursor is drawn first, so that it hides nothing. */
static void draw_mark(chart_terminal *v)
{
    const figure_chart *c = v->d->chart;
    double at = c->mark ? chart_axis_at(&v->x, *c->mark) : NAN;

    if (!(at >= 0 && at <= 1))
        return;
    for (int k = 0; k < dots_high(v); k++)
        put_dot(v, (int)round(at * (dots_wide(v) - 1)), k, c->n_series + c->n_rules);
}

static void put_canvas_row(chart_terminal *v, int row)
{
    for (int i = 0; i < v->columns; i++) {
        const canvas_cell *c = &v->cells[row * v->columns + i];
        if (c->owner < 0) {
            strbuf_putc(v->out, ' ');
        } else if (v->ascii) {
            strbuf_putc(v->out, chart_view_letter(v, c->owner));
        } else {
            chart_view_begin(v, chart_view_colour(v, c->owner));
            strbuf_put_utf8(v->out, 0x2800u + c->dots);
            chart_view_end(v);
        }
    }
    v->used += v->columns;
}

/* --- axes --- */

static void plan_numbers(chart_terminal *v)
{
    v->numbers = 1;
    chart_axis_ticks(&v->y, v->rows / 3 < 2 ? 2 : v->rows / 3, !v->ascii);
    for (int i = 0; i < v->y.n_tick; i++)
        if (label_columns(v->y.tick[i].text) > v->numbers)
            v->numbers = label_columns(v->y.tick[i].text);
    v->numbers = v->numbers > v->size.columns / 3 ? v->size.columns / 3 : v->numbers;
    v->columns = v->size.columns - v->numbers - 2;
}

static void put_y_number(chart_terminal *v, int row)
{
    const char *text = "";

    for (int i = 0; i < v->y.n_tick; i++)
        if ((int)round((1 - v->y.tick[i].at) * (v->rows - 1)) == row)
            text = v->y.tick[i].text;
    chart_view_blanks(v, v->numbers - label_columns(text));
    chart_view_text(v, text, v->numbers);
    chart_view_blanks(v, 1);
    chart_view_text(v, *text ? (v->ascii ? "+" : "\u2524") : (v->ascii ? "|" : "\u2502"), 1);
}

static void put_x_axis(chart_terminal *v)
{
    bool apart = false;
    int at[CHART_MAX_TICKS], left = v->numbers + 2;

    for (int most = 10; most >= 2 && !apart; most--) {
        int end = -1;
        apart = true;
        chart_axis_ticks(&v->x, most, !v->ascii);
        for (int i = 0; i < v->x.n_tick; i++) {
            int w = label_columns(v->x.tick[i].text);
            at[i] = (int)round(v->x.tick[i].at * (v->columns - 1)) + left - w / 2;
            if (at[i] + w > v->size.columns)
                at[i] = v->size.columns - w;
            apart &= at[i] > end + 1;
            end = at[i] + w - 1;
        }
    }
    chart_view_blanks(v, v->numbers + 1);
    chart_view_text(v, v->ascii ? "+" : "\u2514", 1);
    for (int c = 0; c < v->columns; c++) {
        bool tick = false;
        for (int i = 0; i < v->x.n_tick; i++)
            tick |= (int)round(v->x.tick[i].at * (v->columns - 1)) == c;
        chart_view_text(v, tick ? (v->ascii ? "+" : "\u252c") : (v->ascii ? "-" : "\u2500"), 1);
    }
    chart_view_end_line(v);
    for (int i = 0; i < v->x.n_tick; i++) {
        if (at[i] < v->used)
            continue;
        chart_view_blanks(v, at[i] - v->used);
        chart_view_text(v, v->x.tick[i].text, v->size.columns);
    }
    chart_view_end_line(v);
}

/* --- words --- */

static void put_titles(chart_terminal *v)
{
    const figure_data *d = v->d;

    if (d->title && *d->title) {
        strbuf_puts(v->out, v->ascii ? "" : "\x1b[1m");
        chart_view_text(v, d->title, v->size.columns);
        strbuf_puts(v->out, v->ascii ? "" : "\x1b[0m");
        chart_view_end_line(v);
    }
    if (d->subtitle && *d->subtitle) {
        chart_view_text(v, d->subtitle, v->size.columns);
        chart_view_end_line(v);
    }
}

static void put_head(chart_terminal *v)
{
    const figure_data *d = v->d;
    strbuf b = {0};

    put_titles(v);
    if (!d->chart->groups) {
        chart_put_x_name(&b, d, &v->x);
        if (b.len)
            strbuf_puts(&b, " across, ");
    }
    chart_put_y_name(&b, d);
    strbuf_puts(&b, d->chart->groups ? "" : " up");
    chart_view_text(v, strbuf_str(&b), v->size.columns);
    chart_view_end_line(v);
    v->out->failed |= b.failed;
    strbuf_free(&b);
}

/* Text in as many lines as it takes, cut at blanks. */
static void put_words(chart_terminal *v, const char *text)
{
    while (*text) {
        size_t n = strcspn(text, " ");
        strbuf word = {0};
        strbuf_add(&word, text, n);
        int w = label_columns(strbuf_str(&word));
        if (v->used && v->used + 1 + w > v->size.columns)
            chart_view_end_line(v);
        else if (v->used)
            chart_view_blanks(v, 1);
        chart_view_text(v, strbuf_str(&word), v->size.columns);
        v->out->failed |= word.failed;
        strbuf_free(&word);
        text += n;
        text += strspn(text, " ");
    }
    if (v->used)
        chart_view_end_line(v);
}

static void put_entry(chart_terminal *v, const char *label, int owner)
{
    int w = label_columns(label) + 4;

    if (v->used && v->used + 2 + w > v->size.columns)
        chart_view_end_line(v);
    else if (v->used)
        chart_view_blanks(v, 2);
    if (v->ascii) {
        strbuf_putc(v->out, chart_view_letter(v, owner));
        v->used++;
    } else {
        chart_view_begin(v, chart_view_colour(v, owner));
        strbuf_puts(v->out, owner >= v->d->chart->n_series ? "\u2804\u2804" : "\u2588\u2588");
        chart_view_end(v);
        v->used += 2;
    }
    chart_view_blanks(v, 1);
    chart_view_text(v, label, v->size.columns);
}

/* counts: what the axes leave out is said as well, of several charts once. */
static void put_foot(chart_terminal *v, bool caption, bool counts)
{
    const figure_chart *c = v->d->chart;
    const chart_axis none = {0};
    strbuf note = {0};
    int n = 0;

    for (int i = 0; i < c->n_series; i++)
        if (c->series[i].label && (!c->groups || c->series[i].kind == SERIES_BAR)) {
            put_entry(v, c->series[i].label, i);
            n++;
        }
    for (int i = 0; i < c->n_rules && !c->groups; i++)
        if (c->rules[i].label) {
            put_entry(v, c->rules[i].label, c->n_series + i);
            n++;
        }
    if (n)
        chart_view_end_line(v);
    chart_put_note(&note, v->d, counts ? &v->x : &none, counts ? &v->y : &none);
    put_words(v, strbuf_str(&note));
    v->out->failed |= note.failed;
    strbuf_free(&note);
    if (caption && v->d->caption)
        put_words(v, v->d->caption);
}

/* --- the two kinds of chart --- */

static int put_canvas(chart_terminal *v, err *e)
{
    const figure_chart *c = v->d->chart;

    plan_numbers(v);
    v->cells = mem_array((size_t)v->rows * (size_t)v->columns, sizeof *v->cells, e);
    if (!v->cells)
        return ERR_RESOURCE;
    for (int i = 0; i < v->rows * v->columns; i++)
        v->cells[i].owner = -1;
    draw_mark(v);
    draw_rules(v);
    for (int i = c->n_series - 1; i >= 0; i--) /* the first is on top */
        draw_series(v, i);
    for (int r = 0; r < v->rows; r++) {
        put_y_number(v, r);
        put_canvas_row(v, r);
        chart_view_end_line(v);
    }
    put_x_axis(v);
    free(v->cells);
    v->cells = NULL;
    return 0;
}

static int count_lines(const strbuf *b, size_t from)
{
    int n = 0;

    for (size_t i = from; i < b->len; i++)
        n += b->s[i] == '\n';
    return n;
}

/* d.chart between axes that may be those of several charts; last: nothing follows. */
static int view_one(strbuf *out, const figure_data *d, const params *p, const chart_axis axes[2], bool last,
                    term_colour colour, view_size size, err *e)
{
    chart_terminal v = {.out = out, .ascii = colour == TERM_ASCII, .exact = colour == TERM_TRUE, .size = size, .d = d,
                        .x = axes[0], .y = axes[1]};
    size_t start = out->len;
    int rc = 0;

    /* what stands around the plot is known once it is written: the second time it fits */
    v.rows = size.lines > 0 ? size.lines / 2 : USUAL_ROWS;
    for (int pass = 0; rc == 0; pass++) {
        put_head(&v);
        if (chart_bars(d->chart))
            chart_view_bars(&v, v.rows);
        else
            rc = put_canvas(&v, e);
        put_foot(&v, last && params_bool(p, "caption"), last);
        int over = size.lines > 0 ? count_lines(out, start) - size.lines : 0;
        if (rc || size.lines <= 0 || (over <= 0 && pass > 0))
            break;
        int rows = v.rows - over < LEAST_ROWS ? LEAST_ROWS : v.rows - over;
        if (rows == v.rows)
            break;
        v.rows = rows;
        out->len = start;
    }
    /* a terminal of the least size has no room for a long legend: its end is cut */
    for (int over = size.lines > 0 ? count_lines(out, start) - size.lines : 0; over > 0 && out->len > start; over--)
        do
            out->len--;
        while (out->len > start && out->s[out->len - 1] != '\n');
    if (out->len)
        out->s[out->len] = '\0';
    if (rc == 0)
        rc = out->failed ? err_nomem(e, "figure") : cancel_check(e);
    return rc;
}

int chart_view(strbuf *out, const figure_data *d, const params *p, chart_style style, term_colour colour,
               view_size size, err *e)
{
    chart_axis axes[2];
    const int n = chart_count(d);
    int rc = chart_check(d, e);

    if (rc)
        return rc;
    if (size.columns < MIN_COLUMNS || (size.lines > 0 && size.lines < MIN_LINES)) {
        err_set(e, ERR_FAILED, "a terminal of %d x %d is too small for a figure", size.columns, size.lines);
        return err_hint(e, "it needs %d columns and %d lines", MIN_COLUMNS, MIN_LINES);
    }
    rc = chart_axes(&axes[0], &axes[1], d, p, style, e);
    if (rc == 0 && d->charts) {
        chart_terminal head = {.out = out, .ascii = colour == TERM_ASCII, .size = size, .d = d};
        put_titles(&head);
        /* one below the other: each has its share, at the least what a chart needs */
        if (size.lines > 0)
            size.lines = (size.lines - n - 1) / n > MIN_LINES ? (size.lines - n - 1) / n : MIN_LINES;
    }
    for (int i = 0; i < n && rc == 0; i++) {
        figure_data one = chart_alone(d, i);
        strbuf title = {0};
        rc = chart_own_axis(&axes[1], d, i, p, style, e);
        if (d->charts) {
            chart_put_title(&title, d->charts, i);
            one.title = strbuf_str(&title);
            one.subtitle = NULL;
        }
        if (i)
            strbuf_putc(out, '\n');
        if (rc == 0)
            rc = view_one(out, &one, p, axes, i + 1 == n, colour, size, e);
        strbuf_free(&title);
    }
    return rc;
}
