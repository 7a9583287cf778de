/* Named lists of heads. */
#include <math.h>
#include <string.h>
#include "db/internal.h"

static const char doing[] = "writing a list of heads";

static int same_items(store *s, int64_t id, const store_head *heads, int64_t n, bool *same, err *e)
{
    table *t = NULL;
    const cell bind[] = {cell_int(id)};
    int code = store_query(s, &t, "SELECT name, score FROM head_set_item WHERE head_set_id = ?1 ORDER BY"
                                  " place", bind, 1, e);
    *same = !code && t->n_row == n;
    for (int64_t i = 0; *same && i < n; i++) {
        const cell *score = table_cell(t, i, 1);
        head_text name;
        head_format(name, heads[i].head);
        *same = strcmp(name, row_text(t, i, 0)) == 0 &&
                (isnan(heads[i].score) ? score->kind == CELL_NULL : cell_number(score) == heads[i].score);
    }
    table_free(t);
    return code;
}

static int insert_items(store *s, int64_t id, const store_head *heads, int64_t n, err *e)
{
    int code = 0;
    for (int64_t i = 0; i < n && !code; i++) {
        const head_id h = heads[i].head;
        head_text name;
        head_format(name, h);
        const cell bind[] = {cell_int(id), cell_int(i), cell_str(attn_kind_name(h.kind)), cell_int(h.layer),
                             cell_int(h.head),
                             cell_str(name), isnan(heads[i].score) ? (cell){0} : cell_real(heads[i].score)};
        code = store_do(s, "INSERT INTO head_set_item (head_set_id, place, kind, layer, head, name, score)"
                        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)", bind, 7, doing, e);
    }
    return code;
}

static int write_set(store *s, const char *name, const char *source, const char *digest,
                     const store_head *heads, int64_t n, bool replace, err *e)
{
    int64_t id;
    bool found, same = false;
    utc_time now;
    utc_now(now);
    const cell bind[] = {cell_str(name), cell_str(source), cell_str(digest), cell_str(now)};
    int code = store_one_int(s, &id, &found, "SELECT id FROM head_set WHERE name = ?1", bind, 1, doing, e);
    if (!code && found)
        code = same_items(s, id, heads, n, &same, e);
    if (code || same)
        return code;
    if (found && !replace) {
        err_set(e, ERR_USAGE, "store %s has another list of heads called %s", s->path, name);
        return err_hint(e, "give another name, or --replace");
    }
    if (found)
        code = store_do(s, "DELETE FROM head_set WHERE name = ?1", bind, 1, doing, e);
    if (!code)
        code = store_do(s, "INSERT INTO head_set (name, source, sha256, created) VALUES (?1, ?2, ?3, ?4)",
                        bind, 4, doing, e);
    return code ? code : insert_items(s, sqlite3_last_insert_rowid(s->db), heads, n, e);
}

int store_head_set(store *s, const char *name, const char *source, const char *digest,
                   const store_head *heads, int64_t n, bool replace, err *e)
{
    int code = store_idle(s, doing, e);
    if (!code)
        code = store_begin(s, e);
    if (code)
        return code;
    code = write_set(s, name, source, digest, heads, n, replace, e);
    if (!code)
        return store_commit(s, e);
    store_rollback(s);
    return code;
}
