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
#include "model/forward.h"
#include "model/tokenizer/tokenizer.h"

typedef enum metric_scope {
    METRIC_HEAD,    /* fed by attention; values per layer and head */
    METRIC_LOGITS,  /* fed by logits; layer and head do not apply */
    METRIC_LAYER,   /* fed by streams, sublayers or all heads of a layer; values per layer */
    METRIC_WEIGHTS, /* reads the weights alone, no prompt: measured by `weights`, not by `run` */
} metric_scope;

/* What the position of a value counts. */
typedef enum metric_axis {
    AXIS_NONE,      /* values have no positions */
    AXIS_QUERY,     /* position of a query token */
    AXIS_KEY,       /* position of a key token */
    AXIS_DISTANCE,  /* tokens between query and key */
    AXIS_HEAD,      /* another head: its index over all layers of the kind (head_index) */
    AXIS_LAYER,     /* another layer */
    AXIS_CHANNEL,   /* dimension of the stream, of a head or of the MLP */
    AXIS_RANK,      /* place in a sorted list, from 0 */
    AXIS_LAST = AXIS_RANK
} metric_axis;
extern const char *const metric_axis_names[]; /* "none", "query token", ... */

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
    int64_t image_height, image_width; /* pixels of the image that the model reads; 0: none */
    int n_layer;                /* of the stack */
    attn_kind kind;             /* metrics of logits: of the stack that the logits come from */
    void *shared;               /* what prepare() made; read-only in worker threads; freed by release() */
    const model *model;
    runtime *run;               /* for callbacks on the caller's thread; NULL in tests that feed a metric by hand */
    const tokenizer *tok;       /* NULL: ids alone are known */
} metric_ctx;

/* Index of a head over all layers of its kind of attention, for AXIS_HEAD, and back. */
int64_t head_index(const model *m, attn_kind kind, int layer, int head);
head_id head_of_index(const model *m, attn_kind kind, int64_t index);

struct metric {
    const char *name;           /* as users write it, snake_case */
    const char *summary;        /* one line */
    const char *formula;        /* in one line of plain text, A[i][j] the weight of query i on key j, Z its logit */
    const char *definition;     /* the formula with all that it leaves open: which rows, edges, variants */
    const char *unit;           /* "", "nats", "tokens" */
    const char *range;          /* "0 .. 1" */
    const char *source;         /* paper or reference code */
    const char *reading;        /* how to read the value: what is high, what to compare it with */
    const char *traps;          /* where it misleads */
    const char *cite;           /* keys of analysis/bibliography.h, comma-separated; at least one */
    const char *missing_mass;   /* how rows that do not sum to 1 are treated */
    const char *cost;           /* "free (row statistics)", "tiles" */
    metric_scope scope;
    unsigned need;              /* ATTN_NEED_* */
    unsigned kinds;             /* KIND_*: where it makes sense; elsewhere it is not prepared nor fed.  A metric of
                                 * logits: kinds of the stack that the logits come from */
    bool by_token;              /* reads ids: not for patches and frames either */
    bool by_name;               /* no part of `--metrics all`: refuses prompts of ordinary length */
    bool by_text;               /* reads texts of tokens: without ctx.tok it has no value */
    const char *const *asks;    /* NULL-terminated: options of which one must be given, else it has no value; NULL: none */
    /* Why it makes no sense for this model (static text: "its blocks end in a norm"), NULL where it does.  NULL: it
     * always does where kinds and by_token let it. */
    const char *(*unfit)(const model *m, attn_kind kind);
    metric_axis axis;           /* of the positions that it emits */
    const char *validated;      /* what the definition was held against, or NULL */
    const param *params;        /* NULL or a table; option names carry the metric's name: "sink-keys" */

    /* Check the prompt and parameters, build what all heads share.  A prompt that cannot give a value
     * (no repeated token for induction) is not an error: emit nothing.  On failure nothing stays in
     * c->shared.  NULL: nothing to do. */
    int (*prepare)(metric_ctx *c, err *e);
    void (*release)(metric_ctx *c);

    /* METRIC_HEAD: a zeroed state of this many bytes for each (head, chunk).  rows, when set, sees each
     * block of queries once; tile sees every visible cell once, whole rows at a time, and is called when need has
     * ATTN_NEED_PROBS.  merge adds the next chunk to the chunks before it.  finish emits in increasing
     * position, or nothing when the prompt gave no value. */
    size_t (*state_size)(const metric_ctx *c);
    void (*rows)(void *state, const metric_ctx *c, const attn_rows *r);
    void (*tile)(void *state, const metric_ctx *c, const attn_tile *t);
    bool (*reads)(const metric_ctx *c, const attn_tile *part); /* a cell of part (attn_tap.reads); NULL: all cells */
    void (*merge)(void *into, const void *from, const metric_ctx *c); /* in chunk order */
    int (*finish)(const void *state, const metric_ctx *c, int layer, int head, const result_sink *out,
                  err *e);

    /* Any scope but LOGITS and WEIGHTS, each NULL when not wanted.  On the caller's thread; may keep what they need in
     * c->shared and emit at once.  inputs: queries, keys and values of a layer before its attention runs.  heads: their
     * outputs before the output projection.  hidden, added, inner: of the stack of c->kind, see observer.
     * end: the stack of c->kind is done. */
    int (*inputs)(metric_ctx *c, const attn_args *a, const result_sink *out, err *e);
    int (*heads)(metric_ctx *c, const head_outputs *h, const result_sink *out, err *e);
    int (*hidden)(metric_ctx *c, int layer, const float *x, int64_t n, int64_t width, const result_sink *out, err *e);
    int (*added)(metric_ctx *c, const part_rows *p, const result_sink *out, err *e);
    int (*inner)(metric_ctx *c, const part_rows *p, const result_sink *out, err *e);
    int (*end)(metric_ctx *c, const result_sink *out, err *e);

    /* What compares the heads of a layer: fed with all of them for the same queries (attn_panels).  A zeroed state of
     * panel_size bytes for each chunk; merged in chunk order; emitted before the heads of the layer. */
    size_t (*panel_size)(const metric_ctx *c, int n_head);
    void (*panels)(void *state, const metric_ctx *c, const attn_panels *p);
    void (*panel_merge)(void *into, const void *from, const metric_ctx *c, int n_head);
    int (*panel_finish)(const void *state, const metric_ctx *c, int layer, int n_head, const result_sink *out, err *e);

    /* METRIC_WEIGHTS: kind and n_layer of c are set, lengths are 0. */
    int (*weights)(metric_ctx *c, const result_sink *out, const progress *p, err *e);

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
