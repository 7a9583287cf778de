/* Activation patching: one activation of a run replaced by that of another, place by place.
 *
 * Denoising runs the corrupted prompt with activations of the clean one, noising the other way round.  The score of a
 * patched run, normalised: (m - m_corrupted) / (m_clean - m_corrupted), so that 1 is as the clean prompt and 0 as the
 * corrupted one, in both directions (TransformerLens, patching.py generic_activation_patch, for denoising). */
#ifndef ATTNSCOPE_ANALYSIS_EXPERIMENTS_PATCH_SWEEP_H
#define ATTNSCOPE_ANALYSIS_EXPERIMENTS_PATCH_SWEEP_H

#include "analysis/patch.h"

typedef enum patch_score {
    SCORE_LOGIT_DIFF,   /* logit of the answer minus the mean logit of the wrong answers */
    SCORE_KL,           /* nats: sum p_clean (ln p_clean - ln p) */
} patch_score;
extern const char *const patch_score_names[]; /* "logit_diff", "kl", NULL */

typedef enum patch_by { PATCH_BY_LAYER, PATCH_BY_POSITION, PATCH_BY_HEAD } patch_by;
extern const char *const patch_by_names[]; /* "layer", "position", "head", NULL */

/* Two prompts of the same length; views. */
typedef struct patch_pair {
    const int32_t *clean, *corrupted;   /* [n] */
    int64_t n;
    int64_t position;                   /* where the logits are read */
    int32_t answer;                     /* ids; -1 and n_wrong 0 for SCORE_KL */
    const int32_t *wrong;               /* [n_wrong] */
    int n_wrong;
} patch_pair;

/* Scores of the two prompts as they are. */
typedef struct patch_base {
    double clean, corrupted;
    double *ln_clean;                   /* [V] log-probabilities of the clean run, SCORE_KL alone; owned */
} patch_base;
void patch_base_free(patch_base *b);
/* The score of logits [V]. */
double patch_score_of(const patch_pair *pair, patch_score score, const patch_base *b, const float *logits, int64_t vocab);
/* (m - corrupted) / (clean - corrupted) */
static inline double patch_recovery(const patch_base *b, double m)
{
    return (m - b->corrupted) / (b->clean - b->corrupted);
}
/* Run both prompts, keeping what keep_clean and keep_corrupted ask for; b: their scores.  ERR_FAILED when the scores
 * do not differ: there is nothing to recover. */
int patch_both(patch_base *b, runtime *r, const model *m, const patch_pair *pair, patch_score score,
               activation *const *keep_clean, int n_clean, activation *const *keep_corrupted, int n_corrupted, err *e);

typedef struct patch_sweep {
    runtime *r;
    const model *m;
    const patch_what *what;             /* [n_what] */
    int n_what;
    patch_by by;
    patch_score score;
    bool noise;
} patch_sweep;

/* Does `by` make sense for all of what?  ERR_USAGE. */
int patch_sweep_check(const patch_sweep *s, err *e);

/* A place and the score of the run that was patched there; head (of k and v: key/value head) and position NO_INDEX: all
 * of them. */
typedef struct patch_site {
    patch_what what;
    int layer, head;
    int64_t position;
    double score;
} patch_site;

/* All places of one layer, in order of what, position, head.  Costs two whole runs (base: their scores), then a run from
 * this layer on for each place; memory: the activations of the layer, [n, C] and [n, H D] each. */
int patch_sweep_layer(const patch_sweep *s, const patch_pair *pair, int layer, patch_base *base,
                      int (*site)(void *ud, const patch_site *at, err *e), void *ud, const progress *p, err *e);

#endif
