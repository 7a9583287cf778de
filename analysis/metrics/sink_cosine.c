#include "analysis/sink_column.h"

static const param sink_cosine_params[] = {
    {"sink-cosine-key", PARAM_INT, "0", "POSITION", "key of the sink column; negative counts from the end", 0, 0, NULL, NULL},
    {NULL, PARAM_BOOL, NULL, NULL, NULL, 0, 0, NULL, NULL},
};

static int prepare(metric_ctx *c, err *e)
{
    return sink_column_prepare(c, "sink-cosine-key", e);
}

static bool value(double *out, const float *q, const float *k, int d)
{
    return row_cosine(out, q, k, d);
}

static int inputs(metric_ctx *c, const attn_args *a, const result_sink *out, err *e)
{
    return sink_column_emit(c, a, value, out, e);
}

const metric metric_sink_cosine = {
    .name = "sink_cosine",
    .summary = "cosine of the queries with the key of the sink",
    .formula = "mean_i cos(q_i, k_s)",
    .definition =
        "mean over the queries i that see key s of cos(q_i, k_s), both after norm, clipping and RoPE, at "
        "position s; sink-cosine-key says which s.  In sinks the lengths are small and the cosine is large: "
        "see sink_logit_norms",
    .unit = "",
    .range = "-1 .. 1",
    .source = "Gu et al. 2024 (arXiv 2410.10781), section on key biases: q_i . k_j = ||q_i|| ||k_j|| "
              "cos(q_i, k_j)",
    .reading =
        "Large for sinks: all queries point towards the key of the first token, whatever they are about. "
        "It is the angle that makes the sink, not the length.",
    .traps = "The mean hides queries that point elsewhere. After RoPE: it depends on the distance as well.",
    .cite = "gu2025sink",
    .missing_mass = "does not apply",
    .cost = "one pass over the queries",
    .validated = "PyTorch hooks on SmolLM2-135M and lantern-3m",
    .scope = METRIC_HEAD,
    .kinds = KINDS_ALL,
    .axis = AXIS_KEY,
    .params = sink_cosine_params,
    .prepare = prepare,
    .release = sink_column_release,
    .inputs = inputs,
};
