/* Which sublayers a model can do without: the order in which LLM-Drop (He et al., arXiv 2406.15786) leaves them out, by how
 * little they turn the residual stream over some texts (metrics attention_similarity, mlp_similarity, block_similarity). */
#ifndef ATTNSCOPE_ANALYSIS_EXPERIMENTS_DROP_ORDER_H
#define ATTNSCOPE_ANALYSIS_EXPERIMENTS_DROP_ORDER_H

#include "analysis/edit.h"

typedef enum drop_what { DROP_ATTENTION, DROP_MLP, DROP_BLOCK, DROP_BOTH } drop_what; /* BOTH: attention and MLP in one list */
extern const char *const drop_what_names[]; /* "attention", "mlp", "block", "both", NULL */

typedef struct dropped {
    int layer;
    drop_what part;           /* never DROP_BOTH */
    double similarity;        /* mean over texts of the mean over tokens, when it was chosen */
} dropped;

/* Texts come one after another: get(ud, i, ...) makes text i, done(ud) lets go of it. */
typedef struct drop_texts {
    int64_t n;
    int (*get)(void *ud, int64_t i, const model_input **out, err *e);
    void (*done)(void *ud);
    void *ud;
} drop_texts;

/* The first `most` of the main stack (fewer where there are no more), the most similar first; ties: the lower layer,
 * attention first.  iterative: after each the others are measured again without those that are dropped; else all are
 * measured once.  *out: [*n], free().  The runtime has no edits afterwards. */
int drop_order(dropped **out, int *n, runtime *r, const model *m, const drop_texts *texts, drop_what what, int most,
               bool iterative, const progress *p, err *e);

/* Add the edits that leave out the first n of an order to a plan. */
int drop_plan(edit_plan *plan, const model *m, const dropped *order, int n, err *e);

#endif
