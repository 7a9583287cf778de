/* Facets: maps side by side. */
#include "plots/panels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/cancel.h"
#include "plots/label.h"

static const double label_gap = 3;                          /* units, between labels and map */
static const double least_square = 34 * POINTS_PER_MM, least_of_many = 22 * POINTS_PER_MM; /* slots of square maps */
static const double least_strip = 56 * POINTS_PER_MM;                                       /* of all others */
static const double between = 3 * POINTS_PER_MM, least_map = 8 * POINTS_PER_MM;
static const double label_share = 0.28;                     /* of a slot's width */

enum { MANY = 16 };

typedef struct facets {
    scene *s;
    const figure_data *d;
    const figure_panels *panels;
    const heatmap_style *style;
    int columns, rows;
    double slot;                       /* width for map and labels of rows */
    double labels;                     /* room for labels of rows in every panel */
    heatmap_plan plan[PANELS_MOST];
    grid g[PANELS_MOST];
} facets;

int64_t panels_longest(const figure_panels *panels)
{
    int64_t most = 0;

    for (int i = 0; i < panels->n; i++) {
        const figure_matrix *m = &panels->panel[i].m;
        int64_t longest = m->rows > m->cols ? m->rows : m->cols;
        if (m->cells && longest > most)
            most = longest;
    }
    return most;
}

/* --- the scale of several grids --- */

int panels_scale(scale *out, const figure_data *d, const grid *g, int n, const params *p, err *e)
{
    grid all = {.rows = 1, .min = INFINITY, .max = -INFINITY, .pool_rows = 1, .pool_cols = 1};
    size_t total = 0;

    for (int i = 0; i < n; i++) {
        if (!size_add(&total, total, (size_t)(g[i].rows * g[i].cols)))
            return err_nomem(e, "figure");
        all.n_finite += g[i].n_finite;
        if (g[i].n_finite) {
            all.min = fmin(all.min, g[i].min);
            all.max = fmax(all.max, g[i].max);
        }
    }
    if (all.n_finite == 0)
        return err_set(e, ERR_FAILED, "nothing to draw: no finite values");
    all.cells = mem_array(total, sizeof *all.cells, e);
    if (!all.cells)
        return ERR_RESOURCE;
    for (int i = 0; i < n; i++) {
        memcpy(all.cells + all.cols, g[i].cells, (size_t)(g[i].rows * g[i].cols) * sizeof *all.cells);
        all.cols += g[i].rows * g[i].cols;
    }
    int rc = scale_init(out, d, &all, p, e);
    grid_free(&all);
    return rc;
}

char *panels_label(const scale *sc, const figure_data *d, const grid *g, err *e)
{
    strbuf label = {0}, visible = {0};

    scale_put_label(&label, sc, d, g);
    label_put_drawn(&visible, strbuf_str(&label));
    visible.failed |= label.failed;
    strbuf_free(&label);
    char *text = strbuf_take(&visible, e);
    strbuf_free(&visible);
    return text;
}

/* --- layout --- */

static figure_data one_panel(const facets *f, int i)
{
    figure_data d = *f->d;

    d.m = f->panels->panel[i].m;
    d.groups = f->panels->panel[i].groups;
    return d;
}

static double title_line(const facets *f)
{
    return 1.25 * scene_line_height(f->s, frame_style(f->s->page.body, f->s->page.text));
}

/* As many columns as have room, the last row as full as the others where it can be. */
static void choose_columns(facets *f)
{
    const page *pg = &f->s->page;
    double name = 1.3 * scene_line_height(f->s, frame_style(pg->body, pg->text));
    double content = pg->width - 2 * pg->margin - (f->d->row_axis ? name : 0);
    bool many = f->panels->n > MANY;
    double least = !f->style->square ? least_strip /* cells of strips may carry values */
                   : many ? least_of_many : least_square;
    int most = (int)floor((content + between) / (least * pg->unit + between));

    most = most < 1 ? 1 : most;
    f->columns = f->panels->n < most ? f->panels->n : most;
    f->rows = (f->panels->n + f->columns - 1) / f->columns;
    f->columns = (f->panels->n + f->rows - 1) / f->rows;
    f->slot = (content - (f->columns - 1) * between) / f->columns;
}

