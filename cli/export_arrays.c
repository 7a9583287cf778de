#include "cli/export_npz.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "analysis/metric.h"
#include "base/cancel.h"
#include "base/mem.h"
#include "cli/command_util.h"
#include "cli/counted_heads.h"

enum { OF_LAYER = 1, OF_HEAD = 2, OF_POSITION = 4, FORMS = 8 };
#define FORM_SQL "((layer IS NOT NULL) + 2 * (head IS NOT NULL) + 4 * (position IS NOT NULL))"

typedef struct values {
    const char *kind, *metric;
    int form;                /* OF_* of all of its rows */
    char name[160];
    table *rows, *positions; /* layer, head, position, value; the different positions, sorted */
} values;

static int64_t find_position(const table *t, int64_t position)
{
    int64_t lo = 0, hi = t->n_row - 1;
    while (lo < hi) {
        int64_t mid = lo + (hi - lo) / 2;
        if (table_cell(t, mid, 0)->u.i < position)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static int put_position_heads(npz_export *x, const values *v, err *e)
{
    counted_heads all = {0};
    char name[200];
    int64_t n = v->positions->n_row;
    const char **texts = mem_array((size_t)n + 1, sizeof *texts, e);
    head_text *spelled = texts ? mem_array((size_t)n + 1, sizeof *spelled, e) : NULL;
    int rc = spelled ? counted_heads_load(&all, x->st, x->run, v->kind, e) : ERR_RESOURCE;
    for (int64_t i = 0; i < (rc ? 0 : n); i++) {
        int64_t at = table_cell(v->positions, i, 0)->u.i;
        if (at >= 0 && at < all.n)
            head_format(spelled[i], all.head[at]);
        texts[i] = spelled[i];
    }
    snprintf(name, sizeof name, "%s_heads", v->name);
    if (!rc && all.n)
        rc = npz_put_texts(x->w, name, n, texts, e);
    free(all.head);
    free(spelled);
    free(texts);
    return rc;
}

static int put_positions(npz_export *x, const values *v, err *e)
{
    const metric *m = metric_find(v->metric);
    char name[200];
    int64_t *p = mem_array((size_t)v->positions->n_row + 1, sizeof *p, e);
    if (!p)
        return ERR_RESOURCE;
    for (int64_t i = 0; i < v->positions->n_row; i++)
        p[i] = table_cell(v->positions, i, 0)->u.i;
    snprintf(name, sizeof name, "%s_positions", v->name);
    int rc = npz_put(x->w, name, NPY_I64, 1, &v->positions->n_row, p, e);
    free(p);
    return rc || !m || m->axis != AXIS_HEAD ? rc : put_position_heads(x, v, e);
}

/* Largest index + 1 of a column. */
static int64_t extent(const table *t, int column)
{
    int64_t most = 0;
    for (int64_t i = 0; i < t->n_row; i++) {
        int64_t at = table_cell(t, i, column)->u.i;
        most = at >= most ? at + 1 : most;
    }
    return most;
}

static int put_cells(npz_export *x, const values *v, err *e)
{
    int64_t shape[3], extents[3] = {extent(v->rows, 0), extent(v->rows, 1), v->positions->n_row};
    size_t count = 1;
    int n_dim = 0;
    for (int c = 0; c < 3; c++) {
        if (!(v->form & 1 << c))
            continue;
        shape[n_dim++] = extents[c];
        if (!size_mul(&count, count, (size_t)extents[c]))
            return err_nomem(e, "values");
    }
    double *cells = mem_array(count, sizeof *cells, e);
    if (!cells)
        return ERR_RESOURCE;
    for (size_t i = 0; i < count; i++)
        cells[i] = (double)NAN;
    for (int64_t i = 0; i < v->rows->n_row; i++) {
        int64_t at = 0;
        for (int c = 0; c < 3; c++) {
            if (!(v->form & 1 << c))
                continue;
            int64_t index = table_cell(v->rows, i, c)->u.i;
            at = at * extents[c] + (c == 2 ? find_position(v->positions, index) : index);
        }
        cells[at] = cell_number(table_cell(v->rows, i, 3));
    }
    int rc = npz_put(x->w, v->name, NPY_F64, n_dim, shape, cells, e);
    free(cells);
    return rc;
}

static int describe(table *index, const values *v, err *e)
{
    const metric *m = metric_find(v->metric);
    const char *of_position = m && m->axis != AXIS_NONE ? metric_axis_names[m->axis] : "position";
    const char *const names[] = {"layer", "head", of_position};
    strbuf axes = {0};
    for (int c = 0; c < 3; c++)
        if (v->form & 1 << c)
            strbuf_printf(&axes, "%s%s", axes.len ? "; " : "", names[c]);
    const char *texts[] = {v->name, m ? m->unit : "", strbuf_str(&axes)};
    cell *row = table_row(index, e);
    int rc = axes.failed ? err_nomem(e, "values") : row ? 0 : ERR_RESOURCE;
    for (int c = 0; c < 3 && !rc; c++)
        rc = table_text(index, &row[c], texts[c], strlen(texts[c]), e);
    strbuf_free(&axes);
    return rc;
}

static int put_form(npz_export *x, values *v, bool alone, table *index, err *e)
{
    strbuf sql = {0};
    char suffix[40];
    snprintf(suffix, sizeof suffix, "%s%s%s%s", v->form & OF_LAYER ? "_layer" : "", v->form & OF_HEAD ? "_head" : "",
             v->form & OF_POSITION ? "_position" : "", v->form ? "" : "_prompt");
    export_array_name(v->name, v->kind, v->metric, alone ? "" : suffix);
    strbuf_printf(&sql, " FROM value_list WHERE run = ?1 AND prompt = ?2 AND kind = ?3 AND metric = ?4%s AND " FORM_SQL " = %d",
                  x->heads, v->form);
    strbuf all = {0}, positions = {0};
    strbuf_printf(&all, "SELECT layer, head, position, value%s", strbuf_str(&sql));
    strbuf_printf(&positions, "SELECT DISTINCT position%s AND position IS NOT NULL ORDER BY position", strbuf_str(&sql));
    int rc = sql.failed || all.failed || positions.failed ? err_nomem(e, "values") : 0;
    if (!rc)
        rc = export_query(x, &v->rows, strbuf_str(&all), v->kind, v->metric, e);
    if (!rc)
        rc = export_query(x, &v->positions, strbuf_str(&positions), v->kind, v->metric, e);
    if (!rc)
        rc = put_cells(x, v, e);
    if (!rc && v->form & OF_POSITION)
        rc = put_positions(x, v, e);
    if (!rc)
        rc = describe(index, v, e);
    table_free(v->rows);
    table_free(v->positions);
    strbuf_free(&sql);
    strbuf_free(&all);
    strbuf_free(&positions);
    return rc;
}

static int put_index(npz_export *x, const table *t, err *e)
{
    static const char *const names[] = {"metrics", "units", "axes"};
    const char **texts = mem_array((size_t)t->n_row + 1, sizeof *texts, e);
    int rc = texts ? 0 : ERR_RESOURCE;
    for (int c = 0; c < 3 && !rc && t->n_row; c++) {
        for (int64_t i = 0; i < t->n_row; i++)
            texts[i] = cell_string(table_cell(t, i, c));
        rc = npz_put_texts(x->w, names[c], t->n_row, texts, e);
    }
    free(texts);
    return rc;
}

int export_put_values(npz_export *x, int *n, const progress *p, err *e)
{
    static const char *const columns[] = {"metric", "unit", "axes"};
    table *index = NULL, *t = NULL;
    strbuf sql = {0};
    strbuf_printf(&sql, "SELECT DISTINCT kind, metric, " FORM_SQL " AS form FROM value_list WHERE run = ?1 AND prompt = ?2%s"
                  " ORDER BY kind, metric, (layer IS NOT NULL) + (head IS NOT NULL) + (position IS NOT NULL) DESC, form",
                  x->heads);
    int rc = sql.failed ? err_nomem(e, "values") : export_query(x, &t, strbuf_str(&sql), NULL, NULL, e);
    if (!rc)
        rc = table_new(&index, 3, columns, e);
    for (int64_t i = 0; i < (rc ? 0 : t->n_row) && !rc; i++) {
        values v = {.kind = cell_string(table_cell(t, i, 0)), .metric = cell_string(table_cell(t, i, 1)),
                    .form = (int)table_cell(t, i, 2)->u.i};
        bool first = i == 0 || strcmp(v.kind, cell_string(table_cell(t, i - 1, 0))) != 0 ||
                     strcmp(v.metric, cell_string(table_cell(t, i - 1, 1))) != 0;
        progress_step(p, "metric", (double)i, (double)t->n_row);
        rc = put_form(x, &v, first, index, e);
        if (!rc)
            rc = cancel_check(e);
    }
    if (!rc)
        rc = put_index(x, index, e);
    *n += rc ? 0 : (int)t->n_row;
    table_free(index);
    table_free(t);
    strbuf_free(&sql);
    return rc;
}
