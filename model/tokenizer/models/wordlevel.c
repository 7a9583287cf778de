/* WordLevel: a word is a token, or unknown. */
#include <string.h>

#include "model/tokenizer/parts.h"

typedef struct wordlevel { const vocab *v; const char *unk; int32_t unk_id; } wordlevel;

static int from_json(token_model **out, tokenizer *t, const json *v, err *e)
{
    const char *unk = json_str(json_get(v, "unk_token"), NULL);
    wordlevel *m = arena_alloc(&t->mem, 1, sizeof *m, e);
    int rc = m ? model_read_vocab(t, json_get(v, "vocab"), e) : ERR_RESOURCE;

    if (rc)
        return rc;
    m->v = &t->vocab;
    m->unk = arena_strdup(&t->mem, unk ? unk : "<unk>", e);
    if (!m->unk)
        return ERR_RESOURCE;
    m->unk_id = vocab_find(m->v, m->unk, strlen(m->unk));
    *out = (token_model *)(void *)m;
    return 0;
}

static int encode(const token_model *self, work *w, const text *x, bool bytes, err *e)
{
    const wordlevel *m = (const wordlevel *)(const void *)self;
    text mapped;

    if (bytes) {
        int rc = text_to_byte_level(&mapped, x, w, e);
        if (rc)
            return rc;
        x = &mapped;
    }
    int32_t id = vocab_find(m->v, x->s, x->n);
    if (id < 0 && m->unk_id < 0) {
        err_set(e, ERR_INPUT, "a word has no token, and unk_token \"%.60s\" is not in the vocabulary", m->unk);
        return err_hint(e, "give raw token ids (--ids)");
    }
    return work_emit(w, id < 0 ? m->unk_id : id, x, 0, x->n, e);
}

extern const tokenizer_model tokenizer_model_wordlevel;
const tokenizer_model tokenizer_model_wordlevel = {
    .type = "WordLevel",
    .from_json = from_json,
    .encode = encode,
};
