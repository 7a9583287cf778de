/* Merging one unit of work: copied whole, or held against the unit that is there already. */
#include <stdio.h>
#include <string.h>
#include "db/merge_internal.h"

static const char doing[] = "merging";

static int kept(merge *g, sqlite3_stmt **out, store *in, int which, const char *sql, err *e)
{
    int code = g->kept[which] ? 0 : store_prepare(in, &g->kept[which], sql, doing, e);
    *out = g->kept[which];
    return code;
}

/* The prompt of a unit in `to`, copied with its tokens when it is new. */
static int merge_prompt(merge *g, int64_t from, int64_t *to, err *e)
{
    table *t = NULL;
    bool found = false;
    const cell bind[] = {cell_int(from)};
    int code = merge_row(g->from, &t, "SELECT sha256 FROM prompt WHERE id = ?1", bind, 1, e);
    if (!code)
        code = store_one_int(g->to, to, &found, "SELECT id FROM prompt WHERE sha256 = ?1",
                             table_cell(t, 0, 0), 1, doing, e);
    table_free(t);
    if (code || found)
        return code;
    code = merge_copy(g, "SELECT sha256, text_sha256, ids_sha256, text, policy, n_token FROM prompt WHERE id"
                         " = ?1", from,
                      "INSERT INTO prompt (sha256, text_sha256, ids_sha256, text, policy, n_token)"
                      " VALUES (?1, ?2, ?3, ?4, ?5, ?6)", NULL, 0, &g->n.prompts, e);
    *to = sqlite3_last_insert_rowid(g->to->db);
    const replaced own = {0, *to};
    return code ? code : merge_copy(g, "SELECT prompt_id, sequence, position, id, text, special FROM token"
                                       " WHERE prompt_id = ?1",
                                    from, "INSERT INTO token (prompt_id, sequence, position, id, text,"
                                    " special) VALUES (?1, ?2, ?3, ?4, ?5, ?6)", &own, 1, NULL, e);
}

/* The next value of a unit of `from`, with ids of `to`. */
typedef struct moved { int64_t metric, site, position; double value; } moved;

static int next_value(merge *g, sqlite3_stmt *q, moved *v, bool *row, err *e)
{
    int code = store_step(g->from, q, row, doing, e);
    if (code || !*row)
        return code;
    v->position = sqlite3_column_int64(q, 2);
    v->value = sqlite3_column_double(q, 3);
    code = id_map_get(g, &g->metric, sqlite3_column_int64(q, 0), &v->metric, e);
    return code ? code : id_map_get(g, &g->site, sqlite3_column_int64(q, 1), &v->site, e);
}

static int read_values(merge *g, sqlite3_stmt **out, int64_t unit, err *e)
{
    int code = kept(g, out, g->from, MERGE_READ_VALUES,
                    "SELECT metric_id, site_id, position, value FROM value WHERE unit_id = ?1", e);
    if (!code)
        sqlite3_bind_int64(*out, 1, unit);
    return code;
}

static int bind_place(sqlite3_stmt *q, int64_t unit, const moved *v)
{
    sqlite3_bind_int64(q, 1, unit);
    sqlite3_bind_int64(q, 2, v->metric);
    sqlite3_bind_int64(q, 3, v->site);
    return sqlite3_bind_int64(q, 4, v->position);
}

static int copy_values(merge *g, int64_t from, int64_t to, err *e)
{
    sqlite3_stmt *in, *out;
    bool row = true;
    moved v;
    int code = read_values(g, &in, from, e);
    if (!code)
        code = kept(g, &out, g->to, MERGE_ADD_VALUE,
                    "INSERT INTO value (unit_id, metric_id, site_id, position, value) VALUES (?1, ?2, ?3,"
                    " ?4, ?5)", e);
    while (!code) {
        code = next_value(g, in, &v, &row, e);
        if (code || !row)
            break;
        bind_place(out, to, &v);
        sqlite3_bind_double(out, 5, v.value);
        code = store_step(g->to, out, NULL, doing, e);
        g->n.values += !code;
    }
    if (code && g->kept[MERGE_READ_VALUES])
        sqlite3_reset(g->kept[MERGE_READ_VALUES]);
    return code;
}

