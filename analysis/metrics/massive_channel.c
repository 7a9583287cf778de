#include <math.h>
#include "analysis/massive.h"

static const param massive_channel_params[] = {
    {"massive-channel-above", PARAM_REAL, "100", "X", "a massive activation is above this", 0, 0, NULL, NULL},
    {"massive-channel-ratio", PARAM_REAL, "1000", "R", "and at least this many times the median", 0, 0, NULL, NULL},
    {NULL, PARAM_BOOL, NULL, NULL, NULL, 0, 0, NULL, NULL},
};

static int prepare(metric_ctx *c, err *e)
{
    return massive_prepare(c, "massive-channel-above", "massive-channel-ratio", e);
}

static int hidden(metric_ctx *c, int layer, const float *x, int64_t n, int64_t width, const result_sink *out, err *e)
{
    massive *s = c->shared;
    double least = massive_least(s, x, n * width);
    int rc = 0;
    for (int64_t d = 0; d < width && !rc; d++) {
        float top = 0;
        for (int64_t i = 0; i < n; i++) {
            float v = fabsf(x[i * width + d]);
            top = v <= top || isnan(top) ? top : v;
        }
        if (massive_is(s, least, top))
            rc = metric_emit(c, out, layer, NO_INDEX, d, (double)top, e);
    }
    return rc;
}

const metric metric_massive_channel = {
    .name = "massive_channel",
    .summary = "channels of the residual stream that carry massive activations",
    .formula = "max_t |x_c| for channels with |x| > 100 and |x| >= 1000 median",
    .definition =
        "largest |x| over tokens of each channel that has a massive activation, at the channel: |x| > "
        "massive-channel-above and |x| >= massive-channel-ratio times the median of |x| over all tokens and "
        "channels.  Of the stream that layer l reads; the last block's output counts as one more layer",
    .unit = "",
    .range = "0 ..",
    .source = "Sun et al. 2024 (arXiv 2402.17762): magnitude above 100 and around 1,000 times the median",
    .reading =
        "The same one to three channels in all layers and prompts: a property of the model, worth noting "
        "with its name.",
    .traps = "Small models may have none at the published limits: lower massive-channel-above and say so.",
    .cite = "sun2024massive",
    .missing_mass = "does not apply",
    .cost = "three passes over the residual stream",
    .validated = "PyTorch hooks on SmolLM2-135M and lantern-3m",
    .scope = METRIC_LAYER,
    .kinds = KINDS_OWN,
    .axis = AXIS_CHANNEL,
    .params = massive_channel_params,
    .prepare = prepare,
    .release = massive_release,
    .hidden = hidden,
};
