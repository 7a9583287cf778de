/* The forward pass, layer by layer, observed.  Memory grows with n: the residual stream [n, C], one
 * layer's q, k, v, and blocks of the MLP and of the logits. */
#ifndef ATTNSCOPE_MODEL_FORWARD_H
#define ATTNSCOPE_MODEL_FORWARD_H

#include "base/pool.h"
#include "base/progress.h"
#include "compute/attention.h"
#include "model/model.h"

/* Who watches a run.  Any member may be NULL.  Non-zero from a callback stops the run with that code. */
typedef struct observer {
    /* What the attention of this layer is to be tapped for; *tap stays NULL for nothing. */
    int (*attention)(void *ud, const model *m, int layer, int64_t n, const attn_tap **tap, err *e);
    /* Residual stream after `layer` blocks (0 = embeddings): x [n, C]. */
    int (*hidden)(void *ud, int layer, const float *x, int64_t n, int64_t width, err *e);
    /* Logits of positions pos0 .. pos0 + n - 1: [n, V].  Computed only when this is set, or for the last
     * position alone when last_logits is. */
    int (*logits)(void *ud, int64_t pos0, const float *logits, int64_t n, int64_t vocab, err *e);
    bool last_logits;
    void *ud;
} observer;

typedef struct runtime runtime; /* pool and scratch memory, reusable over prompts of one model */

int runtime_new(runtime **out, const model *m, int threads, precision prec, err *e);
void runtime_free(runtime *r);
int runtime_threads(const runtime *r);

/* Run ids [n] through the model.  Refuses n above the context, and ids outside the vocabulary. */
int forward(runtime *r, const int32_t *ids, int64_t n, const observer *o, const progress *p, err *e);

/* Decoding with a key/value cache. */
typedef struct decoder decoder;
int decoder_new(decoder **out, runtime *r, int64_t max_tokens, err *e);
void decoder_free(decoder *d);
/* Feed n tokens at the next positions; logits [V] of the last one (view, valid until the next call). */
int decoder_feed(decoder *d, const int32_t *ids, int64_t n, const float **logits, const progress *p, err *e);

/* Bytes that forward() will allocate for n tokens, without the states of metrics and maps: an estimate. */
size_t forward_memory(const model *m, int64_t n, int threads);

#endif
