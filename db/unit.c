/* The unit of work: one prompt of one run, entirely in the store or not at all.
 *
 * Nothing touches the store while a unit is computed; commit writes it in one short transaction, so that
 * several processes can fill one store.  A unit that outgrows the memory set aside for it begins its
 * transaction early, and keeps the write lock from then on. */
#include <stdlib.h>
#include <string.h>
#include "db/internal.h"

#define WAITING_VALUES ((size_t)1 << 19)      /* 12 MiB */
#define WAITING_MAP_BYTES ((size_t)64 << 20)

typedef struct staged_map {
    result_map m;             /* cells NULL */
    int64_t rows, cols;
    int32_t site;
    unsigned char *bytes;
    size_t n;
} staged_map;

typedef struct staged_fact { const char *name, *text; size_t len; } staged_fact; /* of unit.mem */

typedef struct unit {
    int64_t run_id, index, id; /* id: of the row, once the transaction has begun; 0 before */
    utc_time started;
    arena mem;                 /* of prompt */
    staged_prompt prompt;
    stage stage;
    staged_fact *fact;
    size_t n_fact, cap_fact;
    staged_map *map;
    size_t n_map, cap_map, map_bytes;
} unit;

static void forget_maps(unit *u)
{
    for (size_t i = 0; i < u->n_map; i++)
        free(u->map[i].bytes);
    u->n_map = 0;
    u->map_bytes = 0;
}

static void unit_free(store *s)
{
    unit *u = s->unit;
    s->unit = NULL;
    forget_maps(u);
    free(u->map);
    free(u->fact);
    stage_free(&u->stage);
    arena_free(&u->mem);
    free(u);
}

void store_unit_rollback(store *s)
{
    if (!s->unit)
        return;
    store_rollback(s);
    unit_free(s);
}

/* The unit must have a run to belong to and be its first with this index: known now, not after an hour. */
static int check_place(store *s, int64_t run_id, int64_t index, err *e)
{
    int64_t status;
    bool found;
    const cell bind[] = {cell_int(run_id), cell_int(index)};
    if (index < 0)
        return err_set(e, ERR_FAILED, "prompt %lld of run %lld: the index is negative", (long long)index,
                       (long long)run_id);
    int code = store_one_int(s, &status, &found, "SELECT 1 FROM run WHERE id = ?1", bind, 1,
                             "finding the run", e);
    if (!code && !found)
        code = err_set(e, ERR_FAILED, "run %lld is not in store %s", (long long)run_id, s->path);
    if (!code)
        code = store_one_int(s, &status, &found, "SELECT 1 FROM unit WHERE run_id = ?1 AND prompt_index = ?2",
                             bind, 2,
                             "finding the unit", e);
    if (!code && found)
        code = err_set(e, ERR_FAILED, "prompt %lld of run %lld is in store %s already", (long long)index,
                       (long long)run_id, s->path);
    return code;
}

int store_unit_begin(store *s, int64_t run_id, int64_t index, const store_prompt *p, err *e)
{
    int code = store_idle(s, "beginning a unit", e);
    if (!code)
        code = check_place(s, run_id, index, e);
    if (code)
        return code;
    unit *u = mem_array(1, sizeof *u, e);
    if (!u)
        return ERR_RESOURCE;
    s->unit = u;
    u->run_id = run_id;
    u->index = index;
    utc_now(u->started);
    code = prompt_stage(&u->prompt, &u->mem, p, e);
    if (code)
        store_unit_rollback(s);
    return code;
}

/* Begin the transaction and make the unit's own row. */
static int unit_enter(store *s, err *e)
{
    unit *u = s->unit;
    int64_t prompt_id;
    int code = store_begin(s, e);
    if (!code)
        code = prompt_row(s, &u->prompt, &prompt_id, e);
    if (code)
        return code;
    const cell bind[] = {cell_int(u->run_id), cell_int(u->index), cell_int(prompt_id),
                         cell_str(u->prompt.p.label), cell_str(u->started)};
    code = store_do(s, "INSERT INTO unit (run_id, prompt_index, prompt_id, label, status, started) "
                     "VALUES (?1, ?2, ?3, ?4, 'running', ?5)", bind, 5, "writing a unit", e);
    if (code)
        return code;
    u->id = sqlite3_last_insert_rowid(s->db);
    return prompt_inputs(s, &u->prompt, u->id, e);
}

static int insert_map(store *s, const unit *u, const staged_map *w, err *e)
{
    static const char doing[] = "writing a map";
    sqlite3_stmt *q;
    int code = store_kept(s, &q, STMT_MAP, "INSERT INTO map "
                          "(unit_id, site_id, n_query, n_key, pool, pooling, n_row, n_col, codec, cells) "
                          "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)", e);
    if (code)
        return code;
    const cell bind[] = {cell_int(u->id), cell_int(u->stage.site[w->site].id), cell_int(w->m.n_query),
                         cell_int(w->m.n_key), cell_int(w->m.pool), cell_str(w->m.pooling), cell_int(w->rows),
                         cell_int(w->cols), cell_str(MAP_CODEC), {0}};
    code = store_bind(s, q, bind, 10, doing, e);
    if (!code) {
        int rc = sqlite3_bind_blob64(q, 10, w->bytes, w->n, SQLITE_STATIC);
        code = rc ? store_fail(s, rc, doing, e) : store_step(s, q, NULL, doing, e);
        sqlite3_clear_bindings(q); /* the bytes do not live on */
    }
    return code;
}

