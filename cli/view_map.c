#include "cli/view_map.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/cancel.h"
#include "base/mem.h"
#include "base/strbuf.h"

typedef struct builder {
    view_map m;
    int64_t n_coarse;     /* blocks of a row of blocks */
    const progress *prog; /* may be NULL */
    int fd;               /* of the temporary file, -1: cells go to m.owned */
} builder;

static int begin(builder *b, int64_t rows, int64_t cols, err *e)
{
    int64_t longest = rows > cols ? rows : cols;
    size_t n;
    b->m = (view_map){.rows = rows, .cols = cols, .coarse = 1, .min = INFINITY, .max = -INFINITY};
    b->fd = -1;
    if (rows < 1 || cols < 1)
        return err_set(e, ERR_FAILED, "nothing to draw: the matrix has no cells");
    while (ceil_div(longest, b->m.coarse) > VIEW_MAP_SIDE)
        b->m.coarse *= 2;
    b->n_coarse = ceil_div(cols, b->m.coarse);
    if (b->m.coarse == 1)
        return 0;
    if (!size_mul(&n, (size_t)ceil_div(rows, b->m.coarse), (size_t)b->n_coarse))
        return err_nomem(e, "map");
    b->m.blocks = mem_array(n, sizeof *b->m.blocks, e);
    for (size_t i = 0; b->m.blocks && i < n; i++)
        b->m.blocks[i].max = -INFINITY;
    return b->m.blocks ? 0 : ERR_RESOURCE;
}

static void count_row(builder *b, int64_t row, const float *cells)
{
    view_map *m = &b->m;
    view_block *blocks = m->blocks ? m->blocks + row / m->coarse * b->n_coarse : NULL;
    for (int64_t c = 0; c < m->cols; c++) {
        double v = (double)cells[c];
        if (!isfinite(v))
            continue;
        m->n_finite++;
        m->min = v < m->min ? v : m->min;
        m->max = v > m->max ? v : m->max;
        if (!blocks)
            continue;
        view_block *k = &blocks[c / m->coarse];
        k->sum += v;
        k->max = cells[c] > k->max ? cells[c] : k->max;
        k->n++;
    }
}

static int finish(builder *b, err *e)
{
    return b->m.n_finite ? 0 : err_set(e, ERR_FAILED, "nothing to draw: no finite values");
}

int view_map_of(view_map *out, const figure_matrix *m, err *e)
{
    builder b;
    int rc = m->cells ? begin(&b, m->rows, m->cols, e) : err_set(e, ERR_FAILED, "nothing to draw: the matrix has no cells");
    *out = (view_map){.rows = 0};
    for (int64_t r = 0; !rc && r < m->rows; r++)
        count_row(&b, r, m->cells + r * m->cols);
    if (!rc)
        rc = finish(&b, e);
    if (rc) {
        if (m->cells)
            view_map_free(&b.m);
        return rc;
    }
    b.m.cells = m->cells;
    *out = b.m;
    return 0;
}

/* --- a stored map --- */

static int no_room(err *e)
{
    err_errno(e, ERR_RESOURCE, errno, "no room for a temporary file of the map");
    return err_hint(e, "TMPDIR names the folder for it");
}

static int open_file(builder *b, size_t bytes, err *e)
{
    strbuf path = {0};
    const char *folder = getenv("TMPDIR");
    strbuf_printf(&path, "%s/attnscope-XXXXXX", folder && *folder ? folder : "/var/tmp");
    if (path.failed)
        return err_nomem(e, "map");
    b->fd = mkstemp(path.s);
    if (b->fd >= 0)
        unlink(path.s);
    strbuf_free(&path);
    b->m.mapped_bytes = bytes;
    if (b->fd < 0 || ftruncate(b->fd, (off_t)bytes) != 0)
        return no_room(e);
    b->m.ends = mem_array((size_t)b->m.rows, sizeof *b->m.ends, e);
    return b->m.ends ? 0 : ERR_RESOURCE;
}

/* What lies behind a causal row's last key stays a hole: half of the file. */
static int write_row(builder *b, int64_t row, const float *cells, err *e)
{
    int64_t end = b->m.cols;
    while (end > 0 && isnan(cells[end - 1]))
        end--;
    b->m.ends[row] = end;
    size_t n = (size_t)end * sizeof *cells;
    off_t at = (off_t)(row * b->m.cols) * (off_t)sizeof *cells;
    for (size_t done = 0; done < n;) {
        ssize_t w = pwrite(b->fd, (const char *)cells + done, n - done, at + (off_t)done);
        if (w < 0 && errno == EINTR)
            continue;
        if (w <= 0)
            return no_room(e);
        done += (size_t)w;
    }
    return 0;
}

