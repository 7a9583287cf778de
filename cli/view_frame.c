/* The lines of an interactive view. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "cli/view_terminal.h"
#include "cli/view_window.h"
#include "plots/heatmap_view.h"
#include "plots/label.h"

enum { CELL = 2, WORDS_MOST = 16, LEGEND_FROM = 14, BAR = 18 };

static int digits(int64_t n)
{
    int d = 1;
    for (; n >= 10; n /= 10)
        d++;
    return d;
}

static int64_t span(const view_window *w)
{
    return w->book.page.d.pool > 1 ? w->book.page.d.pool : 1;
}

/* The word before a row; NULL: none. */
static const char *row_word(const view_window *w, int64_t row)
{
    const figure_matrix *m = &w->book.page.d.m;
    return m->row_labels && w->pool == 1 && span(w) == 1 ? m->row_labels[row] : NULL;
}

static int words_columns(const view_window *w, int rows)
{
    int most = 0;
    for (int64_t r = w->top; r < w->top + rows && r < w->book.page.map.rows; r++) {
        const char *word = row_word(w, r);
        int n = word ? label_columns(word) : 0;
        most = n > most ? n : most;
    }
    return most < WORDS_MOST ? most : WORDS_MOST;
}

view_layout view_plan(const view_window *w)
{
    const view_page *p = &w->book.page;
    view_layout x = {.title = true, .legend = w->size.lines >= LEGEND_FROM};
    if (p->d.chart) {
        int most = w->size.lines / 3 > 2 ? w->size.lines / 3 : 2;
        x.names = p->d.chart->n_series + 2 < most ? p->d.chart->n_series + 2 : most;
        x.rows = w->size.lines - x.names;
        return x;
    }
    x.names = 3;
    x.rows = w->size.lines - x.names - x.legend - 2; /* title, ruler */
    bool words = p->d.m.row_labels && w->pool == 1 && span(w) == 1;
    if (p->weights || !words)
        x.numbers = digits(p->map.rows * span(w) - 1);
    if (words) /* of rows that may come into sight soon, so that the map does not jump at every step */
        x.labels = p->map.rows <= 512 ? words_columns(&(view_window){.book = w->book, .pool = 1}, (int)p->map.rows)
                                      : WORDS_MOST;
    if (x.numbers + 1 + x.labels > w->size.columns / 3)
        x.labels = w->size.columns / 3 - x.numbers - 1;
    x.labels = x.labels > 0 ? x.labels : 0;
    x.columns = (w->size.columns - x.numbers - x.labels - (x.numbers && x.labels ? 1 : 0) - 1) / CELL;
    return x;
}

int64_t view_fit_pool(const view_window *w)
{
    const view_map *m = &w->book.page.map;
    view_window then = *w;
    for (then.pool = 1; !w->book.page.d.chart; then.pool *= 2) {
        view_layout x = view_plan(&then);
        if (ceil_div(m->rows, then.pool) <= (x.rows > 1 ? x.rows : 1) &&
            ceil_div(m->cols, then.pool) <= (x.columns > 1 ? x.columns : 1))
            break;
    }
    return then.pool;
}

static int64_t within(int64_t v, int64_t lo, int64_t hi)
{
    return v > hi ? (hi > lo ? hi : lo) : v < lo ? lo : v;
}

/* The corner of one axis: the cursor is seen, and no room is wasted behind the end. */
static int64_t corner(int64_t at, int64_t cursor, int64_t n, int64_t block, int shown)
{
    int64_t a = at / block, c = cursor / block;
    a = c < a ? c : c >= a + shown ? c - shown + 1 : a;
    return within(a, 0, ceil_div(n, block) - shown) * block;
}

