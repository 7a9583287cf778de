#include "analysis/lens.h"

static int end(metric_ctx *c, const result_sink *out, err *e)
{
    return lens_end(c, LENS_PROBABILITY, out, e);
}

const metric metric_logit_lens = {
    .name = "logit_lens",
    .summary = "probability of the next token read between the layers",
    .formula = "softmax(norm(x_l) W_U)[token]",
    .definition = "softmax(logits of layer l)[token]. " LENS_RULES,
    .unit = "",
    .range = "0 .. 1",
    .source = LENS_SOURCE,
    .reading =
        "The layer where it rises is where the prediction is made readable. Positions that rise at once "
        "were easy.",
    .traps =
        "Early layers speak another basis: low values there do not say that the model knows nothing. The "
        "final norm is applied where it was not trained to stand.",
    .cite = "nostalgebraist2020",
    .missing_mass = "does not apply",
    .cost = LENS_COST,
    .scope = METRIC_LAYER,
    .kinds = KIND_SELF,
    .by_token = true,
    .unfit = lens_unfit,
    .axis = AXIS_QUERY,
    .validated = "the last layer is the model's logits; softmax in double of logits formed one by one",
    .params = lens_params,
    .prepare = lens_prepare,
    .release = lens_release,
    .hidden = lens_hidden,
    .end = end,
};
