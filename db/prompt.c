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

static int hash_tokens(sha256 *h, const store_sequence *q, err *e)
{
    int code = 0;
    for (int64_t i = 0; !code && i < q->n; i++) {
        const store_token *t = &q->tokens[i];
        unsigned char head[9];
        le64(head, (uint64_t)(int64_t)t->id);
        head[8] = t->special;
        code = sha256_add(h, head, sizeof head, e);
        if (!code)
            code = hash_bytes(h, t->text, t->len, e);
    }
    return code;
}

/* Beyond the one sequence of a decoder: which stacks read what, and the inputs by role and content. */
static int hash_more(sha256 *h, const store_prompt *p, err *e)
{
    int code = 0;
    for (int i = 0; !code && i < p->n_sequence; i++) {
        const store_sequence *q = &p->sequences[i];
        if (i == 0 && q->kind == ATTN_SELF)
            continue;
        const char *kind = attn_kind_name(q->kind);
        unsigned char n[8];
        le64(n, (uint64_t)q->n);
        code = hash_bytes(h, kind, strlen(kind), e);
        if (!code)
            code = sha256_add(h, n, sizeof n, e);
        if (!code && i > 0)
            code = hash_tokens(h, q, e);
    }
    for (int i = 0; !code && i < p->n_input; i++) {
        code = hash_bytes(h, p->inputs[i].role, strlen(p->inputs[i].role), e);
        if (!code)
            code = hash_bytes(h, p->inputs[i].sha256, strlen(p->inputs[i].sha256), e);
    }
    return code;
}

static int hash_identity(staged_prompt *s, err *e)
{
    const store_prompt *p = &s->p;
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
    if (!code)
        code = hash_tokens(h, &p->sequences[0], e);
    if (!code)
        code = hash_more(h, p, e);
    if (code) {
        sha256_abandon(h);
        return code;
    }
    return sha256_done(h, s->sha256, e);
}

static int hash_ids(staged_prompt *p, err *e)
{
    const store_sequence *q = &p->p.sequences[0];
    sha256 *h = NULL;
    int code = sha256_new(&h, e);
    if (code)
        return code;
    for (int64_t i = 0; !code && i < q->n; i++) {
        unsigned char id[8];
        le64(id, (uint64_t)(int64_t)q->tokens[i].id);
        code = sha256_add(h, id, sizeof id, e);
    }
    if (code) {
        sha256_abandon(h);
        return code;
    }
    return sha256_done(h, p->ids_sha256, e);
}

/* NULL stays NULL. */
static int copy_text(const char **out, arena *mem, const char *s, size_t n, err *e)
{
    *out = s ? arena_strndup(mem, s, n, e) : NULL;
    return s && !*out ? ERR_RESOURCE : 0;
}

static int copy_tokens(store_sequence *out, arena *mem, const store_sequence *in, err *e)
{
    store_token *copy = arena_alloc(mem, (size_t)in->n, sizeof *copy, e);
    size_t total = 0;
    if (!copy)
        return ERR_RESOURCE;
    for (int64_t i = 0; i < in->n; i++)
        if (!size_add(&total, total, in->tokens[i].len))
            return err_nomem(e, "the tokens of a prompt");
    char *pieces = arena_alloc(mem, total ? total : 1, 1, e);
    if (!pieces)
        return ERR_RESOURCE;
    for (int64_t i = 0; i < in->n; i++) {
        copy[i] = in->tokens[i];
        copy[i].text = pieces;
        if (copy[i].len)
            memcpy(pieces, in->tokens[i].text, copy[i].len);
        pieces += copy[i].len;
    }
    *out = (store_sequence){in->kind, copy, in->n};
    return 0;
}

static int copy_input(store_input *out, arena *mem, const store_input *in, err *e)
{
    *out = *in;
    int code = copy_text(&out->role, mem, in->role, strlen(in->role), e);
    if (!code)
        code = copy_text(&out->path, mem, in->path, in->path ? strlen(in->path) : 0, e);
    if (!code)
        code = copy_text(&out->sha256, mem, in->sha256, strlen(in->sha256), e);
    if (!code)
        code = copy_text(&out->text, mem, in->text, in->text_len, e);
    if (!code)
        code = copy_text(&out->policy, mem, in->policy, in->policy ? strlen(in->policy) : 0, e);
    return code;
}

