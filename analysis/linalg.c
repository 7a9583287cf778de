#include "analysis/linalg.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <lapacke.h>
#include "base/mem.h"

/* OpenBLAS in the place of the reference BLAS: its sums depend on its threads. */
extern void openblas_set_num_threads(int n) __attribute__((weak));

static int begin(const double *a, int64_t n, int64_t m, err *e)
{
    if (n > INT32_MAX || m > INT32_MAX)
        return err_set(e, ERR_FAILED, "a matrix of %lld x %lld is too large", (long long)n, (long long)m);
    for (int64_t i = 0; i < n * m; i++)
        if (!isfinite(a[i])) {
            err_set(e, ERR_FAILED, "a matrix of weights is not finite");
            return err_hint(e, "the weights hold NaN or infinity; see `tensors`");
        }
    if (openblas_set_num_threads)
        openblas_set_num_threads(1);
    return 0;
}

static int outcome(lapack_int info, const char *what, err *e)
{
    if (info == 0)
        return 0;
    if (info == LAPACK_WORK_MEMORY_ERROR || info == LAPACK_TRANSPOSE_MEMORY_ERROR)
        return err_nomem(e, what);
    return err_set(e, ERR_FAILED, "%s did not converge (LAPACK says %lld)", what, (long long)info);
}

/* A row-major matrix is the transpose of a column-major one, and the transpose has the same singular values and the
 * same eigenvalues: nothing need be turned. */
int linalg_singular_values(double *s, double *a, int64_t rows, int64_t cols, err *e)
{
    double none;
    int rc = begin(a, rows, cols, e);
    if (rc || rows == 0 || cols == 0)
        return rc;
    double *rest = mem_array((size_t)(rows < cols ? rows : cols), sizeof *rest, e);
    if (!rest)
        return ERR_RESOURCE;
    lapack_int info = LAPACKE_dgesvd(LAPACK_COL_MAJOR, 'N', 'N', (lapack_int)cols, (lapack_int)rows, a, (lapack_int)cols, s,
                                     &none, 1, &none, 1, rest);
    free(rest);
    return outcome(info, "the singular value decomposition", e);
}

int linalg_eigenvalues(double *re, double *im, double *a, int64_t n, err *e)
{
    double none;
    int rc = begin(a, n, n, e);
    if (rc || n == 0)
        return rc;
    lapack_int info = LAPACKE_dgeev(LAPACK_COL_MAJOR, 'N', 'N', (lapack_int)n, a, (lapack_int)n, re, im, &none, 1, &none, 1);
    return outcome(info, "the eigenvalue decomposition", e);
}

int linalg_qr(double *r, double *a, int64_t n, int64_t m, err *e)
{
    int rc = begin(a, n, m, e);
    if (rc)
        return rc;
    memset(r, 0, (size_t)(n * n) * sizeof *r);
    if (n == 0 || m == 0)
        return 0;
    double *tau = mem_array((size_t)(n < m ? n : m), sizeof *tau, e);
    if (!tau)
        return ERR_RESOURCE;
    rc = outcome(LAPACKE_dgeqrf(LAPACK_COL_MAJOR, (lapack_int)m, (lapack_int)n, a, (lapack_int)m, tau),
                 "the QR decomposition", e);
    for (int64_t col = 0; col < n && !rc; col++)
        for (int64_t row = 0; row <= col && row < m; row++)
            r[row * n + col] = a[col * m + row];
    free(tau);
    return rc;
}

void linalg_times_transposed(double *c, const double *a, const double *b, int64_t n, int64_t m, int64_t k)
{
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < m; j++) {
            const double *x = a + i * k, *y = b + j * k;
            double sum[4] = {0};
            int64_t l = 0;
            for (; l + 4 <= k; l += 4)
                for (int s = 0; s < 4; s++)
                    sum[s] += x[l + s] * y[l + s];
            for (; l < k; l++)
                sum[0] += x[l] * y[l];
            c[i * m + j] = (sum[0] + sum[1]) + (sum[2] + sum[3]);
        }
}

void linalg_times(double *c, const double *a, const double *b, int64_t n, int64_t m, int64_t k)
{
    memset(c, 0, (size_t)(n * m) * sizeof *c);
    for (int64_t i = 0; i < n; i++)
        for (int64_t l = 0; l < k; l++) {
            double x = a[i * k + l];
            for (int64_t j = 0; j < m; j++)
                c[i * m + j] += x * b[l * m + j];
        }
}

double linalg_norm(const double *a, int64_t n)
{
    double largest = 0, sum = 0;
    for (int64_t i = 0; i < n; i++)
        largest = fabs(a[i]) > largest ? fabs(a[i]) : largest;
    if (largest == 0 || !isfinite(largest))
        return largest;
    for (int64_t i = 0; i < n; i++)
        sum += (a[i] / largest) * (a[i] / largest);
    return largest * sqrt(sum);
}
