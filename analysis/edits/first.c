#include "analysis/edit.h"

static void weights(const edit_use *u, const attn_tile *t, float *probs)
{
    (void)u;
    for (int64_t i = 0; i < t->n_query; i++)
        for (int64_t k = t->visible_lo[i]; k < t->visible_hi[i]; k++)
            *edit_cell(t, probs, t->q0 + i, k) = k == t->visible_lo[i] ? 1.0f : 0.0f;
}

const edit edit_first = {
    .name = "first",
    .summary = "the head looks at the first key only",
    .definition = "weight 1 on the first key that the query sees (key 0, but where a sliding window has left it behind), 0 "
                  "on all others: a head at rest on its sink",
    .source = "dormant heads, Guo et al., arXiv 2410.13835",
    .reading =
        "The head at rest: what stays is what it does to no token in particular. Differs little from the "
        "intact run where the head is a sink anyway.",
    .traps = "Where the value of the first token is not small this adds a constant instead of nothing.",
    .cite = "guo2024dormant",
    .decoding = "the same at every step",
    .weights = weights,
};
