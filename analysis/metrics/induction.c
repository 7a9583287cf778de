#include <string.h>
#include "analysis/repeats.h"

static const char *const match_choices[] = {"auto", "period", "any", "last", NULL};

static const param induction_params[] = {
    {"induction-match", PARAM_ENUM, "auto", "RULE",
     "earlier occurrences that count: period of a repeated prompt, any, or the last one", 0, 0, match_choices,
     NULL},
    {NULL, PARAM_BOOL, NULL, NULL, NULL, 0, 0, NULL, NULL},
};

static int prepare(metric_ctx *c, err *e)
{
    repeats *r;
    int rc = repeats_new(&r, c->ids, c->n, c->placeholder, e);
    if (rc != 0)
        return rc;
    const char *match = params_str(c->p, "induction-match");
    if (!strcmp(match, "last"))
        r->match = REPEAT_LAST;
    else if (!strcmp(match, "period") || (!strcmp(match, "auto") && r->period > 0))
        r->match = REPEAT_PERIOD;
    else
        r->match = REPEAT_ANY;
    r->shift = 1;
    c->shared = r;
    return 0;
}

const metric metric_induction = {
    .name = "induction",
    .summary = "weight on the token that followed an earlier occurrence of the query's token",
    .formula = "period P: (1/(n - P + 1)) sum_{i >= P - 1} A[i][i - (P - 1)]",
    .definition =
        "period: for a prompt that is a segment of P tokens repeated (one leading token such as BOS put "
        "aside), the mean of A[i][i - (P - 1)] over all queries i = P - 1 .. n - 1, divided by n - P + 1; "
        "no value for other prompts.  any: mean, over the queries i whose token occurred before, of the "
        "sum of A[i][j + 1] over all earlier occurrences j.  last: the same for the last earlier "
        "occurrence alone.  With a window, queries that see none of their keys are left out.  auto: period "
        "for a repeated prompt, any for all others.  No value when no token occurs twice",
    .unit = "",
    .range = "0 .. 1",
    .source = "TransformerLens: period is the diagonal score of its demos, any the pattern of detect_head; "
              "Olsson et al. 2022 (arXiv 2209.11895)",
    .reading =
        "On a random segment that is repeated, clear induction heads stand well above all others, which "
        "lie near 0. Look for a previous-token head in an earlier layer as the partner.",
    .traps =
        "Measure it on repeated random tokens: on prose, `any` also rewards heads that look at frequent "
        "tokens. Weight that a head keeps on a sink is missing here: a good induction head may show half. "
        "Over passes of period P query P - 1 looks at key 0 and has no earlier copy, as published: a pure sink "
        "head scores 1 / (n - P + 1).",
    .cite = "olsson2022,elhage2021,transformerlens",
    .missing_mass = "rows are taken as they are: the share of the whole row, learned sink included",
    .cost = "tiles, chosen cells only",
    .validated = "induction of the reference files (two models): 1e-4; a perfect induction head",
    .scope = METRIC_HEAD,
    .need = ATTN_NEED_PROBS,
    .kinds = KIND_SELF | KIND_ENCODER,
    .by_token = true,
    .params = induction_params,
    .prepare = prepare,
    .release = repeats_release,
    .state_size = query_mean_size,
    .tile = repeats_tile,
    .merge = query_mean_merge,
    .finish = query_mean_finish,
};
