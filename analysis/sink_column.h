/* Metrics of one column of the logits: the queries against the key of a sink. */
#ifndef ATTNSCOPE_ANALYSIS_SINK_COLUMN_H
#define ATTNSCOPE_ANALYSIS_SINK_COLUMN_H

#include "analysis/activation.h"

typedef struct sink_column {
    int64_t key;
    bool there;     /* this attention has the key */
} sink_column;

/* c->shared: the key that the option names. */
int sink_column_prepare(metric_ctx *c, const char *option, err *e);
void sink_column_release(metric_ctx *c);
/* Mean of value(q_i, k_s) over the queries that see key s and for which it is true, at position s, for
 * each head. */
int sink_column_emit(metric_ctx *c, const attn_args *a, bool (*value)(double *out, const float *q, const float *k, int d),
                     const result_sink *out, err *e);

#endif
