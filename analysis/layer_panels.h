/* All heads of all layers side by side: kept attentions, run through together when the stack is done. */
#ifndef ATTNSCOPE_ANALYSIS_LAYER_PANELS_H
#define ATTNSCOPE_ANALYSIS_LAYER_PANELS_H

#include "analysis/kept_attention.h"

/* What takes the blocks: a zeroed state of `bytes` bytes for each chunk. */
typedef struct layer_panels {
    size_t bytes;
    void (*block)(void *state, const void *ud, const attn_panels *p);
    void (*merge)(void *into, const void *from, const void *ud); /* in chunk order */
    const void *ud;
} layer_panels;

/* Heads of all layers of the kind that are run. */
int layer_panels_heads(const model *m, attn_kind kind);
/* ERR_RESOURCE, naming `who`, when queries and keys of all layers and a block of panels for all their heads, a thread
 * each, and `state` bytes a chunk do not fit into the memory that is free. */
int layer_panels_check(const metric_ctx *c, const char *who, size_t state, err *e);
/* Run the layers that were kept, in order; *state: merged, free with mem_free_large.  It stays NULL when none was kept. */
int layer_panels_run(void **state, const layer_panels *l, const kept_attention *k, runtime *r, err *e);

#endif
