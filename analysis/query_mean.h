/* The state of metrics that are a mean over queries: most row statistics, and weights on chosen keys. */
#ifndef ATTNSCOPE_ANALYSIS_QUERY_MEAN_H
#define ATTNSCOPE_ANALYSIS_QUERY_MEAN_H

#include "analysis/metric.h"

typedef struct query_mean {
    double sum;
    int64_t n;    /* queries that count */
} query_mean;

/* Members of struct metric for a state that is a query_mean.  finish emits sum / n at position NO_INDEX,
 * nothing when no query counted. */
size_t query_mean_size(const metric_ctx *c);
void query_mean_merge(void *into, const void *from, const metric_ctx *c);
int query_mean_finish(const void *state, const metric_ctx *c, int layer, int head, const result_sink *out,
                      err *e);

/* The same for what lies in low .. high by definition: a mean that rounding has put outside by up to 1e-6 of
 * the bound's size (of 1 when that is less) becomes the bound.  NaN and what lies further outside stay. */
int query_mean_finish_within(const void *state, const metric_ctx *c, int layer, int head, double low,
                             double high, const result_sink *out, err *e);

/* Add a row statistic [r->n_query] for the queries that see any key. */
void query_mean_add(query_mean *s, const attn_rows *r, const float *values);
/* Add it for the queries that see the key `back` positions before their own. */
void query_mean_add_seeing(query_mean *s, const attn_rows *r, const float *values, int64_t back);

#endif