/* The same room for labels in all panels, so that maps of one size are drawn in one size; the same pooling, so that the
 * bar says one thing. */
static int plan_panels(facets *f, err *e)
{
    heatmap_room room = {.width = f->slot, .height = 1.15 * f->slot, .least = least_map,
                         .label_most = label_share * f->slot};

    for (int pass = 0; pass < 3; pass++) {
        for (int i = 0; i < f->panels->n; i++) {
            figure_data d = one_panel(f, i);
            int rc = heatmap_plan_axes(&f->plan[i], f->s, &d, f->style, &room, e);
            if (rc)
                return rc;
        }
        for (int i = 0; i < f->panels->n; i++) {
            room.row_labels = fmax(room.row_labels, f->plan[i].row.extent);
            room.pool_rows = f->plan[i].row.pool > room.pool_rows ? f->plan[i].row.pool : room.pool_rows;
            room.pool_cols = f->plan[i].col.pool > room.pool_cols ? f->plan[i].col.pool : room.pool_cols;
        }
    }
    f->labels = room.row_labels;
    return 0;
}

static int pool_panels(facets *f, const params *p, err *e)
{
    for (int i = 0; i < f->panels->n; i++) {
        const heatmap_plan *plan = &f->plan[i];
        figure_data d = one_panel(f, i);
        int rc = cancel_check(e);
        if (rc == 0)
            rc = grid_pool(&f->g[i], &d.m, plan->row.pool, plan->col.pool, heatmap_pooling(&d, p), e);
        if (rc)
            return rc;
    }
    return 0;
}

static box map_size(const facets *f, int i)
{
    const page *pg = &f->s->page;
    return (box){0, 0, (double)(f->g[i].cols * f->plan[i].col.cell_px) * pg->px,
                 (double)(f->g[i].rows * f->plan[i].row.cell_px) * pg->px};
}

/* --- the page --- */

static void put_title(facets *f, int i, box map)
{
    text_style style = frame_style(f->s->page.body, f->s->page.text);
    strbuf title = {0};

    frame_put_panel(&title, f->panels->panel[i].title, i, f->panels->n);
    f->s->failed |= title.failed;
    const char *text = frame_text(f->s, strbuf_str(&title), style, map.w + f->labels);
    strbuf_free(&title);
    double w = scene_text_width(f->s, text, style), right = f->s->page.width - f->s->page.margin;
    double x = fmin(map.x + map.w / 2, right - w / 2);

    scene_text(f->s, text, style, x, ALIGN_MIDDLE, map.y - frame_hairline(f->s) - 0.3 * style.size, ALIGN_HIGH);
}

