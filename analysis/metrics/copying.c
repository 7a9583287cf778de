#include "analysis/copying.h"

static int weights(metric_ctx *c, const result_sink *out, const progress *p, err *e)
{
    return copying_weights(c, false, out, p, e);
}

const metric metric_copying = {
    .name = "copying",
    .summary = "how much a head copies what it reads (eigenvalues of W_OV)",
    .formula = "Re(sum lambda) / sum |lambda|, lambda of W_OV",
    .definition =
        "Re(sum lambda) / sum |lambda| over the eigenvalues of W_OV = W_V W_O, computed from W_O W_V [d, "
        "d], whose eigenvalues are those that are not 0. 1: all eigenvalues are positive; -1: all are "
        "negative. Grouped heads read the values of their key/value head, latent attention is multiplied "
        "out, biases are left out. With copying-fold (default) the gains of the norms are multiplied in, "
        "with copying-center (default) the mean is taken out of weights beside a LayerNorm and, for the "
        "full circuit, out of the logits, as TransformerLens has the weights after loading",
    .unit = "",
    .range = "-1 .. 1",
    .source =
        "Elhage et al. 2021, A Mathematical Framework for Transformer Circuits; TransformerLens "
        "FactoredMatrix.eigenvalues and its main demo",
    .reading =
        "Near 1: what the head reads it writes back in the same direction, as copying and induction heads "
        "do. Negative: it suppresses what it reads.",
    .traps =
        "In the stream's basis: a head can copy tokens through the vocabulary without it, see "
        "copying_full. Eigenvalues of matrices that are far from normal mislead.",
    .cite = "elhage2021,transformerlens",
    .missing_mass = "does not apply: weights alone",
    .cost = "one product [d, C] x [C, d] and one eigenvalue decomposition [d, d] for each head",
    .scope = METRIC_WEIGHTS,
    .kinds = KINDS_OWN,
    .validated = "full products on random models, numpy on the bundled model",
    .params = copying_params,
    .weights = weights,
};
