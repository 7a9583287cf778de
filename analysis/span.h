/* A span of the prompt that the user names: by text, regular expression or token positions. */
#ifndef ATTNSCOPE_ANALYSIS_SPAN_H
#define ATTNSCOPE_ANALYSIS_SPAN_H

#include "analysis/key_set.h"

/* Rows of a parameter table; the metrics span_* share them. */
#define SPAN_NAME_PARAMS(prefix, what) \
    {prefix "-text", PARAM_STR, NULL, "TEXT", what " by its text: every token that holds a part of it", 0, \
     0, NULL, NULL}, \
    {prefix "-regex", PARAM_STR, NULL, "PATTERN", what " by a regular expression (Oniguruma syntax)", 0, 0, \
     NULL, NULL}, \
    {prefix "-tokens", PARAM_STR, NULL, "RANGES", \
     what " by position: 3-7, or 3-7,12; -1 is the last token", 0, 0, NULL, NULL}, \
    {prefix "-nth", PARAM_INT, "0", "N", "which occurrence of it: 1 the first, -1 the last, 0 all", -1e6, \
     1e6, NULL, NULL}
#define SPAN_ROWS_PARAM \
    {"span-rows", PARAM_ENUM, "mean", "WHICH", "mean over the queries, or each query at its position", 0, 0, \
     span_row_choices, NULL}
#define SPAN_PARAM_END {NULL, PARAM_BOOL, NULL, NULL, NULL, 0, 0, NULL, NULL}
extern const char *const span_row_choices[]; /* "mean", "each" */
extern const char *const span_asks[];        /* "span-text", "span-regex", "span-tokens" */

typedef struct span {
    key_set keys;
    bool *counts;     /* [n] queries that are behind the span; NULL after span_find */
    bool each;        /* span-rows */
} span;

/* The span that options prefix-text, -regex, -tokens and -nth name, among the keys, or with queries among the
 * queries.  *first_end: end of its first occurrence.  Nothing named: an empty set.  ERR_USAGE when the prompt
 * holds no such span; with two sequences (source and target, text and image) only when none of them does. */
int span_find(key_set *out, int64_t *first_end, const metric_ctx *c, const char *prefix, bool queries,
              err *e);

/* prepare() and release() of a metric whose c->shared is a span named by span-*.  Counted are the queries
 * outside it; under a causal mask those behind its first occurrence; in cross attention all. */
int span_prepare(metric_ctx *c, err *e);
void span_release(metric_ctx *c);
bool span_reads(const metric_ctx *c, const attn_tile *part);

#endif
