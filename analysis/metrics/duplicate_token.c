#include <string.h>
#include "analysis/repeats.h"

static const char *const match_choices[] = {"any", "last", "period", NULL};

static const param duplicate_params[] = {
    {"duplicate-match", PARAM_ENUM, "any", "RULE",
     "earlier occurrences that count: any, the last one, or that one period back in a repeated prompt", 0, 0,
     match_choices, NULL},
    {NULL, PARAM_BOOL, NULL, NULL, NULL, 0, 0, NULL, NULL},
};

static int prepare(metric_ctx *c, err *e)
{
    repeats *r;
    int rc = repeats_new(&r, c->ids, c->n, c->placeholder, e);
    if (rc != 0)
        return rc;
    const char *match = params_str(c->p, "duplicate-match");
    r->match = !strcmp(match, "last") ? REPEAT_LAST : !strcmp(match, "period") ? REPEAT_PERIOD : REPEAT_ANY;
    r->shift = 0;
    c->shared = r;
    return 0;
}

const metric metric_duplicate_token = {
    .name = "duplicate_token",
    .summary = "weight on earlier occurrences of the query's token",
    .formula = "mean over i with an earlier copy of sum_{j < i, t_j = t_i} A[i][j]",
    .definition =
        "any: mean, over the queries i whose token occurred before, of the sum of A[i][j] over all earlier "
        "occurrences j.  last: the same for the last earlier occurrence alone.  The query itself is no "
        "occurrence.  With a window, queries that see none of their keys are left out.  No value when no "
        "token occurs twice.  period: for a prompt that is a segment of P tokens repeated (one leading token "
        "such as BOS put aside), the mean of A[i][i - P] over the queries i = P .. n - 1; no value for other "
        "prompts",
    .unit = "",
    .range = "0 .. 1",
    .source = "TransformerLens: any is the duplicate-token pattern of detect_head, period the diagonal score "
              "of its demos",
    .reading =
        "High for heads that look back to earlier copies of the current token, an ingredient of induction "
        "and of name moving. Use prompts with repeats, as the verb induction makes them.",
    .traps =
        "Common words repeat in any text, so a head that likes frequent tokens or punctuation scores too. "
        "Random repeated tokens separate the two.",
    .cite = "transformerlens,wang2023ioi",
    .missing_mass = "rows are taken as they are: the share of the whole row, learned sink included",
    .cost = "tiles, chosen cells only",
    .validated = "a perfect copying head; "
                 "direct evaluation on random dense attention under every cut into tiles",
    .scope = METRIC_HEAD,
    .need = ATTN_NEED_PROBS,
    .kinds = KIND_SELF | KIND_ENCODER,
    .by_token = true,
    .params = duplicate_params,
    .prepare = prepare,
    .release = repeats_release,
    .state_size = query_mean_size,
    .tile = repeats_tile,
    .merge = query_mean_merge,
    .finish = query_mean_finish,
};
