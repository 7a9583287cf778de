/* Instrumented attention of one layer.
 *
 * Work is cut into fixed pieces: a head and a chunk of queries.  The cut depends on the numbers of heads,
 * queries and keys only, never on threads.  Within a piece the kernel goes through blocks of queries in
 * increasing order; for each block it hands the tap the statistics of its rows and, if asked, the
 * probabilities as tiles, keys in increasing order.  Then they are forgotten: no n x n matrix exists.
 *
 * Pieces run on different threads at the same time, so a tap keeps one state per (head, chunk) and merges
 * them in chunk order afterwards. */
#ifndef ATTNSCOPE_COMPUTE_ATTENTION_H
#define ATTNSCOPE_COMPUTE_ATTENTION_H

#include <stdbool.h>
#include <stdint.h>
#include "base/pool.h"
#include "base/result.h"
#include "compute/gemm.h"

/* What a tap wants.  Row statistics and sums of columns come from the kernel itself; tiles cost a little more, unless the
 * tap says which of their cells it reads (attn_tap.reads). */
enum attn_need {
    ATTN_NEED_LSE = 1 << 0,
    ATTN_NEED_ENTROPY = 1 << 1,
    ATTN_NEED_MAX = 1 << 2,
    ATTN_NEED_SELF = 1 << 3,      /* weight on the query's own position */
    ATTN_NEED_PREV = 1 << 4,      /* weight on the position before */
    ATTN_NEED_DISTANCE = 1 << 5,  /* sum of weight * |query position - key position| */
    ATTN_NEED_TOP = 1 << 6,       /* the largest score, for who merges attentions over parts of the keys */
    ATTN_NEED_COLUMNS = 1 << 7,   /* what each key receives */
    ATTN_NEED_PROBS = 1 << 8,     /* tiles of probabilities */
};

/* Statistics of query rows q0 .. q0 + n_query - 1 of one head.  Arrays that nobody asked for may be NULL.
 * All are over the keys, with the weights as they are: a learned sink is no key, so a row's weights sum to
 * 1 - sink and nothing is renormalised.  entropy is -sum w ln w of those weights, maximum the largest of
 * them, lse that of the keys without the sink (so sink = 1 / (1 + exp(lse - sink score))).  A query that
 * sees no key has statistics 0, lse -inf and, where there is a sink, sink 1.
 * self, prev and distance compare positions of queries and keys; in cross attention these count tokens of
 * different texts, and it is for the tap not to ask. */
typedef struct attn_rows {
    attn_kind kind;
    int layer, head, chunk;
    int64_t q0, n_query;
    int64_t n_key;           /* keys of the whole attention */
    int64_t pos0;            /* position of query 0 among the keys */
    const int64_t *visible_lo, *visible_hi; /* [n_query] query q0 + i sees keys lo <= key < hi */
    const float *lse;        /* [n_query] log of the sum of exponentials of the scores (scaled, capped, biased) */
    const float *entropy;    /* [n_query] nats */
    const float *maximum;    /* [n_query] */
    const float *self, *prev, *distance; /* [n_query] */
    const float *sink;       /* [n_query] weight of the learned sink; NULL when there is none */
    const float *top;        /* [n_query] largest score that is seen; -inf without one */
    int64_t k0, n_column;    /* keys k0 .. k0 + n_column - 1: all that any of the queries sees */
    const double *columns;   /* [n_column] sums of the weights of these queries */
} attn_rows;

/* Probabilities of queries q0 .. q0 + n_query - 1 for keys k0 .. k0 + n_key - 1: all keys that any of them sees.
 * Masked cells are 0; visible_lo/hi tell them from true zeros. */
typedef struct attn_tile {
    attn_kind kind;
    int layer, head, chunk;
    int64_t q0, n_query, k0, n_key;
    int64_t pos0;                     /* position of query 0 among the keys */
    const int64_t *visible_lo, *visible_hi; /* [n_query] absolute key indices */
    const float *probs;               /* cell (q, k) at probs[(q - q0) * q_stride + (k - k0) * k_stride] */
    int64_t q_stride, k_stride;
} attn_tile;

static inline float attn_tile_at(const attn_tile *t, int64_t q, int64_t k)
{
    return t->probs[(q - t->q0) * t->q_stride + (k - t->k0) * t->k_stride];
}

/* Called from worker threads; (head, chunk) is never active on two threads at once. */
typedef struct attn_tap {
    unsigned need;
    void (*rows)(void *ud, const attn_rows *r);  /* before the tiles of the same queries */
    void (*tile)(void *ud, const attn_tile *t);
    /* All chunks of heads [head0, head1) are done; called on the caller's thread, in head order.
     * Non-zero stops the run. */
    int (*heads_done)(void *ud, int layer, int head0, int head1, err *e);
    void *ud;
    /* Does tile() read any cell of part, a block of queries and a stretch of their keys, without probs yet?  It asks nothing
     * but part, on worker threads.  Weights that it does not read need not be formed: there the tile may hold anything.
     * NULL: it reads all. */
    bool (*reads)(void *ud, const attn_tile *part);
} attn_tap;

