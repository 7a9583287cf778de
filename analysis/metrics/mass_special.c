#include "analysis/token_class.h"

static int prepare(metric_ctx *c, err *e)
{
    return token_class_prepare(c, TOKEN_SPECIAL, e);
}

const metric metric_mass_special = {
    .name = "mass_special",
    .summary = "weight on special tokens",
    .formula = "mean_i sum_{j : t_j special} A[i][j]",
    .definition = "tokens that the tokenizer marks as special (BOS, EOS, [CLS], [SEP], marks of a "
                  "chat): " TOKEN_CLASS_MEAN,
    .source = "Clark et al. 2019 (arXiv 1906.04341), [CLS] and [SEP]; over all keys, not rest to [SEP] alone",
    .reading =
        "Near 1: the head rests on marks ([CLS], [SEP], BOS, chat roles). In BERT, attention to [SEP] is "
        "the counterpart of a sink.",
    .traps = "Counts what the tokenizer calls special; marks that are plain text do not count.",
    .cite = "clark2019",
    .params = token_class_params,
    .prepare = prepare,
    TOKEN_CLASS_MEMBERS,
};
