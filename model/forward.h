/* The forward pass, layer by layer, observed.  Memory grows with n: the residual stream [n, C], one
 * layer's q, k, v, and blocks of the MLP and of the logits. */
#ifndef ATTNSCOPE_MODEL_FORWARD_H
#define ATTNSCOPE_MODEL_FORWARD_H

#include "base/pool.h"
#include "base/progress.h"
#include "compute/attention.h"
#include "model/model.h"

typedef struct runtime runtime; /* pool and scratch memory, reusable over prompts of one model */

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

/* Outputs of the heads of one attention. */
typedef struct head_outputs {
    attn_kind kind;
    int layer;
    const attn_plan *plan;    /* NULL for a delta-rule layer */
    int64_t n, pos0;          /* rows, and position of the first */
    int64_t width;            /* n_head * d_v */
    const float *heads;       /* [n, width] what the output projection reads */
    const float *ungated;     /* [n, width] before the gate; NULL: the model has none */
} head_outputs;

typedef enum model_part { PART_SELF, PART_CROSS, PART_MLP } model_part;

/* Rows of what a sublayer adds to the residual stream (after its own norm, gain and scale), or of what the down
 * projection of a dense MLP reads. */
typedef struct part_rows {
    attn_kind stack;          /* named by the kind of its self attention */
    int layer;
    model_part part;
    int64_t row, rows;        /* of the n of this pass; they come in order */
    int64_t width;
    const float *x;           /* [rows, width] */
} part_rows;

/* Who watches a run.  Any member may be NULL.  Non-zero from a callback stops the run with that code.  All are called
 * on the caller's thread, but the taps. */
typedef struct observer {
    /* What this attention is to be tapped for; *tap stays NULL for nothing. */
    int (*attention)(void *ud, const model *m, const attn_site *site, const attn_tap **tap, err *e);
    /* Queries, keys and values after norms, clipping and RoPE, right before `attention`: all that attention() takes but
     * the output.  Views that end with the call. */
    int (*inputs)(void *ud, const model *m, const attn_args *args, err *e);
    int (*heads)(void *ud, const head_outputs *h, err *e);
    int (*added)(void *ud, const part_rows *p, err *e);
    int (*inner)(void *ud, const part_rows *p, err *e);
    /* Residual stream of a stack (named by the kind of its self attention) after `layer` blocks (0 = what the
     * first block reads): x [n, C]. */
    int (*hidden)(void *ud, attn_kind stack, int layer, const float *x, int64_t n, int64_t width, err *e);
    /* Logits of positions pos0 .. pos0 + n - 1: [n, V].  Computed only when this is set, or for the last
     * position alone when last_logits is.  Never called for a model without logits. */
    int (*logits)(void *ud, int64_t pos0, const float *logits, int64_t n, int64_t vocab, err *e);
    bool last_logits;
    void *ud;
} observer;

/* Interventions: who changes a run.  Any member may be NULL; the order within a layer is that of the members.  Observers
 * see what the edits leave.  Rows are positions pos0 .. pos0 + n - 1 (pos0 > 0 while decoding). */
typedef struct forward_edits {
    /* The residual stream as layer `layer` reads it (n_run: as the final norm reads it): x [n, C]. */
    int (*residual)(void *ud, attn_kind stack, int layer, int64_t pos0, float *x, int64_t n, int64_t width, err *e);
    /* true: the sublayer is left out, with its norms; attention that is left out has no keys and values either. */
    bool (*skip)(void *ud, attn_kind stack, int layer, model_part part);
    /* Queries [n_query, H D], keys and values after RoPE.  first_key: keys and values before it are those of earlier
     * passes (a cache) and stay as they are. */
    int (*inputs)(void *ud, const attn_args *args, int64_t first_key, float *q, float *k, float *v, err *e);
    /* *edit: what is done to attention weights (compute/attention.h); stays NULL for nothing.  r: to run the attention
     * beforehand (runtime_attention) where an edit depends on it. */
    int (*weights)(void *ud, runtime *r, const attn_args *args, const attn_edit **edit, err *e);
    /* What the output projection reads: heads [h->n, h->width] are the cells of h->heads. */
    int (*heads)(void *ud, const head_outputs *h, float *heads, err *e);
    /* What a sublayer adds: x are the cells of p->x. */
    int (*added)(void *ud, const part_rows *p, int64_t pos0, float *x, err *e);
    void *ud;
} forward_edits;

