#include "analysis/spectral.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "base/rng.h"

double entropy_floor(double sigma, double t)
{
    if (t < 2)
        return 0;
    double b = exp(-sigma * sqrt(t / (t - 1)));
    if (b == 0)
        return 0;
    return log1p((t - 1) * b) + sigma * sqrt(t * (t - 1)) * b / (1 + (t - 1) * b);
}

static double dot(const double *a, const double *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

static void add(double *y, double a, const double *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] += a * x[i];
}

static void scale(double *x, double a, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        x[i] *= a;
}

/* Is x above all eigenvalues of the tridiagonal matrix [m]?  (Sturm: all pivots of T - x are negative.) */
static int above_all(const double *alpha, const double *beta, int64_t m, double x)
{
    double pivot = alpha[0] - x;
    for (int64_t i = 1; i < m && pivot < 0; i++)
        pivot = alpha[i] - x - beta[i - 1] * beta[i - 1] / pivot;
    return pivot < 0;
}

double spectral_top_tridiagonal(const double *alpha, const double *beta, int64_t m)
{
    double low = 0, high = 0;
    for (int64_t i = 0; i < m; i++) {
        if (isnan(alpha[i]) || (i + 1 < m && isnan(beta[i])))
            return NAN;
        double reach = alpha[i] + (i > 0 ? beta[i - 1] : 0) + (i + 1 < m ? beta[i] : 0);
        low = alpha[i] > low ? alpha[i] : low;
        high = reach > high ? reach : high;
    }
    for (int i = 0; i < 200 && low < high; i++) {
        double middle = low + (high - low) / 2;
        if (middle <= low || middle >= high)
            break;
        if (above_all(alpha, beta, m, middle))
            high = middle;
        else
            low = middle;
    }
    return high;
}

typedef struct lanczos {
    double *v, *kv;          /* [steps + 1, n]; equal without K */
    double *alpha, *beta;    /* [steps] */
} lanczos;

static void set_image(const lanczos *z, spectral_apply k, void *ud, int64_t n, int64_t j)
{
    if (k)
        k(ud, z->kv + j * n, z->v + j * n);
}

/* Square root of what should be no negative number; keeps NaN, which fmax would not. */
static double root(double square)
{
    return square <= 0 ? 0 : sqrt(square);
}

static double iterate(const lanczos *z, spectral_apply a, spectral_apply k, void *ud, int64_t n, int64_t steps)
{
    enum { EVERY = 4 };
    double top = 0, before = 0;
    rng r;
    rng_seed(&r, 1, 0);
    for (int64_t i = 0; i < n; i++)
        z->v[i] = rng_normal(&r);
    set_image(z, k, ud, n, 0);
    double length = root(dot(z->v, z->kv, n));
    if (isnan(length))
        return length;
    for (int64_t j = 0; j < steps && length > 0; j++) {
        double *v = z->v + j * n, *kv = z->kv + j * n, *w = v + n;
        scale(v, 1 / length, n);
        if (k)
            scale(kv, 1 / length, n);
        a(ud, w, kv);
        z->alpha[j] = dot(w, kv, n);
        for (int pass = 0; pass < 2; pass++)
            for (int64_t i = 0; i <= j; i++)
                add(w, -dot(w, z->kv + i * n, n), z->v + i * n, n);
        set_image(z, k, ud, n, j + 1);
        length = root(dot(w, z->kv + (j + 1) * n, n));
        z->beta[j] = length;
        if (isnan(length))
            return length;
        if ((j + 1) % EVERY && j + 1 < steps && length > 0)
            continue;
        top = spectral_top_tridiagonal(z->alpha, z->beta, j + 1);
        if (length <= 1e-14 * top || top - before <= 1e-13 * top)
            break;
        before = top;
    }
    return top;
}

int spectral_top(double *out, spectral_apply a, spectral_apply k, void *ud, int64_t n, int64_t steps, err *e)
{
    lanczos z = {0};
    size_t cells;
    int rc = ERR_RESOURCE;
    steps = steps < n ? steps : n;
    if (!size_mul(&cells, (size_t)steps + 1, (size_t)n))
        return err_nomem(e, "vectors of the spectral norm");
    z.v = mem_array(cells, sizeof *z.v, e);
    z.kv = k ? mem_array(cells, sizeof *z.kv, e) : z.v;
    z.alpha = mem_array((size_t)steps, sizeof *z.alpha, e);
    z.beta = mem_array((size_t)steps, sizeof *z.beta, e);
    if (z.v && z.kv && z.alpha && z.beta) {
        *out = iterate(&z, a, k, ud, n, steps);
        rc = 0;
    }
    if (k)
        free(z.kv);
    free(z.v);
    free(z.alpha);
    free(z.beta);
    return rc;
}

typedef struct matrices { const double *a, *k; int64_t n; } matrices;

static void times(double *y, const double *m, const double *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = dot(m + i * n, x, n);
}

static void times_a(void *ud, double *y, const double *x)
{
    const matrices *m = ud;
    times(y, m->a, x, m->n);
}

static void times_k(void *ud, double *y, const double *x)
{
    const matrices *m = ud;
    times(y, m->k, x, m->n);
}

int spectral_top_of(double *out, const double *a, const double *k, int64_t n, err *e)
{
    matrices m = {a, k, n};
    return spectral_top(out, times_a, k ? times_k : NULL, &m, n, n, e);
}
