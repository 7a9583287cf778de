#include "analysis/key_set.h"

#include <stdlib.h>
#include <string.h>
#include "base/mem.h"

enum { BLOCK = 64 }; /* queries whose weights are summed side by side */

int key_set_new(key_set *out, const bool *member, int64_t n_key, err *e)
{
    *out = (key_set){.n_key = n_key};
    for (int64_t k = 0; k < n_key; k++)
        out->n += member[k];
    out->key = mem_array((size_t)out->n, sizeof *out->key, e);
    out->below = mem_array((size_t)n_key + 1, sizeof *out->below, e);
    if (!out->key || !out->below) {
        key_set_free(out);
        return ERR_RESOURCE;
    }
    for (int64_t k = 0, n = 0; k < n_key; k++) {
        if (member[k])
            out->key[n++] = k;
        out->below[k + 1] = n;
    }
    return 0;
}

void key_set_free(key_set *s)
{
    free(s->key);
    free(s->below);
    *s = (key_set){0};
}

void key_set_weights(double *w, const key_set *s, const attn_tile *t, int64_t q0, int64_t n)
{
    int64_t end = t->k0 + t->n_key < s->n_key ? t->k0 + t->n_key : s->n_key;
    memset(w, 0, (size_t)n * sizeof *w);
    if (t->k0 >= end)
        return;
    /* masked cells are 0: they may be summed */
    for (int64_t i = s->below[t->k0]; i < s->below[end]; i++) {
        const float *cell = t->probs + (q0 - t->q0) * t->q_stride + (s->key[i] - t->k0) * t->k_stride;
        for (int64_t q = 0; q < n; q++)
            w[q] += (double)cell[q * t->q_stride];
    }
}

bool key_set_in_tile(const key_set *s, const attn_tile *t)
{
    const int64_t end = t->k0 + t->n_key < s->n_key ? t->k0 + t->n_key : s->n_key;
    return key_set_within(s, t->k0, end) > 0;
}

void key_set_mean(query_mean *mean, const key_set *s, const bool *counts, bool any, const attn_tile *t)
{
    double w[BLOCK];
    for (int64_t q0 = t->q0, end = t->q0 + t->n_query; s->n > 0 && q0 < end; q0 += BLOCK) {
        int64_t n = end - q0 < BLOCK ? end - q0 : BLOCK;
        key_set_weights(w, s, t, q0, n);
        for (int64_t i = 0; i < n; i++) {
            int64_t q = q0 + i, lo = t->visible_lo[q - t->q0], hi = t->visible_hi[q - t->q0];
            if (counts && !counts[q])
                continue;
            mean->sum += w[i];
            mean->n += tile_counts(t, q) && (any || key_set_within(s, lo, hi) > 0);
        }
    }
}
