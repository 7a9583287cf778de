#include <string.h>
#include "analysis/span.h"

static const char *const of_choices[] = {"mass", "keys", NULL};
static const param span_shift_params[] = {
    SPAN_NAME_PARAMS("span", "the span of keys"),
    SPAN_ROWS_PARAM,
    {"span-shift", PARAM_ENUM, "mass", "OF",
     "what may rise: the weight of the span as a whole, or that of each key", 0, 0, of_choices, NULL},
    SPAN_PARAM_END,
};

/* The rise at a query needs the row before it: rows of a chunk come in order, across chunks merge() completes
 * it. */
typedef struct shift_state {
    bool begun;
    int64_t first;       /* query of the chunk */
    double x[]; /* mass: [n] weight of each query.  keys: [n] rise, then [keys] weights of query first, of
                   last */
} shift_state;

static bool by_key(const metric_ctx *c)
{
    return !strcmp(params_str(c->p, "span-shift"), "keys");
}

static size_t state_size(const metric_ctx *c)
{
    const span *s = c->shared;
    int64_t n = s->keys.n == 0 ? 0 : c->n + (by_key(c) ? 2 * s->keys.n : 0);
    return sizeof(shift_state) + (size_t)n * sizeof(double);
}

static double above(double x)
{
    return x <= 0 ? 0 : x; /* keeps NaN */
}

/* Weights below are 0 where they are masked, so a key that comes into sight counts with all its weight. */
static void rises_of_keys(shift_state *x, const metric_ctx *c, const span *s, const attn_tile *t)
{
    double *first = x->x + c->n, *last = first + s->keys.n;
    int64_t end = t->k0 + t->n_key;
    for (int64_t i = s->keys.below[t->k0]; i < s->keys.below[end]; i++)
        for (int64_t q = t->q0; q < t->q0 + t->n_query; q++) {
            double w = (double)attn_tile_at(t, q, s->keys.key[i]);
            if (q == x->first)
                first[i] = w;
            else
                x->x[q] += above(w - last[i]);
            last[i] = w;
        }
}

static void tile(void *state, const metric_ctx *c, const attn_tile *t)
{
    const span *s = c->shared;
    shift_state *x = state;
    if (s->keys.n == 0)
        return;
    if (!x->begun)
        x->first = t->q0;
    x->begun = true;
    if (by_key(c)) {
        rises_of_keys(x, c, s, t);
        return;
    }
    for (int64_t q = t->q0; q < t->q0 + t->n_query; q++) {
        double w;
        key_set_weights(&w, &s->keys, t, q, 1);
        x->x[q] += w;
    }
}

static void merge(void *into, const void *from, const metric_ctx *c)
{
    const span *s = c->shared;
    shift_state *a = into;
    const shift_state *b = from;
    if (s->keys.n == 0 || !b->begun)
        return;
    for (int64_t q = 0; q < c->n; q++)
        a->x[q] += b->x[q];
    if (by_key(c)) {
        const double *first = b->x + c->n;
        double *last = a->x + c->n + s->keys.n;
        for (int64_t i = 0; i < s->keys.n; i++)
            a->x[b->first] += above(first[i] - last[i]);
        memcpy(last, first + s->keys.n, (size_t)s->keys.n * sizeof *last);
    }
}

static int finish(const void *state, const metric_ctx *c, int layer, int head, const result_sink *out, err *e)
{
    const span *s = c->shared;
    const shift_state *x = state;
    query_mean mean = {0};
    int rc = 0;
    for (int64_t q = 1; q < c->n && s->keys.n > 0 && !rc; q++) {
        if (!s->counts[q] || !s->counts[q - 1])
            continue;
        double rise = by_key(c) ? x->x[q] : above(x->x[q] - x->x[q - 1]);
        mean.sum += rise;
        mean.n++;
        if (s->each)
            rc = metric_emit(c, out, layer, head, q, rise, e);
    }
    return rc || s->each ? rc : query_mean_finish(&mean, c, layer, head, out, e);
}

const metric metric_span_shift = {
    .name = "span_shift",
    .summary = "how much the weight on a span rises from query to query (gaze shift)",
    .formula = "mean_i max(0, S_i - S_(i-1))",
    .definition =
        "with S_i the sum of A[i][j] over the tokens j of the span (span_mass), mass: max(0, S_i - S_(i-1)); "
        "keys: the sum over j of max(0, A[i][j] - A[i-1][j]).  mean: over the queries i that count in "
        "span_mass and follow one that counts, keys out of sight having weight 0.  each: at every such query",
    .unit = "",
    .range = "0 .. 1",
    .source = "GIFT (amazon-science/GIFT, compute_attention_heatmap): its saliency is keys before the mean "
              "over heads and "
              "content words; mass is our own",
    .reading = "Peaks where a query turns to the span: a word that makes the model look back.",
    .traps =
        "Noise counts too, since only rises are taken: a flat but jumpy head gets a value. Compare with "
        "the same over another span.",
    .cite = "attnscope",
    .missing_mass = "rows are taken as they are: the share of the whole row, learned sink included",
    .cost = "tiles, chosen columns only; a number for each query, head and chunk",
    .validated = "second implementation on dense attention and on maps of every kind of attention",
    .scope = METRIC_HEAD,
    .need = ATTN_NEED_PROBS,
    .kinds = KINDS_ALL,
    .asks = span_asks,
    .axis = AXIS_QUERY,
    .params = span_shift_params,
    .prepare = span_prepare,
    .release = span_release,
    .state_size = state_size,
    .tile = tile,
    .reads = span_reads,
    .merge = merge,
    .finish = finish,
};
