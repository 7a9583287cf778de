/* The page of a heat map. */
#include "plots/heatmap.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cancel.h"
#include "plots/frame.h"
#include "plots/label.h"

static const double label_gap = 3, tick_length = 2; /* units */

pooling heatmap_pooling(const figure_data *d, const params *p)
{
    /* blocks that are maxima already stay maxima unless the user says otherwise */
    if (!params_given(p, "pooling") && d->pool > 1 && d->pooling && strcmp(d->pooling, "max") == 0)
        return POOL_MAX;
    return strcmp(params_str(p, "pooling"), "max") == 0 ? POOL_MAX : POOL_MEAN;
}

int heatmap_decimals(const grid *g)
{
    double most = fmax(fabs(g->min), fabs(g->max));
    return most < 1.005 ? 2 : most < 9.95 ? 1 : most < 999.5 ? 0 : -1;
}

void heatmap_value(number_text out, double v, int decimals, bool bare, bool pretty)
{
    char text[40];
    int n = snprintf(text, sizeof text, "%.*f", decimals, fabs(v)), from = 0;
    bool zero = strspn(text, "0.") == strlen(text);

    if (bare && decimals == 2 && text[0] == '0')
        from = 1;
    else if (bare && decimals == 2) /* "1.00" beside ".53" */
        text[n - 1] = '\0';
    snprintf(out, sizeof(number_text), "%s%s", v >= 0 || zero ? "" : pretty ? "\u2212" : "-", text + from);
}

static void put_cells(scene *s, const heatmap_plan *plan, const heatmap_style *style, const grid *g,
                      const scale *sc, box map)
{
    rgb *pixels = scene_alloc(s, (size_t)(g->rows * g->cols), sizeof *pixels);
    double w = plan->col.cell_px * s->page.px, h = plan->row.cell_px * s->page.px, t = frame_hairline(s);

    if (!pixels)
        return;
    for (int64_t r = 0; r < g->rows && !cancel_requested(); r++) {
        for (int64_t i = r * g->cols; i < (r + 1) * g->cols; i++)
            pixels[i] = isnan(g->cells[i]) ? ink_missing : scale_colour(sc, (double)g->cells[i]);
    }
    scene_raster(s, pixels, g->rows, g->cols, map.x, map.y, plan->col.cell_px, plan->row.cell_px);
    if (style->separate && w >= 12 * t && h >= 12 * t) {
        rgb white = {255, 255, 255};
        for (int64_t c = 1; c < g->cols; c++)
            scene_fill(s, (box){map.x + (double)c * w - t, map.y, t, map.h}, white);
        for (int64_t r = 1; r < g->rows; r++)
            scene_fill(s, (box){map.x, map.y + (double)r * h - t, map.w, t}, white);
    }
}

/* Width of the widest value; stops at `enough`. */
static double widest_value(scene *s, const grid *g, text_style style, int decimals, bool bare, double enough)
{
    number_text text;
    double widest = 0;

    for (int64_t i = 0; i < g->rows * g->cols && widest <= enough && !cancel_requested(); i++) {
        if (isnan(g->cells[i]))
            continue;
        heatmap_value(text, (double)g->cells[i], decimals, bare, true);
        widest = fmax(widest, scene_text_width(s, text, style));
    }
    return widest;
}

/* Values into the cells, when the longest of them fits. */
static void put_values(scene *s, const heatmap_plan *plan, const grid *g, const scale *sc, box map)
{
    double w = plan->col.cell_px * s->page.px, h = plan->row.cell_px * s->page.px;
    text_style style = frame_style(s->page.small, ink_text);
    int decimals = heatmap_decimals(g);
    number_text text;

    if (decimals < 0 || scene_line_height(s, style) > h - 0.5)
        return;
    bool bare = widest_value(s, g, style, decimals, false, w - 3) > w - 3;
    if (bare && widest_value(s, g, style, decimals, true, w - 1.5) > w - 1.5)
        return;
    for (int64_t i = 0; i < g->rows * g->cols && !cancel_requested(); i++) {
        if (isnan(g->cells[i]))
            continue;
        heatmap_value(text, (double)g->cells[i], decimals, bare, true);
        bool dark = rgb_lightness(scale_colour(sc, (double)g->cells[i])) < 0.55;
        style.colour = dark ? (rgb){255, 255, 255} : ink_text;
        scene_text(s, text, style, map.x + ((double)(i % g->cols) + 0.5) * w, ALIGN_MIDDLE,
                   map.y + ((double)(i / g->cols) + 0.5) * h + frame_digit_drop(s), ALIGN_MIDDLE);
    }
}

