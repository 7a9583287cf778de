/* What analyse.c and analyse_plan.c share: the state of one prompt's measurement. */
#ifndef ATTNSCOPE_ANALYSIS_ANALYSE_PARTS_H
#define ATTNSCOPE_ANALYSIS_ANALYSE_PARTS_H

#include "analysis/analyse.h"
#include "analysis/map.h"
#include "analysis/ring.h"

/* States of different (head, chunk) are written by different threads: no shared cache lines. */
enum { STATE_ALIGN = 64, N_KIND = ATTN_VISION + 1 };

static inline size_t round_state(size_t bytes)
{
    return (bytes + STATE_ALIGN - 1) / STATE_ALIGN * STATE_ALIGN;
}

/* The metrics as one kind of attention sees them. */
typedef struct kind_plan {
    metric_ctx *ctx;        /* [n_metric] */
    bool *measured;         /* [n_metric] a head metric that makes sense here */
    size_t *offset;         /* [n_metric] of the metric's state within the states of a (head, chunk) */
    size_t stride;          /* bytes of all states of a (head, chunk) */
    int in_flight, n_chunk;
    unsigned need;          /* of all that are measured */
} kind_plan;

struct analysis {
    const model *m;
    runtime *run;           /* NULL while a request is only checked */
    const analysis_request *req;
    const result_sink *out;
    kind_plan kinds[N_KIND]; /* ctx NULL: the model, or this input, has no such attention */
    metric_ctx *logits;     /* [n_metric] contexts of the metrics of logits */
    unsigned char *states;  /* [in_flight, n_chunk] blocks of stride bytes, zero when a head begins */
    bool want_logits;
    map_set *maps;          /* NULL when none is asked for */
    const kind_plan *now;   /* of the attention that runs */
    attn_tap tap;
    unsigned char *panel_states; /* [chunks] blocks of panel_stride bytes: of the layer that runs */
    size_t panel_stride, panel_room;
    size_t state_bytes;     /* of states */
    bool inputs, heads, hidden, added, inner, panels; /* what any metric asks to see */
    ring_gather *ring;      /* the sequence is split over ranks; NULL: it is not */
    observer watch;
    input_lengths lengths;
};

/* Prepare the metrics for each kind of attention, lay out and reserve their states; on failure too, tear down. */
int analysis_set_up(analysis *a, const runtime *r, const model_input *in, const input_lengths *n, err *e);
void analysis_tear_down(analysis *a);

#endif
