#include "analysis/query_mean.h"

static void rows(void *state, const metric_ctx *c, const attn_rows *r)
{
    (void)c;
    query_mean_add(state, r, r->distance);
}

const metric metric_distance = {
    .name = "distance",
    .summary = "how far a query looks",
    .formula = "(1/n) sum_i sum_j A[i][j] |i - j|",
    .definition =
        "sum over all queries i = 0 .. n - 1 of sum over keys j of A[i][j] |i - j|, divided by n; the "
        "first query has distance 0 and is included.  Uniform causal attention gives (n - 1) / 4",
    .unit = "tokens",
    .range = "0 .. n - 1",
    .source = "mean attention distance of Dosovitskiy et al. 2021 (arXiv 2010.11929), along the text",
    .reading =
        "Small: the head reads its neighbourhood. (n - 1) / 4 is what uniform causal attention gives; "
        "values above it mean that the head looks back to the start, most often to a sink.",
    .traps =
        "A sink on the first key makes a head look far-sighted without it reading anything there: look at "
        "sink beside it, or use median_distance. It grows with the prompt, so compare prompts of one "
        "length.",
    .cite = "dosovitskiy2021",
    .missing_mass = "rows are taken as they are and not renormalised: missing mass counts as distance 0",
    .cost = "free (row statistics)",
    .validated = "distance of the reference files (two models, nine prompts): 1e-4; "
                 "identities of uniform, identity and pure-sink attention",
    .scope = METRIC_HEAD,
    .need = ATTN_NEED_DISTANCE,
    .kinds = KINDS_OWN,
    .state_size = query_mean_size,
    .rows = rows,
    .merge = query_mean_merge,
    .finish = query_mean_finish,
};
