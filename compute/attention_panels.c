/* Weights of all heads of one or more attentions, side by side. */
#include "compute/attention.h"

#include <stdlib.h>
#include <string.h>

#include "base/cancel.h"
#include "base/mem.h"
#include "compute/attention_few.h"

/* Floats of a cache line. */
enum { COLUMNS = ATTN_PANEL_COLUMNS, LINE = 16 };

typedef struct panels_job {
    attn_parts *parts;          /* [n] */
    int n, n_head, nr;
    int64_t n_query, n_key;
    int *attention_of;          /* [n_head] */
    int *head_of;               /* [n_head] within its attention */
    float *panels;
    int64_t h_stride, thread_stride; /* floats */
    int64_t *visible;           /* a thread: lo and hi [n][COLUMNS] each */
    const int64_t **bounds;     /* a thread: pointers to these, [2 n] */
    int chunks;
    int64_t chunk_len;
    void (*block)(void *ud, const attn_panels *p);
    void *ud;
} panels_job;

/* Panels that lie a power of two apart would share few sets of a cache: a stride of 136 lines modulo 1,024 spreads
 * them in first and second level caches alike. */
static int64_t spread_stride(int64_t floats)
{
    enum { PERIOD = 1024, WANTED = 136 };
    int64_t lines = (floats + LINE - 1) / LINE;
    lines += ((WANTED - lines) % PERIOD + PERIOD) % PERIOD;
    return lines * LINE;
}

static void zero_rows(float *panel, int columns, int64_t from, int64_t to)
{
    for (int64_t k = from; k < to; k++)
        memset(panel + k * COLUMNS, 0, (size_t)columns * sizeof *panel);
}

/* The same of few queries, which have rows of their own. */
static void few_columns(const panels_job *j, attn_block *b, const attn_parts *p, int head, int chunk, float *columns, float *own)
{
    attn_few_scores(b, p, head, 1, b->k0, b->k1, own);
    attn_few_weights(b, p, head, chunk, own);
    for (int64_t k = b->k0; k < b->k1; k++)
        for (int i = 0; i < j->nr; i++)
            columns[k * COLUMNS + i] = i < b->n_query ? own[i * b->q_stride + k] : 0;
}

/* Columns first .. first + nr - 1 of a head's panel, which holds `rows` keys.  own: room for narrower columns. */
static void head_columns(const panels_job *j, attn_block *b, int head, int chunk, float *panel, float *own, float *query,
                         int first, int64_t rows)
{
    const attn_parts *p = &j->parts[j->attention_of[head]];
    float *columns = panel + first;
    if (b->n_query == 0) {
        zero_rows(columns, j->nr, 0, rows);
        return;
    }
    bool in_place = j->nr == COLUMNS || !p->packed;
    if (!p->packed)
        few_columns(j, b, p, j->head_of[head], chunk, columns, own);
    else
        attn_block_weights(b, p, j->head_of[head], chunk, in_place ? panel : own, query);
    for (int64_t k = b->k0; k < b->k1 && !in_place; k++)
        memcpy(columns + k * COLUMNS, own + k * j->nr, (size_t)j->nr * sizeof *own);
    zero_rows(columns, j->nr, 0, b->k0);
    zero_rows(columns, j->nr, b->k1, rows);
}

/* The weights of queries q0 .. q0 + nq - 1 in all heads. */
static void form_block(const panels_job *j, int chunk, int64_t q0, int nq, int thread)
{
    float *panels = j->panels + thread * j->thread_stride, *own = panels + j->n_head * j->h_stride;
    float *query = own + j->n_key * j->nr;
    int64_t *lo = j->visible + (int64_t)thread * 2 * j->n * COLUMNS, *hi = lo + j->n * COLUMNS, rows = 0;
    for (int i = 0; i < j->n; i++)
        for (int first = 0; first < nq; first += j->nr) {
            attn_block b;
            int n = nq - first < j->nr ? nq - first : j->nr;
            attn_block_begin(&b, &j->parts[i], q0 + first, n);
            memcpy(lo + i * COLUMNS + first, b.lo, (size_t)n * sizeof *lo);
            memcpy(hi + i * COLUMNS + first, b.hi, (size_t)n * sizeof *hi);
            rows = b.k1 > rows ? b.k1 : rows;
        }
    for (int first = 0; first < COLUMNS; first += j->nr) {
        int n = nq - first < j->nr ? nq - first : j->nr;
        for (int head = 0; head < j->n_head; head++) {
            attn_block b = {.n_query = 0};
            if (n > 0)
                attn_block_begin(&b, &j->parts[j->attention_of[head]], q0 + first, n);
            head_columns(j, &b, head, chunk, panels + head * j->h_stride, own, query, first, rows);
        }
    }
    const int64_t **bounds = j->bounds + (int64_t)thread * 2 * j->n;
    const attn_panels p = {
        .chunk = chunk, .q0 = q0, .n_query = nq, .n_key = rows, .n_head = j->n_head, .probs = panels,
        .h_stride = j->h_stride, .k_stride = COLUMNS, .visible_lo = bounds, .visible_hi = bounds + j->n,
        .attention_of = j->attention_of,
    };
    j->block(j->ud, &p);
}

