/* A grid of thumbnails with named rows and columns. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/cancel.h"
#include "plots/panels.h"

static const double label_gap = 3, line_pitch = 1.06;
static const double largest = 30 * POINTS_PER_MM;
static const double tallest = 1.3;        /* height of the grid, in widths of the page's content */
enum { SINGLE_COLUMNS = 6, SINGLE_ROWS = 12 }; /* larger grids need both columns of a page */

typedef struct thumbs {
    scene *s;
    const figure_panels *panels;
    int rows, columns;
    int side_px, gap_px;                  /* of a thumbnail, between two */
    double name, labels;                  /* room for the name of the rows, for their labels */
} thumbs;

static text_style label_style(const scene *s)
{
    return frame_style(s->page.small, s->page.text);
}

static double widest(scene *s, const char *const *names, int n)
{
    double most = 0;

    for (int i = 0; i < n; i++)
        most = fmax(most, scene_text_width(s, names[i], label_style(s)));
    return most;
}

static int check(const figure_panels *panels, err *e)
{
    int columns = panels->columns, rows = columns > 0 ? (panels->n + columns - 1) / columns : 0;

    if (rows < 1)
        return err_set(e, ERR_FAILED, "nothing to draw: there are no panels");
    if (columns > THUMBS_MOST || rows > THUMBS_MOST) {
        err_set(e, ERR_USAGE, "a grid of %d x %d maps: a page holds at most %d x %d", rows, columns, THUMBS_MOST,
                THUMBS_MOST);
        return err_hint(e, "choose some of them: --head L0-%dH*", THUMBS_MOST - 1);
    }
    return 0;
}

/* The page with its grid, before any map is known. */
static int lay_out(thumbs *out, const figure_panels *panels, const params *p, err *e)
{
    thumbs th = {.panels = panels, .columns = panels->columns};
    page pg;
    int rc = check(panels, e);

    if (rc)
        return rc;
    th.rows = (panels->n + th.columns - 1) / th.columns;
    bool small = th.columns <= SINGLE_COLUMNS && th.rows <= SINGLE_ROWS;
    rc = page_init(&pg, p, small ? PAGE_SINGLE_MM : PAGE_DOUBLE_MM, e);
    if (rc == 0)
        rc = scene_new(&th.s, &pg, e);
    if (rc)
        return rc;
    double content = pg.width - 2 * pg.margin, gap = th.columns <= 12 ? 1.6 : 1;
    th.name = panels->row_axis ? 1.3 * scene_line_height(th.s, frame_style(pg.body, pg.text)) : 0;
    th.labels = widest(th.s, panels->row_names, th.rows);
    th.gap_px = (int)fmax(1, round(gap * pg.unit / pg.px));
    double room = content - th.name - th.labels - label_gap * pg.unit - 2 * frame_hairline(th.s);
    double side = fmin(room / th.columns, fmin(tallest * content / th.rows, largest * pg.unit));
    th.side_px = (int)floor(side / pg.px) - th.gap_px;
    if (th.side_px < 8 || room < content / 4) {
        scene_free(th.s);
        err_set(e, ERR_USAGE, "a page of %.0f mm has no room for %d thumbnails beside labels of %g points",
                pg.width / POINTS_PER_MM, th.columns, pg.small);
        return err_hint(e, "raise --width, or choose fewer heads");
    }
    *out = th;
    return 0;
}

int thumbs_side(int64_t *cells, const figure_panels *panels, const params *p, err *e)
{
    thumbs th;
    int rc = lay_out(&th, panels, p, e);

    if (rc)
        return rc;
    *cells = th.side_px;
    scene_free(th.s);
    return 0;
}

/* Cells of the largest grid. */
typedef struct extent { int64_t rows, cols; } extent;

