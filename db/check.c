/* Is a store sound?  SQLite checks the file and its references; what must hold between our rows is checked
 * here, each kind by itself: one that cannot be read to its end counts as found. */
#include <stdio.h>
#include <string.h>
#include "base/cancel.h"
#include "db/check_internal.h"

static const char doing[] = "checking";

/* ---- the file ---- */

/* Each line of each row is a complaint, but for headings ("*** in database main ***") and a single "ok". */
static int check_file(store *s, findings *f, err *e)
{
    table *t = NULL;
    int code = store_query(s, &t, "PRAGMA integrity_check", NULL, 0, e);
    for (int64_t i = 0; !code && i < t->n_row; i++) {
        const char *said = row_text(t, i, 0);
        for (const char *line = said; *line; line += strspn(line, "\n")) {
            const int len = (int)strcspn(line, "\n");
            if (strncmp(line, "***", 3) != 0 && strcmp(line, "ok") != 0)
                found_one(f, "%.*s", len, line);
            line += len;
        }
    }
    table_free(t);
    return code;
}

/* Triggers on our tables that are none of ours: they can change what is written as it is written. */
static int check_triggers(store *s, store *fresh, findings *f, err *e)
{
    table *have = NULL;
    int code = store_query(s, &have, "SELECT name, tbl_name FROM sqlite_schema WHERE type = 'trigger' ORDER"
                                     " BY name", NULL, 0, e);
    for (int64_t i = 0; !code && i < have->n_row; i++) {
        table *foreign = NULL;
        code = store_query(fresh, &foreign, "SELECT 1 WHERE EXISTS (SELECT 1 FROM sqlite_schema WHERE name ="
                                            " ?2) AND NOT EXISTS"
                                            " (SELECT 1 FROM sqlite_schema WHERE name = ?1 AND type ="
                                            " 'trigger')",
                           table_cell(have, i, 0), 2, e);
        if (!code && foreign->n_row > 0)
            found_one(f, "the trigger %s on %s is none of this program's", row_text(have, i, 0),
                      row_text(have, i, 1));
        table_free(foreign);
    }
    table_free(have);
    return code;
}

/* Tables, indices, views and triggers must be those that this program makes: a store without an index still
 * answers, late; one without a trigger soon answers wrongly.  What a user added beside them is left alone. */
static int check_schema(store *s, findings *f, err *e)
{
    static const char sql[] = "SELECT name, type, ifnull(sql, '') FROM sqlite_schema ORDER BY name";
    store *fresh = NULL;
    table *want = NULL;
    int code = store_open(&fresh, ":memory:", false, e);
    if (!code)
        code = store_query(fresh, &want, sql, NULL, 0, e);
    for (int64_t i = 0; !code && i < want->n_row; i++) {
        const cell *c = table_cell(want, i, 0);
        table *have = NULL;
        code = store_query(s, &have, "SELECT 1 FROM sqlite_schema WHERE name = ?1 AND type = ?2 AND"
                                     " ifnull(sql, '') = ?3", c, 3, e);
        if (!code && have->n_row == 0)
            found_one(f, "the %s %s is missing or was changed", c[1].u.s, c[0].u.s);
        table_free(have);
    }
    if (!code)
        code = check_triggers(s, fresh, f, e);
    table_free(want);
    store_close(fresh);
    return code;
}

static int check_references(store *s, findings *f, err *e)
{
    table *t = NULL;
    int code = store_query(s, &t,
                           "SELECT \"table\", ifnull(rowid, 0), parent FROM pragma_foreign_key_check", NULL,
                           0, e);
    for (int64_t i = 0; !code && i < t->n_row; i++)
        found_one(f, "a row of %s refers to a row of %s that is missing", row_text(t, i, 0),
                  row_text(t, i, 2));
    table_free(t);
    return code;
}

/* ---- rows ---- */

/* Queries for rows that must not be, each with one column that says which. */
static const char units_sql[] =
    "SELECT 'run ' || u.run_id || ', prompt ' || u.prompt_index || ': left ' || u.status || ' by a run that"
    " has ended; gc removes it'"
    " FROM unit u JOIN run r ON r.id = u.run_id WHERE u.status <> 'done' AND r.status <> 'running'"
    " UNION ALL SELECT 'run ' || u.run_id || ', prompt ' || u.prompt_index || ': done without a time' FROM"
    " unit u WHERE u.status = 'done' AND u.finished IS NULL";
