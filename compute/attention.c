/* Instrumented attention.  For a block of nr queries the panel of weights [n_key, nr] is formed (attention_parts.c),
 * the tap sees it, and the GEMM's inner kernel forms O^T = V^T P^T with the panel as its right operand. */
#include "compute/attention.h"

#include <stdlib.h>
#include <string.h>

#include "base/cancel.h"
#include "base/mem.h"
#include "compute/attention_few.h"
#include "compute/attention_tiles.h"

typedef struct job {
    attn_scratch *s;
    attn_parts parts;
    const attn_tap *tap;
    unsigned need;
    int chunks, head0, head1;
    int64_t chunk_len;
} job;

typedef struct thread_buffers {
    float *scores;  /* [n_key, nr] */
    float *query;   /* [attn_query_floats] */
    float *room;    /* of tiles */
    float *out;     /* [d_v rounded up to mr and TILE_BLOCK, nr] */
    double *columns; /* [n_key]; NULL: not wanted */
} thread_buffers;

int attn_scratch_new(attn_scratch **out, pool *p, err *e)
{
    attn_scratch *s = mem_array(1, sizeof *s, e);
    if (!s)
        return ERR_RESOURCE;
    s->pool = p;
    *out = s;
    return 0;
}

void attn_scratch_free(attn_scratch *s)
{
    if (!s)
        return;
    mem_free_large(s->keys);
    mem_free_large(s->values);
    mem_free_large(s->panels);
    mem_free_large(s->rel_bias);
    free(s);
}

int attn_chunks(int64_t n_query)
{
    if (n_query <= 0)
        return 1;
    int64_t len = attn_chunk_length(n_query);
    return (int)((n_query + len - 1) / len);
}

int attn_heads_in_flight(int threads, int n_head, int64_t n_query)
{
    int chunks = attn_chunks(n_query);
    int heads = (4 * threads + chunks - 1) / chunks;
    return heads < 1 ? 1 : heads > n_head ? n_head : heads;
}

/* Floats that hold `columns` doubles wherever they begin, and the doubles. */
static int64_t double_floats(int64_t columns)
{
    return 2 * columns + 1;
}

static double *doubles_at(float *room)
{
    return (double *)(void *)(room + (uintptr_t)(void *)room / sizeof *room % 2);
}

static int64_t panel_floats(const attn_parts *p, unsigned need)
{
    const attn_args *a = p->a;
    return (a->n_key + a->d_v + TILE_BLOCK) * p->k->nr + attn_query_floats(a->d_qk) + (p->plan.t ? attn_tiles_room(p) : 0) +
           (need & ATTN_NEED_COLUMNS ? double_floats(a->n_key) : 0);
}

static thread_buffers buffers(const job *j, int thread)
{
    const attn_args *a = j->parts.a;
    thread_buffers b;
    b.scores = j->s->panels + (size_t)thread * j->s->panel_len;
    b.query = b.scores + a->n_key * j->parts.k->nr;
    b.room = b.query + attn_query_floats(a->d_qk);
    b.out = b.room + (j->parts.plan.t ? attn_tiles_room(&j->parts) : 0);
    b.columns = j->need & ATTN_NEED_COLUMNS ? doubles_at(b.out + (a->d_v + TILE_BLOCK) * j->parts.k->nr) : NULL;
    return b;
}

/* Columns of b->out to rows of the output. */
static void turn_output(const attn_parts *j, const thread_buffers *b, const attn_block *at, int head)
{
    const attn_args *a = j->a;
    float *out = a->out + at->q0 * a->ldo + (int64_t)head * a->d_v;
    for (int i = 0; i < at->n_query; i++)
        for (int c = 0; c < a->d_v; c++)
            out[i * a->ldo + c] = b->out[(int64_t)c * j->k->nr + i];
}

/* out[q] = sum over keys k0 .. k1 - 1 of p * v. */
static void form_output(const attn_parts *j, const thread_buffers *b, const attn_block *at, int head)
{
    const attn_args *a = j->a;
    const int64_t k0 = at->k0, k1 = at->k1;
    int nr = j->k->nr, mr = j->k->mr;
    int64_t kv = head / (a->n_head / a->n_kv_head);
    if (a->prec == PRECISION_BF16)
        j->k->round_bf16(b->scores + k0 * nr, (k1 - k0) * nr);
    int64_t v_panels = (a->d_v + mr - 1) / mr;
    for (int64_t vp = 0; vp < v_panels; vp++)
        j->k->gemm_micro(k1 - k0, j->values + ((kv * v_panels + vp) * a->n_key + k0) * mr, b->scores + k0 * nr,
                         b->out + vp * mr * nr, nr, mr, nr);
    turn_output(j, b, at, head);
}

