/* SQL typed by a user: one statement, which may do no more than was agreed, with errors that help. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "base/param.h"
#include "base/strbuf.h"
#include "db/internal.h"

/* ---- the guard: SQLite asks about each thing a statement wants to do while it is compiled ---- */

typedef struct guard {
    char refused[96]; /* the first thing that is never allowed; empty when there was none */
    char writes[96];  /* the first thing that changes something */
} guard;

/* PRAGMAs that only look; those in `plain` would set something when given a value. */
static bool harmless_pragma(const char *name, const char *argument)
{
    static const char *const look[] = {
        "table_info", "table_xinfo", "table_list", "index_list", "index_info", "index_xinfo",
        "foreign_key_list", "foreign_key_check", "integrity_check", "quick_check", "function_list",
        "collation_list", "compile_options", "database_list", "pragma_list", NULL,
    };
    static const char *const plain[] = {
        "user_version", "application_id", "page_count", "page_size", "freelist_count", "journal_mode",
        "encoding", "foreign_keys", "schema_version", "data_version", NULL,
    };
    for (int i = 0; look[i]; i++) {
        if (strcasecmp(name, look[i]) == 0)
            return true;
    }
    for (int i = 0; plain[i]; i++) {
        if (strcasecmp(name, plain[i]) == 0)
            return !argument;
    }
    return false;
}

/* What reaches beyond the rows and tables of this store. */
static bool never(int action, const char *first, const char *second)
{
    switch (action) {
    case SQLITE_FUNCTION:
        return strcasecmp(second, "load_extension") == 0;
    case SQLITE_PRAGMA:
        return !harmless_pragma(first, second);
    case SQLITE_ATTACH: /* another file, also behind VACUUM INTO */
    case SQLITE_DETACH:
    case SQLITE_TRANSACTION: /* one statement is one transaction */
    case SQLITE_SAVEPOINT:
        return true;
    default:
        return false;
    }
}

static const char *action_name(int action)
{
    switch (action) {
    case SQLITE_SELECT: case SQLITE_READ: case SQLITE_RECURSIVE: return "select";
    case SQLITE_INSERT: return "insert into";
    case SQLITE_UPDATE: return "update";
    case SQLITE_DELETE: return "delete from";
    case SQLITE_PRAGMA: return "pragma";
    case SQLITE_ATTACH: return "attach";
    case SQLITE_DETACH: return "detach";
    case SQLITE_TRANSACTION: case SQLITE_SAVEPOINT: return "transaction";
    case SQLITE_FUNCTION: return "function";
    case SQLITE_ALTER_TABLE: return "alter";
    case SQLITE_REINDEX: return "reindex";
    case SQLITE_ANALYZE: return "analyze";
    case SQLITE_DROP_INDEX: case SQLITE_DROP_TABLE: case SQLITE_DROP_TRIGGER: case SQLITE_DROP_VIEW:
    case SQLITE_DROP_TEMP_INDEX: case SQLITE_DROP_TEMP_TABLE: case SQLITE_DROP_TEMP_TRIGGER:
    case SQLITE_DROP_TEMP_VIEW: case SQLITE_DROP_VTABLE: return "drop";
    default: return "create";
    }
}

static int authorize(void *ud, int action, const char *first, const char *second, const char *database,
                     const char *trigger)
{
    guard *g = ud;
    (void)database;
    (void)trigger;
    first = first ? first : "";
    bool no = never(action, first, second);
    char *note = no ? g->refused : g->writes;
    bool reads = action == SQLITE_SELECT || action == SQLITE_READ || action == SQLITE_RECURSIVE ||
                 action == SQLITE_FUNCTION || action == SQLITE_PRAGMA;
    /* CREATE and DROP change sqlite_schema first: what they are comes after that. */
    if (*note == '\0' && (no || (!reads && strncmp(first, "sqlite_", 7) != 0))) {
        const char *what = action == SQLITE_FUNCTION || action == SQLITE_ALTER_TABLE ? second : first;
        snprintf(note, sizeof g->refused, "%s %s", action_name(action), what ? what : "");
    }
    return no ? SQLITE_DENY : SQLITE_OK;
}

