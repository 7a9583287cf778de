#include "base/stats.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/rng.h"

static int ascending(const void *a, const void *b)
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
    qsort(x, (size_t)n, sizeof *x, ascending);
    return percentile_of_sorted(x, n, .5);
}

int stats_of(stats *out, const double *x, int64_t n, uint64_t seed, err *e)
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
    if (same)
        return 0;
    double *draws = mem_array(STATS_DRAWS, sizeof *draws, e);
    if (!draws)
        return ERR_RESOURCE;
    rng r;
    rng_seed(&r, seed, 0);
    for (int d = 0; d < STATS_DRAWS; d++) {
        double total = 0;
        for (int64_t i = 0; i < n; i++)
            total += x[rng_below(&r, n)];
        draws[d] = total / (double)n;
    }
    qsort(draws, STATS_DRAWS, sizeof *draws, ascending);
    out->low = percentile_of_sorted(draws, STATS_DRAWS, .025);
    out->high = percentile_of_sorted(draws, STATS_DRAWS, .975);
    free(draws);
    return 0;
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

typedef struct ranked { double x; int64_t at; } ranked;

static int by_value(const void *a, const void *b)
{
    return ascending(&((const ranked *)a)->x, &((const ranked *)b)->x);
}

/* Ranks from 1, the mean rank for ties. */
static void ranks(double *out, ranked *sorted, const double *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        sorted[i] = (ranked){x[i], i};
    qsort(sorted, (size_t)n, sizeof *sorted, by_value);
    for (int64_t i = 0, j; i < n; i = j) {
        for (j = i; j < n && sorted[j].x == sorted[i].x; j++)
            ;
        for (int64_t k = i; k < j; k++)
            out[sorted[k].at] = (double)(i + j + 1) / 2;
    }
}

int spearman(double *out, const double *x, const double *y, int64_t n, err *e)
{
    double *r = mem_array((size_t)n * 2, sizeof *r, e);
    ranked *sorted = mem_array((size_t)n, sizeof *sorted, e);
    int rc = r && sorted ? 0 : ERR_RESOURCE;
    if (!rc) {
        ranks(r, sorted, x, n);
        ranks(r + n, sorted, y, n);
        *out = pearson(r, r + n, n);
    }
    free(r);
    free(sorted);
    return rc;
}
