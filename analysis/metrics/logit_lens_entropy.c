#include "analysis/lens.h"

static int end(metric_ctx *c, const result_sink *out, err *e)
{
    return lens_end(c, LENS_ENTROPY, out, e);
}

const metric metric_logit_lens_entropy = {
    .name = "logit_lens_entropy",
    .summary = "entropy of the predictions read between the layers",
    .formula = "-sum p_l ln p_l",
    .definition = "-sum p ln p of softmax(logits of layer l). " LENS_RULES,
    .unit = "nats",
    .range = "0 .. ln V",
    .source = LENS_SOURCE,
    .reading = "Falls as the model makes up its mind; ln V is no idea at all.",
    .traps =
        "Can be low and wrong: confident early layers repeat the current token. Early layers speak another "
        "basis: low values there do not say that the model knows nothing. The final norm is applied where "
        "it was not trained to stand.",
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
