#include "analysis/query_mean.h"

static void rows(void *state, const metric_ctx *c, const attn_rows *r)
{
    (void)c;
    query_mean_add_seeing(state, r, r->prev, 1);
}

const metric metric_prev_token = {
    .name = "prev_token",
    .summary = "weight on the token before the query",
    .formula = "(1/(n - 1)) sum_{i >= 1} A[i][i - 1]",
    .definition =
        "sum over queries i = 1 .. n - 1 of A[i][i - 1], divided by n - 1; with a window, queries that do "
        "not see the position before them are left out of both.  No value for a prompt of one token",
    .unit = "",
    .range = "0 .. 1",
    .source = "Clark et al. 2019 (arXiv 1906.04341), who divide by n instead of n - 1; TransformerLens, the diagonal "
              "score of its demos",
    .reading =
        "Above 0.5: a previous-token head, the first half of an induction circuit; look for an induction "
        "head in a later layer.",
    .traps =
        "Local heads that share their weight over a few neighbours score in between: see distance_profile.",
    .cite = "clark2019,elhage2021,transformerlens",
    .missing_mass = "rows are taken as they are: the share of the whole row, learned sink included",
    .cost = "free (row statistics)",
    .validated = "prev_token of the reference files (two models, nine prompts): 1e-4; "
                 "identities of uniform, identity and pure-sink attention",
    .scope = METRIC_HEAD,
    .need = ATTN_NEED_PREV,
    .kinds = KINDS_OWN,
    .state_size = query_mean_size,
    .rows = rows,
    .merge = query_mean_merge,
    .finish = query_mean_finish,
};
