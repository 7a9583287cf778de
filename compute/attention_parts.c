/* Scores and weights of a block of queries: row panels, lanes = queries.
 *
 * The panel S^T [n_key, nr] is K Q^T by the GEMM's inner kernel (keys packed as rows, the queries as the columns);
 * softmax and its statistics run down the columns. */
#include "compute/attention_tiles.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"

/* Up to this many queries behind a cache, or across many keys (decoding), read keys and values where they
 * are: packing them would cost more than it saves. */
enum { FEW_QUERIES = 4, MANY_KEYS = 256 };

int64_t attn_chunk_length(int64_t n_query)
{
    int64_t len = (n_query + ATTN_MAX_CHUNK - 1) / ATTN_MAX_CHUNK;
    return (len + GEMM_MAX_NR - 1) / GEMM_MAX_NR * GEMM_MAX_NR;
}

int attn_grow(float **buffer, size_t *have, int64_t rows, int64_t cols, int copies, err *e)
{
    size_t want, bytes;
    if (!size_mul(&want, (size_t)rows, (size_t)cols) || !size_mul(&bytes, want, sizeof(float)) ||
        !size_mul(&bytes, bytes, (size_t)copies))
        return err_nomem(e, "attention panels");
    if (want <= *have)
        return 0;
    float *fresh = mem_large(bytes, e);
    if (!fresh)
        return ERR_RESOURCE;
    mem_free_large(*buffer);
    *buffer = fresh;
    *have = want;
    return 0;
}

void attn_parts_begin(attn_parts *p, const attn_args *a)
{
    *p = (attn_parts){
        .a = a, .k = kernels_get(),
        .packed = a->n_query > FEW_QUERIES || a->stretch || (a->pos0 == 0 && a->n_key < MANY_KEYS),
    };
    if (p->packed)
        p->plan = tile_plan_for(p->k, a->prec, TILE_TERMS);
}

static int64_t panels_of(int64_t n, int width)
{
    return (n + width - 1) / width;
}

static int64_t rel_bias_row(const attn_parts *p)
{
    return p->a->n_query + p->a->n_key - 1 + p->k->nr;
}

int64_t attn_parts_keys(const attn_parts *p)
{
    if (p->plan.t)
        return attn_tiles_keys(p);
    return p->packed ? panels_of(p->a->n_key, p->k->mr) * p->k->mr * p->a->n_kv_head * p->a->d_qk : 0;
}

int64_t attn_parts_values(const attn_parts *p)
{
    if (!p->packed || !p->a->out || !p->a->v)
        return 0;
    return p->plan.t ? attn_tiles_values(p) : p->a->n_key * p->a->n_kv_head * panels_of(p->a->d_v, p->k->mr) * p->k->mr;
}

int64_t attn_parts_bias(const attn_parts *p)
{
    return p->a->rel_bias && p->packed ? rel_bias_row(p) * p->a->n_head : 0;
}

/* Item: one panel of mr keys, and the same keys' values, of one key/value head. */
static void pack_keys_values(void *ud, int64_t item, int thread)
{
    const attn_parts *j = ud;
    const attn_args *a = j->a;
    int mr = j->k->mr;
    int64_t panels = panels_of(a->n_key, mr), kv = item / panels, p = item % panels;
    int64_t key = p * mr, v_panels = panels_of(a->d_v, mr);
    int n = (int)(a->n_key - key < mr ? a->n_key - key : mr);
    (void)thread;

    float *keys = j->keys + (kv * panels + p) * a->d_qk * mr;
    j->k->interleave(keys, mr, a->k + key * a->ldk + kv * a->d_qk, a->ldk, n, a->d_qk);
    if (a->prec == PRECISION_BF16)
        j->k->round_bf16(keys, (int64_t)a->d_qk * mr);

    for (int64_t vp = 0; vp < v_panels && j->values; vp++) {
        int64_t first = vp * mr, width = a->d_v - first < mr ? a->d_v - first : mr;
        float *dst = j->values + ((kv * v_panels + vp) * a->n_key + key) * mr;
        for (int i = 0; i < n; i++, dst += mr) {
            memcpy(dst, a->v + (key + i) * a->ldv + kv * a->d_v + first, (size_t)width * sizeof *dst);
            for (int64_t c = width; c < mr; c++)
                dst[c] = 0;
            if (a->prec == PRECISION_BF16)
                j->k->round_bf16(dst, width);
        }
    }
}

/* Lanes are queries, and the bias falls with the query: turned round, one load has it for a whole block.
 * Element n_key - 1 - key + query of a head's row; zeros behind it for the columns that hold no query. */
static void turn_rel_bias(const attn_parts *p)
{
    const attn_args *a = p->a;
    int64_t n = a->n_query + a->n_key - 1, row = rel_bias_row(p);
    for (int head = 0; head < a->n_head; head++) {
        const float *from = a->rel_bias + head * n;
        float *to = p->rel_bias + head * row;
        for (int64_t i = 0; i < n; i++)
            to[i] = from[n - 1 - i];
        memset(to + n, 0, (size_t)p->k->nr * sizeof *to);
    }
}

