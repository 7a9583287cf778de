/* The recurrence of the gated delta rule for one head; delta_net.c makes what it reads. */
#ifndef ATTNSCOPE_MODEL_DELTA_RULE_H
#define ATTNSCOPE_MODEL_DELTA_RULE_H

#include <stdint.h>
#include "compute/kernels.h"

enum { DELTA_CHUNK = 64 }; /* tokens that the chunked form takes together */

/* n tokens of one head.  With S [d_key, d_value] the state, for each token
 *   S = exp(decay) S,  S = S + key (beta (value - S^T key))^T,  out = S^T query. */
typedef struct delta_head {
    const kernels *k;
    int d_key, d_value;
    int64_t n;
    const float *query, *key, *value; /* row strides ldq, ldk, ldv */
    int64_t ldq, ldk, ldv;
    const float *beta, *decay; /* [n]; decay <= 0: a logarithm */
    float *out;                /* row stride ldv */
    float *state;              /* [d_key, d_value] */
    float *scratch;            /* [delta_rule_scratch] */
} delta_head;

int64_t delta_rule_scratch(int d_key, int d_value);
/* Token by token: for one or few. */
void delta_rule_steps(const delta_head *h);
/* Chunk by chunk, in products of matrices: as the reference does it for a whole prompt, so that what it
 * rounds is rounded here too (at long sequences the sums of decays matter). */
void delta_rule_chunks(const delta_head *h);

#endif
