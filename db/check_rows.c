/* Checks that compute something anew and hold the rows against it. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "db/check_internal.h"

static const char doing[] = "checking";

void found_one(findings *f, const char *fmt, ...)
{
    if (f->n++ == 0) {
        err safe; /* rows of a damaged store may hold anything: without control characters */
        va_list args;
        va_start(args, fmt);
        vsnprintf(f->first, sizeof f->first, fmt, args);
        va_end(args);
        err_set(&safe, ERR_INPUT, "%s", f->first);
        snprintf(f->first, sizeof f->first, "%.199s", safe.msg);
    }
}

/* ---- prompts ---- */

typedef struct prompt_rows {
    arena mem;
    store_token *tokens;
    int64_t n, cap;
} prompt_rows;

static int read_tokens(store *s, prompt_rows *p, int64_t id, const char *sequence, err *e)
{
    sqlite3_stmt *q = NULL;
    bool row = true;
    const cell bind[] = {cell_int(id), cell_str(sequence)};
    int code = store_prepare(s, &q, "SELECT id, text, special FROM token WHERE prompt_id = ?1 AND sequence ="
                             " ?2 ORDER BY position", doing, e);
    if (!code)
        code = store_bind(s, q, bind, 2, doing, e);
    p->n = 0;
    while (!code) {
        code = store_step(s, q, &row, doing, e);
        if (code || !row)
            break;
        if (p->n == p->cap) {
            int64_t cap = p->cap ? 2 * p->cap : 256;
            store_token *tokens = mem_grow(p->tokens, (size_t)cap, sizeof *tokens, e);
            code = tokens ? 0 : ERR_RESOURCE;
            p->tokens = tokens ? tokens : p->tokens;
            p->cap = tokens ? cap : p->cap;
        }
        const char *text = code ? NULL : (const char *)sqlite3_column_text(q, 1);
        size_t len = text ? (size_t)sqlite3_column_bytes(q, 1) : 0;
        char *copy = text ? arena_strndup(&p->mem, text, len, e) : NULL;
        if (!code && !copy)
            code = ERR_RESOURCE;
        if (!code) {
            int32_t number = sqlite3_column_type(q, 0) == SQLITE_NULL ? NO_INDEX
                : (int32_t)sqlite3_column_int64(q, 0);
            p->tokens[p->n++] = (store_token){number, copy, len, sqlite3_column_int(q, 2) != 0};
        }
    }
    sqlite3_finalize(q);
    return code;
}

static bool same(sqlite3_stmt *q, int col, const char *want)
{
    const char *text = (const char *)sqlite3_column_text(q, col);
    return text ? strcmp(text, want) == 0 : !*want;
}

/* One prompt: row of q is id, sha256, text_sha256, ids_sha256, text, policy, n_token, number of sequences,
 * has inputs.  Which of several sequences the hash of ids is of is not kept: one must fit.  The hash over
 * everything needs the order of sequences and inputs too, so it is only taken where there is one sequence and
 * nothing else. */
static int check_prompt(store *s, sqlite3_stmt *q, prompt_rows *p, findings *f, err *e)
{
    static const attn_kind kinds[] = {ATTN_SELF, ATTN_ENCODER, ATTN_VISION};
    const int64_t id = sqlite3_column_int64(q, 0);
    bool ids = false, whole = sqlite3_column_int(q, 7) > 1 || sqlite3_column_int(q, 8), text = true;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        staged_prompt now;
        int code = read_tokens(s, p, id, attn_kind_name(kinds[i]), e);
        const store_sequence own = {kinds[i], p->tokens, p->n};
        const store_prompt row = {.text = (const char *)sqlite3_column_text(q, 4),
                                  .text_len = (size_t)sqlite3_column_bytes(q, 4),
                                  .policy = (const char *)sqlite3_column_text(q, 5), .sequences = &own,
                                  .n_sequence = 1};
        if (!code)
            code = prompt_stage(&now, &p->mem, &row, e);
        if (code)
            return code;
        ids |= p->n == sqlite3_column_int64(q, 6) && same(q, 3, now.ids_sha256);
        whole |= same(q, 1, now.sha256);
        text = same(q, 2, now.text_sha256);
    }
    if (!ids || !whole || !text)
        found_one(f, "prompt row %lld: its %s not those that its SHA-256 says", (long long)id,
                  !text ? "text is" : "tokens are");
    return 0;
}

int check_prompts(store *s, findings *f, err *e)
{
    sqlite3_stmt *q = NULL;
    prompt_rows p = {{0}, NULL, 0, 0};
    bool row = true;
    int code = store_prepare(s, &q,
        "SELECT id, sha256, text_sha256, ids_sha256, text, policy, n_token, (SELECT count(DISTINCT sequence)"
        " FROM token t"
        "  WHERE t.prompt_id = p.id), EXISTS (SELECT 1 FROM unit u JOIN input i ON i.unit_id = u.id WHERE"
        " u.prompt_id = p.id) FROM prompt p", doing, e);
    while (!code) {
        code = store_step(s, q, &row, doing, e);
        if (code || !row)
            break;
        code = check_prompt(s, q, &p, f, e);
        arena_free(&p.mem);
        p.mem = (arena){0};
    }
    sqlite3_finalize(q);
    arena_free(&p.mem);
    free(p.tokens);
    return code;
}