/* ---- one statement ---- */

/* Past white space, semicolons and comments. */
static const char *skip_nothing(const char *p)
{
    for (;;) {
        if (*p == ';' || isspace((unsigned char)*p)) {
            p++;
        } else if (p[0] == '-' && p[1] == '-') {
            p += strcspn(p, "\n");
        } else if (p[0] == '/' && p[1] == '*') {
            const char *end = strstr(p + 2, "*/");
            p = end ? end + 2 : p + strlen(p);
        } else {
            return p;
        }
    }
}

/* ---- hints ---- */

/* Names of all tables and views, and which those are, or of the columns of one of them. */
static int names(store *s, table **out, const char *of)
{
    const cell bind = cell_str(of);
    return of ? store_query(s, out, "SELECT name FROM pragma_table_info(?1)", &bind, 1, NULL)
              : store_query(s, out, "SELECT name, type FROM sqlite_schema WHERE type IN ('table', 'view') "
                            "AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name", NULL, 0, NULL);
}

/* Of tables and views only the latter: they answer questions, and all together are too many for a line. */
static void list_names(strbuf *b, const table *t)
{
    size_t start = b->len;
    for (int64_t i = 0; i < t->n_row; i++) {
        if (t->n_col > 1 && strcmp(row_text(t, i, 1), "view") != 0)
            continue;
        if (b->len > start)
            strbuf_puts(b, ", ");
        strbuf_puts(b, row_text(t, i, 0));
    }
}

/* The name of t that was probably meant; NULL when none is near. */
static const char *near_name(const table *t, const char *wrong)
{
    const char **word = mem_array((size_t)t->n_row + 1, sizeof *word, NULL);
    if (!word)
        return NULL;
    for (int64_t i = 0; i < t->n_row; i++)
        word[i] = row_text(t, i, 0);
    const char *near = nearest_word(wrong, word);
    free(word);
    return near;
}

static bool mentions(const char *sql, const char *name)
{
    size_t n = strlen(name);
    for (const char *p = sql; (p = strcasestr(p, name)); p++) {
        bool before = p > sql && (isalnum((unsigned char)p[-1]) || p[-1] == '_');
        bool after = isalnum((unsigned char)p[n]) || p[n] == '_';
        if (!before && !after)
            return true;
    }
    return false;
}

static void hint_table(store *s, const char *wrong, err *e)
{
    table *t = NULL;
    if (names(s, &t, NULL) == 0) {
        strbuf b = {0};
        const char *near = near_name(t, wrong);
        if (near)
            strbuf_printf(&b, "did you mean %s? ", near);
        strbuf_puts(&b, "views: ");
        list_names(&b, t);
        err_hint(e, "%s", strbuf_str(&b));
        strbuf_free(&b);
    }
    table_free(t);
}

/* The columns of every table and view that the statement names. */
static void hint_column(store *s, const char *sql, const char *wrong, err *e)
{
    table *t = NULL;
    strbuf meant = {0}, list = {0};
    const char *dot = strrchr(wrong, '.');
    if (names(s, &t, NULL) == 0) {
        for (int64_t i = 0; i < t->n_row; i++) {
            const char *name = row_text(t, i, 0);
            table *columns = NULL;
            if (mentions(sql, name) && names(s, &columns, name) == 0) {
                const char *near = near_name(columns, dot ? dot + 1 : wrong);
                if (near && meant.len == 0)
                    strbuf_printf(&meant, "did you mean %s? ", near);
                strbuf_printf(&list, "%s%s has ", list.len ? "; " : "", name);
                list_names(&list, columns);
            }
            table_free(columns);
        }
    }
    if (list.len)
        err_hint(e, "%s%s", strbuf_str(&meant), strbuf_str(&list));
    strbuf_free(&meant);
    strbuf_free(&list);
    table_free(t);
}

