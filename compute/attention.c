/* Instrumented attention: row panels, lanes = queries.
 *
 * For a block of nr queries the panel S^T [n_key, nr] is K Q^T by the GEMM's inner kernel (keys packed as
 * rows, the queries as the columns), softmax and its statistics run down the columns, the tap sees the
 * panel, and the same inner kernel forms O^T = V^T P^T with the panel as its right operand. */
#include "compute/attention.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/cancel.h"
#include "base/mem.h"
#include "compute/kernels.h"

/* Up to this many queries behind a cache, or across many keys (decoding), read keys and values where they
 * are: packing them would cost more than it saves. */
enum { FEW_QUERIES = 4, MANY_KEYS = 256, CHUNK_STEP = GEMM_MAX_NR };

struct attn_scratch {
    pool *pool;
    float *keys, *values;   /* packed: [n_kv_head][panels][d_qk][mr], [n_kv_head][panels][n_key][mr] */
    size_t keys_len, values_len;
    float *panels;          /* a thread: see thread_buffers */
    size_t panel_len;
    float *rel_bias;        /* see turn_rel_bias */
    size_t rel_bias_len;
};

typedef struct job {
    attn_scratch *s;
    const attn_args *a;
    const attn_tap *tap;
    const kernels *k;
    unsigned need;
    int chunks, head0, head1;
    int64_t chunk_len;
    bool packed;
} job;

