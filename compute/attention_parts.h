/* What attention() and attention_panels() share: packed keys, scores and softmax of a block of queries. */
#ifndef ATTNSCOPE_COMPUTE_ATTENTION_PARTS_H
#define ATTNSCOPE_COMPUTE_ATTENTION_PARTS_H

#include "compute/attention.h"
#include "compute/tile_plan.h"

struct attn_scratch {
    pool *pool;
    float *keys, *values;   /* packed: [n_kv_head][panels][d_qk][mr], [n_kv_head][panels][n_key][mr] */
    size_t keys_len, values_len;
    float *panels;          /* of the threads */
    size_t panel_len;
    float *rel_bias;        /* see attn_turn_rel_bias */
    size_t rel_bias_len;
};

/* One attention with its operands as the inner kernels read them; the buffers belong to the scratch memory. */
typedef struct attn_parts {
    const attn_args *a;
    const kernels *k;
    bool packed;            /* false: few queries read keys and values where they are */
    tile_plan plan;         /* .t: keys and values are packed as left operands of tiles */
    float *keys, *values;   /* NULL when not packed; values NULL where they are not wanted */
    float *rel_bias;        /* NULL when the attention has none */
} attn_parts;

/* A block of at most nr queries.  Statistics are there when they were needed. */
typedef struct attn_block {
    int64_t q0, k0, k1;     /* keys k0 .. k1 - 1: those that any of the queries sees, k0 a multiple of mr or TILE_BLOCK */
    int n_query;
    unsigned need;          /* ATTN_NEED_* */
    int64_t q_stride, k_stride; /* of its scores; columns of a panel, unless few queries have them otherwise */
    int64_t lo[GEMM_MAX_NR], hi[GEMM_MAX_NR], qpos[GEMM_MAX_NR];
    float lse[GEMM_MAX_NR], entropy[GEMM_MAX_NR], maximum[GEMM_MAX_NR], distance[GEMM_MAX_NR], sink[GEMM_MAX_NR];
    float top[GEMM_MAX_NR];
    double *columns;        /* [keys of the attention] sums of the weights on keys k0 .. k1 - 1; NULL: not wanted */
} attn_block;

/* Queries of a chunk (but the last): a multiple of GEMM_MAX_NR. */
int64_t attn_chunk_length(int64_t n_query);

/* Make *buffer hold copies * rows * cols floats at least; *have counts rows * cols.  What was in it is lost. */
int attn_grow(float **buffer, size_t *have, int64_t rows, int64_t cols, int copies, err *e);

/* p->a, p->k, p->packed and p->plan. */
void attn_parts_begin(attn_parts *p, const attn_args *a);
/* Floats of the buffers that p needs; 0 where it needs none (values: for an output only). */
int64_t attn_parts_keys(const attn_parts *p);
int64_t attn_parts_values(const attn_parts *p);
int64_t attn_parts_bias(const attn_parts *p);
/* Fill the buffers that are set. */
void attn_parts_pack(const attn_parts *p, pool *threads);

/* What the queries q0 .. q0 + nq - 1 may see: the block's geometry. */
void attn_block_begin(attn_block *b, const attn_parts *p, int64_t q0, int nq);
/* Their weights in one head, into rows k0 .. k1 - 1 of scores [n_key, nr] (rows up to the next multiple of mr are
 * written too), an edit applied; cells that are masked and columns without a query become 0.
 * query: [attn_query_floats(d_qk)]. */
void attn_block_weights(attn_block *b, const attn_parts *p, int head, int chunk, float *scores, float *query);

/* Floats of the room for the queries of a block, as columns of a panel or packed for tiles. */
static inline int64_t attn_query_floats(int64_t d_qk)
{
    const int64_t packed = tile_block_size(d_qk, TILE_TERMS) / 2, panel = d_qk * GEMM_MAX_NR;
    return packed > panel ? packed : panel;
}

/* Keys from .. to - 1 of a block, without probs. */
attn_tile attn_block_tile(const attn_block *b, const attn_parts *p, int head, int chunk, int64_t from, int64_t to);

/* There is more to scores than a scale. */
bool attn_has_extras(const attn_args *a);
/* Scale, soft-cap and biases of scores of keys from .. to - 1; the softmax has no scale then. */
void attn_finish_scores(const attn_parts *p, const attn_block *b, int head, int64_t from, int64_t to, float *scores);
/* The edit of a head that is edited, on its weights; statistics of b that are needed become those of the new ones. */
void attn_edit_weights(attn_block *b, const attn_parts *p, int head, int chunk, float *scores);

#endif
