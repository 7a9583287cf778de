#include "analysis/composition.h"

static int weights(metric_ctx *c, const result_sink *out, const progress *p, err *e)
{
    return composition_weights(c, COMPOSITION_V, out, p, e);
}

const metric metric_composition_v = {
    .name = "composition_v",
    .summary = "how much a head's values read of what an earlier head writes",
    .formula = "|W_OV W_OV'|_F / (|W_OV|_F |W_OV'|_F)",
    .definition =
        "|W_OV W|_F / (|W_OV|_F |W|_F) with W_OV = W_V W_O of a head of an earlier layer (the position: "
        "heads counted over all layers) and W = W_OV = W_V W_O of the head of the site. " COMPOSITION_RULES,
    .unit = "",
    .range = "0 .. 1; with composition-baseline -1 / sqrt(C) .. 1",
    .source =
        "Elhage et al. 2021, A Mathematical Framework for Transformer Circuits; TransformerLens "
        "all_composition_scores(\"V\"), which leaves 0 where the layers are not in order and subtracts "
        "nothing",
    .reading =
        "Compare with 1/sqrt(C), what a random pair has (composition-baseline subtracts it). High: the two "
        "act as one virtual head.",
    .traps =
        "Weights alone: a pair that could compose may never do so on real text. RoPE is left out, and the "
        "low rank of circuits lets large models have small scores everywhere.",
    .cite = "elhage2021,transformerlens",
    .missing_mass = "does not apply: weights alone",
    .cost = COMPOSITION_COST,
    .scope = METRIC_WEIGHTS,
    .kinds = KINDS_OWN,
    .axis = AXIS_HEAD,
    .validated = "dense products in double on random models, numpy on the bundled model",
    .params = composition_params,
    .weights = weights,
};
