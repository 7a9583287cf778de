#include "analysis/column_sums.h"

static int finish(const void *state, const metric_ctx *c, int layer, int head, const result_sink *out, err *e)
{
    int64_t key;
    double alpha;
    if (!column_peak(&key, &alpha, state))
        return 0;
    /* An alpha that is no number is an error, not a position. */
    return metric_emit(c, out, layer, head, NO_INDEX, (double)key + 0 * alpha, e);
}

const metric metric_sink_position = {
    .name = "sink_position",
    .summary = "the key that receives most attention",
    .formula = "argmax_k alpha_k",
    .definition =
        "the key position k with the largest alpha_k (see received), the first of equal ones; sink_peak is "
        "that alpha.  Keys near the end are seen by few queries, so for a head without a sink this may be "
        "any of them",
    .unit = "",
    .range = "0 .. n - 1",
    .source = "Gu et al. 2024 (arXiv 2410.10781), section 3: where the sink is; alpha as in its equation 7",
    .reading =
        "0 for most heads of a decoder. Another position that many heads share is a hidden sink: look at "
        "the token.",
    .traps =
        "It always names some key, also where there is no sink: read sink_peak first. A mean over prompts "
        "has no meaning.",
    .cite = "gu2025sink",
    .missing_mass = "rows are taken as they are; a learned sink is no key and never the position",
    .cost = "sums of columns: O(n) memory a head and chunk",
    .scope = METRIC_HEAD,
    .need = ATTN_NEED_COLUMNS,
    .kinds = KINDS_ALL,
    .validated = "second implementation in double on random maps of every mask, and on the maps of reference "
                 "models",
    .state_size = column_sums_size,
    .rows = column_sums_rows,
    .merge = column_sums_merge,
    .finish = finish,
};
