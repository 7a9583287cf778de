/* A heat map in a terminal: coloured cells two columns wide, or two rows to a line as half blocks, or
 * characters from light to dark where there is no colour. */
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plots/heatmap.h"
#include "plots/heatmap_view.h"
#include "plots/label.h"
#include "plots/panels.h"

enum { MIN_COLUMNS = 24, MIN_LINES = 8, MAX_ROW_LABEL = 24, BAR_COLUMNS = 24, VALUE_COLUMNS = 5 };

typedef struct view {
    strbuf *out;
    term_colour mode;
    view_size size;
    const figure_data *d;
    const heatmap_style *style;
    grid g;
    scale sc;
    /* layout */
    bool words;           /* rows are labelled with their text */
    int label_columns;    /* row labels, without the blank after them */
    int number_columns;   /* of which the position */
    int cell_columns;
    int rows_per_line;    /* 2: half blocks */
    bool values;          /* cells carry their value */
    /* the line being written */
    int used;
    long fg, bg;          /* colours in force, -1 for the terminal's own */
} view;

/* --- lines --- */

static void put_sgr(view *v, bool background, rgb c)
{
    long want = (long)c.r << 16 | (long)c.g << 8 | c.b;
    long *now = background ? &v->bg : &v->fg;

    if (*now == want)
        return;
    *now = want;
    heatmap_view_colour(v->out, v->mode, background, c);
}

static void put_reset(view *v)
{
    if (v->fg >= 0 || v->bg >= 0)
        strbuf_puts(v->out, "\x1b[0m");
    v->fg = v->bg = -1;
}

static void end_line(view *v)
{
    put_reset(v);
    strbuf_putc(v->out, '\n');
    v->used = 0;
}

static void put_blanks(view *v, int n)
{
    for (int i = 0; i < n && v->used < v->size.columns; i++, v->used++)
        strbuf_putc(v->out, ' ');
}

/* Text that a terminal may get, cut to `most` columns and to the line; returns its columns. */
static int put_text(view *v, const char *text, int most)
{
    strbuf safe = {0}, cut = {0};
    int columns;

    if (v->mode == TERM_ASCII)
        label_put_ascii(&safe, text);
    else
        label_put_visible(&safe, text);
    if (most > v->size.columns - v->used)
        most = v->size.columns - v->used;
    label_put_cut(&cut, strbuf_str(&safe), most, v->mode == TERM_ASCII);
    columns = label_columns(strbuf_str(&cut));
    strbuf_puts(v->out, strbuf_str(&cut));
    v->used += columns;
    v->out->failed |= safe.failed || cut.failed;
    strbuf_free(&safe);
    strbuf_free(&cut);
    return columns;
}

/* --- layout --- */

static int digits(int64_t n)
{
    int d = 1;

    while (n >= 10) {
        n /= 10;
        d++;
    }
    return d;
}

static int64_t span(const view *v)
{
    return v->d->pool > 1 ? v->d->pool : 1;
}

static void plan_row_labels(view *v, bool with_words)
{
    const figure_matrix *m = &v->d->m;
    int words = 0;

    v->words = with_words && m->row_labels && span(v) == 1;
    v->number_columns = (v->style->square && !v->style->own_names) || !v->words ? digits(m->rows * span(v) - 1) : 0;
    if (v->words) {
        for (int64_t i = 0; i < m->rows && words < MAX_ROW_LABEL; i++) {
            strbuf b = {0};
            if (v->mode == TERM_ASCII)
                label_put_ascii(&b, m->row_labels[i]);
            else
                label_put_visible(&b, m->row_labels[i]);
            int w = label_columns(strbuf_str(&b));
            words = w > words ? w : words;
            v->out->failed |= b.failed;
            strbuf_free(&b);
        }
        words = words > MAX_ROW_LABEL ? MAX_ROW_LABEL : words;
        words += v->number_columns ? 1 : 0;
    }
    v->label_columns = v->number_columns + words;
    if (v->label_columns > v->size.columns / 3)
        v->label_columns = v->size.columns / 3;
}

static int pool_and_scale(view *v, int64_t pool_rows, int64_t pool_cols, const params *p, err *e)
{
    grid_free(&v->g);
    int rc = grid_pool(&v->g, &v->d->m, pool_rows, pool_cols, heatmap_pooling(v->d, p), e);
    if (rc == 0 && v->style->shared)
        v->sc = *v->style->shared;
    return rc || v->style->shared ? rc : scale_init(&v->sc, v->d, &v->g, p, e);
}

