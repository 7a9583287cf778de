#include <math.h>
#include "analysis/metric.h"

/* -ln softmax(z)[target], stable for any finite z. */
static double negative_log_likelihood(const float *z, int64_t vocab, int32_t target)
{
    float largest = z[0];
    for (int64_t v = 1; v < vocab; v++)
        largest = z[v] > largest ? z[v] : largest;
    double sum = 0;
    for (int64_t v = 0; v < vocab; v++)
        sum += exp((double)z[v] - (double)largest);
    return log(sum) - ((double)z[target] - (double)largest);
}

static int logits(const metric_ctx *c, int64_t pos0, const float *z, int64_t n, int64_t vocab,
                  const result_sink *out, err *e)
{
    for (int64_t i = 0; i < n; i++) {
        int64_t predicted = pos0 + i + 1;
        if (predicted >= c->n)
            break;
        int32_t target = c->ids[predicted];
        if (target == c->placeholder)
            continue;
        if (target < 0 || target >= vocab)
            return err_set(e, ERR_USAGE, "token id %d is outside the vocabulary of %lld", target,
                           (long long)vocab);
        double value = negative_log_likelihood(z + i * vocab, vocab, target);
        int r = metric_emit(c, out, NO_INDEX, NO_INDEX, predicted, value, e);
        if (r != 0)
            return r;
    }
    return 0;
}

const metric metric_nll = {
    .name = "nll",
    .summary = "surprise at each token of the prompt",
    .formula = "-ln softmax(z_(i-1))[t_i]",
    .definition =
        "-ln softmax(logits of position i - 1)[token i], at position i = 1 .. n - 1; the first token is "
        "not predicted, nor are places of an image.  Computed in double precision.  Only for models that "
        "predict the next token: not for masked language models",
    .unit = "nats",
    .range = "0 ..",
    .source = "cross-entropy; the mean over positions is the loss, its exponential the perplexity",
    .reading =
        "The mean is the loss; exp of it the perplexity. Peaks show what surprised the model; inside of a "
        "repeated passage a fall shows copying.",
    .traps =
        "Perplexities of other tokenizers are not comparable. Short prompts are dominated by their hard "
        "first tokens.",
    .cite = "attnscope",
    .missing_mass = "does not apply",
    .cost = "the unembedding of every position",
    .validated = "nll of the reference files (two models, nine prompts): 1e-3",
    .scope = METRIC_LOGITS,
    .axis = AXIS_QUERY,
    .kinds = KIND_SELF,
    .by_token = true,
    .logits = logits,
};
