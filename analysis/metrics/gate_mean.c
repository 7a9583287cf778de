#include "analysis/gate.h"

static double of(double gate)
{
    return gate;
}

static int heads(metric_ctx *c, const head_outputs *h, const result_sink *out, err *e)
{
    return gate_emit(c, h, of, out, e);
}

const metric metric_gate_mean = {
    .name = "gate_mean",
    .summary = "mean gate on the output of a head",
    .formula = "mean of g over tokens and channels",
    .definition =
        "mean of g over all tokens and channels of the head, g = sigmoid(gate logit), taken as output after "
        "the gate / before it; cells whose output before the gate is exactly 0 do not count",
    .unit = "",
    .range = "0 .. 1",
    .source = "Qiu et al. 2025 (arXiv 2505.06708), table 4",
    .reading = "Low means and a broad spread over heads show that gating is sparse and depends on the query.",
    .traps =
        "A mean hides that single channels are open: see gate_open and gate_closed. Only models with gated "
        "attention have it.",
    .cite = "qiu2025gated",
    .missing_mass = "does not apply",
    .cost = "one pass over the head outputs",
    .validated = "the gate weights themselves on a small Qwen3-Next model",
    .scope = METRIC_HEAD,
    .kinds = KINDS_OWN,
    .unfit = gate_unfit,
    .heads = heads,
};
