/* Result tables: the one shape in which rows travel from the store to a screen, a file or a figure. */
#ifndef ATTNSCOPE_BASE_TABLE_H
#define ATTNSCOPE_BASE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

typedef enum cell_kind { CELL_NULL, CELL_INT, CELL_REAL, CELL_TEXT } cell_kind;

typedef struct cell {
    cell_kind kind;
    union { int64_t i; double r; const char *s; /* owned by the table */ } u;
} cell;

typedef struct table {
    int n_col;
    int64_t n_row;
    char **column;   /* [n_col] column names, owned */
    char **unit;     /* [n_col] units, entries may be NULL */
    cell *cells;     /* [n_row, n_col] row-major */
    /* private */
    int64_t cap;
    void *arena_;
} table;

/* *out: NULL after an error. */
int table_new(table **out, int n_col, const char *const *columns, err *e);
void table_free(table *t);
/* A new row of NULL cells; returns a pointer to its n_col cells, valid until the next row is added. */
cell *table_row(table *t, err *e);
/* Text into a cell (copied into the table). */
int table_text(table *t, cell *c, const char *s, size_t n, err *e);
static inline cell cell_int(int64_t v) { return (cell){CELL_INT, {.i = v}}; }
static inline cell cell_real(double v) { return (cell){CELL_REAL, {.r = v}}; }
/* The unit of a column (copied into the table); NULL removes it. */
int table_set_unit(table *t, int col, const char *unit, err *e);
/* Column index by name, -1 when absent. */
int table_column(const table *t, const char *name);
/* Leave only the columns use [n], n > 0, in that order, each with its unit; name [n]: what they are called then, NULL
 * (itself or an entry): as before.  A table that could not be changed is as it was. */
int table_keep(table *t, const int *use, const char *const *name, int n, err *e);
/* Another name for a column (copied into the table). */
int table_rename(table *t, int col, const char *name, err *e);
/* Is there nothing but NULL in a column? */
bool table_column_empty(const table *t, int col);
static inline const cell *table_cell(const table *t, int64_t row, int col)
{
    return &t->cells[row * t->n_col + col];
}
/* A cell as a number: INT and REAL; NaN otherwise. */
double cell_number(const cell *c);

#endif
