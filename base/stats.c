#include "base/stats.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/rng.h"

int real_ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double percentile_of_sorted(const double *sorted, int64_t n, double p)
{
    double at = p * (double)(n - 1), below = floor(at);
    int64_t i = (int64_t)below;
    return i + 1 < n ? sorted[i] + (at - below) * (sorted[i + 1] - sorted[i]) : sorted[n - 1];
}

double median_of(double *x, int64_t n)
{
    qsort(x, (size_t)n, sizeof *x, real_ascending);
    return percentile_of_sorted(x, n, .5);
}

void stats_plain(stats *out, const double *x, int64_t n)
{
    double sum = 0, squares = 0;
    bool same = true;
    for (int64_t i = 0; i < n; i++) {
        sum += x[i];
        same &= x[i] == x[0];
    }
    double mean = same ? x[0] : sum / (double)n;
    for (int64_t i = 0; i < n; i++)
        squares += (x[i] - mean) * (x[i] - mean);
    *out = (stats){.n = n, .mean = mean, .sd = n > 1 ? sqrt(squares / (double)(n - 1)) : 0, .low = mean, .high = mean};
}

struct stats_draws {
    int64_t n;
    uint16_t *count;  /* [n, STATS_DRAWS] how often a draw has a value */
};

int stats_draws_new(stats_draws **out, int64_t n, uint64_t seed, err *e)
{
    stats_draws *d = mem_array(1, sizeof *d, e);
    if (!d)
        return ERR_RESOURCE;
    d->n = n;
    d->count = mem_array((size_t)n, STATS_DRAWS * sizeof *d->count, e);
    if (!d->count) {
        free(d);
        return ERR_RESOURCE;
    }
    rng r;
    rng_seed(&r, seed, 0);
    for (int k = 0; k < STATS_DRAWS; k++)
        for (int64_t i = 0; i < n; i++) {
            uint16_t *count = &d->count[rng_below(&r, n) * STATS_DRAWS + k];
            *count = (uint16_t)(*count + (*count < UINT16_MAX));
        }
    *out = d;
    return 0;
}

void stats_draws_free(stats_draws *d)
{
    if (d)
        free(d->count);
    free(d);
}

int64_t stats_draws_n(const stats_draws *d)
{
    return d->n;
}

/* The k-th smallest of x [n] goes to x[k], smaller ones before it, larger ones behind (Hoare's selection). */
static void select_smallest(double *x, int64_t n, int64_t k)
{
    int64_t low = 0, high = n - 1;
    while (low < high) {
        double pivot = x[low + (high - low) / 2];
        int64_t i = low, j = high;
        while (i <= j) {
            while (x[i] < pivot)
                i++;
            while (x[j] > pivot)
                j--;
            if (i <= j) {
                double t = x[i];
                x[i++] = x[j];
                x[j--] = t;
            }
        }
        if (k <= j)
            high = j;
        else if (k >= i)
            low = i;
        else
            return;
    }
}

/* percentile_of_sorted without sorting all. */
static double percentile_of(double *x, int64_t n, double p)
{
    double at = p * (double)(n - 1), below = floor(at);
    int64_t i = (int64_t)below;
    select_smallest(x, n, i);
    if (i + 1 >= n)
        return x[i];
    double next = x[i + 1];
    for (int64_t k = i + 2; k < n; k++)
        next = x[k] < next ? x[k] : next;
    return x[i] + (at - below) * (next - x[i]);
}

int stats_of_draws(stats *out, const double *x, const stats_draws *d, err *e)
{
    stats_plain(out, x, d->n);
    if (out->sd == 0)
        return 0;
    double *mean = mem_array(STATS_DRAWS, sizeof *mean, e);
    if (!mean)
        return ERR_RESOURCE;
    for (int64_t i = 0; i < d->n; i++) {
        const uint16_t *count = d->count + i * STATS_DRAWS;
        for (int k = 0; k < STATS_DRAWS; k++)
            mean[k] += (double)count[k] * x[i];
    }
    for (int k = 0; k < STATS_DRAWS; k++)
        mean[k] /= (double)d->n;
    out->low = percentile_of(mean, STATS_DRAWS, .025);
    out->high = percentile_of(mean, STATS_DRAWS, .975);
    free(mean);
    return 0;
}

/* The same sums, a draw at a time, where the draws of all would not fit. */
static int of_many(stats *out, const double *x, int64_t n, uint64_t seed, err *e)
{
    double *mean = mem_array(STATS_DRAWS, sizeof *mean, e);
    uint16_t *count = mem_array((size_t)n, sizeof *count, e);
    rng r;
    stats_plain(out, x, n);
    rng_seed(&r, seed, 0);
    for (int k = 0; k < STATS_DRAWS && mean && count; k++) {
        for (int64_t i = 0; i < n; i++)
            count[i] = 0;
        for (int64_t i = 0; i < n; i++)
            count[rng_below(&r, n)]++;
        double sum = 0;
        for (int64_t i = 0; i < n; i++)
            sum += (double)count[i] * x[i];
        mean[k] = sum / (double)n;
    }
    if (mean && count) {
        out->low = percentile_of(mean, STATS_DRAWS, .025);
        out->high = percentile_of(mean, STATS_DRAWS, .975);
    }
    int rc = mean && count ? 0 : ERR_RESOURCE;
    free(mean);
    free(count);
    return rc;
}

int stats_of(stats *out, const double *x, int64_t n, uint64_t seed, err *e)
{
    enum { MANY = 2000 };
    stats_draws *d;
    stats_plain(out, x, n);
    if (out->sd == 0)
        return 0;
    if (n > MANY)
        return of_many(out, x, n, seed, e);
    int rc = stats_draws_new(&d, n, seed, e);
    if (rc)
        return rc;
    rc = stats_of_draws(out, x, d, e);
    stats_draws_free(d);
    return rc;
}

double pearson(const double *x, const double *y, int64_t n)
{
    double mx = 0, my = 0, xy = 0, xx = 0, yy = 0;
    for (int64_t i = 0; i < n; i++) {
        mx += x[i] / (double)n;
        my += y[i] / (double)n;
    }
    for (int64_t i = 0; i < n; i++) {
        xy += (x[i] - mx) * (y[i] - my);
        xx += (x[i] - mx) * (x[i] - mx);
        yy += (y[i] - my) * (y[i] - my);
    }
    return xx > 0 && yy > 0 ? xy / sqrt(xx * yy) : 0;
}
