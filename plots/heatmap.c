/* The page of a heat map. */
#include "plots/heatmap.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cancel.h"
#include "plots/frame.h"
#include "plots/label.h"
#include "plots/panels.h"

static const double label_gap = 3; /* units */

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

static bool any_missing(const grid *g)
{
    return g->n_finite < g->rows * g->cols;
}

/* The rest of the page once the cells are known.  After Ctrl-C parts of it are missing: the caller looks. */
static double compose(scene *s, const heatmap_plan *plan, const figure_data *d, const heatmap_style *style,
                      const grid *g, const scale *sc, const char *label)
{
    const page *pg = &s->page;
    double content = pg->width - 2 * pg->margin, t = frame_hairline(s), bar = 0;
    double name_line = scene_line_height(s, frame_style(pg->body, pg->text));
    double left = (d->row_axis ? 1.3 * name_line : 0) + plan->row.extent + label_gap * pg->unit + t;
    box map = {0, 0, (double)(g->cols * plan->col.cell_px) * pg->px,
               (double)(g->rows * plan->row.cell_px) * pg->px};
    frame_meaning keys[3];

    if (plan->bar_beside)
        frame_bar_width(&bar, s, sc, label, map.h);
    double block = left + map.w + t + bar;
    map.x = page_snap(pg, pg->margin + left + fmax(0, content - block) / 2);
    double y = frame_head(s, d, map.x + map.w / 2), above = heatmap_name_above(s, d->row_axis, map.h), name_top = y;
    map.y = page_snap(pg, y + above + t + 1);
    heatmap_put_map(s, plan, &d->groups, style, g, sc, map);
    y = heatmap_put_labels(s, plan, map);
    int n_keys = heatmap_keys(keys, &d->groups, style, any_missing(g));
    y = heatmap_put_names(s, d->row_axis, d->col_axis, keys, n_keys,
                          map.x - t - label_gap * pg->unit - plan->row.extent - 0.3 * name_line,
                          above > 0 ? name_top : (double)NAN, map, y);
    if (plan->bar_beside) {
        frame_bar_beside(s, sc, label, map.x + map.w + t, map.y, map.h);
        return frame_foot(s, d, label, y) + pg->margin;
    }
    /* a bar shorter than this cannot carry its numbers */
    double w = fmin(fmax(map.w, 40 * POINTS_PER_MM), content - 2 * t);
    double x = fmin(fmax(map.x + map.w / 2 - w / 2, pg->margin + t), pg->width - pg->margin - t - w);
    y = frame_bar_below(s, sc, label, x, y + 0.7 * pg->body, w);
    return frame_foot(s, d, label, y) + pg->margin;
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
        heatmap_room room = heatmap_page_room(s, d, beside);
        rc = cancel_check(e);
        if (rc == 0)
            rc = heatmap_plan_axes(&plan, s, d, style, &room, e);
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
        label_put_drawn(&visible, strbuf_str(&label));
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

int heatmap_build(scene **out, const figure_data *d, const params *p, const heatmap_style *recipe, err *e)
{
    heatmap_style own = *recipe, *style = &own;
    bool complete;
    int rc;

    if (d->missing)
        own.missing = d->missing;

    if (d->panels)
        return panels_build(out, d, p, style, e);
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
