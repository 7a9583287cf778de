/* The weights of the heads of a layer as matrices, whatever the checkpoint stores: transposed, fused, interleaved,
 * quantised, or low-rank (latent attention).
 *
 * Convention: vectors are rows, q = x W_Q, head output z = sum a (x W_V), added to the stream: z W_O.  W_Q, W_K, W_V
 * [C, d] and W_O [d, C] of a head; biases are no part of them, nor is RoPE. */
#ifndef ATTNSCOPE_ANALYSIS_HEAD_WEIGHTS_H
#define ATTNSCOPE_ANALYSIS_HEAD_WEIGHTS_H

#include "model/model.h"

typedef enum head_part { HEAD_Q, HEAD_K, HEAD_V, HEAD_O } head_part;

/* What is put into the matrices, as TransformerLens does when it loads a model (fold_ln, center_writing_weights). */
typedef struct head_fold {
    /* Gains: of the norm that is read (W <- diag(g) W), of a norm of queries and keys, of a norm and a scale behind
     * the output projection.  The division by a norm's own root mean square is no linear map and stays out. */
    bool gains;
    /* Where the layer reads through a LayerNorm: columns of W_Q, W_K, W_V and rows of W_O have mean 0 over C. */
    bool center;
} head_fold;

/* Row j of head h at x + (h * d + j) * width: a column of W_Q, W_K, W_V, a row of W_O.  K and V: n_head are the
 * key/value heads.  free(x). */
typedef struct head_matrices { int n_head, d; int64_t width; float *x; } head_matrices;

/* ERR_USAGE where the layer has no attention of this kind; ERR_RESOURCE. */
int head_weights_load(head_matrices *out, const model *m, attn_kind kind, int layer, head_part part, head_fold fold, err *e);
/* The rows of query head `head` (grouped-query attention: of the key/value head that it reads). */
static inline const float *head_rows(const head_matrices *w, const attn_plan *p, int head)
{
    return w->x + (int64_t)(w->n_head == p->n_head ? head : head / (p->n_head / w->n_head)) * w->d * w->width;
}

/* A weight of the map [n_out, n_in] as [n_out, n_in] float32, without its bias; free() it. */
int weight_copy(float **out, const weight *w, err *e);

#endif
