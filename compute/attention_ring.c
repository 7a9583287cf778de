/* Keys and values pass by, rank by rank; what each gives is merged by its log-sum-exp. */
#include "compute/attention_ring.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "base/cancel.h"
#include "base/clock.h"
#include "base/mem.h"
#include "compute/attention_parts.h"
#include "compute/attention_ring_parts.h"

typedef struct job {
    attn_ring *r;
    attn_scratch *s;
    const attn_args *a;
    const attn_tap *tap;     /* of the caller, or NULL */
    unsigned need;
    int64_t rows;            /* of this rank */
    int64_t row0, n_query;   /* the queries of the pair that is worked on: rows row0 .. */
    int head0;               /* of the heads that are handed over */
} job;

int attn_ring_new(attn_ring **out, const sequence_split *split, err *e)
{
    attn_ring *r = mem_array(1, sizeof *r, e);
    int rc = r ? ranks_transfer_new(&r->transfer, e) : ERR_RESOURCE;
    if (!rc)
        r->split = *split;
    for (int p = 0; !rc && p < split->pieces; p++) {
        r->count[p] = mem_array((size_t)split->ranks, sizeof *r->count[p], e);
        r->at[p] = mem_array((size_t)split->ranks, sizeof *r->at[p], e);
        rc = r->count[p] && r->at[p] ? 0 : ERR_RESOURCE;
        for (int rank = 0, index; !rc && rank < split->ranks; rank++) {
            sequence_span span = sequence_piece(split, rank, p, &index);
            r->count[p][rank] = (int)span.n;
            r->at[p][rank] = (int)span.pos0;
        }
    }
    if (rc) {
        attn_ring_free(r);
        return rc;
    }
    *out = r;
    return 0;
}

void attn_ring_free(attn_ring *r)
{
    if (!r)
        return;
    ranks_transfer_free(r->transfer);
    for (int p = 0; p < SPLIT_MAX_PIECES; p++) {
        free(r->count[p]);
        free(r->at[p]);
    }
    mem_free_large(r->here);
    mem_free_large(r->next);
    mem_free_large(r->own[0]);
    mem_free_large(r->own[1]);
    mem_free_large(r->part);
    mem_free_large(r->bias);
    free(r->rows);
    free(r);
}

const sequence_split *attn_ring_split(const attn_ring *r)
{
    return &r->split;
}

uint64_t attn_ring_bytes(const attn_ring *r)
{
    return r->bytes;
}

double attn_ring_waited(const attn_ring *r, double *busy)
{
    *busy = r->busy;
    return r->waited;
}

static double processor_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void ring_turn(attn_ring *r)
{
    double wall = clock_seconds(), busy = processor_seconds();
    ranks_wait(r->transfer);
    r->waited += clock_seconds() - wall;
    r->busy += processor_seconds() - busy;
    float *swap = r->here;
    size_t room = r->here_room;
    r->here = r->next;
    r->here_room = r->next_room;
    r->next = swap;
    r->next_room = room;
}

int ring_agree(attn_ring *r, int rc, err *e)
{
    double wall = clock_seconds(), busy = processor_seconds();
    rc = ranks_agree(rc, e);
    r->waited += clock_seconds() - wall;
    r->busy += processor_seconds() - busy;
    return rc;
}

double attn_ring_memory(const sequence_split *s, const attn_args *a, int threads)
{
    double rows = (double)sequence_rows(s, 0), n = (double)s->n, width = a->d_qk + a->d_v;
    double ring = 2 * rows * a->n_kv_head * width + rows * a->n_head * a->d_v + rows * a->n_head * sizeof(ring_row) / 4;
    double gathered = 3 * n * width + 2 * rows * width + (double)threads * n * GEMM_MAX_NR;
    return 4 * (ring + gathered);
}

/* ---- merging ---- */

/* The keys seen so far and those of a block. */
static void merge_row(ring_row *s, const attn_rows *r, int i)
{
    double lse = r->maximum[i] == 0 ? -INFINITY : (double)r->top[i] - log((double)r->maximum[i]);
    double entropy = r->entropy ? (double)r->entropy[i] : 0, distance = r->distance ? (double)r->distance[i] : 0;
    float self = r->self ? r->self[i] : 0, prev = r->prev ? r->prev[i] : 0;
    double keep = 1, add = 0;
    if (lse == -INFINITY) {
        s->keep = 1;
        s->add = 0;
        return;
    }
    if (s->lse == -INFINITY) {
        keep = 0;
        add = 1;
        s->lse = lse;
    } else {
        double top = s->lse > lse ? s->lse : lse, sum = exp(s->lse - top) + exp(lse - top);
        keep = exp(s->lse - top) / sum;
        add = exp(lse - top) / sum;
        s->lse = top + log(sum);
    }
    s->entropy = (keep == 0 ? 0 : keep * (s->entropy - log(keep))) + (add == 0 ? 0 : add * (entropy - log(add)));
    s->distance = keep * s->distance + add * distance;
    float before = (float)keep * s->maximum, now = (float)add * r->maximum[i];
    s->maximum = before > now ? before : now;
    s->self = (float)keep * s->self + (float)add * self;
    s->prev = (float)keep * s->prev + (float)add * prev;
    s->keep = (float)keep;
    s->add = (float)add;
}

