/* Spectra of the circuits of heads, and what is said of them in one number. */
#ifndef ATTNSCOPE_ANALYSIS_SPECTRUM_H
#define ATTNSCOPE_ANALYSIS_SPECTRUM_H

#include "analysis/circuits.h"
#include "analysis/metric.h"

typedef enum spectrum_part {
    SPECTRUM_ALL,       /* singular values at positions 0.. (AXIS_RANK), as many as `most` (0: all) */
    SPECTRUM_LARGEST,
    SPECTRUM_RANK,      /* effective rank: exp of the entropy of the values divided by their sum */
} spectrum_part;

int spectrum_weights(metric_ctx *c, circuit which, spectrum_part part, head_fold fold, int64_t most, const result_sink *out,
                     const progress *p, err *e);
/* exp(-sum p ln p), p = s / sum s; 0 when all are 0. */
double effective_rank(const double *s, int64_t n);

#endif
