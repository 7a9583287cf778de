/* Models, runs and figures: the provenance of every value. */
#include <stdio.h>
#include <string.h>
#include "db/internal.h"

/* SHA-256 over all facts of a model: a row stands for exactly these. */
static int model_identity(sha256_hex out, const cell *fact, int n, err *e)
{
    sha256 *h = NULL;
    int code = sha256_new(&h, e);
    if (code)
        return code;
    for (int i = 0; !code && i < n; i++) {
        char number[32];
        const char *text = fact[i].kind == CELL_TEXT ? fact[i].u.s : number;
        snprintf(number, sizeof number, "%lld", fact[i].kind == CELL_INT ? (long long)fact[i].u.i : -1LL);
        code = sha256_add(h, text, strlen(text) + 1, e); /* the NUL ends the field */
    }
    if (code) {
        sha256_abandon(h);
        return code;
    }
    return sha256_done(h, out, e);
}

enum { MODEL_FACTS = 15 };

static int facts_of(cell fact[MODEL_FACTS], sha256_hex identity, const store_model *m, err *e)
{
    const cell all[MODEL_FACTS] = {
        cell_str(m->sha256), cell_str(m->path), cell_str(m->tokenizer_sha256),
        cell_str(m->name), cell_str(m->family), cell_str(m->format), cell_str(m->dtype),
        cell_int(m->n_layer), cell_int(m->n_head), cell_int(m->n_kv_head), cell_int(m->width),
        cell_int(m->vocab), cell_int(m->context), cell_int(m->n_param), cell_str(m->plan),
    };
    memcpy(fact, all, sizeof all);
    return model_identity(identity, fact, MODEL_FACTS, e);
}

int store_model_identity(sha256_hex out, const store_model *m, err *e)
{
    cell fact[MODEL_FACTS];
    return facts_of(fact, out, m, e);
}

static int model_row(store *s, const store_model *m, int64_t *id, err *e)
{
    sha256_hex identity;
    bool found;
    cell bind[1 + MODEL_FACTS];
    int code = facts_of(bind + 1, identity, m, e);
    if (code)
        return code;
    bind[0] = cell_str(identity);
    code = store_one_int(s, id, &found, "SELECT id FROM model WHERE identity = ?1", bind, 1,
                         "finding a model", e);
    if (code || found)
        return code;
    code = store_do(s, "INSERT INTO model (identity, sha256, path, tokenizer_sha256, name, family, format, "
                    "dtype, n_layer, n_head, n_kv_head, width, vocab, context, n_param, plan) "
                    "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
                    bind, 1 + MODEL_FACTS, "writing a model", e);
    *id = sqlite3_last_insert_rowid(s->db);
    return code;
}

bool store_uid_good(const char *uid)
{
    return strspn(uid, "0123456789abcdef") == STORE_UID_DIGITS && uid[STORE_UID_DIGITS] == '\0';
}

static int check_uid(const char *uid, err *e)
{
    return store_uid_good(uid) ? 0
        : err_set(e, ERR_FAILED, "\"%s\" is no uid: %d hexadecimal digits", uid, STORE_UID_DIGITS);
}

static cell units_of(const store_run *r)
{
    return cell_index(r->n_unit > 0 ? r->n_unit : NO_INDEX);
}

static int insert_run(store *s, int64_t *id, int64_t model_id, const store_run *r, err *e)
{
    utc_time now;
    utc_now(now);
    const cell bind[] = {
        cell_int(model_id), cell_str(r->verb), cell_str(r->command), cell_str(r->settings),
        cell_str(r->operator_name), cell_str(r->edits), cell_str(r->precision), cell_str(r->isa),
        cell_int(r->threads), cell_index(r->seed), cell_str(r->version), cell_str(now), cell_str(r->uid),
        cell_index(r->sweep > 0 ? r->sweep : NO_INDEX), cell_str(r->cell), units_of(r),
    };
    int code = store_do(s, "INSERT INTO run (uid, model_id, verb, command, settings, operator, edits, "
                        "precision, isa, threads, seed, version, status, started, sweep_id, cell, n_unit) "
                        "VALUES (ifnull(?13, lower(hex(randomblob(16)))), "
                        "?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, 'running', ?12, ?14, ?15, ?16)",
                        bind, sizeof bind / sizeof *bind, "writing a run", e);
    *id = sqlite3_last_insert_rowid(s->db);
    return code;
}

