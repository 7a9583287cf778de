/* Opening tokenizers: which kind of file or directory it is, and the steps that all share. */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mapfile.h"
#include "model/checkpoint.h"
#include "model/tokenizer/sentencepiece.h"
#include "model/tokenizer/slow_vocab.h"
#include "model/tokenizer/tiktoken.h"

enum { MAX_JSON = 512 << 20 };

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

static int describe(tokenizer *t, err *e)
{
    strbuf b = { 0 };

    if (t->description)
        return 0;
    strbuf_printf(&b, "%s%s", t->last_byte_level ? "byte-level " : "", t->kind->type);
    t->description = b.failed ? NULL : arena_strdup(&t->mem, strbuf_str(&b), e);
    strbuf_free(&b);
    return t->description ? 0 : err_nomem(e, "tokenizer");
}

/* What has to wait until all parts are there.  what: the file, for messages, or NULL. */
static int finish(tokenizer *t, const char *what, err *e)
{
    int rc = decoder_texts(t, e);

    if (!rc && t->kind->finish)
        rc = t->kind->finish(t->model, t, e);
    if (!rc)
        rc = added_build(t, e);
    if (rc && e && what)
        err_prefix(e, "%s", what);
    if (!rc && !t->policy)
        rc = post_describe(t, "the post-processor", e);
    return rc ? rc : describe(t, e);
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
        rc = finish(t, what, e);
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
        rc = finish(t, NULL, e);
    return deliver(out, t, rc, e);
}

/* ---- files ---- */

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

static bool is_llama2c_model(const checkpoint *c)
{
    return c->reader && !strcmp(c->reader->name, "llama2c");
}

int tokenizer_load_spm_file(tokenizer *t, const char *path, err *e)
{
    mapfile map;
    int rc = mapfile_open(&map, path, e);

    if (rc)
        return rc;
    rc = tokenizer_load_spm(t, map.data, map.size, e);
    if (rc && e)
        err_prefix(e, "%s", path);
    mapfile_close(&map);
    return rc;
}

/* directory: where a configuration may name special tokens. */
static int open_tiktoken(tokenizer **out, const char *path, const char *directory, const tokenizer_options *o,
    err *e)
{
    tokenizer *t;
    mapfile map;
    int rc = mapfile_open(&map, path, e);

    if (rc)
        return rc;
    rc = new_tokenizer(&t, e);
    if (!rc) {
        bool named = false;
        rc = tokenizer_config_specials(t, directory, &named, false, e);
        if (!rc)
            rc = tokenizer_load_tiktoken(t, (const char *)map.data, map.size, path, o->pattern, !named, e);
        if (!rc && named)
            rc = tokenizer_config_specials(t, directory, &named, true, e);
        if (rc && e)
            err_prefix(e, "%s", path);
    }
    if (!rc)
        rc = tokenizer_load_config(t, directory, e);
    if (!rc)
        rc = finish(t, path, e);
    mapfile_close(&map);
    return deliver(out, t, rc, e);
}

/* ---- directories ---- */

enum file_kind { FILE_JSON, FILE_GGUF, FILE_SPM, FILE_TIKTOKEN, FILE_LLAMA2C };

/* By content; what is nothing else is taken for JSON, whose reader says what is wrong. */
static enum file_kind kind_of(const void *bytes, size_t n)
{
    return n >= 4 && !memcmp(bytes, "GGUF", 4) ? FILE_GGUF : spm_sniff(bytes, n) ? FILE_SPM :
           tiktoken_sniff(bytes, n) ? FILE_TIKTOKEN : llama2c_count(bytes, n) ? FILE_LLAMA2C : FILE_JSON;
}

static int kind_of_file(enum file_kind *out, const char *path, err *e)
{
    mapfile map;
    int rc = mapfile_open(&map, path, e); /* says what is wrong with the path */

    if (rc)
        return rc;
    *out = kind_of(map.data, map.size);
    mapfile_close(&map);
    return 0;
}

static int from_vocabulary(tokenizer **out, enum file_kind kind, const void *bytes, size_t n, const char *what,
    const tokenizer_options *o, err *e)
{
    tokenizer *t;
    int rc = new_tokenizer(&t, e);

    if (!rc) {
        rc = kind == FILE_SPM ? tokenizer_load_spm(t, bytes, n, e)
             : kind == FILE_LLAMA2C ? tokenizer_load_llama2c(t, bytes, n, e)
                                    : tokenizer_load_tiktoken(t, bytes, n, what, o->pattern, true, e);
        if (rc && e)
            err_prefix(e, "%s", what);
    }
    if (!rc)
        rc = finish(t, what, e);
    return deliver(out, t, rc, e);
}

