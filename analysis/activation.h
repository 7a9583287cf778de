/* What metrics of queries, keys, values, head outputs and streams share: lengths of rows in double, what a
 * query sees, and values of tokens that are shown as a mean or one by one. */
#ifndef ATTNSCOPE_ANALYSIS_ACTIVATION_H
#define ATTNSCOPE_ANALYSIS_ACTIVATION_H

#include "analysis/metric.h"

double row_dot(const float *a, const float *b, int64_t n);
double row_norm(const float *x, int64_t n);              /* Euclidean */
/* Cosine; false, and *out untouched, when a row is all zero. */
bool row_cosine(double *out, const float *a, const float *b, int64_t n);

/* Query q of an attention sees keys *lo <= key < *hi. */
void attn_visible(const attn_args *a, int64_t q, int64_t *lo, int64_t *hi);

/* y = norm(x), as the model normalises (x itself for NORM_NONE). */
void row_normalise(float *y, const norm *n, const float *x, int64_t width);

/* Items over the threads of r; r NULL: one after the other, as thread 0.  ERR_CANCELLED, or 0. */
int share_out(runtime *r, int64_t n_item, pool_fn fn, void *ud, err *e);
int share_threads(const runtime *r);

/* A key that an option names: *key counts from 0 (negative in the option: from the end). *there false:
 * this attention is shorter, but another of the prompt is not. */
int key_option(int64_t *key, bool *there, const metric_ctx *c, const char *option, err *e);

/* A value for each of n tokens, and which of them are shown. */
typedef enum token_pick { PICK_MEAN, PICK_FIRST, PICK_REST, PICK_RATIO, PICK_EACH } token_pick;
extern const char *const token_pick_choices[]; /* "mean", "first", "rest", "ratio", "each", NULL */
extern const char token_pick_help[];
typedef struct token_values {
    token_pick pick;
    int64_t n;
    double v[];               /* [n] */
} token_values;
/* c->shared = room for n tokens, shown as the option says. */
int token_values_prepare(metric_ctx *c, const char *option, int64_t n, err *e);
void token_values_release(metric_ctx *c);
/* mean: of all. first: token 0. rest: mean of the others. ratio: first / rest. each: at its position.
 * Nothing where there are no others, or they are 0. */
int token_values_emit(const metric_ctx *c, int layer, int head, const double *v, int64_t n, const result_sink *out,
                      err *e);
/* Lengths of the heads of rows x [n, n_part d] (row stride ld), for each of n_head heads; head h has part
 * h / (n_head / n_part). */
int head_norms_emit(metric_ctx *c, int layer, const float *x, int64_t ld, int64_t n, int n_head, int n_part, int d,
                    const result_sink *out, err *e);

#endif
