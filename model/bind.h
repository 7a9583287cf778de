/* Finding a model's weights among the tensors of its checkpoint. */
#ifndef ATTNSCOPE_MODEL_BIND_H
#define ATTNSCOPE_MODEL_BIND_H

#include "base/err.h"
#include "model/model.h"

/* Names are given as in the family's own files; prefixes that other tools and enclosing models put before them
 * ("transformer.", "model.", "module.", "_orig_mod.", ...) are tried too. */
const checkpoint_tensor *bind_find(const model *m, const char *name);

enum bind_flag {
    BIND_TRANSPOSED = 1, /* stored [n_in, n_out] */
    BIND_OPTIONAL = 2,   /* absent: *out stays zeroed, no error */
    BIND_BIAS = 4,       /* bind_linear: there must be a bias */
    BIND_NO_BIAS = 8,    /* bind_linear: there must be none */
    BIND_PLUS_ONE = 16,  /* bind_norm: weights are stored minus one */
    BIND_ANY_BIAS = 32,  /* bind_norm: the bias may be there or not */
};

/* A linear map: checks the shape (more dimensions than two are flattened: convolutions, stacked experts), takes rows
 * (outputs) first .. first + n_out - 1 of n_total (fused maps).  %d in the name becomes the layer (layer < 0: the name
 * is taken as it is). */
int bind_weight(model *m, weight *out, const char *name, int layer, int64_t n_total, int64_t first, int64_t n_out,
                int64_t n_in, unsigned flags, err *e);
/* A vector as float32, values first .. first + n - 1 of n_total. */
int bind_vector(model *m, const float **out, const char *name, int layer, int64_t n_total, int64_t first, int64_t n,
                unsigned flags, err *e);
/* name.weight and name.bias, cut alike; without BIND_BIAS or BIND_NO_BIAS the bias may be there or not. */
int bind_linear(model *m, weight *out, const char *name, int layer, int64_t n_total, int64_t first, int64_t n_out,
                int64_t n_in, unsigned flags, err *e);
/* Rows in blocks that do not touch: block b of `block` rows begins at stored row b * stride + first (weight.row_block).
 * name.weight and name.bias, as bind_linear. */
int bind_rows(model *m, weight *out, const char *name, int layer, int64_t n_total, int64_t first, int64_t block,
              int64_t stride, int64_t n_out, int64_t n_in, unsigned flags, err *e);
/* Give *out the bias stored [n_total] (from the map's first stored row on), in the order of the map. */
int bind_order_bias(model *m, weight *out, int64_t n_total, const float *stored, err *e);
/* The weights of a norm whose kind is set: name.weight (or .gamma) and, for NORM_LAYER, name.bias (or .beta).
 * Nothing for NORM_NONE.  Flags: BIND_PLUS_ONE, BIND_OPTIONAL (both), BIND_NO_BIAS, BIND_ANY_BIAS. */
int bind_norm(model *m, norm *out, const char *name, int layer, int64_t n, unsigned flags, err *e);
/* Names of experts hold %e where the expert's number goes (and %d for the layer). */
void bind_expert_name(char out[160], const char *pattern, int expert);
/* The checkpoint stores the outputs of *out with the halves of each head of d rows interleaved (see weight.paired);
 * ERR_INPUT for an odd d. */
int bind_paired(model *m, weight *out, int d, err *e);
/* Token embedding and, unless m->tied, the unembedding: both [m->vocab, m->main->width]. */
int bind_vocabulary(model *m, const char *tokens, const char *output, err *e);
/* After binding: refuse tensors that nobody bound and whose name says that they change results. */
int bind_check_unused(const model *m, err *e);
bool bind_has(const model *m, const char *name, int layer);

#endif
