#include "analysis/activation.h"

static const param query_norm_params[] = {
    {"query-norm-positions", PARAM_ENUM, "mean", "WHICH", token_pick_help, 0, 0, token_pick_choices, NULL},
    {NULL, PARAM_BOOL, NULL, NULL, NULL, 0, 0, NULL, NULL},
};

static int prepare(metric_ctx *c, err *e)
{
    return token_values_prepare(c, "query-norm-positions", c->n, e);
}

static int inputs(metric_ctx *c, const attn_args *a, const result_sink *out, err *e)
{
    return head_norms_emit(c, a->layer, a->q, a->ldq, a->n_query, a->n_head, a->n_head, a->d_qk, out, e);
}

const metric metric_query_norm = {
    .name = "query_norm",
    .summary = "length of the queries of a head",
    .formula = "mean_i |q_i|",
    .definition =
        "||q_i||, Euclidean, of the queries that the attention reads: after their norm, clipping and RoPE, "
        "before the scale.  mean: over all queries.  first: of token 0, at its position.  rest: mean of all "
        "others.  ratio: first / rest.  each: at its position",
    .unit = "",
    .range = "0 ..",
    .source = "Gu et al. 2024 (arXiv 2410.10781), on key biases: q_i . k_j = |q_i| |k_j| cos(q_i, k_j); its code "
              "measures keys and values only",
    .reading =
        "Together with key_norm it says how large logits can get: scale times both lengths is their limit.",
    .traps = "Before the scale 1/sqrt(d). A norm on queries makes it nearly constant.",
    .cite = "gu2025sink",
    .missing_mass = "does not apply",
    .cost = "one pass over the queries",
    .validated = "PyTorch hooks on SmolLM2-135M and lantern-3m",
    .scope = METRIC_HEAD,
    .kinds = KINDS_ALL,
    .axis = AXIS_QUERY,
    .params = query_norm_params,
    .prepare = prepare,
    .release = token_values_release,
    .inputs = inputs,
};