static int copy_maps(merge *g, int64_t from, int64_t to, err *e)
{
    table *t = NULL;
    const cell bind[] = {cell_int(from)};
    int code = store_query(g->from, &t, "SELECT id, site_id FROM map WHERE unit_id = ?1 ORDER BY id", bind,
                           1, e);
    for (int64_t i = 0; !code && i < t->n_row; i++) {
        replaced own[] = {{0, to}, {1, 0}};
        code = id_map_get(g, &g->site, row_int(t, i, 1), &own[1].value, e);
        if (!code)
            code = merge_copy(g, "SELECT unit_id, site_id, n_query, n_key, pool, pooling, n_row, n_col,"
                              " codec, cells FROM map"
                              " WHERE id = ?1", row_int(t, i, 0), "INSERT INTO map (unit_id, site_id,"
                              " n_query, n_key,"
                              " pool, pooling, n_row, n_col, codec, cells) VALUES (?1, ?2, ?3, ?4, ?5, ?6,"
                              " ?7, ?8, ?9, ?10)",
                              own, 2, &g->n.maps, e);
    }
    table_free(t);
    return code;
}

static int copy_unit(merge *g, int64_t from, int64_t prompt, int64_t run, err *e)
{
    const replaced place[] = {{0, run}, {2, prompt}};
    int code = merge_copy(g, "SELECT run_id, prompt_index, prompt_id, label, status, started, finished FROM"
                             " unit WHERE id = ?1",
                          from, "INSERT INTO unit (run_id, prompt_index, prompt_id, label, status, started,"
                          " finished) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)", place, 2, &g->n.units, e);
    const replaced own = {0, sqlite3_last_insert_rowid(g->to->db)};
    if (!code)
        code = merge_copy(g, "SELECT unit_id, role, path, sha256, text, policy FROM input WHERE unit_id = ?1",
                          from,
                          "INSERT INTO input (unit_id, role, path, sha256, text, policy) VALUES (?1, ?2, ?3,"
                          " ?4, ?5, ?6)",
                          &own, 1, NULL, e);
    if (!code)
        code = merge_copy(g, "SELECT unit_id, name, text FROM fact WHERE unit_id = ?1", from,
                          "INSERT INTO fact (unit_id, name, text) VALUES (?1, ?2, ?3)", &own, 1, NULL, e);
    if (!code)
        code = copy_values(g, from, own.value, e);
    return code ? code : copy_maps(g, from, own.value, e);
}

/* ---- a unit that both have ---- */

static int differs(const merge *g, int64_t run, int64_t index, const char *what, err *e)
{
    err_set(e, ERR_INPUT, "run %lld of %s, prompt %lld: %s in %s", (long long)run, store_path(g->to),
            (long long)index, what,
            store_path(g->from));
    return err_hint(e, "one run with two results: keep the store that is right; nothing was merged");
}

static int other_value(merge *g, int64_t run, int64_t index, const moved *v, const double *here, err *e)
{
    const cell bind[] = {cell_int(v->metric), cell_int(v->site)};
    table *t = NULL;
    char what[160];
    int code = store_query(g->to, &t, "SELECT m.name, coalesce(s.name, s.kind || '.L' || s.layer, s.kind)"
                           " FROM metric m, site s WHERE m.id = ?1 AND s.id = ?2", bind, 2, e);
    if (code)
        return code;
    int n = snprintf(what, sizeof what, "%.60s of %s", t->n_row ? row_text(t, 0, 0) : "a value",
                     t->n_row ? row_text(t, 0, 1) : "a head");
    if (v->position >= 0)
        n += snprintf(what + n, sizeof what - (size_t)n, " at %lld", (long long)v->position);
    if (here)
        snprintf(what + n, sizeof what - (size_t)n, " is %.17g, and %.17g", *here, v->value);
    else
        snprintf(what + n, sizeof what - (size_t)n, " is not there, but");
    table_free(t);
    return differs(g, run, index, what, e);
}