static void hand_rows(const job *j, const float *scores, const attn_block *at, int head, int chunk)
{
    const attn_args *a = j->parts.a;
    float self[GEMM_MAX_NR], prev[GEMM_MAX_NR];
    for (int i = 0; i < at->n_query; i++) {
        int64_t pos = at->qpos[i], cell = i * at->q_stride + pos * at->k_stride;
        self[i] = pos >= at->lo[i] && pos < at->hi[i] ? scores[cell] : 0;
        prev[i] = pos - 1 >= at->lo[i] && pos - 1 < at->hi[i] ? scores[cell - at->k_stride] : 0;
    }
    const attn_rows r = {
        .kind = a->kind, .layer = a->layer, .head = head, .chunk = chunk, .q0 = at->q0, .n_query = at->n_query,
        .n_key = a->n_key, .pos0 = a->pos0, .visible_lo = at->lo, .visible_hi = at->hi, .lse = at->lse,
        .entropy = j->need & ATTN_NEED_ENTROPY ? at->entropy : NULL,
        .maximum = j->need & ATTN_NEED_MAX ? at->maximum : NULL,
        .distance = j->need & ATTN_NEED_DISTANCE ? at->distance : NULL,
        .self = j->need & ATTN_NEED_SELF ? self : NULL, .prev = j->need & ATTN_NEED_PREV ? prev : NULL,
        .sink = a->sinks ? at->sink : NULL, .top = j->need & ATTN_NEED_TOP ? at->top : NULL,
        .k0 = at->k0, .n_column = at->k1 - at->k0, .columns = at->columns ? at->columns + at->k0 : NULL,
    };
    j->tap->rows(j->tap->ud, &r);
}

/* A block's statistics and weights to the tap. */
static void show(const job *j, const float *scores, const attn_block *at, int head, int chunk)
{
    if (j->tap && j->tap->rows)
        hand_rows(j, scores, at, head, chunk);
    if (j->tap && j->tap->tile && (j->need & ATTN_NEED_PROBS)) {
        attn_tile t = attn_block_tile(at, &j->parts, head, chunk, at->k0, at->k1);
        t.probs = scores + at->k0 * at->k_stride;
        j->tap->tile(j->tap->ud, &t);
    }
}

static void block(const job *j, const thread_buffers *b, int head, int chunk, int64_t q0, int nq)
{
    const attn_args *a = j->parts.a;
    attn_block at = {.need = j->need, .columns = b->columns};
    static const attn_tap none;
    const bool output = a->out && a->v;
    attn_block_begin(&at, &j->parts, q0, nq);
    if (j->parts.plan.t)
        attn_tiles_block(&at, &j->parts, head, chunk, j->tap ? j->tap : &none, b->scores, b->query, b->room,
                         output ? b->out : NULL);
    else
        attn_block_weights(&at, &j->parts, head, chunk, b->scores, b->query);
    show(j, b->scores, &at, head, chunk);
    if (output && j->parts.plan.t)
        turn_output(&j->parts, b, &at, head);
    else if (output)
        form_output(&j->parts, b, &at, head);
}

/* Item: one chunk of queries of one head. */
static void piece(void *ud, int64_t item, int thread)
{
    const job *j = ud;
    thread_buffers b = buffers(j, thread);
    const int nr = j->parts.k->nr;
    int head = j->head0 + (int)(item / j->chunks), chunk = (int)(item % j->chunks);
    int64_t q = chunk * j->chunk_len, end = q + j->chunk_len;
    if (end > j->parts.a->n_query)
        end = j->parts.a->n_query;
    for (; q < end && !cancel_requested(); q += nr)
        block(j, &b, head, chunk, q, (int)(end - q < nr ? end - q : nr));
}

/* Few queries: scores and outputs by ranges of keys, which are read as they lie for all heads; weights by heads. */
typedef struct few_job {
    const job *j;
    attn_block at;              /* without statistics */
    float *scores;              /* [n_head][n_query][attn_few_row] */
    float *parts;               /* [ranges][n_query][n_head * d_v] */
    double *columns;            /* [threads][n_key]; NULL: not wanted */
    int64_t range, part_floats;
} few_job;

static int64_t range_end(const few_job *f, int64_t item)
{
    const int64_t end = (item + 1) * f->range, n_key = f->j->parts.a->n_key;
    return end < n_key ? end : n_key;
}

static void few_scores(void *ud, int64_t item, int thread)
{
    const few_job *f = ud;
    (void)thread;
    attn_few_scores(&f->at, &f->j->parts, 0, f->j->parts.a->n_head, item * f->range, range_end(f, item), f->scores);
}

static void few_columns(const attn_block *at, const float *scores)
{
    for (int64_t key = at->k0; key < at->k1; key++) {
        double sum = 0;
        for (int i = 0; i < at->n_query; i++)
            sum += (double)scores[i * at->q_stride + key];
        at->columns[key] = sum;
    }
}

