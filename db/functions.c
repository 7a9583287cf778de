/* Functions that statements on a store have besides SQLite's own. */
#include "db/internal.h"

/* last_run(), last_run(n): the newest run that is done (the newest of all where none is), the nth before it among those that
 * are done; NULL: there is none. */
static void last_run(sqlite3_context *c, int n, sqlite3_value **value)
{
    sqlite3_stmt *q = NULL;
    sqlite3_int64 back = n > 0 ? sqlite3_value_int64(value[0]) : 0;
    if (n > 0 && (sqlite3_value_type(value[0]) != SQLITE_INTEGER || back < 0)) {
        sqlite3_result_error(c, "last_run(n): n is a whole number from 0", -1);
        return;
    }
    static const char sql[] = "SELECT coalesce((SELECT id FROM run WHERE status = 'done' ORDER BY id DESC LIMIT 1 OFFSET ?1),"
                              " CASE WHEN ?1 = 0 THEN (SELECT max(id) FROM run) END)";
    int rc = sqlite3_prepare_v2(sqlite3_context_db_handle(c), sql, -1, &q, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_int64(q, 1, back);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(q);
    if (rc == SQLITE_ROW)
        sqlite3_result_value(c, sqlite3_column_value(q, 0));
    else
        sqlite3_result_error_code(c, rc);
    sqlite3_finalize(q);
}

int store_functions(store *s, err *e)
{
    /* the same throughout a statement: a constant that an index can be searched with */
    const int flags = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_DIRECTONLY;
    int rc = SQLITE_OK;
    for (int n = 0; n <= 1 && rc == SQLITE_OK; n++)
        rc = sqlite3_create_function_v2(s->db, "last_run", n, flags, NULL, last_run, NULL, NULL, NULL);
    return rc == SQLITE_OK ? 0 : store_fail(s, rc, "opening", e);
}
