/* Figures from stored rows.  A recipe (plots/figures/) is one file with one `const figure` and one line in
 * plots/sources.mk.  It gets labelled numbers and knows nothing of models, stores or commands. */
#ifndef ATTNSCOPE_PLOTS_FIGURE_H
#define ATTNSCOPE_PLOTS_FIGURE_H

#include <stdbool.h>
#include <stdint.h>
#include "base/param.h"
#include "base/table.h"

/* A matrix of numbers with labelled rows and columns.  NaN = masked (no value), drawn visibly not zero. */
typedef struct figure_matrix {
    int64_t rows, cols;
    const float *cells;               /* [rows, cols] */
    const char *const *row_labels;    /* [rows] UTF-8 made visible, NULL: numbers from 0 */
    const char *const *col_labels;    /* [cols] */
} figure_matrix;

/* Lines between the entries of an axis: a group begins at each start, the first group excepted. */
typedef struct figure_groups {
    const int64_t *row_starts, *col_starts; /* [n_row], [n_col] ascending */
    int64_t n_row, n_col;
    const char *meaning;              /* for the key: "lines: heads that share keys and values" */
} figure_groups;

/* One of several matrices with one colour scale. */
typedef struct figure_panel {
    figure_matrix m;                  /* cells NULL: there is none, its place stays empty */
    const char *title;                /* above it; NULL in a grid with named rows and columns */
    figure_groups groups;
} figure_panel;

/* Panels in order, row by row.  columns 0: side by side as the page allows, each with its title and labels;
 * else a grid of that many columns, whose rows and columns are named and whose panels are thumbnails. */
typedef struct figure_panels {
    const figure_panel *panel;        /* [n] */
    int n, columns;
    const char *const *row_names, *const *col_names; /* [n / columns], [columns] of a grid */
    const char *row_axis, *col_axis;  /* of a grid: "layer", "head" */
    const char *empty;                /* of a grid: what a place without panel means */
    figure_groups groups;             /* of a grid: lines between its columns */
} figure_panels;

enum { PANELS_MOST = 36, THUMBS_MOST = 30 }; /* panels side by side; rows and columns of a grid */

typedef struct figure_data {
    figure_matrix m;                  /* of recipes that draw a map */
    const struct figure_chart *chart; /* of recipes that draw series (plots/chart_data.h), NULL otherwise */
    const struct figure_charts *charts; /* of those recipes instead of chart: several side by side; NULL otherwise */
    figure_groups groups;             /* lines in m */
    const figure_panels *panels;      /* instead of m, NULL otherwise */
    const char *missing;              /* what a NaN means, NULL: what the recipe says */
    const char *caption;              /* for --caption: "lantern-3m; 74 tokens; 1 prompt", or NULL */
    const char *title;                /* "L1H3 · lantern-3m" */
    const char *subtitle;             /* "run 3, 74 tokens, ..." or NULL */
    const char *row_axis, *col_axis;  /* "query token", "key token" */
    const char *quantity;             /* "attention weight" */
    const char *unit;                 /* "" or "nats" */
    double lo, hi;                    /* natural limits of the colour scale; NaN: from the data */
    const char *cmap;                 /* colour map where the user names none; NULL: that of figure_params */
    int64_t pool;                     /* cells were pooled over pool x pool before; 0 or 1 = not */
    const char *pooling;              /* how: "mean" or "max"; NULL: mean */
    const char *const *provenance;    /* key, value, key, value, ..., NULL: text chunks of the PNG,
                                       * metadata of SVG and PDF; may be NULL */
} figure_data;

/* How a terminal shows colour, and how much of it there is. */
typedef enum term_colour { TERM_ASCII, TERM_256, TERM_TRUE } term_colour;
typedef struct view_size { int columns, lines; } view_size;

struct scene;
struct strbuf;

typedef struct figure {
    const char *name;                 /* "head_map" */
    const char *summary;
    const char *reading;              /* how to read it */
    const char *traps;                /* where it misleads */
    const char *needs;                /* what must be stored: "map", "values" or "trials" */
    const param *params;              /* own options, NULL when none; shared ones come from figure_params */
    /* The page as a scene (plots/scene.h), scene_free() it. */
    int (*build)(struct scene **out, const figure_data *d, const params *p, err *e);
    /* Append the terminal's lines to out. */
    int (*view)(struct strbuf *out, const figure_data *d, const params *p, term_colour colour, view_size size,
                err *e);
} figure;

extern const figure *const figures[]; /* NULL-terminated, sorted by name */
const figure *figure_find(const char *name);

/* Options of every recipe: --width MM or single|double|slide, --dpi, --cmap, --norm linear|log, --floor,
 * --limits LO,HI or pLO,pHI (percentiles), --pooling mean|max, --font, --font-size, --no-title,
 * --caption, --paper, inks, and --theme FILE: lines `option = value` for these. */
extern const param figure_params[];
/* Read the file that --theme names and set from it what is not given already, by the option itself or by --safe, which
 * chooses a colour map; nothing without --theme.  ERR_INPUT for a
 * file that cannot be read, ERR_USAGE with file and line for one that is wrong. */
int figure_theme(params *p, err *e);

/* Below, p must describe figure_params and the recipe's own table (params_use).
 *
 * Draw to path; the extension decides: .png, .svg or .pdf.  The same data and options give the same bytes.
 * Written to a temporary file, then renamed.  ERR_FAILED when there is nothing to draw. */
int figure_draw(const figure *f, const figure_data *d, const params *p, const char *path, err *e);

/* The same, and what the reader should know appended to notes (may be NULL): one line for each script that lacks a font
 * (scene_put_notes). */
int figure_draw_noted(struct strbuf *notes, const figure *f, const figure_data *d, const params *p, const char *path, err *e);

/* The bytes of such a file appended to out, and nothing written: of path ("x.svg") the extension alone counts. */
int figure_encode(struct strbuf *out, const figure *f, const figure_data *d, const params *p, const char *path, err *e);

/* The same in a terminal: text with escape sequences according to colour (none at all, and nothing but
 * ASCII, for TERM_ASCII; UTF-8 otherwise), at most size.columns wide and, when size.lines is above 0, at
 * most that many lines.  Every line ends with '\n' and with the terminal's own colours.  free() the
 * result. */
int figure_view(const figure *f, const figure_data *d, const params *p, term_colour colour, view_size size,
                char **out, err *e);

/* Cells that a side of a thumbnail can show on the page of these options, so that who has larger maps need not keep them:
 * names, axes and columns of `panels` count, its matrices do not.  ERR_USAGE for a grid that fits on no page. */
int thumbs_side(int64_t *cells, const figure_panels *panels, const params *p, err *e);

/* Into which blocks head_map pools a map of this many cells, each of pool x pool positions, on the page of these options:
 * who reads it row by row need not keep more. */
int head_map_block(int64_t *block, int64_t rows, int64_t cols, int64_t pool, const params *p, err *e);

#endif
