/* The product of query and key weights of a head, whose spectral norm bounds its logits. */
#ifndef ATTNSCOPE_ANALYSIS_LOGIT_WEIGHTS_H
#define ATTNSCOPE_ANALYSIS_LOGIT_WEIGHTS_H

#include "analysis/metric.h"

typedef struct logit_norm_options {
    bool with_bias;     /* a bias counts as the weight of one more input that is always 1 */
    bool apart;         /* ||W_Q|| ||W_K|| in place of ||W_Q^T W_K||: what any rotation between them leaves as a bound */
} logit_norm_options;

/* Are the logits of this attention a bilinear form of what it reads (but for RoPE)? Not with latent
 * attention, norms of queries or keys, or clipping. */
bool logits_bilinear(const attention_block *b);
/* norms [n_head]: scale * spectral norm of each head, in double; every query head with the keys of its
 * key/value head. r may be NULL. */
int logit_norms(double *norms, runtime *r, const attention_block *b, logit_norm_options o, err *e);

#endif
