/* Edits: what an experiment changes in a run.
 *
 * One file in analysis/edits/ with one `const edit edit_<file name>`, and one line in analysis/sources.mk; the registry,
 * `list edits`, help and the conformance test follow.  An edit_plan is a list of edits with the heads (or layers) that
 * each is for, made into a forward_edits; edits of one place are done in the order of the plan.
 *
 * An edit of weights comes after the softmax, where masked cells are 0 and stay 0.  An edit of outputs comes after the
 * values, and the gate where a model has one, and before the output projection: its bias stays. */
#ifndef ATTNSCOPE_ANALYSIS_EDIT_H
#define ATTNSCOPE_ANALYSIS_EDIT_H

#include "analysis/head_reference.h"
#include "base/param.h"
#include "base/strbuf.h"
#include "model/forward.h"

typedef enum edit_target { EDIT_HEADS, EDIT_LAYERS } edit_target;

typedef struct edit edit;

/* An edit in a plan. */
typedef struct edit_use {
    const edit *kind;
    const head_id *heads;        /* [n_head] owned by the plan; of an edit of layers head is NO_INDEX */
    int n_head;
    params *values;              /* of kind->params, owned by the plan; NULL where the edit has none */
    const head_reference *ref;   /* the caller's, outlives the plan; NULL where the edit needs none */
    bool *mask[4];               /* of each attn_kind: the heads (layers) by their index, owned; NULL: none */
    void *state;                 /* what prepare() made */
} edit_use;

struct edit {
    const char *name;            /* as users write it */
    const char *summary;         /* one line */
    const char *definition;      /* the formula in plain text */
    const char *source;          /* paper or reference code */
    const char *reading;         /* what its effect tells */
    const char *traps;           /* where that misleads */
    const char *cite;            /* keys of analysis/bibliography.h, comma-separated; at least one */
    const char *decoding;        /* how it goes on behind a prompt */
    edit_target target;
    bool needs_reference;        /* outputs of heads over other prompts */
    const param *params;         /* NULL or a table, names without the edit's own; a value without a name is for the first */

    /* Check parameters, keep what the callbacks below need.  On failure nothing stays in u->state.  NULL: nothing to do. */
    int (*prepare)(edit_use *u, const model *m, err *e);
    void (*release)(edit_use *u);

    /* Each NULL when not wanted.
     * measure: before the attention of a layer in which it has heads, on the caller's thread, to run that attention
     * (runtime_attention) where the edit depends on it.
     * weights: a block of queries of one head, all keys that any of them sees; probs are the cells of t->probs.  From
     * worker threads.
     * output: rows [n, width] of one head from position pos0 on, row stride ld.
     * skips: bits 1 << model_part of sublayers that are left out. */
    int (*measure)(edit_use *u, runtime *r, const attn_args *a, err *e);
    void (*weights)(const edit_use *u, const attn_tile *t, float *probs);
    void (*output)(const edit_use *u, head_id head, int64_t pos0, float *o, int64_t n, int64_t ld, int width);
    unsigned skips;
};

extern const edit *const edits[]; /* NULL-terminated, sorted by name */
const edit *edit_find(const char *name); /* NULL when unknown */

/* Values for an edit from "gamma=0.5" texts, or "0.5" for the first parameter; settings: NULL-terminated, NULL: none.
 * *out stays NULL for an edit without parameters.  params_free() it, or give it to a plan.  ERR_USAGE. */
int edit_params(params **out, const edit *kind, const char *const *settings, err *e);

typedef struct edit_plan edit_plan;
int edit_plan_new(edit_plan **out, const model *m, err *e);
void edit_plan_free(edit_plan *p);
void edit_plan_clear(edit_plan *p); /* no edits any more */
/* Add an edit.  heads [n_head]: copied; for edits of layers each stands for its layer.  values: NULL (defaults), or of
 * edit_params, owned by the plan from now on, also when this fails.  ERR_USAGE: heads that the model has not, a missing
 * value or reference, edits that exclude each other. */
int edit_plan_add(edit_plan *p, const edit *kind, const head_id *heads, int n_head, params *values,
                  const head_reference *ref, err *e);
int edit_plan_count(const edit_plan *p);
/* For runtime_set_edits; valid until the plan changes.  NULL when the plan is empty. */
const forward_edits *edit_plan_edits(edit_plan *p);
/* [{"edit":"scale_first","heads":"L3H0,L3H1","gamma":0.5}, ...], layers as "layers":"3,4"; appended. */
void edit_plan_put_json(strbuf *b, const edit_plan *p);

/* For edits: a range of tokens, "3" or "3-7" (both ends count).  False when the text is none. */
bool edit_read_span(int64_t *lo, int64_t *hi, const char *text);

/* For edits of weights: row i of a block has its weights on keys from .. to - 1 multiplied by factor and keeps its sum (a learned
 * sink's share included).  A row that has no weight but theirs stays as it is when factor is 0. */
void edit_scale_keys(const model *m, const attn_tile *t, float *probs, int64_t i, int64_t from, int64_t to, double factor);

static inline float *edit_cell(const attn_tile *t, float *probs, int64_t q, int64_t k)
{
    return probs + (q - t->q0) * t->q_stride + (k - t->k0) * t->k_stride;
}

#endif
