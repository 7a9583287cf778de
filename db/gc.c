/* Giving space back: rows that nothing refers to, then free pages. */
#include "db/internal.h"

static const char doing[] = "removing what nothing refers to";

static int count_away(store *s, const char *sql, int64_t *n, err *e)
{
    int code = store_do(s, sql, NULL, 0, doing, e);
    *n = code ? 0 : sqlite3_changes64(s->db);
    return code;
}

static int size_of(store *s, int64_t *bytes, err *e)
{
    int64_t pages, size;
    int code = store_one_int(s, &pages, NULL, "PRAGMA page_count", NULL, 0, doing, e);
    if (!code)
        code = store_one_int(s, &size, NULL, "PRAGMA page_size", NULL, 0, doing, e);
    *bytes = code ? 0 : pages * size;
    return code;
}

/* Units that no run will finish, with all that is theirs. */
static int remove_units(store *s, store_gc_report *out, err *e)
{
    int code = store_begin(s, e);
    if (code)
        return code;
    code = count_away(s, "DELETE FROM unit WHERE status <> 'done' AND run_id IN (SELECT id FROM run WHERE"
                         " status <> 'running')",
                      &out->units, e);
    if (!code)
        return store_commit(s, e);
    store_rollback(s);
    return code;
}

/* With foreign keys on, SQLite would look through all values for each site that goes; what refers to what is
 * asked here. */
static int remove_rows(store *s, store_gc_report *out, err *e)
{
    int64_t ignored;
    int code = store_begin(s, e);
    if (code)
        return code;
    code = count_away(s, "DELETE FROM prompt WHERE id NOT IN (SELECT prompt_id FROM unit)", &out->prompts, e);
    if (!code)
        code = count_away(s, "DELETE FROM token WHERE prompt_id NOT IN (SELECT id FROM prompt)", &ignored, e);
    if (!code)
        code = count_away(s, "DELETE FROM model WHERE id NOT IN (SELECT model_id FROM run)", &out->models, e);
    if (!code)
        code = count_away(s, "DELETE FROM summary WHERE run_id NOT IN (SELECT id FROM run WHERE summed = 1)",
                          &ignored, e);
    if (!code)
        code = count_away(s, "DELETE FROM site WHERE id NOT IN (SELECT site_id FROM value UNION SELECT"
                             " site_id FROM map)",
                          &out->sites, e);
    if (!code)
        code = count_away(s, "DELETE FROM metric WHERE id NOT IN (SELECT metric_id FROM value)",
                          &out->metrics, e);
    if (!code)
        return store_commit(s, e);
    store_rollback(s);
    return code;
}

static int add_summaries(store *s, err *e)
{
    table *t = NULL;
    int code = store_query(s, &t, "SELECT id, summed FROM run WHERE status <> 'running'", NULL, 0, e);
    for (int64_t i = 0; !code && i < t->n_row; i++) {
        const cell run = *table_cell(t, i, 0);
        int64_t wrong = 0;
        if (row_int(t, i, 1) == 1)
            code = summary_check(s, row_int(t, i, 0), &wrong, e);
        if (!code && wrong)
            code = store_do(s, "UPDATE run SET summed = 0 WHERE id = ?1", &run, 1, doing, e);
        if (!code)
            code = summary_write(s, row_int(t, i, 0), e);
    }
    table_free(t);
    return code;
}

int store_gc(store *s, store_gc_report *out, err *e)
{
    int64_t ignored;
    *out = (store_gc_report){0};
    int code = store_idle(s, doing, e);
    if (!code)
        code = size_of(s, &out->bytes_before, e);
    if (!code)
        code = remove_units(s, out, e);
    if (!code)
        code = store_exec(s, "PRAGMA foreign_keys = OFF", doing, e);
    if (code)
        return code;
    code = remove_rows(s, out, e);
    int back = store_exec(s, "PRAGMA foreign_keys = ON", doing, code ? NULL : e);
    code = code ? code : back;
    if (!code)
        code = add_summaries(s, e);
    if (!code)
        code = store_exec(s, STORE_SITE_STATISTICS, doing, e); /* of a store that had others */
    if (!code)
        code = store_exec(s, "VACUUM", "giving space back", e);
    if (!code) /* the file shrinks now, or when the last reader has gone */
        code = store_one_int(s, &ignored, NULL, "PRAGMA wal_checkpoint(TRUNCATE)", NULL, 0,
                             "giving space back", e);
    return code ? code : size_of(s, &out->bytes_after, e);
}
