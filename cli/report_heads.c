/* Heads of a run as one table: a census as it is printed, the mean scores of every other run. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "analysis/metric.h"
#include "base/cancel.h"
#include "cli/census_table.h"
#include "cli/report.h"
#include "cli/run_units.h"

enum { MOST_COLUMNS = 40 };

/* Values at positions that are no score of a head: against other heads, per key, per rank. */
static bool is_score(const char *name)
{
    static const char *const not[] = {"received", "top_k_mass", "jsd", "jsd_layers", "row_cosine", "ov_spectrum", "qk_spectrum",
                                      "composition_k", "composition_q", "composition_v", "distance_profile", "copy_position",
                                      NULL};
    for (int i = 0; not[i]; i++)
        if (strcmp(name, not[i]) == 0)
            return false;
    size_t n = strlen(name);
    return n < 7 || strcmp(name + n - 7, "_edited") != 0; /* those stand among the effects, beside what they change */
}

const metric *report_column_metric(const char *column)
{
    for (int i = 0; census_scores[i].name; i++)
        if (strcmp(census_scores[i].name, column) == 0 && !metric_find(column))
            return metric_find(census_scores[i].metric);
    return metric_find(column);
}

int report_units(char **condition, const char **words, report_build *b, const report_run *r, const char *name, err *e)
{
    strbuf sql = {0}, what = {0};
    *condition = NULL;
    int rc = run_units(&sql, &what, b->st, r->id, name, NULL, e);
    if (!rc && words)
        *words = what.len ? report_print(b->doc, "%s", strbuf_str(&what))
                 : r->n_unit == 1
                     ? strcmp(r->verb, "patch") == 0 ? "one pair" : "one prompt"
                     : report_print(b->doc, "%" PRId64 " %s", r->n_unit, strcmp(r->verb, "needle") == 0 ? "trials"
                                    : strcmp(r->verb, "patch") == 0 ? "pairs" : "prompts");
    /* " AND prompt IN ..." */
    if (!rc && sql.len > 5 && !(*condition = mem_strdup(strbuf_str(&sql) + 5, e)))
        rc = ERR_RESOURCE;
    strbuf_free(&sql);
    strbuf_free(&what);
    return rc;
}

static int find_row(table *t, head_id h, int64_t *row, err *e)
{
    head_text name;
    head_format(name, h);
    /* groups come in the order of heads: the place of the last one is near */
    for (int64_t i = 0; i < t->n_row; i++) {
        int64_t at = (*row + 1 + i) % t->n_row;
        if (strcmp(cell_string(table_cell(t, at, 0)), name) == 0) {
            *row = at;
            return 0;
        }
    }
    cell *c = table_row(t, e);
    *row = t->n_row - 1;
    return c ? table_text(t, &c[0], name, strlen(name), e) : ERR_RESOURCE;
}

/* Means of one metric into a column; position: the one that has a value for each head. */
static int fill(table *t, int col, report_build *b, const report_run *r, const char *name, err *e)
{
    value_groups g = {0};
    char *units;
    int rc = report_units(&units, NULL, b, r, name, e);
    if (!rc)
        rc = experiment_means(&g, b->st, r->id, name, units, NULL, e);
    int64_t row = -1, position = g.n ? g.g[0].position : NO_INDEX;
    for (int64_t i = 0; i < g.n && !rc; i++)
        if (g.g[i].head.head != NO_INDEX && g.g[i].position == position) {
            rc = find_row(t, g.g[i].head, &row, e);
            if (!rc)
                t->cells[row * t->n_col + col] = cell_real(g.g[i].st.mean);
        }
    free(g.g);
    free(units);
    return rc ? rc : cancel_check(e);
}

static int by_head(const void *a, const void *b)
{
    head_id x = {ATTN_SELF, 0, 0}, y = x;
    head_parse(&x, cell_string(a));
    head_parse(&y, cell_string(b));
    if (x.kind != y.kind)
        return (x.kind > y.kind) - (x.kind < y.kind);
    if (x.layer != y.layer)
        return (x.layer > y.layer) - (x.layer < y.layer);
    return (x.head > y.head) - (x.head < y.head);
}

static int other_heads(report_build *b, report_run *r, err *e)
{
    const cell bind[] = {cell_int(r->id)};
    const char *names[MOST_COLUMNS + 1] = {"head"};
    int n = 1;
    table *have = NULL;
    int rc = store_query(b->st, &have, "SELECT metric FROM head_value WHERE run = ?1 GROUP BY metric HAVING count(DISTINCT"
                         " position) <= 1 OR metric = 'sink' ORDER BY metric", bind, 1, e);
    for (int64_t i = 0; !rc && i < have->n_row && n < MOST_COLUMNS; i++)
        if (is_score(cell_string(table_cell(have, i, 0))))
            names[n++] = cell_string(table_cell(have, i, 0));
    if (!rc)
        rc = table_new(&r->heads, n, names, e);
    for (int c = 1; c < n && !rc; c++)
        rc = fill(r->heads, c, b, r, names[c], e);
    if (!rc && r->heads->n_row)
        qsort(r->heads->cells, (size_t)r->heads->n_row, (size_t)n * sizeof(cell), by_head);
    table_free(have);
    return rc;
}

static int census_heads(report_build *b, report_run *r, err *e)
{
    const census_view v = {.st = b->st, .run = r->id, .threshold = report_sink_threshold(r), .room = 2, .seed = report_seed(r)};
    return census_table(&r->heads, &v, e);
}

int report_heads(report_build *b, report_run *r, err *e)
{
    if (r->heads)
        return 0;
    int rc = strcmp(r->verb, "census") == 0 ? census_heads(b, r, e) : other_heads(b, r, e);
    for (int c = 1; !rc && c < r->heads->n_col; c++) {
        const metric *m = report_column_metric(r->heads->column[c]);
        bool rate = strcmp(r->heads->column[c], "sink_rate") == 0;
        if (m && m->unit[0] && !rate)
            rc = table_set_unit(r->heads, c, m->unit, e);
    }
    return rc;
}