void view_settle(view_window *w)
{
    const view_map *m = &w->book.page.map;
    if (w->book.page.d.chart) {
        w->at_x = within(w->at_x, 0, w->n_x - 1);
        return;
    }
    view_layout x = view_plan(w);
    w->row = within(w->row, 0, m->rows - 1) / w->pool * w->pool;
    w->col = within(w->col, 0, m->cols - 1) / w->pool * w->pool;
    w->top = corner(w->top, w->row, m->rows, w->pool, x.rows > 1 ? x.rows : 1);
    w->left = corner(w->left, w->col, m->cols, w->pool, x.columns > 1 ? x.columns : 1);
}

/* --- colours --- */

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int chart_places(view_window *w, err *e)
{
    const figure_chart *c = w->book.page.d.chart;
    size_t n = 0;
    free(w->x);
    w->n_x = 0;
    for (int i = 0; i < c->n_series; i++)
        n += (size_t)c->series[i].n;
    w->x = mem_array(n + 1, sizeof *w->x, e);
    if (!w->x)
        return ERR_RESOURCE;
    n = 0;
    for (int i = 0; i < c->n_series; i++)
        for (int64_t k = 0; k < c->series[i].n; k++)
            if (isfinite(c->series[i].x[k]))
                w->x[n++] = c->series[i].x[k];
    qsort(w->x, n, sizeof *w->x, ascending);
    for (size_t i = 0; i < n; i++)
        if (w->n_x == 0 || w->x[i] != w->x[w->n_x - 1])
            w->x[w->n_x++] = w->x[i];
    w->n_x = w->n_x ? w->n_x : 1;
    return 0;
}

int view_colours(view_window *w, err *e)
{
    const view_page *p = &w->book.page;
    grid g = {0};
    if (p->d.chart)
        return chart_places(w, e);
    int rc = view_map_grid(&g, &p->map, e);
    if (!rc)
        rc = scale_init(&w->sc, &p->d, &g, w->book.a->p, e);
    if (rc == ERR_FAILED && strcmp(params_str(w->book.a->p, "norm"), "log") == 0) {
        snprintf(w->message, sizeof w->message, "%s: linear colours", e ? e->msg : "");
        rc = params_set(w->book.a->p, "norm", "linear", e);
        if (!rc)
            rc = scale_init(&w->sc, &p->d, &g, w->book.a->p, e);
    }
    grid_free(&g);
    return rc;
}

/* --- lines of a map --- */

static int left_of_map(const view_layout *x)
{
    return x->numbers + (x->numbers && x->labels ? 1 : 0) + x->labels + 1;
}

/* Numbers above the columns, v above the cursor's. */
static void put_ruler(view_line *l, const view_window *w, const view_layout *x)
{
    int64_t n = w->book.page.map.cols, per = w->pool * span(w);
    int cursor = left_of_map(x) + (int)((w->col - w->left) / w->pool) * CELL;
    int64_t every = (int64_t)nice_step(fmax(1, (digits(n * span(w) - 1) + 2.0) / CELL));
    for (int c = 0; c < x->columns && w->left + c * w->pool < n; c++) {
        int64_t block = w->left / w->pool + c;
        char number[24];
        int at = left_of_map(x) + c * CELL, len = snprintf(number, sizeof number, "%" PRId64, block * per);
        if (at == cursor) {
            view_blanks(l, at - l->used);
            view_text(l, "v", 1);
        } else if (block % every == 0 && at >= l->used && at + len <= l->most && (at > cursor || at + len < cursor)) {
            view_blanks(l, at - l->used);
            view_text(l, number, len);
        }
    }
}

