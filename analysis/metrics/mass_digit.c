#include "analysis/token_class.h"

static int prepare(metric_ctx *c, err *e)
{
    return token_class_prepare(c, TOKEN_DIGIT, e);
}

const metric metric_mass_digit = {
    .name = "mass_digit",
    .summary = "weight on numbers",
    .definition =
        "tokens of nothing but characters of Unicode category N, white space around them put aside: "
        TOKEN_CLASS_MEAN,
    .source = "own; counterpart of mass_punctuation",
    .params = token_class_params,
    .prepare = prepare,
    TOKEN_CLASS_MEMBERS,
};