static void take_rows(void *ud, const attn_rows *r)
{
    const job *j = ud;
    ring_row *row = j->r->rows + r->head * j->rows + j->row0 + r->q0;
    for (int64_t i = 0; i < r->n_query; i++)
        merge_row(row + i, r, (int)i);
}

static int help_along(void *ud, int layer, int head0, int head1, err *e)
{
    const job *j = ud;
    (void)layer, (void)head0, (void)head1, (void)e;
    ranks_poll(j->r->transfer);
    return 0;
}

enum { SLICE = 16 };

/* Item: some rows of the pair, all heads. */
static void merge_outputs(void *ud, int64_t item, int thread)
{
    const job *j = ud;
    const attn_args *a = j->a;
    int64_t end = (item + 1) * SLICE < j->n_query ? (item + 1) * SLICE : j->n_query;
    (void)thread;
    for (int64_t i = item * SLICE; i < end; i++)
        for (int h = 0; h < a->n_head; h++) {
            const ring_row *row = j->r->rows + h * j->rows + j->row0 + i;
            float *out = a->out + (j->row0 + i) * a->ldo + (int64_t)h * a->d_v;
            const float *part = j->r->part + (i * a->n_head + h) * a->d_v;
            for (int c = 0; c < a->d_v; c++)
                out[c] = row->keep * out[c] + row->add * part[c];
        }
}

/* ---- pairs of stretches ---- */

/* Queries first .. end - 1 of a stretch that see any key of another. */
static void queries_that_see(int64_t *first, int64_t *end, const attn_args *a, const sequence_span *q, const sequence_span *k)
{
    int64_t last_key = k->pos0 + k->n - 1;
    *first = 0;
    *end = q->n;
    if (a->causal && k->pos0 - q->pos0 > *first)
        *first = k->pos0 - q->pos0;
    if (a->window > 0 && last_key + a->window - q->pos0 < *end)
        *end = last_key + a->window - q->pos0;
    if (a->window > 0 && !a->causal && k->pos0 - a->window + 1 - q->pos0 > *first)
        *first = k->pos0 - a->window + 1 - q->pos0;
}

static int attend_pair(job *j, const sequence_span *q, const sequence_span *k, const float *keys, const float *values, err *e)
{
    const attn_args *a = j->a;
    int64_t first, end;
    queries_that_see(&first, &end, a, q, k);
    if (k->n == 0 || first >= end)
        return 0;
    attn_args b = *a;
    b.q = a->q + (q->row + first) * a->ldq;
    b.n_query = end - first;
    b.pos0 = q->pos0 + first - k->pos0;
    b.n_key = k->n;
    b.k = keys;
    b.v = values;
    b.ldk = (int64_t)a->n_kv_head * a->d_qk;
    b.ldv = (int64_t)a->n_kv_head * a->d_v;
    b.out = j->r->part;
    b.ldo = (int64_t)a->n_head * a->d_v;
    b.stretch = true;
    b.sinks = NULL; /* one more key, merged when all others have passed */
    for (int h = 0; a->key_bias && h < a->n_head; h++)
        memcpy(j->r->bias + h * k->n, a->key_bias + h * a->n_key + k->pos0, (size_t)k->n * sizeof(float));
    b.key_bias = a->key_bias ? j->r->bias : NULL;
    j->row0 = q->row + first;
    j->n_query = b.n_query;
    const attn_tap tap = {
        .need = j->need | ATTN_NEED_TOP | ATTN_NEED_MAX, .rows = take_rows, .heads_done = help_along, .ud = j,
    };
    int rc = attention(j->s, &b, &tap, e);
    if (!rc)
        pool_run(j->s->pool, (b.n_query + SLICE - 1) / SLICE, merge_outputs, j);
    return rc;
}

