/* A matrix as coloured cells with labelled rows and columns: what head_map, score_grid and later recipes
 * have in common, on a page and in a terminal. */
#ifndef ATTNSCOPE_PLOTS_HEATMAP_H
#define ATTNSCOPE_PLOTS_HEATMAP_H

#include "plots/figure.h"
#include "plots/frame.h"
#include "plots/grid.h"
#include "plots/scale.h"
#include "plots/scene.h"

typedef struct heatmap_style {
    bool square;          /* cells as high as wide: both axes count the same thing */
    bool annotate;        /* write the values into the cells where they fit */
    bool separate;        /* thin lines of paper between large cells */
    bool own_names;       /* labels say what a position is: where some are left out the others need no numbers */
    bool name_columns;    /* in a terminal: the labels of columns, which are short, rather than positions */
    bool sparse_names;    /* in a terminal: of the labels of columns those that are not "" */
    int64_t block;        /* in a terminal: every block-th row and column is a blank; even, 0: none */
    const scale *shared;  /* in a terminal: the scale of several maps, NULL: this map's own */
    const char *missing;  /* what a NaN means: "not visible" */
    double max_w, max_h;  /* largest cell, points beside text of 8 points */
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
    double most;                /* largest room for the labels, across the axis */
    double extent;              /* room for the labels, across the axis */
} heatmap_axis;

typedef struct heatmap_plan {
    heatmap_axis row, col;
    bool bar_beside;            /* colour bar to the right of the map, else below it */
    double room_w, room_h;      /* largest map */
    bool complete;              /* every label and, where wanted, every value is shown */
} heatmap_plan;

/* Where one map may lie, points. */
typedef struct heatmap_room {
    double width;        /* of map, labels of rows and a bar beside the map */
    double height;       /* of the map */
    double least;        /* a map narrower than this is refused */
    double label_most;   /* largest room for the labels of an axis */
    int64_t pool_rows, pool_cols; /* cells are pooled at least so; 0: as they fit */
    double row_labels;   /* room that labels of rows take at least */
    bool bar_beside;
} heatmap_room;
/* For one map on a page. */
heatmap_room heatmap_page_room(const scene *s, const figure_data *d, bool bar_beside);

/* Choose cell sizes, pooling and labels.  ERR_USAGE when the page leaves no room for a map. */
int heatmap_plan_axes(heatmap_plan *out, scene *s, const figure_data *d, const heatmap_style *style,
                      const heatmap_room *room, err *e);
/* Points per position of an axis. */
double heatmap_pitch(const heatmap_axis *a, const scene *s);
/* Label of position i as drawn, elided to the axis's extent; owned by the scene. */
const char *heatmap_label(scene *s, const heatmap_axis *a, int64_t i);

/* --- parts of a page (heatmap_draw.c); after Ctrl-C some of it is missing: the caller looks --- */

/* Cells, frame, lines of groups and, where wanted, values. */
void heatmap_put_map(scene *s, const heatmap_plan *plan, const figure_groups *groups, const heatmap_style *style,
                     const grid *g, const scale *sc, box map);
/* Labels and, where some are left out, ticks.  Returns the lower end of the column labels. */
double heatmap_put_labels(scene *s, const heatmap_plan *plan, box map);
/* A map lower than the name of its rows is long has that name above it: the room to leave there, 0 where it stands beside. */
double heatmap_name_above(scene *s, const char *row_axis, double map_height);
/* Names of the axes around a map or a block of maps, and the keys of what is in them; row_end: where the name of the rows
 * ends, row_top: the top of that name where it stands above, else NaN.  y: lower end of the column labels.  Returns the lower
 * end. */
double heatmap_put_names(scene *s, const char *row_axis, const char *col_axis, const frame_meaning *keys, int n_keys,
                         double row_end, double row_top, box map, double y);
/* Keys of one map: room for 3; returns how many. */
int heatmap_keys(frame_meaning *keys, const figure_groups *groups, const heatmap_style *style, bool missing);

/* One map, or panels (plots/panels.c) where d has them. */
int heatmap_build(scene **out, const figure_data *d, const params *p, const heatmap_style *style, err *e);
int heatmap_view(strbuf *out, const figure_data *d, const params *p, const heatmap_style *style,
                 term_colour colour, view_size size, err *e);

/* Values as they are written into cells: two significant digits, the same decimals in all.  decimals -1: the
 * values are too large to write.  bare: ".53" for 0.53. */
int heatmap_decimals(const grid *g);
void heatmap_value(number_text out, double v, int decimals, bool bare, bool pretty);

#endif
