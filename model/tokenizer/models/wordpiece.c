/* WordPiece: the longest piece that a word begins with, then the longest that the rest begins with, and so
 * on; a word that does not come out even is unknown as a whole. */
#include <stdlib.h>
#include <string.h>

#include "base/cancel.h"
#include "model/tokenizer/models/wordpiece.h"

typedef struct wordpiece {
    const vocab *v;
    const char *unk, *prefix; size_t n_prefix;
    int32_t unk_id;                /* -1: not in the vocabulary */
    int64_t max_chars;             /* longer words are unknown */
    size_t longest;                /* bytes of the longest piece */
} wordpiece;

typedef struct piece_work { int32_t *id; size_t *end; size_t n, cap; char *s; } piece_work;

static void work_free(void *scratch)
{
    piece_work *b = scratch;

    if (!b)
        return;
    free(b->id);
    free(b->end);
    free(b->s);
    free(b);
}

int wordpiece_new(token_model **out, tokenizer *t, const char *unk, const char *prefix, int64_t max_chars,
    err *e)
{
    wordpiece *m = arena_alloc(&t->mem, 1, sizeof *m, e);

    if (!m)
        return ERR_RESOURCE;
    m->v = &t->vocab;
    m->unk = arena_strdup(&t->mem, unk, e);
    m->prefix = arena_strdup(&t->mem, prefix, e);
    if (!m->unk || !m->prefix)
        return ERR_RESOURCE;
    m->n_prefix = strlen(prefix);
    m->unk_id = vocab_find(m->v, unk, strlen(unk));
    m->max_chars = max_chars;
    for (int32_t id = 0; id < t->vocab.n; id++)
        if (t->vocab.e[id].piece && t->vocab.e[id].n_piece > m->longest)
            m->longest = t->vocab.e[id].n_piece;
    *out = (token_model *)(void *)m;
    return 0;
}

static int from_json(token_model **out, tokenizer *t, const json *v, err *e)
{
    const char *unk = json_str(json_get(v, "unk_token"), NULL);
    const char *prefix = json_str(json_get(v, "continuing_subword_prefix"), NULL);
    int64_t max_chars = 100;
    int rc = model_read_vocab(t, json_get(v, "vocab"), e);

    if (rc)
        return rc;
    json_int(&max_chars, json_get(v, "max_input_chars_per_word"));
    return wordpiece_new(out, t, unk ? unk : "[UNK]", prefix ? prefix : "##", max_chars, e);
}

static int unknown(const wordpiece *m, work *w, const text *x, err *e)
{
    if (m->unk_id < 0) {
        err_set(e, ERR_INPUT, "a word has no tokens, and unk_token \"%.60s\" is not in the vocabulary", m->unk);
        return err_hint(e, "give raw token ids (--ids)");
    }
    return work_emit(w, m->unk_id, x, 0, x->n, e);
}

static int room(piece_work *b, size_t n, err *e)
{
    if (n < b->cap)
        return 0;
    size_t cap = b->cap ? b->cap * 2 : 64;
    int32_t *id = mem_grow(b->id, cap, sizeof *id, e);
    if (id)
        b->id = id;
    size_t *end = mem_grow(b->end, cap, sizeof *end, e);
    if (end)
        b->end = end;
    if (!id || !end)
        return ERR_RESOURCE;
    b->cap = cap;
    return 0;
}

/* The longest piece that begins at `at`, after m->prefix inside a word; its end goes to *end.  s: room for
 * the longest piece with a prefix. */
static int32_t longest_piece(const wordpiece *m, const text *x, size_t at, char *s, size_t *end)
{
    size_t n_prefix = at ? m->n_prefix : 0;
    size_t most = m->longest > n_prefix ? m->longest - n_prefix : 0;
    size_t to = x->n - at < most ? x->n : at + most;

    memcpy(s, m->prefix, n_prefix);
    memcpy(s + n_prefix, x->s + at, to - at);
    while (to > at) {
        if (to == x->n || ((unsigned char)x->s[to] & 0xc0) != 0x80) {
            int32_t id = vocab_find(m->v, s, n_prefix + to - at);
            if (id >= 0) {
                *end = to;
                return id;
            }
        }
        to--;
    }
    return -1;
}

static int encode(const token_model *self, work *w, const text *x, bool bytes, err *e)
{
    const wordpiece *m = (const wordpiece *)(const void *)self;
    piece_work *b = w->model;
    int64_t chars = 0;
    text mapped;
    int rc = 0;

    if (bytes) {
        rc = text_to_byte_level(&mapped, x, w, e);
        if (rc)
            return rc;
        x = &mapped;
    }
    if (!b) {
        b = w->model = mem_array(1, sizeof *b, e);
        if (!b)
            return ERR_RESOURCE;
        b->s = mem_array(m->longest + m->n_prefix + 1, 1, e);
        if (!b->s)
            return ERR_RESOURCE;
    }
    for (size_t i = 0; i < x->n && chars <= m->max_chars; chars++) {
        uint32_t c;
        i += (size_t)unicode_next(&c, x->s + i, x->n - i);
    }
    if (chars > m->max_chars)
        return unknown(m, w, x, e);
    b->n = 0;
    for (size_t at = 0; at < x->n; at = b->end[b->n - 1]) {
        rc = room(b, b->n, e);
        if (!rc && (b->n & 1023) == 1023)
            rc = cancel_check(e);
        if (rc)
            return rc;
        b->id[b->n] = longest_piece(m, x, at, b->s, &b->end[b->n]);
        if (b->id[b->n++] < 0)
            return unknown(m, w, x, e);
    }
    for (size_t i = 0; !rc && i < b->n; i++)
        rc = work_emit(w, b->id[i], x, i ? b->end[i - 1] : 0, b->end[i], e);
    return rc;
}

extern const tokenizer_model tokenizer_model_wordpiece;
const tokenizer_model tokenizer_model_wordpiece = {
    .type = "WordPiece",
    .from_json = from_json,
    .encode = encode,
    .work_free = work_free,
};
