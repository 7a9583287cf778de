#include "analysis/attribution.h"

static int end(metric_ctx *c, const result_sink *out, err *e)
{
    return attribution_end(c, ATTRIBUTION_LOGIT, out, e);
}

const metric metric_attribution_logit = {
    .name = "attribution_logit",
    .summary = "the logit that the parts add up to",
    .formula = "(x / s) . (g W_U[:, token]) + b_U",
    .definition =
        "The logit of the token at the position, before a softcap: the whole stream through the final norm "
        "and the unembedding. " ATTRIBUTION_RULES,
    .unit = "logits",
    .range = "any",
    .source = ATTRIBUTION_SOURCE,
    .reading = "The sum of all parts, to check the others against; before a softcap.",
    .traps = "A logit has no meaning alone: only differences between tokens have.",
    .cite = "elhage2021,transformerlens",
    .missing_mass = "does not apply: outputs of heads as they are",
    .cost = ATTRIBUTION_COST,
    .scope = METRIC_LAYER,
    .axis = AXIS_QUERY,
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
