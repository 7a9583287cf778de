#include "analysis/spectrum.h"

static const param ov_largest_params[] = {
    {.name = "ov-fold", .kind = PARAM_BOOL, .def = "true",
     .help = "multiply the gains of the norms into the weights"},
    {.name = "ov-center", .kind = PARAM_BOOL, .def = "true",
     .help = "take the mean out of weights that read or write beside a LayerNorm"},
    {.name = NULL},
};

static int weights(metric_ctx *c, const result_sink *out, const progress *p, err *e)
{
    const head_fold fold = {params_bool(c->p, "ov-fold"), params_bool(c->p, "ov-center")};
    return spectrum_weights(c, CIRCUIT_OV, SPECTRUM_LARGEST, fold, 0, out, p, e);
}

const metric metric_ov_largest = {
    .name = "ov_largest",
    .summary = "spectral norm of what a head writes (W_OV)",
    .formula = "s_1 of W_V W_O",
    .definition =
        "Largest singular value of W_OV = W_V W_O: its spectral norm. The matrices are in the units of the "
        "checkpoint: without biases, RoPE and the scale 1 / sqrt(d); grouped heads read the weights of "
        "their key/value head, latent attention is multiplied out. With ov-fold (default) the gains of the "
        "norms are multiplied in, with ov-center (default) the mean over the stream is taken out where a "
        "LayerNorm is read, as TransformerLens has the weights after loading",
    .unit = "",
    .range = "0 ..",
    .source = "singular values of the circuits of Elhage et al. 2021; TransformerLens FactoredMatrix.svd",
    .reading = "How strongly the head can write in its best direction.",
    .traps =
        "In the units of the checkpoint: compare heads of one model, with the same fold and center. One "
        "direction: the rest is in ov_spectrum.",
    .cite = "elhage2021,transformerlens",
    .missing_mass = "does not apply: weights alone",
    .cost = "two QR decompositions [C, d] and the singular values of [d, d] for each head",
    .scope = METRIC_WEIGHTS,
    .kinds = KINDS_ALL,
    .validated = "analytic matrices and the Gram route on random models, numpy on the bundled model",
    .params = ov_largest_params,
    .weights = weights,
};
