/* Dense linear algebra in double by LAPACK, on one thread and with the same bits on every call of one library (where
 * the BLAS is one that starts threads of its own, they are switched off).
 *
 * Matrices are row-major.  A value that is not finite, and a failure of the algorithm to converge, are ERR_FAILED. */
#ifndef ATTNSCOPE_ANALYSIS_LINALG_H
#define ATTNSCOPE_ANALYSIS_LINALG_H

#include <stdint.h>
#include "base/err.h"

/* Singular values of a [rows, cols], largest first: s [min(rows, cols)].  a is destroyed. */
int linalg_singular_values(double *s, double *a, int64_t rows, int64_t cols, err *e);
/* Eigenvalues re + i im of a general matrix a [n, n], in no order.  a is destroyed. */
int linalg_eigenvalues(double *re, double *im, double *a, int64_t n, err *e);
/* R of the QR decomposition of the transpose of a [n, m], that is of n columns of length m: r [n, n] upper triangular,
 * its rows from m on 0, so that a a^T = r^T r and |a^T x| = |r x| for every x.  a is destroyed. */
int linalg_qr(double *r, double *a, int64_t n, int64_t m, err *e);
/* c [n, m] = a [n, k] b^T, b [m, k]. */
void linalg_times_transposed(double *c, const double *a, const double *b, int64_t n, int64_t m, int64_t k);
/* c [n, m] = a [n, k] b [k, m]. */
void linalg_times(double *c, const double *a, const double *b, int64_t n, int64_t m, int64_t k);
/* Frobenius norm of n values. */
double linalg_norm(const double *a, int64_t n);

#endif
