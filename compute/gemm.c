/* Matrix products: pack, multiply panel by panel, add the bias. */
#include "compute/gemm_scratch.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "compute/kernels.h"
#include "compute/weight.h"

enum { NARROW_ROWS = 16 };

int gemm_scratch_new(gemm_scratch **out, pool *p, err *e)
{
    gemm_scratch *s = mem_array(1, sizeof *s, e);
    if (!s)
        return ERR_RESOURCE;
    s->pool = p;
    *out = s;
    return 0;
}

void gemm_scratch_free(gemm_scratch *s)
{
    if (!s)
        return;
    mem_free_large(s->packed);
    mem_free_large(s->panels);
    free(s);
}

static int grow(float **buffer, size_t *have, size_t want, size_t copies, err *e)
{
    size_t bytes;
    if (want <= *have)
        return 0;
    if (!size_mul(&bytes, want, sizeof(float)) || !size_mul(&bytes, bytes, copies))
        return err_nomem(e, "matrix panels");
    float *fresh = mem_large(bytes, e);
    if (!fresh)
        return ERR_RESOURCE;
    mem_free_large(*buffer);
    *buffer = fresh;
    *have = want;
    return 0;
}

/* Floats of both buffers, the second one's for each thread.  False: too many to count. */
static bool room(size_t *packed, size_t *panel, int64_t max_rows, int64_t max_k)
{
    const size_t rows = (size_t)(max_rows < GEMM_ROW_BLOCK ? max_rows : GEMM_ROW_BLOCK) + GEMM_MAX_MR;
    const size_t k = (size_t)max_k + TILE_DEPTH;
    /* Left operands of tiles: two bytes for each of their terms. */
    return size_mul(packed, (rows + TILE_BLOCK - 1) / TILE_BLOCK * TILE_BLOCK / 2 * TILE_TERMS, k) &&
           size_mul(panel, 2 * GEMM_MAX_NR, k);
}

int gemm_scratch_reserve(gemm_scratch *s, int64_t max_rows, int64_t max_k, err *e)
{
    size_t packed, panel;
    if (!room(&packed, &panel, max_rows, max_k))
        return err_nomem(e, "matrix panels");
    int rc = grow(&s->packed, &s->packed_len, packed, 1, e);
    return rc ? rc : grow(&s->panels, &s->panel_len, panel, (size_t)pool_threads(s->pool), e);
}

size_t gemm_scratch_bytes(int64_t max_rows, int64_t max_k, int threads)
{
    size_t packed, panel;
    if (!room(&packed, &panel, max_rows, max_k) || !size_mul(&panel, panel, (size_t)threads) || packed > SIZE_MAX - panel ||
        !size_mul(&packed, packed + panel, sizeof(float)))
        return SIZE_MAX;
    return packed;
}

/* One product. */
typedef struct job {
    gemm_scratch *s;
    const kernels *k;
    float *y;
    const float *x;
    int64_t ldy, ldx, rows;
    const weight *w;
    precision prec;
} job;

/* Products of the same activations. */
typedef struct group {
    int n;
    job jobs[GEMM_MAPS];
} group;

static int64_t panels_of(const job *j)
{
    return (j->w->n_out + j->k->nr - 1) / j->k->nr;
}

/* Item: mr rows of activations into one packed panel. */
static void pack_rows(void *ud, int64_t item, int thread)
{
    const job *j = ud;
    (void)thread;
    int64_t row = item * j->k->mr, k = j->w->n_in;
    int n = (int)(j->rows - row < j->k->mr ? j->rows - row : j->k->mr);
    float *dst = j->s->packed + row * k;
    j->k->interleave(dst, j->k->mr, j->x + row * j->ldx, j->ldx, n, k);
    if (j->prec == PRECISION_BF16)
        j->k->round_bf16(dst, k * j->k->mr);
}

/* Outputs first .. first + n - 1 as a panel [k, nr], zeros behind column n. */
static void pack_weights(const job *j, float *panel, float *rows, int64_t first, int n)
{
    const weight *w = j->w;
    int nr = j->k->nr;
    if (w->transposed) {
        column_plan plan;
        weight_plan_columns(&plan, w, first, n);
        if (n < nr)
            memset(panel, 0, (size_t)w->n_in * (size_t)nr * sizeof *panel);
        weight_load_columns(panel, nr, w, &plan, 0, w->n_in);
    } else {
        for (int i = 0; i < n; i++)
            weight_load(rows + i * w->n_in, w, first + i, 0, w->n_in);
        j->k->interleave(panel, nr, rows, w->n_in, n, w->n_in);
    }
    if (j->prec == PRECISION_BF16)
        j->k->round_bf16(panel, w->n_in * nr);
}

