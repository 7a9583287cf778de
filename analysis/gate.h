/* Gates on the outputs of heads (Qiu et al. 2025, arXiv 2505.06708): head output = gate * what the
 * attention gave. */
#ifndef ATTNSCOPE_ANALYSIS_GATE_H
#define ATTNSCOPE_ANALYSIS_GATE_H

#include "analysis/metric.h"

/* Member of struct metric. */
const char *gate_unfit(const model *m, attn_kind kind);
/* Mean over tokens and channels of of(gate), for each head. The gate is the ratio of the two outputs, so a
 * cell whose ungated output is 0 does not count. */
int gate_emit(metric_ctx *c, const head_outputs *h, double (*of)(double gate), const result_sink *out, err *e);

#endif
