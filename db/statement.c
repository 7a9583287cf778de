/* Calls to SQLite, and what its result codes mean to a user. */
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <time.h>
#include "base/cancel.h"
#include "db/internal.h"

void utc_now(utc_time out)
{
    struct timespec now = {0};
    struct tm tm = {0};
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    size_t n = strftime(out, sizeof(utc_time), "%Y-%m-%dT%H:%M:%S", &tm);
    unsigned ms = (unsigned)(now.tv_nsec / 1000000) % 1000;
    out[n++] = '.';
    for (unsigned digit = 100; digit > 0; digit /= 10)
        out[n++] = (char)('0' + ms / digit % 10);
    out[n++] = 'Z';
    out[n] = '\0';
}

/* The operating system's reason for result rc, as part of a sentence; SQLite's own words when it gave
 * none. */
static void system_reason(const store *s, int rc, char *out, size_t size)
{
    int number = s->db ? sqlite3_system_errno(s->db) : 0;
    char text[128];
    const char *said = number ? strerror_r(number, text, sizeof text) : sqlite3_errstr(rc);
    size_t n = 0;
    for (; said[n] && n + 1 < size; n++)
        out[n] = said[n];
    out[n] = '\0';
    if (n > 1 && islower((unsigned char)out[1]))
        out[0] = (char)tolower((unsigned char)out[0]);
}

static int input_output_error(const store *s, int rc, err *e)
{
    char reason[128];
    system_reason(s, rc, reason, sizeof reason);
    int number = sqlite3_system_errno(s->db);
    switch (rc) {
    case SQLITE_IOERR_NOMEM:
        return err_nomem(e, "the store");
    case SQLITE_IOERR_READ:
    case SQLITE_IOERR_SHORT_READ:
    case SQLITE_IOERR_FSTAT:
    case SQLITE_IOERR_CORRUPTFS:
        err_set(e, ERR_INPUT, "cannot read store %s: %s", s->path, reason);
        return err_hint(e, "check the disk that holds it; a copy may still be readable");
    default:
        if (number == ENOSPC || number == EDQUOT || number == EFBIG)
            return store_fail(s, SQLITE_FULL, "", e);
        err_set(e, ERR_RESOURCE, "cannot write store %s: %s", s->path, reason);
        return err_hint(e, "check the disk that holds it, or name another store");
    }
}

static int cannot_open(const store *s, int rc, err *e)
{
    char reason[128];
    system_reason(s, rc, reason, sizeof reason);
    err_set(e, ERR_FAILED, "cannot open store %s: %s", s->path, reason);
    return err_hint(e, "check that its folder exists and that you may %s there",
                    s->read_only ? "read" : "write");
}

int store_fail(const store *s, int rc, const char *doing, err *e)
{
    const char *said = s->db ? sqlite3_errmsg(s->db) : sqlite3_errstr(rc);
    switch (rc & 0xff) {
    case SQLITE_NOMEM:
        return err_nomem(e, "the store");
    case SQLITE_FULL:
        err_set(e, ERR_RESOURCE, "disk full: cannot write store %s", s->path);
        return err_hint(e, "make room on its disk, or name another store");
    case SQLITE_IOERR:
        return input_output_error(s, rc, e);
    case SQLITE_NOTADB:
        err_set(e, ERR_INPUT, "%s is not an attnscope store", s->path);
        return err_hint(e, "the file stays as it is; name another file for the store");
    case SQLITE_CORRUPT:
        err_set(e, ERR_INPUT, "store %s is damaged: %s", s->path, said);
        return err_hint(e, "what is left of it can be copied with: sqlite3 FILE .recover | sqlite3 NEW");
    case SQLITE_BUSY:
    case SQLITE_PROTOCOL:
        if (cancel_requested())
            return cancel_check(e);
        err_set(e, ERR_FAILED, "store %s is in use by another process", s->path);
        return err_hint(e, "wait until it has finished, or name another store");
    case SQLITE_READONLY:
    case SQLITE_PERM:
        err_set(e, ERR_FAILED, "store %s is read-only", s->path);
        return err_hint(e, s->read_only
                               ? "it was opened for reading; nothing can be added"
                               : "check the permissions of the file and its folder, or name another store");
    case SQLITE_CANTOPEN:
        return cannot_open(s, rc, e);
    case SQLITE_INTERRUPT:
        if (cancel_requested())
            return cancel_check(e);
        return err_set(e, ERR_CANCELLED, "cancelled");
    case SQLITE_TOOBIG:
        err_set(e, ERR_FAILED, "%s: too large for one row of store %s", doing, s->path);
        return err_hint(e, "a map can be pooled: fewer, larger cells");
    default:
        return err_set(e, ERR_FAILED, "store %s: %s: %s", s->path, doing, said);
    }
}

