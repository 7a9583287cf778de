#include "analysis/query_mean.h"

static void rows(void *state, const metric_ctx *c, const attn_rows *r)
{
    (void)c;
    query_mean_add(state, r, r->maximum);
}

const metric metric_max = {
    .name = "max",
    .summary = "largest weight of a query",
    .formula = "(1/n) sum_i max_j A[i][j]",
    .definition =
        "sum over all queries i = 0 .. n - 1 of the largest A[i][j], divided by n; the first query, whose "
        "weight is 1 where rows sum to 1, is included",
    .unit = "",
    .range = "0 .. 1",
    .source = "usual summary of peakedness; no single source",
    .reading =
        "Near 1: pointed heads, sinks among them; near 1/n, under a causal mask (1 + 1/2 + .. + 1/n) / n: "
        "diffuse.",
    .traps = "The first queries have few keys and large maxima: on short prompts every head looks pointed.",
    .cite = "attnscope",
    .missing_mass = "rows are taken as they are: a learned sink is no key, never the largest, and lowers the "
                    "weights of the keys",
    .cost = "free (row statistics)",
    .validated = "max of the reference files (two models, nine prompts): 1e-4; "
                 "identities of uniform, identity and pure-sink attention",
    .scope = METRIC_HEAD,
    .need = ATTN_NEED_MAX,
    .kinds = KINDS_ALL,
    .state_size = query_mean_size,
    .rows = rows,
    .merge = query_mean_merge,
    .finish = query_mean_finish,
};