/* Cells for a map of at most columns x lines. */
static int plan_cells(view *v, int64_t columns, int64_t lines, const params *p, err *e)
{
    const figure_matrix *m = &v->d->m;
    int64_t pool_rows = 1, pool_cols = 1;

    v->values = false;
    v->rows_per_line = 1;
    v->cell_columns = 2;
    if (v->style->annotate && m->cols <= columns / VALUE_COLUMNS && m->rows <= lines) {
        int rc = pool_and_scale(v, 1, 1, p, e);
        v->values = rc == 0 && heatmap_decimals(&v->g) >= 0;
        v->cell_columns = v->values ? VALUE_COLUMNS : 2;
        return rc;
    }
    if (m->cols > columns / 2 || m->rows > lines) {
        if (v->mode != TERM_ASCII) {
            v->rows_per_line = 2;
            v->cell_columns = 1;
        } else if (m->cols <= columns && m->rows <= lines) {
            v->cell_columns = 1;
        }
        pool_rows = ceil_div(m->rows, lines * v->rows_per_line);
        pool_cols = ceil_div(m->cols, columns / v->cell_columns);
        if (v->style->square)
            pool_rows = pool_cols = pool_rows > pool_cols ? pool_rows : pool_cols;
    }
    return pool_and_scale(v, pool_rows, pool_cols, p, e);
}

/* --- the map --- */

/* NaN also below the last row: a line of the terminal shows two. */
static float cell_value(const view *v, int64_t row, int64_t col)
{
    return row < v->g.rows ? v->g.cells[row * v->g.cols + col] : (float)NAN;
}

static rgb cell_colour(const view *v, int64_t row, int64_t col)
{
    float x = cell_value(v, row, col);
    return isnan(x) ? heatmap_view_missing : scale_colour(&v->sc, (double)x);
}

static void put_row_label(view *v, int64_t row)
{
    int64_t i = row * v->g.pool_rows;
    char number[24] = "";
    int room = v->label_columns;

    if (v->number_columns) {
        snprintf(number, sizeof number, "%*lld", v->number_columns, (long long)(i * span(v)));
        room -= put_text(v, number, room);
    }
    if (v->words && v->g.pool_rows == 1) {
        if (v->number_columns && room > 0) {
            put_blanks(v, 1);
            room--;
        }
        room -= put_text(v, v->d->m.row_labels[i], room);
    }
    put_blanks(v, room + 1);
}

static void put_value_cell(view *v, int64_t row, int64_t col)
{
    float x = cell_value(v, row, col);
    number_text text = "";

    if (!isnan(x))
        heatmap_value(text, (double)x, heatmap_decimals(&v->g), true, v->mode != TERM_ASCII);
    int blanks = VALUE_COLUMNS - 1 - label_columns(text);
    if (v->mode != TERM_ASCII) {
        rgb back = cell_colour(v, row, col);
        put_sgr(v, true, back);
        put_sgr(v, false, rgb_lightness(back) < 0.55 ? (rgb){255, 255, 255} : (rgb){0, 0, 0});
    }
    for (int i = 0; i < blanks; i++)
        strbuf_putc(v->out, ' ');
    strbuf_puts(v->out, text);
    strbuf_putc(v->out, v->mode == TERM_ASCII ? heatmap_view_char(&v->sc, (double)x) : ' ');
    v->used += VALUE_COLUMNS;
}

/* A row or column that lies between blocks. */
static bool between_blocks(const view *v, int64_t i)
{
    return v->style->block > 0 && i % v->style->block == v->style->block - 1;
}

static void put_cell(view *v, int64_t row, int64_t col)
{
    if (between_blocks(v, col) || between_blocks(v, row)) {
        put_reset(v);
        put_blanks(v, v->cell_columns);
        return;
    }
    if (v->values) {
        put_value_cell(v, row, col);
        return;
    }
    if (v->mode == TERM_ASCII) {
        char c = heatmap_view_char(&v->sc, (double)cell_value(v, row, col));
        for (int i = 0; i < v->cell_columns; i++)
            strbuf_putc(v->out, c);
    } else if (v->rows_per_line == 1) {
        put_sgr(v, true, cell_colour(v, row, col));
        strbuf_puts(v->out, "  ");
    } else if (row + 1 == v->g.rows || between_blocks(v, row + 1)) { /* the lower half is not part of the map */
        if (v->bg >= 0)
            put_reset(v);
        put_sgr(v, false, cell_colour(v, row, col));
        strbuf_puts(v->out, "\u2580");
    } else {
        put_sgr(v, false, cell_colour(v, row, col));
        put_sgr(v, true, cell_colour(v, row + 1, col));
        strbuf_puts(v->out, "\u2580");
    }
    v->used += v->cell_columns;
}

