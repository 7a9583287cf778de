/* Inside of analysis/attribution*.c. */
#ifndef ATTNSCOPE_ANALYSIS_ATTRIBUTION_PARTS_H
#define ATTNSCOPE_ANALYSIS_ATTRIBUTION_PARTS_H

#include "analysis/attribution.h"

/* What a run leaves at the position. */
typedef struct attribution_state {
    int64_t position;
    int32_t token, against;   /* -1: not chosen yet; none */
    int n_layer;
    int64_t width;            /* C; 0: nothing was seen yet */
    float *first, *last;      /* [C] the stream before the first block and behind the last */
    float **heads;            /* [n_layer] what the output projection read, or NULL */
    float **added;            /* [n_layer * 3] what each part added [C], by model_part, or NULL */
} attribution_state;

/* u [C]: part r of the stream gives r . u; *constant: what comes from the biases of the final norm and of the
 * unembedding.  *token is chosen where it is -1. */
int attribution_direction(double *u, double *constant, const metric_ctx *c, attribution_state *s, err *e);
/* u . x in double. */
double dot_rows(const double *u, const float *x, int64_t n);

#endif
