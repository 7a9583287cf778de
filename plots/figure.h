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

typedef struct figure_data {
    figure_matrix m;
    const char *title;                /* "L1H3 · lantern-3m" */
    const char *subtitle;             /* "run 3, 74 tokens, ..." or NULL */
    const char *row_axis, *col_axis;  /* "query token", "key token" */
    const char *quantity;             /* "attention weight" */
    const char *unit;                 /* "" or "nats" */
    double lo, hi;                    /* natural limits of the colour scale; NaN: from the data */
    int64_t pool;                     /* cells were pooled over pool x pool before; 1 = not */
    const char *const *provenance;    /* key, value, key, value, ..., NULL: text chunks of the PNG */
} figure_data;

typedef struct figure {
    const char *name;                 /* "head_map" */
    const char *summary;
    const char *needs;                /* what must be stored: "map" or "values" */
    const param *params;              /* shared options come from figure_params */
} figure;

extern const figure *const figures[]; /* NULL-terminated, sorted by name */
const figure *figure_find(const char *name);

/* Options of every recipe: --width MM or single|double|slide, --dpi, --cmap, --norm linear|log,
 * --limits LO,HI, --font, --font-size, --no-title. */
extern const param figure_params[];

/* Draw to path (.png; the extension decides).  Written to a temporary file, then renamed. */
int figure_draw(const figure *f, const figure_data *d, const params *p, const char *path, err *e);

/* The same in a terminal. */
typedef enum term_colour { TERM_ASCII, TERM_256, TERM_TRUE } term_colour;
typedef struct view_size { int columns, lines; } view_size;
/* Text with escape sequences according to colour, at most size.columns wide; free() the result. */
int figure_view(const figure *f, const figure_data *d, const params *p, term_colour colour, view_size size,
                char **out, err *e);

#endif
