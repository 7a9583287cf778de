#include "analysis/span.h"

static const param span_to_span_params[] = {
    SPAN_NAME_PARAMS("span", "the span of keys"),
    SPAN_NAME_PARAMS("span-from", "the span of queries"),
    SPAN_PARAM_END,
};
static const char *const asks[] = {"span-from-text", "span-from-regex", "span-from-tokens", NULL};

static int prepare(metric_ctx *c, err *e)
{
    key_set from;
    int64_t end;
    int rc = span_prepare(c, e);
    if (rc)
        return rc;
    rc = span_find(&from, &end, c, "span-from", true, e);
    if (rc) {
        span_release(c);
        return rc;
    }
    span *s = c->shared;
    for (int64_t q = 0; q < c->n; q++)
        s->counts[q] = key_set_within(&from, q, q + 1) > 0;
    key_set_free(&from);
    return 0;
}

static void tile(void *state, const metric_ctx *c, const attn_tile *t)
{
    const span *s = c->shared;
    key_set_mean(state, &s->keys, s->counts, false, t);
}

const metric metric_span_to_span = {
    .name = "span_to_span",
    .summary = "weight from the tokens of one span on those of another",
    .formula = "mean_{i in from} sum_{j in span} A[i][j]",
    .definition =
        "mean, over the queries i of the span that span-from-* names and that see any of the span of keys, "
        "of the sum of A[i][j] over the tokens j of the span that span-* names.  The two may overlap or be "
        "the same",
    .unit = "",
    .range = "0 .. 1",
    .source = "own; [SEP] to [SEP] of Clark et al. 2019 (arXiv 1906.04341) for spans of any kind",
    .reading = "How much one passage reads another, as answer to question or pronoun to name.",
    .traps =
        "Under a causal mask only the later span can read the earlier one. A long span of keys collects "
        "more by chance.",
    .cite = "attnscope,clark2019",
    .missing_mass = "rows are taken as they are: the share of the whole row, learned sink included",
    .cost = "tiles, chosen columns only",
    .validated = "second implementation on dense attention and on the maps of the bundled model",
    .scope = METRIC_HEAD,
    .need = ATTN_NEED_PROBS,
    .kinds = KINDS_ALL,
    .asks = asks,
    .params = span_to_span_params,
    .prepare = prepare,
    .release = span_release,
    .state_size = query_mean_size,
    .tile = tile,
    .reads = span_reads,
    .merge = query_mean_merge,
    .finish = query_mean_finish,
};