/* ---- maps ---- */

static int look(void *ud, const stored_map *shape, int64_t row, const float *cells, err *e)
{
    (void)ud, (void)shape, (void)row, (void)cells, (void)e;
    return 0;
}

int check_maps(store *s, findings *f, err *e)
{
    table *t = NULL;
    int code = store_query(s, &t, "SELECT run, prompt, kind, ifnull(layer, -1), ifnull(head, -1) FROM"
                                  " map_list", NULL, 0, e);
    for (int64_t i = 0; !code && i < t->n_row; i++) {
        const head_id h = {attn_kind_named(row_text(t, i, 2), ATTN_SELF), (int)row_int(t, i, 3),
                           (int)row_int(t, i, 4)};
        stored_map shape;
        err why = {0};
        code = store_map_rows(s, row_int(t, i, 0), row_int(t, i, 1), h, &shape, look, NULL, &why);
        if (code == ERR_INPUT) {
            found_one(f, "%s", why.msg);
            code = 0;
        } else if (code && e) {
            *e = why;
        }
    }
    table_free(t);
    return code;
}

/* ---- names and keys that follow from other columns ---- */

static const char *text_of(const table *t, int64_t row, int col)
{
    const cell *c = table_cell(t, row, col);
    return c->kind == CELL_TEXT ? c->u.s : NULL;
}

int check_models(store *s, findings *f, err *e)
{
    table *t = NULL;
    int code = store_query(s, &t, "SELECT id, identity, sha256, path, tokenizer_sha256, name, family,"
                           " format, dtype, plan, n_layer,"
                           " n_head, n_kv_head, width, vocab, context, n_param FROM model", NULL, 0, e);
    for (int64_t i = 0; !code && i < t->n_row; i++) {
        const store_model m = {
            .sha256 = row_text(t, i, 2), .path = row_text(t, i, 3), .tokenizer_sha256 = text_of(t, i, 4),
            .name = text_of(t, i, 5),
            .family = text_of(t, i, 6), .format = text_of(t, i, 7), .dtype = text_of(t, i, 8),
            .plan = text_of(t, i, 9),
            .n_layer = (int)row_int(t, i, 10), .n_head = (int)row_int(t, i, 11),
            .n_kv_head = (int)row_int(t, i, 12),
            .width = row_int(t, i, 13), .vocab = row_int(t, i, 14), .context = row_int(t, i, 15),
            .n_param = row_int(t, i, 16),
        };
        sha256_hex identity;
        code = store_model_identity(identity, &m, e);
        if (!code && strcmp(identity, row_text(t, i, 1)) != 0)
            found_one(f, "model row %lld: its columns are not those that its identity says",
                      (long long)row_int(t, i, 0));
    }
    table_free(t);
    return code;
}

/* Rows of kind, layer, head and the name that these should give. */
static int check_head_names(store *s, findings *f, const char *sql, err *e)
{
    table *t = NULL;
    int code = store_query(s, &t, sql, NULL, 0, e);
    for (int64_t i = 0; !code && i < t->n_row; i++) {
        const char *kind_text = row_text(t, i, 0);
        const attn_kind kind = attn_kind_named(kind_text, ATTN_SELF);
        const bool head = table_cell(t, i, 2)->kind == CELL_INT,
        layer = table_cell(t, i, 1)->kind == CELL_INT;
        head_text name = "";
        if (head)
            head_format(name, (head_id){kind, (int)row_int(t, i, 1), (int)row_int(t, i, 2)});
        const char *says = text_of(t, i, 3);
        bool good = strcmp(attn_kind_name(kind), kind_text) == 0 &&
            (head ? layer && says && !strcmp(says, name) : !says);
        if (!good)
            found_one(f, "the name %.40s of a head of kind %.20s is not %s", says ? says : "(none)",
                      kind_text, head ? name : "none");
    }
    table_free(t);
    return code;
}

int check_names(store *s, findings *f, err *e)
{
    table *t = NULL;
    int code = check_head_names(s, f, "SELECT kind, layer, head, name FROM site", e);
    if (!code)
        code = check_head_names(s, f, "SELECT kind, layer, head, name FROM head_set_item", e);
    if (!code)
        code = store_query(s, &t, "SELECT uid, 'run ' || id FROM run UNION ALL SELECT uid, 'sweep ' || id"
                                  " FROM sweep", NULL, 0, e);
    for (int64_t i = 0; !code && i < t->n_row; i++)
        if (!store_uid_good(row_text(t, i, 0)))
            found_one(f, "%s: its uid is not %d hexadecimal digits", row_text(t, i, 1), STORE_UID_DIGITS);
    table_free(t);
    return code;
}

int check_summaries(store *s, findings *f, err *e)
{
    table *t = NULL;
    int code = store_query(s, &t, "SELECT id FROM run WHERE summed = 1", NULL, 0, e);
    for (int64_t i = 0; !code && i < t->n_row; i++) {
        const int64_t run = row_int(t, i, 0);
        int64_t wrong = 0;
        code = summary_check(s, run, &wrong, e);
        if (!code && wrong)
            found_one(f, "run %lld: %lld rows of its summary are not what its values say; gc makes them anew",
                      (long long)run,
                      (long long)wrong);
    }
    table_free(t);
    return code;
}
