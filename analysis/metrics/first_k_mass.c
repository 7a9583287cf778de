#include <stdlib.h>
#include <string.h>
#include "analysis/query_mean.h"
#include "analysis/tile_lanes.h"
#include "base/mem.h"

static const char *const forms[] = {"share", "boost", NULL};

static const param first_params[] = {
    {"first-keys", PARAM_INT, "4", "K", "how many keys at the start", 1, 9e15, NULL, NULL},
    {"first-rows", PARAM_INT, "0", "N",
     "the last N queries alone (64 in sink-profiler); 0: all", 0, 9e15, NULL, NULL},
    {"first-form", PARAM_ENUM, "share", "FORM",
     "share: the mass; boost: over what uniform attention would give", 0, 0, forms, NULL},
    {NULL, PARAM_BOOL, NULL, NULL, NULL, 0, 0, NULL, NULL},
};

typedef struct first_plan {
    int64_t keys, from_query;
    bool boost;
} first_plan;

static int prepare(metric_ctx *c, err *e)
{
    first_plan *f = mem_array(1, sizeof(*f), e);
    if (!f)
        return ERR_RESOURCE;
    int64_t rows = params_int(c->p, "first-rows");
    f->keys = params_int(c->p, "first-keys");
    f->from_query = rows > 0 && rows < c->n ? c->n - rows : 0;
    f->boost = !strcmp(params_str(c->p, "first-form"), "boost");
    c->shared = f;
    return 0;
}

static void release(metric_ctx *c)
{
    free(c->shared);
    c->shared = NULL;
}

static bool reads(const metric_ctx *c, const attn_tile *part)
{
    const first_plan *f = c->shared;
    return part->k0 < f->keys && part->q0 + part->n_query > f->from_query;
}

static void tile(void *state, const metric_ctx *c, const attn_tile *t)
{
    const first_plan *f = c->shared;
    query_mean *s = state;
    for (int64_t i = 0; i < t->n_query; i++) {
        int64_t q = t->q0 + i, from, to, seen = t->visible_hi[i] - t->visible_lo[i];
        if (q < f->from_query || !row_sees(t, i))
            continue;
        attn_tile_visible(t, q, &from, &to);
        to = to < f->keys ? to : f->keys;
        /* Keys at the start that a window hides are not expected to be attended to. */
        if (f->boost && from >= to)
            continue;
        double sum = 0;
        for (int64_t key = from; key < to; key++)
            sum += (double)attn_tile_at(t, q, key);
        s->sum += f->boost ? sum * (double)seen / (double)(to - from) : sum;
        s->n++;
    }
}

const metric metric_first_k_mass = {
    .name = "first_k_mass",
    .summary = "mass on the first keys of the prompt",
    .formula = "mean_i sum_{j < K} A[i][j];  boost: divided by min(K, i + 1) / (i + 1)",
    .definition =
        "share: mean over queries i, all or the last first-rows, of the sum of A[i][j] over keys j < "
        "first-keys.  boost: mean over the same queries of that sum divided by what uniform attention over "
        "the keys that i sees would give: min(K, i + 1) / (i + 1) under a causal mask.  Queries whose window "
        "hides all of the first keys have share 0, and do not count in boost",
    .unit = "",
    .range = "share: 0 .. 1; boost: 0 .. n",
    .source = "sink-profiler, share and boost (over the last 64 queries); the first 4 keys as in "
              "StreamingLLM (arXiv 2309.17453)",
    .reading =
        "Share of attention that a cache of the first K tokens would keep. boost above 1: more than "
        "uniform attention would give them.",
    .traps =
        "Early queries see hardly anything but the first keys and count with almost 1: use first-rows for "
        "the late ones. boost grows with the prompt even where the share stays.",
    .cite = "xiao2024streaming",
    .missing_mass = "rows are taken as they are: the share of the whole row, learned sink included",
    .cost = "tiles, the first columns only",
    .scope = METRIC_HEAD,
    .need = ATTN_NEED_PROBS,
    .kinds = KINDS_ALL,
    .validated = "second implementation in double on random maps of every mask, and on the maps of reference "
                 "models",
    .params = first_params,
    .prepare = prepare,
    .release = release,
    .state_size = query_mean_size,
    .tile = tile,
    .reads = reads,
    .merge = query_mean_merge,
    .finish = query_mean_finish,
};
