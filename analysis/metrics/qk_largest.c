#include "analysis/spectrum.h"

static const param qk_largest_params[] = {
    {.name = "qk-fold", .kind = PARAM_BOOL, .def = "true",
     .help = "multiply the gains of the norms into the weights"},
    {.name = "qk-center", .kind = PARAM_BOOL, .def = "true",
     .help = "take the mean out of weights that read or write beside a LayerNorm"},
    {.name = NULL},
};

static int weights(metric_ctx *c, const result_sink *out, const progress *p, err *e)
{
    const head_fold fold = {params_bool(c->p, "qk-fold"), params_bool(c->p, "qk-center")};
    return spectrum_weights(c, CIRCUIT_QK, SPECTRUM_LARGEST, fold, 0, out, p, e);
}

const metric metric_qk_largest = {
    .name = "qk_largest",
    .summary = "spectral norm of how a head compares (W_QK)",
    .formula = "s_1 of W_Q W_K^T",
    .definition =
        "Largest singular value of W_QK = W_Q W_K^T: its spectral norm. The matrices are in the units of "
        "the checkpoint: without biases, RoPE and the scale 1 / sqrt(d); grouped heads read the weights of "
        "their key/value head, latent attention is multiplied out. With qk-fold (default) the gains of the "
        "norms are multiplied in, with qk-center (default) the mean over the stream is taken out where a "
        "LayerNorm is read, as TransformerLens has the weights after loading",
    .unit = "",
    .range = "0 ..",
    .source = "singular values of the circuits of Elhage et al. 2021; TransformerLens FactoredMatrix.svd",
    .reading =
        "How sharply the head can compare in its best direction; large values go with peaked attention.",
    .traps =
        "In the units of the checkpoint: compare heads of one model, with the same fold and center. One "
        "direction: the rest is in qk_spectrum.",
    .cite = "elhage2021,transformerlens",
    .missing_mass = "does not apply: weights alone",
    .cost = "two QR decompositions [C, d] and the singular values of [d, d] for each head",
    .scope = METRIC_WEIGHTS,
    .kinds = KINDS_ALL,
    .validated = "analytic matrices and the Gram route on random models, numpy on the bundled model",
    .params = qk_largest_params,
    .weights = weights,
};
