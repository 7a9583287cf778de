#include "analysis/query_mean.h"

static void rows(void *state, const metric_ctx *c, const attn_rows *r)
{
    (void)c;
    query_mean_add_seeing(state, r, r->self, 0);
}

const metric metric_self = {
    .name = "self",
    .summary = "weight on the query's own token",
    .formula = "(1/n) sum_i A[i][i]",
    .definition =
        "sum over all queries i = 0 .. n - 1 of A[i][i], divided by n; the first query, whose weight is 1 "
        "where rows sum to 1, is included",
    .unit = "",
    .range = "0 .. 1",
    .source = "Clark et al. 2019 (arXiv 1906.04341)",
    .reading = "High: the head keeps to its own position and acts like a part of the MLP.",
    .traps = "The first query always counts with 1 under a causal mask, 1/n of the value.",
    .cite = "clark2019",
    .missing_mass = "rows are taken as they are: the share of the whole row, learned sink included",
    .cost = "free (row statistics)",
    .validated = "self of the reference files (two models, nine prompts): 1e-4; "
                 "identities of uniform, identity and pure-sink attention",
    .scope = METRIC_HEAD,
    .need = ATTN_NEED_SELF,
    .kinds = KINDS_OWN,
    .state_size = query_mean_size,
    .rows = rows,
    .merge = query_mean_merge,
    .finish = query_mean_finish,
};
