#include "analysis/activation.h"

static const param value_norm_params[] = {
    {"value-norm-positions", PARAM_ENUM, "mean", "WHICH", token_pick_help, 0, 0, token_pick_choices, NULL},
    {NULL, PARAM_BOOL, NULL, NULL, NULL, 0, 0, NULL, NULL},
};

static int prepare(metric_ctx *c, err *e)
{
    return token_values_prepare(c, "value-norm-positions", c->n_key, e);
}

static int inputs(metric_ctx *c, const attn_args *a, const result_sink *out, err *e)
{
    return head_norms_emit(c, a->layer, a->v, a->ldv, a->n_key, a->n_head, a->n_kv_head, a->d_v, out, e);
}

const metric metric_value_norm = {
    .name = "value_norm",
    .summary = "length of the values of a head",
    .formula = "mean_j |v_j|",
    .definition =
        "||v_j||, Euclidean, before the output projection (value_drain: after it).  Values belong to "
        "key/value heads: every query head shows those that it reads, so a mean over heads is one over "
        "key/value heads.  mean: over all values.  first: of token 0, at its position.  rest: mean of all "
        "others.  ratio: first / rest.  each: at its position",
    .unit = "",
    .range = "0 ..",
    .source = "Gu et al. 2024 (arXiv 2410.10781), eval_activations_open_source.py",
    .reading =
        "`ratio` far below 1 is the drained value of the sink; see value_drain for what reaches the stream.",
    .traps =
        "Values belong to key/value heads: query heads of a group show one value. The output projection "
        "can undo small norms.",
    .cite = "gu2025sink",
    .missing_mass = "does not apply",
    .cost = "one pass over the values",
    .validated = "PyTorch hooks on SmolLM2-135M and lantern-3m",
    .scope = METRIC_HEAD,
    .kinds = KINDS_ALL,
    .axis = AXIS_KEY,
    .params = value_norm_params,
    .prepare = prepare,
    .release = token_values_release,
    .inputs = inputs,
};
