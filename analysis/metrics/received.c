#include <stdlib.h>
#include <string.h>
#include "analysis/column_sums.h"
#include "base/mem.h"

static const char *const divisors[] = {"seen", "all", NULL};

static const param received_params[] = {
    {"received-divisor", PARAM_ENUM, "seen", "WHICH",
     "divide by the queries that see the key (alpha), or by all queries (share of all attention)", 0, 0, divisors,
     NULL},
    {NULL, PARAM_BOOL, NULL, NULL, NULL, 0, 0, NULL, NULL},
};

static int prepare(metric_ctx *c, err *e)
{
    bool *all = mem_array(1, sizeof(*all), e);
    if (!all)
        return ERR_RESOURCE;
    *all = !strcmp(params_str(c->p, "received-divisor"), "all");
    c->shared = all;
    return 0;
}

static void release(metric_ctx *c)
{
    free(c->shared);
    c->shared = NULL;
}

static int finish(const void *state, const metric_ctx *c, int layer, int head, const result_sink *out, err *e)
{
    const column_sums *s = state;
    bool all = *(const bool *)c->shared;
    int rc = 0;
    for (column at = column_first(); !rc && column_next(&at, s);)
        if (at.seen > 0)
            rc = metric_emit(c, out, layer, head, at.key, at.sum / (double)(all ? s->n_query : at.seen), e);
    return rc;
}

const metric metric_received = {
    .name = "received",
    .summary = "attention that every key receives (alpha of each position)",
    .formula = "alpha_k = sum_i A[i][k] / (number of queries that see k)",
    .definition =
        "seen: alpha_k = sum over queries i of A[i][k], divided by the number of queries that see key k: n - "
        "k under a causal mask (query k itself included), at most the window where there is one, n without a "
        "mask.  all: the same sum divided by the number of all queries, so that the values of a head add up "
        "to its mean row mass.  Keys that no query sees have no value.  The last causal keys are seen by few "
        "queries: their alpha is noisy.  A key is an attention outlier of An et al. 2025 when `all`, "
        "averaged over the heads of a layer, is at least 0.1",
    .unit = "",
    .range = "0 .. 1",
    .source = "Gu et al. 2024 (arXiv 2410.10781), equation 7; all: An et al. 2025 (arXiv 2502.06415), column "
              "sums",
    .reading =
        "The profile of a prompt: a tall first key is the sink, other peaks are hidden sinks. Uniform "
        "causal attention falls slowly from the first key; plot position_curve draws it beside.",
    .traps =
        "Late keys are means over few queries and jump. With `all` early keys are favoured, because more "
        "queries see them.",
    .cite = "gu2025sink,an2025outliers",
    .missing_mass = "rows are taken as they are: a learned sink is no key, its share lowers every alpha",
    .cost = "sums of columns: O(n) memory a head and chunk",
    .scope = METRIC_HEAD,
    .need = ATTN_NEED_COLUMNS,
    .kinds = KINDS_ALL,
    .axis = AXIS_KEY,
    .validated = "column means of a worked 4 x 4 matrix; second implementation in double on random maps of "
                 "every mask, and on the maps of reference models",
    .params = received_params,
    .prepare = prepare,
    .release = release,
    .state_size = column_sums_size,
    .rows = column_sums_rows,
    .merge = column_sums_merge,
    .finish = finish,
};
