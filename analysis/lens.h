/* The logit lens (nostalgebraist 2020): the stream between the layers through the final norm and the unembedding, as if
 * the layers above were not there. */
#ifndef ATTNSCOPE_ANALYSIS_LENS_H
#define ATTNSCOPE_ANALYSIS_LENS_H

#include "analysis/metric.h"

/* The stream at chosen positions before every layer and behind the last. */
typedef struct lens {
    int n_layer;
    int64_t n, width;      /* positions; C, 0 before the first row came */
    int64_t *position;     /* [n] increasing */
    float **x;             /* [n_layer + 1] rows [n, C] or NULL */
} lens;

/* chosen [n_token]: positions with a value above 0. */
int lens_new(lens **out, int n_layer, const double *chosen, int64_t n_token, err *e);
void lens_free(lens *l);
/* The callback `hidden` of an observer. */
int lens_keep(lens *l, int layer, const float *x, int64_t width, err *e);
/* logits [V] of every layer (0: what the first block reads) and position, with the final ones; positions in blocks, in
 * each all layers in order.  Memory: two blocks of logits. */
int lens_each(const lens *l, runtime *r, const model *m,
              int (*row)(void *ud, int layer, int64_t position, const float *logits, const float *final, err *e), void *ud,
              const progress *p, err *e);

/* log(sum exp) of n logits. */
double log_sum_exp(const float *z, int64_t n);

/* ---- the metrics logit_lens... ---- */

extern const param lens_params[]; /* logit-lens-positions, logit-lens-token */
typedef enum lens_value { LENS_PROBABILITY, LENS_LOGIT, LENS_RANK, LENS_ENTROPY, LENS_KL } lens_value;
int lens_prepare(metric_ctx *c, err *e);
void lens_release(metric_ctx *c);
int lens_hidden(metric_ctx *c, int layer, const float *x, int64_t n, int64_t width, const result_sink *out, err *e);
int lens_end(metric_ctx *c, lens_value what, const result_sink *out, err *e);
const char *lens_unfit(const model *m, attn_kind kind);

#define LENS_RULES \
    "The logits of layer l are those that final norm and unembedding make of the stream after l blocks (0: of what the " \
    "first block reads; the last layer: the model's own logits), with the model's scale and cap. The token, where one is " \
    "singled out, follows in the prompt, at the last position none, or is logit-lens-token everywhere; entropy and kl " \
    "need none. Values belong to the position that predicts, and to a layer"
#define LENS_SOURCE "nostalgebraist 2020, interpreting GPT: the logit lens"
#define LENS_COST "the unembedding of every chosen position at every layer: L + 1 times that of nll; (L + 1) n C floats"

#endif