/* Names of blocks, each at its left edge, as many as stand apart. */
static void put_block_names(view *v)
{
    int left = v->label_columns + 1;

    for (int64_t i = 0; i < v->d->m.cols; i++) {
        const char *name = v->d->m.col_labels[i];
        int at = left + (int)(i / v->g.pool_cols) * v->cell_columns;
        if (!*name || (v->used > 0 && at <= v->used) || at + label_columns(name) > v->size.columns)
            continue;
        put_blanks(v, at - v->used);
        put_text(v, name, INT_MAX);
    }
    end_line(v);
}

/* Positions along the columns, each at its cell's left edge. */
static void put_ruler(view *v)
{
    double pitch = (double)v->cell_columns / (double)(v->g.pool_cols * span(v));
    int64_t n = v->d->m.cols * span(v);
    bool named = v->style->name_columns && v->d->m.col_labels && span(v) == 1;
    int widest = digits(n - 1);
    for (int64_t i = 0; named && i < n; i++)
        widest = label_columns(v->d->m.col_labels[i]) > widest ? label_columns(v->d->m.col_labels[i]) : widest;
    double step = (widest + 1) / pitch;
    int64_t every = step <= 1 ? 1 : (int64_t)nice_step(step);
    int left = v->label_columns + 1;

    for (int64_t i = 0; i < n; i += every) {
        char number[24];
        int at = left + (int)floor((double)i * pitch);
        int len = named ? snprintf(number, sizeof number, "%s", v->d->m.col_labels[i])
                        : snprintf(number, sizeof number, "%lld", (long long)i);
        if (v->values && len < VALUE_COLUMNS) /* numbers end where values end */
            at += VALUE_COLUMNS - 1 - len;
        if (at + len > v->size.columns)
            break;
        put_blanks(v, at - v->used);
        put_text(v, number, len);
    }
    end_line(v);
}

/* --- around it --- */

static void put_head(view *v)
{
    const figure_data *d = v->d;
    strbuf axes = {0};

    if (d->title && *d->title) {
        if (v->mode != TERM_ASCII)
            strbuf_puts(v->out, "\x1b[1m");
        put_text(v, d->title, INT_MAX);
        if (v->mode != TERM_ASCII)
            strbuf_puts(v->out, "\x1b[0m");
        end_line(v);
    }
    if (d->subtitle && *d->subtitle) {
        put_text(v, d->subtitle, INT_MAX);
        end_line(v);
    }
    if (d->row_axis)
        strbuf_printf(&axes, "down: %s", d->row_axis);
    if (d->col_axis)
        strbuf_printf(&axes, "%sacross: %s", axes.len ? ", " : "", d->col_axis);
    if (axes.len) {
        put_text(v, strbuf_str(&axes), INT_MAX);
        end_line(v);
    }
    v->out->failed |= axes.failed;
    strbuf_free(&axes);
}

static int head_lines(const figure_data *d)
{
    return (d->title && *d->title ? 1 : 0) + (d->subtitle && *d->subtitle ? 1 : 0) +
           (d->row_axis || d->col_axis);
}

/* A limit: "0.5", or "≤ 1e-4" when values beyond it were clipped. */
static void put_limit(view *v, double x, const char *clipped)
{
    number_text text;

    number_format(text, x, -1, v->mode != TERM_ASCII);
    put_text(v, clipped, INT_MAX);
    put_text(v, text, INT_MAX);
}

/* Go to the next line when the next piece of the legend does not fit on this one. */
static void legend_room(view *v, int columns)
{
    if (v->used && v->used + 2 + columns > v->size.columns)
        end_line(v);
    else if (v->used)
        put_blanks(v, 2);
}