/* All maps pooled alike.  g [panels.n]: no cells where there is no map. */
static int pool_all(grid *g, extent *most_cells, const thumbs *th, pooling how, err *e)
{
    int64_t most = panels_longest(th->panels), pool;

    if (most == 0)
        return err_set(e, ERR_FAILED, "nothing to draw: no panel has cells");
    pool = ceil_div(most, th->side_px);
    for (int i = 0; i < th->panels->n; i++) {
        int rc = th->panels->panel[i].m.cells ? grid_pool(&g[i], &th->panels->panel[i].m, pool, pool, how, e) : 0;
        if (rc == 0)
            rc = cancel_check(e);
        if (rc)
            return rc;
        most_cells->rows = g[i].rows > most_cells->rows ? g[i].rows : most_cells->rows;
        most_cells->cols = g[i].cols > most_cells->cols ? g[i].cols : most_cells->cols;
    }
    return 0;
}

static void put_thumb(scene *s, const grid *g, const scale *sc, int cell_px, double x, double y)
{
    rgb *pixels = scene_alloc(s, (size_t)(g->rows * g->cols), sizeof *pixels);

    for (int64_t i = 0; pixels && i < g->rows * g->cols; i++)
        pixels[i] = isnan(g->cells[i]) ? s->page.missing : scale_colour(sc, (double)g->cells[i]);
    if (pixels)
        scene_raster(s, pixels, g->rows, g->cols, x, y, cell_px, cell_px);
}

/* Labels of rows on the left and of columns below, as many as stand apart. */
static double put_names(const thumbs *th, box block, scene_point pitch, scene_point side)
{
    scene *s = th->s;
    text_style style = label_style(s);
    double gap = label_gap * s->page.unit, line = scene_line_height(s, style), end = block.y + block.h + gap + line;
    int row_step = (int)ceil(line_pitch * line / pitch.y - 1e-9);
    int col_step = (int)ceil((widest(s, th->panels->col_names, th->columns) + 0.4 * style.size) / pitch.x - 1e-9);

    for (int r = 0; r < th->rows; r += row_step)
        scene_text(s, th->panels->row_names[r], style, block.x - gap, ALIGN_HIGH, block.y + r * pitch.y + side.y / 2,
                   ALIGN_MIDDLE);
    for (int c = 0; c < th->columns; c += col_step)
        scene_text(s, th->panels->col_names[c], style, block.x + c * pitch.x + side.x / 2, ALIGN_MIDDLE,
                   block.y + block.h + gap, ALIGN_LOW);
    return end;
}

/* Lines between groups of columns, in the gaps and as far down as the names. */
static void put_lines(const thumbs *th, box block, double pitch)
{
    scene *s = th->s;
    const figure_groups *groups = &th->panels->groups;
    double t = frame_hairline(s), gap = th->gap_px * s->page.px, tail = label_gap * s->page.unit;

    for (int64_t i = 0; i < groups->n_col; i++) {
        double x = page_snap(&s->page, block.x + (double)groups->col_starts[i] * pitch - gap / 2);
        if (groups->col_starts[i] > 0 && groups->col_starts[i] < th->columns)
            scene_fill(s, (box){x - t, block.y - t, 2 * t, block.h + 2 * t + tail}, s->page.text);
    }
}

