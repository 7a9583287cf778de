#include <math.h>
#include <string.h>
#include "analysis/panel_pairs.h"

static const param row_cosine_params[] = {
    {"row-cosine-leave-out", PARAM_ENUM, "nothing", "WHAT",
     "query 0, key 0 or both, which all causal maps have in common", 0, 0, leave_out_names, NULL},
    {NULL, PARAM_BOOL, NULL, NULL, NULL, 0, 0, NULL, NULL},
};

/* State: queries [1], sums of cosines [pairs], products of the rows of a block [pairs][columns]. */
static size_t size(const metric_ctx *c, int n_head)
{
    (void)c;
    return (1 + (size_t)pair_count(n_head) * (1 + ATTN_PANEL_COLUMNS)) * sizeof(double);
}

static void panels(void *state, const metric_ctx *c, const attn_panels *p)
{
    enum { COLUMNS = ATTN_PANEL_COLUMNS };
    const int n = p->n_head;
    double *queries = state, *total = queries + 1, *rows = total + pair_count(n);
    leave_out without = leave_out_read(c->p, "row-cosine-leave-out");
    int first = leave_out_column(without, p);
    memset(rows, 0, (size_t)pair_count(n) * COLUMNS * sizeof *rows);
    panel_pairs(NULL, rows, NULL, p, kernels_get()->product_sums, leave_out_key(without), first);
    for (int a = 0; a < n; a++)
        for (int b = a + 1; b < n; b++) {
            const double *aa = rows + pair_index(n, a, a) * COLUMNS, *bb = rows + pair_index(n, b, b) * COLUMNS;
            const double *ab = rows + pair_index(n, a, b) * COLUMNS;
            double sum = 0;
            for (int q = first; q < p->n_query; q++) {
                double length = sqrt(aa[q] * bb[q]);
                sum += length == 0 ? 0 : ab[q] / length; /* keeps NaN */
            }
            total[pair_index(n, a, b)] += sum;
        }
    *queries += (double)panel_rows(p, 0, first);
}

static void merge(void *into, const void *from, const metric_ctx *c, int n_head)
{
    double *a = into;
    const double *b = from;
    (void)c;
    for (int64_t i = 0; i <= pair_count(n_head); i++)
        a[i] += b[i];
}

static int finish(const void *state, const metric_ctx *c, int layer, int n_head, const result_sink *out, err *e)
{
    const double *queries = state, *total = queries + 1;
    int rc = 0;
    for (int a = 0; a < n_head && *queries > 0; a++)
        for (int b = 0; b < n_head && !rc; b++)
            if (a != b)
                rc = metric_emit(c, out, layer, a, head_index(c->model, c->kind, layer, b),
                                 total[pair_index(n_head, a, b)] / *queries, e);
    return rc;
}

const metric metric_row_cosine = {
    .name = "row_cosine",
    .summary = "cosine of attention rows with those of every other head of the layer",
    .formula = "mean_i P_i . Q_i / (|P_i| |Q_i|)",
    .definition =
        "mean over queries of P . Q / (|P| |Q|) for the rows P and Q of two heads; a row without weight "
        "counts as 0.  leave-out first-row: query 0 does not count; first-key: key 0 is left out of all "
        "products and lengths",
    .unit = "",
    .range = "0 .. 1",
    .source = "the measure of attention diversity losses (Guo et al., ICCV 2023), here between heads",
    .reading =
        "1: two heads point to the same keys. Faster to read than jsd and dominated by the largest weights.",
    .traps = "A shared sink gives values near 1: leave out the first key. Insensitive to small weights.",
    .cite = "guo2023tapadl",
    .missing_mass = "rows are taken as they are; a cosine does not see their sum",
    .cost = "all heads at a time and once more, a multiplication a cell for each pair of heads; memory "
            "[H, n] panels a thread",
    .scope = METRIC_HEAD,
    .kinds = KINDS_ALL,
    .axis = AXIS_HEAD,
    .validated = "second implementation in double on maps of random models of every kind; worked rows",
    .params = row_cosine_params,
    .panel_size = size,
    .panels = panels,
    .panel_merge = merge,
    .panel_finish = finish,
};
