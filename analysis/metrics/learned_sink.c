#include "analysis/query_mean.h"

static const char *unfit(const model *m, attn_kind kind)
{
    for (int l = 0; l < model_stack(m, kind)->n_layer; l++) {
        const attention_block *b = model_attention(m, kind, l);
        if (b && b->sinks)
            return NULL;
    }
    return "it has no learned sinks";
}

static void rows(void *state, const metric_ctx *c, const attn_rows *r)
{
    query_mean *s = state;
    (void)c;
    if (!r->sink)
        return;
    for (int64_t i = 0; i < r->n_query; i++)
        s->sum += (double)r->sink[i];
    s->n += r->n_query;
}

const metric metric_learned_sink = {
    .name = "learned_sink",
    .summary = "weight of the learned sink, where the model has one",
    .formula = "mean_i exp(s) / (exp(s) + sum_j exp(Z[i][j]))",
    .definition =
        "mean over all queries i of exp(s) / (exp(s) + sum over keys j of exp(z_ij)), s the head's learned "
        "sink score and z its scores: the mass that no key receives.  A query that sees no key has 1.  No "
        "value for a head without a learned sink",
    .unit = "",
    .range = "0 .. 1",
    .source = "gpt-oss, gpt_oss/torch/model.py (sdpa)",
    .reading =
        "How much attention the model parks outside of the text. High values replace the sink on the first "
        "token.",
    .traps =
        "Only models with a learned sink logit (gpt-oss) have it. Rows of the map then sum to 1 minus this.",
    .cite = "openai2025gptoss",
    .missing_mass = "this is the mass that is missing; row_mass is the rest",
    .cost = "free (row statistics)",
    .scope = METRIC_HEAD,
    .need = ATTN_NEED_LSE,
    .kinds = KINDS_ALL,
    .unfit = unfit,
    .validated = "worked rows with a sink; second implementation in double on random maps of every mask, and "
                 "on the maps of reference models",
    .state_size = query_mean_size,
    .rows = rows,
    .merge = query_mean_merge,
    .finish = query_mean_finish,
};
