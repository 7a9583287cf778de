#include "base/table.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

int table_new(table **out, int n_col, const char *const *columns, err *e)
{
    assert(n_col > 0);
    *out = NULL;
    table *t = mem_array(1, sizeof *t, e);
    if (!t)
        return ERR_RESOURCE;

    arena *a = mem_array(1, sizeof *a, e);
    t->arena_ = a;
    if (!a || !(t->column = arena_alloc(a, (size_t)n_col, sizeof *t->column, e)) ||
        !(t->unit = arena_alloc(a, (size_t)n_col, sizeof *t->unit, e)))
        goto fail;
    t->n_col = n_col;
    for (int i = 0; i < n_col; i++) {
        if (!(t->column[i] = arena_strdup(a, columns[i], e)))
            goto fail;
    }
    *out = t;
    return 0;

fail:
    table_free(t);
    return ERR_RESOURCE;
}

void table_free(table *t)
{
    if (!t)
        return;
    if (t->arena_)
        arena_free(t->arena_);
    free(t->arena_);
    free(t->cells);
    free(t);
}

cell *table_row(table *t, err *e)
{
    size_t n_col = (size_t)t->n_col;

    if (t->n_row == t->cap) {
        size_t cap = t->cap ? 2 * (size_t)t->cap : 16;
        cell *cells = mem_grow(t->cells, cap, n_col * sizeof *cells, e);
        if (!cells)
            return NULL;
        t->cells = cells;
        t->cap = (int64_t)cap;
    }
    cell *row = t->cells + (size_t)t->n_row++ * n_col;
    memset(row, 0, n_col * sizeof *row);
    return row;
}

int table_text(table *t, cell *c, const char *s, size_t n, err *e)
{
    char *copy = arena_strndup(t->arena_, s, n, e);
    if (!copy)
        return ERR_RESOURCE;
    *c = (cell){CELL_TEXT, {.s = copy}};
    return 0;
}

int table_set_unit(table *t, int col, const char *unit, err *e)
{
    assert(col >= 0 && col < t->n_col);
    t->unit[col] = unit ? arena_strdup(t->arena_, unit, e) : NULL;
    return unit && !t->unit[col] ? ERR_RESOURCE : 0;
}

int table_column(const table *t, const char *name)
{
    for (int i = 0; i < t->n_col; i++) {
        if (strcmp(t->column[i], name) == 0)
            return i;
    }
    return -1;
}

int table_keep(table *t, const int *use, const char *const *name, int n, err *e)
{
    size_t n_cell;
    assert(n > 0);
    if (!size_mul(&n_cell, (size_t)t->cap, (size_t)n))
        return err_nomem(e, "table");
    char **column = arena_alloc(t->arena_, (size_t)n, sizeof *column, e);
    char **unit = column ? arena_alloc(t->arena_, (size_t)n, sizeof *unit, e) : NULL;
    if (!unit)
        return ERR_RESOURCE;
    for (int c = 0; c < n; c++) {
        assert(use[c] >= 0 && use[c] < t->n_col);
        column[c] = name && name[c] ? arena_strdup(t->arena_, name[c], e) : t->column[use[c]];
        if (!column[c])
            return ERR_RESOURCE;
        unit[c] = t->unit[use[c]];
    }
    cell *cells = mem_array(n_cell + 1, sizeof *cells, e);
    if (!cells)
        return ERR_RESOURCE;
    for (int64_t i = 0; i < t->n_row; i++)
        for (int c = 0; c < n; c++)
            cells[i * n + c] = *table_cell(t, i, use[c]);
    free(t->cells);
    t->cells = cells;
    t->column = column;
    t->unit = unit;
    t->n_col = n;
    return 0;
}

int table_rename(table *t, int col, const char *name, err *e)
{
    assert(col >= 0 && col < t->n_col);
    char *copy = arena_strdup(t->arena_, name, e);
    t->column[col] = copy ? copy : t->column[col];
    return copy ? 0 : ERR_RESOURCE;
}

bool table_column_empty(const table *t, int col)
{
    for (int64_t i = 0; i < t->n_row; i++)
        if (table_cell(t, i, col)->kind != CELL_NULL)
            return false;
    return true;
}

double cell_number(const cell *c)
{
    switch (c->kind) {
    case CELL_INT: return (double)c->u.i;
    case CELL_REAL: return c->u.r;
    case CELL_NULL:
    case CELL_TEXT: break;
    }
    return NAN;
}