static int compare_values(merge *g, int64_t from, int64_t to, int64_t run, int64_t index, err *e)
{
    sqlite3_stmt *in, *find;
    bool row = true, found;
    int64_t n = 0, there;
    moved v;
    const cell own[] = {cell_int(to)};
    int code = read_values(g, &in, from, e);
    if (!code)
        code = kept(g, &find, g->to, MERGE_FIND_VALUE, "SELECT value FROM value WHERE unit_id = ?1 AND"
                    " metric_id = ?2 AND site_id = ?3 AND position = ?4", e);
    while (!code) {
        code = next_value(g, in, &v, &row, e);
        if (code || !row)
            break;
        n++;
        bind_place(find, to, &v);
        code = store_step(g->to, find, &found, doing, e);
        double here = found ? sqlite3_column_double(find, 0) : 0;
        sqlite3_reset(find);
        if (!code && (!found || here != v.value))
            code = other_value(g, run, index, &v, found ? &here : NULL, e);
    }
    if (g->kept[MERGE_READ_VALUES])
        sqlite3_reset(g->kept[MERGE_READ_VALUES]);
    if (!code)
        code = store_one_int(g->to, &there, NULL, "SELECT count(*) FROM value WHERE unit_id = ?1", own, 1,
                             doing, e);
    if (!code && n != there)
        code = differs(g, run, index, "it has values that are not", e);
    return code;
}

/* All facts, and the shapes of all maps, of a unit as one text.  Maps are then compared by their cells, which
 * may be packed in several ways. */
static const char facts_sql[] = "SELECT group_concat(quote(name) || quote(hex(text)), ' ') FROM"
                                " (SELECT name, text FROM fact WHERE unit_id = ?1 ORDER BY name)";
static const char maps_sql[] =
    "SELECT group_concat(printf('%s %d %d %d %s', name, n_query, n_key, pool, pooling), ', ') FROM"
    " (SELECT coalesce(s.name, s.kind) AS name, a.n_query, a.n_key, a.pool, a.pooling FROM map a JOIN site s"
    " ON s.id = a.site_id WHERE a.unit_id = ?1 ORDER BY s.kind, s.layer, s.head)";

static int same_text(merge *g, const char *sql, int64_t from, int64_t to, bool *same, err *e)
{
    table *x = NULL, *y = NULL;
    const cell bind[] = {cell_int(from), cell_int(to)};
    int code = store_query(g->from, &x, sql, bind, 1, e);
    if (!code)
        code = store_query(g->to, &y, sql, bind + 1, 1, e);
    if (!code) {
        const cell *p = table_cell(x, 0, 0), *q = table_cell(y, 0, 0);
        *same = p->kind == q->kind && (p->kind != CELL_TEXT || strcmp(p->u.s, q->u.s) == 0);
    }
    table_free(x);
    table_free(y);
    return code;
}

static int add_cells(void *ud, const stored_map *shape, int64_t row, const float *cells, err *e)
{
    (void)row;
    return sha256_add(ud, cells, (size_t)shape->cols * sizeof *cells, e);
}

static int hash_map(sha256_hex out, store *s, int64_t run, int64_t index, head_id h, err *e)
{
    sha256 *sum = NULL;
    stored_map shape;
    int code = sha256_new(&sum, e);
    if (code)
        return code;
    code = store_map_rows(s, run, index, h, &shape, add_cells, sum, e);
    if (!code)
        return sha256_done(sum, out, e);
    sha256_abandon(sum);
    return code;
}

