#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "analysis/query_mean.h"
#include "base/mem.h"

static const char *const single_choices[] = {"leave-out", "zero", NULL};

static const param normalised_params[] = {
    {"entropy-single", PARAM_ENUM, "leave-out", "WHICH",
     "queries that see one key: leave them out, or count them as 0 as Active-Dormant-Attention does", 0, 0,
     single_choices, NULL},
    {NULL, PARAM_BOOL, NULL, NULL, NULL, 0, 0, NULL, NULL},
};

static int prepare(metric_ctx *c, err *e)
{
    bool *zero = mem_array(1, sizeof(*zero), e);
    if (!zero)
        return ERR_RESOURCE;
    *zero = !strcmp(params_str(c->p, "entropy-single"), "zero");
    c->shared = zero;
    return 0;
}

static void release(metric_ctx *c)
{
    free(c->shared);
    c->shared = NULL;
}

static void rows(void *state, const metric_ctx *c, const attn_rows *r)
{
    query_mean *s = state;
    bool zero = *(const bool *)c->shared;
    for (int64_t i = 0; i < r->n_query; i++) {
        int64_t keys = r->visible_hi[i] - r->visible_lo[i];
        if (keys > 1)
            s->sum += (double)r->entropy[i] / log((double)keys);
        s->n += keys > 1 || (keys == 1 && zero);
    }
}

static int finish(const void *state, const metric_ctx *c, int layer, int head, const result_sink *out, err *e)
{
    return query_mean_finish_within(state, c, layer, head, 0, 1, out, e);
}

const metric metric_entropy_normalised = {
    .name = "entropy_normalised",
    .summary = "entropy of a query as a share of the largest that its keys allow",
    .formula = "mean_i H_i / ln(keys that i sees)",
    .definition =
        "mean over queries i of H_i / ln(keys that i sees), H_i as in entropy: ln(i + 1) under a causal "
        "mask, at most ln of the window.  leave-out: queries that see one key, where this is 0 / 0, do not "
        "count; no value when there are no others.  zero: they count as 0, which lowers a causal mean by the "
        "factor (n - 1) / n.  Uniform attention gives 1",
    .unit = "",
    .range = "0 .. 1",
    .source = "Guo et al. 2024 (arXiv 2410.13835), code of Active-Dormant-Attention: entropy.py, row score "
              "(zero)",
    .reading = "0: one key; 1: uniform. Comparable across lengths and, with care, across models.",
    .traps =
        "Early queries with two or three keys count as much as late ones and pull the mean. The published "
        "code counts the first query as 0 (form zero), which lowers values by (n - 1) / n.",
    .cite = "guo2024dormant",
    .missing_mass = "rows are taken as they are and not renormalised, as in entropy",
    .cost = "free (row statistics)",
    .scope = METRIC_HEAD,
    .need = ATTN_NEED_ENTROPY,
    .kinds = KINDS_ALL,
    .validated = "second implementation in double on random maps of every mask, and on the maps of reference "
                 "models",
    .params = normalised_params,
    .prepare = prepare,
    .release = release,
    .state_size = query_mean_size,
    .rows = rows,
    .merge = query_mean_merge,
    .finish = finish,
};
