#include "analysis/query_mean.h"
#include "analysis/tile_lanes.h"

static void tile(void *state, const metric_ctx *c, const attn_tile *t)
{
    query_mean *s = state;
    (void)c;
    for (int64_t first = 0; first < t->n_query; first += LANES) {
        double sum[LANES];
        lanes_sum(sum, t, first, t->k0, t->k0 + t->n_key);
        for (int64_t j = 0; j < lanes_used(t, first); j++)
            if (row_sees(t, first + j)) {
                s->sum += sum[j];
                s->n++;
            }
    }
}

const metric metric_row_mass = {
    .name = "row_mass",
    .summary = "sum of the weights of a query over its keys",
    .formula = "mean_i sum_j A[i][j]",
    .definition =
        "mean over queries that see any key of sum over keys j of A[i][j].  1 for a softmax over the keys, "
        "to rounding; 1 - weight of the learned sink where there is one; what an intervention leaves when "
        "weights are changed without renormalising",
    .unit = "",
    .range = "0 .. 1",
    .source = "a check, no paper; the missing mass of gpt-oss (its sdpa) and softmax-off-by-one is 1 - "
              "row_mass",
    .reading = "A check. 1 for softmax over keys; less where a learned sink or an edit takes some.",
    .traps = "Nothing to interpret where it is 1: that is how softmax is made.",
    .cite = "attnscope",
    .missing_mass = "this is the mass that is there",
    .cost = "tiles",
    .scope = METRIC_HEAD,
    .need = ATTN_NEED_PROBS,
    .kinds = KINDS_ALL,
    .validated = "second implementation in double on random maps of every mask, and on the maps of reference "
                 "models",
    .state_size = query_mean_size,
    .tile = tile,
    .merge = query_mean_merge,
    .finish = query_mean_finish,
};
