/* Attention followed through the layers (Abnar and Zuidema 2020, "Quantifying Attention Flow in Transformers").
 *
 * B_l = M_l + I with rows divided by their sums, M_l the mean over the heads of layer l: (M_l + I) / 2 where the rows of
 * M_l sum to 1.  Without residual: M_l with rows divided by their sums.  Row: output position, column: input position. */
#ifndef ATTNSCOPE_ANALYSIS_ROLLOUT_H
#define ATTNSCOPE_ANALYSIS_ROLLOUT_H

#include "analysis/kept_attention.h"

/* r [n] <- r B_l.  The same bits for every number of threads; memory O(n) a thread and head in work. */
int rollout_step(runtime *run, const attn_args *a, bool residual, double *r, err *e);
/* The same for heads that attend uniformly to all keys that they see. */
int rollout_uniform_step(const attn_args *a, bool residual, double *r, err *e);
/* B_l itself: b [n, n], n the queries of a. */
int rollout_matrix(runtime *run, const attn_args *a, bool residual, float *b, err *e);

/* Output positions from an option: "auto" (the last of a causal stack, else the first: a class token), "all", or
 * positions, negative ones from the end.  out [n] with 1 / (number of positions) at each.  ERR_USAGE names the option. */
int rollout_outputs(double *out, const metric_ctx *c, const char *option, err *e);

#endif
