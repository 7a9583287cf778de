#include "analysis/spectrum.h"

static const param qk_spectrum_params[] = {
    {.name = "qk-fold", .kind = PARAM_BOOL, .def = "true",
     .help = "multiply the gains of the norms into the weights"},
    {.name = "qk-center", .kind = PARAM_BOOL, .def = "true",
     .help = "take the mean out of weights that read or write beside a LayerNorm"},
    {.name = "qk-values", .kind = PARAM_INT, .def = "0", .value = "N", .min = 0, .max = 1e6,
     .help = "how many singular values of each head are kept, the largest; 0: all"},
    {.name = NULL},
};

static int weights(metric_ctx *c, const result_sink *out, const progress *p, err *e)
{
    const head_fold fold = {params_bool(c->p, "qk-fold"), params_bool(c->p, "qk-center")};
    return spectrum_weights(c, CIRCUIT_QK, SPECTRUM_ALL, fold, params_int(c->p, "qk-values"), out, p, e);
}

const metric metric_qk_spectrum = {
    .name = "qk_spectrum",
    .summary = "singular values of how a head compares (W_QK)",
    .formula = "s_1 >= s_2 >= ... of W_Q W_K^T",
    .definition =
        "Singular values of W_QK = W_Q W_K^T, largest first; the position is the place in that order, from "
        "0. The matrices are in the units of the checkpoint: without biases, RoPE and the scale 1 / "
        "sqrt(d); grouped heads read the weights of their key/value head, latent attention is multiplied "
        "out. With qk-fold (default) the gains of the norms are multiplied in, with qk-center (default) "
        "the mean over the stream is taken out where a LayerNorm is read, as TransformerLens has the "
        "weights after loading",
    .unit = "",
    .range = "0 ..",
    .source = "singular values of the circuits of Elhage et al. 2021; TransformerLens FactoredMatrix.svd",
    .reading = "A steep fall: few directions matter. A plateau: the head uses its whole width.",
    .traps =
        "In the units of the checkpoint: compare heads of one model, with the same fold and center. "
        "Singular values say nothing of which tokens the directions stand for.",
    .cite = "elhage2021,transformerlens",
    .missing_mass = "does not apply: weights alone",
    .cost = "two QR decompositions [C, d] and the singular values of [d, d] for each head",
    .scope = METRIC_WEIGHTS,
    .kinds = KINDS_ALL,
    .axis = AXIS_RANK,
    .validated = "analytic matrices and the Gram route on random models, numpy on the bundled model",
    .params = qk_spectrum_params,
    .weights = weights,
};
