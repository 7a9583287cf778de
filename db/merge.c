/* Merging: all of one store into another, in one transaction. */
#include <stdlib.h>
#include <string.h>
#include "base/cancel.h"
#include "base/progress.h"
#include "db/merge_internal.h"

static const char doing[] = "merging";

/* The row of `to` that find gives for what `key` selects from `from` (one cell, ?1), made by insert when
 * there is none: then *new. */
static int merge_one(merge *g, int64_t from, int64_t *to, const char *key, const char *find,
                     const char *select, const char *insert, int64_t *n, err *e)
{
    table *t = NULL;
    bool found = false;
    const cell bind[] = {cell_int(from)};
    int code = merge_row(g->from, &t, key, bind, 1, e);
    if (!code)
        code = store_one_int(g->to, to, &found, find, table_cell(t, 0, 0), 1, doing, e);
    table_free(t);
    if (code || found)
        return code;
    code = merge_copy(g, select, from, insert, NULL, 0, n, e);
    *to = sqlite3_last_insert_rowid(g->to->db);
    return code;
}

static int merge_model(merge *g, int64_t from, int64_t *to, err *e)
{
    return merge_one(g, from, to, "SELECT identity FROM model WHERE id = ?1",
        "SELECT id FROM model WHERE identity = ?1",
        "SELECT identity, sha256, path, tokenizer_sha256, name, family, format, dtype, n_layer, n_head,"
        " n_kv_head, width, vocab, context, n_param, plan FROM model WHERE id = ?1",
        "INSERT INTO model (identity, sha256, path, tokenizer_sha256, name, family, format, dtype, n_layer,"
        " n_head, n_kv_head,"
        " width, vocab, context, n_param, plan) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12,"
        " ?13, ?14, ?15, ?16)",
        &g->n.models, e);
}

static int merge_sweep(merge *g, int64_t from, int64_t *to, err *e)
{
    return merge_one(g, from, to, "SELECT uid FROM sweep WHERE id = ?1",
        "SELECT id FROM sweep WHERE uid = ?1",
        "SELECT uid, name, text, command, created FROM sweep WHERE id = ?1",
        "INSERT INTO sweep (uid, name, text, command, created) VALUES (?1, ?2, ?3, ?4, ?5)", NULL, e);
}

/* ---- runs ---- */

/* What makes two runs with one uid parts of the same: columns that must agree, as text of one row. */
static const char identity_sql[] =
    "SELECT r.verb, m.sha256, m.tokenizer_sha256, m.dtype, m.plan, r.settings, r.operator, r.edits,"
    " r.precision, r.seed, r.version FROM run r JOIN model m ON m.id = r.model_id WHERE r.id = ?1";
static const char *const identity_words[] = {"command", "model", "tokenizer", "type of weights",
                                             "configuration of the model",
                                             "settings", "operator", "edits", "precision", "seed",
                                             "version of the program"};

static bool same_cell(const cell *x, const cell *y)
{
    if (x->kind != y->kind || x->kind == CELL_NULL)
        return x->kind == y->kind;
    return x->kind == CELL_TEXT ? strcmp(x->u.s, y->u.s) == 0 : cell_number(x) == cell_number(y);
}

static int same_run(merge *g, int64_t from, int64_t to, err *e)
{
    table *x = NULL, *y = NULL;
    const cell bind[] = {cell_int(from), cell_int(to)};
    int code = merge_row(g->from, &x, identity_sql, bind, 1, e);
    if (!code)
        code = merge_row(g->to, &y, identity_sql, bind + 1, 1, e);
    for (int i = 0; !code && i < x->n_col; i++) {
        if (same_cell(table_cell(x, 0, i), table_cell(y, 0, i)))
            continue;
        err_set(e, ERR_INPUT, "run %lld of %s is run %lld of %s, but not with the same %s", (long long)from,
                store_path(g->from), (long long)to, store_path(g->to), identity_words[i]);
        code = err_hint(e, "one of the stores was changed by hand; nothing was merged");
    }
    table_free(x);
    table_free(y);
    return code;
}

/* The parts of a run are as far as the one that is least far; times span all of them; of several commands (of
 * shards) the first in the order of letters stays, so that the order of merges does not matter. */
#define STATUS "CASE WHEN 'failed' IN (status, ?2) THEN 'failed'" \
    " WHEN 'cancelled' IN (status, ?2) THEN 'cancelled' WHEN 'running' IN (status, ?2)" \
    " THEN 'running' ELSE 'done' END"
static const char join_sql[] =
    "UPDATE run SET status = " STATUS ","
    " finished = CASE WHEN " STATUS " <> 'running' THEN max(coalesce(finished, ?5), coalesce(?5, finished))"
    " END,"
    " message = CASE WHEN message IS NULL OR ?3 IS NULL THEN coalesce(message, ?3) ELSE min(message, ?3) END,"
    " started = min(started, ?4), command = min(command, ?6), threads = max(threads, ?7), isa = min(isa, ?8),"
    " n_unit = coalesce(max(n_unit, ?9), n_unit, ?9) WHERE id = ?1";