/* Of `near "selct": syntax error` the keyword that was probably meant. */
static void hint_syntax(const char *said, err *e)
{
    static const char *const keywords[] = {"select", "from", "where", "group", "order", "by", "limit", "having", "join", "left",
                                           "using", "on", "as", "and", "or", "not", "distinct", "union", "with", "insert",
                                           "update", "delete", "values", "between", "like", "explain", NULL};
    char word[24];
    const char *near = sscanf(said, "near \"%23[A-Za-z]\"", word) == 1 ? nearest_word(word, keywords) : NULL;
    if (near && strcasecmp(near, word) != 0)
        err_hint(e, "did you mean %s? `help sql` shows examples", near);
    else
        err_hint(e, "`help sql` shows examples");
}

static int sql_error(store *s, const char *sql, int rc, err *e)
{
    static const char no_table[] = "no such table: ", no_column[] = "no such column: ";
    if ((rc & 0xff) != SQLITE_ERROR)
        return store_fail(s, rc, "sql", e);
    char said[400];
    snprintf(said, sizeof said, "%s", sqlite3_errmsg(s->db)); /* the hints ask SQLite again */
    err_set(e, ERR_USAGE, "%s", said);
    if (strncmp(said, no_table, strlen(no_table)) == 0)
        hint_table(s, said + strlen(no_table), e);
    else if (strncmp(said, no_column, strlen(no_column)) == 0)
        hint_column(s, sql, said + strlen(no_column), e);
    else
        hint_syntax(said, e);
    return ERR_USAGE;
}

static int refuse(const guard *g, bool write, err *e)
{
    const char *what = *g->refused ? g->refused : *g->writes ? g->writes : "a statement that writes";
    err_set(e, ERR_USAGE, "not allowed here: %s", what);
    return err_hint(e, write ? "a statement may change rows and tables of this store, nothing else"
                             : "statements only read, unless writing is asked for");
}

static int prepare_guarded(store *s, sqlite3_stmt **out, const char *sql, bool write, guard *g, err *e)
{
    const char *rest = sql;
    int rc = sqlite3_prepare_v2(s->db, sql, -1, out, &rest);
    if (*g->refused)
        return refuse(g, write, e);
    if (rc != SQLITE_OK) {
        sqlite3_set_authorizer(s->db, NULL, NULL);
        return sql_error(s, sql, rc, e);
    }
    if (!*out) {
        err_set(e, ERR_USAGE, "no SQL statement");
        return err_hint(e, "try: SELECT * FROM run_list");
    }
    if (*skip_nothing(rest)) {
        err_set(e, ERR_USAGE, "more than one SQL statement");
        return err_hint(e, "give one at a time");
    }
    if (!write && !sqlite3_stmt_readonly(*out) && !sqlite3_stmt_isexplain(*out))
        return refuse(g, write, e);
    return 0;
}

/* Run a statement without columns; what it did is the table. */
static int run_change(store *s, table **out, sqlite3_stmt *q, err *e)
{
    static const char *const column[] = {"rows_changed"};
    table *t = NULL;
    bool row = true;
    sqlite3_int64 before = sqlite3_total_changes64(s->db);
    int code = table_new(&t, 1, column, e);
    cell *c = code ? NULL : table_row(t, e);
    code = c ? 0 : ERR_RESOURCE;
    store_watch_cancel(s, true);
    while (!code && row)
        code = store_step(s, q, &row, "sql", e);
    store_watch_cancel(s, false);
    if (code) {
        table_free(t);
        return code;
    }
    *c = cell_int(sqlite3_total_changes64(s->db) - before);
    *out = t;
    return 0;
}

int store_user_sql(store *s, table **out, const char *sql, bool write, int64_t limit, bool *more, err *e)
{
    guard g = {0};
    sqlite3_stmt *q = NULL;
    *out = NULL;
    if (more)
        *more = false;
    int code = store_idle(s, "sql", e);
    if (code)
        return code;
    sqlite3_set_authorizer(s->db, authorize, &g);
    code = prepare_guarded(s, &q, skip_nothing(sql), write, &g, e);
    if (!code)
        code = sqlite3_column_count(q) ? store_rows(s, out, q, limit, more, e) : run_change(s, out, q, e);
    if (code && *g.refused)
        code = refuse(&g, write, e); /* asked while running: VACUUM INTO */
    sqlite3_finalize(q);
    sqlite3_set_authorizer(s->db, NULL, NULL);
    return code;
}
