#include "analysis/token_class.h"

static int prepare(metric_ctx *c, err *e)
{
    return token_class_prepare(c, TOKEN_DELIMITER, e);
}

const metric metric_mass_delimiter = {
    .name = "mass_delimiter",
    .summary = "weight on delimiters",
    .definition =
        "tokens of nothing but . , ; : ! ? or an ellipsis or their forms in Arabic, Indic and East Asian "
        "scripts, white space around them put aside, and white space that holds a line break: "
        TOKEN_CLASS_MEAN,
    .source = "strong delimiters of An et al. 2025 (arXiv 2502.06415); the list of signs is our own",
    .params = token_class_params,
    .prepare = prepare,
    TOKEN_CLASS_MEMBERS,
};
