#include "analysis/activation.h"

static const param key_norm_params[] = {
    {"key-norm-positions", PARAM_ENUM, "mean", "WHICH", token_pick_help, 0, 0, token_pick_choices, NULL},
    {NULL, PARAM_BOOL, NULL, NULL, NULL, 0, 0, NULL, NULL},
};

static int prepare(metric_ctx *c, err *e)
{
    return token_values_prepare(c, "key-norm-positions", c->n_key, e);
}

static int inputs(metric_ctx *c, const attn_args *a, const result_sink *out, err *e)
{
    return head_norms_emit(c, a->layer, a->k, a->ldk, a->n_key, a->n_head, a->n_kv_head, a->d_qk, out, e);
}

const metric metric_key_norm = {
    .name = "key_norm",
    .summary = "length of the keys of a head",
    .formula = "mean_j |k_j|",
    .definition =
        "||k_j||, Euclidean, of the keys that the attention reads: after their norm, clipping and RoPE.  "
        "Keys belong to key/value heads: every query head shows those that it reads, so a mean over heads "
        "is one over key/value heads.  mean: over all keys.  first: of token 0, at its position.  rest: "
        "mean of all others.  ratio: first / rest.  each: at its position",
    .unit = "",
    .range = "0 ..",
    .source = "Gu et al. 2024 (arXiv 2410.10781), eval_activations_open_source.py",
    .reading =
        "`ratio` below 1 at the first token is usual for a sink: its key is short but lies where all "
        "queries point. See sink_cosine.",
    .traps =
        "Keys belong to key/value heads: query heads of a group show one value. RoPE keeps lengths, a key "
        "norm does not.",
    .cite = "gu2025sink",
    .missing_mass = "does not apply",
    .cost = "one pass over the keys",
    .validated = "PyTorch hooks on SmolLM2-135M and lantern-3m",
    .scope = METRIC_HEAD,
    .kinds = KINDS_ALL,
    .axis = AXIS_KEY,
    .params = key_norm_params,
    .prepare = prepare,
    .release = token_values_release,
    .inputs = inputs,
};