int tokenizer_from_bytes(tokenizer **out, const void *bytes, size_t n, const char *what,
    const tokenizer_options *o, err *e)
{
    enum file_kind kind = kind_of(bytes, n);
    return kind == FILE_JSON || kind == FILE_GGUF ? from_json(out, bytes, n, what, NULL, e)
                                                  : from_vocabulary(out, kind, bytes, n, what, o, e);
}

static int open_vocabulary(tokenizer **out, enum file_kind kind, const char *path, const tokenizer_options *o,
    err *e)
{
    mapfile map;
    int rc = mapfile_open(&map, path, e);

    if (rc)
        return rc;
    rc = from_vocabulary(out, kind, map.data, map.size, path, o, e);
    mapfile_close(&map);
    return rc;
}

static bool ends_with(const char *s, const char *suffix)
{
    size_t n = strlen(s), k = strlen(suffix);
    return n >= k && !strcmp(s + n - k, suffix);
}

/* The first file of a directory, by name, with this suffix: its path, or NULL. */
static char *find_suffix(const char *directory, const char *suffix)
{
    DIR *d = opendir(directory);
    const struct dirent *entry;
    strbuf best = { 0 }, path = { 0 };

    while (d && (entry = readdir(d)))
        if (ends_with(entry->d_name, suffix) && (!best.len || strcmp(entry->d_name, best.s) < 0)) {
            strbuf_clear(&best);
            strbuf_puts(&best, entry->d_name);
        }
    if (d)
        closedir(d);
    if (best.len)
        strbuf_printf(&path, "%s/%s", directory, strbuf_str(&best));
    bool failed = best.failed || path.failed || !best.len;
    strbuf_free(&best);
    if (!failed)
        return strbuf_take(&path, NULL);
    strbuf_free(&path);
    return NULL;
}

static int open_slow(tokenizer **out, const slow_place *place, const char *directory, err *e)
{
    tokenizer *t;
    int rc = new_tokenizer(&t, e);

    if (!rc)
        rc = tokenizer_load_slow(t, place, directory, e);
    if (!rc)
        rc = tokenizer_load_config(t, directory, e);
    if (!rc)
        rc = finish(t, place->vocab, e);
    return deliver(out, t, rc, e);
}

/* Vocabulary files of other makes. */
static int open_other(tokenizer **out, bool *found, const char *directory, const tokenizer_options *o, err *e)
{
    slow_place place;
    enum file_kind kind = FILE_JSON;
    char *path = NULL;
    int rc = 0;

    *found = slow_find(&place, directory);
    if (*found && place.files == SLOW_SPM)
        rc = kind_of_file(&kind, place.vocab, e);
    if (*found && !rc)
        rc = kind == FILE_TIKTOKEN ? open_tiktoken(out, place.vocab, directory, o, e)
                                   : open_slow(out, &place, directory, e);
    slow_place_free(&place);
    if (*found)
        return rc;
    path = find_suffix(directory, ".tiktoken");
    if (!path)
        path = find_suffix(directory, "tiktoken.model");
    *found = path != NULL;
    rc = path ? open_tiktoken(out, path, directory, o, e) : 0;
    free(path);
    return rc;
}

/* A directory's tokenizer.json, or the files that come before one. */
static int open_files(tokenizer **out, bool *found, const char *directory, const tokenizer_options *o, err *e)
{
    strbuf path = { 0 };
    int rc;

    strbuf_printf(&path, "%s/tokenizer.json", directory);
    *found = !path.failed && slow_exists(path.s);
    if (path.failed)
        rc = err_nomem(e, "tokenizer");
    else if (*found)
        rc = open_json(out, path.s, directory, e);
    else
        rc = open_other(out, found, directory, o, e);
    strbuf_free(&path);
    return rc;
}

