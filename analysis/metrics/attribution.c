#include "analysis/attribution.h"

static int end(metric_ctx *c, const result_sink *out, err *e)
{
    return attribution_end(c, ATTRIBUTION_HEADS, out, e);
}

const metric metric_attribution = {
    .name = "attribution",
    .summary = "what each head adds to the logit of a token",
    .formula = "(a_h W_O^h / s) . (g W_U[:, token])",
    .definition =
        "The output of a head through its rows of W_O, as a part of the logit; without biases. "
        ATTRIBUTION_RULES,
    .unit = "logits",
    .range = "any",
    .source = ATTRIBUTION_SOURCE,
    .reading =
        "Positive: pushes the logit of the token up; the parts add up to attribution_logit. Look at it "
        "against another token (attribution-against), since raising all logits alike changes nothing. A "
        "few heads usually carry most.",
    .traps =
        "Direct effects only: what later layers do with it is not in it (patch, ablate). The scale of the "
        "final norm is held fixed.",
    .cite = "elhage2021,transformerlens",
    .missing_mass = "does not apply: outputs of heads as they are",
    .cost = ATTRIBUTION_COST,
    .scope = METRIC_LAYER,
    .kinds = KIND_SELF,
    .by_token = true,
    .unfit = attribution_unfit,
    .validated = "the sum of all parts is the model's logit, families of all shapes",
    .params = attribution_params,
    .prepare = attribution_prepare,
    .release = attribution_release,
    .heads = attribution_heads,
    .hidden = attribution_hidden,
    .added = attribution_added,
    .end = end,
};
