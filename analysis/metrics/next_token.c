#include "analysis/query_mean.h"

static const char *unfit(const model *m, attn_kind kind)
{
    for (int l = 0; l < model_stack(m, kind)->n_layer; l++) {
        const attention_block *b = model_attention(m, kind, l);
        if (b && !b->plan.causal)
            return NULL;
    }
    return "its attention is causal";
}

static bool reads(const metric_ctx *c, const attn_tile *part)
{
    const int64_t first = part->pos0 + part->q0 + 1;
    (void)c;
    return part->k0 < first + part->n_query && part->k0 + part->n_key > first;
}

static void tile(void *state, const metric_ctx *c, const attn_tile *t)
{
    query_mean *s = state;
    (void)c;
    for (int64_t i = 0; i < t->n_query; i++) {
        int64_t q = t->q0 + i, key = t->pos0 + q + 1, from, to;
        attn_tile_visible(t, q, &from, &to);
        if (key < from || key >= to)
            continue;
        s->sum += (double)attn_tile_at(t, q, key);
        s->n++;
    }
}

const metric metric_next_token = {
    .name = "next_token",
    .summary = "weight on the token after the query, without a causal mask",
    .formula = "(1/(n - 1)) sum_i A[i][i + 1]",
    .definition =
        "sum over queries i = 0 .. n - 2 of A[i][i + 1], divided by n - 1; with a window, queries that do "
        "not see the position after them are left out of both.  No value for a prompt of one token and under "
        "a causal mask",
    .unit = "",
    .range = "0 .. 1",
    .source = "Clark et al. 2019 (arXiv 1906.04341), the super-diagonal of its notebook, divided by n "
              "there",
    .reading = "In encoders: heads that look one token ahead, as BERT has them in its first layers.",
    .traps = "Has no value under a causal mask.",
    .cite = "clark2019",
    .missing_mass = "rows are taken as they are: the share of the whole row, learned sink included",
    .cost = "tiles, chosen cells only",
    .scope = METRIC_HEAD,
    .need = ATTN_NEED_PROBS,
    .kinds = KINDS_OWN,
    .unfit = unfit,
    .validated = "second implementation in double on random maps of every mask, and on the maps of reference "
                 "models",
    .state_size = query_mean_size,
    .tile = tile,
    .reads = reads,
    .merge = query_mean_merge,
    .finish = query_mean_finish,
};
