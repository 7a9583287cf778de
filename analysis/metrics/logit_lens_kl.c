#include "analysis/lens.h"

static int end(metric_ctx *c, const result_sink *out, err *e)
{
    return lens_end(c, LENS_KL, out, e);
}

const metric metric_logit_lens_kl = {
    .name = "logit_lens_kl",
    .summary = "how far the predictions read between the layers are from the final ones",
    .formula = "KL(p_final || p_l)",
    .definition =
        "KL(p_final || p_l) = sum p_final (ln p_final - ln p_l) of the softmax of both. " LENS_RULES,
    .unit = "nats",
    .range = "0 ..",
    .source = LENS_SOURCE,
    .reading = "0 at the last layer. Where it drops, the layer does what the final prediction needs.",
    .traps =
        "Infinite in principle where p_l vanishes; large values of early layers are not comparable between "
        "models. Early layers speak another basis: low values there do not say that the model knows "
        "nothing. The final norm is applied where it was not trained to stand.",
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