typedef struct thread_buffers {
    float *scores;  /* [n_key, nr] */
    float *query;   /* [d_qk, nr] */
    float *out;     /* [d_v rounded up to mr, nr] */
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

static int64_t chunk_length(int64_t n_query)
{
    int64_t len = (n_query + ATTN_MAX_CHUNK - 1) / ATTN_MAX_CHUNK;
    return (len + CHUNK_STEP - 1) / CHUNK_STEP * CHUNK_STEP;
}

int attn_chunks(int64_t n_query)
{
    if (n_query <= 0)
        return 1;
    int64_t len = chunk_length(n_query);
    return (int)((n_query + len - 1) / len);
}

int attn_heads_in_flight(int threads, int n_head, int64_t n_query)
{
    int chunks = attn_chunks(n_query);
    int heads = (4 * threads + chunks - 1) / chunks;
    return heads < 1 ? 1 : heads > n_head ? n_head : heads;
}

static int64_t round_up(int64_t n, int64_t step)
{
    return (n + step - 1) / step * step;
}

static int grow(float **buffer, size_t *have, int64_t rows, int64_t cols, int copies, err *e)
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

static int64_t panel_floats(const attn_args *a, const kernels *k)
{
    return (a->n_key + a->d_qk + round_up(a->d_v, k->mr)) * k->nr;
}

static thread_buffers buffers(const job *j, int thread)
{
    thread_buffers b;
    b.scores = j->s->panels + (size_t)thread * j->s->panel_len;
    b.query = b.scores + j->a->n_key * j->k->nr;
    b.out = b.query + (int64_t)j->a->d_qk * j->k->nr;
    return b;
}

/* Item: one panel of mr keys, and the same keys' values, of one key/value head. */
static void pack_keys_values(void *ud, int64_t item, int thread)
{
    const job *j = ud;
    const attn_args *a = j->a;
    int mr = j->k->mr;
    int64_t panels = (a->n_key + mr - 1) / mr, kv = item / panels, p = item % panels;
    int64_t key = p * mr, v_panels = (a->d_v + mr - 1) / mr;
    int n = (int)(a->n_key - key < mr ? a->n_key - key : mr);
    (void)thread;

    float *keys = j->s->keys + (kv * panels + p) * a->d_qk * mr;
    j->k->interleave(keys, mr, a->k + key * a->ldk + kv * a->d_qk, a->ldk, n, a->d_qk);
    if (a->prec == PRECISION_BF16)
        j->k->round_bf16(keys, (int64_t)a->d_qk * mr);

    for (int64_t vp = 0; vp < v_panels && a->v; vp++) {
        int64_t first = vp * mr, width = a->d_v - first < mr ? a->d_v - first : mr;
        float *dst = j->s->values + ((kv * v_panels + vp) * a->n_key + key) * mr;
        for (int i = 0; i < n; i++, dst += mr) {
            memcpy(dst, a->v + (key + i) * a->ldv + kv * a->d_v + first, (size_t)width * sizeof *dst);
            for (int64_t c = width; c < mr; c++)
                dst[c] = 0;
            if (a->prec == PRECISION_BF16)
                j->k->round_bf16(dst, width);
        }
    }
}

static int64_t rel_bias_row(const attn_args *a, const kernels *k)
{
    return a->n_query + a->n_key - 1 + k->nr;
}

/* Lanes are queries, and the bias falls with the query: turned round, one load has it for a whole block.
 * Element n_key - 1 - key + query of a head's row; zeros behind it for the columns that hold no query. */
static int turn_rel_bias(attn_scratch *s, const attn_args *a, const kernels *k, err *e)
{
    int64_t n = a->n_query + a->n_key - 1, row = rel_bias_row(a, k);
    int rc = grow(&s->rel_bias, &s->rel_bias_len, row, a->n_head, 1, e);
    if (rc)
        return rc;
    for (int head = 0; head < a->n_head; head++) {
        const float *from = a->rel_bias + head * n;
        float *to = s->rel_bias + head * row;
        for (int64_t i = 0; i < n; i++)
            to[i] = from[n - 1 - i];
        memset(to + n, 0, (size_t)k->nr * sizeof *to);
    }
    return 0;
}

/* What the nq <= nr queries from q0 on may see; columns behind nq see nothing. */
static void visibility(const job *j, int64_t q0, int nq, int64_t *lo, int64_t *hi, int64_t *qpos)
{
    const attn_args *a = j->a;
    for (int i = 0; i < j->k->nr; i++) {
        int64_t pos = a->pos0 + q0 + i;
        qpos[i] = pos;
        lo[i] = 0;
        hi[i] = a->n_key;
        if (i >= nq) {
            hi[i] = 0;
            continue;
        }
        if (a->causal && pos + 1 < hi[i])
            hi[i] = pos + 1;
        if (a->window > 0 && pos - a->window + 1 > 0)
            lo[i] = pos - a->window + 1;
        if (a->window > 0 && !a->causal && pos + a->window < hi[i])
            hi[i] = pos + a->window;
        if (lo[i] > hi[i])
            lo[i] = hi[i];
    }
}

/* Scores of keys k0 .. k1 - 1 into rows k0.. of the panel. */
static void form_scores(const job *j, const thread_buffers *b, int head, int64_t q0, int nq, int64_t k0, int64_t k1)
{
    const attn_args *a = j->a;
    int nr = j->k->nr, mr = j->k->mr;
    int64_t kv = head / (a->n_head / a->n_kv_head);
    const float *q = a->q + q0 * a->ldq + (int64_t)head * a->d_qk;

    if (!j->packed) {
        for (int64_t key = k0; key < k1; key++)
            for (int i = 0; i < nr; i++)
                b->scores[key * nr + i] = i < nq ? j->k->dot(q + i * a->ldq, a->k + key * a->ldk + kv * a->d_qk,
                                                             a->d_qk) : 0;
        return;
    }
    j->k->interleave(b->query, nr, q, a->ldq, nq, a->d_qk);
    if (a->prec == PRECISION_BF16)
        j->k->round_bf16(b->query, (int64_t)a->d_qk * nr);
    int64_t panels = (a->n_key + mr - 1) / mr;
    for (int64_t p = k0 / mr; p * mr < k1; p++) {
        int m = (int)(a->n_key - p * mr < mr ? a->n_key - p * mr : mr);
        j->k->gemm_micro(a->d_qk, j->s->keys + (kv * panels + p) * a->d_qk * mr, b->query,
                         b->scores + p * mr * nr, nr, m, nr);
    }
}

static bool has_extras(const attn_args *a)
{
    return a->softcap > 0 || a->key_bias || a->rel_bias;
}

/* Soft-cap and biases of the same rows of the panel; the scale is in them afterwards. */
static void finish_scores(const job *j, const thread_buffers *b, int head, int64_t q0, int nq, int64_t k0,
                          int64_t k1)
{
    const attn_args *a = j->a;
    score_block sb = {
        .s = b->scores + k0 * j->k->nr, .scale = a->scale, .n_key = k1 - k0, .n_query = nq, .softcap = a->softcap,
    };
    if (a->key_bias)
        sb.key_bias = a->key_bias + head * a->n_key + k0;
    if (a->rel_bias)
        sb.rel_bias = j->s->rel_bias + head * rel_bias_row(a, j->k) + a->n_key - 1 - k0 + q0;
    j->k->score_columns(&sb);
}

/* out[q] = sum over keys k0 .. k1 - 1 of p * v. */
static void form_output(const job *j, const thread_buffers *b, int head, int64_t q0, int nq, int64_t k0, int64_t k1)
{
    const attn_args *a = j->a;
    int nr = j->k->nr, mr = j->k->mr;
    int64_t kv = head / (a->n_head / a->n_kv_head);
    float *out = a->out + q0 * a->ldo + (int64_t)head * a->d_v;

    if (!j->packed) {
        for (int i = 0; i < nq; i++) {
            float *o = out + i * a->ldo;
            memset(o, 0, (size_t)a->d_v * sizeof *o);
            for (int64_t key = k0; key < k1; key++) {
                float p = b->scores[key * nr + i];
                const float *v = a->v + key * a->ldv + kv * a->d_v;
                for (int c = 0; c < a->d_v; c++)
                    o[c] += p * v[c];
            }
        }
        return;
    }
    if (a->prec == PRECISION_BF16)
        j->k->round_bf16(b->scores + k0 * nr, (k1 - k0) * nr);
    int64_t v_panels = (a->d_v + mr - 1) / mr;
    for (int64_t vp = 0; vp < v_panels; vp++)
        j->k->gemm_micro(k1 - k0, j->s->values + ((kv * v_panels + vp) * a->n_key + k0) * mr,
                         b->scores + k0 * nr, b->out + vp * mr * nr, nr, mr, nr);
    for (int i = 0; i < nq; i++)
        for (int c = 0; c < a->d_v; c++)
            out[i * a->ldo + c] = b->out[(int64_t)c * nr + i];
}

/* Statistics of weights that an edit has changed, query by query, keys in increasing order. */
static void restate(const attn_tile *t, const int64_t *qpos, const softmax_block *sm)
{
    for (int i = 0; i < (int)t->n_query; i++) {
        double entropy = 0, distance = 0;
        float most = 0;
        for (int64_t key = t->visible_lo[i]; key < t->visible_hi[i]; key++) {
            float p = attn_tile_at(t, t->q0 + i, key);
            int64_t d = qpos[i] - key;
            entropy -= p > 0 ? (double)p * log((double)p) : 0;
            distance += (double)p * (double)(d < 0 ? -d : d);
            most = p > most ? p : most;
        }
        if (sm->entropy)
            sm->entropy[i] = (float)entropy;
        if (sm->distance)
            sm->distance[i] = (float)distance;
        if (sm->maximum)
            sm->maximum[i] = most;
    }
}

static void block(const job *j, const thread_buffers *b, int head, int chunk, int64_t q0, int nq)
{
    const attn_args *a = j->a;
    int nr = j->k->nr;
    int64_t lo[GEMM_MAX_NR], hi[GEMM_MAX_NR], qpos[GEMM_MAX_NR];
    float lse[GEMM_MAX_NR], entropy[GEMM_MAX_NR], maximum[GEMM_MAX_NR], distance[GEMM_MAX_NR];
    float self[GEMM_MAX_NR], prev[GEMM_MAX_NR], sink[GEMM_MAX_NR];
    bool extras = has_extras(a);
    visibility(j, q0, nq, lo, hi, qpos);
    /* Keys that any of the queries sees; bounds move up with the query. */
    int64_t k0 = lo[0] / j->k->mr * j->k->mr, k1 = hi[nq - 1];

    form_scores(j, b, head, q0, nq, k0, k1);
    if (extras)
        finish_scores(j, b, head, q0, nq, k0, k1);
    int64_t lo_rel[GEMM_MAX_NR], hi_rel[GEMM_MAX_NR], qpos_rel[GEMM_MAX_NR];
    for (int i = 0; i < nr; i++) {
        bool empty = lo[i] >= hi[i];
        lo_rel[i] = empty ? 0 : lo[i] - k0;
        hi_rel[i] = empty ? 0 : hi[i] - k0;
        qpos_rel[i] = qpos[i] - k0;
    }
    softmax_block sm = {
        .s = b->scores + k0 * nr, .scale = extras ? 1 : a->scale, .n_key = k1 - k0, .key0 = k0, .n_total = a->n_key,
        .lo = lo_rel, .hi = hi_rel, .qpos = qpos_rel, .sink = a->sinks ? a->sinks + head : NULL, .sink_weight = sink,
        .lse = lse,
        .entropy = j->need & ATTN_NEED_ENTROPY ? entropy : NULL,
        .maximum = j->need & ATTN_NEED_MAX ? maximum : NULL,
        .distance = j->need & ATTN_NEED_DISTANCE ? distance : NULL,
    };
    j->k->softmax_columns(&sm);

    const attn_tile t = {
        .kind = a->kind, .layer = a->layer, .head = head, .chunk = chunk, .q0 = q0, .n_query = nq, .k0 = k0,
        .n_key = k1 - k0, .pos0 = a->pos0, .visible_lo = lo, .visible_hi = hi,
        .probs = b->scores + k0 * nr, .q_stride = 1, .k_stride = nr,
    };
    if (a->edit && a->edit->heads[head]) {
        a->edit->weights(a->edit->ud, &t, b->scores + k0 * nr);
        restate(&t, qpos, &sm);
    }
    if (j->tap && j->tap->rows) {
        for (int i = 0; i < nq; i++) {
            int64_t at = qpos[i];
            self[i] = at >= lo[i] && at < hi[i] ? b->scores[at * nr + i] : 0;
            prev[i] = at - 1 >= lo[i] && at - 1 < hi[i] ? b->scores[(at - 1) * nr + i] : 0;
        }
        attn_rows r = {
            .kind = a->kind, .layer = a->layer, .head = head, .chunk = chunk, .q0 = q0, .n_query = nq,
            .n_key = a->n_key, .pos0 = a->pos0, .visible_lo = lo, .visible_hi = hi, .lse = lse,
            .entropy = sm.entropy, .maximum = sm.maximum, .distance = sm.distance,
            .self = j->need & ATTN_NEED_SELF ? self : NULL, .prev = j->need & ATTN_NEED_PREV ? prev : NULL,
            .sink = a->sinks ? sink : NULL,
        };
        j->tap->rows(j->tap->ud, &r);
    }
    if (j->tap && j->tap->tile && (j->need & ATTN_NEED_PROBS))
        j->tap->tile(j->tap->ud, &t);
    if (a->out && a->v)
        form_output(j, b, head, q0, nq, k0, k1);
}

/* Item: one chunk of queries of one head. */
static void piece(void *ud, int64_t item, int thread)
{
    const job *j = ud;
    thread_buffers b = buffers(j, thread);
    int head = j->head0 + (int)(item / j->chunks), chunk = (int)(item % j->chunks);
    int64_t q = chunk * j->chunk_len, end = q + j->chunk_len;
    if (end > j->a->n_query)
        end = j->a->n_query;
    for (; q < end && !cancel_requested(); q += j->k->nr)
        block(j, &b, head, chunk, q, (int)(end - q < j->k->nr ? end - q : j->k->nr));
}

int attention(attn_scratch *s, const attn_args *a, const attn_tap *tap, err *e)
{
    job j = {
        .s = s, .a = a, .tap = tap, .k = kernels_get(), .need = tap ? tap->need : 0,
        .chunks = attn_chunks(a->n_query), .chunk_len = chunk_length(a->n_query),
        .packed = a->n_query > FEW_QUERIES || (a->pos0 == 0 && a->n_key < MANY_KEYS) ||
                  a->prec == PRECISION_BF16,
    };
    int mr = j.k->mr, rc;
    if (a->n_query <= 0)
        return 0;
    if ((rc = grow(&s->panels, &s->panel_len, panel_floats(a, j.k), 1, pool_threads(s->pool), e)))
        return rc;
    if (a->rel_bias && (rc = turn_rel_bias(s, a, j.k, e)))
        return rc;
    if (j.packed) {
        int64_t panels = (a->n_key + mr - 1) / mr;
        if ((rc = grow(&s->keys, &s->keys_len, panels * mr, (int64_t)a->n_kv_head * a->d_qk, 1, e)) ||
            (rc = grow(&s->values, &s->values_len, a->n_key, a->n_kv_head * round_up(a->d_v, mr), 1, e)))
            return rc;
        pool_run(s->pool, panels * a->n_kv_head, pack_keys_values, &j);
    }
    int group = attn_heads_in_flight(pool_threads(s->pool), a->n_head, a->n_query);
    for (int head = 0; head < a->n_head; head += group) {
        j.head0 = head;
        j.head1 = head + group < a->n_head ? head + group : a->n_head;
        pool_run(s->pool, (int64_t)(j.head1 - j.head0) * j.chunks, piece, &j);
        if ((rc = cancel_check(e)))
            return rc;
        if (tap && tap->heads_done && (rc = tap->heads_done(tap->ud, a->layer, j.head0, j.head1, e)))
            return rc;
    }
    return 0;
}