/* An intervention on attention weights.  weights() sees each block of queries of the heads that it wants once, all
 * visible keys in one tile, after the softmax and before the tap and the values; it writes new weights to probs, which
 * are the cells of t->probs.  Masked cells stay 0.  Row statistics but the lse (of the scores as they were) are then
 * taken from the new weights, as they are: renormalising is up to the edit; a learned sink has what they leave of 1.  Called from
 * worker threads, each (head, chunk) by one at a time. */
typedef struct attn_edit {
    const bool *heads;          /* [n_head] that are changed */
    void (*weights)(void *ud, const attn_tile *t, float *probs);
    void *ud;
} attn_edit;

typedef struct attn_args {
    attn_kind kind;             /* handed on to the tap */
    int layer;
    int n_head, n_kv_head;      /* query head h reads key/value head h / (n_head / n_kv_head) */
    int d_qk, d_v;              /* head widths */
    int64_t n_query, n_key;
    int64_t pos0;               /* position of query 0 among the keys (0 in a prefill and in cross attention) */
    float scale;                /* multiplies q . k */
    bool causal;                /* key <= query position */
    int64_t window;             /* > 0: keys with |position difference| < window only; on both sides when
                                 * not causal */
    /* score = cap(scale * q . k) + key_bias + rel_bias, then the mask, then softmax over the keys and the sink. */
    float softcap;              /* > 0: cap(s) = softcap * tanh(s / softcap) */
    const float *key_bias;      /* [n_head, n_key] (ALiBi: slope times key position) or NULL */
    const float *rel_bias;      /* [n_head, n_query + n_key - 1] or NULL: of key position - query position, the element
                                 * key - (pos0 + query) + (pos0 + n_query - 1) (T5's buckets, spread out) */
    const float *sinks;         /* [n_head] learned sink scores or NULL: each row has one more, invisible key of this
                                 * score (not scaled, not masked) whose value is zero; the row sums to 1 - its weight */
    const float *q;             /* [n_query, n_head * d_qk] row stride ldq */
    const float *k;             /* [n_key, n_kv_head * d_qk] row stride ldk */
    const float *v;             /* [n_key, n_kv_head * d_v] row stride ldv; may be NULL where out is */
    float *out;                 /* [n_query, n_head * d_v] row stride ldo; NULL: only the tap is wanted.  May be q itself
                                 * where widths and strides are the same (attention(), not attention_ring()): a head's output
                                 * for a query is written after the last time that query is read in that head */
    int64_t ldq, ldk, ldv, ldo;
    precision prec;             /* PRECISION_BF16 rounds no operand where few queries are decoded: that would cost time there */
    const attn_edit *edit;      /* NULL: none */
    bool stretch;               /* a stretch of a longer prompt: few queries get the bits too that many would */
} attn_args;

/* Chunks that the queries of one head are cut into (1 .. ATTN_MAX_CHUNK). */
#define ATTN_MAX_CHUNK 16
int attn_chunks(int64_t n_query);

/* Heads whose pieces are worked on together: heads_done is called for groups of this many (the last may be
 * smaller).  Results do not depend on it; a tap may size its states by it: slot = head % attn_heads_in_flight. */
int attn_heads_in_flight(int threads, int n_head, int64_t n_query);

typedef struct attn_scratch attn_scratch;
int attn_scratch_new(attn_scratch **out, pool *p, err *e);
void attn_scratch_free(attn_scratch *s);

/* Run it.  Memory: packed keys and values plus, a thread, one panel [n_key, block of queries].
 * Weights and outputs have the same bits for every number of threads; and for every instruction set, except
 * where few queries are decoded behind a cache or across many keys (their scores are plain dots), and where products go
 * through tiles (tile_plan.h: precision bf16, and f32 with AMX), which have their own.
 * tap may be NULL.  Stops with ERR_CANCELLED or with what heads_done returned. */
int attention(attn_scratch *s, const attn_args *a, const attn_tap *tap, err *e);

/* Columns of a row of a panel, on every machine. */
enum { ATTN_PANEL_COLUMNS = 32 };

/* Weights of the same queries in many heads at once, for what compares heads: heads of one attention, or of several
 * layers over the same queries and keys. */
typedef struct attn_panels {
    int chunk;
    int64_t q0;
    int n_query;                /* queries of the block */
    int64_t n_key;              /* rows of a panel: keys 0 .. n_key - 1; no query of the block sees more in any head */
    int n_head;                 /* heads of all attentions, in order */
    const float *probs;         /* head h, key k, query q0 + i at probs[h * h_stride + k * k_stride + i], rows aligned to
                                 * 64 bytes; cells that are masked and columns i >= n_query are 0 */
    int64_t h_stride, k_stride; /* k_stride: ATTN_PANEL_COLUMNS */
    const int64_t *const *visible_lo, *const *visible_hi; /* [n_attention][n_query] */
    const int *attention_of;    /* [n_head] index into the above */
} attn_panels;

/* Form the weights of n attentions over the same queries and keys (their outputs are not formed; args.out may be NULL)
 * block by block of queries.  block is called from worker threads, (chunk) on one at a time, blocks of a chunk in
 * order; chunks are those of attn_chunks.  Memory: a thread, one panel for each head, [n_key, columns]. */
int attention_panels(attn_scratch *s, const attn_args *of, int n, void (*block)(void *ud, const attn_panels *p), void *ud,
                     err *e);

#endif
