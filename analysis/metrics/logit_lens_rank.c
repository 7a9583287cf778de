#include "analysis/lens.h"

static int end(metric_ctx *c, const result_sink *out, err *e)
{
    return lens_end(c, LENS_RANK, out, e);
}

const metric metric_logit_lens_rank = {
    .name = "logit_lens_rank",
    .summary = "rank of the next token read between the layers",
    .formula = "number of tokens with a higher logit at layer l",
    .definition = "The number of tokens with a higher logit. " LENS_RULES,
    .unit = "",
    .range = "0 .. V - 1",
    .source = LENS_SOURCE,
    .reading = "0: the token is the layer's first choice. Robust where probabilities are not.",
    .traps =
        "Ranks of thousands are noise: read the first ten. Early layers speak another basis: low values "
        "there do not say that the model knows nothing. The final norm is applied where it was not trained "
        "to stand.",
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
