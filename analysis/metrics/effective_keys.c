#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "analysis/query_mean.h"
#include "analysis/tile_lanes.h"
#include "base/mem.h"

static const char *const orders[] = {"1", "2", NULL};

static const param effective_params[] = {
    {"effective-order", PARAM_ENUM, "1", "ORDER",
     "1: exponential of the entropy (perplexity); 2: participation ratio, 1 / sum of squares", 0, 0, orders, NULL},
    {NULL, PARAM_BOOL, NULL, NULL, NULL, 0, 0, NULL, NULL},
};

static int prepare(metric_ctx *c, err *e)
{
    bool *squares = mem_array(1, sizeof(*squares), e);
    if (!squares)
        return ERR_RESOURCE;
    *squares = !strcmp(params_str(c->p, "effective-order"), "2");
    c->shared = squares;
    return 0;
}

static void release(metric_ctx *c)
{
    free(c->shared);
    c->shared = NULL;
}

/* Of w = A / m with m = sum A: H(w) = H(A) / m + ln m. */
static void rows(void *state, const metric_ctx *c, const attn_rows *r)
{
    query_mean *s = state;
    if (*(const bool *)c->shared)
        return;
    for (int64_t i = 0; i < r->n_query; i++) {
        double mass = r->sink ? 1 - (double)r->sink[i] : 1;
        if (r->visible_lo[i] >= r->visible_hi[i] || mass <= 0)
            continue;
        s->sum += exp((double)r->entropy[i] / mass + log(mass));
        s->n++;
    }
}

static void tile(void *state, const metric_ctx *c, const attn_tile *t)
{
    query_mean *s = state;
    float buffer[LANES];
    if (!*(const bool *)c->shared)
        return;
    for (int64_t first = 0; first < t->n_query; first += LANES) {
        double sum[LANES] = {0}, square[LANES] = {0};
        for (int64_t key = t->k0; key < t->k0 + t->n_key; key++) {
            const float *p = tile_lanes(buffer, t, first, key);
            for (int j = 0; j < LANES; j++) {
                double w = (double)p[j];
                sum[j] += w;
                square[j] += w * w;
            }
        }
        for (int64_t j = 0; j < lanes_used(t, first); j++)
            if (square[j] != 0) {
                s->sum += sum[j] * sum[j] / square[j];
                s->n++;
            }
    }
}

static int finish(const void *state, const metric_ctx *c, int layer, int head, const result_sink *out, err *e)
{
    return query_mean_finish_within(state, c, layer, head, 1, (double)c->n_key, out, e);
}

const metric metric_effective_keys = {
    .name = "effective_keys",
    .summary = "number of keys that a query spreads over, as if it weighed them alike",
    .formula =
        "mean_i exp(-sum_j w ln w)  (order 1);  mean_i 1 / sum_j w^2  (order 2), w = A[i][j] / sum_j "
        "A[i][j]",
    .definition =
        "with w the weights of query i divided by their sum, 1: mean over queries of exp(-sum over keys of w "
        "ln w), the perplexity of the row (the mean of exponentials, not the exponential of the mean "
        "entropy); 2: mean over queries of 1 / sum over keys of w^2, the participation ratio of the row.  "
        "Hill numbers of order 1 and 2; order 2 is never the larger.  The first causal query counts with 1; "
        "uniform causal attention gives (n + 1) / 2",
    .unit = "keys",
    .range = "1 .. n",
    .source = "Hill 1973 (Ecology 54, 427); order 1 is the exponential of the entropy that Clark et al. 2019 "
              "(arXiv 1906.04341) report",
    .reading =
        "About how many keys a query attends to. 1: a single key; n: all alike. Order 2 leans more on the "
        "largest weights and is the lower one.",
    .traps =
        "It grows with the prompt as visible keys do. A sink with 0.9 of the weight gives little more than "
        "1 although the rest may be spread over all keys.",
    .cite = "hill1973,clark2019",
    .missing_mass = "rows are normalised to sum to 1: 1 by 1 - weight of the learned sink, 2 by the sum of "
                    "the weights; a row without any weight is left out",
    .cost = "1: free (row statistics); 2: tiles",
    .scope = METRIC_HEAD,
    .need = ATTN_NEED_ENTROPY | ATTN_NEED_PROBS,
    .kinds = KINDS_ALL,
    .validated = "perplexity and Frobenius norm of a worked row; second implementation in double on random "
                 "maps of every mask, and on the maps of reference models",
    .params = effective_params,
    .prepare = prepare,
    .release = release,
    .state_size = query_mean_size,
    .rows = rows,
    .tile = tile,
    .merge = query_mean_merge,
    .finish = finish,
};
