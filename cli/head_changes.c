#include "cli/head_changes.h"

#include <stdlib.h>
#include <string.h>
#include "base/mem.h"

static int load_measure(head_change *rows, bool *any, const effect_view *v, attn_kind base_kind, int n,
                        int at, err *e)
{
    const measure *what = &effect_measures[at];
    series base;
    int rc = series_load(&base, v->st, v->run, what, &(condition){"", "", base_kind, NO_INDEX, NO_INDEX, NO_INDEX}, e);
    *any = !rc && base.n > 0;
    for (int i = 0; i < n && *any && !rc; i++) {
        series s;
        head_id h = rows[i].head;
        rc = series_load(&s, v->st, v->run, what, &(condition){"", "_edited", h.kind, h.layer, h.head, NO_INDEX}, e);
        if (!rc)
            rc = series_difference(&rows[i].change[at], &s, &base, v->seed, e);
        series_free(&s);
    }
    series_free(&base);
    return rc;
}

int head_changes_load(head_change **out, bool any[N_MEASURE], const effect_view *v, attn_kind base, const head_id *heads,
                      int n, err *e)
{
    head_change *rows = mem_array((size_t)n, sizeof *rows, e);
    int rc = rows ? 0 : ERR_RESOURCE;
    for (int i = 0; i < n && !rc; i++)
        rows[i].head = heads[i];
    for (int k = 0; k < N_MEASURE && !rc; k++)
        rc = load_measure(rows, &any[k], v, base, n, k, e);
    if (rc)
        free(rows);
    else
        *out = rows;
    return rc;
}

static int by_order(const void *a, const void *b)
{
    const head_change *x = a, *y = b;
    if (x->order != y->order)
        return (x->order < y->order) - (x->order > y->order);
    if (x->head.kind != y->head.kind)
        return (int)x->head.kind - (int)y->head.kind;
    return x->head.layer != y->head.layer ? x->head.layer - y->head.layer : x->head.head - y->head.head;
}

void head_changes_sort(head_change *rows, int n)
{
    qsort(rows, (size_t)n, sizeof *rows, by_order);
}

static int fill(table *t, const head_change *rows, int n, const bool any[N_MEASURE], err *e)
{
    for (int i = 0; i < n; i++) {
        head_text name;
        head_format(name, rows[i].head);
        cell *row = table_row(t, e);
        if (!row || table_text(t, &row[0], name, strlen(name), e))
            return ERR_RESOURCE;
        for (int k = 0, col = 1; k < N_MEASURE; k++) {
            const stats *c = &rows[i].change[k];
            if (!any[k])
                continue;
            row[col++] = cell_int(c->n);
            change_cells(&row[col], c);
            col += 3;
        }
    }
    return 0;
}

int head_changes_table(table **out, const head_change *rows, int n, const bool any[N_MEASURE], err *e)
{
    static const char *const names[N_MEASURE][4] = {
        {"texts", "nll", "nll_low", "nll_high"}, {"n_accuracy", "accuracy", "accuracy_low", "accuracy_high"},
        {"trials", "recall", "recall_low", "recall_high"}, {"n_success", "success", "success_low", "success_high"}};
    const char *columns[1 + 4 * N_MEASURE] = {"head"};
    int n_col = 1;
    for (int k = 0; k < N_MEASURE; k++)
        for (int c = 0; c < 4 && any[k]; c++)
            columns[n_col++] = names[k][c];
    int rc = table_new(out, n_col, columns, e);
    if (!rc && (rc = fill(*out, rows, n, any, e))) {
        table_free(*out);
        *out = NULL;
    }
    return rc;
}
