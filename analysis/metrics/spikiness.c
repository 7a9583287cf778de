#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "analysis/query_mean.h"
#include "base/mem.h"

static const char *const forms[] = {"entropy", "peak", NULL};

static const param spikiness_params[] = {
    {"spikiness-form", PARAM_ENUM, "entropy", "FORM",
     "entropy: 1 - normalised entropy; peak: largest weight over the mean weight", 0, 0, forms, NULL},
    {NULL, PARAM_BOOL, NULL, NULL, NULL, 0, 0, NULL, NULL},
};

static int prepare(metric_ctx *c, err *e)
{
    bool *peak = mem_array(1, sizeof(*peak), e);
    if (!peak)
        return ERR_RESOURCE;
    *peak = !strcmp(params_str(c->p, "spikiness-form"), "peak");
    c->shared = peak;
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
    bool peak = *(const bool *)c->shared;
    for (int64_t i = 0; i < r->n_query; i++) {
        int64_t keys = r->visible_hi[i] - r->visible_lo[i];
        if (keys < 2)
            continue;
        s->sum += peak ? (double)r->maximum[i] * (double)keys : 1 - (double)r->entropy[i] / log((double)keys);
        s->n++;
    }
}

static int finish(const void *state, const metric_ctx *c, int layer, int head, const result_sink *out, err *e)
{
    bool peak = *(const bool *)c->shared;
    return query_mean_finish_within(state, c, layer, head, 0, peak ? (double)c->n_key : 1, out, e);
}

const metric metric_spikiness = {
    .name = "spikiness",
    .summary = "how much a query picks out few of its keys",
    .formula = "mean_i (1 - H_i / ln m_i);  peak: mean_i m_i max_j A[i][j]",
    .definition =
        "mean over queries i that see at least two keys, m_i of them.  entropy: 1 - H_i / ln m_i, 0 for "
        "uniform and 1 for one-hot weights.  peak: largest A[i][j] times m_i, that is the largest weight "
        "over the mean weight 1 / m_i: 1 for uniform, m_i for one-hot weights, so that it grows with the "
        "prompt",
    .unit = "",
    .range = "entropy: 0 .. 1; peak: 0 .. n",
    .source = "Zhang et al. 2024 (Hedgehog, arXiv 2402.04347): spiky attention has low entropy; the scaling "
              "to 0 .. 1 and the peak form are this program's",
    .reading = "Near 1: spiky heads, hard to imitate with linear attention.",
    .traps = "The peak form grows with the prompt. Sinks are spiky as well.",
    .cite = "zhang2024hedgehog",
    .missing_mass = "rows are taken as they are: a learned sink lowers the largest weight and the entropy of "
                    "the keys",
    .cost = "free (row statistics)",
    .scope = METRIC_HEAD,
    .need = ATTN_NEED_ENTROPY | ATTN_NEED_MAX,
    .kinds = KINDS_ALL,
    .validated = "second implementation in double on random maps of every mask, and on the maps of reference "
                 "models",
    .params = spikiness_params,
    .prepare = prepare,
    .release = release,
    .state_size = query_mean_size,
    .rows = rows,
    .merge = query_mean_merge,
    .finish = finish,
};
