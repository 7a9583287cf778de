#include "analysis/token_class.h"

static int prepare(metric_ctx *c, err *e)
{
    return token_class_prepare(c, TOKEN_OTHER, e);
}

const metric metric_mass_other = {
    .name = "mass_other",
    .summary = "weight on words and pieces of words",
    .definition =
        "tokens that are no special token, delimiter, punctuation, white space or number: "
        TOKEN_CLASS_MEAN,
    .source = "own; what the other classes leave",
    .params = token_class_params,
    .prepare = prepare,
    TOKEN_CLASS_MEMBERS,
};
