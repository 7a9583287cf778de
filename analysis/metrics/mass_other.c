#include "analysis/token_class.h"

static int prepare(metric_ctx *c, err *e)
{
    return token_class_prepare(c, TOKEN_OTHER, e);
}

const metric metric_mass_other = {
    .name = "mass_other",
    .summary = "weight on words and pieces of words",
    .formula = "mean_i sum_{j : t_j a word or piece of one} A[i][j]",
    .definition =
        "tokens that are no special token, delimiter, punctuation, white space or number: "
        TOKEN_CLASS_MEAN,
    .source = "own; what the other classes leave",
    .reading = "What is left for content: low where sinks and signs take the attention.",
    .traps =
        "Words include function words: see mass_words. In scripts without blanks between words pieces of "
        "characters count here too.",
    .cite = "attnscope",
    .params = token_class_params,
    .prepare = prepare,
    TOKEN_CLASS_MEMBERS,
};
