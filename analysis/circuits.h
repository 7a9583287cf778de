/* The two low-rank circuits of a head (Elhage et al. 2021): W_QK = W_Q W_K^T, which decides where it looks, and
 * W_OV = W_V W_O, which decides what it writes; both [C, C] of rank d, never formed. */
#ifndef ATTNSCOPE_ANALYSIS_CIRCUITS_H
#define ATTNSCOPE_ANALYSIS_CIRCUITS_H

#include "analysis/head_weights.h"
#include "base/pool.h"

typedef enum circuit { CIRCUIT_QK, CIRCUIT_OV } circuit;

/* A circuit of the heads of a layer as left^T right: row i of head h of each factor, [d, C].  free() both x. */
typedef struct circuit_factors {
    const attn_plan *plan;
    int n_head, d;
    head_matrices left, right;  /* W_Q^T and W_K^T, or W_V^T and W_O */
} circuit_factors;

int circuit_load(circuit_factors *out, const model *m, attn_kind kind, int layer, circuit which, head_fold fold, err *e);
void circuit_free(circuit_factors *f);

/* Work on each head of a layer, shared out to the threads of p (NULL: this one).  each: non-zero with its own err stops
 * the caller with the error of the lowest head. */
int circuit_heads(const circuit_factors *f, pool *p, int (*each)(void *ud, const circuit_factors *f, int head, err *e),
                  void *ud, err *e);

/* Singular values [d] of the circuit of a head, largest first. */
int circuit_singular_values(double *s, const circuit_factors *f, int head, err *e);
/* A factor that keeps all norms: rows [d, C] of G with |X W|_F = |X G^T|_F for every X (side 0: W = left^T right;
 * side 1: W = right^T left, the circuit transposed), and |W Y|_F = |H Y|_F with H the one of the other side. */
int circuit_norm_factor(float *g, const circuit_factors *f, int head, int side, err *e);

#endif
