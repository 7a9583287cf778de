#include "analysis/channel_peak.h"

static const param sink_dimension_params[] = {
    {"sink-dimension-tau", PARAM_REAL, "20", "TAU", "a sink dimension is above this", 0, 0, NULL, NULL},
    {"sink-dimension-token", PARAM_INT, "0", "POSITION", "token whose channels are read", 0, 1e15, NULL, NULL},
    {NULL, PARAM_BOOL, NULL, NULL, NULL, 0, 0, NULL, NULL},
};

static int hidden(metric_ctx *c, int layer, const float *x, int64_t n, int64_t width, const result_sink *out, err *e)
{
    double tau = params_real(c->p, "sink-dimension-tau");
    int64_t at = params_int(c->p, "sink-dimension-token");
    int rc = 0;
    if (at >= n)
        return 0;
    const float *row = x + at * width;
    double inverse = row_inverse_rms(row, width);
    for (int64_t d = 0; d < width && !rc; d++) {
        double v = fabs((double)row[d]) * inverse;
        if (!(v <= tau))
            rc = metric_emit(c, out, layer, NO_INDEX, d, v, e);
    }
    return rc;
}

const metric metric_sink_dimension = {
    .name = "sink_dimension",
    .summary = "channels by which a sink token is told",
    .formula = "|x_d| / sqrt(mean x^2) > tau",
    .definition =
        "|x_d| / sqrt(mean x^2 + 1e-6) of each channel d of the stream that layer l reads at token "
        "sink-dimension-token, for the channels where it is above sink-dimension-tau, at the channel.  A "
        "prompt without that token has no value",
    .unit = "",
    .range = "0 .. sqrt(width)",
    .source = "Kang et al. 2025 (arXiv 2503.03321), VAR, logic.py DimProspector",
    .reading =
        "The channels that mark a sink token, for sink_token-dims; the same for all prompts of a model.",
    .traps = "Of one token: name another with sink-dimension-token where the first is no sink.",
    .cite = "kang2025visual",
    .missing_mass = "does not apply",
    .cost = "one token of the residual stream",
    .validated = "PyTorch hooks on SmolLM2-135M and lantern-3m",
    .scope = METRIC_LAYER,
    .kinds = KINDS_OWN,
    .axis = AXIS_CHANNEL,
    .params = sink_dimension_params,
    .hidden = hidden,
};
