#include "analysis/massive.h"

static int hidden(metric_ctx *c, int layer, const float *x, int64_t n, int64_t width, const result_sink *out, err *e)
{
    massive *s = c->shared;
    return metric_emit(c, out, layer, NO_INDEX, NO_INDEX, (double)abs_median(x, n * width, s->counts), e);
}

static int prepare(metric_ctx *c, err *e)
{
    return massive_prepare(c, NULL, NULL, e);
}

const metric metric_massive_median = {
    .name = "massive_median",
    .summary = "the median activation of the residual stream",
    .formula = "median |x|",
    .definition =
        "median of |x| over all tokens and channels of the stream that layer l reads (the last block's "
        "output counts as one more layer); of an even number the lower of the two middle ones",
    .unit = "",
    .range = "0 ..",
    .source = "Sun et al. 2024 (arXiv 2402.17762), exp2 of its main_llm.py",
    .reading = "The scale against which massive activations are massive; grows with depth.",
    .traps = "Not the mean: outliers do not move it.",
    .cite = "sun2024massive",
    .missing_mass = "does not apply",
    .cost = "two passes over the residual stream",
    .validated = "PyTorch hooks on SmolLM2-135M and lantern-3m",
    .scope = METRIC_LAYER,
    .kinds = KINDS_OWN,
    .prepare = prepare,
    .release = massive_release,
    .hidden = hidden,
};