void attn_parts_pack(const attn_parts *p, pool *threads)
{
    attn_parts copy = *p;
    if (p->rel_bias && p->packed)
        turn_rel_bias(p);
    if (p->plan.t)
        attn_tiles_pack(p, threads);
    else if (p->packed)
        pool_run(threads, panels_of(p->a->n_key, p->k->mr) * p->a->n_kv_head, pack_keys_values, &copy);
}

void attn_block_begin(attn_block *b, const attn_parts *p, int64_t q0, int nq)
{
    const attn_args *a = p->a;
    const int step = p->plan.t ? TILE_BLOCK : p->k->mr;
    b->q0 = q0;
    b->n_query = nq;
    b->q_stride = 1;
    b->k_stride = p->k->nr;
    for (int i = 0; i < p->k->nr; i++) {
        int64_t pos = a->pos0 + q0 + i;
        b->qpos[i] = pos;
        b->lo[i] = 0;
        b->hi[i] = a->n_key;
        if (i >= nq) {
            b->hi[i] = 0;
            continue;
        }
        if (a->causal && pos + 1 < b->hi[i])
            b->hi[i] = pos + 1;
        if (a->window > 0 && pos - a->window + 1 > 0)
            b->lo[i] = pos - a->window + 1;
        if (a->window > 0 && !a->causal && pos + a->window < b->hi[i])
            b->hi[i] = pos + a->window;
        if (b->lo[i] > b->hi[i])
            b->lo[i] = b->hi[i];
    }
    /* Bounds move up with the query. */
    b->k0 = b->lo[0] / step * step;
    b->k1 = b->hi[nq - 1];
}

static void form_scores(const attn_block *b, const attn_parts *j, int head, float *scores, float *query)
{
    const attn_args *a = j->a;
    int nr = j->k->nr, mr = j->k->mr;
    int64_t kv = head / (a->n_head / a->n_kv_head);
    const float *q = a->q + b->q0 * a->ldq + (int64_t)head * a->d_qk;

    j->k->interleave(query, nr, q, a->ldq, b->n_query, a->d_qk);
    if (a->prec == PRECISION_BF16)
        j->k->round_bf16(query, (int64_t)a->d_qk * nr);
    int64_t panels = panels_of(a->n_key, mr);
    for (int64_t p = b->k0 / mr; p * mr < b->k1; p++) {
        int m = (int)(a->n_key - p * mr < mr ? a->n_key - p * mr : mr);
        j->k->gemm_micro(a->d_qk, j->keys + (kv * panels + p) * a->d_qk * mr, query, scores + p * mr * nr, nr, m, nr);
    }
}

bool attn_has_extras(const attn_args *a)
{
    return a->softcap > 0 || a->key_bias || a->rel_bias || a->scale < 0; /* the largest score is to stay so */
}

void attn_finish_scores(const attn_parts *p, const attn_block *b, int head, int64_t from, int64_t to, float *scores)
{
    const attn_args *a = p->a;
    score_block sb = {
        .s = scores + from * p->k->nr, .scale = a->scale, .n_key = to - from, .n_query = b->n_query, .softcap = a->softcap,
    };
    if (a->key_bias)
        sb.key_bias = a->key_bias + head * a->n_key + from;
    if (a->rel_bias)
        sb.rel_bias = p->rel_bias + head * rel_bias_row(p) + a->n_key - 1 - from + b->q0;
    p->k->score_columns(&sb);
}

/* Statistics of weights that an edit has changed, query by query, keys in increasing order.  A learned sink has what
 * they leave of 1. */
static void restate(attn_block *b, const attn_tile *t, bool sinks)
{
    for (int i = 0; i < b->n_query; i++) {
        double entropy = 0, distance = 0, sum = 0;
        float most = 0;
        for (int64_t key = b->lo[i]; key < b->hi[i]; key++) {
            float p = attn_tile_at(t, t->q0 + i, key);
            int64_t d = b->qpos[i] - key;
            entropy -= p != 0 ? (double)p * log((double)p) : 0; /* a NaN stays one */
            distance += (double)p * (double)(d < 0 ? -d : d);
            sum += (double)p;
            most = p > most || isnan(p) ? p : most;
        }
        b->entropy[i] = (float)entropy;
        b->distance[i] = (float)distance;
        b->maximum[i] = most;
        if (sinks)
            b->sink[i] = sum < 1 ? (float)(1 - sum) : 0;
    }
}

