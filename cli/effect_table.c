#include "cli/effect_table.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "cli/output.h"

const measure effect_measures[] = {
    {"nll", "nll", false, 0},
    {"accuracy", "accuracy", false, 0},
    {"recall", "recall", false, 0},
    {"recall above .5", "recall", true, .5},
    {NULL, NULL, false, 0},
};

const measure *measure_find(const char *name)
{
    for (const measure *m = effect_measures; m->name; m++)
        if (!strcmp(m->name, name))
            return m;
    return NULL;
}

void series_free(series *s)
{
    free(s->unit);
    free(s->x);
    *s = (series){0};
}

/* The conditions on layer and head are written as the index on sites has them: an experiment asks once a head.
 * Rows by unit; positions of one unit are averaged, after each was made 0 or 1 where that is asked for. */
int series_load(series *out, store *st, int64_t run, const measure *what, const condition *c, err *e)
{
    char metric[64];
    snprintf(metric, sizeof metric, "%s%s", what->metric, c->suffix);
    const cell bind[] = {cell_int(run), cell_text(metric), cell_text(attn_kind_name(c->kind)), cell_index(c->layer),
                         cell_index(c->head), cell_index(c->position == ANY_POSITION ? NO_INDEX : c->position)};
    table *t = NULL;
    *out = (series){0};
    int rc = store_query(st, &t, c->position == ANY_POSITION
        ? "SELECT prompt, value FROM value_list WHERE run = ?1 AND metric = ?2 AND kind = ?3 AND ifnull(layer, -1) ="
          " ifnull(?4, -1) AND ifnull(head, -1) = ifnull(?5, -1)"
          " AND ?6 IS NULL ORDER BY prompt, position"
        : "SELECT prompt, value FROM value_list WHERE run = ?1 AND metric = ?2 AND kind = ?3 AND ifnull(layer, -1) ="
          " ifnull(?4, -1) AND ifnull(head, -1) = ifnull(?5, -1)"
          " AND position IS ?6 ORDER BY prompt", bind, 6, e);
    if (rc)
        return rc;
    out->unit = mem_array((size_t)t->n_row + 1, sizeof *out->unit, e);
    out->x = out->unit ? mem_array((size_t)t->n_row + 1, sizeof *out->x, e) : NULL;
    rc = out->x ? 0 : ERR_RESOURCE;
    for (int64_t row = 0, end; row < t->n_row && !rc; row = end) {
        double sum = 0;
        for (end = row; end < t->n_row && table_cell(t, end, 0)->u.i == table_cell(t, row, 0)->u.i; end++) {
            double v = cell_number(table_cell(t, end, 1));
            sum += what->rate ? v > what->bound : v;
        }
        out->unit[out->n] = table_cell(t, row, 0)->u.i;
        out->x[out->n++] = sum / (double)(end - row);
    }
    table_free(t);
    if (rc)
        series_free(out);
    return rc;
}

int series_differences(double **d, int64_t *n, const series *b, const series *a, err *e)
{
    int64_t i = 0;
    *n = 0;
    *d = mem_array((size_t)(a->n < b->n ? a->n : b->n) + 1, sizeof **d, e);
    if (!*d)
        return ERR_RESOURCE;
    for (int64_t j = 0; j < b->n; j++) {
        while (i < a->n && a->unit[i] < b->unit[j])
            i++;
        if (i < a->n && a->unit[i] == b->unit[j])
            (*d)[(*n)++] = b->x[j] - a->x[i];
    }
    return 0;
}

int series_difference(stats *out, const series *b, const series *a, uint64_t seed, err *e)
{
    double *d;
    int64_t n;
    *out = (stats){0};
    int rc = series_differences(&d, &n, b, a, e);
    if (!rc && n)
        rc = stats_of(out, d, n, seed, e);
    free(d);
    return rc;
}

static const char *const columns[] = {"measure", "condition", "n", "mean", "sd", "low", "high", "change", "change_low",
                                      "change_high"};

static int add_row(table *t, const effect_view *v, const measure *what, const condition *c, const series *base, bool first,
                   err *e)
{
    series s;
    stats st, change;
    int rc = series_load(&s, v->st, v->run, what, c, e);
    if (!rc && s.n) {
        cell *row = table_row(t, e);
        rc = row ? stats_of(&st, s.x, s.n, v->seed, e) : ERR_RESOURCE;
        if (!rc)
            rc = table_text(t, &row[0], what->name, strlen(what->name), e);
        if (!rc)
            rc = table_text(t, &row[1], c->name, strlen(c->name), e);
        if (!rc && !first)
            rc = series_difference(&change, &s, base, v->seed, e);
        if (!rc)
            stats_cells(row, 2, &st);
        if (!rc && !first && change.n)
            change_cells(&row[7], &change);
    }
    series_free(&s);
    return rc;
}

int effect_table(table **out, const effect_view *v, const condition *conditions, int n, err *e)
{
    int rc = table_new(out, 10, columns, e);
    for (const measure *what = effect_measures; what->name && !rc; what++) {
        series base;
        rc = series_load(&base, v->st, v->run, what, &conditions[0], e);
        if (rc)
            break;
        for (int i = 0; i < n && base.n && !rc; i++)
            rc = add_row(*out, v, what, &conditions[i], &base, i == 0, e);
        series_free(&base);
    }
    if (rc) {
        table_free(*out);
        *out = NULL;
    }
    return rc;
}

int effect_heading(session *s, const effect_view *v, err *e)
{
    strbuf b = {0};
    const cell bind[] = {cell_int(v->run)};
    int64_t n = 0;
    strbuf_printf(&b, "run %" PRId64 ": ", v->run);
    int rc = experiment_conditions(&b, v->st, v->run, e);
    strbuf_putc(&b, '\n');
    if (!rc)
        rc = output_prose(s, &b, e);
    strbuf_free(&b);
    if (!rc)
        rc = query_count(&n, v->st, "SELECT count(*) FROM unit WHERE run_id = ?1", bind, 1, e);
    if (!rc && n == 1)
        say(s, "one text or trial: there is no interval; give more for that");
    return rc;
}
