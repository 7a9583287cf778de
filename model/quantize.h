/* A model's weights rounded through a quantised form, for runs that show what quantisation does. */
#ifndef ATTNSCOPE_MODEL_QUANTIZE_H
#define ATTNSCOPE_MODEL_QUANTIZE_H

#include "base/progress.h"
#include "model/model.h"

/* Names as users write them, "none" first; NULL-terminated. */
extern const char *const quantize_names[];

/* Replace the linear maps of all layers, projections and the transform before the unembedding by copies of
 * this form (a name, not "none"), which the model owns: about as many bytes as a file of it would have.
 *
 * As they are stay: norms, biases and everything of one dimension; routers and the gate of a shared expert,
 * positions, convolutions of the delta rule, as llama.cpp's quantiser leaves them; the maps that make a
 * stream of patches or sound; token embeddings and unembedding, unless `embeddings` is set (then they take
 * the same form; llama.cpp's default would give the unembedding a larger one).  A map whose rows are no whole
 * number of blocks stays too: llama.cpp takes another type for it; m->quantized says how many.
 *
 * m->quantized becomes what users are told: "q4_0", "q4_0 with embeddings", "q4_0, 3 of 28 maps as stored".
 * ERR_FAILED when a weight is no finite number or beyond the form's range: the model must then be freed.
 * threads as in pool_new.  Results do not depend on them. */
int model_quantize(model *m, const char *name, bool embeddings, int threads, const progress *p, err *e);

#endif
