#include "analysis/token_class.h"

static int prepare(metric_ctx *c, err *e)
{
    return token_class_prepare(c, TOKEN_BOS, e);
}

const metric metric_mass_bos = {
    .name = "mass_bos",
    .summary = "weight on the beginning-of-text token",
    .definition = "the tokenizer's BOS wherever it stands: " TOKEN_CLASS_MEAN,
    .source = "Gu et al. 2024 (arXiv 2410.10781) for BOS as the sink; Clark et al. 2019 (arXiv 1906.04341) "
              "for [CLS]",
    .params = token_class_params,
    .prepare = prepare,
    TOKEN_CLASS_MEMBERS,
};
