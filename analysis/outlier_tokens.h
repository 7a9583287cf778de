/* Activation outliers (An et al. 2025, arXiv 2502.06415): tokens one of whose activations is far above the
 * mean of all. */
#ifndef ATTNSCOPE_ANALYSIS_OUTLIER_TOKENS_H
#define ATTNSCOPE_ANALYSIS_OUTLIER_TOKENS_H

#include "analysis/metric.h"

extern const char *const outlier_token_forms[]; /* "count", "tokens", "each", NULL */

typedef struct outlier_tokens {
    const char *form;
    double threshold;
    double sum, cells;      /* of |x|, and how many, since the last emission */
    int64_t n;
    double largest[];       /* [n] max over channels of |x| of each token */
} outlier_tokens;

/* c->shared, for c->n tokens. */
int outlier_tokens_prepare(metric_ctx *c, const char *form, const char *threshold, err *e);
void outlier_tokens_release(metric_ctx *c);
/* Rows row .. row + rows - 1 of an activation. */
void outlier_tokens_add(metric_ctx *c, const float *x, int64_t row, int64_t rows, int64_t width);
/* count: number of tokens with max |x| > threshold * mean |x|. tokens: max |x| / mean |x| of those tokens.
 * each: of all. Then the next activation begins. Nothing where all is 0. */
int outlier_tokens_emit(metric_ctx *c, int layer, const result_sink *out, err *e);

#endif
