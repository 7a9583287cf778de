/* Massive activations (Sun et al. 2024, arXiv 2402.17762): above a magnitude and a multiple of the median. */
#ifndef ATTNSCOPE_ANALYSIS_MASSIVE_H
#define ATTNSCOPE_ANALYSIS_MASSIVE_H

#include <math.h>
#include "analysis/abs_order.h"
#include "analysis/metric.h"

typedef struct massive {
    double above, ratio;
    int64_t counts[ABS_ORDER_CELLS]; /* scratch of abs_order */
} massive;

/* c->shared; the options that give the thresholds, or NULL. */
int massive_prepare(metric_ctx *c, const char *above, const char *ratio, err *e);
void massive_release(metric_ctx *c);
/* ratio times the median of |x_0| .. |x_n-1|. */
double massive_least(massive *s, const float *x, int64_t n);
static inline bool massive_is(const massive *s, double least, float x)
{
    double v = fabs((double)x);
    return !(v <= s->above) && !(v < least); /* NaN is one: it is an error once it is emitted */
}

#endif
