#include "analysis/attribution.h"

static int end(metric_ctx *c, const result_sink *out, err *e)
{
    return attribution_end(c, ATTRIBUTION_POSITION, out, e);
}

const metric metric_attribution_position = {
    .name = "attribution_position",
    .summary = "what the embedding of the position adds to the logit of a token",
    .formula = "(p / s) . (g W_U[:, token])",
    .definition =
        "The learned embedding of the position as a part of the logit, where it is added to the token's as "
        "it is. " ATTRIBUTION_RULES,
    .unit = "logits",
    .range = "any",
    .source = ATTRIBUTION_SOURCE,
    .reading =
        "Positive: pushes the logit of the token up; the parts add up to attribution_logit. Look at it "
        "against another token (attribution-against), since raising all logits alike changes nothing. "
        "Usually small; only for learned positions that are added.",
    .traps =
        "Direct effects only: what later layers do with it is not in it (patch, ablate). The scale of the "
        "final norm is held fixed.",
    .cite = "elhage2021,transformerlens",
    .missing_mass = "does not apply: outputs of heads as they are",
    .cost = ATTRIBUTION_COST,
    .scope = METRIC_LAYER,
    .axis = AXIS_QUERY,
    .kinds = KIND_SELF,
    .by_token = true,
    .unfit = attribution_unfit_position,
    .validated = "the sum of all parts is the model's logit, families of all shapes",
    .params = attribution_params,
    .prepare = attribution_prepare,
    .release = attribution_release,
    .heads = attribution_heads,
    .hidden = attribution_hidden,
    .added = attribution_added,
    .end = end,
};
