#include <string.h>
#include "analysis/activation.h"

static const char *const against_choices[] = {"mean", "max", "difference", NULL};

static const param residual_peak_params[] = {
    {"residual-peak-against", PARAM_ENUM, "mean", "WHAT",
     "divided by the mean of the others, by the largest of them, or less their mean", 0, 0, against_choices, NULL},
    {NULL, PARAM_BOOL, NULL, NULL, NULL, 0, 0, NULL, NULL},
};

static int hidden(metric_ctx *c, int layer, const float *x, int64_t n, int64_t width, const result_sink *out, err *e)
{
    const char *against = params_str(c->p, "residual-peak-against");
    double first = row_norm(x, width), sum = 0, largest = 0;
    if (n < 2)
        return 0;
    for (int64_t i = 1; i < n; i++) {
        double length = row_norm(x + i * width, width);
        sum += length;
        largest = length > largest ? length : largest;
    }
    double mean = sum / (double)(n - 1), value;
    if (!strcmp(against, "difference"))
        value = first - mean;
    else if (mean == 0)
        return 0;
    else
        value = !strcmp(against, "max") ? first / largest + 0 * mean : first / mean;
    return metric_emit(c, out, layer, NO_INDEX, NO_INDEX, value, e);
}

const metric metric_residual_peak = {
    .name = "residual_peak",
    .summary = "length of the residual stream at the first token against the others",
    .formula = "|h_0| / mean_{t > 0} |h_t|",
    .definition =
        "of h, the stream that layer l reads (the last block's output counts as one more layer).  mean: "
        "||h_0|| / mean of ||h_t||, t > 0.  max: ||h_0|| / largest ||h_t||, t > 0.  difference: ||h_0|| - "
        "mean of ||h_t||, t > 0.  No value for a single token, nor where all others are 0",
    .unit = "",
    .range = "0 .., difference: any",
    .source = "mean: Gu et al. 2024 (arXiv 2410.10781); max and difference: Guo et al. 2024 (arXiv "
              "2410.13835)",
    .reading =
        "Far above 1 from an early layer on: the first token carries massive activations and will be the "
        "sink.",
    .traps = "`max` is below 1 as soon as another token is massive too, as a delimiter can be.",
    .cite = "gu2025sink,guo2024dormant",
    .missing_mass = "does not apply",
    .cost = "one pass over the residual stream",
    .validated = "PyTorch hooks on SmolLM2-135M and lantern-3m",
    .scope = METRIC_LAYER,
    .kinds = KINDS_OWN,
    .params = residual_peak_params,
    .hidden = hidden,
};