static double compose(const thumbs *th, const figure_data *d, const grid *g, const scale *sc, const char *label,
                      extent most, const heatmap_style *style)
{
    scene *s = th->s;
    const page *pg = &s->page;
    int cell_px = (int)(th->side_px / (most.rows > most.cols ? most.rows : most.cols));
    double t = frame_hairline(s), gap = th->gap_px * pg->px;
    scene_point side = {(double)(most.cols * cell_px) * pg->px, (double)(most.rows * cell_px) * pg->px};
    scene_point pitch = {side.x + gap, side.y + gap};
    double content = pg->width - 2 * pg->margin, left = th->name + th->labels + label_gap * pg->unit + t;
    box block = {0, 0, th->columns * pitch.x - gap, th->rows * pitch.y - gap};
    bool missing = false, empty = th->rows * th->columns > th->panels->n;

    block.x = page_snap(pg, pg->margin + left + fmax(0, content - left - block.w - t) / 2);
    double top = frame_head(s, d, block.x + block.w / 2), above = heatmap_name_above(s, th->panels->row_axis, block.h);
    block.y = page_snap(pg, top + above + t + 1);
    for (int i = 0; i < th->panels->n && !cancel_requested(); i++) {
        /* on device pixels, however many thumbnails lie before */
        box at = {page_snap(pg, block.x + i % th->columns * pitch.x), page_snap(pg, block.y + i / th->columns * pitch.y),
                  side.x, side.y};
        if (g[i].cells) {
            at.w = (double)(g[i].cols * cell_px) * pg->px;
            at.h = (double)(g[i].rows * cell_px) * pg->px;
            put_thumb(s, &g[i], sc, cell_px, at.x, at.y);
        }
        if (!g[i].cells || gap >= 3 * t)
            scene_frame(s, g[i].cells ? at : (box){at.x + t, at.y + t, side.x - 2 * t, side.y - 2 * t}, t, pg->line);
        missing |= g[i].cells && g[i].n_finite < g[i].rows * g[i].cols;
        empty |= !g[i].cells;
    }
    put_lines(th, block, pitch.x);
    double y = put_names(th, block, pitch, side);
    frame_meaning keys[3];
    int n = 0;
    if (missing)
        keys[n++] = (frame_meaning){SWATCH_MISSING, style->missing};
    if (empty && th->panels->empty)
        keys[n++] = (frame_meaning){SWATCH_EMPTY, th->panels->empty};
    if (th->panels->groups.n_col > 0)
        keys[n++] = (frame_meaning){SWATCH_LINE, th->panels->groups.meaning};
    y = heatmap_put_names(s, th->panels->row_axis, th->panels->col_axis, keys, n,
                          block.x - label_gap * pg->unit - th->labels - t - 0.3 * pg->body,
                          above > 0 ? top : (double)NAN, block, y);
    double w = fmin(fmax(0.7 * block.w, 40 * POINTS_PER_MM), content - 2 * t);
    double x = fmin(fmax(block.x + block.w / 2 - w / 2, pg->margin + t), pg->width - pg->margin - t - w);
    y = frame_bar_below(s, sc, label, x, y + 0.7 * pg->body, w);
    return frame_foot(s, d, label, y) + pg->margin;
}

/* The grids that have cells, for the scale. */
static int scale_of(scale *sc, const figure_data *d, const grid *g, int n, const params *p, err *e)
{
    grid *there = mem_array((size_t)n, sizeof *there, e);
    int k = 0;

    if (!there)
        return ERR_RESOURCE;
    for (int i = 0; i < n; i++)
        if (g[i].cells)
            there[k++] = g[i];
    int rc = panels_scale(sc, d, there, k, p, e);
    free(there);
    return rc;
}

int thumbs_build(scene **out, const figure_data *d, const params *p, const heatmap_style *style, err *e)
{
    thumbs th;
    scale sc;
    extent most = {0, 0};
    char *label = NULL;
    int n = d->panels->n, rc = lay_out(&th, d->panels, p, e), first = 0;

    if (rc)
        return rc;
    grid *g = mem_array((size_t)n, sizeof *g, e);
    rc = g ? pool_all(g, &most, &th, heatmap_pooling(d, p), e) : ERR_RESOURCE;
    if (rc == 0)
        rc = scale_of(&sc, d, g, n, p, e);
    while (rc == 0 && !g[first].cells)
        first++;
    if (rc == 0 && !(label = panels_label(&sc, d, &g[first], e)))
        rc = ERR_RESOURCE;
    if (rc == 0) {
        double height = compose(&th, d, g, &sc, label, most, style);
        rc = cancel_check(e);
        if (rc == 0)
            rc = scene_finish(th.s, height, e);
    }
    for (int i = 0; g && i < n; i++)
        grid_free(&g[i]);
    free(g);
    free(label);
    if (rc)
        scene_free(th.s);
    else
        *out = th.s;
    return rc;
}
