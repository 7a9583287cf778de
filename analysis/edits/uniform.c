#include "analysis/edit.h"

static void weights(const edit_use *u, const attn_tile *t, float *probs)
{
    (void)u;
    for (int64_t i = 0; i < t->n_query; i++) {
        int64_t lo = t->visible_lo[i], hi = t->visible_hi[i];
        float even = hi > lo ? (float)(1.0 / (double)(hi - lo)) : 0;
        for (int64_t k = lo; k < hi; k++)
            *edit_cell(t, probs, t->q0 + i, k) = even;
    }
}

const edit edit_uniform = {
    .name = "uniform",
    .summary = "the head looks at all visible keys alike",
    .definition = "weight = 1 / (number of keys that the query sees) on each of them; the output is the running mean of "
                  "the values, nothing goes to a learned sink.  The eager code of Wu et al. and the 1/L of AttentionInfluence "
                  "spread over keys behind the query too, which leaks the future: that is not offered",
    .source = "Wu et al., arXiv 2404.15574 (query 0 in its flash path); Hua et al., arXiv 2505.07293",
    .reading =
        "Takes away where the head looks and keeps that it moves values: what retrieval heads lose is the "
        "choice.",
    .traps =
        "For a head that was nearly uniform nothing changes. It is no removal: the mean of the values "
        "stays.",
    .cite = "wu2024retrieval,hua2025influence",
    .decoding = "the same at every step, over the keys so far",
    .weights = weights,
};
