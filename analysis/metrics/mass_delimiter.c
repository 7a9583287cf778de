#include "analysis/token_class.h"

static int prepare(metric_ctx *c, err *e)
{
    return token_class_prepare(c, TOKEN_DELIMITER, e);
}

const metric metric_mass_delimiter = {
    .name = "mass_delimiter",
    .summary = "weight on delimiters",
    .formula = "mean_i sum_{j : t_j a delimiter} A[i][j]",
    .definition =
        "tokens of nothing but . , ; : ! ? or an ellipsis or their forms in Arabic, Indic and East Asian "
        "scripts, white space around them put aside, and white space that holds a line break: "
        TOKEN_CLASS_MEAN,
    .source = "strong delimiters of An et al. 2025 (arXiv 2502.06415); the list of signs is our own",
    .reading =
        "Compare with the share of such tokens in the prompt: above it, the head prefers them. Delimiters "
        "are the usual places of sinks behind the first token.",
    .traps =
        "One strong sink on the first full stop is enough for a high value: look at received by position. "
        "The list of signs is this program's own.",
    .cite = "an2025outliers",
    .params = token_class_params,
    .prepare = prepare,
    TOKEN_CLASS_MEMBERS,
};
