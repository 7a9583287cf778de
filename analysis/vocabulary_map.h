/* W_U W_E [C, C]: from the stream to the logits of all tokens and back to their embeddings.  What the full circuits of
 * heads need of the vocabulary, made in one pass over it. */
#ifndef ATTNSCOPE_ANALYSIS_VOCABULARY_MAP_H
#define ATTNSCOPE_ANALYSIS_VOCABULARY_MAP_H

#include "analysis/head_weights.h"
#include "base/pool.h"
#include "base/progress.h"

typedef struct vocabulary_map { int64_t width; double *x; } vocabulary_map;

/* Projections between vocabulary and stream (OPT) are part of it.  fold.gains: so is the gain of the final norm;
 * fold.center: the mean over the vocabulary is taken out of W_U (TransformerLens center_unembed).  Scales are not: one
 * factor for all is no matter to a score.  p (threads) and q may be NULL.  ERR_RESOURCE, ERR_CANCELLED. */
int vocabulary_map_make(vocabulary_map *out, const model *m, pool *p, head_fold fold, const progress *q, err *e);
void vocabulary_map_free(vocabulary_map *v);
/* *rows [n, C] become *rows W_U W_E, in a new block. */
int vocabulary_map_apply(double **rows, const vocabulary_map *v, int64_t n, err *e);

#endif
