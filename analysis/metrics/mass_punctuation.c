#include "analysis/token_class.h"

static int prepare(metric_ctx *c, err *e)
{
    return token_class_prepare(c, TOKEN_PUNCTUATION, e);
}

const metric metric_mass_punctuation = {
    .name = "mass_punctuation",
    .summary = "weight on punctuation",
    .formula = "mean_i sum_{j : t_j punctuation} A[i][j]",
    .definition =
        "tokens of nothing but ASCII punctuation and characters of Unicode category P, white space around "
        "them put aside: "
        TOKEN_CLASS_MEAN,
    .source = "Clark et al. 2019 (arXiv 1906.04341)",
    .reading =
        "Compare with the share of such tokens in the prompt: above it, the head prefers them. BERT's "
        "heads give much of theirs to full stops and commas in the middle layers.",
    .traps =
        "Delimiters are part of it. A text with one sign has one key here, which may be a sink by itself.",
    .cite = "clark2019",
    .params = token_class_params,
    .prepare = prepare,
    TOKEN_CLASS_MEMBERS,
};
