/* What loaders share, and what can be asked of a tokenizer. */
#include "model/tokenizer/tokenizer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/tokenizer/parts.h"

#define TOKENIZER_MODEL(name) extern const tokenizer_model tokenizer_model_##name;
#include "registry/tokenizer_models.inc"
#undef TOKENIZER_MODEL

const tokenizer_model *const tokenizer_models[] = {
#define TOKENIZER_MODEL(name) &tokenizer_model_##name,
#include "registry/tokenizer_models.inc"
#undef TOKENIZER_MODEL
    NULL,
};

const tokenizer_model *tokenizer_model_find(const char *type)
{
    for (size_t i = 0; tokenizer_models[i]; i++)
        if (!strcmp(type, tokenizer_models[i]->type))
            return tokenizer_models[i];
    return NULL;
}

int tokenizer_refuse(err *e, const char *fmt, ...)
{
    char what[256];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    err_set(e, ERR_INPUT, "%s is not supported", what);
    return err_hint(e, "run, dump and generate take raw token ids (--ids) without the tokenizer");
}

/* Powers of two are where the array in the arena is full. */
void *tokenizer_push(tokenizer *t, void *array, size_t count, size_t size, err *e)
{
    if (count & (count - 1) || count == 1)
        return array;
    void *more = arena_alloc(&t->mem, count ? count * 2 : 2, size, e);
    if (more && count)
        memcpy(more, array, count * size);
    return more;
}

int tokenizer_regex(regex **out, tokenizer *t, const char *pattern, size_t n, bool literal, err *e)
{
    regex **all = tokenizer_push(t, t->regexes, t->n_regex, sizeof *all, e);

    if (!all)
        return ERR_RESOURCE;
    t->regexes = all;
    int rc = regex_new(out, pattern, n, literal, e);
    if (!rc)
        all[t->n_regex++] = *out;
    return rc;
}

void tokenizer_free(tokenizer *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < t->n_regex; i++)
        regex_free(t->regexes[i]);
    arena_free(&t->mem);
    free(t);
}

/* ---- asking ---- */

int64_t tokenizer_vocab(const tokenizer *t)
{
    return t->vocab.n;
}

int32_t tokenizer_bos(const tokenizer *t)
{
    return t->bos;
}

int32_t tokenizer_eos(const tokenizer *t)
{
    return t->eos;
}

const char *tokenizer_kind(const tokenizer *t)
{
    return t->description;
}

int tokenizer_hash(const tokenizer *t, sha256_hex out, err *e)
{
    (void)e;
    memcpy(out, t->hash, sizeof t->hash);
    return 0;
}

token_text tokenizer_text(const tokenizer *t, int32_t id)
{
    const vocab_entry *v = vocab_get(&t->vocab, id);
    return v ? (token_text){ v->text, v->n_text } : (token_text){ "", 0 };
}

const char *tokenizer_piece(const tokenizer *t, int32_t id)
{
    const vocab_entry *v = vocab_get(&t->vocab, id);
    return v ? v->piece : NULL;
}

bool tokenizer_is_special(const tokenizer *t, int32_t id)
{
    const vocab_entry *v = vocab_get(&t->vocab, id);
    return v && v->flags & VOCAB_SPECIAL;
}
