/* A matrix as coloured cells with labelled rows and columns: what head_map, score_grid and later recipes
 * have in common, on a page and in a terminal. */
#ifndef ATTNSCOPE_PLOTS_HEATMAP_H
#define ATTNSCOPE_PLOTS_HEATMAP_H

#include "plots/figure.h"
#include "plots/grid.h"
#include "plots/scale.h"
#include "plots/scene.h"

typedef struct heatmap_style {
    bool square;          /* cells as high as wide: both axes count the same thing */
    bool annotate;        /* write the values into the cells where they fit */
    bool separate;        /* thin white lines between large cells */
    bool name_columns;    /* in a terminal: the labels of columns, which are short, rather than positions */
    const char *missing;  /* what a NaN means: "not visible" */
    double max_w, max_h;  /* largest cell, points */
} heatmap_style;

/* What a label shows: its text, "12: text" where some labels are left out, or the position alone. */
typedef enum label_mode { LABEL_TEXT, LABEL_NUMBERED, LABEL_NUMBER } label_mode;

/* One axis as laid out.  Positions are counted in tokens (layers, heads): span of them make one entry of
 * the matrix, pool entries make one cell. */
typedef struct heatmap_axis {
    int64_t n;                  /* entries of the matrix */
    const char *const *labels;  /* [n] or NULL */
    int64_t span;
    int64_t pool, cells;
    int cell_px;                /* device pixels per cell */
    label_mode mode;
    bool turned;                /* labels run along the other axis (columns only) */
    int64_t step;               /* every step-th position is labelled */
    double extent;              /* room for the labels, across the axis */
} heatmap_axis;

typedef struct heatmap_plan {
    heatmap_axis row, col;
    bool bar_beside;            /* colour bar to the right of the map, else below it */
    double room_w, room_h;      /* largest map */
    bool complete;              /* every label and, where wanted, every value is shown */
} heatmap_plan;

/* Choose cell sizes, pooling and labels for a page.  ERR_USAGE when the page leaves no room for a map. */
int heatmap_plan_axes(heatmap_plan *out, scene *s, const figure_data *d, const heatmap_style *style,
                      bool bar_beside, err *e);
/* Points per position of an axis. */
double heatmap_pitch(const heatmap_axis *a, const scene *s);
/* Label of position i as drawn, elided to the axis's extent; owned by the scene. */
const char *heatmap_label(scene *s, const heatmap_axis *a, int64_t i);

int heatmap_build(scene **out, const figure_data *d, const params *p, const heatmap_style *style, err *e);
int heatmap_view(strbuf *out, const figure_data *d, const params *p, const heatmap_style *style,
                 term_colour colour, view_size size, err *e);

pooling heatmap_pooling(const figure_data *d, const params *p);

/* Values as they are written into cells: two significant digits, the same decimals in all.  decimals -1: the
 * values are too large to write.  bare: ".53" for 0.53. */
int heatmap_decimals(const grid *g);
void heatmap_value(number_text out, double v, int decimals, bool bare, bool pretty);

#endif