attn_tile attn_block_tile(const attn_block *b, const attn_parts *p, int head, int chunk, int64_t from, int64_t to)
{
    const attn_args *a = p->a;
    return (attn_tile){
        .kind = a->kind, .layer = a->layer, .head = head, .chunk = chunk, .q0 = b->q0, .n_query = b->n_query, .k0 = from,
        .n_key = to - from, .pos0 = a->pos0, .visible_lo = b->lo, .visible_hi = b->hi, .q_stride = b->q_stride,
        .k_stride = b->k_stride,
    };
}

void attn_edit_weights(attn_block *b, const attn_parts *p, int head, int chunk, float *scores)
{
    const attn_args *a = p->a;
    float *from = scores + b->k0 * b->k_stride;
    attn_tile t = attn_block_tile(b, p, head, chunk, b->k0, b->k1);
    t.probs = from;
    a->edit->weights(a->edit->ud, &t, from);
    restate(b, &t, a->sinks != NULL);
}

/* The largest of n rows of some columns, and of what top holds. */
static inline void largest_of_columns(float *top, const float *scores, int64_t n, int nr, const int columns)
{
    float most[16]; /* stays in registers */
    memcpy(most, top, (size_t)columns * sizeof *most);
    for (int64_t key = 0; key < n; key++)
        for (int i = 0; i < columns; i++) {
            float s = scores[key * nr + i];
            most[i] = s > most[i] ? s : most[i];
        }
    memcpy(top, most, (size_t)columns * sizeof *most);
}

static void largest_of_rows(float *top, const float *scores, int64_t from, int64_t to, int nr)
{
    const float *rows = scores + from * nr;
    int i = 0;
    for (; i + 16 <= nr; i += 16)
        largest_of_columns(top + i, rows + i, to - from, nr, 16);
    for (; i + 4 <= nr; i += 4)
        largest_of_columns(top + i, rows + i, to - from, nr, 4);
    for (; i < nr; i++)
        largest_of_columns(top + i, rows + i, to - from, nr, 1);
}

/* The largest visible score of each query; scale: what the softmax will multiply the scores by. */
static void largest_scores(attn_block *b, const float *scores, int nr, float scale)
{
    int last = b->n_query - 1; /* bounds move up with the query: keys from .. to - 1, if any, are seen by all */
    int64_t from = b->lo[last] < b->k1 ? b->lo[last] : b->k1, to = b->hi[0] > from ? b->hi[0] : from;
    for (int i = 0; i < nr; i++)
        b->top[i] = -INFINITY;
    largest_of_rows(b->top, scores, from, to, nr);
    for (int i = 0; i <= last; i++) {
        for (int64_t key = b->lo[i]; key < from && key < b->hi[i]; key++)
            b->top[i] = scores[key * nr + i] > b->top[i] ? scores[key * nr + i] : b->top[i];
        for (int64_t key = to; key < b->hi[i]; key++)
            b->top[i] = scores[key * nr + i] > b->top[i] ? scores[key * nr + i] : b->top[i];
        b->top[i] *= scale;
    }
}

void attn_block_weights(attn_block *b, const attn_parts *p, int head, int chunk, float *scores, float *query)
{
    const attn_args *a = p->a;
    int nr = p->k->nr;
    bool extras = attn_has_extras(a);
    if (p->plan.t) {
        attn_tiles_block(b, p, head, chunk, NULL, scores, query, NULL, NULL);
        return;
    }
    form_scores(b, p, head, scores, query);
    if (extras)
        attn_finish_scores(p, b, head, b->k0, b->k1, scores);
    if (b->need & ATTN_NEED_TOP)
        largest_scores(b, scores, nr, extras ? 1 : a->scale);

    int64_t lo_rel[GEMM_MAX_NR], hi_rel[GEMM_MAX_NR], qpos_rel[GEMM_MAX_NR];
    for (int i = 0; i < nr; i++) {
        bool empty = b->lo[i] >= b->hi[i];
        lo_rel[i] = empty ? 0 : b->lo[i] - b->k0;
        hi_rel[i] = empty ? 0 : b->hi[i] - b->k0;
        qpos_rel[i] = b->qpos[i] - b->k0;
    }
    float *from = scores + b->k0 * nr;
    softmax_block sm = {
        .s = from, .scale = extras ? 1 : a->scale, .n_key = b->k1 - b->k0, .key0 = b->k0, .n_total = a->n_key,
        .lo = lo_rel, .hi = hi_rel, .qpos = qpos_rel, .sink = a->sinks ? a->sinks + head : NULL, .sink_weight = b->sink,
        .lse = b->lse,
        .entropy = b->need & ATTN_NEED_ENTROPY ? b->entropy : NULL,
        .maximum = b->need & ATTN_NEED_MAX ? b->maximum : NULL,
        .distance = b->need & ATTN_NEED_DISTANCE ? b->distance : NULL,
    };
    p->k->softmax_columns(&sm);
    if (a->edit && a->edit->heads[head])
        attn_edit_weights(b, p, head, chunk, scores);
    if (b->columns)
        p->k->column_sums(b->columns + b->k0, from, NULL, b->k1 - b->k0);
}
