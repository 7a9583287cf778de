/* What is on the page of a heat map: cells, values, lines, labels, names. */
#include <math.h>
#include <string.h>

#include "base/cancel.h"
#include "plots/frame.h"
#include "plots/heatmap.h"

static const double label_gap = 3, tick_length = 2; /* units */

static void put_cells(scene *s, const heatmap_plan *plan, const heatmap_style *style, const grid *g,
                      const scale *sc, box map)
{
    rgb *pixels = scene_alloc(s, (size_t)(g->rows * g->cols), sizeof *pixels);
    double w = plan->col.cell_px * s->page.px, h = plan->row.cell_px * s->page.px, t = frame_hairline(s);

    if (!pixels)
        return;
    for (int64_t r = 0; r < g->rows && !cancel_requested(); r++) {
        for (int64_t i = r * g->cols; i < (r + 1) * g->cols; i++)
            pixels[i] = isnan(g->cells[i]) ? s->page.missing : scale_colour(sc, (double)g->cells[i]);
    }
    scene_raster(s, pixels, g->rows, g->cols, map.x, map.y, plan->col.cell_px, plan->row.cell_px);
    if (style->separate && w >= 12 * t && h >= 12 * t) {
        rgb paper = s->page.paper;
        for (int64_t c = 1; c < g->cols; c++)
            scene_fill(s, (box){map.x + (double)c * w - t, map.y, t, map.h}, paper);
        for (int64_t r = 1; r < g->rows; r++)
            scene_fill(s, (box){map.x, map.y + (double)r * h - t, map.w, t}, paper);
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
    text_style style = frame_style(s->page.small, s->page.text);
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
        rgb back = scale_colour(sc, (double)g->cells[i]), dark = {0x1a, 0x1a, 0x1a};
        style.colour = rgb_contrast(back, dark) >= PAGE_CONTRAST ? dark : rgb_opposite(back);
        scene_text(s, text, style, map.x + ((double)(i % g->cols) + 0.5) * w, ALIGN_MIDDLE,
                   map.y + ((double)(i / g->cols) + 0.5) * h + frame_digit_drop(s), ALIGN_MIDDLE);
    }
}

/* A label that shows something: not the rest of a character that an earlier token begins, nor a blank. */
static bool tells(const char *label)
{
    static const char *const marks[] = {"\u2026", "\u2423", "\\"};

    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++)
        if (strncmp(label, marks[i], strlen(marks[i])) == 0)
            return false;
    return label[strspn(label, " ")] != '\0';
}

/* The position to label, at or behind i and before the next that could be. */
static int64_t telling(const heatmap_axis *a, int64_t i)
{
    if (a->step > 1 && a->mode != LABEL_NUMBER && a->labels)
        for (int64_t k = i; k < i + a->step && k < a->n; k++)
            if (a->labels[k] && tells(a->labels[k]))
                return k;
    return i;
}

double heatmap_put_labels(scene *s, const heatmap_plan *plan, box map)
{
    text_style style = frame_style(s->page.small, s->page.text), turned = style;
    const heatmap_axis *row = &plan->row, *col = &plan->col;
    double t = frame_hairline(s), low = map.y + map.h + t, edge = map.x - t;
    double gap = label_gap * s->page.unit, tick = tick_length * s->page.unit;
    double row_pitch = heatmap_pitch(row, s), col_pitch = heatmap_pitch(col, s);
    double end = low;

    turned.turned = col->turned;
    for (int64_t i = telling(row, 0); i < row->n * row->span && !cancel_requested(); i = telling(row, i + row->step)) {
        double at = map.y + ((double)i + 0.5) * row_pitch,
               drop = row->mode == LABEL_NUMBER ? frame_digit_drop(s) : 0;
        if (row->step > 1)
            scene_fill(s, (box){edge - tick, at - t / 2, tick, t}, s->page.line);
        scene_text(s, heatmap_label(s, row, i), style, edge - gap, ALIGN_HIGH, at + drop, ALIGN_MIDDLE);
    }
    for (int64_t i = telling(col, 0); i < col->n * col->span && !cancel_requested(); i = telling(col, i + col->step)) {
        double at = map.x + ((double)i + 0.5) * col_pitch;
        if (col->step > 1)
            scene_fill(s, (box){at - t / 2, low, t, tick}, s->page.line);
        box b = scene_text(s, heatmap_label(s, col, i), turned, at, ALIGN_MIDDLE, low + gap, ALIGN_LOW);
        end = fmax(end, b.y + b.h);
    }
    return end;
}

