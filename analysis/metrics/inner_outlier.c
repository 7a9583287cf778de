#include "analysis/outlier_tokens.h"

static const param inner_outlier_params[] = {
    {"inner-outlier-form", PARAM_ENUM, "count", "FORM",
     "number of outlier tokens, max/mean at each of them, or max/mean at every token", 0, 0, outlier_token_forms, NULL},
    {"inner-outlier-threshold", PARAM_REAL, "1000", "R", "an outlier is above this many times the mean", 0, 0, NULL, NULL},
    {NULL, PARAM_BOOL, NULL, NULL, NULL, 0, 0, NULL, NULL},
};

static int prepare(metric_ctx *c, err *e)
{
    return outlier_tokens_prepare(c, "inner-outlier-form", "inner-outlier-threshold", e);
}

static int inner(metric_ctx *c, const part_rows *p, const result_sink *out, err *e)
{
    outlier_tokens_add(c, p->x, p->row, p->rows, p->width);
    return p->row + p->rows == c->n ? outlier_tokens_emit(c, p->layer, out, e) : 0;
}

const metric metric_inner_outlier = {
    .name = "inner_outlier",
    .summary = "tokens with an outlier among what the MLP's down projection reads",
    .formula = "t with max_c |X[t][c]| > 1000 mean |X|, X the input of W_down",
    .definition =
        "token t is an outlier when max over channels of |X[t][c]| > inner-outlier-threshold times the mean "
        "of |X| over all tokens and channels, outliers included (strictly).  X is what the down projection "
        "of a dense MLP reads; layers of experts have no value.  count: number of outlier tokens.  tokens: "
        "max / mean of each outlier token, at its position.  each: the same of every token",
    .unit = "",
    .range = "0 ..",
    .source = "An et al. 2025 (arXiv 2502.06415), pos_activation_outliers_layer.py",
    .reading =
        "Where the massive activation of the stream is written: one neuron of one early MLP in most models.",
    .traps = "The mean contains the outliers. Mixtures of experts have no value.",
    .cite = "an2025outliers",
    .missing_mass = "does not apply",
    .cost = "one pass over the inner activations",
    .validated = "PyTorch hooks on SmolLM2-135M and lantern-3m",
    .scope = METRIC_LAYER,
    .kinds = KINDS_OWN,
    .axis = AXIS_QUERY,
    .params = inner_outlier_params,
    .prepare = prepare,
    .release = outlier_tokens_release,
    .inner = inner,
};
