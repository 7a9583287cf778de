/* Metrics: what is measured while attention is at hand.
 *
 * One file in analysis/metrics/ with one `const metric metric_<file name>`, and one line in
 * analysis/sources.mk; the registry, `list metrics`, help, completion and the conformance test follow.
 *
 * A metric must give the same answer for any cut into tiles and chunks.  Sums are kept in double.
 * Masked cells are no zeros: who counts queries or keys counts those that visible_lo/hi let through. */
#ifndef ATTNSCOPE_ANALYSIS_METRIC_H
#define ATTNSCOPE_ANALYSIS_METRIC_H

#include "base/param.h"
#include "base/result.h"
#include "compute/attention.h"

typedef enum metric_scope {
    METRIC_HEAD,    /* fed by attention; values per layer and head */
    METRIC_LOGITS,  /* fed by logits; layer and head do not apply */
} metric_scope;

typedef struct metric metric;

/* Bits of the kinds of attention that a metric makes sense for (struct metric.kinds). */
enum {
    KIND_SELF = 1 << ATTN_SELF,
    KIND_ENCODER = 1 << ATTN_ENCODER,
    KIND_CROSS = 1 << ATTN_CROSS,
    KIND_VISION = 1 << ATTN_VISION,
    KINDS_OWN = KIND_SELF | KIND_ENCODER | KIND_VISION, /* queries and keys are the same sequence */
    KINDS_ALL = KINDS_OWN | KIND_CROSS,
};

/* One metric on one prompt and one kind of attention.  Queries and keys are the same sequence except in
 * cross attention, where the keys are the encoder's. */
typedef struct metric_ctx {
    const metric *m;
    const params *p;            /* holds the metric's own parameters, perhaps among others; never NULL
                                 * for a metric that has a table */
    const int32_t *ids;         /* [n] of the queries; NULL: patches of an image, frames of audio */
    int64_t n;                  /* queries */
    const int32_t *key_ids;     /* [n_key] or NULL likewise */
    int64_t n_key;
    int64_t most_key;           /* of all kinds of attention that are measured; 0: n_key */
    int32_t placeholder;        /* id that stands for a piece of an image in ids; -1: none */
    int n_layer;                /* of the stack */
    attn_kind kind;             /* metrics of logits: of the stack that the logits come from */
    void *shared;               /* what prepare() made; read-only afterwards; freed by release() */
} metric_ctx;

struct metric {
    const char *name;           /* as users write it, snake_case */
    const char *summary;        /* one line */
    const char *definition;     /* the formula in plain text */
    const char *unit;           /* "", "nats", "tokens" */
    const char *range;          /* "0 .. 1" */
    const char *source;         /* paper or reference code */
    const char *missing_mass;   /* how rows that do not sum to 1 are treated */
    const char *cost;           /* "free (row statistics)", "tiles" */
    metric_scope scope;
    unsigned need;              /* ATTN_NEED_* */
    unsigned kinds;             /* KIND_*: where it makes sense; elsewhere it is not prepared nor fed.  A metric of
                                 * logits: kinds of the stack that the logits come from */
    bool by_token;              /* reads ids: not for patches and frames either */
    const param *params;        /* NULL or a table; option names carry the metric's name: "sink-keys" */

    /* Check the prompt and parameters, build what all heads share.  A prompt that cannot give a value
     * (no repeated token for induction) is not an error: emit nothing.  On failure nothing stays in
     * c->shared.  NULL: nothing to do. */
    int (*prepare)(metric_ctx *c, err *e);
    void (*release)(metric_ctx *c);

    /* METRIC_HEAD: a zeroed state of this many bytes for each (head, chunk).  rows, when set, sees each
     * block of queries once; tile sees every visible cell once and is called when need has
     * ATTN_NEED_PROBS.  merge adds the next chunk to the chunks before it.  finish emits in increasing
     * position, or nothing when the prompt gave no value. */
    size_t (*state_size)(const metric_ctx *c);
    void (*rows)(void *state, const metric_ctx *c, const attn_rows *r);
    void (*tile)(void *state, const metric_ctx *c, const attn_tile *t);
    void (*merge)(void *into, const void *from, const metric_ctx *c); /* in chunk order */
    int (*finish)(const void *state, const metric_ctx *c, int layer, int head, const result_sink *out,
                  err *e);

    /* METRIC_LOGITS: logits [n, V] of positions pos0...; may emit at once. */
    int (*logits)(const metric_ctx *c, int64_t pos0, const float *logits, int64_t n, int64_t vocab,
                  const result_sink *out, err *e);
};

extern const metric *const metrics[]; /* NULL-terminated, sorted by name */
const metric *metric_find(const char *name); /* NULL when unknown */
/* Metrics that `run` takes when the user names none. */
extern const char *const metric_defaults; /* comma-separated */

/* Emit one value (layer and head NO_INDEX for metrics of logits).  A value that is not finite means that
 * the model's own numbers were not: ERR_FAILED, nothing is emitted. */
int metric_emit(const metric_ctx *c, const result_sink *out, int layer, int head, int64_t position,
                double value, err *e);

/* The keys of a tile that query q sees: from <= key < to. */
static inline void attn_tile_visible(const attn_tile *t, int64_t q, int64_t *from, int64_t *to)
{
    int64_t lo = t->visible_lo[q - t->q0], hi = t->visible_hi[q - t->q0];
    *from = lo > t->k0 ? lo : t->k0;
    *to = hi < t->k0 + t->n_key ? hi : t->k0 + t->n_key;
}

#endif