/* The keys and values of a rank, as they lie in `here`. */
static int attend_rank(job *j, int rank, err *e)
{
    const sequence_split *split = &j->r->split;
    const attn_args *a = j->a;
    int64_t ldk = (int64_t)a->n_kv_head * a->d_qk, ldv = (int64_t)a->n_kv_head * a->d_v;
    const float *keys = j->r->here, *values = keys + sequence_rows(split, rank) * ldk;
    int rc = 0;
    for (int kp = 0, index; kp < split->pieces && !rc; kp++) {
        sequence_span k = sequence_piece(split, rank, kp, &index);
        for (int qp = 0; qp < split->pieces && !rc; qp++) {
            sequence_span q = sequence_piece(split, split->rank, qp, &index);
            rc = attend_pair(j, &q, &k, keys + k.row * ldk, values + k.row * ldv, e);
        }
    }
    return rc;
}

/* ---- when all have passed ---- */

/* Item: rows of all heads.  The sink, one more key whose value is zero. */
static void merge_sinks(void *ud, int64_t item, int thread)
{
    const job *j = ud;
    const attn_args *a = j->a;
    int64_t end = (item + 1) * SLICE < j->rows ? (item + 1) * SLICE : j->rows;
    (void)thread;
    for (int64_t i = item * SLICE; i < end; i++)
        for (int h = 0; h < a->n_head; h++) {
            ring_row *s = j->r->rows + h * j->rows + i;
            double z = (double)a->sinks[h], top = s->lse > z ? s->lse : z, sum = exp(s->lse - top) + exp(z - top);
            double w = exp(s->lse - top) / sum;
            float *out = a->out + i * a->ldo + (int64_t)h * a->d_v;
            s->sink = (float)(exp(z - top) / sum);
            s->entropy = w == 0 ? 0 : w * (s->entropy - log(w));
            s->distance *= w;
            s->maximum *= (float)w;
            s->self *= (float)w;
            s->prev *= (float)w;
            for (int c = 0; c < a->d_v; c++)
                out[c] *= (float)w;
        }
}

static void hand_block(const job *j, const attn_parts *p, const sequence_span *span, int head, int chunk, int64_t q0, int n)
{
    const attn_args *a = j->a;
    const ring_row *row = j->r->rows + head * j->rows + span->row + q0;
    float lse[GEMM_MAX_NR], entropy[GEMM_MAX_NR], maximum[GEMM_MAX_NR], distance[GEMM_MAX_NR], self[GEMM_MAX_NR];
    float prev[GEMM_MAX_NR], sink[GEMM_MAX_NR];
    attn_block at = {0};
    attn_block_begin(&at, p, q0, n);
    for (int i = 0; i < n; i++) {
        lse[i] = (float)row[i].lse;
        entropy[i] = (float)row[i].entropy;
        maximum[i] = row[i].maximum;
        distance[i] = (float)row[i].distance;
        self[i] = row[i].self;
        prev[i] = row[i].prev;
        sink[i] = row[i].sink;
    }
    const attn_rows r = {
        .kind = a->kind, .layer = a->layer, .head = head, .chunk = chunk, .q0 = span->pos0 + q0, .n_query = n,
        .n_key = a->n_key, .visible_lo = at.lo, .visible_hi = at.hi, .lse = lse,
        .entropy = j->need & ATTN_NEED_ENTROPY ? entropy : NULL, .maximum = j->need & ATTN_NEED_MAX ? maximum : NULL,
        .distance = j->need & ATTN_NEED_DISTANCE ? distance : NULL, .self = j->need & ATTN_NEED_SELF ? self : NULL,
        .prev = j->need & ATTN_NEED_PREV ? prev : NULL, .sink = a->sinks ? sink : NULL,
    };
    j->tap->rows(j->tap->ud, &r);
}

/* Item: a chunk of a piece of a head. */
static void hand_chunk(void *ud, int64_t item, int thread)
{
    const job *j = ud;
    int index, head = j->head0 + (int)(item / (SPLIT_MAX_PIECES * ATTN_MAX_CHUNK));
    int piece = (int)(item / ATTN_MAX_CHUNK % SPLIT_MAX_PIECES), chunk = (int)(item % ATTN_MAX_CHUNK);
    (void)thread;
    if (piece >= j->r->split.pieces)
        return;
    sequence_span span = sequence_piece(&j->r->split, j->r->split.rank, piece, &index);
    attn_args a = *j->a;
    attn_parts p;
    a.n_query = span.n;
    a.pos0 = span.pos0;
    attn_parts_begin(&p, &a);
    int64_t length = attn_chunk_length(span.n), end = (chunk + 1) * length < span.n ? (chunk + 1) * length : span.n;
    for (int64_t q = chunk * length; q < end; q += p.k->nr)
        hand_block(j, &p, &span, head, piece * ATTN_MAX_CHUNK + chunk, q, (int)(end - q < p.k->nr ? end - q : p.k->nr));
}

