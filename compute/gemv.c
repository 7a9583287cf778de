/* Matrix-vector products, for decoding: stored weights are read once, where they lie. */
#include "compute/gemm_scratch.h"

#include <math.h>
#include <string.h>

#include "compute/blocks.h"
#include "compute/weight.h"

/* Outputs of an item of a transposed weight, and inputs that it takes at a time; bytes of an item of any other, and items that
 * each thread gets if they are not smaller than that: the last one is waited for. */
enum { COLUMNS = 32, INPUTS = 64, ITEM_MOST = 1 << 18, ITEM_LEAST = 1 << 16, ITEMS_A_THREAD = 8 };

/* Vectors of more elements than this share the innermost cache with a row so badly that they are read once for four rows;
 * those that meet float32 rows always are, as there is nothing else to do. */
enum { LONG_VECTOR = 4096 };

/* One product. */
typedef struct job {
    gemm_scratch *s;
    const kernels *k;
    float *y;
    const float *x;
    const weight *w;
    precision prec;
    int64_t step, n_item;       /* outputs of an item: a multiple of BLOCK_ROWS; items */
    int64_t row_bytes;          /* from one stored row to the next */
    const block_unit *units;    /* x prepared for blocks->dot, or NULL */
    const block_kernels *blocks;
    float (*row_dot)(const float *x, const void *row, int64_t n); /* of rows as they lie, or NULL */
    bool quarters;              /* by kernels.rows_dot */
} job;

/* Products whose items are shared out together. */
typedef struct group {
    int n;
    job jobs[GEMM_MAPS];
} group;

static void multiply_columns(const job *j, float *y, float *rows, int64_t first, int64_t n)
{
    const weight *w = j->w;
    column_plan plan;
    weight_plan_columns(&plan, w, first, (int)n);
    memset(y, 0, (size_t)n * sizeof *y);
    for (int64_t k0 = 0; k0 < w->n_in; k0 += INPUTS) {
        int64_t n_k = w->n_in - k0 < INPUTS ? w->n_in - k0 : INPUTS;
        weight_load_columns(rows, n, w, &plan, k0, n_k);
        if (j->prec == PRECISION_BF16)
            j->k->round_bf16(rows, n_k * n);
        for (int64_t k = 0; k < n_k; k++)
            for (int64_t i = 0; i < n; i++)
                y[i] += j->x[k0 + k] * rows[k * n + i];
    }
    if (w->bias)
        j->k->add(y, w->bias + first, n);
}

/* Rows are read as they lie, outputs of a paired weight therefore made in another order: which one the i-th row makes. */
static int64_t output_of(const weight *w, int64_t i)
{
    if (w->paired == 0)
        return i;
    const int64_t in = i % w->paired;
    return i - in + in % 2 * (w->paired / 2) + in / 2;
}

static const void *row_of(const job *j, int64_t i)
{
    const weight *w = j->w;
    return w->row_block == 0 ? (const unsigned char *)w->data + i * j->row_bytes
           : weight_stored(w, weight_stored_row(w, output_of(w, i)), 0);
}

static void put(const job *j, int64_t i, float sum)
{
    const int64_t o = output_of(j->w, i);
    j->y[o] = j->w->bias ? sum + j->w->bias[o] : sum;
}

static void multiply_blocks(const job *j, int64_t first, int64_t n)
{
    const weight *w = j->w;
    for (int64_t i = 0; i < n; i += BLOCK_ROWS) {
        const int m = n - i < BLOCK_ROWS ? (int)(n - i) : BLOCK_ROWS;
        const void *rows[BLOCK_ROWS];
        float sum[BLOCK_ROWS];
        for (int r = 0; r < BLOCK_ROWS; r++)
            rows[r] = row_of(j, first + i + (r < m ? r : 0));
        j->blocks->dot[w->type](sum, j->units, rows, w->n_in);
        for (int r = 0; r < m; r++) /* scales that are no numbers: as floats have it */
            put(j, first + i + r, isfinite(sum[r]) ? sum[r] : j->k->row_dot[w->type](j->x, rows[r], w->n_in));
    }
}

/* Rows from a quarter of the item each: prefetchers follow a stream of memory that goes on from row to row, and lose one that
 * leaps over three. */
static void multiply_quarters(const job *j, int64_t first, int64_t n)
{
    const weight *w = j->w;
    const int64_t quarter = (n + ROWS_TOGETHER - 1) / ROWS_TOGETHER;
    for (int64_t i = 0; i < quarter; i++) {
        const void *rows[ROWS_TOGETHER];
        float sum[ROWS_TOGETHER];
        for (int r = 0; r < ROWS_TOGETHER; r++)
            rows[r] = row_of(j, first + i + (i + r * quarter < n ? r * quarter : 0));
        j->k->rows_dot[w->type](sum, j->x, rows, w->n_in);
        for (int r = 0; r < ROWS_TOGETHER && i + r * quarter < n; r++)
            put(j, first + i + r * quarter, sum[r]);
    }
}

