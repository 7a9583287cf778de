#include <stdlib.h>
#include <string.h>
#include "analysis/column_sums.h"
#include "base/mem.h"

static const char *const form_choices[] = {"keys", "count", "each", NULL};

static const param attention_outlier_params[] = {
    {"attention-outlier-share", PARAM_REAL, "0.1", "R", "an outlier receives at least this much of each query", 0, 0, NULL,
     NULL},
    {"attention-outlier-form", PARAM_ENUM, "keys", "FORM", "sum of each outlier key, their number, or sum of every key", 0, 0,
     form_choices, NULL},
    {NULL, PARAM_BOOL, NULL, NULL, NULL, 0, 0, NULL, NULL},
};

typedef struct outlier_keys {
    double share;
    const char *form;
    double sums[];       /* [n_key] of the heads of the layer so far */
} outlier_keys;

static int prepare(metric_ctx *c, err *e)
{
    outlier_keys *s;
    size_t bytes;
    if (!size_mul(&bytes, (size_t)c->n_key, sizeof s->sums[0]) || !size_add(&bytes, bytes, sizeof *s))
        return err_nomem(e, "column sums");
    if (!(s = mem_array(1, bytes, e)))
        return ERR_RESOURCE;
    s->share = params_real(c->p, "attention-outlier-share");
    s->form = params_str(c->p, "attention-outlier-form");
    c->shared = s;
    return 0;
}

static void release(metric_ctx *c)
{
    free(c->shared);
    c->shared = NULL;
}

static int emit_layer(const metric_ctx *c, int layer, const double *sums, int n_head, const result_sink *out, err *e)
{
    const outlier_keys *s = c->shared;
    bool count = !strcmp(s->form, "count"), each = !strcmp(s->form, "each");
    int64_t found = 0;
    double total = 0;
    int rc = 0;
    for (int64_t k = 0; k < c->n_key && !rc; k++) {
        double sum = sums[k] / n_head;
        bool outlier = !(sum < s->share * (double)c->n);
        found += outlier;
        total += sum;
        if (each || (outlier && !count))
            rc = metric_emit(c, out, layer, NO_INDEX, k, sum, e);
    }
    /* Weights that are no numbers are an error, not a count. */
    return rc || !count ? rc : metric_emit(c, out, layer, NO_INDEX, NO_INDEX, (double)found + 0 * total, e);
}

/* Heads come in order, on the caller's thread. */
static int finish(const void *state, const metric_ctx *c, int layer, int head, const result_sink *out, err *e)
{
    outlier_keys *s = c->shared;
    int n_head = c->model ? model_attention(c->model, c->kind, layer)->plan.n_head : 1;
    if (head == 0)
        memset(s->sums, 0, (size_t)c->n_key * sizeof s->sums[0]);
    for (column at = column_first(); column_next(&at, state);)
        s->sums[at.key] += at.sum;
    return head + 1 == n_head ? emit_layer(c, layer, s->sums, n_head, out, e) : 0;
}

const metric metric_attention_outlier = {
    .name = "attention_outlier",
    .summary = "keys that all heads of a layer together attend to",
    .formula = "k with sum_i mean_h A[h][i][k] >= 0.1 n",
    .definition =
        "c_k = sum over queries i of the mean over heads of A[i][k]; key k is an outlier when c_k >= "
        "attention-outlier-share times the number of queries.  Not divided by the number of queries that "
        "see the key, so that early keys are favoured, as published.  keys: c_k of each outlier, at the "
        "key.  count: their number.  each: c_k of every key",
    .unit = "",
    .range = "0 .. queries",
    .source = "An et al. 2025 (arXiv 2502.06415), pos_attention_outliers.py",
    .reading =
        "Keys on which the layer as a whole spends attention; compare their positions with "
        "activation_outlier.",
    .traps = "Not divided by the number of queries that see the key: early keys are favoured.",
    .cite = "an2025outliers",
    .missing_mass = "rows are taken as they are: a learned sink is no key, its share lowers every sum",
    .cost = "sums of columns: O(n) memory a head and chunk",
    .validated = "PyTorch hooks on SmolLM2-135M and lantern-3m",
    .scope = METRIC_LAYER,
    .need = ATTN_NEED_COLUMNS,
    .kinds = KINDS_ALL,
    .axis = AXIS_KEY,
    .params = attention_outlier_params,
    .prepare = prepare,
    .release = release,
    .state_size = column_sums_size,
    .rows = column_sums_rows,
    .merge = column_sums_merge,
    .finish = finish,
};
