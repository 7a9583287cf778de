/* Jensen-Shannon divergence between heads, from panels: what the metrics jsd and jsd_layers share.
 *
 * For rows P and Q with mean M it is H(M) - (H(P) + H(Q)) / 2, formed from one sum for each pair of heads
 * (kernels.mixture_sums), exact to 4e-6 nats.  Weight that a row lacks (a learned sink) is one more key that all heads
 * share.  With a key left out its term alone is: terms of single keys are never negative. */
#ifndef ATTNSCOPE_ANALYSIS_HEAD_JSD_H
#define ATTNSCOPE_ANALYSIS_HEAD_JSD_H

#include "analysis/panel_pairs.h"

typedef enum jsd_root { JSD_PLAIN, JSD_ROOT_OF_MEAN, JSD_MEAN_OF_ROOTS } jsd_root;
extern const char *const jsd_units[];  /* "nats", "bits" */
extern const char *const jsd_roots[];  /* "none", "of-mean", "of-rows" */

typedef struct jsd_options {
    bool bits;
    jsd_root root;
    leave_out without;
    double smoothing;      /* w: rows become (1 - w) P + w / keys that the query sees */
} jsd_options;

/* State of a chunk: starts as zeros. */
size_t jsd_state_size(const jsd_options *o, int n_head);
void jsd_block(void *state, const jsd_options *o, const attn_panels *p);
void jsd_merge(void *into, const void *from, int n_head);
/* Of two heads over all queries; false when no query counted. */
bool jsd_between(double *out, const void *state, const jsd_options *o, int n_head, int a, int b);

#endif
