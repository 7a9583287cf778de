/* The forward pass, layer by layer, observed.  Memory grows with n: the residual stream [n, C], one
 * layer's q, k, v, and blocks of the MLP and of the logits. */
#ifndef ATTNSCOPE_MODEL_FORWARD_H
#define ATTNSCOPE_MODEL_FORWARD_H

#include "base/pool.h"
#include "base/progress.h"
#include "compute/attention.h"
#include "model/model.h"

/* What goes in; members that the model does not need (model.needs) stay zero.  All belong to the caller. */
typedef struct model_input {
    const int32_t *ids;       /* [n] tokens of the main stack; NULL for a lone image tower */
    int64_t n;
    const int32_t *source;    /* [n_source] text of the encoder */
    int64_t n_source;
    const float *pixels;      /* [channels, height, width], normalised */
    int64_t channels, height, width;
    const float *features;    /* [n_mel, n_frame] log-mel spectrogram */
    int64_t n_mel, n_frame;
} model_input;

/* An attention that is about to run. */
typedef struct attn_site {
    attn_kind kind;
    int layer;
    const attn_plan *plan;
    int64_t n_query, n_key;
} attn_site;

/* Who watches a run.  Any member may be NULL.  Non-zero from a callback stops the run with that code. */
typedef struct observer {
    /* What this attention is to be tapped for; *tap stays NULL for nothing. */
    int (*attention)(void *ud, const model *m, const attn_site *site, const attn_tap **tap, err *e);
    /* Residual stream of a stack (named by the kind of its self attention) after `layer` blocks (0 = what the
     * first block reads): x [n, C]. */
    int (*hidden)(void *ud, attn_kind stack, int layer, const float *x, int64_t n, int64_t width, err *e);
    /* Logits of positions pos0 .. pos0 + n - 1: [n, V].  Computed only when this is set, or for the last
     * position alone when last_logits is.  Never called for a model without logits. */
    int (*logits)(void *ud, int64_t pos0, const float *logits, int64_t n, int64_t vocab, err *e);
    bool last_logits;
    void *ud;
} observer;

typedef struct runtime runtime; /* pool and scratch memory, reusable over prompts of one model */

int runtime_new(runtime **out, const model *m, int threads, precision prec, err *e);
void runtime_free(runtime *r);
int runtime_threads(const runtime *r);

/* Run the input through the model.  Refuses what the model does not take, sequences above a context, and ids
 * outside the vocabulary. */
int forward(runtime *r, const model_input *in, const observer *o, const progress *p, err *e);

/* Lengths of the sequences that an input gives each stack (in the order of attn_kind: main, encoder, cross
 * keys = encoder, vision); what maps and metric states are sized by.  The same checks as forward's. */
typedef struct input_lengths { int64_t main, encoder, vision; } input_lengths;
int input_measure(input_lengths *out, const model *m, const model_input *in, err *e);
/* Queries and keys of an attention. */
int64_t input_queries(const input_lengths *n, const model *m, attn_kind kind);
int64_t input_keys(const input_lengths *n, const model *m, attn_kind kind);

/* Decoding with a key/value cache. */
typedef struct decoder decoder;
/* input: what the encoder or the image tower reads, with the ids of the prompt, which are checked but not fed; NULL
 * where neither reads anything.  r runs nothing else while the decoder is in use. */
int decoder_new(decoder **out, runtime *r, const model_input *input, int64_t max_tokens, err *e);
void decoder_free(decoder *d);
/* Feed n tokens at the next positions; logits [V] of the last one (view, valid until the next call).  A prompt may
 * come in pieces.  With dynamic RoPE keys stay rotated for the length at which they came in, so that beyond the
 * original context pieces and a whole prompt differ, as in the reference implementation.  After an error nothing was
 * used up; where the cache itself was harmed (recurrent states), later calls fail too. */
int decoder_feed(decoder *d, const int32_t *ids, int64_t n, const float **logits, const progress *p, err *e);

/* Bytes that forward() will allocate for n tokens, without the states of metrics and maps: an estimate. */
size_t forward_memory(const model *m, const input_lengths *n, int threads);

#endif
