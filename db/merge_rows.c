/* Merging stores: ids, and rows that are copied as they are. */
#include <stdlib.h>
#include "db/merge_internal.h"

static const char doing[] = "merging";

int id_map_add(id_map *m, int64_t from, int64_t to, err *e)
{
    if (m->n == m->cap) {
        size_t cap = m->cap ? 2 * m->cap : 256;
        id_pair *pair = mem_grow(m->pair, cap, sizeof *pair, e);
        if (!pair)
            return ERR_RESOURCE;
        m->pair = pair;
        m->cap = cap;
    }
    m->pair[m->n++] = (id_pair){from, to};
    return 0;
}

int id_map_get(const merge *g, const id_map *m, int64_t from, int64_t *to, err *e)
{
    size_t lo = 0, hi = m->n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (m->pair[mid].from < from)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (lo == m->n || m->pair[lo].from != from) {
        err_set(e, ERR_INPUT, "store %s is damaged: rows refer to rows that are missing",
                store_path(g->from));
        return err_hint(e, "`check %s` tells more", store_path(g->from));
    }
    *to = m->pair[lo].to;
    return 0;
}

/* One table of names: the row of `to` that find gives for a row of `from`, made by insert when there is none.
 * rows selects the id, then what both bind as ?1... */
static int merge_table(merge *g, id_map *map, const char *rows, const char *find, const char *insert, err *e)
{
    table *t = NULL;
    int code = store_query(g->from, &t, rows, NULL, 0, e);
    for (int64_t i = 0; !code && i < t->n_row; i++) {
        const cell *key = table_cell(t, i, 1);
        int64_t id;
        bool found;
        code = store_one_int(g->to, &id, &found, find, key, t->n_col - 1, doing, e);
        if (!code && !found) {
            code = store_do(g->to, insert, key, t->n_col - 1, doing, e);
            id = sqlite3_last_insert_rowid(g->to->db);
        }
        if (!code)
            code = id_map_add(map, row_int(t, i, 0), id, e);
    }
    table_free(t);
    return code;
}

int merge_names(merge *g, err *e)
{
    int code = merge_table(g, &g->metric, "SELECT id, name FROM metric ORDER BY id",
                           "SELECT id FROM metric WHERE name = ?1",
                           "INSERT INTO metric (name) VALUES (?1)", e);
    return code ? code : merge_table(g, &g->site, "SELECT id, kind, layer, head, name FROM site ORDER BY id",
        "SELECT id FROM site WHERE kind = ?1 AND ifnull(layer, -1) = ifnull(?2, -1) AND ifnull(head, -1) ="
        " ifnull(?3, -1) AND name IS ?4",
        "INSERT INTO site (kind, layer, head, name) VALUES (?1, ?2, ?3, ?4)", e);
}

/* Texts with NUL and blobs stay what they are: values travel from statement to statement. */
static int copy_row(merge *g, sqlite3_stmt *in, sqlite3_stmt *out, const replaced *other, int n_other, err *e)
{
    int n = sqlite3_column_count(in);
    for (int i = 0; i < n; i++) {
        int rc = sqlite3_bind_value(out, i + 1, sqlite3_column_value(in, i));
        if (rc != SQLITE_OK)
            return store_fail(g->to, rc, doing, e);
    }
    for (int i = 0; i < n_other; i++)
        sqlite3_bind_int64(out, other[i].at + 1, other[i].value);
    return store_step(g->to, out, NULL, doing, e);
}

int merge_copy(merge *g, const char *select, int64_t id, const char *insert, const replaced *other,
               int n_other, int64_t *n, err *e)
{
    sqlite3_stmt *in = NULL, *out = NULL;
    const cell bind[] = {cell_int(id)};
    bool row = true;
    int code = store_prepare(g->from, &in, select, doing, e);
    if (!code)
        code = store_bind(g->from, in, bind, 1, doing, e);
    if (!code)
        code = store_prepare(g->to, &out, insert, doing, e);
    while (!code) {
        code = store_step(g->from, in, &row, doing, e);
        if (code || !row)
            break;
        code = copy_row(g, in, out, other, n_other, e);
        if (n)
            *n += !code;
    }
    sqlite3_finalize(in);
    sqlite3_finalize(out);
    return code;
}

int merge_row(store *in, table **out, const char *sql, const cell *bind, int n_bind, err *e)
{
    sqlite3_stmt *q = NULL;
    *out = NULL;
    int code = store_prepare(in, &q, sql, doing, e);
    if (!code)
        code = store_bind(in, q, bind, n_bind, doing, e);
    if (!code)
        code = store_rows(in, out, q, 1, NULL, e);
    sqlite3_finalize(q);
    if (!code && (*out)->n_row == 0) {
        table_free(*out);
        *out = NULL;
        err_set(e, ERR_INPUT, "store %s is damaged: rows refer to rows that are missing", store_path(in));
        code = err_hint(e, "`check %s` tells more", store_path(in));
    }
    return code;
}