int store_exec(store *s, const char *sql, const char *doing, err *e)
{
    int rc = sqlite3_exec(s->db, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? 0 : store_fail(s, rc, doing, e);
}

int store_prepare(store *s, sqlite3_stmt **out, const char *sql, const char *doing, err *e)
{
    int rc = sqlite3_prepare_v2(s->db, sql, -1, out, NULL);
    return rc == SQLITE_OK ? 0 : store_fail(s, rc, doing, e);
}

int store_kept(store *s, sqlite3_stmt **out, int which, const char *sql, err *e)
{
    if (!s->stmt[which]) {
        int rc = sqlite3_prepare_v3(s->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &s->stmt[which], NULL);
        if (rc != SQLITE_OK)
            return store_fail(s, rc, "preparing a statement", e);
    }
    *out = s->stmt[which];
    return 0;
}

int store_step(store *s, sqlite3_stmt *q, bool *row, const char *doing, err *e)
{
    int rc = sqlite3_step(q);
    if (row)
        *row = rc == SQLITE_ROW;
    if (rc == SQLITE_ROW)
        return 0;
    if (rc == SQLITE_DONE) {
        sqlite3_reset(q);
        return 0;
    }
    int code = store_fail(s, rc, doing, e);
    sqlite3_reset(q);
    return code;
}

int store_bind(store *s, sqlite3_stmt *q, const cell *bind, int n_bind, const char *doing, err *e)
{
    if (sqlite3_bind_parameter_count(q) > n_bind)
        return err_set(e, ERR_FAILED, "%s: the statement has %d parameters, %d were given", doing,
                       sqlite3_bind_parameter_count(q), n_bind);
    for (int i = 0; i < n_bind; i++) {
        int rc = SQLITE_OK;
        switch (bind[i].kind) {
        case CELL_NULL: rc = sqlite3_bind_null(q, i + 1); break;
        case CELL_INT: rc = sqlite3_bind_int64(q, i + 1, bind[i].u.i); break;
        case CELL_REAL: rc = sqlite3_bind_double(q, i + 1, bind[i].u.r); break;
        case CELL_TEXT: rc = sqlite3_bind_text(q, i + 1, bind[i].u.s, -1, SQLITE_TRANSIENT); break;
        }
        if (rc != SQLITE_OK)
            return store_fail(s, rc, doing, e);
    }
    return 0;
}

int store_one_int(store *s, int64_t *out, bool *found, const char *sql, const cell *bind, int n_bind,
                  const char *doing, err *e)
{
    sqlite3_stmt *q = NULL;
    bool row = false;
    int code = store_prepare(s, &q, sql, doing, e);
    if (!code)
        code = store_bind(s, q, bind, n_bind, doing, e);
    if (!code)
        code = store_step(s, q, &row, doing, e);
    *out = row ? sqlite3_column_int64(q, 0) : 0;
    if (found)
        *found = row;
    sqlite3_finalize(q);
    return code;
}

int store_do(store *s, const char *sql, const cell *bind, int n_bind, const char *doing, err *e)
{
    sqlite3_stmt *q = NULL;
    bool row = true;
    int code = store_prepare(s, &q, sql, doing, e);
    if (!code)
        code = store_bind(s, q, bind, n_bind, doing, e);
    while (!code && row)
        code = store_step(s, q, &row, doing, e);
    sqlite3_finalize(q);
    return code;
}

int store_begin(store *s, err *e)
{
    return store_exec(s, "BEGIN IMMEDIATE", "opening a transaction", e);
}

int store_commit(store *s, err *e)
{
    int code = store_exec(s, "COMMIT", "committing", e);
    if (code)
        store_rollback(s);
    return code;
}

void store_rollback(store *s)
{
    if (!sqlite3_get_autocommit(s->db))
        sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
}

int store_idle(const store *s, const char *doing, err *e)
{
    return s->unit ? err_set(e, ERR_FAILED, "%s: a unit of work is still open", doing) : 0;
}