static int take_row(void *ud, const stored_map *shape, int64_t row, const float *cells, err *e)
{
    builder *b = ud;
    size_t bytes, line = (size_t)shape->cols * sizeof *cells;
    int rc = row % 64 == 0 ? cancel_check(e) : 0;
    if (row % 64 == 0)
        progress_step(b->prog, "row of the map", (double)row, (double)shape->rows);
    if (!rc && row == 0) {
        if (!size_mul(&bytes, (size_t)shape->rows, line))
            return err_nomem(e, "map");
        rc = begin(b, shape->rows, shape->cols, e);
        if (!rc && bytes > VIEW_MAP_MEMORY)
            rc = open_file(b, bytes, e);
        else if (!rc && !(b->m.owned = mem_array(bytes, 1, e)))
            rc = ERR_RESOURCE;
    }
    if (rc)
        return rc;
    count_row(b, row, cells);
    if (b->fd >= 0)
        return write_row(b, row, cells, e);
    memcpy(b->m.owned + row * shape->cols, cells, line);
    return 0;
}

int view_map_read(view_map *out, stored_map *shape, store *st, int64_t run, int64_t prompt, head_id h,
                  const progress *prog, err *e)
{
    builder b = {.fd = -1, .prog = prog};
    stored_map ignored;
    *out = (view_map){.rows = 0};
    int rc = store_map_rows(st, run, prompt, h, shape ? shape : &ignored, take_row, &b, e);
    if (!rc)
        rc = finish(&b, e);
    if (!rc && b.fd >= 0) {
        b.m.mapped = mmap(NULL, b.m.mapped_bytes, PROT_READ, MAP_SHARED, b.fd, 0);
        if (b.m.mapped == MAP_FAILED) {
            b.m.mapped = NULL;
            rc = no_room(e);
        }
    }
    if (b.fd >= 0)
        close(b.fd);
    if (rc) {
        view_map_free(&b.m);
        return rc;
    }
    b.m.cells = b.m.mapped ? b.m.mapped : b.m.owned;
    *out = b.m;
    return 0;
}

void view_map_free(view_map *m)
{
    if (m->mapped)
        munmap(m->mapped, m->mapped_bytes);
    free(m->ends);
    free(m->blocks);
    free(m->owned);
    *m = (view_map){.rows = 0};
}

/* --- blocks --- */

static view_block of_cells(const view_map *m, int64_t row, int64_t col, int64_t rows, int64_t cols)
{
    view_block b = {.max = -INFINITY};
    for (int64_t r = row; r < row + rows; r++) {
        const float *cells = m->cells + r * m->cols;
        int64_t end = m->ends && m->ends[r] < col + cols ? m->ends[r] : col + cols;
        for (int64_t c = col; c < end; c++) {
            if (!isfinite((double)cells[c]))
                continue;
            b.sum += (double)cells[c];
            b.max = cells[c] > b.max ? cells[c] : b.max;
            b.n++;
        }
    }
    return b;
}

static view_block of_blocks(const view_map *m, int64_t row, int64_t col, int64_t rows, int64_t cols)
{
    view_block b = {.max = -INFINITY};
    int64_t n = ceil_div(m->cols, m->coarse);
    for (int64_t r = row / m->coarse; r < ceil_div(row + rows, m->coarse); r++) {
        for (int64_t c = col / m->coarse; c < ceil_div(col + cols, m->coarse); c++) {
            const view_block *k = &m->blocks[r * n + c];
            b.sum += k->sum;
            b.max = k->max > b.max ? k->max : b.max;
            b.n += k->n;
        }
    }
    return b;
}

float view_map_block(const view_map *m, int64_t row, int64_t col, int64_t pool, pooling how, int64_t *masked)
{
    int64_t rows = m->rows - row < pool ? m->rows - row : pool, cols = m->cols - col < pool ? m->cols - col : pool;
    view_block b = m->coarse > 1 && pool >= m->coarse ? of_blocks(m, row, col, rows, cols)
                                                       : of_cells(m, row, col, rows, cols);
    if (masked)
        *masked = rows * cols - b.n;
    return b.n == 0 ? NAN : how == POOL_MAX ? b.max : (float)(b.sum / (double)b.n);
}

int view_map_grid(grid *out, const view_map *m, err *e)
{
    size_t n;
    int64_t rows = ceil_div(m->rows, m->coarse), cols = ceil_div(m->cols, m->coarse);
    *out = (grid){.rows = rows, .cols = cols, .pool_rows = 1, .pool_cols = 1, .min = m->min, .max = m->max};
    if (!size_mul(&n, (size_t)rows, (size_t)cols))
        return err_nomem(e, "map");
    out->cells = mem_array(n, sizeof *out->cells, e);
    if (!out->cells)
        return ERR_RESOURCE;
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < cols; c++) {
            float v = view_map_block(m, r * m->coarse, c * m->coarse, m->coarse, POOL_MEAN, NULL);
            out->cells[r * cols + c] = v;
            out->n_finite += !isnan(v);
        }
    return 0;
}
