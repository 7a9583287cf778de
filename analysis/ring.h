/* One prompt whose sequence is split over ranks (base/ranks.h, compute/attention_ring.h): the states of metrics come
 * together on rank 0, in the order of positions, which merges and emits them. */
#ifndef ATTNSCOPE_ANALYSIS_RING_H
#define ATTNSCOPE_ANALYSIS_RING_H

#include "analysis/analyse.h"
#include "base/ranks.h"
#include "model/forward_split.h"

/* analyse() of all ranks together; all call it with the same input and request.  Only rank 0 gives values to out; on
 * others it may be NULL.  All return the same code.  With one rank it is analyse() itself.  *bytes: of keys and values
 * that this rank has sent; may be NULL. */
int analyse_split(runtime *r, const model *m, const model_input *in, const analysis_request *req, const result_sink *out,
                  const progress *p, uint64_t *bytes, err *e);
/* What of a request cannot be measured so, by name: metrics that read more than rows of weights and logits, maps. */
int analyse_split_check(const model *m, const model_input *in, const analysis_request *req, err *e);

/* How positions are shared out: two stretches a rank where every attention is causal, else one. */
sequence_split analyse_split_of(const model *m, int64_t n);

/* ---- for analyse() ---- */

typedef struct ring_gather ring_gather;
/* *out stays NULL where the runtime works alone. */
int ring_gather_new(ring_gather **out, const runtime *r, const analysis_request *req, err *e);
void ring_gather_free(ring_gather *g);
/* Room for the states of one head. */
int ring_gather_reserve(ring_gather *g, size_t stride, err *e);

/* How the states of a head lie in a block of `stride` bytes. */
typedef struct ring_states {
    const metric *const *metrics; /* [n_metric] */
    int n_metric;
    const bool *measured;         /* [n_metric] */
    const metric_ctx *ctx;        /* [n_metric] */
    const size_t *offset;         /* [n_metric] */
    size_t stride;
} ring_states;
/* All ranks, head after head: merge the blocks of a head, [SPLIT_MAX_PIECES * ATTN_MAX_CHUNK] on each rank, in the order of
 * positions.  On rank 0 the merged block, one of chunks; else NULL.  chunks is written to. */
unsigned char *ring_gather_head(ring_gather *g, const ring_states *s, unsigned char *chunks);

/* Where metrics of logits emit what belongs to positions from pos0 on; and, all ranks, give all that to out of rank 0 in
 * the order of positions. */
const result_sink *ring_logits_sink(ring_gather *g, int64_t pos0);
int ring_gather_logits(ring_gather *g, const result_sink *out, err *e);

#endif