/* All units together are the whole run, however its parts ended.  It ended with the last of them, so that the
 * order of merges does not matter here either. */
static const char whole_sql[] =
    "UPDATE run SET status = 'done', message = NULL,"
    " finished = coalesce((SELECT max(u.finished) FROM unit u WHERE u.run_id = ?1), finished)"
    " WHERE id = ?1 AND (?2 OR status <> 'done') AND " RUN_IS_WHOLE;

/* Figures of the run, or of several runs (from NULL), that are not there yet. */
static int merge_figures(merge *g, int64_t from, int64_t to, err *e)
{
    const replaced own = {0, to};
    const bool one = from != NO_INDEX;
    return merge_copy(g, one ? "SELECT run_id, recipe, path, command, created FROM figure WHERE run_id = ?1"
                               " ORDER BY id"
                             : "SELECT run_id, recipe, path, command, created FROM figure WHERE run_id IS"
                               " NULL AND ?1 < 0 ORDER BY id",
                      from, "INSERT INTO figure (run_id, recipe, path, command, created) SELECT ?1, ?2, ?3,"
                      " ?4, ?5 WHERE NOT"
                      " EXISTS (SELECT 1 FROM figure WHERE run_id IS ?1 AND recipe = ?2 AND path = ?3 AND"
                      " created = ?5)",
                      &own, one, NULL, e);
}

static int new_run(merge *g, int64_t from, int64_t *to, err *e)
{
    table *t = NULL;
    replaced own[] = {{1, 0}, {2, 0}};
    const cell bind[] = {cell_int(from)};
    int code = merge_row(g->from, &t, "SELECT model_id, sweep_id FROM run WHERE id = ?1", bind, 1, e);
    bool swept = !code && table_cell(t, 0, 1)->kind == CELL_INT;
    if (!code)
        code = merge_model(g, row_int(t, 0, 0), &own[0].value, e);
    if (!code && swept)
        code = merge_sweep(g, row_int(t, 0, 1), &own[1].value, e);
    table_free(t);
    if (!code)
        code = merge_copy(g, "SELECT uid, model_id, sweep_id, verb, command, settings, operator, edits,"
                          " precision, isa, threads,"
                          " seed, version, status, message, started, finished, cell, n_unit FROM run WHERE"
                          " id = ?1", from,
                          "INSERT INTO run (uid, model_id, sweep_id, verb, command, settings, operator,"
                          " edits, precision, isa,"
                          " threads, seed, version, status, message, started, finished, cell, n_unit)"
                          " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16,"
                          " ?17, ?18, ?19)",
                          own, swept ? 2 : 1, &g->n.runs, e);
    *to = sqlite3_last_insert_rowid(g->to->db);
    return code;
}

static int merge_units(merge *g, int64_t from, int64_t to, err *e)
{
    table *t = NULL;
    const cell bind[] = {cell_int(from)};
    int code = store_query(g->from, &t, "SELECT id, prompt_index FROM unit WHERE run_id = ?1 AND status ="
                           " 'done' ORDER BY prompt_index", bind, 1, e);
    for (int64_t i = 0; !code && i < t->n_row; i++) {
        progress_step(g->prog, "unit", (double)g->done++, (double)g->n_unit);
        code = cancel_check(e);
        if (!code)
            code = merge_unit(g, row_int(t, i, 0), to, row_int(t, i, 1), e);
    }
    table_free(t);
    return code;
}

static int merge_run(merge *g, int64_t from, int64_t *to, err *e)
{
    table *t = NULL;
    bool found = false;
    const cell bind[] = {cell_int(from)};
    int code = merge_row(g->from, &t, "SELECT uid FROM run WHERE id = ?1", bind, 1, e);
    if (!code)
        code = store_one_int(g->to, to, &found, "SELECT id FROM run WHERE uid = ?1", table_cell(t, 0, 0), 1,
                             doing, e);
    table_free(t);
    if (!code && found)
        code = same_run(g, from, *to, e);
    if (!code && found)
        code = merge_copy(g, "SELECT id, status, message, started, finished, command, threads, isa, n_unit"
                          " FROM run WHERE id = ?1", from, join_sql, &(replaced){0, *to}, 1, NULL, e);
    if (!code && !found)
        code = new_run(g, from, to, e);
    if (!code)
        code = merge_units(g, from, *to, e);
    const cell whole[] = {cell_int(*to), cell_int(found)};
    if (!code)
        code = store_do(g->to, whole_sql, whole, 2, doing, e);
    return code ? code : merge_figures(g, from, *to, e);
}

/* ---- named lists of heads ---- */

static const char items_sql[] =
    "SELECT group_concat(name || ' ' || ifnull(printf('%!.17g', score), ''), ',') FROM"
    " (SELECT i.name, i.score FROM head_set h JOIN head_set_item i ON i.head_set_id = h.id WHERE h.name = ?1"
    " ORDER BY place)";