/* What decides the numbers of a run, in words for the one that differs; the same columns in both. */
static int same_run(store *s, int64_t run_id, const store_model *m, const store_run *r, err *e)
{
    static const struct { const char *sql, *what; } rows[] = {
        {"SELECT r.verb IS ?2 FROM run r WHERE r.id = ?1", "command"},
        {"SELECT m.sha256 IS ?2 FROM run r JOIN model m ON m.id = r.model_id WHERE r.id = ?1", "model"},
        {"SELECT m.tokenizer_sha256 IS ?2 FROM run r JOIN model m ON m.id = r.model_id WHERE r.id = ?1",
         "tokenizer"},
        {"SELECT m.dtype IS ?2 FROM run r JOIN model m ON m.id = r.model_id WHERE r.id = ?1",
         "type of weights"},
        {"SELECT m.plan IS ?2 FROM run r JOIN model m ON m.id = r.model_id WHERE r.id = ?1",
         "configuration of the model"},
        {"SELECT r.settings IS ?2 FROM run r WHERE r.id = ?1", "settings"},
        {"SELECT r.edits IS ?2 FROM run r WHERE r.id = ?1", "edits"},
        {"SELECT r.precision IS ?2 FROM run r WHERE r.id = ?1", "precision"},
        {"SELECT r.seed IS ?2 FROM run r WHERE r.id = ?1", "seed"},
        {"SELECT r.version IS ?2 FROM run r WHERE r.id = ?1", "version of the program"},
    };
    const cell now[] = {cell_str(r->verb), cell_str(m->sha256), cell_str(m->tokenizer_sha256),
                        cell_str(m->dtype),
                        cell_str(m->plan), cell_str(r->settings), cell_str(r->edits), cell_str(r->precision),
                        cell_index(r->seed), cell_str(r->version)};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const cell bind[] = {cell_int(run_id), now[i]};
        int64_t same;
        bool found;
        int code = store_one_int(s, &same, &found, rows[i].sql, bind, 2, "finding a run", e);
        if (code)
            return code;
        if (!found) {
            err_set(e, ERR_USAGE, "no run %lld in %s", (long long)run_id, s->path);
            return err_hint(e, "`runs` lists those that there are");
        }
        if (same)
            continue;
        err_set(e, ERR_USAGE, "run %lld cannot be resumed: not the same %s", (long long)run_id, rows[i].what);
        return err_hint(e, "give the command of that run (`show %lld`), or leave out --resume",
                        (long long)run_id);
    }
    return 0;
}

static int take_up(store *s, int64_t run_id, const store_model *m, const store_run *r, err *e)
{
    const cell bind[] = {cell_int(run_id), units_of(r)};
    int code = same_run(s, run_id, m, r, e);
    return code ? code : store_do(s, "UPDATE run SET status = 'running', message = NULL, finished = NULL,"
                                  " n_unit = ifnull(?2, n_unit) WHERE id = ?1", bind, 2, "resuming a run", e);
}

int store_run_begin(store *s, const store_model *m, const store_run *r, int64_t *run_id, err *e)
{
    int64_t model_id = 0;
    bool found = false;
    int code = store_idle(s, "beginning a run", e);
    if (!code && r->uid)
        code = check_uid(r->uid, e);
    if (!code)
        code = store_begin(s, e);
    if (code)
        return code;
    if (r->uid) {
        const cell uid = cell_str(r->uid);
        code = store_one_int(s, run_id, &found, "SELECT id FROM run WHERE uid = ?1", &uid, 1,
                             "finding a run", e);
    }
    if (!code && found)
        code = take_up(s, *run_id, m, r, e);
    if (!code && !found)
        code = model_row(s, m, &model_id, e);
    if (!code && !found)
        code = insert_run(s, run_id, model_id, r, e);
    if (code) {
        store_rollback(s);
        return code;
    }
    return store_commit(s, e);
}

