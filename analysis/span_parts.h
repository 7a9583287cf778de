/* Within span: finding occurrences in one sequence of tokens. */
#ifndef ATTNSCOPE_ANALYSIS_SPAN_PARTS_H
#define ATTNSCOPE_ANALYSIS_SPAN_PARTS_H

#include "analysis/span.h"

typedef struct token_range { int64_t begin, end; } token_range;
typedef struct range_list { token_range *r; int64_t n, cap; } range_list;
void range_list_free(range_list *l);
int range_list_add(range_list *l, int64_t begin, int64_t end, err *e);

/* The texts of tokens put together: token i is bytes at[i] .. at[i + 1] - 1. */
typedef struct sequence_text { char *s; size_t len; int64_t n; size_t *at; } sequence_text;
int sequence_text_new(sequence_text *x, const metric_ctx *c, const int32_t *ids, int64_t n, err *e);
void sequence_text_free(sequence_text *x);

/* What the user named: one of the first three. */
typedef struct span_names {
    const char *text, *pattern, *ranges;
    char option[32];   /* the option that named it: "span-text" */
    int64_t nth;
} span_names;

/* All its occurrences in ids [n] (NULL: patches or frames), in order as they are found or named; none: no
 * error. */
int span_ranges(range_list *l, const metric_ctx *c, const span_names *s, const int32_t *ids, int64_t n,
                err *e);

#endif
