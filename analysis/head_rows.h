/* Some rows of one head: arguments for runtime_attention_panels, from those of the whole attention. */
#ifndef ATTNSCOPE_ANALYSIS_HEAD_ROWS_H
#define ATTNSCOPE_ANALYSIS_HEAD_ROWS_H

#include "analysis/metric.h"

/* Queries first .. first + n - 1; no output, no edit.  Views into what a has. */
attn_args attn_rows_of_head(const attn_args *a, int head, int64_t first, int64_t n);
/* ERR_USAGE where weights are edited: an edit knows queries by their place in the whole. */
int attn_rows_unedited(const attn_args *a, const char *who, err *e);

#endif
