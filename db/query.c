/* Questions of the program itself. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/cancel.h"
#include "db/internal.h"

static int read_cell(store *s, table *t, cell *out, sqlite3_stmt *q, int col, err *e)
{
    switch (sqlite3_column_type(q, col)) {
    case SQLITE_INTEGER:
        *out = cell_int(sqlite3_column_int64(q, col));
        return 0;
    case SQLITE_FLOAT:
        *out = cell_real(sqlite3_column_double(q, col));
        return 0;
    case SQLITE_TEXT: {
        const char *text = (const char *)sqlite3_column_text(q, col);
        return text ? table_text(t, out, text, (size_t)sqlite3_column_bytes(q, col), e)
                    : store_fail(s, SQLITE_NOMEM, "", e);
    }
    case SQLITE_BLOB: {
        char text[48];
        int n = snprintf(text, sizeof text, "<blob %d bytes>", sqlite3_column_bytes(q, col));
        return table_text(t, out, text, (size_t)n, e);
    }
    default:
        return 0; /* rows begin as NULL cells */
    }
}

static int new_table(store *s, table **out, sqlite3_stmt *q, err *e)
{
    int n = sqlite3_column_count(q);
    const char **name = mem_array((size_t)n, sizeof *name, e);
    if (!name)
        return ERR_RESOURCE;
    int code = 0;
    for (int i = 0; !code && i < n; i++) {
        name[i] = sqlite3_column_name(q, i);
        if (!name[i])
            code = store_fail(s, SQLITE_NOMEM, "", e);
    }
    if (!code)
        code = table_new(out, n, name, e);
    free(name);
    return code;
}

static int stop_when_cancelled(void *ud)
{
    (void)ud;
    return cancel_requested();
}

void store_watch_cancel(store *s, bool on)
{
    const int steps = 10000; /* of SQLite's machine: about a millisecond */
    sqlite3_progress_handler(s->db, on ? steps : 0, on ? stop_when_cancelled : NULL, NULL);
}

int store_rows(store *s, table **out, sqlite3_stmt *q, int64_t limit, bool *more, err *e)
{
    static const char doing[] = "reading rows";
    bool row = true;
    table *t = NULL;
    *out = NULL;
    int code = new_table(s, &t, q, e);
    store_watch_cancel(s, true);
    while (!code) {
        code = store_step(s, q, &row, doing, e);
        if (code || !row)
            break;
        if (limit > 0 && t->n_row == limit) {
            if (more)
                *more = true;
            break;
        }
        cell *c = table_row(t, e);
        code = c ? 0 : ERR_RESOURCE;
        for (int i = 0; !code && i < t->n_col; i++)
            code = read_cell(s, t, &c[i], q, i, e);
    }
    store_watch_cancel(s, false);
    sqlite3_reset(q);
    if (code)
        table_free(t);
    else
        *out = t;
    return code;
}

int store_query(store *s, table **out, const char *sql, const cell *bind, int n_bind, err *e)
{
    static const char doing[] = "reading rows";
    sqlite3_stmt *q = NULL;
    *out = NULL;
    int code = store_prepare(s, &q, sql, doing, e);
    if (!code && !sqlite3_stmt_readonly(q))
        code = err_set(e, ERR_FAILED, "a query that writes");
    if (!code)
        code = store_bind(s, q, bind, n_bind, doing, e);
    if (!code)
        code = store_rows(s, out, q, 0, NULL, e);
    sqlite3_finalize(q);
    return code;
}

/* Cells that point into the row at hand. */
static int view_cells(store *s, sqlite3_stmt *q, cell *c, int n, err *e)
{
    for (int i = 0; i < n; i++) {
        switch (sqlite3_column_type(q, i)) {
        case SQLITE_INTEGER: c[i] = cell_int(sqlite3_column_int64(q, i)); break;
        case SQLITE_FLOAT: c[i] = cell_real(sqlite3_column_double(q, i)); break;
        case SQLITE_TEXT:
            c[i] = cell_str((const char *)sqlite3_column_text(q, i));
            if (c[i].kind == CELL_NULL)
                return store_fail(s, SQLITE_NOMEM, "", e);
            break;
        default: c[i] = (cell){0};
        }
    }
    return 0;
}

int store_each(store *s, const char *sql, const cell *bind, int n_bind, store_cells_fn *row, void *ud, err *e)
{
    static const char doing[] = "reading rows";
    sqlite3_stmt *q = NULL;
    cell *c = NULL;
    bool more = true;
    int code = store_prepare(s, &q, sql, doing, e);
    if (!code && !sqlite3_stmt_readonly(q))
        code = err_set(e, ERR_FAILED, "a query that writes");
    if (!code)
        code = store_bind(s, q, bind, n_bind, doing, e);
    const int n = code ? 0 : sqlite3_column_count(q);
    if (!code && !(c = mem_array((size_t)n + 1, sizeof *c, e)))
        code = ERR_RESOURCE;
    store_watch_cancel(s, true);
    while (!code) {
        code = store_step(s, q, &more, doing, e);
        if (code || !more)
            break;
        code = view_cells(s, q, c, n, e);
        if (!code)
            code = row(ud, c, n, e);
    }
    store_watch_cancel(s, false);
    sqlite3_finalize(q);
    free(c);
    return code;
}
