/* Opening tokenizers, and what can be asked of them. */
#include "model/tokenizer/tokenizer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mapfile.h"
#include "model/checkpoint.h"
#include "model/tokenizer/parts.h"

enum { MAX_JSON = 512 << 20 };

#define TOKENIZER_MODEL(name) extern const tokenizer_model tokenizer_model_##name;
#include "registry/tokenizer_models.inc"
#undef TOKENIZER_MODEL

const tokenizer_model *const tokenizer_models[] = {
#define TOKENIZER_MODEL(name) &tokenizer_model_##name,
#include "registry/tokenizer_models.inc"
#undef TOKENIZER_MODEL
    NULL,
};

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

/* ---- opening ---- */

static int new_tokenizer(tokenizer **out, err *e)
{
    tokenizer *t = mem_array(1, sizeof *t, e);

    *out = t;
    if (!t)
        return ERR_RESOURCE;
    t->bos = t->eos = -1;
    t->vocab.mem = &t->mem;
    return 0;
}

/* The end of opening: every refusal of a file says what to do. */
static int deliver(tokenizer **out, tokenizer *t, int rc, err *e)
{
    if (rc == ERR_INPUT && e && !e->hint[0])
        err_hint(e, "the file does not fit together: fetch it again, or give raw token ids (--ids)");
    if (rc)
        tokenizer_free(t);
    *out = rc ? NULL : t;
    return rc;
}

/* What has to wait until all parts are there. */
static int finish(tokenizer *t, err *e)
{
    int rc = decoder_texts(t, e);
    if (!rc)
        rc = t->kind->finish(t->model, t, e);
    return rc ? rc : added_build(t, e);
}

static int describe(tokenizer *t, err *e)
{
    strbuf b = { 0 };

    strbuf_printf(&b, "%s%s", t->last_byte_level ? "byte-level " : "", t->kind->type);
    t->description = b.failed ? NULL : arena_strdup(&t->mem, strbuf_str(&b), e);
    strbuf_free(&b);
    return t->description ? 0 : err_nomem(e, "tokenizer");
}

/* tokenizer.json in memory; directory: where other files say more, or NULL. */
static int from_json(tokenizer **out, const char *bytes, size_t n, const char *what, const char *directory,
    err *e)
{
    tokenizer *t;
    int rc = new_tokenizer(&t, e);

    if (!rc)
        rc = tokenizer_load_json(t, bytes, n, what, e);
    if (!rc && directory)
        rc = tokenizer_load_config(t, directory, e);
    if (!rc)
        rc = post_describe(t, "the post-processor", e);
    if (!rc) {
        rc = finish(t, e);
        if (rc && e)
            err_prefix(e, "%s", what);
    }
    if (!rc)
        rc = describe(t, e);
    return deliver(out, t, rc, e);
}

int tokenizer_from_json(tokenizer **out, const char *bytes, size_t n, const char *what, err *e)
{
    return from_json(out, bytes, n, what, NULL, e);
}

int tokenizer_from_gguf(tokenizer **out, const gguf_meta *m, err *e)
{
    tokenizer *t;
    int rc = new_tokenizer(&t, e);

    if (!rc)
        rc = tokenizer_load_gguf(t, m, e);
    if (!rc)
        rc = finish(t, e);
    return deliver(out, t, rc, e);
}

static int open_json(tokenizer **out, const char *path, const char *directory, err *e)
{
    char *bytes;
    size_t n;
    int rc = read_file(&bytes, &n, path, MAX_JSON, e);

    if (rc)
        return rc;
    rc = from_json(out, bytes, n, path, directory, e);
    free(bytes);
    return rc;
}

static int open_gguf(tokenizer **out, const char *path, err *e)
{
    checkpoint *c;
    int rc = checkpoint_open(&c, path, e);

    if (rc)
        return rc;
    if (c->gguf)
        rc = tokenizer_from_gguf(out, c->gguf, e);
    else
        rc = err_set(e, ERR_INPUT, "no tokenizer in this file");
    if (rc)
        err_prefix(e, "%s", path);
    checkpoint_close(c);
    return rc;
}

static bool ends_with(const char *s, const char *suffix)
{
    size_t n = strlen(s), k = strlen(suffix);
    return n >= k && !strcmp(s + n - k, suffix);
}

static bool exists(const char *path)
{
    return access(path, F_OK) == 0;
}

/* A checkpoint's directory: its tokenizer.json, or the GGUF file that it holds. */
static int open_directory(tokenizer **out, const char *directory, err *e)
{
    strbuf path = { 0 };
    checkpoint *c = NULL;
    err ignored;
    int rc;

    strbuf_printf(&path, "%s/tokenizer.json", directory);
    if (path.failed) {
        rc = err_nomem(e, "tokenizer");
    } else if (exists(path.s)) {
        rc = open_json(out, path.s, directory, e);
    } else if (!checkpoint_open(&c, directory, &ignored) && c->gguf) {
        rc = tokenizer_from_gguf(out, c->gguf, e);
        if (rc)
            err_prefix(e, "%s", directory);
    } else {
        strbuf_clear(&path);
        strbuf_printf(&path, "%s/tokenizer.model", directory);
        bool other = !path.failed && exists(path.s);
        err_set(e, ERR_INPUT, "%s: no tokenizer.json%s", directory,
                other ? ", and SentencePiece's tokenizer.model is not supported" : "");
        rc = err_hint(e, "put the checkpoint's tokenizer.json there, or give raw token ids (--ids)");
    }
    checkpoint_close(c);
    strbuf_free(&path);
    return rc;
}

/* "a/b" -> "a", "b" -> "." */
static char *directory_of(const char *path, err *e)
{
    const char *slash = strrchr(path, '/');
    return slash ? mem_strndup(path, slash == path ? 1 : (size_t)(slash - path), e) : mem_strdup(".", e);
}

int tokenizer_open(tokenizer **out, const char *path, err *e)
{
    struct stat st;
    char head[4] = { 0 };
    int rc;

    *out = NULL;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        return open_directory(out, path, e);
    mapfile map;
    rc = mapfile_open(&map, path, e); /* says what is wrong with the path */
    if (rc)
        return rc;
    if (map.size >= sizeof head)
        memcpy(head, map.data, sizeof head);
    mapfile_close(&map);
    if (!memcmp(head, "GGUF", 4))
        return open_gguf(out, path, e);
    if (ends_with(path, ".model"))
        return tokenizer_refuse(e, "%s: SentencePiece's file format", path);

    char *directory = directory_of(path, e);
    if (!directory)
        return ERR_RESOURCE;
    if (ends_with(path, ".safetensors") || ends_with(path, ".safetensors.index.json") ||
        ends_with(path, "config.json"))
        rc = open_directory(out, directory, e);
    else
        rc = open_json(out, path, ends_with(path, "tokenizer.json") ? directory : NULL, e);
    free(directory);
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
