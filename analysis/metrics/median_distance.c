#include "analysis/query_mean.h"
#include "analysis/tile_lanes.h"

/* 0 * total: weights that are no numbers make the value none, which is an error when it is emitted.
 *
 * Rows that see no key behind their own position.  The keys less than d + 1 away hold half of the mass when those
 * before hold at most half; keys at which the mass before them is at most half are counted from the first one. */
static void look_back(query_mean *s, const attn_tile *t, int64_t first, const double *total)
{
    float buffer[LANES];
    double before[LANES] = {0}, half[LANES];
    int64_t keys[LANES] = {0};
    for (int j = 0; j < LANES; j++)
        half[j] = total[j] / 2;
    for (int64_t key = t->k0; key < t->k0 + t->n_key; key++) {
        const float *p = tile_lanes(buffer, t, first, key);
        for (int j = 0; j < LANES; j++) {
            keys[j] += before[j] <= half[j];
            before[j] += (double)p[j];
        }
    }
    for (int64_t j = 0; j < lanes_used(t, first); j++)
        if (total[j] != 0) {
            s->sum += (double)(t->pos0 + t->q0 + first + j - (t->k0 + keys[j] - 1)) + 0 * total[j];
            s->n++;
        }
}

/* Query i of the tile, keys on both sides. */
static void look_around(query_mean *s, const attn_tile *t, int64_t i, double total)
{
    int64_t q = t->q0 + i, at = t->pos0 + q, from, to, d = 0;
    double within = 0;
    attn_tile_visible(t, q, &from, &to);
    for (;; d++) {
        if (at - d >= from && at - d < to)
            within += (double)attn_tile_at(t, q, at - d);
        if (d > 0 && at + d >= from && at + d < to)
            within += (double)attn_tile_at(t, q, at + d);
        if (within >= total / 2 || (at - d <= from && at + d >= to - 1))
            break;
    }
    s->sum += (double)d + 0 * total;
    s->n++;
}

static void tile(void *state, const metric_ctx *c, const attn_tile *t)
{
    query_mean *s = state;
    (void)c;
    for (int64_t first = 0; first < t->n_query; first += LANES) {
        double total[LANES];
        bool causal = true;
        int64_t n = lanes_used(t, first);
        lanes_sum(total, t, first, t->k0, t->k0 + t->n_key);
        for (int64_t j = 0; j < n; j++)
            causal &= t->visible_hi[first + j] <= t->pos0 + t->q0 + first + j + 1;
        if (causal)
            look_back(s, t, first, total);
        for (int64_t j = 0; j < n && !causal; j++)
            if (total[j] != 0)
                look_around(s, t, first + j, total[j]);
    }
}

const metric metric_median_distance = {
    .name = "median_distance",
    .summary = "within how many tokens half of a query's attention lies",
    .formula = "mean_i min{d : sum_{|i - j| <= d} A[i][j] >= (1/2) sum_j A[i][j]}",
    .definition =
        "mean over queries i of the smallest d for which the keys with |i - j| <= d hold at least half of "
        "the sum of row i; the first causal query has 0 and is included",
    .unit = "tokens",
    .range = "0 .. n - 1",
    .source = "weighted median of the distance of Dosovitskiy et al. 2021 (arXiv 2010.11929); no single "
              "source",
    .reading =
        "The reach that half of the attention needs. Not moved by a small weight far away, as distance is.",
    .traps = "With more than half of the weight on a sink it is the distance to the sink.",
    .cite = "dosovitskiy2021,attnscope",
    .missing_mass = "half of the mass that the keys have: a learned sink's share is left aside, and a row "
                    "without any weight is left out",
    .cost = "tiles",
    .scope = METRIC_HEAD,
    .need = ATTN_NEED_PROBS,
    .kinds = KINDS_OWN,
    .validated = "second implementation in double on random maps of every mask, and on the maps of reference "
                 "models",
    .state_size = query_mean_size,
    .tile = tile,
    .merge = query_mean_merge,
    .finish = query_mean_finish,
};
