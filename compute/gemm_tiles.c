/* Matrix products by tiles: activations are packed as left operands, outputs of the weight as right ones. */
#include "compute/gemm_scratch.h"

#include <string.h>

#include "compute/kernels.h"
#include "compute/weight.h"

/* Right blocks that an item packs before it goes through the activations: these come from an outer cache once for all of
 * them, while the blocks stay in the inner one.  Inputs are taken in stretches of INPUTS, which the inner cache holds too. */
enum { MOST_BLOCKS = 4, INNER_BYTES = 640 << 10, INPUTS = 2048 };

typedef struct job {
    gemm_scratch *s;
    const kernels *k;
    tile_plan plan;
    float *y;
    const float *x;
    int64_t ldy, ldx, rows;
    const weight *w;
    int blocks;
    int64_t n_item;
} job;

/* Products of the same activations. */
typedef struct group {
    int n;
    job jobs[GEMM_MAPS];
} group;

static uint16_t *left_block(const job *j, int64_t row)
{
    return (uint16_t *)(void *)j->s->packed + row / TILE_BLOCK * tile_block_size(j->w->n_in, j->plan.left);
}

/* Item: TILE_BLOCK rows of activations. */
static void pack_rows(void *ud, int64_t item, int thread)
{
    const job *j = ud;
    const int64_t row = item * TILE_BLOCK;
    (void)thread;
    j->plan.t->pack_left(left_block(j, row), j->plan.left, j->x + row * j->ldx, j->ldx,
                         tile_block_lines(j->rows - row), j->w->n_in);
}

/* Rows of the map that follow each other where they are stored, as bfloat16. */
static bool lies_ready(const weight *w)
{
    return w->type == DT_BF16 && !w->transposed && w->scale_kind == SCALE_NONE && w->paired == 0 && w->row_block == 0;
}

/* Outputs first .. first + n - 1; floats: room for [n_in, nr]. */
static void pack_outputs(const job *j, uint16_t *dst, float *floats, int64_t first, int n)
{
    const weight *w = j->w;
    if (lies_ready(w) && j->plan.right == 1) {
        j->plan.t->pack_right_bf16(dst, weight_stored(w, first, 0), w->ld, n, w->n_in);
    } else if (w->transposed) {
        column_plan plan;
        weight_plan_columns(&plan, w, first, n);
        weight_load_columns(floats, TILE_BLOCK, w, &plan, 0, w->n_in);
        j->plan.t->pack_right_turned(dst, j->plan.right, floats, TILE_BLOCK, n, w->n_in);
    } else {
        for (int i = 0; i < n; i++)
            weight_load(floats + i * w->n_in, w, first + i, 0, w->n_in);
        j->plan.t->pack_right(dst, j->plan.right, floats, w->n_in, n, w->n_in);
    }
}

/* Item: some blocks of outputs of a product, of all rows. */
static void multiply(void *ud, int64_t item, int thread)
{
    const group *g = ud;
    const job *j = g->jobs;
    for (; item >= j->n_item; j++)
        item -= j->n_item;
    const weight *w = j->w;
    const int64_t from = item * j->blocks * TILE_BLOCK, size = tile_block_size(w->n_in, j->plan.right);
    const int64_t to = from + j->blocks * TILE_BLOCK < w->n_out ? from + j->blocks * TILE_BLOCK : w->n_out;
    float *floats = j->s->panels + (size_t)thread * j->s->panel_len;
    uint16_t *right = (uint16_t *)(void *)(floats + (w->n_in + 15) / 16 * 16 * TILE_BLOCK);
    for (int64_t first = from; first < to; first += TILE_BLOCK)
        pack_outputs(j, right + (first - from) / TILE_BLOCK * size, floats, first, tile_block_lines(to - first));

    j->plan.t->begin();
    for (int64_t k = 0; k < w->n_in; k += INPUTS)
        for (int64_t row = 0; row < j->rows; row += TILE_BLOCK)
            for (int64_t first = from; first < to; first += TILE_BLOCK) {
                const tile_product p = {
                    .k = w->n_in - k < INPUTS ? w->n_in - k : INPUTS,
                    .a = left_block(j, row) + tile_block_size(k, j->plan.left),
                    .b = right + (first - from) / TILE_BLOCK * size + tile_block_size(k, j->plan.right),
                    .a_terms = j->plan.left, .b_terms = j->plan.right, .c = j->y + row * j->ldy + first, .ldc = j->ldy,
                    .m = tile_block_lines(j->rows - row), .n = tile_block_lines(to - first), .add = k > 0,
                };
                j->plan.t->multiply(&p);
                for (int i = 0; w->bias && k + INPUTS >= w->n_in && i < p.m; i++)
                    j->k->add(p.c + i * p.ldc, w->bias + first, p.n);
            }
    j->plan.t->end();
}

int gemm_right_terms(const weight *w)
{
    switch (w->scale_kind == SCALE_F32_TILE ? DT_F32 : w->type) {
    case DT_BF16:
    case DT_F8_E4M3:
    case DT_F8_E5M2:
    case DT_MXFP4: /* scales are powers of two */
    case DT_F4:
        return 1;
    case DT_F16:  /* 11 bits */
    case DT_Q4_0: /* times 4 */
        return 2;
    default:
        return TILE_TERMS;
    }
}

void gemm_by_tiles(gemm_scratch *s, const gemm_map *maps, const tile_plan *plans, int n, const float *x, int64_t ldx,
                   int64_t rows)
{
    group g = {.n = n};
    int64_t items = 0;
    for (int i = 0; i < n; i++) {
        const weight *w = maps[i].w;
        job *j = &g.jobs[i];
        *j = (job){.s = s, .k = kernels_get(), .plan = plans[i], .y = maps[i].y, .x = x, .ldy = maps[i].ldy, .ldx = ldx, .w = w};
        const int64_t inputs = w->n_in < INPUTS ? w->n_in : INPUTS;
        const int64_t fit = INNER_BYTES / (tile_block_size(inputs, j->plan.right) * (int64_t)sizeof(uint16_t));
        j->blocks = (int)(fit < 1 ? 1 : fit > MOST_BLOCKS / j->plan.right ? MOST_BLOCKS / j->plan.right : fit);
        j->n_item = (w->n_out + j->blocks * TILE_BLOCK - 1) / (j->blocks * TILE_BLOCK);
        items += j->n_item;
    }
    for (int64_t row = 0; row < rows; row += GEMM_ROW_BLOCK) {
        for (int i = 0; i < n; i++)
            g.jobs[i].rows = rows - row < GEMM_ROW_BLOCK ? rows - row : GEMM_ROW_BLOCK;
        pool_run(s->pool, tile_blocks(g.jobs[0].rows), pack_rows, &g.jobs[0]);
        pool_run(s->pool, items, multiply, &g);
        for (int i = 0; i < n; i++) {
            g.jobs[i].x += GEMM_ROW_BLOCK * ldx;
            g.jobs[i].y += GEMM_ROW_BLOCK * g.jobs[i].ldy;
        }
    }
}