static int compare_maps(merge *g, int64_t from, int64_t to, int64_t run, int64_t index, err *e)
{
    table *t = NULL;
    int64_t from_run = 0;
    bool same = true;
    const cell bind[] = {cell_int(from)};
    int code = same_text(g, maps_sql, from, to, &same, e);
    if (!code && !same)
        code = differs(g, run, index, "its maps are others", e);
    if (!code)
        code = store_one_int(g->from, &from_run, NULL, "SELECT run_id FROM unit WHERE id = ?1", bind, 1,
                             doing, e);
    if (!code)
        code = store_query(g->from, &t, "SELECT s.kind, ifnull(s.layer, -1), ifnull(s.head, -1) FROM map a"
                           " JOIN site s ON s.id = a.site_id WHERE a.unit_id = ?1", bind, 1, e);
    for (int64_t i = 0; !code && i < t->n_row; i++) {
        const head_id h = {attn_kind_named(row_text(t, i, 0), ATTN_SELF), (int)row_int(t, i, 1),
                           (int)row_int(t, i, 2)};
        sha256_hex x, y;
        code = hash_map(x, g->from, from_run, index, h, e);
        if (!code)
            code = hash_map(y, g->to, run, index, h, e);
        if (!code && strcmp(x, y) != 0)
            code = differs(g, run, index, "a map is another one", e);
    }
    table_free(t);
    return code;
}

static int compare_unit(merge *g, int64_t from, int64_t to, int64_t prompt, int64_t run, int64_t index,
                        err *e)
{
    int64_t same_prompt;
    bool same = true;
    const cell bind[] = {cell_int(to), cell_int(prompt)};
    int code = store_one_int(g->to, &same_prompt, NULL, "SELECT prompt_id = ?2 FROM unit WHERE id = ?1",
                             bind, 2, doing, e);
    if (!code && !same_prompt)
        code = differs(g, run, index, "it is another text", e);
    if (!code)
        code = same_text(g, facts_sql, from, to, &same, e);
    if (!code && !same)
        code = differs(g, run, index, "its facts are others", e);
    if (!code)
        code = compare_values(g, from, to, run, index, e);
    return code ? code : compare_maps(g, from, to, run, index, e);
}

int merge_unit(merge *g, int64_t from, int64_t run, int64_t index, err *e)
{
    table *t = NULL;
    int64_t there = 0, prompt = 0;
    bool found = false, done = false;
    const cell bind[] = {cell_int(from)}, place[] = {cell_int(run), cell_int(index)};
    int code = merge_row(g->from, &t, "SELECT prompt_id FROM unit WHERE id = ?1", bind, 1, e);
    if (!code)
        code = merge_prompt(g, row_int(t, 0, 0), &prompt, e);
    table_free(t);
    if (!code)
        code = store_one_int(g->to, &there, &found, "SELECT id FROM unit WHERE run_id = ?1 AND prompt_index"
                                                    " = ?2", place, 2,
                             doing, e);
    if (!code && found)
        code = store_unit_done(g->to, run, index, &done, e);
    if (!code && found && !done) { /* somebody's half of a unit; this one is whole */
        const cell old[] = {cell_int(there)};
        code = store_do(g->to, "DELETE FROM unit WHERE id = ?1", old, 1, doing, e);
    }
    if (code)
        return code;
    if (!done)
        return copy_unit(g, from, prompt, run, e);
    g->n.same_units++;
    code = compare_unit(g, from, there, prompt, run, index, e);
    if (code)
        return code;
    /* The earlier of the two times, whichever store comes first. */
    return merge_copy(g, "SELECT id, started, finished FROM unit WHERE id = ?1", from,
                      "UPDATE unit SET started = ?2, finished = ?3 WHERE id = ?1 AND (started, finished) >"
                      " (?2, ?3)",
                      &(replaced){0, there}, 1, NULL, e);
}