/* Labels and, where some are left out, ticks.  Returns the lower end of the column labels. */
static double put_labels(scene *s, const heatmap_plan *plan, box map)
{
    text_style style = frame_style(s->page.small, ink_text), turned = style;
    const heatmap_axis *row = &plan->row, *col = &plan->col;
    double t = frame_hairline(s), low = map.y + map.h + t, edge = map.x - t;
    double gap = label_gap * s->page.unit, tick = tick_length * s->page.unit;
    double row_pitch = heatmap_pitch(row, s), col_pitch = heatmap_pitch(col, s);
    double end = low;

    turned.turned = col->turned;
    for (int64_t i = 0; i < row->n * row->span && !cancel_requested(); i += row->step) {
        double at = map.y + ((double)i + 0.5) * row_pitch,
               drop = row->mode == LABEL_NUMBER ? frame_digit_drop(s) : 0;
        if (row->step > 1)
            scene_fill(s, (box){edge - tick, at - t / 2, tick, t}, ink_line);
        scene_text(s, heatmap_label(s, row, i), style, edge - gap, ALIGN_HIGH, at + drop, ALIGN_MIDDLE);
    }
    for (int64_t i = 0; i < col->n * col->span && !cancel_requested(); i += col->step) {
        double at = map.x + ((double)i + 0.5) * col_pitch;
        if (col->step > 1)
            scene_fill(s, (box){at - t / 2, low, t, tick}, ink_line);
        box b = scene_text(s, heatmap_label(s, col, i), turned, at, ALIGN_MIDDLE, low + gap, ALIGN_LOW);
        end = fmax(end, b.y + b.h);
    }
    return end;
}

static bool any_missing(const grid *g)
{
    return g->n_finite < g->rows * g->cols;
}

/* Names of the axes and the key of missing cells; returns the lower end. */
static double put_axes(scene *s, const heatmap_plan *plan, const figure_data *d, const heatmap_style *style,
                       const grid *g, box map, double y)
{
    text_style axis = frame_style(s->page.body, ink_text), turned = axis;
    double line = scene_line_height(s, axis), right = map.x + map.w;
    double name_end = map.x;

    double most = s->page.width - 2 * s->page.margin;

    turned.turned = true;
    if (d->row_axis) {
        const char *name = frame_text(s, d->row_axis, axis, most);
        double left = map.x - frame_hairline(s) - label_gap * s->page.unit - plan->row.extent - 0.3 * line;
        double half = scene_text_width(s, name, axis) / 2, at = map.y + map.h / 2;
        /* a map lower than the name: keep the name below the page's head */
        scene_text(s, name, turned, left, ALIGN_HIGH, fmax(at, map.y + half), ALIGN_MIDDLE);
        y = fmax(y, map.y + 2 * half);
    }
    y += 0.4 * line;
    if (d->col_axis) {
        const char *name = frame_text(s, d->col_axis, axis, most);
        double w = scene_text_width(s, name, axis);
        double x = fmax(fmin(map.x + map.w / 2 - w / 2, s->page.width - s->page.margin - w), s->page.margin);
        scene_text(s, name, axis, x + w / 2, ALIGN_MIDDLE, y, ALIGN_LOW);
        name_end = x + w;
    }
    if (any_missing(g)) {
        double w = frame_key_width(s, style->missing);
        double x = fmax(right - w, s->page.margin);
        /* beside the name where there is room, else below */
        if (d->col_axis && x < name_end + s->page.body) {
            x = name_end + s->page.body;
            if (x + w > s->page.width - s->page.margin) {
                x = fmax(right - w, s->page.margin);
                y += 1.4 * line;
            }
        }
        double key = scene_line_height(s, frame_style(s->page.small, ink_quiet));
        frame_key(s, style->missing, x, y + (line - key) / 2);
    }
    return d->col_axis || any_missing(g) ? y + line : y;
}