/* Item: a chunk; the last see most keys, so they go first. */
static void chunk_of_queries(void *ud, int64_t item, int thread)
{
    const panels_job *j = ud;
    int chunk = j->chunks - 1 - (int)item;
    int64_t q = chunk * j->chunk_len, end = q + j->chunk_len < j->n_query ? q + j->chunk_len : j->n_query;
    for (; q < end && !cancel_requested(); q += COLUMNS)
        form_block(j, chunk, q, (int)(end - q < COLUMNS ? end - q : COLUMNS), thread);
}

/* Room for the packed operands of all attentions; each gets its own. */
static int reserve_operands(attn_scratch *s, panels_job *j, err *e)
{
    size_t keys = 0, bias = 0;
    for (int i = 0; i < j->n; i++)
        if (!size_add(&keys, keys, (size_t)attn_parts_keys(&j->parts[i])) ||
            !size_add(&bias, bias, (size_t)attn_parts_bias(&j->parts[i])))
            return err_nomem(e, "attention panels");
    int rc = attn_grow(&s->keys, &s->keys_len, (int64_t)keys, 1, 1, e);
    if (!rc)
        rc = attn_grow(&s->rel_bias, &s->rel_bias_len, (int64_t)bias, 1, 1, e);
    if (rc)
        return rc;
    float *key_room = s->keys, *bias_room = s->rel_bias;
    for (int i = 0; i < j->n; i++) {
        attn_parts *p = &j->parts[i];
        if (p->packed) {
            p->keys = key_room;
            key_room += attn_parts_keys(p);
        }
        if (p->a->rel_bias) {
            p->rel_bias = bias_room;
            bias_room += attn_parts_bias(p);
        }
    }
    return 0;
}

/* Panels, bounds and lists of heads. */
static int reserve_panels(attn_scratch *s, panels_job *j, const attn_args *of, err *e)
{
    const int threads = pool_threads(s->pool);
    int64_t widest = 0;
    for (int i = 0; i < j->n; i++)
        widest = of[i].d_qk > widest ? of[i].d_qk : widest;
    size_t floats, rest = (size_t)j->n_key * (size_t)j->nr + (size_t)attn_query_floats(widest);
    for (int i = 0; i < j->n; i++) {
        const size_t few = j->parts[i].packed ? 0 : (size_t)attn_few_room(&of[i]);
        rest = few > rest ? few : rest;
    }
    j->h_stride = spread_stride(j->n_key * COLUMNS);
    if (!size_mul(&floats, (size_t)j->h_stride, (size_t)j->n_head) || !size_add(&floats, floats, rest) ||
        !size_add(&floats, floats, LINE))
        return err_nomem(e, "attention panels");
    j->thread_stride = (int64_t)(floats / LINE * LINE);
    int rc = attn_grow(&s->panels, &s->panel_len, j->thread_stride, 1, threads, e);
    if (rc)
        return rc;
    j->panels = s->panels;
    j->attention_of = mem_array((size_t)j->n_head, sizeof *j->attention_of, e);
    j->head_of = mem_array((size_t)j->n_head, sizeof *j->head_of, e);
    j->visible = mem_array((size_t)threads * 2 * (size_t)j->n, COLUMNS * sizeof *j->visible, e);
    j->bounds = mem_array((size_t)threads * 2 * (size_t)j->n, sizeof *j->bounds, e);
    if (!j->attention_of || !j->head_of || !j->visible || !j->bounds)
        return ERR_RESOURCE;
    for (int64_t i = 0; i < (int64_t)threads * 2 * j->n; i++)
        j->bounds[i] = j->visible + i * COLUMNS;
    for (int i = 0, head = 0; i < j->n; i++)
        for (int h = 0; h < of[i].n_head; h++, head++) {
            j->attention_of[head] = i;
            j->head_of[head] = h;
        }
    return 0;
}

int attention_panels(attn_scratch *s, const attn_args *of, int n, void (*block)(void *ud, const attn_panels *p), void *ud,
                     err *e)
{
    panels_job j = {.n = n, .block = block, .ud = ud};
    int rc = 0;
    if (n <= 0 || of[0].n_query <= 0)
        return 0;
    j.n_query = of[0].n_query;
    j.n_key = of[0].n_key;
    j.chunks = attn_chunks(j.n_query);
    j.chunk_len = attn_chunk_length(j.n_query);
    for (int i = 0; i < n; i++) {
        if (of[i].n_query != j.n_query || of[i].n_key != j.n_key || of[i].pos0 != of[0].pos0)
            return err_set(e, ERR_FAILED, "layers %d and %d attend from or to different numbers of positions",
                           of[0].layer, of[i].layer);
        j.n_head += of[i].n_head;
    }
    j.parts = mem_array((size_t)n, sizeof *j.parts, e);
    if (!j.parts)
        return ERR_RESOURCE;
    for (int i = 0; i < n; i++)
        attn_parts_begin(&j.parts[i], &of[i]);
    j.nr = j.parts[0].k->nr;
    rc = reserve_operands(s, &j, e);
    if (!rc)
        rc = reserve_panels(s, &j, of, e);
    for (int i = 0; i < n && !rc; i++)
        attn_parts_pack(&j.parts[i], s->pool);
    if (!rc) {
        pool_run(s->pool, j.chunks, chunk_of_queries, &j);
        rc = cancel_check(e);
    }
    free(j.parts);
    free(j.attention_of);
    free(j.head_of);
    free(j.visible);
    free(j.bounds);
    return rc;
}
