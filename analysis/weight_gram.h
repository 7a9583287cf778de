/* Gram matrices of the heads' slices of projections: lengths behind an output projection, and spectral
 * norms of products of thin matrices, without forming anything of the width of the model. In double; lower
 * triangle and diagonal are filled, the upper triangle is its mirror. Allocated, free(). */
#ifndef ATTNSCOPE_ANALYSIS_WEIGHT_GRAM_H
#define ATTNSCOPE_ANALYSIS_WEIGHT_GRAM_H

#include "model/forward.h"

/* Slices of d inputs: out[h] [d, d] = W_h^T W_h, W_h [n_out, d] the inputs h d .. of w. || W_h x ||^2 =
 * x^T out[h] x. r may be NULL (one thread). */
int gram_of_inputs(double **out, runtime *r, const weight *w, int n_head, int d, err *e);
/* Slices of d outputs: out[h] [d, d] = W_h W_h^T, W_h [d, n_in] the outputs h d .. of w; with_bias: W_h
 * has the bias as one more column. */
int gram_of_outputs(double **out, runtime *r, const weight *w, int n_head, int d, bool with_bias, err *e);

/* norms [n_head, n] = || W_h x_i ||, x_i [d] the part h / (n_head / n_part) of row i of x [n, n_part d]
 * (row stride ld). */
int projected_norms(double *norms, runtime *r, const double *gram, const float *x, int64_t ld, int64_t n, int n_head,
                    int n_part, int d, err *e);

#endif