/* Item: `step` rows of a product. */
static void multiply_vector(void *ud, int64_t item, int thread)
{
    const group *g = ud;
    const job *j = g->jobs;
    for (; item >= j->n_item; j++)
        item -= j->n_item;
    const weight *w = j->w;
    const int64_t first = item * j->step, n = w->n_out - first < j->step ? w->n_out - first : j->step;
    float *row = j->s->panels + (size_t)thread * j->s->panel_len;
    if (w->transposed) {
        multiply_columns(j, j->y + first, row, first, n);
    } else if (j->units) {
        multiply_blocks(j, first, n);
    } else if (j->quarters) {
        multiply_quarters(j, first, n);
    } else if (j->row_dot) {
        for (int64_t i = first; i < first + n; i++)
            put(j, i, j->row_dot(j->x, row_of(j, i), w->n_in));
    } else {
        for (int64_t i = first; i < first + n; i++) {
            weight_load(row, w, output_of(w, i), 0, w->n_in);
            if (j->prec == PRECISION_BF16)
                j->k->round_bf16(row, w->n_in);
            put(j, i, j->k->dot(j->x, row, w->n_in));
        }
    }
}

static int64_t clamped(int64_t x, int64_t least, int64_t most)
{
    return x < least ? least : x > most ? most : x;
}

static int64_t bytes_of_row(const weight *w)
{
    const dtype_info *t = &dtypes[w->type];
    return w->n_in / t->block * t->block_bytes + 1;
}

/* Stretches of memory that are long, but not so long that threads wait for the last one; all: bytes of the group. */
static void cut(job *j, int64_t all)
{
    const int64_t threads = pool_threads(j->s->pool), n_out = j->w->n_out;
    const int64_t item = clamped(all / (threads * ITEMS_A_THREAD), ITEM_LEAST, ITEM_MOST);
    const int64_t n = clamped(item / bytes_of_row(j->w), 1, (n_out + 2 * threads - 1) / (2 * threads));
    j->step = j->w->transposed ? COLUMNS : (n + BLOCK_ROWS - 1) / BLOCK_ROWS * BLOCK_ROWS;
    j->n_item = (n_out + j->step - 1) / j->step;
}

/* The way of a product, and x as it wants it; room: floats for that, two for each of x or what units take. */
static void prepare(job *j, float *room)
{
    const weight *w = j->w;
    const int64_t n_in = w->n_in;
    if (j->prec == PRECISION_BF16) {
        memcpy(room, j->x, (size_t)n_in * sizeof *room);
        j->k->round_bf16(room, n_in);
        j->x = room;
    } else if (j->prec == PRECISION_F32 && j->blocks && j->blocks->dot[w->type] && w->scale_kind == SCALE_NONE &&
               !w->transposed) {
        block_unit *units = (block_unit *)(void *)room;
        j->units = j->blocks->prepare(units, j->x, n_in, w->type) ? units : NULL;
    }
    if (!j->units && !w->transposed && w->scale_kind == SCALE_NONE)
        j->row_dot = j->prec == PRECISION_BF16 ? j->k->row_dot_bf16[w->type] : j->k->row_dot[w->type];
    j->quarters = j->row_dot == j->k->row_dot[w->type] && j->k->rows_dot[w->type] && (w->type == DT_F32 || n_in > LONG_VECTOR);
    if (j->row_dot && w->type == DT_BF16) {
        float *parted = room + n_in;
        j->k->part_pairs(parted, j->x, n_in);
        j->x = parted;
    }
}

/* Whether what prepare makes of x is the same for both. */
static bool alike(const weight *a, const weight *b)
{
    return a->type == b->type && a->transposed == b->transposed && a->scale_kind == b->scale_kind;
}

void gemv_maps(gemm_scratch *s, const gemm_map *maps, int n, const float *x, precision prec)
{
    const kernels *k = kernels_get();
    /* packed holds 48 rows of floats at least, and 32 more in each */
    const int64_t room = (2 * maps[0].w->n_in + (int64_t)(sizeof(block_unit) / sizeof(float)) + 15) / 16 * 16;
    group g = {.n = n};
    int64_t all = 0, items = 0;
    for (int i = 0; i < n; i++)
        all += maps[i].w->n_out * bytes_of_row(maps[i].w);
    for (int i = 0; i < n; i++) {
        job *j = &g.jobs[i];
        int same = 0;
        while (same < i && !alike(maps[same].w, maps[i].w))
            same++;
        *j = same < i ? g.jobs[same] : (job){.s = s, .k = k, .x = x, .prec = prec, .blocks = blocks_for(k)};
        j->w = maps[i].w;
        j->y = maps[i].y;
        j->row_bytes = j->w->ld / dtypes[j->w->type].block * dtypes[j->w->type].block_bytes;
        if (same == i)
            prepare(j, s->packed + i * room);
        cut(j, all);
        items += j->n_item;
    }
    pool_run(s->pool, items, multiply_vector, &g);
}

void gemv(gemm_scratch *s, float *y, const float *x, const weight *w, precision prec)
{
    gemv_maps(s, &(gemm_map){.w = w, .y = y}, 1, x, prec);
}
