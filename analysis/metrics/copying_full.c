#include "analysis/copying.h"

static int weights(metric_ctx *c, const result_sink *out, const progress *p, err *e)
{
    return copying_weights(c, true, out, p, e);
}

const metric metric_copying_full = {
    .name = "copying_full",
    .summary = "how much a head copies tokens into logits (eigenvalues of W_E W_OV W_U)",
    .formula = "Re(sum lambda) / sum |lambda|, lambda of W_E W_OV W_U",
    .definition =
        "Re(sum lambda) / sum |lambda| over the eigenvalues of the full circuit W_E W_V W_O W_U [V, V] "
        "from token to logits, computed from W_O (W_U W_E) W_V [d, d]. The norm of an embedding (BLOOM) is "
        "left out; projections of the vocabulary (OPT) are in it. 1: all eigenvalues are positive; -1: all "
        "are negative. Grouped heads read the values of their key/value head, latent attention is "
        "multiplied out, biases are left out. With copying-fold (default) the gains of the norms are "
        "multiplied in, with copying-center (default) the mean is taken out of weights beside a LayerNorm "
        "and, for the full circuit, out of the logits, as TransformerLens has the weights after loading",
    .unit = "",
    .range = "-1 .. 1",
    .source =
        "Elhage et al. 2021, A Mathematical Framework for Transformer Circuits; TransformerLens "
        "FactoredMatrix.eigenvalues and its main demo",
    .reading =
        "Near 1: attending to a token raises its logit. Induction and name-mover heads score high, "
        "negative ones lower what they see.",
    .traps =
        "The direct path alone; middle layers that work on other features score near 0. Costs a pass over "
        "the vocabulary.",
    .cite = "elhage2021,transformerlens",
    .missing_mass = "does not apply: weights alone",
    .cost = "one pass over the vocabulary, V C^2, then C^2 d for each head",
    .scope = METRIC_WEIGHTS,
    .kinds = KIND_SELF | KIND_ENCODER,
    .unfit = copying_full_unfit,
    .validated = "full products on random models, numpy on the bundled model",
    .params = copying_params,
    .weights = weights,
};
