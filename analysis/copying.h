/* Copying scores of heads (Elhage et al. 2021): how positive the eigenvalues of the OV circuit are. */
#ifndef ATTNSCOPE_ANALYSIS_COPYING_H
#define ATTNSCOPE_ANALYSIS_COPYING_H

#include "analysis/metric.h"

/* copying-fold, copying-center */
extern const param copying_params[];

/* The callback `weights`.  full: tokens to logits, W_E W_OV W_U; else W_OV in the stream. */
int copying_weights(metric_ctx *c, bool full, const result_sink *out, const progress *p, err *e);
/* Why the full circuit does not exist: see metric.unfit. */
const char *copying_full_unfit(const model *m, attn_kind kind);

/* Re sum(lambda) / sum |lambda| of the eigenvalues of a [n, n], which is destroyed.  *any false: all eigenvalues are 0. */
int copying_score(double *score, bool *any, double *a, int64_t n, err *e);

#endif
