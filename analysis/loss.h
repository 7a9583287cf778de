/* How well a model predicts a text: the cross-entropy of its tokens, how often the most probable token is the right one,
 * and how sure the model is.  Under the edits of the runtime. */
#ifndef ATTNSCOPE_ANALYSIS_LOSS_H
#define ATTNSCOPE_ANALYSIS_LOSS_H

#include "model/forward.h"

typedef struct loss {
    int64_t n;          /* tokens that were predicted: all but the first, without places of an image */
    double nll;         /* nats, mean of -ln softmax(logits of position i - 1)[token i] */
    double accuracy;    /* share of tokens that have the largest logit; equal logits: the smaller id counts as larger */
    double entropy;     /* nats, mean of the entropy of the predicted distributions */
} loss;

/* Is there a next token to predict?  ERR_USAGE for masked language models, image towers, models without logits. */
int loss_check(const model *m, err *e);

/* One forward pass over in.  each: NULL, or [in->n] of which each[i] is the nll of token i (0 where it is not
 * predicted).  Sums are taken in double in the order of positions.  Refused (ERR_USAGE): a text of a single token. */
int loss_measure(loss *out, double *each, runtime *r, const model *m, const model_input *in, const progress *p, err *e);

/* The id with the largest of logits [n], n >= 1; of equal ones the smaller id. */
int32_t largest_logit(const float *logits, int64_t n);

/* Greedy continuation of ids [n] by steps tokens (fewer where the context ends) into out [steps]; *made: how many.
 * input: what the encoder or the image tower reads, or NULL. */
int greedy_continue(int32_t *out, int64_t *made, runtime *r, const model *m, const model_input *input, const int32_t *ids,
                    int64_t n, int64_t steps, err *e);

#endif
