/* The cells that are drawn: a matrix, pooled over blocks when it has more cells than the page or the
 * terminal can show. */
#ifndef ATTNSCOPE_PLOTS_GRID_H
#define ATTNSCOPE_PLOTS_GRID_H

#include <stdint.h>
#include "plots/figure.h"

typedef enum pooling { POOL_MEAN, POOL_MAX } pooling;

typedef struct grid {
    int64_t rows, cols;         /* after pooling: ceil(matrix rows / pool_rows), ... */
    int64_t pool_rows, pool_cols;
    pooling how;
    float *cells;               /* [rows, cols], owned; NaN = no value.  Infinities have become NaN */
    double min, max;            /* over the n_finite cells that have a value */
    int64_t n_finite;
} grid;

/* Blocks of b that hold a, both above 0. */
static inline int64_t ceil_div(int64_t a, int64_t b) { return (a - 1) / b + 1; }

/* How a figure joins cells: --pooling, else as its data was pooled before. */
pooling heatmap_pooling(const figure_data *d, const params *p);
/* ERR_FAILED for a matrix without cells or without any finite value. */
int grid_pool(grid *out, const figure_matrix *m, int64_t pool_rows, int64_t pool_cols, pooling how, err *e);
void grid_free(grid *g);

/* The same from rows that come one after the other: begin, row for each of the rows, end; grid_feed_free at any time.
 * Memory: the pooled cells.  After a failed begin there is nothing to free. */
typedef struct grid_feed {
    grid g;
    int64_t cols, rows, row;    /* of the matrix; rows that came */
    double *sum;                /* [g.cols] of the block at hand */
    int32_t *count;
} grid_feed;
int grid_feed_begin(grid_feed *f, int64_t rows, int64_t cols, int64_t pool_rows, int64_t pool_cols, pooling how, err *e);
void grid_feed_row(grid_feed *f, const float *cells);
int grid_feed_end(grid *out, grid_feed *f, err *e);
void grid_feed_free(grid_feed *f);

/* What was pooled, for the colour bar: "mean over 4 × 4 cells"; "" when nothing was.  before: how the data's
 * own blocks (figure_data.pool) were made, NULL for mean. */
typedef char pool_text[128];
void grid_pool_text(pool_text out, const grid *g, int64_t pool_before, const char *before);

#endif
