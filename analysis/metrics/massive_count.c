#include <math.h>
#include "analysis/massive.h"

static const param massive_count_params[] = {
    {"massive-count-above", PARAM_REAL, "100", "X", "a massive activation is above this", 0, 0, NULL, NULL},
    {"massive-count-ratio", PARAM_REAL, "1000", "R", "and at least this many times the median", 0, 0, NULL, NULL},
    {NULL, PARAM_BOOL, NULL, NULL, NULL, 0, 0, NULL, NULL},
};

static int prepare(metric_ctx *c, err *e)
{
    return massive_prepare(c, "massive-count-above", "massive-count-ratio", e);
}

static int hidden(metric_ctx *c, int layer, const float *x, int64_t n, int64_t width, const result_sink *out, err *e)
{
    massive *s = c->shared;
    double least = massive_least(s, x, n * width);
    int64_t found = 0;
    double total = 0;
    for (int64_t i = 0; i < n * width; i++) {
        found += massive_is(s, least, x[i]);
        total += (double)x[i];
    }
    /* Activations that are no numbers are an error, not a count. */
    return metric_emit(c, out, layer, NO_INDEX, NO_INDEX, (double)found + 0 * total, e);
}

const metric metric_massive_count = {
    .name = "massive_count",
    .summary = "number of massive activations in the residual stream",
    .formula = "number of cells with |x| > 100 and |x| >= 1000 median",
    .definition =
        "number of cells, over all tokens and channels of the stream that layer l reads (the last block's "
        "output counts as one more layer), with |x| > massive-count-above and |x| >= massive-count-ratio "
        "times the median of |x|",
    .unit = "",
    .range = "0 .. tokens x width",
    .source = "Sun et al. 2024 (arXiv 2402.17762): magnitude above 100 and around 1,000 times the median",
    .reading = "0 in the first layers, then a handful until the last block takes them out.",
    .traps =
        "The criterion is called loose by its authors; the counts depend on precision and prompt only "
        "slightly, on the limits much.",
    .cite = "sun2024massive",
    .missing_mass = "does not apply",
    .cost = "three passes over the residual stream",
    .validated = "PyTorch hooks on SmolLM2-135M and lantern-3m",
    .scope = METRIC_LAYER,
    .kinds = KINDS_OWN,
    .params = massive_count_params,
    .prepare = prepare,
    .release = massive_release,
    .hidden = hidden,
};