/* One line between groups: ink between flanks of paper where cells are large enough, to be seen on any colour. */
static void put_line(scene *s, box at, bool vertical, bool flanked)
{
    double t = frame_hairline(s);
    box flank = vertical ? (box){at.x - t, at.y, at.w + 2 * t, at.h} : (box){at.x, at.y - t, at.w, at.h + 2 * t};

    if (flanked)
        scene_fill(s, flank, s->page.paper);
    scene_fill(s, at, s->page.text);
}

/* On the edge between two cells, as much on one side as on the other. */
static void put_groups(scene *s, const heatmap_plan *plan, const figure_groups *groups, box map)
{
    const page *pg = &s->page;
    double t = frame_hairline(s), w = plan->col.cell_px * pg->px, h = plan->row.cell_px * pg->px;
    bool wide_w = w >= 12 * t, wide_h = h >= 12 * t;

    for (int64_t i = 0; i < groups->n_col; i++) {
        double x = map.x + page_snap(pg, (double)groups->col_starts[i] * w / (double)plan->col.pool);
        if (groups->col_starts[i] > 0 && x < map.x + map.w)
            put_line(s, (box){x - t, map.y, wide_w ? 2 * t : t, map.h}, true, wide_w);
    }
    for (int64_t i = 0; i < groups->n_row; i++) {
        double y = map.y + page_snap(pg, (double)groups->row_starts[i] * h / (double)plan->row.pool);
        if (groups->row_starts[i] > 0 && y < map.y + map.h)
            put_line(s, (box){map.x, y - t, map.w, wide_h ? 2 * t : t}, false, wide_h);
    }
}

void heatmap_put_map(scene *s, const heatmap_plan *plan, const figure_groups *groups, const heatmap_style *style,
                     const grid *g, const scale *sc, box map)
{
    put_cells(s, plan, style, g, sc, map);
    scene_frame(s, map, frame_hairline(s), s->page.line);
    put_groups(s, plan, groups, map);
    if (style->annotate)
        put_values(s, plan, g, sc, map);
}

int heatmap_keys(frame_meaning *keys, const figure_groups *groups, const heatmap_style *style, bool missing)
{
    int n = 0;

    if (missing)
        keys[n++] = (frame_meaning){SWATCH_MISSING, style->missing};
    if (groups->meaning && (groups->n_row > 0 || groups->n_col > 0))
        keys[n++] = (frame_meaning){SWATCH_LINE, groups->meaning};
    return n;
}

double heatmap_name_above(scene *s, const char *row_axis, double map_height)
{
    text_style style = frame_style(s->page.body, s->page.text);

    if (!row_axis)
        return 0;
    const char *name = frame_text(s, row_axis, style, s->page.width - 2 * s->page.margin);
    /* a little longer than the map is no harm: the labels of columns stand below */
    return scene_text_width(s, name, style) > map_height + 2 * style.size ? 1.5 * scene_line_height(s, style) : 0;
}

double heatmap_put_names(scene *s, const char *row_axis, const char *col_axis, const frame_meaning *keys, int n_keys,
                         double row_end, double row_top, box map, double y)
{
    text_style axis = frame_style(s->page.body, s->page.text), turned = axis;
    double line = scene_line_height(s, axis), name_end = s->page.margin, most = s->page.width - 2 * s->page.margin;

    turned.turned = true;
    if (row_axis && !isnan(row_top)) {
        const char *name = frame_text(s, row_axis, axis, most);
        double x = fmin(row_end, s->page.width - s->page.margin - scene_text_width(s, name, axis));
        scene_text(s, name, axis, fmax(x, s->page.margin), ALIGN_LOW, row_top, ALIGN_LOW);
    } else if (row_axis) {
        const char *name = frame_text(s, row_axis, axis, most);
        double half = scene_text_width(s, name, axis) / 2, at = map.y + map.h / 2;
        /* a map lower than the name: keep the name below the page's head */
        scene_text(s, name, turned, row_end, ALIGN_HIGH, fmax(at, map.y + half), ALIGN_MIDDLE);
        y = fmax(y, map.y + 2 * half);
    }
    y += 0.4 * line;
    if (col_axis) {
        const char *name = frame_text(s, col_axis, axis, most);
        double w = scene_text_width(s, name, axis);
        double x = fmax(fmin(map.x + map.w / 2 - w / 2, s->page.width - s->page.margin - w), s->page.margin);
        scene_text(s, name, axis, x + w / 2, ALIGN_MIDDLE, y, ALIGN_LOW);
        name_end = x + w;
    }
    y = frame_keys(s, keys, n_keys, name_end, map.x + map.w, y, line);
    return col_axis || n_keys ? y + line : y;
}
