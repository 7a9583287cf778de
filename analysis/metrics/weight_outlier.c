#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "analysis/metric.h"
#include "base/cancel.h"
#include "base/mem.h"
#include "base/stats.h"
#include "compute/gemm.h"

static const char *const form_choices[] = {"score", "median", "row", "module", "columns", "rows", NULL};

static const param weight_outlier_params[] = {
    {"weight-outlier-form", PARAM_ENUM, "score", "FORM",
     "largest or median over columns, largest over rows, larger of both, or every column or row", 0, 0, form_choices, NULL},
    {NULL, PARAM_BOOL, NULL, NULL, NULL, 0, 0, NULL, NULL},
};

/* max / mean of the absolute values of the columns and rows of all down projections of a layer. */
typedef struct ratios {
    double *column, *row;    /* [n_column], [n_row] */
    int64_t n_column, n_row;
    double *sum;             /* [widest n_in] scratch */
    float *cells;            /* [widest n_in] */
} ratios;

/* The down projections of a layer: of its MLP, or of its experts and behind them of the shared one. */
static const weight *down_of(const model_layer *y, int i)
{
    if (!y->moe)
        return i == 0 && y->mlp.down.data ? &y->mlp.down : NULL;
    if (i < y->moe->n_expert)
        return &y->moe->experts[i].down;
    return i == y->moe->n_expert && y->moe->has_shared ? &y->moe->shared.down : NULL;
}

static void add_matrix(ratios *r, const weight *w)
{
    double *top = r->column + r->n_column;
    memset(r->sum, 0, (size_t)w->n_in * sizeof *r->sum);
    memset(top, 0, (size_t)w->n_in * sizeof *top);
    for (int64_t i = 0; i < w->n_out; i++) {
        double sum = 0, most = 0;
        weight_load(r->cells, w, i, 0, w->n_in);
        for (int64_t k = 0; k < w->n_in; k++) {
            double v = fabs((double)r->cells[k]);
            sum += v;
            most = v <= most ? most : v;
            r->sum[k] += v;
            top[k] = v <= top[k] ? top[k] : v;
        }
        r->row[r->n_row++] = most / (sum / (double)w->n_in + 1e-8);
    }
    for (int64_t k = 0; k < w->n_in; k++)
        top[k] /= r->sum[k] / (double)w->n_out + 1e-8;
    r->n_column += w->n_in;
}

static int measure(ratios *r, const model_layer *y, err *e)
{
    int64_t rows = 0, columns = 0, widest = 0;
    const weight *w;
    int rc = 0;
    for (int i = 0; (w = down_of(y, i)); i++) {
        rows += w->n_out;
        columns += w->n_in;
        widest = w->n_in > widest ? w->n_in : widest;
    }
    r->column = mem_array((size_t)columns, sizeof *r->column, e);
    r->row = mem_array((size_t)rows, sizeof *r->row, e);
    r->sum = mem_array((size_t)widest, sizeof *r->sum, e);
    r->cells = mem_array((size_t)widest, sizeof *r->cells, e);
    if (!r->column || !r->row || !r->sum || !r->cells)
        return ERR_RESOURCE;
    for (int i = 0; (w = down_of(y, i)) && !(rc = cancel_check(e)); i++)
        add_matrix(r, w);
    return rc;
}

static double largest(const double *x, int64_t n)
{
    double top = 0;
    for (int64_t i = 0; i < n; i++) {
        if (isnan(x[i]))
            return x[i];
        top = x[i] > top ? x[i] : top;
    }
    return top;
}

static int emit(const metric_ctx *c, int layer, ratios *r, const result_sink *out, err *e)
{
    const char *form = params_str(c->p, "weight-outlier-form");
    double column = largest(r->column, r->n_column), row = largest(r->row, r->n_row), value = column;
    bool rows = !strcmp(form, "rows");
    int rc = 0;
    if (rows || !strcmp(form, "columns")) {
        for (int64_t i = 0; i < (rows ? r->n_row : r->n_column) && !rc; i++)
            rc = metric_emit(c, out, layer, NO_INDEX, i, rows ? r->row[i] : r->column[i], e);
        return rc;
    }
    if (!strcmp(form, "median"))
        value = isnan(column) ? column : median_of(r->column, r->n_column);
    else if (!strcmp(form, "row"))
        value = row;
    else if (!strcmp(form, "module"))
        value = row > column ? row : column;
    return metric_emit(c, out, layer, NO_INDEX, NO_INDEX, value, e);
}

static int weights(metric_ctx *c, const result_sink *out, const progress *p, err *e)
{
    const stack *s = model_stack(c->model, c->kind);
    int rc = 0;
    for (int l = 0; l < s->n_layer && !rc; l++) {
        ratios r = {0};
        progress_step(p, "layer", l, s->n_layer);
        if (!down_of(&s->layers[l], 0))
            continue;
        if (!(rc = measure(&r, &s->layers[l], e)))
            rc = emit(c, l, &r, out, e);
        free(r.column);
        free(r.row);
        free(r.sum);
        free(r.cells);
    }
    progress_step(p, "layer", s->n_layer, s->n_layer);
    return rc;
}

const metric metric_weight_outlier = {
    .name = "weight_outlier",
    .summary = "outliers in the down projection of the MLP",
    .formula = "max_j max_i |W[i][j]| / mean_i |W[i][j]|, W the down projection",
    .definition =
        "of |W|, W [width, inner] the down projection: a column (an inner neuron) has max / (mean + 1e-8) "
        "over its rows, a row (a channel of the stream) the same over its columns.  score: the largest of "
        "the columns.  median: their median.  row: the largest of the rows.  module: the larger of both.  "
        "columns, rows: every one, at its index.  With experts over the matrices of all of them, indices "
        "one matrix after the other, the shared expert last",
    .unit = "",
    .range = "1 ..",
    .source = "An et al. 2025 (arXiv 2502.06415), pos_weight_outliers.py: a ranking, no threshold",
    .reading =
        "Layers with a large score write the massive activation, usually an early one, or take it out again, "
        "the last ones: `columns` and `rows` name neuron and channel, inner_outlier says which.",
    .traps = "A ranking without a threshold. Quantised checkpoints round the outliers themselves.",
    .cite = "an2025outliers",
    .missing_mass = "does not apply",
    .cost = "one pass over the weights",
    .validated = "PyTorch hooks on SmolLM2-135M and lantern-3m",
    .scope = METRIC_WEIGHTS,
    .kinds = KINDS_OWN,
    .axis = AXIS_CHANNEL,
    .params = weight_outlier_params,
    .weights = weights,
};
