#include "analysis/token_class.h"

static int prepare(metric_ctx *c, err *e)
{
    return token_class_prepare(c, TOKEN_SPACE, e);
}

const metric metric_mass_space = {
    .name = "mass_space",
    .summary = "weight on white space",
    .formula = "mean_i sum_{j : t_j white space} A[i][j]",
    .definition =
        "tokens of white space alone, line breaks included: "
        TOKEN_CLASS_MEAN,
    .source = "own; counterpart of mass_punctuation",
    .reading =
        "Compare with the share of such tokens in the prompt: above it, the head prefers them. Line breaks "
        "are often sinks in code and chat templates.",
    .traps = "Most tokenizers glue blanks to words; only tokens of nothing but white space count.",
    .cite = "attnscope",
    .params = token_class_params,
    .prepare = prepare,
    TOKEN_CLASS_MEMBERS,
};
