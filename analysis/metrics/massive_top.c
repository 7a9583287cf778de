#include <math.h>
#include "analysis/metric.h"

enum { TOP = 3 };

/* NaN is above every number: it is an error once it is emitted. */
static bool above(float v, float than)
{
    return !isnan(than) && !(v <= than);
}

static int hidden(metric_ctx *c, int layer, const float *x, int64_t n, int64_t width, const result_sink *out, err *e)
{
    float top[TOP] = {0};
    int64_t cells = n * width;
    int rc = 0;
    for (int64_t i = 0; i < cells; i++) {
        float v = fabsf(x[i]);
        if (!above(v, top[TOP - 1]))
            continue;
        int at = TOP - 1;
        for (; at > 0 && above(v, top[at - 1]); at--)
            top[at] = top[at - 1];
        top[at] = v;
    }
    for (int i = 0; i < TOP && i < cells && !rc; i++)
        rc = metric_emit(c, out, layer, NO_INDEX, i, (double)top[i], e);
    return rc;
}

const metric metric_massive_top = {
    .name = "massive_top",
    .summary = "the three largest activations of the residual stream",
    .formula = "the three largest |x|",
    .definition =
        "largest, second and third largest |x| over all tokens and channels of the stream that layer l "
        "reads (the last block's output counts as one more layer), at positions 0, 1, 2; beside "
        "massive_median",
    .unit = "",
    .range = "0 ..",
    .source = "Sun et al. 2024 (arXiv 2402.17762), exp2 of its main_llm.py",
    .reading =
        "Plot norm_profile draws it beside the median: a jump in an early layer, a plateau, a fall in the "
        "last.",
    .traps = "All three may be of one token and one channel's neighbours; massive_channel tells where.",
    .cite = "sun2024massive",
    .missing_mass = "does not apply",
    .cost = "one pass over the residual stream",
    .validated = "PyTorch hooks on SmolLM2-135M and lantern-3m",
    .scope = METRIC_LAYER,
    .kinds = KINDS_OWN,
    .axis = AXIS_RANK,
    .hidden = hidden,
};
