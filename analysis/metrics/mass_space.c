#include "analysis/token_class.h"

static int prepare(metric_ctx *c, err *e)
{
    return token_class_prepare(c, TOKEN_SPACE, e);
}

const metric metric_mass_space = {
    .name = "mass_space",
    .summary = "weight on white space",
    .definition =
        "tokens of white space alone, line breaks included: "
        TOKEN_CLASS_MEAN,
    .source = "own; counterpart of mass_punctuation",
    .params = token_class_params,
    .prepare = prepare,
    TOKEN_CLASS_MEMBERS,
};
