#include "analysis/gate.h"

static double of(double gate)
{
    return (gate < 0.1) + 0 * gate; /* keeps NaN */
}

static int heads(metric_ctx *c, const head_outputs *h, const result_sink *out, err *e)
{
    return gate_emit(c, h, of, out, e);
}

const metric metric_gate_closed = {
    .name = "gate_closed",
    .summary = "share of nearly closed gates on the output of a head",
    .formula = "share of gates g < 0.1",
    .definition =
        "share of g < 0.1 over all tokens and channels of the head, g = sigmoid(gate logit), taken as "
        "output after the gate / before it; cells whose output before the gate is exactly 0 do not count",
    .unit = "",
    .range = "0 .. 1",
    .source = "Qiu et al. 2025 (arXiv 2505.06708), table 4",
    .reading =
        "Near 1: the head is mostly shut and adds little, whatever its attention looks like. Gated models "
        "have weak sinks because they can rest this way.",
    .traps =
        "Taken as a ratio of outputs: values rest on rounding where the output is tiny. Only models with "
        "gated attention have it.",
    .cite = "qiu2025gated",
    .missing_mass = "does not apply",
    .cost = "one pass over the head outputs",
    .validated = "the gate weights themselves on a small Qwen3-Next model",
    .scope = METRIC_HEAD,
    .kinds = KINDS_OWN,
    .unfit = gate_unfit,
    .heads = heads,
};
