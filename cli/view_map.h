/* A matrix of any size, looked at through a window at any zoom. */
#ifndef ATTNSCOPE_CLI_VIEW_MAP_H
#define ATTNSCOPE_CLI_VIEW_MAP_H

#include "base/progress.h"
#include "db/store.h"
#include "plots/grid.h"

/* Memory: up to VIEW_MAP_MEMORY bytes of cells; of a larger matrix the cells lie in a temporary file without a name, which
 * the system keeps in memory as far as there is some to spare.  Blocks of coarse x coarse cells are summed up once, so that
 * zoomed out no drawing reads more than VIEW_MAP_SIDE^2 of them. */
enum { VIEW_MAP_SIDE = 1024, VIEW_MAP_MEMORY = 128 << 20 };

typedef struct view_block { double sum; int64_t n; float max; } view_block; /* n: cells with a value */

typedef struct view_map {
    int64_t rows, cols;
    const float *cells;         /* [rows, cols]; NaN: no value */
    int64_t *ends;              /* [rows] cells of a row from here on have no value, and are not in cells; NULL: cols */
    double min, max;            /* of the n_finite cells with a value; of finite cells only */
    int64_t n_finite;
    int64_t coarse;             /* a power of two; 1: blocks is NULL */
    view_block *blocks;         /* [ceil(rows / coarse), ceil(cols / coarse)] */
    float *owned;               /* private */
    void *mapped;
    size_t mapped_bytes;
} view_map;

/* A stored map, read row by row; shape and prog may be NULL.  ERR_RESOURCE where neither memory nor disk holds it; else as
 * store_map_rows. */
int view_map_read(view_map *out, stored_map *shape, store *st, int64_t run, int64_t prompt, head_id h,
                  const progress *prog, err *e);
/* The cells of m, which are borrowed. */
int view_map_of(view_map *out, const figure_matrix *m, err *e);
void view_map_free(view_map *m);

/* The block of pool x pool cells (pool: a power of two; fewer at the edges) that begins at (row, col), multiples of pool:
 * NaN where none has a value.  *masked: cells without one, may be NULL. */
float view_map_block(const view_map *m, int64_t row, int64_t col, int64_t pool, pooling how, int64_t *masked);

/* What a colour scale is made from (plots/scale.h): blocks of the whole map, with the range of its cells.  grid_free() it. */
int view_map_grid(grid *out, const view_map *m, err *e);

#endif