static void put_legend(view *v)
{
    bool ascii = v->mode == TERM_ASCII;
    strbuf label = {0}, key = {0};

    put_limit(v, v->sc.lo, v->sc.clips_low ? "\u2264 " : "");
    put_blanks(v, 1);
    int n = ascii ? HEATMAP_VIEW_LEVELS : BAR_COLUMNS;
    n = n > v->size.columns / 3 ? v->size.columns / 3 : n;
    for (int i = 0; i < n; i++, v->used++) {
        if (ascii) {
            strbuf_putc(v->out, heatmap_view_shade((double)i / n));
        } else {
            put_sgr(v, true, scale_shade(&v->sc, (double)i / (n - 1)));
            strbuf_putc(v->out, ' ');
        }
    }
    put_reset(v);
    put_blanks(v, 1);
    put_limit(v, v->sc.hi, v->sc.clips_high ? "\u2265 " : "");
    scale_put_label(&label, &v->sc, v->d, &v->g);
    legend_room(v, label_columns(strbuf_str(&label)));
    put_text(v, strbuf_str(&label), INT_MAX);
    if (v->g.n_finite < v->g.rows * v->g.cols) {
        strbuf_printf(&key, "%s%s", ascii ? "blank: " : " ",
                      v->d->missing ? v->d->missing : v->style->missing);
        legend_room(v, label_columns(strbuf_str(&key)) + (ascii ? 0 : 2));
        if (!ascii) {
            put_sgr(v, true, heatmap_view_missing);
            strbuf_puts(v->out, "  ");
            v->used += 2;
            put_reset(v);
        }
        put_text(v, strbuf_str(&key), INT_MAX);
    }
    end_line(v);
    v->out->failed |= label.failed || key.failed;
    strbuf_free(&label);
    strbuf_free(&key);
}

static void put_caption(view *v, const params *p)
{
    if (!params_bool(p, "caption") || !v->d->caption)
        return;
    put_text(v, v->d->caption, INT_MAX);
    end_line(v);
}

static int64_t count_lines(const strbuf *b, size_t from)
{
    int64_t n = 0;

    for (size_t i = from; i < b->len; i++)
        n += b->s[i] == '\n';
    return n;
}

int heatmap_view(strbuf *out, const figure_data *d, const params *p, const heatmap_style *style,
                 term_colour colour, view_size size, err *e)
{
    view v = {.out = out, .mode = colour, .size = size, .d = d, .style = style, .fg = -1, .bg = -1};
    size_t start = out->len;
    int64_t around = head_lines(d) + 2;
    int rc;

    if (size.columns < MIN_COLUMNS || (size.lines > 0 && size.lines < MIN_LINES)) {
        err_set(e, ERR_FAILED, "a terminal of %d x %d is too small for a figure", size.columns, size.lines);
        return err_hint(e, "it needs %d columns and %d lines", MIN_COLUMNS, MIN_LINES);
    }
    if (d->panels)
        return panels_view(out, d, p, style, colour, size, e);
    if (d->m.rows < 1 || d->m.cols < 1 || !d->m.cells)
        return err_set(e, ERR_FAILED, "nothing to draw: the matrix has no cells");
    plan_row_labels(&v, true);
    /* the legend's length depends on the pooling that it states: once more when it took another line */
    for (;;) {
        int64_t room = size.lines > 0 ? size.lines - around : INT_MAX / 4;
        rc = plan_cells(&v, v.size.columns - v.label_columns - 1, room > 1 ? room : 1, p, e);
        if (rc)
            goto out;
        if (v.words && v.g.pool_rows > 1) { /* a row is several tokens: leave their room to the map */
            plan_row_labels(&v, false);
            continue;
        }
        put_head(&v);
        for (int64_t r = 0; r < v.g.rows; r += v.rows_per_line) {
            put_row_label(&v, r);
            for (int64_t c = 0; c < v.g.cols; c++)
                put_cell(&v, r, c);
            end_line(&v);
        }
        if (style->sparse_names)
            put_block_names(&v);
        else
            put_ruler(&v);
        put_legend(&v);
        put_caption(&v, p);
        if (out->failed) {
            rc = err_nomem(e, "figure");
            goto out;
        }
        int64_t over = size.lines > 0 ? count_lines(out, start) - size.lines : 0;
        if (over <= 0 || room <= 1)
            break;
        around += over;
        out->len = start;
    }
out:
    grid_free(&v.g);
    return rc;
}
