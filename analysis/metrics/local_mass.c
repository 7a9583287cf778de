#include <stdlib.h>
#include "analysis/query_mean.h"
#include "analysis/tile_lanes.h"
#include "base/mem.h"

static const param local_params[] = {
    {"local-window", PARAM_INT, "16", "W",
     "tokens: keys less than W away from the query, itself included", 1, 9e15, NULL, NULL},
    {NULL, PARAM_BOOL, NULL, NULL, NULL, 0, 0, NULL, NULL},
};

static int prepare(metric_ctx *c, err *e)
{
    int64_t *window = mem_array(1, sizeof(*window), e);
    if (!window)
        return ERR_RESOURCE;
    *window = params_int(c->p, "local-window");
    c->shared = window;
    return 0;
}

static void release(metric_ctx *c)
{
    free(c->shared);
    c->shared = NULL;
}

static bool reads(const metric_ctx *c, const attn_tile *part)
{
    const int64_t window = *(const int64_t *)c->shared, first = part->pos0 + part->q0, last = first + part->n_query - 1;
    return part->k0 < last + window && part->k0 + part->n_key > first - window + 1;
}

static void tile(void *state, const metric_ctx *c, const attn_tile *t)
{
    query_mean *s = state;
    int64_t window = *(const int64_t *)c->shared;
    for (int64_t i = 0; i < t->n_query; i++) {
        int64_t q = t->q0 + i, at = t->pos0 + q, from, to;
        if (!row_sees(t, i))
            continue;
        attn_tile_visible(t, q, &from, &to);
        from = from > at - window + 1 ? from : at - window + 1;
        to = to < at + window ? to : at + window;
        double sum = 0;
        for (int64_t key = from; key < to; key++)
            sum += (double)attn_tile_at(t, q, key);
        s->sum += sum;
        s->n++;
    }
}

const metric metric_local_mass = {
    .name = "local_mass",
    .summary = "mass on the tokens around the query",
    .formula = "mean_i sum_{|i - j| < W} A[i][j]",
    .definition =
        "mean over all queries i of the sum of A[i][j] over the keys with |i - j| < local-window: the query "
        "itself and the window - 1 tokens before it, without a causal mask also those behind it.  Queries "
        "near the start have all their keys in the window and count with 1 where rows sum to 1",
    .unit = "",
    .range = "0 .. 1",
    .source = "mass recall of a sliding window, as in StreamingLLM (arXiv 2309.17453) without its first "
              "tokens",
    .reading =
        "What a sliding window of W keeps. Near 1: the head is local and its cache may be cut. Add "
        "first_k_mass for what sink plus window keep, where the two do not overlap: early queries have the "
        "first keys in both.",
    .traps =
        "Queries nearer to the start than W count with 1: on short prompts the value says nothing. Compare "
        "with uniform attention of the same length.",
    .cite = "xiao2024streaming",
    .missing_mass = "rows are taken as they are: the share of the whole row, learned sink included",
    .cost = "tiles, the cells of the window only",
    .scope = METRIC_HEAD,
    .need = ATTN_NEED_PROBS,
    .kinds = KINDS_OWN,
    .validated = "second implementation in double on random maps of every mask, and on the maps of reference "
                 "models",
    .params = local_params,
    .prepare = prepare,
    .release = release,
    .state_size = query_mean_size,
    .tile = tile,
    .reads = reads,
    .merge = query_mean_merge,
    .finish = query_mean_finish,
};
