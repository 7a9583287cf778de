#include "analysis/token_class.h"

static int prepare(metric_ctx *c, err *e)
{
    return token_class_prepare(c, TOKEN_BOS, e);
}

const metric metric_mass_bos = {
    .name = "mass_bos",
    .summary = "weight on the beginning-of-text token",
    .formula = "mean_i sum_{j : t_j = BOS} A[i][j]",
    .definition = "the tokenizer's BOS wherever it stands: " TOKEN_CLASS_MEAN,
    .source = "Gu et al. 2024 (arXiv 2410.10781) for BOS as the sink; Clark et al. 2019 (arXiv 1906.04341) "
              "for [CLS]",
    .reading =
        "Near 1: the head rests on the beginning-of-text token. Equal to sink where BOS stands first and "
        "nowhere else.",
    .traps =
        "A model that adds no BOS has no value here and may still have a sink on its first word: use sink.",
    .cite = "gu2025sink,clark2019",
    .params = token_class_params,
    .prepare = prepare,
    TOKEN_CLASS_MEMBERS,
};