static int merge_head_set(merge *g, int64_t from, const cell *name, err *e)
{
    table *x = NULL, *y = NULL;
    int64_t id;
    bool found = false;
    int code = store_one_int(g->to, &id, &found, "SELECT id FROM head_set WHERE name = ?1", name, 1, doing,
                             e);
    if (!code && found) {
        code = merge_row(g->from, &x, items_sql, name, 1, e);
        if (!code)
            code = merge_row(g->to, &y, items_sql, name, 1, e);
        if (!code && !same_cell(table_cell(x, 0, 0), table_cell(y, 0, 0))) {
            err_set(e, ERR_INPUT, "the head list %s is another one in %s", name->kind == CELL_TEXT
                    ? name->u.s : "", store_path(g->from));
            code = err_hint(e, "import one of them under another name; nothing was merged");
        }
        table_free(x);
        table_free(y);
    }
    if (code || found)
        return code;
    code = merge_copy(g, "SELECT name, source, sha256, created FROM head_set WHERE id = ?1", from,
                      "INSERT INTO head_set (name, source, sha256, created) VALUES (?1, ?2, ?3, ?4)", NULL,
                      0, NULL, e);
    const replaced own = {0, sqlite3_last_insert_rowid(g->to->db)};
    return code ? code : merge_copy(g, "SELECT head_set_id, place, kind, layer, head, name, score FROM"
                                    " head_set_item WHERE"
                                    " head_set_id = ?1", from, "INSERT INTO head_set_item (head_set_id,"
                                    " place, kind, layer,"
                                    " head, name, score) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)", &own, 1,
                                    NULL, e);
}

/* ---- all of it ---- */

typedef int one_fn(merge *g, const table *t, int64_t row, err *e);

static int for_each(merge *g, const char *sql, one_fn *one, err *e)
{
    table *t = NULL;
    int code = store_query(g->from, &t, sql, NULL, 0, e);
    for (int64_t i = 0; !code && i < t->n_row; i++)
        code = one(g, t, i, e);
    table_free(t);
    return code;
}

static int each_model(merge *g, const table *t, int64_t row, err *e)
{
    int64_t ignored;
    return merge_model(g, row_int(t, row, 0), &ignored, e);
}

static int each_sweep(merge *g, const table *t, int64_t row, err *e)
{
    int64_t ignored;
    return merge_sweep(g, row_int(t, row, 0), &ignored, e);
}

static int each_head_set(merge *g, const table *t, int64_t row, err *e)
{
    return merge_head_set(g, row_int(t, row, 0), table_cell(t, row, 1), e);
}

static int each_run(merge *g, const table *t, int64_t row, err *e)
{
    int64_t ignored;
    return merge_run(g, row_int(t, row, 0), &ignored, e);
}

static int merge_all(merge *g, err *e)
{
    int code = store_one_int(g->from, &g->n_unit, NULL, "SELECT count(*) FROM unit WHERE status = 'done'",
                             NULL, 0, doing, e);
    if (!code)
        code = merge_names(g, e);
    if (!code)
        code = for_each(g, "SELECT id FROM model ORDER BY id", each_model, e);
    if (!code)
        code = for_each(g, "SELECT id FROM sweep ORDER BY id", each_sweep, e);
    if (!code)
        code = for_each(g, "SELECT id, name FROM head_set ORDER BY id", each_head_set, e);
    if (!code)
        code = for_each(g, "SELECT id FROM run ORDER BY id", each_run, e);
    if (!code)
        code = merge_figures(g, NO_INDEX, 0, e);
    progress_step(g->prog, "unit", (double)g->n_unit, (double)g->n_unit);
    return code;
}

/* Summaries of what has changed.  They only make questions quicker: nothing is wrong without them. */
static void add_summaries(store *s)
{
    table *t = NULL;
    if (store_query(s, &t, "SELECT id FROM run WHERE summed <> 1 AND status <> 'running'", NULL, 0,
                    NULL) == 0) {
        for (int64_t i = 0; i < t->n_row; i++)
            summary_write(s, row_int(t, i, 0), NULL);
    }
    table_free(t);
}

int store_merge(store *s, const char *path, store_merge_report *out, const struct progress *prog, err *e)
{
    merge g = {.to = s, .prog = prog};
    bool writing = false;
    *out = (store_merge_report){0};
    int code = store_idle(s, "merging", e);
    if (!code)
        code = store_open(&g.from, path, true, e);
    if (!code)
        code = store_exec(g.from, "BEGIN", doing, e); /* one moment of the other store */
    if (!code)
        code = store_begin(s, e);
    writing = !code;
    if (!code)
        code = merge_all(&g, e);
    for (int i = 0; i < MERGE_STATEMENTS; i++)
        sqlite3_finalize(g.kept[i]);
    free(g.metric.pair);
    free(g.site.pair);
    store_close(g.from);
    if (code) {
        if (writing)
            store_rollback(s);
        return code;
    }
    code = store_commit(s, e);
    if (!code) {
        *out = g.n;
        add_summaries(s);
    }
    return code;
}
