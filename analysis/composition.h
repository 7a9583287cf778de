/* Composition scores of pairs of heads (Elhage et al. 2021, "A Mathematical Framework for Transformer Circuits"):
 * |W_OV W|_F / (|W_OV|_F |W|_F), W_OV of a head of an earlier layer, W the circuit of a later one. */
#ifndef ATTNSCOPE_ANALYSIS_COMPOSITION_H
#define ATTNSCOPE_ANALYSIS_COMPOSITION_H

#include "analysis/metric.h"

/* composition-fold, composition-center, composition-baseline */
extern const param composition_params[];

typedef enum composition { COMPOSITION_Q, COMPOSITION_K, COMPOSITION_V } composition;

/* The callback `weights` of the three metrics.  Values: site the later head, position the earlier one (AXIS_HEAD).
 * Memory: one factor of W_OV of every head, L C^2 floats.  Needs c->run. */
int composition_weights(metric_ctx *c, composition which, const result_sink *out, const progress *p, err *e);

#define COMPOSITION_RULES \
    "The sums go over d x d pieces; nothing of size C x C is formed for a pair. RoPE is left out of W_QK, grouped heads " \
    "read the weights of their key/value head, latent attention is multiplied out. With composition-fold (default) the " \
    "gains of the norms are multiplied into the matrices, with composition-center (default) those that read through or " \
    "write beside a LayerNorm have mean 0 over the stream, as TransformerLens has them after loading; without both the " \
    "matrices are those of the file. composition-baseline subtracts 1 / sqrt(C), the root mean square of the score when " \
    "one of the two is turned at random"
#define COMPOSITION_COST "L^2 H^2 products [d, C] x [C, d] in the precision of the run, and L C^2 floats of memory"

#endif
