#include "analysis/similarity.h"

static const param attention_similarity_params[] = {
    {"attention-similarity-form", PARAM_ENUM, "residual", "FORM",
     "residual: stream before and after; added: what the sublayer reads and what it adds", 0, 0, similarity_forms, NULL},
    {NULL, PARAM_BOOL, NULL, NULL, NULL, 0, 0, NULL, NULL},
};

static int prepare(metric_ctx *c, err *e)
{
    return similarity_prepare(c, SIMILAR_ATTENTION, "attention-similarity-form", e);
}

const metric metric_attention_similarity = {
    .name = "attention_similarity",
    .summary = "cosine of the residual stream before and after the attention of a layer",
    .formula = "mean_t cos(x_t, x_t + f(norm(x_t)))",
    .definition =
        "residual (drop-norm on, what the published settings use): mean over tokens of cos(x, x + "
        "f(norm(x))), x the stream that the attention reads before its norm; with norms behind the sum what "
        "they make of it.  added (drop-norm off): mean of cos(norm(x), f(norm(x))), without the residual.  "
        "f includes a norm, gain or scale of its own output.  Delta-rule layers count as attention, cross "
        "attention has no value.  Tokens of length 0 do not count.  1 minus it is the importance by which "
        "sublayers are dropped",
    .unit = "",
    .range = "-1 .. 1",
    .source = "He et al. 2024 (arXiv 2406.15786), LLM-Drop, layer_drop.py get_layer_similarities",
    .reading =
        "Near 1: the attention hardly turns the stream and the layer may be dropped first. Usually higher "
        "for late layers and for attention than for MLPs.",
    .traps =
        "The first token has a huge norm and counts like any other. A cosine does not say what the turn is "
        "good for: measure the loss with drop.",
    .cite = "he2024drop",
    .missing_mass = "does not apply",
    .cost = "a copy of the residual stream",
    .validated = "PyTorch hooks on SmolLM2-135M and lantern-3m",
    .scope = METRIC_LAYER,
    .kinds = KINDS_OWN,
    .params = attention_similarity_params,
    .prepare = prepare,
    .release = similarity_release,
    .hidden = similarity_hidden,
    .added = similarity_added,
};