static void put_row(view_line *l, const view_window *w, const view_layout *x, int64_t row)
{
    const view_page *p = &w->book.page;
    const char *word = row_word(w, row);
    long now = -1;
    if (x->numbers) {
        char number[32];
        snprintf(number, sizeof number, "%*" PRId64, x->numbers, row * span(w));
        view_text(l, number, x->numbers);
    }
    if (x->numbers && x->labels)
        view_blanks(l, 1);
    if (word && x->labels)
        view_text(l, word, x->labels);
    view_blanks(l, left_of_map(x) - 1 - l->used);
    strbuf_putc(&l->b, row == w->row ? '>' : ' ');
    l->used++;
    for (int c = 0; c < x->columns && w->left + c * w->pool < p->map.cols; c++) {
        int64_t col = w->left + c * w->pool;
        bool cursor = row == w->row && col == w->col;
        float v = view_map_block(&p->map, row, col, w->pool, w->how, NULL);
        rgb back = isnan(v) ? heatmap_view_missing : scale_colour(&w->sc, (double)v);
        long want = (long)back.r << 16 | (long)back.g << 8 | back.b;
        if (w->colour != TERM_ASCII && want != now)
            heatmap_view_colour(&l->b, w->colour, true, back);
        now = want;
        if (cursor) {
            heatmap_view_colour(&l->b, w->colour, false,
                                rgb_lightness(back) < 0.55 ? (rgb){255, 255, 255} : (rgb){0, 0, 0});
            strbuf_puts(&l->b, "[]");
        } else if (w->colour == TERM_ASCII) {
            char c2 = heatmap_view_char(&w->sc, isnan(v) ? (double)NAN : (double)v);
            strbuf_putc(&l->b, c2);
            strbuf_putc(&l->b, c2);
        } else {
            strbuf_puts(&l->b, "  ");
        }
        l->used += CELL;
    }
    if (w->colour != TERM_ASCII)
        strbuf_puts(&l->b, "\x1b[0m");
}

static void put_legend(view_line *l, const view_window *w)
{
    number_text lo, hi;
    grid g = {.how = w->how, .pool_rows = w->pool, .pool_cols = w->pool};
    strbuf words = {0};
    int n = BAR < l->most / 4 ? BAR : l->most / 4;
    number_format(lo, w->sc.lo, -1, !l->ascii);
    number_format(hi, w->sc.hi, -1, !l->ascii);
    view_text(l, lo, l->most);
    view_blanks(l, 1);
    for (int i = 0; i < n && l->used < l->most; i++, l->used++) {
        heatmap_view_colour(&l->b, w->colour, true, scale_shade(&w->sc, n > 1 ? (double)i / (n - 1) : 0));
        strbuf_putc(&l->b, w->colour == TERM_ASCII ? heatmap_view_shade((double)i / n) : ' ');
    }
    strbuf_puts(&l->b, w->colour == TERM_ASCII ? "" : "\x1b[0m");
    view_blanks(l, 1);
    view_text(l, hi, l->most);
    view_blanks(l, 2);
    scale_put_label(&words, &w->sc, &w->book.page.d, &g);
    view_text(l, strbuf_str(&words), l->most);
    l->b.failed |= words.failed;
    strbuf_free(&words);
}

/* --- a chart --- */

/* The figure's own text, line by line; an error instead of it is a message. */
static void put_chart(view_line *lines, view_window *w, const view_layout *x)
{
    figure_data d = w->book.page.d;
    figure_chart c = *d.chart;
    char *text = NULL;
    err e = {0};
    c.mark = &w->x[w->at_x];
    d.chart = &c;
    if (figure_view(w->book.f, &d, w->book.a->p, w->colour, (view_size){w->size.columns, x->rows}, &text, &e) != 0) {
        view_text(&lines[0], e.msg, w->size.columns);
        return;
    }
    char *at = text;
    for (int i = 0; i < x->rows && *at; i++) {
        size_t n = strcspn(at, "\n");
        strbuf_add(&lines[i].b, at, n);
        at += n + (at[n] == '\n');
    }
    free(text);
}

/* --- the whole --- */

