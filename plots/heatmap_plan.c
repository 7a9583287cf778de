/* Where the space goes: labels, cells, pooling. */
#include <math.h>
#include <string.h>

#include "plots/frame.h"
#include "plots/heatmap.h"
#include "plots/label.h"

enum { MOST_TEXT_LABELS = 128, MOST_NAMES = 4096 }; /* beyond, a position says more than a word, if not than a name */

static const double label_share = 0.24;  /* of the page's width, at most, for the labels of one axis */
static const double line_pitch = 1.06;   /* closest lines of labels, in line heights */
static const double label_gap = 3;       /* between labels and map, units */
static const double strip_share = 0.16;  /* height of a map of few rows, of the width it has */
static const double min_side = 8 * POINTS_PER_MM; /* a map of one row is still a picture */

static text_style label_style(const scene *s)
{
    return frame_style(s->page.small, s->page.text);
}

double heatmap_pitch(const heatmap_axis *a, const scene *s)
{
    return a->cell_px * s->page.px / (double)(a->pool * a->span);
}

static void put_label(strbuf *b, const heatmap_axis *a, int64_t i)
{
    if (a->mode != LABEL_TEXT)
        strbuf_printf(b, "%lld", (long long)i);
    if (a->mode == LABEL_NUMBERED)
        strbuf_puts(b, ": ");
    if (a->mode != LABEL_NUMBER) {
        const char *text = a->labels[i];
        /* one blank before a word is the rule in most vocabularies */
        label_put_drawn(b, text[0] == ' ' && text[1] > ' ' ? text + 1 : text);
    }
}

const char *heatmap_label(scene *s, const heatmap_axis *a, int64_t i)
{
    strbuf b = {0};

    put_label(&b, a, i);
    s->failed |= b.failed;
    /* half a point: the widest label measured the same must not be elided */
    const char *text = scene_elide(s, strbuf_str(&b), label_style(s), a->extent + 0.5);
    strbuf_free(&b);
    return text;
}

/* Width of the widest label. */
static double widest_label(scene *s, const heatmap_axis *a)
{
    text_style style = label_style(s);
    strbuf b = {0};
    double most = 0;

    if (a->mode == LABEL_NUMBER) {
        strbuf_printf(&b, "%lld", (long long)(a->n * a->span - 1));
        for (char *c = b.s; c && *c; c++)
            *c = '0'; /* the widest digits are as wide as any */
        most = scene_text_width(s, strbuf_str(&b), style);
    } else {
        double enough = a->most;
        for (int64_t i = 0; i < a->n && most < enough; i++) {
            strbuf_clear(&b);
            put_label(&b, a, i);
            /* a token of a megabyte is not measured to its end */
            most = b.len > 1024 ? enough : fmax(most, scene_text_width(s, strbuf_str(&b), style));
        }
    }
    s->failed |= b.failed;
    strbuf_free(&b);
    return most;
}

