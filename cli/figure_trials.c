/* Trials of `needle`, depth by length, as the numbers of a figure. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "base/stats.h"
#include "cli/command_util.h"
#include "cli/figure_parts.h"

typedef struct quantity { const char *metric, *text; } quantity;
static const quantity quantities[] = {
    {"recall", "recall"},
    {"success", "trials that succeed"},
    {"rouge1", "ROUGE-1 recall"},
    {"token_recall", "recall of tokens"},
};
enum { N_QUANTITY = sizeof quantities / sizeof *quantities };

static int choose_quantity(const quantity **out, const char *name, err *e)
{
    const char *names[N_QUANTITY + 1] = {NULL};
    *out = &quantities[0];
    if (!name)
        return 0;
    for (int i = 0; i < N_QUANTITY; i++) {
        names[i] = quantities[i].metric;
        if (strcmp(name, names[i]) == 0) {
            *out = &quantities[i];
            return 0;
        }
    }
    const char *near = nearest_word(name, names);
    err_set(e, ERR_USAGE, "trials have no quantity '%s'", name);
    return near ? err_hint(e, "did you mean %s?", near) : err_hint(e, "take recall, success, rouge1 or token_recall");
}

/* Distinct numbers of a column in ascending order, in the arena of src; *labels: as texts. */
static int axis_of(double **out, const char ***labels, int64_t *n, figure_source *src, const table *t, int col,
                   double times, err *e)
{
    int64_t kept = 0;
    double *x = arena_alloc(&src->mem, (size_t)t->n_row, sizeof *x, e);
    if (!x)
        return ERR_RESOURCE;
    for (int64_t i = 0; i < t->n_row; i++)
        x[i] = cell_number(table_cell(t, i, col));
    qsort(x, (size_t)t->n_row, sizeof *x, real_ascending);
    for (int64_t i = 0; i < t->n_row; i++)
        if (kept == 0 || x[i] != x[kept - 1])
            x[kept++] = x[i];
    const char **text = arena_alloc(&src->mem, (size_t)kept, sizeof *text, e);
    for (int64_t i = 0; text && i < kept; i++)
        if (!(text[i] = figure_text(src, e, "%.6g", times * x[i])))
            return ERR_RESOURCE;
    *out = x;
    *labels = text;
    *n = kept;
    return text ? 0 : ERR_RESOURCE;
}

static int64_t index_in(const double *x, int64_t n, double v)
{
    for (int64_t i = 0; i < n; i++)
        if (x[i] == v)
            return i;
    return 0;
}

/* Means of the cells, in per cent. */
static int fill_cells(figure_source *src, const table *t, const double *length, int64_t n_length, const double *depth,
                      int64_t n_depth, err *e)
{
    size_t cells;
    if (!size_mul(&cells, (size_t)n_length, (size_t)n_depth))
        return err_nomem(e, "figure");
    double *sum = mem_array(cells, sizeof *sum, e);
    int64_t *count = sum ? mem_array(cells, sizeof *count, e) : NULL;
    src->cells = count ? mem_array(cells, sizeof *src->cells, e) : NULL;
    for (int64_t i = 0; src->cells && i < t->n_row; i++) {
        double v = cell_number(table_cell(t, i, 2));
        int64_t at = index_in(depth, n_depth, cell_number(table_cell(t, i, 1))) * n_length +
                     index_in(length, n_length, cell_number(table_cell(t, i, 0)));
        if (!isfinite(v))
            continue;
        sum[at] += v;
        count[at]++;
    }
    for (size_t i = 0; src->cells && i < cells; i++)
        src->cells[i] = count[i] ? (float)(100 * sum[i] / (double)count[i]) : NAN;
    free(sum);
    free(count);
    return src->cells ? 0 : ERR_RESOURCE;
}

static int read_trials(table **t, figure_source *src, const command_args *a, store *st, const quantity *q,
                       const figure_facts *f, err *e)
{
    const char *head = params_str(a->p, "head");
    head_id h = {ATTN_SELF, NO_INDEX, NO_INDEX};
    if (head && !head_parse(&h, head)) {
        err_set(e, ERR_USAGE, "'%s' is no head", head);
        return err_hint(e, "write it as L3H7");
    }
    const cell bind[] = {cell_int(src->run), cell_text(head ? "retrieval" : q->metric), cell_index(h.layer),
                         cell_index(h.head), cell_text(attn_kind_name(h.kind))};
    int rc = store_query(st, t,
        "SELECT l.value, d.value, v.value FROM value_list l"
        " JOIN value_list d ON d.run = l.run AND d.prompt = l.prompt AND d.metric = 'depth' AND d.layer IS NULL"
        " JOIN value_list v ON v.run = l.run AND v.prompt = l.prompt AND v.metric = ?2 AND v.layer IS ?3 AND v.head IS ?4"
        " AND (v.kind = ?5 OR ?3 IS NULL)"
        " WHERE l.run = ?1 AND l.metric = 'length' AND l.layer IS NULL", bind, 5, e);
    if (!rc && (*t)->n_row == 0) {
        rc = err_set(e, ERR_FAILED, "run %" PRId64 " holds no trials with %s%s", src->run,
                     head ? "a retrieval score of " : "", head ? head : q->text);
        figure_hint_command(st, e, "needle %s", f->path);
    }
    return rc;
}

int figure_load_trials(figure_source *src, const command_args *a, store *st, const figure_facts *f, err *e)
{
    const quantity *q;
    const char *head = params_str(a->p, "head"), **rows = NULL, **cols = NULL;
    double *length = NULL, *depth = NULL;
    int64_t n_length = 0, n_depth = 0, trials = 0;
    table *t = NULL;
    figure_data *d = &src->d;
    int rc = choose_quantity(&q, params_str(a->p, "metric"), e);
    if (!rc)
        rc = read_trials(&t, src, a, st, q, f, e);
    if (!rc)
        rc = axis_of(&length, &cols, &n_length, src, t, 0, 1, e);
    if (!rc)
        rc = axis_of(&depth, &rows, &n_depth, src, t, 1, 100, e);
    if (!rc)
        rc = fill_cells(src, t, length, n_length, depth, n_depth, e);
    if (!rc)
        trials = t->n_row;
    table_free(t);
    if (rc)
        return rc;
    d->m = (figure_matrix){n_depth, n_length, src->cells, rows, cols};
    d->title = figure_text(src, e, "%s%sneedle in a haystack \xc2\xb7 %s", head ? head : "", head ? ", " : "", f->model);
    const char *count = figure_text(src, e, "%" PRId64 " trial%s", trials, trials == 1 ? "" : "s");
    if (!count)
        return ERR_RESOURCE;
    d->subtitle = figure_text(src, e, "%s%s, run %" PRId64, count, f->operated, src->run);
    d->caption = figure_text(src, e, "%s, %s; %s, mean of each cell%s; run %" PRId64, f->model,
                             src->all ? src->all : head ? "retrieval score" : q->text, count, f->operated, src->run);
    d->row_axis = "depth of the needle, %";
    d->col_axis = "context length, tokens";
    d->quantity = head ? "retrieval score" : q->text;
    d->unit = "%";
    d->lo = 0;
    d->hi = 100;
    d->pool = 1;
    src->label = head ? mem_strdup(head, e) : mem_strdup(q->metric, e);
    return d->title && d->subtitle && d->caption && src->label ? 0 : ERR_RESOURCE;
}