static void put_help(view_line *lines, int n)
{
    int n_key = 0;
    while (view_keys[2 * n_key])
        n_key++;
    int per = lines[0].most >= 76 ? (n_key + 1) / 2 : n_key; /* lines of a column */
    for (int i = 0; i < n_key; i++) {
        view_line *l = i % per < n ? &lines[i % per] : NULL;
        if (!l)
            continue;
        view_blanks(l, i / per * (l->most / 2) - l->used);
        int start = l->used;
        view_text(l, view_keys[2 * i], 16);
        view_blanks(l, start + 16 - l->used);
        view_text(l, view_keys[2 * i + 1], l->most);
    }
}

static void put_last(view_line *l, const view_window *w)
{
    if (w->asking) {
        view_text(l, w->asking, l->most);
        view_text(l, w->answer, l->most - l->used - 1);
        view_text(l, "_", 1);
    } else if (w->message[0]) {
        view_text(l, w->message, l->most);
    } else {
        view_put_state(l, w);
    }
}

static void put_lines(view_line *lines, view_window *w)
{
    const view_page *p = &w->book.page;
    view_layout x = view_plan(w);
    int n = w->size.lines;
    if (w->size.columns < VIEW_MIN_COLUMNS || n < VIEW_MIN_LINES) {
        view_text(&lines[0], "the window is too small", w->size.columns);
        return;
    }
    if (w->help) {
        put_help(lines, n - 1);
    } else if (p->d.chart) {
        put_chart(lines, w, &x);
        for (int i = 0; i < x.names - 1; i++)
            view_put_series(&lines[x.rows + i], w, i);
    } else {
        strbuf_puts(&lines[0].b, w->colour == TERM_ASCII ? "" : "\x1b[1m");
        view_text(&lines[0], p->d.title ? p->d.title : "", w->size.columns);
        strbuf_puts(&lines[0].b, w->colour == TERM_ASCII ? "" : "\x1b[0m");
        if (p->d.subtitle && lines[0].used + 3 < w->size.columns) {
            view_blanks(&lines[0], 2);
            view_text(&lines[0], p->d.subtitle, w->size.columns);
        }
        put_ruler(&lines[1], w, &x);
        for (int r = 0; r < x.rows && w->top + r * w->pool < p->map.rows; r++)
            put_row(&lines[2 + r], w, &x, w->top + r * w->pool);
        if (x.legend)
            put_legend(&lines[n - 4], w);
        view_put_place(&lines[n - 3], w);
        view_put_value(&lines[n - 2], w);
    }
    put_last(&lines[n - 1], w);
}

void view_forget(view_window *w)
{
    for (int i = 0; i < w->n_shown; i++)
        strbuf_free(&w->shown[i]);
    free(w->shown);
    w->shown = NULL;
    w->n_shown = 0;
}

bool view_draw(view_window *w)
{
    int n = w->size.lines > 0 ? w->size.lines : 1;
    view_line *lines = mem_array((size_t)n, sizeof *lines, NULL);
    strbuf out = {0};
    if (w->n_shown != n)
        view_forget(w);
    bool all = !w->shown;
    if (all && (w->shown = mem_array((size_t)n, sizeof *w->shown, NULL)))
        w->n_shown = n;
    if (!lines || !w->shown) {
        free(lines);
        return true; /* out of memory: what is shown stays */
    }
    for (int i = 0; i < n; i++)
        lines[i] = (view_line){.most = w->size.columns, .ascii = w->ascii};
    put_lines(lines, w);
    strbuf_puts(&out, all ? "\x1b[0m\x1b[2J" : "");
    for (int i = 0; i < n; i++) {
        if (!all && strcmp(strbuf_str(&lines[i].b), strbuf_str(&w->shown[i])) == 0) {
            strbuf_free(&lines[i].b);
            continue;
        }
        strbuf_printf(&out, "\x1b[%d;1H\x1b[2K%s", i + 1, strbuf_str(&lines[i].b));
        strbuf_free(&w->shown[i]);
        w->shown[i] = lines[i].b;
    }
    bool there = tty_write(strbuf_str(&out), out.len);
    strbuf_free(&out);
    free(lines);
    return there;
}
