#include "analysis/spectrum.h"

static const param qk_rank_params[] = {
    {.name = "qk-fold", .kind = PARAM_BOOL, .def = "true",
     .help = "multiply the gains of the norms into the weights"},
    {.name = "qk-center", .kind = PARAM_BOOL, .def = "true",
     .help = "take the mean out of weights that read or write beside a LayerNorm"},
    {.name = NULL},
};

static int weights(metric_ctx *c, const result_sink *out, const progress *p, err *e)
{
    const head_fold fold = {params_bool(c->p, "qk-fold"), params_bool(c->p, "qk-center")};
    return spectrum_weights(c, CIRCUIT_QK, SPECTRUM_RANK, fold, 0, out, p, e);
}

const metric metric_qk_rank = {
    .name = "qk_rank",
    .summary = "effective rank of how a head compares (W_QK)",
    .formula = "exp(-sum p_i ln p_i), p_i = s_i / sum s",
    .definition =
        "exp(-sum p_i ln p_i) of the singular values of W_QK = W_Q W_K^T divided by their sum. The "
        "matrices are in the units of the checkpoint: without biases, RoPE and the scale 1 / sqrt(d); "
        "grouped heads read the weights of their key/value head, latent attention is multiplied out. With "
        "qk-fold (default) the gains of the norms are multiplied in, with qk-center (default) the mean "
        "over the stream is taken out where a LayerNorm is read, as TransformerLens has the weights after "
        "loading",
    .unit = "",
    .range = "1 .. d",
    .source = "Roy and Vetterli 2007, The effective rank: a measure of effective dimensionality",
    .reading = "How many directions the head compares in, out of d: low ranks mark heads with one simple job.",
    .traps =
        "In the units of the checkpoint: compare heads of one model, with the same fold and center. Small "
        "singular values that are noise raise it.",
    .cite = "roy2007",
    .missing_mass = "does not apply: weights alone",
    .cost = "two QR decompositions [C, d] and the singular values of [d, d] for each head",
    .scope = METRIC_WEIGHTS,
    .kinds = KINDS_ALL,
    .validated = "analytic matrices and the Gram route on random models",
    .params = qk_rank_params,
    .weights = weights,
};
