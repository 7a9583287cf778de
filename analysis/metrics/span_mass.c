#include "analysis/span.h"

static const param span_mass_params[] = {
    SPAN_NAME_PARAMS("span", "the span of keys"),
    SPAN_ROWS_PARAM,
    SPAN_PARAM_END,
};

typedef struct span_state {
    query_mean mean;
    double row[];    /* [n] for each */
} span_state;

static size_t state_size(const metric_ctx *c)
{
    const span *s = c->shared;
    return sizeof(span_state) + (s->each && s->keys.n > 0 ? (size_t)c->n * sizeof(double) : 0);
}

static void tile(void *state, const metric_ctx *c, const attn_tile *t)
{
    const span *s = c->shared;
    span_state *x = state;
    if (s->keys.n == 0)
        return;
    if (!s->each) {
        key_set_mean(&x->mean, &s->keys, s->counts, false, t);
        return;
    }
    for (int64_t q = t->q0; q < t->q0 + t->n_query; q++) {
        double w;
        if (!s->counts[q])
            continue;
        key_set_weights(&w, &s->keys, t, q, 1);
        x->row[q] += w;
        /* a query without value is told from one of weight 0 */
        if (tile_counts(t, q) &&
            key_set_within(&s->keys, t->visible_lo[q - t->q0], t->visible_hi[q - t->q0]) == 0)
            x->row[q] = -1;
    }
}

static void merge(void *into, const void *from, const metric_ctx *c)
{
    const span *s = c->shared;
    span_state *a = into;
    const span_state *b = from;
    query_mean_merge(&a->mean, &b->mean, c);
    for (int64_t q = 0; s->each && s->keys.n > 0 && q < c->n; q++)
        a->row[q] += b->row[q];
}

static int finish(const void *state, const metric_ctx *c, int layer, int head, const result_sink *out, err *e)
{
    const span *s = c->shared;
    const span_state *x = state;
    int rc = 0;
    if (!s->each || s->keys.n == 0)
        return query_mean_finish(&x->mean, c, layer, head, out, e);
    for (int64_t q = 0; q < c->n && !rc; q++)
        if (s->counts[q] && !(x->row[q] < 0)) /* NaN is an error */
            rc = metric_emit(c, out, layer, head, q, x->row[q], e);
    return rc;
}

const metric metric_span_mass = {
    .name = "span_mass",
    .summary = "weight on a span of the prompt that you name",
    .formula = "mean_i sum_{j in span} A[i][j]",
    .definition =
        "sum of A[i][j] over the tokens j of the span: every token that holds a part of the text or match, "
        "all of its occurrences or the nth.  mean: over the queries i outside the span (under a causal mask "
        "those behind its first occurrence, in cross attention all) that see any of it.  each: at every such "
        "query.  Where the prompt has two texts, the span is looked for in the one that the keys are of",
    .unit = "",
    .range = "0 .. 1",
    .source = "own; image and question mass of GIFT (amazon-science/GIFT) for a span of any kind",
    .reading =
        "Does the head read what you named? Compare with the span's share of the visible tokens, and with "
        "a span of the same length elsewhere.",
    .traps =
        "Weight is not use: attention to a span can carry nothing (ablate or patch shows use). A span that "
        "begins the prompt includes the sink.",
    .cite = "attnscope",
    .missing_mass = "rows are taken as they are: the share of the whole row, learned sink included",
    .cost = "tiles, chosen columns only",
    .validated = "second implementation on dense attention and on maps of every kind of attention",
    .scope = METRIC_HEAD,
    .need = ATTN_NEED_PROBS,
    .kinds = KINDS_ALL,
    .asks = span_asks,
    .axis = AXIS_QUERY,
    .params = span_mass_params,
    .prepare = span_prepare,
    .release = span_release,
    .state_size = state_size,
    .tile = tile,
    .reads = span_reads,
    .merge = merge,
    .finish = finish,
};
