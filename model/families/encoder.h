/* What text encoders with a masked-language-model head share. */
#ifndef ATTNSCOPE_MODEL_FAMILIES_ENCODER_H
#define ATTNSCOPE_MODEL_FAMILIES_ENCODER_H

#include "model/families/decoder.h"

/* BERT's arrangement: norms behind attention and MLP, and of the embeddings; bidirectional; no norm at the end. */
int encoder_build(model *m, const decoder_shape *s, err *e);
/* Turn an ordinary stack into an encoder: bidirectional, heads called enc. */
void encoder_mark(model *m);
/* position_embedding_type must be "absolute", is_decoder and add_cross_attention false. */
int encoder_check(const model *m, err *e);
/* Row 0 of the token type table [types, width], which every token of a single sequence gets. */
int encoder_bind_type(model *m, const char *name, int64_t types, int64_t width, err *e);
/* The masked-language-model head: dense, activation, norm, then the token embeddings again with a bias.  Absent
 * (classifiers, bare encoders): the model has no logits. */
typedef struct encoder_head {
    const char *dense, *norm;        /* without ".weight" */
    const char *decoder;             /* without ".weight"; of an untied decoder */
    const char *const *bias;         /* NULL-terminated: where its bias may be */
    act_kind act;
    bool dense_bias;
} encoder_head;
int encoder_bind_head(model *m, const encoder_head *h, int64_t width, float eps, err *e);

#endif