static int insert_fact(store *s, const unit *u, const staged_fact *f, err *e)
{
    static const char doing[] = "writing a fact";
    const cell bind[] = {cell_int(u->id), cell_str(f->name), {0}};
    sqlite3_stmt *q = NULL;
    int code = store_prepare(s, &q, "INSERT INTO fact (unit_id, name, text) VALUES (?1, ?2, ?3)", doing, e);
    if (!code)
        code = store_bind(s, q, bind, 3, doing, e);
    /* may hold NUL */
    int rc = code ? SQLITE_OK : sqlite3_bind_text64(q, 3, f->text, f->len, SQLITE_STATIC, SQLITE_UTF8);
    if (rc)
        code = store_fail(s, rc, doing, e);
    if (!code)
        code = store_step(s, q, NULL, doing, e);
    sqlite3_finalize(q);
    return code;
}

/* Write what waits.  On failure the unit is gone. */
static int unit_spill(store *s, err *e)
{
    unit *u = s->unit;
    int code = u->id ? 0 : unit_enter(s, e);
    if (!code)
        code = stage_resolve(s, &u->stage, e);
    if (!code)
        code = stage_flush(s, &u->stage, u->id, e);
    for (size_t i = 0; !code && i < u->n_map; i++)
        code = insert_map(s, u, &u->map[i], e);
    for (size_t i = 0; !code && i < u->n_fact; i++)
        code = insert_fact(s, u, &u->fact[i], e);
    if (code) {
        store_unit_rollback(s);
    } else {
        forget_maps(u);
        u->n_fact = 0;
    }
    return code;
}

static int no_unit(err *e)
{
    return err_set(e, ERR_FAILED, "no unit of work is open");
}

int store_value(store *s, const result_value *v, err *e)
{
    unit *u = s->unit;
    if (!u)
        return no_unit(e);
    int code = stage_value(&u->stage, v, e);
    return code || u->stage.n_value < WAITING_VALUES ? code : unit_spill(s, e);
}

int store_fact(store *s, const char *name, const char *text, size_t len, err *e)
{
    unit *u = s->unit;
    if (!u)
        return no_unit(e);
    if (u->n_fact == u->cap_fact) {
        size_t cap = u->cap_fact ? 2 * u->cap_fact : 8;
        staged_fact *fact = mem_grow(u->fact, cap, sizeof *fact, e);
        if (!fact)
            return ERR_RESOURCE;
        u->fact = fact;
        u->cap_fact = cap;
    }
    staged_fact *f = &u->fact[u->n_fact];
    f->name = arena_strndup(&u->mem, name, strlen(name), e);
    f->text = f->name ? arena_strndup(&u->mem, text, len, e) : NULL;
    f->len = len;
    u->n_fact += f->text != NULL;
    return f->text ? 0 : ERR_RESOURCE;
}

static int check_map(const result_map *m, int64_t *rows, int64_t *cols, err *e)
{
    if (m->n_query < 1 || m->n_key < 1 || m->pool < 1)
        return err_set(e, ERR_FAILED, "a map of %lld x %lld tokens in blocks of %lld", (long long)m->n_query,
                       (long long)m->n_key, (long long)m->pool);
    *rows = (m->n_query - 1) / m->pool + 1;
    *cols = (m->n_key - 1) / m->pool + 1;
    return 0;
}

int store_map(store *s, const result_map *m, err *e)
{
    unit *u = s->unit;
    if (!u)
        return no_unit(e);
    staged_map w = {.m = *m};
    int code = check_map(m, &w.rows, &w.cols, e);
    if (!code)
        code = stage_site(&u->stage, &w.site, m->kind, m->layer, m->head, e);
    if (code)
        return code;
    w.m.cells = NULL;
    /* The caller's text may be gone by the time the map is written; these words are the only ones. */
    w.m.pooling = strcmp(m->pooling, "mean") == 0 ? "mean" : strcmp(m->pooling, "max") == 0 ? "max" : "none";
    if (strcmp(w.m.pooling, m->pooling) != 0)
        return err_set(e, ERR_FAILED, "pooling \"%s\" is not known", m->pooling);
    if (u->n_map == u->cap_map) {
        size_t cap = u->cap_map ? 2 * u->cap_map : 64;
        staged_map *map = mem_grow(u->map, cap, sizeof *map, e);
        if (!map)
            return ERR_RESOURCE;
        u->map = map;
        u->cap_map = cap;
    }
    code = map_encode(&w.bytes, &w.n, m->cells, w.rows, w.cols, e);
    if (code)
        return code;
    u->map[u->n_map++] = w;
    u->map_bytes += w.n;
    return u->map_bytes < WAITING_MAP_BYTES ? 0 : unit_spill(s, e);
}

int store_unit_commit(store *s, err *e)
{
    if (!s->unit)
        return no_unit(e);
    int code = unit_spill(s, e);
    if (code)
        return code;
    utc_time now;
    utc_now(now);
    const cell bind[] = {cell_int(s->unit->id), cell_str(now)};
    code = store_do(s, "UPDATE unit SET status = 'done', finished = ?2 WHERE id = ?1", bind, 2,
                    "finishing a unit", e);
    if (!code)
        code = store_commit(s, e);
    store_unit_rollback(s); /* after a commit this only frees */
    return code;
}