static void few_weights(void *ud, int64_t item, int thread)
{
    const few_job *f = ud;
    const int head = f->j->head0 + (int)item;
    float *scores = f->scores + head * attn_few_room(f->j->parts.a);
    attn_block at = f->at;
    attn_few_weights(&at, &f->j->parts, head, 0, scores);
    if (f->columns) {
        at.columns = f->columns + thread * f->j->parts.a->n_key;
        few_columns(&at, scores);
    }
    show(f->j, scores, &at, head, 0);
}

static void few_outputs(void *ud, int64_t item, int thread)
{
    const few_job *f = ud;
    (void)thread;
    attn_few_output(&f->at, &f->j->parts, item * f->range, range_end(f, item), f->scores, f->parts + item * f->part_floats);
}

static void add_ranges(const few_job *f, int ranges)
{
    const attn_args *a = f->j->parts.a;
    const int64_t width = (int64_t)a->n_head * a->d_v;
    for (int64_t i = 0; i < a->n_query; i++) {
        float *out = a->out + i * a->ldo;
        memcpy(out, f->parts + i * width, (size_t)width * sizeof *out);
        for (int r = 1; r < ranges; r++)
            f->j->parts.k->add(out, f->parts + r * f->part_floats + i * width, width);
    }
}

/* A group of heads after the other, each to the tap. */
static int over_heads(job *j, int group, pool_fn fn, int64_t items_a_head, void *ud, err *e)
{
    const attn_args *a = j->parts.a;
    int rc;
    for (int head = 0; head < a->n_head; head += group) {
        j->head0 = head;
        j->head1 = head + group < a->n_head ? head + group : a->n_head;
        pool_run(j->s->pool, (j->head1 - j->head0) * items_a_head, fn, ud);
        if ((rc = cancel_check(e)))
            return rc;
        if (j->tap && j->tap->heads_done && (rc = j->tap->heads_done(j->tap->ud, a->layer, j->head0, j->head1, e)))
            return rc;
    }
    return 0;
}

static int few_queries(job *j, int group, err *e)
{
    attn_scratch *s = j->s;
    const attn_args *a = j->parts.a;
    const int ranges = attn_few_ranges(a->n_key), threads = pool_threads(s->pool);
    few_job f = {.j = j, .at = {.need = j->need}, .range = attn_few_range(a->n_key)};
    const bool output = a->out && a->v;
    f.part_floats = a->n_query * a->n_head * a->d_v;
    const int64_t scores = a->n_head * attn_few_room(a), outputs = output ? ranges * f.part_floats : 0;
    const int64_t all = scores + outputs + (j->need & ATTN_NEED_COLUMNS ? double_floats(threads * a->n_key) : 0);
    int rc = attn_grow(&s->panels, &s->panel_len, (all + threads - 1) / threads, 1, threads, e);
    if (rc)
        return rc;
    f.scores = s->panels;
    f.parts = s->panels + scores;
    f.columns = j->need & ATTN_NEED_COLUMNS ? doubles_at(f.parts + outputs) : NULL;
    attn_block_begin(&f.at, &j->parts, 0, (int)a->n_query);
    pool_run(s->pool, ranges, few_scores, &f);
    rc = over_heads(j, j->tap ? group : a->n_head, few_weights, 1, &f, e);
    if (rc || !output)
        return rc;
    pool_run(s->pool, ranges, few_outputs, &f);
    add_ranges(&f, ranges);
    return cancel_check(e);
}

int attention(attn_scratch *s, const attn_args *a, const attn_tap *tap, err *e)
{
    job j = {
        .s = s, .tap = tap, .need = tap ? tap->need : 0, .chunks = attn_chunks(a->n_query),
        .chunk_len = attn_chunk_length(a->n_query),
    };
    int rc;
    if (a->n_query <= 0)
        return 0;
    attn_parts_begin(&j.parts, a);
    const int group = attn_heads_in_flight(pool_threads(s->pool), a->n_head, a->n_query);
    if (!j.parts.packed)
        return few_queries(&j, group, e);
    if ((rc = attn_grow(&s->panels, &s->panel_len, panel_floats(&j.parts, j.need), 1, pool_threads(s->pool), e)) ||
        (rc = attn_grow(&s->rel_bias, &s->rel_bias_len, attn_parts_bias(&j.parts), 1, 1, e)) ||
        (rc = attn_grow(&s->keys, &s->keys_len, attn_parts_keys(&j.parts), 1, 1, e)) ||
        (rc = attn_grow(&s->values, &s->values_len, attn_parts_values(&j.parts), 1, 1, e)))
        return rc;
    j.parts.keys = s->keys;
    j.parts.values = attn_parts_values(&j.parts) ? s->values : NULL;
    j.parts.rel_bias = a->rel_bias ? s->rel_bias : NULL;
    attn_parts_pack(&j.parts, s->pool);
    return over_heads(&j, group, piece, j.chunks, &j, e);
}
