#include "analysis/outlier_tokens.h"

static const param activation_outlier_params[] = {
    {"activation-outlier-form", PARAM_ENUM, "count", "FORM",
     "number of outlier tokens, max/mean at each of them, or max/mean at every token", 0, 0, outlier_token_forms, NULL},
    {"activation-outlier-threshold", PARAM_REAL, "1000", "R", "an outlier is above this many times the mean", 0, 0, NULL, NULL},
    {NULL, PARAM_BOOL, NULL, NULL, NULL, 0, 0, NULL, NULL},
};

static int prepare(metric_ctx *c, err *e)
{
    return outlier_tokens_prepare(c, "activation-outlier-form", "activation-outlier-threshold", e);
}

static int hidden(metric_ctx *c, int layer, const float *x, int64_t n, int64_t width, const result_sink *out, err *e)
{
    outlier_tokens_add(c, x, 0, n, width);
    return outlier_tokens_emit(c, layer, out, e);
}

const metric metric_activation_outlier = {
    .name = "activation_outlier",
    .summary = "tokens with an outlier among the activations of the residual stream",
    .formula = "t with max_c |X[t][c]| > 1000 mean |X|",
    .definition =
        "token t is an outlier when max over channels of |X[t][c]| > activation-outlier-threshold times the "
        "mean of |X| over all tokens and channels, outliers included (strictly).  X is the stream that "
        "layer l reads; the last block's output counts as one more layer.  count: number of outlier "
        "tokens.  tokens: max / mean of each outlier token, at its position.  each: the same of every token",
    .unit = "",
    .range = "0 ..",
    .source = "An et al. 2025 (arXiv 2502.06415), pos_activation_outliers_layer.py",
    .reading =
        "In most decoders one or two tokens, the first among them, from an early layer to the last but "
        "one. The block before the first layer with a count above 0 writes it (layer l shows what block l - 1 "
        "left): look there with inner_outlier and weight_outlier.",
    .traps =
        "The mean contains the outliers: short prompts make them harder to find. Small models may have "
        "none at the published threshold.",
    .cite = "an2025outliers,sun2024massive",
    .missing_mass = "does not apply",
    .cost = "one pass over the residual stream",
    .validated = "PyTorch hooks on SmolLM2-135M and lantern-3m",
    .scope = METRIC_LAYER,
    .kinds = KINDS_OWN,
    .axis = AXIS_QUERY,
    .params = activation_outlier_params,
    .prepare = prepare,
    .release = outlier_tokens_release,
    .hidden = hidden,
};
