#include "analysis/column_sums.h"

static int finish(const void *state, const metric_ctx *c, int layer, int head, const result_sink *out, err *e)
{
    int64_t key;
    double alpha;
    if (!column_peak(&key, &alpha, state))
        return 0;
    return metric_emit(c, out, layer, head, NO_INDEX, alpha, e);
}

const metric metric_sink_peak = {
    .name = "sink_peak",
    .summary = "largest attention that any key receives",
    .formula = "max_k alpha_k",
    .definition =
        "max over keys k of alpha_k = sum over queries i of A[i][k] / number of queries that see k, the "
        "first key included; sink_position is that k.  At least 1 / n where rows sum to 1",
    .unit = "",
    .range = "0 .. 1",
    .source = "Gu et al. 2024 (arXiv 2410.10781), equation 7; Guo et al. 2024 (arXiv 2410.13835), code: top "
              "column of a head",
    .reading = "The strongest sink wherever it is; sink_position says where.",
    .traps =
        "The last causal keys are seen by one or two queries and can hold the largest alpha of a head "
        "without any sink.",
    .cite = "gu2025sink,guo2024dormant",
    .missing_mass = "rows are taken as they are: a learned sink is no key, its share lowers every alpha",
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
