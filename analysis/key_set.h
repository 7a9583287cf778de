/* A set of keys, and the weight that queries put on it: what metrics of token classes and of spans share. */
#ifndef ATTNSCOPE_ANALYSIS_KEY_SET_H
#define ATTNSCOPE_ANALYSIS_KEY_SET_H

#include "analysis/query_mean.h"

typedef struct key_set {
    int64_t n, n_key;
    int64_t *key;    /* [n] increasing, no two equal */
    int64_t *below;  /* [n_key + 1] keys of the set that lie before key k */
} key_set;

/* From member [n_key].  On failure nothing is held; key_set_free() it. */
int key_set_new(key_set *out, const bool *member, int64_t n_key, err *e);
void key_set_free(key_set *s);

/* How many keys of the set lie in lo <= key < hi (a range of keys that a query sees). */
static inline int64_t key_set_within(const key_set *s, int64_t lo, int64_t hi)
{
    return hi > lo ? s->below[hi] - s->below[lo] : 0;
}

/* The tile in which query q is counted: the one that holds the last key that it sees. */
static inline bool tile_counts(const attn_tile *t, int64_t q)
{
    int64_t lo = t->visible_lo[q - t->q0], hi = t->visible_hi[q - t->q0];
    return hi > lo && hi > t->k0 && hi <= t->k0 + t->n_key;
}

/* w[i] = weight of query q0 + i, i < n, on the keys of the set that lie in the tile. */
void key_set_weights(double *w, const key_set *s, const attn_tile *t, int64_t q0, int64_t n);

/* Does the tile hold a key of the set?  Its probs are not looked at. */
bool key_set_in_tile(const key_set *s, const attn_tile *t);

/* Add the weight on the set of every query q of the tile with counts[q] (NULL: all) to a mean over the
 * queries that see a key of the set; with any, over all that see any key. */
void key_set_mean(query_mean *mean, const key_set *s, const bool *counts, bool any, const attn_tile *t);

#endif
