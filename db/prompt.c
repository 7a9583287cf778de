/* Prompts: the same text, policy, ids and pieces are one row, however many runs look at them. */
#include <string.h>
#include "db/internal.h"

static void le64(unsigned char out[8], uint64_t v)
{
    for (int i = 0; i < 8; i++)
        out[i] = (unsigned char)(v >> 8 * i);
}

/* A field of the identity: its length goes first, so that no two lists of fields read the same. */
static int hash_bytes(sha256 *h, const void *bytes, size_t n, err *e)
{
    unsigned char length[8];
    le64(length, n);
    int code = sha256_add(h, length, sizeof length, e);
    return code || n == 0 ? code : sha256_add(h, bytes, n, e);
}

static int hash_identity(staged_prompt *p, err *e)
{
    sha256 *h = NULL;
    int code = sha256_new(&h, e);
    if (code)
        return code;
    unsigned char has_text = p->text != NULL;
    code = hash_bytes(h, &has_text, 1, e);
    if (!code)
        code = hash_bytes(h, p->text, p->text_len, e);
    if (!code)
        code = hash_bytes(h, p->policy, strlen(p->policy), e);
    for (int64_t i = 0; !code && i < p->n_token; i++) {
        const store_token *t = &p->tokens[i];
        unsigned char head[9];
        le64(head, (uint64_t)(int64_t)t->id);
        head[8] = t->special;
        code = sha256_add(h, head, sizeof head, e);
        if (!code)
            code = hash_bytes(h, t->text, t->len, e);
    }
    if (code) {
        sha256_abandon(h);
        return code;
    }
    return sha256_done(h, p->sha256, e);
}

static int hash_ids(staged_prompt *p, err *e)
{
    sha256 *h = NULL;
    int code = sha256_new(&h, e);
    if (code)
        return code;
    for (int64_t i = 0; !code && i < p->n_token; i++) {
        unsigned char id[8];
        le64(id, (uint64_t)(int64_t)p->tokens[i].id);
        code = sha256_add(h, id, sizeof id, e);
    }
    if (code) {
        sha256_abandon(h);
        return code;
    }
    return sha256_done(h, p->ids_sha256, e);
}

int prompt_stage(staged_prompt *out, arena *mem, const char *label, const char *text, size_t text_len,
                 const char *policy, const store_token *tokens, int64_t n_token, err *e)
{
    *out = (staged_prompt){.text_len = text ? text_len : 0, .n_token = n_token};
    out->policy = arena_strdup(mem, policy ? policy : "", e);
    if (!out->policy)
        return ERR_RESOURCE;
    if (text && !(out->text = arena_strndup(mem, text, text_len, e)))
        return ERR_RESOURCE;
    if (label && !(out->label = arena_strdup(mem, label, e)))
        return ERR_RESOURCE;
    store_token *copy = arena_alloc(mem, (size_t)n_token, sizeof *copy, e);
    if (!copy)
        return ERR_RESOURCE;
    size_t total = 0;
    for (int64_t i = 0; i < n_token; i++) {
        if (!size_add(&total, total, tokens[i].len))
            return err_nomem(e, "the tokens of a prompt");
    }
    char *pieces = arena_alloc(mem, total ? total : 1, 1, e);
    if (!pieces)
        return ERR_RESOURCE;
    for (int64_t i = 0; i < n_token; i++) {
        copy[i] = tokens[i];
        copy[i].text = pieces;
        if (tokens[i].len)
            memcpy(pieces, tokens[i].text, tokens[i].len);
        pieces += tokens[i].len;
    }
    out->tokens = copy;

    int code = text ? sha256_of(out->text_sha256, out->text, out->text_len, e) : 0;
    if (!code)
        code = hash_ids(out, e);
    if (!code)
        code = hash_identity(out, e);
    return code;
}

static int insert_tokens(store *s, const staged_prompt *p, int64_t prompt_id, err *e)
{
    sqlite3_stmt *q;
    int code = store_kept(s, &q, STMT_TOKEN, "INSERT INTO token (prompt_id, position, id, text, special) "
                          "VALUES (?1, ?2, ?3, ?4, ?5)", e);
    for (int64_t i = 0; !code && i < p->n_token; i++) {
        const store_token *t = &p->tokens[i];
        sqlite3_bind_int64(q, 1, prompt_id);
        sqlite3_bind_int64(q, 2, i);
        sqlite3_bind_int64(q, 3, t->id);
        sqlite3_bind_int(q, 5, t->special);
        int rc = sqlite3_bind_text64(q, 4, t->text, t->len, SQLITE_STATIC, SQLITE_UTF8);
        code = rc ? store_fail(s, rc, "writing tokens", e) : store_step(s, q, NULL, "writing tokens", e);
    }
    return code;
}

static int insert_prompt(store *s, const staged_prompt *p, int64_t *id, err *e)
{
    static const char doing[] = "writing a prompt";
    sqlite3_stmt *q = NULL;
    int code = store_prepare(s, &q,
                             "INSERT INTO prompt (sha256, text_sha256, ids_sha256, policy, n_token, text) "
                             "VALUES (?1, ?2, ?3, ?4, ?5, ?6)", doing, e);
    if (code)
        return code;
    const cell bind[] = {cell_str(p->sha256), cell_str(p->text ? p->text_sha256 : NULL),
                         cell_str(p->ids_sha256), cell_str(p->policy), cell_int(p->n_token), {0}};
    code = store_bind(s, q, bind, 6, doing, e);
    if (!code && p->text) { /* may hold NUL */
        int rc = sqlite3_bind_text64(q, 6, p->text, p->text_len, SQLITE_STATIC, SQLITE_UTF8);
        code = rc ? store_fail(s, rc, doing, e) : 0;
    }
    if (!code)
        code = store_step(s, q, NULL, doing, e);
    sqlite3_finalize(q);
    *id = sqlite3_last_insert_rowid(s->db);
    return code;
}

int prompt_row(store *s, const staged_prompt *p, int64_t *id, err *e)
{
    bool found;
    const cell key = cell_str(p->sha256);
    int code = store_one_int(s, id, &found, "SELECT id FROM prompt WHERE sha256 = ?1", &key, 1,
                             "finding a prompt", e);
    if (code || found)
        return code;
    code = insert_prompt(s, p, id, e);
    return code ? code : insert_tokens(s, p, *id, e);
}
