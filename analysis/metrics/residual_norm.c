#include "analysis/activation.h"

static const param residual_norm_params[] = {
    {"residual-norm-tokens", PARAM_ENUM, "mean", "WHICH", token_pick_help, 0, 0, token_pick_choices, NULL},
    {NULL, PARAM_BOOL, NULL, NULL, NULL, 0, 0, NULL, NULL},
};

static int prepare(metric_ctx *c, err *e)
{
    return token_values_prepare(c, "residual-norm-tokens", c->n, e);
}

static int hidden(metric_ctx *c, int layer, const float *x, int64_t n, int64_t width, const result_sink *out, err *e)
{
    token_values *t = c->shared;
    for (int64_t i = 0; i < n && i < t->n; i++)
        t->v[i] = row_norm(x + i * width, width);
    return token_values_emit(c, layer, NO_INDEX, t->v, n < t->n ? n : t->n, out, e);
}

const metric metric_residual_norm = {
    .name = "residual_norm",
    .summary = "length of the residual stream",
    .formula = "mean_t |h_t|",
    .definition =
        "||h_t||, Euclidean, of the stream that layer l reads; layer 0 reads the embeddings, and what the "
        "last block leaves, before the final norm, counts as one more layer.  mean: over all tokens.  "
        "first: of token 0, at its position.  rest: mean of all others.  ratio: first / rest (the massive "
        "ratio).  each: at its position",
    .unit = "",
    .range = "0 ..",
    .source = "Gu et al. 2024 (arXiv 2410.10781), eval_activations_open_source.py, which takes the last "
              "state after the final norm; the paper says before",
    .reading =
        "Grows with depth in pre-norm models. `ratio` shows the first token: far above 1 in the middle "
        "layers where massive activations live.",
    .traps =
        "Models of other families differ by orders of magnitude: compare shapes. Norms behind blocks "
        "change what is meant.",
    .cite = "gu2025sink",
    .missing_mass = "does not apply",
    .cost = "one pass over the residual stream",
    .validated = "PyTorch hooks on SmolLM2-135M and lantern-3m",
    .scope = METRIC_LAYER,
    .kinds = KINDS_OWN,
    .axis = AXIS_QUERY,
    .params = residual_norm_params,
    .prepare = prepare,
    .release = token_values_release,
    .hidden = hidden,
};