static double compose(facets *f, const scale *sc, const char *label)
{
    scene *s = f->s;
    const page *pg = &s->page;
    double t = frame_hairline(s), left = f->labels + label_gap * pg->unit + t, widest = 0, tallest = 0;
    double name_line = scene_line_height(s, frame_style(pg->body, pg->text));
    double name = f->d->row_axis ? 1.3 * name_line : 0, content = pg->width - 2 * pg->margin;
    figure_groups lines = {0};
    bool missing = false;

    for (int i = 0; i < f->panels->n; i++)
        widest = fmax(widest, map_size(f, i).w), tallest = fmax(tallest, map_size(f, i).h);
    double pitch = page_snap(pg, left + widest + t + between), block_w = name + f->columns * pitch - between;
    double x0 = pg->margin + name + fmax(0, content - block_w) / 2;
    box block = {page_snap(pg, x0 + left), 0, (f->columns - 1) * pitch + widest, 0};
    double y = frame_head(s, f->d, block.x + block.w / 2), top = y, above = 0, bottom;

    if (f->rows == 1)
        above = heatmap_name_above(s, f->d->row_axis, tallest);
    bottom = y + above;

    for (int i = 0; i < f->panels->n && !cancel_requested(); i++) {
        box map = map_size(f, i);
        if (i % f->columns == 0)
            y = bottom + (i ? 0.8 * pg->body : 0) + title_line(f);
        map.x = page_snap(pg, x0 + left + i % f->columns * pitch);
        map.y = page_snap(pg, y + t + 1);
        block.y = i == 0 ? map.y : block.y;
        block.h = fmax(block.h, map.y + map.h - block.y);
        put_title(f, i, map);
        heatmap_put_map(s, &f->plan[i], &f->panels->panel[i].groups, f->style, &f->g[i], sc, map);
        bottom = fmax(bottom, heatmap_put_labels(s, &f->plan[i], map));
        missing |= f->g[i].n_finite < f->g[i].rows * f->g[i].cols;
        lines = f->panels->panel[i].groups.meaning && !lines.meaning ? f->panels->panel[i].groups : lines;
    }
    frame_meaning keys[3];
    int n_keys = heatmap_keys(keys, &lines, f->style, missing);
    y = heatmap_put_names(s, f->d->row_axis, f->d->col_axis, keys, n_keys,
                          block.x - t - label_gap * pg->unit - f->labels - 0.3 * name_line,
                          above > 0 ? top : (double)NAN, block, bottom);
    double w = fmin(fmax(0.6 * block.w, 40 * POINTS_PER_MM), content - 2 * t);
    double x = fmin(fmax(block.x + block.w / 2 - w / 2, pg->margin + t), pg->width - pg->margin - t - w);
    y = frame_bar_below(s, sc, label, x, y + 0.7 * pg->body, w);
    return frame_foot(s, f->d, label, y) + pg->margin;
}

static int check(const figure_panels *panels, err *e)
{
    if (panels->n < 1)
        return err_set(e, ERR_FAILED, "nothing to draw: there are no panels");
    if (panels->n > PANELS_MOST) {
        err_set(e, ERR_USAGE, "%d panels: a page holds at most %d", panels->n, PANELS_MOST);
        return err_hint(e, "draw several figures");
    }
    for (int i = 0; i < panels->n; i++)
        if (panels->panel[i].m.rows < 1 || panels->panel[i].m.cols < 1 || !panels->panel[i].m.cells)
            return err_set(e, ERR_FAILED, "nothing to draw: panel %d has no cells", i + 1);
    return 0;
}

static int draw(facets *f, const params *p, err *e)
{
    scale sc;
    char *label = NULL;

    choose_columns(f);
    int rc = plan_panels(f, e);
    if (rc == 0)
        rc = pool_panels(f, p, e);
    if (rc == 0)
        rc = panels_scale(&sc, f->d, f->g, f->panels->n, p, e);
    if (rc == 0 && !(label = panels_label(&sc, f->d, &f->g[0], e)))
        rc = ERR_RESOURCE;
    if (rc == 0) {
        double height = compose(f, &sc, label);
        rc = cancel_check(e);
        if (rc == 0)
            rc = scene_finish(f->s, height, e);
    }
    free(label);
    return rc;
}

int panels_build(scene **out, const figure_data *d, const params *p, const heatmap_style *style, err *e)
{
    page pg;
    facets *f = NULL;

    *out = NULL;
    if (d->panels->columns > 0)
        return thumbs_build(out, d, p, style, e);
    int rc = check(d->panels, e);
    if (rc == 0)
        rc = page_init(&pg, p, d->panels->n > 1 ? PAGE_DOUBLE_MM : PAGE_SINGLE_MM, e);
    if (rc == 0 && !(f = mem_array(1, sizeof *f, e)))
        rc = ERR_RESOURCE;
    if (rc)
        return rc;
    *f = (facets){.d = d, .panels = d->panels, .style = style};
    rc = scene_new(&f->s, &pg, e);
    if (rc == 0)
        rc = draw(f, p, e);
    for (int i = 0; i < d->panels->n; i++)
        grid_free(&f->g[i]);
    if (rc == 0)
        *out = f->s;
    else
        scene_free(f->s);
    free(f);
    return rc;
}
