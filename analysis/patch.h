/* Runs whose activations are replaced by those of another run: what activation patching and path patching are made of.
 *
 * The stack is the main one; its attention is self attention (ATTN_SELF or, in encoders, ATTN_ENCODER).  A run may start
 * at a layer: layers before it are left out and the residual stream is put in place, which gives the bits of the whole
 * run at the cost of the layers that are left. */
#ifndef ATTNSCOPE_ANALYSIS_PATCH_H
#define ATTNSCOPE_ANALYSIS_PATCH_H

#include <stdbool.h>
#include <stdint.h>
#include "base/progress.h"
#include "model/forward.h"

typedef enum patch_what {
    PATCH_RESID,     /* residual stream that a layer reads [n, C] */
    PATCH_ATTN_OUT,  /* what attention adds to it [n, C] */
    PATCH_MLP_OUT,   /* what the MLP adds to it [n, C] */
    PATCH_Z,         /* head outputs before the output projection, gated where the model gates [n, H D] */
    PATCH_Q,         /* after norm and RoPE [n, H D] */
    PATCH_K,         /* likewise [n, Hkv D] */
    PATCH_V,         /* [n, Hkv D] */
    PATCH_PATTERN,   /* attention weights, re-formed from q and k of the other run: no array of its own */
    PATCH_WHATS
} patch_what;
extern const char *const patch_what_names[PATCH_WHATS + 1]; /* "resid", ..., NULL */

/* Floats of a position; 0: the layer has no such thing (no attention in a delta-rule layer). */
int64_t activation_width(const model *m, patch_what what, int layer);
/* Heads that the columns belong to: H for z, q and pattern, Hkv for k and v, 1 otherwise; 0 likewise. */
int activation_heads(const model *m, patch_what what, int layer);

/* An activation of one layer over all positions. */
typedef struct activation {
    patch_what what;
    int layer;
    int64_t n, width;
    float *x;            /* [n, width] owned; NULL where width is 0 */
} activation;
/* what: any but PATCH_PATTERN.  activation_free() it. */
int activation_new(activation *out, const model *m, patch_what what, int layer, int64_t n, err *e);
void activation_free(activation *a);

/* Cells that are replaced: positions row0 .. row1 - 1, columns (for PATCH_PATTERN heads) col0 .. col1 - 1. */
typedef struct replacement {
    patch_what what;
    int layer;
    int64_t row0, row1, col0, col1;
    const float *from;   /* [n, width of what]; pattern: the other run's q */
    const float *keys;   /* pattern: the other run's k; NULL otherwise */
} replacement;
/* All positions or one, of all heads or one (NO_INDEX: all), from an activation; pattern: from q and k. */
replacement replace_with(const model *m, patch_what what, const activation *from, const activation *keys, int head,
                         int64_t position);

/* Patterns need the rows that are replaced at once: [heads, rows, n] floats, refused (ERR_RESOURCE) above what is free. */
typedef struct patched_run {
    runtime *r;
    const model *m;
    const int32_t *ids;             /* [n] */
    int64_t n;
    int start;                      /* the first layer that runs; > 0 needs stream */
    const float *stream;            /* [n, C] what layer `start` reads; NULL: from the embeddings */
    const replacement *put;         /* [n_put] */
    int n_put;
    activation *const *keep;        /* [n_keep] filled, as the replacements leave them */
    int n_keep;
    int64_t position;               /* whose logits are wanted */
    float *logits;                  /* [V] or NULL: none */
    float *last;                    /* [C] residual stream at that position after the last layer, or NULL */
} patched_run;
/* Sets the runtime's edits and takes them away again.  Models that read a text alone (ERR_USAGE otherwise). */
int patched_run_do(const patched_run *p, const progress *prog, err *e);

/* Is the model one that can be patched, with logits?  ERR_USAGE with the reason. */
int patch_check_model(const model *m, err *e);

#endif
