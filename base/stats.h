/* What a table says of several measurements: n, mean, standard deviation and a bootstrap interval. */
#ifndef ATTNSCOPE_BASE_STATS_H
#define ATTNSCOPE_BASE_STATS_H

#include <stdint.h>
#include "base/err.h"

enum { STATS_DRAWS = 10000 };

typedef struct stats {
    int64_t n;
    double mean;
    double sd;            /* with n - 1; 0 for n = 1 */
    double low, high;     /* 95 % percentile bootstrap interval of the mean (Efron); equal to the mean for n = 1 */
} stats;

/* n >= 1 finite values.  Sums are taken in double in the order given.  The interval: STATS_DRAWS means of n values drawn
 * with replacement by rng_seed(seed, 0), each sum taken in the order of the values; the 2.5th and 97.5th percentiles,
 * linearly interpolated as numpy does it.
 * ERR_RESOURCE only. */
int stats_of(stats *out, const double *x, int64_t n, uint64_t seed, err *e);

/* The draws of samples of n values, for many statistics of the same n: the same numbers as stats_of gives, sooner.
 * Memory: 20 KB a value. */
typedef struct stats_draws stats_draws;
int stats_draws_new(stats_draws **out, int64_t n, uint64_t seed, err *e);
void stats_draws_free(stats_draws *d);
int64_t stats_draws_n(const stats_draws *d);
int stats_of_draws(stats *out, const double *x, const stats_draws *d, err *e);
/* Without an interval: low and high are the mean. */
void stats_plain(stats *out, const double *x, int64_t n);

/* For qsort of doubles, smallest first. */
int real_ascending(const void *a, const void *b);
/* Linear interpolation between order statistics, p in 0 .. 1 (numpy's default); sorted ascending, n >= 1. */
double percentile_of_sorted(const double *sorted, int64_t n, double p);
/* Median and sum of values in any order; x is sorted by median_of. */
double median_of(double *x, int64_t n);
/* Pearson's correlation; 0 when either does not vary. */
double pearson(const double *x, const double *y, int64_t n);

#endif
