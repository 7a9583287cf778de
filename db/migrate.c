/* From whatever version a store has to the one this program writes.  All steps run in one transaction:
 * afterwards the store has the new version or is what it was. */
#include <stdio.h>
#include "db/internal.h"

typedef struct header { int64_t application_id, version, objects; } header;

static int read_header(store *s, header *h, err *e)
{
    static const char doing[] = "reading its header";
    int code = store_one_int(s, &h->application_id, NULL, "PRAGMA application_id", NULL, 0, doing, e);
    if (!code)
        code = store_one_int(s, &h->version, NULL, "PRAGMA user_version", NULL, 0, doing, e);
    if (!code)
        code = store_one_int(s, &h->objects, NULL, "SELECT count(*) FROM sqlite_schema", NULL, 0, doing, e);
    return code;
}

/* 0 when the store may be used after the steps from its version to n. */
static int check_header(const store *s, const header *h, int n, err *e)
{
    bool empty = h->application_id == 0 && h->version == 0 && h->objects == 0;
    if (h->application_id != STORE_APPLICATION_ID && !empty)
        return store_fail(s, SQLITE_NOTADB, "", e);
    if (h->version < 0) {
        err_set(e, ERR_INPUT, "store %s is damaged: its version is %lld", s->path, (long long)h->version);
        return err_hint(e, "name another store");
    }
    if (h->version > n) {
        err_set(e, ERR_INPUT, "store %s has version %lld, this program knows versions up to %d", s->path,
                (long long)h->version, n);
        return err_hint(e, "use the newer attnscope that wrote it, or name another store");
    }
    if (s->read_only && h->version < n) {
        if (empty) {
            err_set(e, ERR_INPUT, "%s is empty, not a store", s->path);
            return err_hint(e, "name a store that holds runs");
        }
        err_set(e, ERR_INPUT, "store %s has the older version %lld: it must be updated before it is read",
                s->path, (long long)h->version);
        return err_hint(e, "open it once for writing");
    }
    return 0;
}

static int set_number(store *s, const char *pragma, long long number, err *e)
{
    char sql[64];
    snprintf(sql, sizeof sql, "PRAGMA %s = %lld", pragma, number);
    return store_exec(s, sql, "writing its header", e);
}

static int check_references(store *s, err *e)
{
    int64_t ignored;
    bool broken = false;
    int code = store_one_int(s, &ignored, &broken, "PRAGMA foreign_key_check", NULL, 0,
                             "checking references", e);
    if (!code && broken)
        code = err_set(e, ERR_INPUT, "store %s is damaged: rows refer to rows that are missing", s->path);
    return code;
}

int store_migrate(store *s, const char *const *migrations, int n, err *e)
{
    header h;
    int code = read_header(s, &h, e);
    if (!code)
        code = check_header(s, &h, n, e);
    if (code || (h.version == n && h.application_id == STORE_APPLICATION_ID))
        return code;

    /* A step may rebuild a table that others refer to, which needs foreign keys off; that switch works
     * outside of transactions only.  What the steps left is checked as a whole. */
    code = store_exec(s, "PRAGMA foreign_keys = OFF", "migrating", e);
    if (!code)
        code = store_begin(s, e);
    if (code)
        return code;
    code = read_header(s, &h, e); /* another process may have been first */
    if (!code)
        code = check_header(s, &h, n, e);
    for (int64_t v = h.version; !code && v < n; v++)
        code = store_exec(s, migrations[v], "migrating", e);
    if (!code)
        code = check_references(s, e);
    if (!code)
        code = set_number(s, "application_id", STORE_APPLICATION_ID, e);
    if (!code)
        code = set_number(s, "user_version", n, e);
    if (code)
        store_rollback(s);
    else
        code = store_commit(s, e);
    return code;
}
