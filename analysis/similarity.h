/* How little a block, or a sublayer of it, turns the residual stream: the importance measure of LLM-Drop
 * (He et al. 2024, arXiv 2406.15786). The stream is followed from `hidden` through what the sublayers add,
 * post-norms included; memory [n, C]. */
#ifndef ATTNSCOPE_ANALYSIS_SIMILARITY_H
#define ATTNSCOPE_ANALYSIS_SIMILARITY_H

#include "analysis/metric.h"

typedef enum similar_part { SIMILAR_BLOCK, SIMILAR_ATTENTION, SIMILAR_MLP } similar_part;
extern const char *const similarity_forms[]; /* "residual", "added", NULL */

/* option: name of the parameter that takes similarity_forms; NULL: residual. */
int similarity_prepare(metric_ctx *c, similar_part part, const char *option, err *e);
/* Members of struct metric. Emit at the layer, over all its tokens, once its last row is there; a layer
 * whose sublayer is left out has no value. */
void similarity_release(metric_ctx *c);
int similarity_hidden(metric_ctx *c, int layer, const float *x, int64_t n, int64_t width, const result_sink *out, err *e);
int similarity_added(metric_ctx *c, const part_rows *p, const result_sink *out, err *e);

#endif
