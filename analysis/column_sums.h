/* Columns of an attention matrix: what each key receives from the queries that see it (ATTN_NEED_COLUMNS).  The one loop
 * over columns that all metrics of keys share. */
#ifndef ATTNSCOPE_ANALYSIS_COLUMN_SUMS_H
#define ATTNSCOPE_ANALYSIS_COLUMN_SUMS_H

#include "analysis/metric.h"

/* State of one (head, chunk): c->n_key sums, and the steps of the number of queries that see a key. */
typedef struct column_sums {
    int64_t n;            /* c->n_key, once rows were seen */
    int64_t n_query;      /* queries that see any key */
    double cells[];       /* [n] sums, then [n + 1] steps */
} column_sums;

/* Members of struct metric for a state that is a column_sums, or that begins with one. */
size_t column_sums_size(const metric_ctx *c);
void column_sums_rows(void *state, const metric_ctx *c, const attn_rows *r);
void column_sums_merge(void *into, const void *from, const metric_ctx *c);

/* For a loop over all keys in order. */
typedef struct column {
    int64_t key;          /* -1 before the first */
    double sum;           /* of A[i][key] over all queries i */
    int64_t seen;         /* queries that see it */
} column;
static inline column column_first(void)
{
    return (column){.key = -1};
}
/* The next key; false after the last.  Keys that no query sees come too, with seen 0. */
bool column_next(column *at, const column_sums *s);

/* The key with the largest mean weight alpha (sum / seen), the first of equal ones; false: no key is seen.  alpha is NaN
 * when the weights hold one. */
bool column_peak(int64_t *key, double *alpha, const column_sums *s);

/* The same with the sums of p ln p of every column, for entropies: the state begins with a column_sums, which takes rows. */
size_t column_logs_size(const metric_ctx *c);
void column_logs_tile(void *state, const metric_ctx *c, const attn_tile *t);
void column_logs_merge(void *into, const void *from, const metric_ctx *c);
/* Entropy of the column as a distribution over queries, divided by ln(at->seen): 0 .. 1; 0 for a column that one query
 * sees or that receives nothing. */
double column_entropy(const void *state, const metric_ctx *c, const column *at);
/* The largest of them, NaN when one is; false: no key is seen. */
bool column_entropy_most(double *most, const void *state, const metric_ctx *c);

#endif