static int hand_over(job *j, err *e)
{
    int group = j->a->n_head / j->a->n_kv_head, rc = 0;
    for (j->head0 = 0; j->tap && j->head0 < j->a->n_head; j->head0 += group) {
        if (j->tap->rows)
            pool_run(j->s->pool, (int64_t)group * SPLIT_MAX_PIECES * ATTN_MAX_CHUNK, hand_chunk, j);
        int done = j->tap->heads_done ? j->tap->heads_done(j->tap->ud, j->a->layer, j->head0, j->head0 + group, rc ? NULL : e)
                                      : 0;
        rc = rc ? rc : done;
    }
    return rc;
}

/* ---- the ring ---- */

static int reserve(job *j, err *e)
{
    attn_ring *r = j->r;
    const attn_args *a = j->a;
    int64_t most = sequence_rows(&r->split, 0), width = (int64_t)a->n_kv_head * (a->d_qk + a->d_v);
    size_t rows = (size_t)j->rows * (size_t)a->n_head;
    for (int rank = 1; rank < r->split.ranks; rank++)
        most = sequence_rows(&r->split, rank) > most ? sequence_rows(&r->split, rank) : most;
    int rc = attn_grow(&r->here, &r->here_room, most, width, 1, e);
    if (rc || (rc = attn_grow(&r->next, &r->next_room, most, width, 1, e)) ||
        (rc = attn_grow(&r->part, &r->part_room, j->rows, (int64_t)a->n_head * a->d_v, 1, e)) ||
        (rc = attn_grow(&r->bias, &r->bias_room, a->key_bias ? a->n_head : 0, most, 1, e)))
        return rc;
    if (rows > r->rows_room || !r->rows) {
        ring_row *more = mem_grow(r->rows, rows + 1, sizeof *more, e);
        if (!more)
            return ERR_RESOURCE;
        r->rows = more;
        r->rows_room = rows;
    }
    return 0;
}

static void start(job *j)
{
    const attn_args *a = j->a;
    int64_t ldk = (int64_t)a->n_kv_head * a->d_qk, ldv = (int64_t)a->n_kv_head * a->d_v;
    for (int64_t i = 0; i < j->rows; i++) {
        memcpy(j->r->here + i * ldk, a->k + i * a->ldk, (size_t)ldk * sizeof(float));
        memcpy(j->r->here + j->rows * ldk + i * ldv, a->v + i * a->ldv, (size_t)ldv * sizeof(float));
        memset(a->out + i * a->ldo, 0, (size_t)((int64_t)a->n_head * a->d_v) * sizeof(float));
    }
    for (int64_t i = 0; i < j->rows * a->n_head; i++)
        j->r->rows[i] = (ring_row){.lse = -INFINITY};
}

int attention_passed(attn_ring *r, attn_scratch *s, const attn_args *a, const attn_tap *tap, err *e)
{
    const sequence_split *split = &r->split;
    int ranks = split->ranks, me = split->rank;
    job j = {.r = r, .s = s, .a = a, .tap = tap, .need = tap ? tap->need : 0, .rows = sequence_rows(split, me)};
    int rc = ring_agree(r, reserve(&j, e), e);
    if (rc)
        return rc;
    start(&j);
    size_t row = (size_t)a->n_kv_head * (size_t)(a->d_qk + a->d_v) * sizeof(float);
    for (int step = 0; step < ranks; step++) {
        int from = (me - step + ranks) % ranks, coming = (from - 1 + ranks) % ranks;
        if (step + 1 < ranks) {
            size_t bytes = (size_t)sequence_rows(split, from) * row;
            ranks_exchange(r->transfer, r->here, bytes, (me + 1) % ranks, r->next,
                           (size_t)sequence_rows(split, coming) * row, (me - 1 + ranks) % ranks);
            r->bytes += bytes;
        }
        rc = rc ? rc : attend_rank(&j, from, e);
        ring_turn(r);
    }
    if (a->sinks && !rc)
        pool_run(s->pool, (j.rows + SLICE - 1) / SLICE, merge_sinks, &j);
    int handed = hand_over(&j, rc ? NULL : e);
    rc = rc ? rc : handed;
    rc = cancel_requested() ? cancel_check(e) : rc; /* what the pool left out may look like any failure */
    return ring_agree(r, rc, e);
}

int attention_ring(attn_ring *r, attn_scratch *s, const attn_args *a, const attn_tap *tap, err *e)
{
    const bool gather = tap && ((tap->tile && (tap->need & ATTN_NEED_PROBS)) || (tap->need & ATTN_NEED_COLUMNS));
    return gather ? attention_gathered(r, s, a, tap, e) : attention_passed(r, s, a, tap, e);
}