int runtime_new(runtime **out, const model *m, int threads, precision prec, err *e);
void runtime_free(runtime *r);
int runtime_threads(const runtime *r);
pool *runtime_pool(const runtime *r);
/* Edits of all runs from now on, decoders included; NULL: none.  The caller keeps them. */
void runtime_set_edits(runtime *r, const forward_edits *edits);
/* Run an attention under a tap, outputs thrown away: args as an edit or an observer was given them. */
int runtime_attention(runtime *r, const attn_args *args, const attn_tap *tap, err *e);
/* attention_panels of args kept from observers. */
int runtime_attention_panels(runtime *r, const attn_args *of, int n, void (*block)(void *ud, const attn_panels *p),
                             void *ud, err *e);
/* y [rows, n_out] = x [rows, n_in] through a weight of the model, bias included. */
int runtime_linear(runtime *r, float *y, int64_t ldy, const float *x, int64_t ldx, int64_t rows, const weight *w, err *e);
/* Logits [rows, V] of rows [rows, C] of the residual stream, through final norm and unembedding (the logit lens). */
int runtime_unembed(runtime *r, const float *x, int64_t rows, float *logits, err *e);

/* Run the input through the model.  Refuses what the model does not take, sequences above a context, and ids
 * outside the vocabulary. */
int forward(runtime *r, const model_input *in, const observer *o, const progress *p, err *e);

/* Prompts that share the reading of the weights: they pass side by side, without padding, and what is computed for each is
 * what forward() computes for it alone, bit for bit.  o [n]: who watches each.  Worth it for prompts well below
 * RUNTIME_ROWS tokens; the buffers are those of one prompt of their length together.  Callbacks of the prompts alternate
 * layer by layer; logits come at the end, prompt by prompt. */
int forward_batch(runtime *r, const model_input *const *in, const observer *const *o, int n, const progress *p, err *e);
/* May these pass together?  Text alone (no encoder, image tower, recurrent layers, ranks), and rotary embeddings that do not
 * differ with their lengths.  Edits are made to each. */
bool batch_fits(const runtime *r, const model_input *const *in, int n);
/* Tokens that a batch should hold together: what a pass reads its weights for at a time. */
int64_t batch_tokens(void);

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
/* Who watches the passes from now on; only the members for attention, streams, heads and parts.  Queries of a pass are
 * those that it was fed: positions used .. used + n - 1. */
void decoder_watch(decoder *d, const observer *o);
/* Feed n tokens at the next positions; logits [V] of the last one (view, valid until the next call).  A prompt may
 * come in pieces.  With dynamic RoPE keys stay rotated for the length at which they came in, so that beyond the
 * original context pieces and a whole prompt differ, as in the reference implementation.  After an error nothing was
 * used up; where the cache itself was harmed (recurrent states), later calls fail too. */
int decoder_feed(decoder *d, const int32_t *ids, int64_t n, const float **logits, const progress *p, err *e);

/* Bytes that forward() will allocate for n tokens, without the states of metrics and maps: an estimate. */
typedef struct forward_bytes {
    double activations;       /* the residual stream, one layer's queries, keys, values and head outputs; blocks of the MLP;
                               * tables of positions */
    double scratch;           /* packed operands of attention and of products, and their panels */
    double logits;            /* where they are formed */
} forward_bytes;
forward_bytes forward_memory_parts(const model *m, const input_lengths *n, int threads);
/* All of them together. */
size_t forward_memory(const model *m, const input_lengths *n, int threads);

#endif
