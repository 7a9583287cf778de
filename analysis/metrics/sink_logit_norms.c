#include "analysis/sink_column.h"

static const param sink_logit_norms_params[] = {
    {"sink-logit-norms-key", PARAM_INT, "0", "POSITION", "key of the sink column; negative counts from the end", 0, 0,
     NULL, NULL},
    {NULL, PARAM_BOOL, NULL, NULL, NULL, 0, 0, NULL, NULL},
};

static int prepare(metric_ctx *c, err *e)
{
    return sink_column_prepare(c, "sink-logit-norms-key", e);
}

static bool value(double *out, const float *q, const float *k, int d)
{
    *out = row_norm(q, d) * row_norm(k, d);
    return true;
}

static int inputs(metric_ctx *c, const attn_args *a, const result_sink *out, err *e)
{
    return sink_column_emit(c, a, value, out, e);
}

const metric metric_sink_logit_norms = {
    .name = "sink_logit_norms",
    .summary = "lengths of queries times length of the key of the sink",
    .formula = "mean_i |q_i| |k_s|",
    .definition =
        "mean over the queries i that see key s of ||q_i|| ||k_s||, both after norm, clipping and RoPE and "
        "without the scale 1/sqrt(d), at position s; sink-logit-norms-key says which s.  Times sink_cosine, "
        "query by query, this is the unscaled logit of the sink",
    .unit = "",
    .range = "0 ..",
    .source = "Gu et al. 2024 (arXiv 2410.10781), section on key biases: q_i . k_j = ||q_i|| ||k_j|| "
              "cos(q_i, k_j)",
    .reading = "Small for sinks while sink_cosine is large.",
    .traps = "Without the scale 1/sqrt(d): compare within one model.",
    .cite = "gu2025sink",
    .missing_mass = "does not apply",
    .cost = "one pass over the queries",
    .validated = "PyTorch hooks on SmolLM2-135M and lantern-3m",
    .scope = METRIC_HEAD,
    .kinds = KINDS_ALL,
    .axis = AXIS_KEY,
    .params = sink_logit_norms_params,
    .prepare = prepare,
    .release = sink_column_release,
    .inputs = inputs,
};
