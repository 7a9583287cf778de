#include "analysis/token_class.h"

static int prepare(metric_ctx *c, err *e)
{
    return token_class_prepare(c, TOKEN_PUNCTUATION, e);
}

const metric metric_mass_punctuation = {
    .name = "mass_punctuation",
    .summary = "weight on punctuation",
    .definition =
        "tokens of nothing but ASCII punctuation and characters of Unicode category P, white space around "
        "them put aside: "
        TOKEN_CLASS_MEAN,
    .source = "Clark et al. 2019 (arXiv 1906.04341)",
    .params = token_class_params,
    .prepare = prepare,
    TOKEN_CLASS_MEMBERS,
};