int store_run_end(store *s, int64_t run_id, const char *status, const char *message, err *e)
{
    utc_time now;
    utc_now(now);
    const cell bind[] = {cell_int(run_id), cell_str(status), cell_str(message), cell_str(now)};
    int code = store_idle(s, "ending a run", e);
    if (!code)
        code = store_do(s, "UPDATE run SET status = CASE WHEN " RUN_IS_WHOLE " THEN 'done' ELSE ?2 END,"
                        " message = CASE WHEN NOT " RUN_IS_WHOLE " THEN ?3 END, finished = ?4 WHERE id = ?1",
                        bind, 4,
                        "ending a run", e);
    if (!code && sqlite3_changes(s->db) == 0)
        code = err_set(e, ERR_FAILED, "run %lld is not in store %s", (long long)run_id, s->path);
    if (!code)
        summary_write(s, run_id, NULL); /* without it questions take longer, nothing else */
    return code;
}

int store_run_resume(store *s, int64_t run_id, const store_model *m, const store_run *r, err *e)
{
    int code = store_idle(s, "resuming a run", e);
    return code ? code : take_up(s, run_id, m, r, e);
}

int store_sweep_begin(store *s, const store_sweep *w, int64_t *sweep_id, err *e)
{
    utc_time now;
    utc_now(now);
    const cell bind[] = {cell_str(w->uid), cell_str(w->name), cell_str(w->text), cell_str(w->command),
                         cell_str(now)};
    int code = store_idle(s, "beginning a sweep", e);
    if (!code)
        code = check_uid(w->uid, e);
    if (!code)
        code = store_do(s, "INSERT INTO sweep (uid, name, text, command, created) VALUES (?1, ?2, ?3, ?4,"
                        " ?5) ON CONFLICT (uid) DO NOTHING", bind, 5, "writing a sweep", e);
    if (!code)
        code = store_one_int(s, sweep_id, NULL, "SELECT id FROM sweep WHERE uid = ?1", bind, 1,
                             "finding a sweep", e);
    return code;
}

int store_unit_done(store *s, int64_t run_id, int64_t index, bool *yes, err *e)
{
    int64_t ignored;
    const cell bind[] = {cell_int(run_id), cell_int(index)};
    return store_one_int(s, &ignored, yes, "SELECT 1 FROM unit WHERE run_id = ?1 AND prompt_index = ?2 AND"
                                           " status = 'done'",
                         bind, 2, "finding a unit", e);
}

int store_last_run(store *s, int64_t *run_id, err *e)
{
    return store_one_int(s, run_id, NULL, "SELECT max(id) FROM run", NULL, 0, "finding the newest run", e);
}

int store_run_exists(store *s, int64_t run_id, bool *yes, err *e)
{
    int64_t ignored;
    const cell bind = cell_int(run_id);
    return store_one_int(s, &ignored, yes, "SELECT 1 FROM run WHERE id = ?1", &bind, 1, "finding a run", e);
}

int store_figure(store *s, int64_t run_id, const char *recipe, const char *path, const char *command, err *e)
{
    utc_time now;
    utc_now(now);
    const cell bind[] = {cell_index(run_id), cell_str(recipe), cell_str(path), cell_str(command),
                         cell_str(now)};
    int code = store_idle(s, "recording a figure", e);
    return code ? code : store_do(s, "INSERT INTO figure (run_id, recipe, path, command, created) "
                                   "VALUES (?1, ?2, ?3, ?4, ?5)", bind, 5, "recording a figure", e);
}