static void init_axis(heatmap_axis *a, int64_t n, const char *const *labels, int64_t span, double most, bool names)
{
    *a = (heatmap_axis){
        .n = n, .labels = labels, .span = span < 1 ? 1 : span, .pool = 1, .cells = n, .step = 1, .most = most};
    a->mode = labels && span <= 1 && n <= (names ? MOST_NAMES : MOST_TEXT_LABELS) ? LABEL_TEXT : LABEL_NUMBER;
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static void set_pool(heatmap_axis *a, int64_t pool, int64_t budget, int64_t most)
{
    a->pool = pool;
    a->cells = ceil_div(a->n, pool);
    int64_t px = budget / a->cells;
    a->cell_px = (int)(px < 1 ? 1 : px > most ? most : px);
}

/* The least extent of an axis in pixels: room for its words, if they are few, at any rate a strip. */
static int64_t least_side(scene *s, const heatmap_axis *a, int64_t most)
{
    double line = line_pitch * scene_line_height(s, label_style(s)), side = min_side;

    if (a->mode != LABEL_NUMBER)
        side = fmax(side, fmin((double)a->n * line, 0.35 * s->page.width));
    side = ceil(side / s->page.px);
    return side < (double)most ? (int64_t)side : most;
}

/* Whole pixels per cell within [w, h] pixels; pooling when there are fewer pixels than cells. */
static void fit_cells(heatmap_plan *plan, scene *s, const heatmap_style *style, const heatmap_room *room, int64_t w,
                      int64_t h)
{
    heatmap_axis *row = &plan->row, *col = &plan->col;
    double unit = s->page.unit / s->page.px;
    int64_t most_w = (int64_t)fmax(style->max_w * unit, 1), most_h = (int64_t)fmax(style->max_h * unit, 1);

    if (!style->square) {
        int64_t line = (int64_t)ceil(line_pitch * scene_line_height(s, label_style(s)) / s->page.px);
        set_pool(col, larger(ceil_div(col->n, w), room->pool_cols), w, most_w);
        /* cells lie rather than stand, as far as their text allows and few rows do not become a thread */
        int64_t lying = larger(larger(col->cell_px, line), (int64_t)(strip_share * (double)w) / row->n);
        set_pool(row, larger(ceil_div(row->n, h), room->pool_rows), h, lying < most_h ? lying : most_h);
        return;
    }
    int64_t pool = larger(ceil_div(col->n, w), ceil_div(row->n, h));
    set_pool(row, larger(pool, room->pool_rows), h, most_h);
    set_pool(col, larger(pool, room->pool_cols), w, most_w);
    if (row->cell_px < col->cell_px)
        col->cell_px = row->cell_px;
    row->cell_px = col->cell_px;
    if (row->n == col->n)
        return;
    /* a few rows of very many columns, or the reverse: give up square cells rather than the few */
    int64_t row_side = least_side(s, row, h), col_side = least_side(s, col, w);
    if (row->cells * row->cell_px < row_side)
        set_pool(row, ceil_div(row->n, row_side), row_side, most_h);
    if (col->cells * col->cell_px < col_side)
        set_pool(col, ceil_div(col->n, col_side), col_side, most_w);
}

/* A round step some way above the closest; the closest where that would leave fewer than three numbers. */
static double roomy_step(double closest, double room, double extent)
{
    double step = nice_step(closest * room);
    return extent > 2 * step ? step : nice_step(closest);
}

/* Which labels are drawn so that none touches the next. */
static void fit_labels(heatmap_axis *a, scene *s, bool column)
{
    double pitch = heatmap_pitch(a, s), line = line_pitch * scene_line_height(s, label_style(s));
    double widest = widest_label(s, a), apart = 0.45 * s->page.small;

    a->turned = column && a->mode != LABEL_NUMBER && widest + apart > pitch;
    double need = column && !a->turned ? widest + apart : line;
    double step = need / pitch;
    if (a->mode == LABEL_NUMBER && step > 1) /* a scale reads better with few numbers */
        step = roomy_step(step, column ? 1.5 : 2.5, (double)(a->n * a->span));
    a->step = step <= 1 ? 1 : (int64_t)ceil(step - 1e-9);
    if (a->step < a->span)
        a->step = a->span;
    a->extent = fmin(widest, a->most);
}

/* Cells written with values: is there room? */
static bool values_fit(scene *s, const heatmap_plan *plan)
{
    double w = plan->col.cell_px * s->page.px, h = plan->row.cell_px * s->page.px;
    return scene_text_width(s, ".00", label_style(s)) + 1.5 <= w &&
           scene_line_height(s, label_style(s)) + 0.5 <= h;
}

/* Both axes count the same tokens: number them alike. */
static void match_steps(heatmap_axis *a, heatmap_axis *b)
{
    if (a->step > 1 && b->step > 1 && a->n == b->n)
        a->step = b->step = a->step > b->step ? a->step : b->step;
}

heatmap_room heatmap_page_room(const scene *s, const figure_data *d, bool bar_beside)
{
    double content = s->page.width - 2 * s->page.margin;
    double axis_line = d->row_axis ? 1.3 * scene_line_height(s, frame_style(s->page.body, s->page.text)) : 0;

    return (heatmap_room){.width = content - axis_line, .height = (bar_beside ? 0.95 : 1.15) * content,
                          .least = content / 4, .label_most = label_share * s->page.width, .bar_beside = bar_beside};
}

int heatmap_plan_axes(heatmap_plan *out, scene *s, const figure_data *d, const heatmap_style *style,
                      const heatmap_room *room, err *e)
{
    heatmap_plan plan = {.bar_beside = room->bar_beside};

    /* the last number of a bar below the map is centred on the map's edge, that of the columns near it */
    double last_tick = scene_text_width(s, "1.0", label_style(s)) / 2, overhang;

    init_axis(&plan.row, d->m.rows, d->m.row_labels, d->pool, room->label_most, style->own_names);
    init_axis(&plan.col, d->m.cols, d->m.col_labels, d->pool, room->label_most, style->own_names);
    for (;;) {
        plan.row.extent = fmax(fmin(widest_label(s, &plan.row), room->label_most), room->row_labels);
        overhang =
            plan.col.mode == LABEL_NUMBER ? fmax(last_tick, widest_label(s, &plan.col) / 2) : last_tick;
        plan.room_w = room->width - plan.row.extent - label_gap * s->page.unit - 2 * frame_hairline(s) -
                      (room->bar_beside ? frame_bar_reserve(s) : overhang);
        plan.room_h = room->height;
        int64_t w = (int64_t)floor(plan.room_w / s->page.px), h = (int64_t)floor(plan.room_h / s->page.px);
        if (w < 8 || h < 8 || plan.room_w < room->least) {
            err_set(e, ERR_USAGE, "a page of %.0f mm has no room for a map beside labels of %g points",
                    s->page.width / POINTS_PER_MM, s->page.small);
            return err_hint(e, "raise --width or lower --font-size");
        }
        fit_cells(&plan, s, style, room, w, h);
        fit_labels(&plan.row, s, false);
        fit_labels(&plan.col, s, true);
        if (style->square && plan.row.mode == LABEL_NUMBER && plan.col.mode == LABEL_NUMBER)
            match_steps(&plan.row, &plan.col);
        /* where words are left out, those that stay are numbered */
        bool again = false;
        heatmap_axis *axes[] = {&plan.row, &plan.col};
        for (int i = 0; i < 2; i++) {
            if (axes[i]->mode == LABEL_TEXT && axes[i]->step > 1 && (!style->own_names || axes[i]->pool > 1)) {
                axes[i]->mode = axes[i]->pool > 1 ? LABEL_NUMBER : LABEL_NUMBERED;
                again = true;
            }
        }
        if (!again)
            break;
    }
    plan.complete = plan.row.step == 1 && plan.col.step == 1 && (!style->annotate || values_fit(s, &plan));
    *out = plan;
    return 0;
}
