#include "analysis/attribution.h"

static int end(metric_ctx *c, const result_sink *out, err *e)
{
    return attribution_end(c, ATTRIBUTION_MLP, out, e);
}

const metric metric_attribution_mlp = {
    .name = "attribution_mlp",
    .summary = "what each MLP adds to the logit of a token",
    .formula = "(m_l / s) . (g W_U[:, token])",
    .definition =
        "The MLP of a layer without its bias (with it, where a norm stands behind it or experts are "
        "mixed), as a part of the logit. " ATTRIBUTION_RULES,
    .unit = "logits",
    .range = "any",
    .source = ATTRIBUTION_SOURCE,
    .reading =
        "Positive: pushes the logit of the token up; the parts add up to attribution_logit. Look at it "
        "against another token (attribution-against), since raising all logits alike changes nothing. "
        "Early MLPs often act as a second embedding.",
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