/* The rest of the page once the cells are known.  After Ctrl-C parts of it are missing: the caller looks. */
static double compose(scene *s, const heatmap_plan *plan, const figure_data *d, const heatmap_style *style,
                      const grid *g, const scale *sc, const char *label)
{
    const page *pg = &s->page;
    double content = pg->width - 2 * pg->margin, t = frame_hairline(s), bar = 0;
    double axis_line = d->row_axis ? 1.3 * scene_line_height(s, frame_style(pg->body, ink_text)) : 0;
    double left = axis_line + plan->row.extent + label_gap * pg->unit + t;
    box map = {0, 0, (double)(g->cols * plan->col.cell_px) * pg->px,
               (double)(g->rows * plan->row.cell_px) * pg->px};

    if (plan->bar_beside)
        frame_bar_width(&bar, s, sc, label, map.h);
    double block = left + map.w + t + bar;
    map.x = page_snap(pg, pg->margin + left + fmax(0, content - block) / 2);
    double y = frame_head(s, d, map.x + map.w / 2);
    map.y = page_snap(pg, y + t + 1);
    put_cells(s, plan, style, g, sc, map);
    scene_frame(s, map, t, ink_line);
    if (style->annotate)
        put_values(s, plan, g, sc, map);
    y = put_labels(s, plan, map);
    y = put_axes(s, plan, d, style, g, map, y);
    if (plan->bar_beside) {
        frame_bar_beside(s, sc, label, map.x + map.w + t, map.y, map.h);
        return y + pg->margin;
    }
    /* a bar shorter than this cannot carry its numbers */
    double w = fmin(fmax(map.w, 40 * POINTS_PER_MM), content - 2 * t);
    double x = fmin(fmax(map.x + map.w / 2 - w / 2, pg->margin + t), pg->width - pg->margin - t - w);
    y = frame_bar_below(s, sc, label, x, y + 0.7 * pg->body, w);
    return y + pg->margin;
}

/* The scene for one page width; complete says whether all labels and values found room. */
static int build_at(scene **out, bool *complete, const figure_data *d, const params *p,
                    const heatmap_style *style, double width_mm, err *e)
{
    page pg;
    scene *s = NULL;
    grid g = {0};
    heatmap_plan plan;
    strbuf label = {0}, visible = {0};
    scale sc;
    int rc = page_init(&pg, p, width_mm, e);

    *out = NULL;
    if (rc == 0)
        rc = scene_new(&s, &pg, e);
    if (rc)
        return rc;
    /* beside the map where the page is wide, if its label is no longer than the map is high */
    for (bool beside = pg.width >= 120 * POINTS_PER_MM;; beside = false) {
        double w;
        rc = cancel_check(e);
        if (rc == 0)
            rc = heatmap_plan_axes(&plan, s, d, style, beside, e);
        if (rc)
            goto out;
        grid_free(&g);
        strbuf_clear(&label);
        strbuf_clear(&visible);
        rc = grid_pool(&g, &d->m, plan.row.pool, plan.col.pool, heatmap_pooling(d, p), e);
        if (rc == 0)
            rc = scale_init(&sc, d, &g, p, e);
        if (rc)
            goto out;
        scale_put_label(&label, &sc, d, &g);
        label_put_visible(&visible, strbuf_str(&label));
        if (label.failed || visible.failed) {
            rc = err_nomem(e, "figure");
            goto out;
        }
        if (!beside || (frame_bar_width(&w, s, &sc, strbuf_str(&visible),
                                        (double)(g.rows * plan.row.cell_px) * pg.px) &&
                        w <= frame_bar_reserve(s) + 0.5))
            break;
    }
    double height = compose(s, &plan, d, style, &g, &sc, strbuf_str(&visible));
    rc = cancel_check(e);
    if (rc == 0)
        rc = scene_finish(s, height, e);
    *complete = plan.complete;
out:
    strbuf_free(&visible);
    strbuf_free(&label);
    grid_free(&g);
    if (rc)
        scene_free(s);
    else
        *out = s;
    return rc;
}

int heatmap_build(scene **out, const figure_data *d, const params *p, const heatmap_style *style, err *e)
{
    bool complete;
    int rc;

    if (d->m.rows < 1 || d->m.cols < 1 || !d->m.cells)
        return err_set(e, ERR_FAILED, "nothing to draw: the matrix has no cells");
    /* unless the user chose: one column when everything is legible in it, else two */
    rc = build_at(out, &complete, d, p, style, PAGE_SINGLE_MM, e);
    if (rc == 0 && !complete && !params_given(p, "width")) {
        scene_free(*out);
        rc = build_at(out, &complete, d, p, style, PAGE_DOUBLE_MM, e);
    }
    return rc;
}
