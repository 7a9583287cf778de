/* Largest eigenvalues of symmetric operators, and the entropy that logits of a given size cannot go below. */
#ifndef ATTNSCOPE_ANALYSIS_SPECTRAL_H
#define ATTNSCOPE_ANALYSIS_SPECTRAL_H

#include <stdint.h>
#include "base/err.h"

/* y [n] = M x [n], M symmetric and positive semidefinite. */
typedef void (*spectral_apply)(void *ud, double *y, const double *x);
/* Largest eigenvalue of A K (k NULL: of A) by the Lanczos method in the inner product of K, all vectors
 * kept orthogonal; up to n steps, or `steps` if that is less, until it stands to 1e-13. The start vector
 * is fixed. */
int spectral_top(double *out, spectral_apply a, spectral_apply k, void *ud, int64_t n, int64_t steps, err *e);
/* Largest eigenvalue of the tridiagonal matrix of the diagonal alpha [m] and beta [m - 1] beside it, positive
 * semidefinite; NaN when one of them is. */
double spectral_top_tridiagonal(const double *alpha, const double *beta, int64_t m);
/* spectral_top of matrices [n, n]. */
int spectral_top_of(double *out, const double *a, const double *k, int64_t n, err *e);

/* Zhai et al. 2023 (arXiv 2303.06296), theorem 3.1: the least entropy, in nats, of a softmax over t
 * numbers whose deviations from their mean have Euclidean norm sigma. With b = exp(-sigma sqrt(t / (t -
 * 1))): ln(1 + (t - 1) b) + sigma sqrt(t (t - 1)) b / (1 + (t - 1) b). 0 for t < 2 and for infinite sigma. */
double entropy_floor(double sigma, double t);

#endif
