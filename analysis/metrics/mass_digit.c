#include "analysis/token_class.h"

static int prepare(metric_ctx *c, err *e)
{
    return token_class_prepare(c, TOKEN_DIGIT, e);
}

const metric metric_mass_digit = {
    .name = "mass_digit",
    .summary = "weight on numbers",
    .formula = "mean_i sum_{j : t_j a number} A[i][j]",
    .definition =
        "tokens of nothing but characters of Unicode category N, white space around them put aside: "
        TOKEN_CLASS_MEAN,
    .source = "own; counterpart of mass_punctuation",
    .reading =
        "Compare with the share of such tokens in the prompt: above it, the head prefers them. Useful on "
        "arithmetic and tables.",
    .traps =
        "Tokenizers cut numbers differently (digits, triples, whole): compare models on shares, not on "
        "counts.",
    .cite = "attnscope",
    .params = token_class_params,
    .prepare = prepare,
    TOKEN_CLASS_MEMBERS,
};
