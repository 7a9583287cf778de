#include <stdlib.h>
#include <string.h>
#include "analysis/column_sums.h"
#include "base/mem.h"

static const char *const key_choices[] = {"most", "each", NULL};

static const param column_params[] = {
    {"column-keys", PARAM_ENUM, "most", "WHICH",
     "the largest of all keys, or each key at its position", 0, 0, key_choices, NULL},
    {NULL, PARAM_BOOL, NULL, NULL, NULL, 0, 0, NULL, NULL},
};

static int prepare(metric_ctx *c, err *e)
{
    bool *each = mem_array(1, sizeof(*each), e);
    if (!each)
        return ERR_RESOURCE;
    *each = !strcmp(params_str(c->p, "column-keys"), "each");
    c->shared = each;
    return 0;
}

static void release(metric_ctx *c)
{
    free(c->shared);
    c->shared = NULL;
}

static int finish(const void *state, const metric_ctx *c, int layer, int head, const result_sink *out, err *e)
{
    double most;
    int rc = 0;
    if (!*(const bool *)c->shared)
        return column_entropy_most(&most, state, c) ? metric_emit(c, out, layer, head, NO_INDEX, most, e) : 0;
    for (column at = column_first(); !rc && column_next(&at, state);)
        if (at.seen > 0)
            rc = metric_emit(c, out, layer, head, at.key, column_entropy(state, c, &at), e);
    return rc;
}

const metric metric_column_entropy = {
    .name = "column_entropy",
    .summary = "how evenly queries share the key that they share most evenly",
    .formula = "C_k = -sum_i q_i ln q_i / ln(queries that see k), q_i = A[i][k] / sum_i A[i][k]",
    .definition =
        "C_k = entropy of the column q_i = A[i][k] / sum over i of A[i][k], divided by ln(number of queries "
        "that see k): n - k under a causal mask.  C_k is 0 for a key that one query sees and for one that "
        "receives nothing.  most: the largest C_k of all keys; each: C_k at position k.  Near 1 for the key "
        "of a pure sink, which all queries attend to alike.  Uniform attention without a mask gives 1",
    .unit = "",
    .range = "0 .. 1",
    .source = "Guo et al. 2024 (arXiv 2410.13835), code of Active-Dormant-Attention: entropy.py, column "
              "score",
    .reading =
        "Near 1 for a key that all later queries attend to alike: the mark of a pure sink. Low for a key "
        "that a few queries single out. Read it beside sink_peak: evenness says nothing of the amount.",
    .traps =
        "A key that receives almost nothing can be received very evenly, so `most` alone does not make a "
        "sink. Keys near the end of a causal prompt are seen by few queries and reach high values by "
        "chance.",
    .cite = "guo2024dormant",
    .missing_mass = "columns are normalised to sum to 1 as they are; rows are not renormalised before",
    .cost = "tiles, a logarithm of every weight: O(n) memory a head and chunk",
    .scope = METRIC_HEAD,
    .need = ATTN_NEED_COLUMNS | ATTN_NEED_PROBS,
    .kinds = KINDS_ALL,
    .axis = AXIS_KEY,
    .validated = "second implementation in double on random maps of every mask, and on the maps of reference "
                 "models",
    .params = column_params,
    .prepare = prepare,
    .release = release,
    .state_size = column_logs_size,
    .rows = column_sums_rows,
    .tile = column_logs_tile,
    .merge = column_logs_merge,
    .finish = finish,
};
