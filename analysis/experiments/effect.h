/* What edits do to what a model can: loss and accuracy on a text, recall of a needle. */
#ifndef ATTNSCOPE_ANALYSIS_EXPERIMENTS_EFFECT_H
#define ATTNSCOPE_ANALYSIS_EXPERIMENTS_EFFECT_H

#include "analysis/edit.h"
#include "analysis/loss.h"
#include "analysis/trials.h"

/* Steps that greedy decoding goes beyond the length of the answer. */
enum { EFFECT_EXTRA_STEPS = 2 };

/* Each runs under the edits of plan (NULL or empty: none) and leaves the runtime without any. */
int effect_on_text(loss *out, runtime *r, const model *m, const model_input *in, edit_plan *plan, const progress *p, err *e);
/* Greedy continuation by as many tokens as the answer has and EFFECT_EXTRA_STEPS more: the share of the distinct tokens
 * of the answer that are among them.  made: NULL, or [t->n_answer + EFFECT_EXTRA_STEPS], *n_made of them used. */
int effect_on_trial(double *recall, int32_t *made, int64_t *n_made, runtime *r, const model *m, const trial *t,
                    edit_plan *plan, err *e);

/* As many heads of each layer (and kind of attention) as heads [n] has there, drawn from those that are not among heads:
 * out [n], in the order of heads.  draw: which of the independent sets of one seed.  ERR_USAGE: a layer has not enough. */
int matched_heads(head_id *out, const model *m, const head_id *heads, int n, uint64_t seed, uint64_t draw, err *e);

#endif
