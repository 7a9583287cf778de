/* Path patching: what the output of one head, changed to what it is on the corrupted prompt, does by way of the inputs of
 * other heads alone (Wang et al., arXiv 2211.00593, section 3.1; Merullo et al., arXiv 2310.08744, code circuit_reuse,
 * patching_utils.py path_patching).
 *
 * Run 1, on the clean prompt: the sender's output is the corrupted one, the output of every other attention is frozen as it
 * was, and the receivers' inputs are recorded.  Run 2, on the clean prompt: the receivers' inputs are the recorded ones.
 * Effect: (m - m_clean) / (m_corrupted - m_clean), so 0 is none and 1 is all of the corruption: the opposite orientation
 * of patch_recovery. */
#ifndef ATTNSCOPE_ANALYSIS_EXPERIMENTS_PATH_PATCH_H
#define ATTNSCOPE_ANALYSIS_EXPERIMENTS_PATH_PATCH_H

#include "analysis/experiments/patch_sweep.h"

typedef enum path_mode {
    PATH_HEADS,   /* attention is frozen; MLPs on the way react (circuit_reuse) */
    PATH_MLPS,    /* MLPs are frozen too */
    PATH_DIRECT,  /* and the receivers' norm keeps the scale of the clean run: what is added to the input is linear in
                   * what the sender adds (circuit_reuse, direct_path_patching.py: delta / ln_scale W_Q) */
} path_mode;
extern const char *const path_mode_names[]; /* "heads", "mlps", "direct", NULL */

typedef struct path_patch {
    runtime *r;
    const model *m;
    const head_id *receivers;   /* [n_receiver] heads of the main stack; n_receiver 0: the logits */
    int n_receiver;
    patch_what input;           /* of the receivers: PATCH_Q, PATCH_K or PATCH_V (k and v: of the key/value head that the
                                 * receiver reads, with whoever shares it) */
    path_mode mode;
    bool everywhere;            /* the sender's output is changed at all positions; false: at pair.position */
    patch_score score;
} path_patch;

/* ERR_USAGE: receivers that are not there, a direct path through what is not linear (norms of q and k, clipped or latent
 * attention, capped or transformed logits). */
int path_patch_check(const path_patch *s, err *e);
/* Layers that can send: 0 .. n - 1, those below the last receiver's. */
int path_senders(const path_patch *s);
static inline double path_effect(const patch_base *b, double m)
{
    return (m - b->clean) / (b->corrupted - b->clean);
}
/* All heads of one layer as senders, in order; sites have what = PATCH_Z and the head's raw score.  Costs two whole runs
 * and for each head two runs from the layer on; memory [n, C] for each later layer, twice with frozen MLPs. */
int path_patch_layer(const path_patch *s, const patch_pair *pair, int layer, patch_base *base,
                     int (*site)(void *ud, const patch_site *at, err *e), void *ud, const progress *p, err *e);

#endif
