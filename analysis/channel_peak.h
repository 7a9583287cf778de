/* Channels of a token against its root mean square: the sink detector of VAR (Kang et al. 2025, arXiv
 * 2503.03321). */
#ifndef ATTNSCOPE_ANALYSIS_CHANNEL_PEAK_H
#define ATTNSCOPE_ANALYSIS_CHANNEL_PEAK_H

#include <math.h>
#include "analysis/activation.h"

/* 1 / sqrt(mean x^2 + 1e-6), as its logic.py takes it. */
static inline double row_inverse_rms(const float *x, int64_t width)
{
    return 1 / sqrt(row_dot(x, x, width) / (double)width + 1e-6);
}

#endif