int prompt_stage(staged_prompt *out, arena *mem, const store_prompt *p, err *e)
{
    *out = (staged_prompt){.p = *p};
    store_prompt *o = &out->p;
    store_sequence *sequences = arena_alloc(mem, (size_t)p->n_sequence, sizeof *sequences, e);
    store_input *inputs = arena_alloc(mem, (size_t)p->n_input + 1, sizeof *inputs, e);
    if (!sequences || !inputs)
        return ERR_RESOURCE;
    const char *policy = p->policy ? p->policy : "";
    int code = copy_text(&o->policy, mem, policy, strlen(policy), e);
    if (!code)
        code = copy_text(&o->text, mem, p->text, p->text_len, e);
    if (!code)
        code = copy_text(&o->label, mem, p->label, p->label ? strlen(p->label) : 0, e);
    for (int i = 0; !code && i < p->n_sequence; i++)
        code = copy_tokens(&sequences[i], mem, &p->sequences[i], e);
    for (int i = 0; !code && i < p->n_input; i++)
        code = copy_input(&inputs[i], mem, &p->inputs[i], e);
    o->sequences = sequences;
    o->inputs = inputs;
    o->text_len = p->text ? p->text_len : 0;
    if (!code && o->text)
        code = sha256_of(out->text_sha256, o->text, o->text_len, e);
    if (!code)
        code = hash_ids(out, e);
    if (!code)
        code = hash_identity(out, e);
    return code;
}

static int insert_tokens(store *s, const store_sequence *in, int64_t prompt_id, err *e)
{
    static const char doing[] = "writing tokens";
    const char *kind = attn_kind_name(in->kind);
    sqlite3_stmt *q;
    int code = store_kept(s, &q, STMT_TOKEN, "INSERT INTO token (prompt_id, sequence, position, id, text,"
                          " special) VALUES (?1, ?2, ?3, ?4, ?5, ?6)", e);
    for (int64_t i = 0; !code && i < in->n; i++) {
        const store_token *t = &in->tokens[i];
        sqlite3_bind_int64(q, 1, prompt_id);
        sqlite3_bind_text(q, 2, kind, -1, SQLITE_STATIC);
        sqlite3_bind_int64(q, 3, i);
        if (t->id == NO_INDEX)
            sqlite3_bind_null(q, 4);
        else
            sqlite3_bind_int64(q, 4, t->id);
        sqlite3_bind_int(q, 6, t->special);
        int rc = sqlite3_bind_text64(q, 5, t->text, t->len, SQLITE_STATIC, SQLITE_UTF8);
        code = rc ? store_fail(s, rc, doing, e) : store_step(s, q, NULL, doing, e);
    }
    return code;
}

/* Texts may hold NUL, so cells do not do. */
static int bind_bytes(store *s, sqlite3_stmt *q, int at, const char *text, size_t n, const char *doing,
                      err *e)
{
    int rc = text ? sqlite3_bind_text64(q, at, text, n, SQLITE_STATIC, SQLITE_UTF8) : SQLITE_OK;
    return rc ? store_fail(s, rc, doing, e) : 0;
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
    const cell bind[] = {cell_str(p->sha256), cell_str(p->p.text ? p->text_sha256 : NULL),
                         cell_str(p->ids_sha256), cell_str(p->p.policy), cell_int(p->p.sequences[0].n), {0}};
    code = store_bind(s, q, bind, 6, doing, e);
    if (!code)
        code = bind_bytes(s, q, 6, p->p.text, p->p.text_len, doing, e);
    if (!code)
        code = store_step(s, q, NULL, doing, e);
    sqlite3_finalize(q);
    *id = sqlite3_last_insert_rowid(s->db);
    return code;
}

int prompt_inputs(store *s, const staged_prompt *p, int64_t unit_id, err *e)
{
    static const char doing[] = "writing the inputs of a unit";
    int code = 0;
    for (int i = 0; !code && i < p->p.n_input; i++) {
        const store_input *in = &p->p.inputs[i];
        sqlite3_stmt *q = NULL;
        code = store_prepare(s, &q, "INSERT INTO input (unit_id, role, path, sha256, policy, text) "
                             "VALUES (?1, ?2, ?3, ?4, ?5, ?6)", doing, e);
        if (code)
            return code;
        const cell bind[] = {cell_int(unit_id), cell_str(in->role), cell_str(in->path), cell_str(in->sha256),
                             cell_str(in->policy), {0}};
        code = store_bind(s, q, bind, 6, doing, e);
        if (!code)
            code = bind_bytes(s, q, 6, in->text, in->text_len, doing, e);
        if (!code)
            code = store_step(s, q, NULL, doing, e);
        sqlite3_finalize(q);
    }
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
    for (int i = 0; !code && i < p->p.n_sequence; i++)
        code = insert_tokens(s, &p->p.sequences[i], *id, e);
    return code;
}
