#include <string.h>
#include "analysis/repeats.h"

static const char *const match_choices[] = {"any", "last", NULL};

static const param duplicate_params[] = {
    {"duplicate-match", PARAM_ENUM, "any", "RULE",
     "earlier occurrences that count: any, or the last one", 0, 0, match_choices, NULL},
    {NULL, PARAM_BOOL, NULL, NULL, NULL, 0, 0, NULL, NULL},
};

static int prepare(metric_ctx *c, err *e)
{
    repeats *r;
    int rc = repeats_new(&r, c->ids, c->n, c->placeholder, e);
    if (rc != 0)
        return rc;
    r->match = !strcmp(params_str(c->p, "duplicate-match"), "last") ? REPEAT_LAST : REPEAT_ANY;
    r->shift = 0;
    c->shared = r;
    return 0;
}

const metric metric_duplicate_token = {
    .name = "duplicate_token",
    .summary = "weight on earlier occurrences of the query's token",
    .definition =
        "any: mean, over the queries i whose token occurred before, of the sum of A[i][j] over all earlier "
        "occurrences j.  last: the same for the last earlier occurrence alone.  The query itself is no "
        "occurrence.  With a window, queries that see none of their keys are left out.  No value when no "
        "token occurs twice",
    .unit = "",
    .range = "0 .. 1",
    .source = "TransformerLens: the duplicate-token pattern of detect_head",
    .missing_mass = "rows are taken as they are: the share of the whole row, learned sink included",
    .cost = "tiles, chosen cells only",
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