/* What lies beside a model of llama2.c. */
static int open_beside_llama2c(tokenizer **out, const checkpoint *c, err *e)
{
    static const tokenizer_options defaults = { .pattern = NULL };
    const char *directory = c->directory ? c->directory : ".";
    int64_t n_token = 0;
    bool found = false;
    char *path;

    json_int(&n_token, json_get(c->config, "vocab_size"));
    int rc = llama2c_find(&path, directory, n_token, e);
    if (path)
        rc = open_vocabulary(out, FILE_LLAMA2C, path, &defaults, e);
    free(path);
    if (rc || *out)
        return rc;
    rc = open_files(out, &found, directory, &defaults, e);
    if (rc || found)
        return rc;
    err_set(e, ERR_INPUT, "%s: no tokenizer.bin or tok%lld.bin of %lld tokens", directory, (long long)n_token,
            (long long)n_token);
    return err_hint(e, "put llama2.c's tokenizer there, name one with --tokenizer, or give raw token ids (--ids)");
}

/* A checkpoint's directory: its files, or the GGUF or llama2.c file that it holds. */
static int open_directory(tokenizer **out, const char *directory, const tokenizer_options *o, err *e)
{
    checkpoint *c = NULL;
    bool found = false;
    err ignored;
    int rc = open_files(out, &found, directory, o, e);

    if (rc || found)
        return rc;
    rc = checkpoint_open(&c, directory, &ignored);
    if (!rc && c->gguf) {
        rc = tokenizer_from_gguf(out, c->gguf, e);
        if (rc)
            err_prefix(e, "%s", directory);
    } else if (!rc && is_llama2c_model(c)) {
        rc = open_beside_llama2c(out, c, e);
    } else {
        err_set(e, ERR_INPUT, "%s: no tokenizer.json, and no vocabulary file of another kind", directory);
        rc = err_hint(e, "put the checkpoint's tokenizer.json there, name one with --tokenizer, or give raw token ids "
                         "(--ids)");
    }
    checkpoint_close(c);
    return rc;
}

int tokenizer_of_checkpoint(tokenizer **out, const checkpoint *c, err *e)
{
    *out = NULL;
    if (c->gguf)
        return tokenizer_from_gguf(out, c->gguf, e);
    return is_llama2c_model(c) ? open_beside_llama2c(out, c, e)
                               : tokenizer_open(out, c->directory ? c->directory : c->path, e);
}

/* A *.bin that is no vocabulary: a model whose tokenizer lies beside it. */
static int open_model_file(tokenizer **out, bool *found, const char *path, err *e)
{
    checkpoint *c = NULL;
    int rc = 0;

    *found = !checkpoint_open(&c, path, NULL);
    if (*found)
        rc = tokenizer_of_checkpoint(out, c, e);
    checkpoint_close(c);
    return rc;
}

/* "a/b" -> "a", "b" -> "." */
static char *directory_of(const char *path, err *e)
{
    const char *slash = strrchr(path, '/');
    return slash ? mem_strndup(path, slash == path ? 1 : (size_t)(slash - path), e) : mem_strdup(".", e);
}

int tokenizer_open_with(tokenizer **out, const char *path, const tokenizer_options *o, err *e)
{
    static const char *const beside[] = {
        ".safetensors", ".safetensors.index.json", "config.json", "vocab.json", "merges.txt", "vocab.txt",
        "special_tokens_map.json", "added_tokens.json", "generation_config.json",
    };
    struct stat st;
    enum file_kind kind;
    bool whole = false;

    *out = NULL;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        return open_directory(out, path, o, e);
    int rc = kind_of_file(&kind, path, e);
    if (rc)
        return rc;
    if (kind == FILE_GGUF)
        return open_gguf(out, path, e);
    if (kind == FILE_JSON && ends_with(path, ".model"))
        kind = FILE_SPM; /* whose reader says what is wrong */
    if (kind != FILE_JSON)
        return open_vocabulary(out, kind, path, o, e);
    if (ends_with(path, ".bin") && ((rc = open_model_file(out, &whole, path, e)) || whole))
        return rc;
    char *directory = directory_of(path, e);
    if (!directory)
        return ERR_RESOURCE;
    for (size_t i = 0; i < sizeof beside / sizeof *beside; i++)
        whole |= ends_with(path, beside[i]);
    rc = whole ? open_directory(out, directory, o, e)
               : open_json(out, path, ends_with(path, "tokenizer.json") ? directory : NULL, e);
    free(directory);
    return rc;
}

int tokenizer_open(tokenizer **out, const char *path, err *e)
{
    return tokenizer_open_with(out, path, &(tokenizer_options){ .pattern = NULL }, e);
}
