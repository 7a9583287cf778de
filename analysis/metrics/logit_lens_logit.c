#include "analysis/lens.h"

static int end(metric_ctx *c, const result_sink *out, err *e)
{
    return lens_end(c, LENS_LOGIT, out, e);
}

const metric metric_logit_lens_logit = {
    .name = "logit_lens_logit",
    .summary = "logit of the next token read between the layers",
    .formula = "norm(x_l) W_U[:, token]",
    .definition = "The logit of the token. " LENS_RULES,
    .unit = "logits",
    .range = "any",
    .source = LENS_SOURCE,
    .reading =
        "Differences between layers show when the token is written; compare with another token at the same "
        "layer.",
    .traps =
        "Logits of different layers share no zero. Early layers speak another basis: low values there do "
        "not say that the model knows nothing. The final norm is applied where it was not trained to stand.",
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