/* Item: nr outputs of a product, all rows. */
static void multiply(void *ud, int64_t item, int thread)
{
    const group *g = ud;
    const job *j = g->jobs;
    for (; item >= panels_of(j); j++)
        item -= panels_of(j);
    const kernels *k = j->k;
    int64_t first = item * k->nr, n_in = j->w->n_in;
    int n = (int)(j->w->n_out - first < k->nr ? j->w->n_out - first : k->nr);
    float *panel = j->s->panels + (size_t)thread * j->s->panel_len;
    pack_weights(j, panel, panel + ((n_in * k->nr + 15) & ~(int64_t)15), first, n);

    for (int64_t row = 0; row < j->rows; row += k->mr) {
        int m = (int)(j->rows - row < k->mr ? j->rows - row : k->mr);
        float *y = j->y + row * j->ldy + first;
        k->gemm_micro(n_in, j->s->packed + row * n_in, panel, y, j->ldy, m, n);
        if (j->w->bias)
            for (int i = 0; i < m; i++)
                k->add(y + i * j->ldy, j->w->bias + first, n);
    }
}

/* Maps of 4 or 8 outputs (routers, rates of recurrences).  The library behind the reference implementation takes
 * their sums another way: four partial sums of rounded products, then (0 + 2) + (1 + 3).  What is decided by a
 * comparison of such sums, or grows from them, should come out the same. */
static bool is_narrow(const weight *w)
{
    return (w->n_out == 4 || w->n_out == 8) && w->n_in % 4 == 0;
}

static float four_sums(const float *x, const float *y, int64_t n)
{
    float sum[4] = {0};
    for (int64_t k = 0; k < n; k += 4)
        for (int i = 0; i < 4; i++)
            sum[i] += x[k + i] * y[k + i];
    return (sum[0] + sum[2]) + (sum[1] + sum[3]);
}

/* Item: NARROW_ROWS rows; the weights lie in the first thread's panel. */
static void multiply_narrow(void *ud, int64_t item, int thread)
{
    const job *j = ud;
    const weight *w = j->w;
    const float *map = j->s->panels;
    int64_t end = (item + 1) * NARROW_ROWS < j->rows ? (item + 1) * NARROW_ROWS : j->rows;
    (void)thread;
    for (int64_t row = item * NARROW_ROWS; row < end; row++)
        for (int64_t i = 0; i < w->n_out; i++) {
            float y = four_sums(j->x + row * j->ldx, map + i * w->n_in, w->n_in);
            j->y[row * j->ldy + i] = w->bias ? y + w->bias[i] : y;
        }
}

static void gemm_narrow(job *j)
{
    for (int64_t i = 0; i < j->w->n_out; i++)
        weight_load(j->s->panels + i * j->w->n_in, j->w, i, 0, j->w->n_in);
    pool_run(j->s->pool, (j->rows + NARROW_ROWS - 1) / NARROW_ROWS, multiply_narrow, j);
}

/* Products by panels of float32. */
static void gemm_by_panels(gemm_scratch *s, const gemm_map *maps, int n, const float *x, int64_t ldx, int64_t rows,
                           precision prec)
{
    group g = {.n = n};
    int64_t items = 0;
    for (int i = 0; i < n; i++) {
        g.jobs[i] = (job){.s = s, .k = kernels_get(), .y = maps[i].y, .x = x, .ldy = maps[i].ldy, .ldx = ldx, .w = maps[i].w,
                          .prec = prec};
        items += panels_of(&g.jobs[i]);
    }
    for (int64_t row = 0; row < rows; row += GEMM_ROW_BLOCK) {
        for (int i = 0; i < n; i++)
            g.jobs[i].rows = rows - row < GEMM_ROW_BLOCK ? rows - row : GEMM_ROW_BLOCK;
        pool_run(s->pool, (g.jobs[0].rows + g.jobs[0].k->mr - 1) / g.jobs[0].k->mr, pack_rows, &g.jobs[0]);
        pool_run(s->pool, items, multiply, &g);
        for (int i = 0; i < n; i++) {
            g.jobs[i].x += GEMM_ROW_BLOCK * ldx;
            g.jobs[i].y += GEMM_ROW_BLOCK * g.jobs[i].ldy;
        }
    }
}

void gemm_maps(gemm_scratch *s, const gemm_map *maps, int n, const float *x, int64_t ldx, int64_t rows, precision prec)
{
    gemm_map rest[GEMM_MAPS];
    tile_plan plans[GEMM_MAPS];
    int n_rest = 0;
    for (int i = 0; i < n; i++) {
        if (prec == PRECISION_BF16 || !is_narrow(maps[i].w)) {
            plans[n_rest] = tile_plan_for(kernels_get(), prec, gemm_right_terms(maps[i].w));
            rest[n_rest++] = maps[i];
            continue;
        }
        job j = {.s = s, .k = kernels_get(), .y = maps[i].y, .x = x, .ldy = maps[i].ldy, .ldx = ldx, .rows = rows,
                 .w = maps[i].w, .prec = prec};
        gemm_narrow(&j);
    }
    if (n_rest > 0 && plans[0].t)
        gemm_by_tiles(s, rest, plans, n_rest, x, ldx, rows);
    else if (n_rest > 0)
        gemm_by_panels(s, rest, n_rest, x, ldx, rows, prec);
}

void gemm(gemm_scratch *s, float *y, int64_t ldy, const float *x, int64_t ldx, int64_t rows, const weight *w, precision prec)
{
    gemm_maps(s, &(gemm_map){w, y, ldy}, 1, x, ldx, rows, prec);
}
