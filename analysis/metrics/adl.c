#include <math.h>
#include "analysis/metric.h"

static const param adl_params[] = {
    {"adl-threshold", PARAM_REAL, "2", "FACTOR", "weights of FACTOR / keys and less count as 0; 0: none does", 0, 1e9,
     NULL, NULL},
    {NULL, PARAM_BOOL, NULL, NULL, NULL, 0, 0, NULL, NULL},
};

/* State: queries [1], sums of rows [n_key], sums of thresholded rows divided by their length [n_key]. */
static size_t size(const metric_ctx *c, int n_head)
{
    (void)n_head;
    return (1 + 2 * (size_t)c->n_key) * sizeof(double);
}

static double threshold(const metric_ctx *c)
{
    return params_real(c->p, "adl-threshold") / (double)c->n_key;
}

/* Sum over heads of key k, query by query. */
static void head_sums(double *sum, const attn_panels *p, int64_t k)
{
    for (int i = 0; i < p->n_query; i++)
        sum[i] = 0;
    for (int h = 0; h < p->n_head; h++) {
        const float *row = p->probs + h * p->h_stride + k * p->k_stride;
        for (int i = 0; i < p->n_query; i++)
            sum[i] += (double)row[i];
    }
}

static void panels(void *state, const metric_ctx *c, const attn_panels *p)
{
    double *queries = state, *mean = queries + 1, *direction = mean + c->n_key;
    double sum[ATTN_PANEL_COLUMNS], length[ATTN_PANEL_COLUMNS] = {0}, least = threshold(c);
    for (int64_t k = 0; k < p->n_key; k++) {
        head_sums(sum, p, k);
        for (int i = 0; i < p->n_query; i++) {
            double m = sum[i] / p->n_head;
            mean[k] += m;
            length[i] += m <= least ? 0 : m * m; /* keeps NaN */
        }
    }
    for (int i = 0; i < p->n_query; i++) {
        *queries += p->visible_lo[0][i] < p->visible_hi[0][i];
        length[i] = sqrt(length[i]);
    }
    for (int64_t k = 0; k < p->n_key; k++) {
        head_sums(sum, p, k);
        for (int i = 0; i < p->n_query; i++) {
            double m = sum[i] / p->n_head;
            direction[k] += m <= least || length[i] == 0 ? 0 : m / length[i];
        }
    }
}

static void merge(void *into, const void *from, const metric_ctx *c, int n_head)
{
    double *a = into;
    const double *b = from;
    (void)n_head;
    for (int64_t i = 0; i < 1 + 2 * c->n_key; i++)
        a[i] += b[i];
}

static int finish(const void *state, const metric_ctx *c, int layer, int n_head, const result_sink *out, err *e)
{
    const double *queries = state, *mean = queries + 1, *direction = mean + c->n_key;
    double dot = 0, length = 0, least = threshold(c);
    (void)n_head;
    if (*queries == 0)
        return 0;
    for (int64_t k = 0; k < c->n_key; k++) {
        double m = mean[k] / *queries;
        dot += m <= least ? 0 : m * direction[k];
        length += m <= least ? 0 : m * m;
    }
    return metric_emit(c, out, layer, NO_INDEX, NO_INDEX, length == 0 ? 0 : dot / sqrt(length) / *queries, e);
}

const metric metric_adl = {
    .name = "adl",
    .summary = "similarity of the rows of a layer with their mean (attention diversification loss)",
    .formula = "mean_i cos(m, M_i), m the mean row of M, M the mean over heads, entries <= 2 / n set to 0",
    .definition =
        "M = mean over heads of the attention matrix, m = mean of its rows; entries of M and of m that are "
        "not above adl-threshold / keys (2 unless given, as published) become 0; mean over queries of "
        "cos(m, M_i), 0 for a row without "
        "entries.  Low: queries look at different keys.  The loss of the paper is the mean over layers, of "
        "square maps in which every query sees every key: under a causal mask the early rows and key 0 "
        "raise it",
    .unit = "",
    .range = "0 .. 1",
    .source = "Guo et al., Robustifying token attention for vision transformers, ICCV 2023, and its code",
    .reading = "High: all queries look at the same tokens, little diversity.",
    .traps =
        "Made for square maps without a mask; under a causal mask early rows and the sink raise it. "
        "Entries below the threshold are cut.",
    .cite = "guo2023tapadl",
    .missing_mass = "rows are taken as they are; the thresholds see smaller weights where a learned sink takes some",
    .cost = "all heads at a time and once more; memory [H, n] panels a thread",
    .scope = METRIC_LAYER,
    .kinds = KINDS_ALL,
    .validated = "second implementation in double on maps of random models of every kind; one key for all",
    .params = adl_params,
    .panel_size = size,
    .panels = panels,
    .panel_merge = merge,
    .panel_finish = finish,
};