static const char runs_sql[] =
    "SELECT 'run ' || id || ': ' || status || CASE WHEN finished IS NULL THEN ' without an end' ELSE ', and"
    " has an end' END FROM run WHERE (status = 'running') <> (finished IS NULL)"
    " UNION ALL SELECT 'run ' || id || ': its settings, edits or cell are not JSON' FROM run"
    " WHERE NOT json_valid(settings) OR NOT json_valid(edits) OR (cell IS NOT NULL AND NOT json_valid(cell))"
    " UNION ALL SELECT 'run ' || id || ': it has a cell, but no sweep' FROM run WHERE cell IS NOT NULL AND"
    " sweep_id IS NULL";
static const char values_sql[] = /* NaN is NULL in SQLite, which the table refuses */
    "SELECT 'unit row ' || unit_id || ', metric row ' || metric_id || ': ' || CASE WHEN position < -1 THEN"
    " 'position '"
    " || position ELSE 'infinite' END FROM value WHERE position < -1 OR value NOT BETWEEN"
    " -1.7976931348623157e308 AND 1.7976931348623157e308";
static const char tokens_sql[] =
    "SELECT 'prompt row ' || id || ': no sequence of its ' || n_token || ' tokens' FROM prompt p WHERE"
    " n_token > 0 AND NOT"
    " EXISTS (SELECT 1 FROM token t WHERE t.prompt_id = p.id GROUP BY t.sequence HAVING count(*) = p.n_token)"
    " UNION ALL SELECT 'prompt row ' || prompt_id || ': its tokens are not numbered from 0' FROM token"
    " GROUP BY prompt_id, sequence HAVING min(position) <> 0 OR max(position) <> count(*) - 1";

static int check_sql(store *s, findings *f, const char *sql, err *e)
{
    sqlite3_stmt *q = NULL;
    bool row = true;
    int code = store_prepare(s, &q, sql, doing, e);
    store_watch_cancel(s, true);
    while (!code) {
        code = store_step(s, q, &row, doing, e);
        if (code || !row)
            break;
        const char *said = (const char *)sqlite3_column_text(q, 0);
        found_one(f, "%s", said ? said : "?");
    }
    store_watch_cancel(s, false);
    sqlite3_finalize(q);
    return code;
}

/* ---- all of it ---- */

typedef struct check {
    const char *name;
    int (*run)(store *s, findings *f, err *e);
    const char *sql;   /* instead of run */
} check;

static const check checks[] = {
    {"file", check_file, NULL},           {"schema", check_schema, NULL},
    {"references", check_references, NULL},
    {"models", check_models, NULL},       {"runs", NULL, runs_sql},       {"names", check_names, NULL},
    {"units", NULL, units_sql},           {"tokens", NULL, tokens_sql},   {"prompts", check_prompts, NULL},
    {"values", NULL, values_sql},         {"maps", check_maps, NULL},
    {"summaries", check_summaries, NULL},
};

static int put_row(table *t, const char *name, const findings *f, err *e)
{
    cell *c = table_row(t, e);
    int code = c ? table_text(t, &c[0], name, strlen(name), e) : ERR_RESOURCE;
    if (!code) {
        c[1] = cell_int(f->n);
        code = f->n ? table_text(t, &c[2], f->first, strlen(f->first), e) : 0;
    }
    return code;
}

int store_check(store *s, table **out, const struct progress *prog, err *e)
{
    static const char *const columns[] = {"check", "found", "detail"};
    const size_t n = sizeof checks / sizeof *checks;
    table *t = NULL;
    *out = NULL;
    int code = store_idle(s, "checking", e);
    if (!code)
        code = store_exec(s, "BEGIN", doing, e); /* one moment, whoever else writes */
    if (code)
        return code;
    code = table_new(&t, 3, columns, e);
    for (size_t i = 0; !code && i < n; i++) {
        findings f = {0};
        err why = {0};
        progress_step(prog, checks[i].name, (double)i, (double)n);
        code = checks[i].run ? checks[i].run(s, &f, &why) : check_sql(s, &f, checks[i].sql, &why);
        if (code == ERR_FAILED || code == ERR_INPUT) { /* as damaged files end a query */
            found_one(&f, "%s", why.msg);
            code = 0;
        }
        if (!code)
            code = cancel_check(&why);
        if (code && e)
            *e = why;
        if (!code)
            code = put_row(t, checks[i].name, &f, e);
    }
    store_rollback(s);
    if (code)
        table_free(t);
    else
        *out = t;
    return code;
}
