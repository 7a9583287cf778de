/* The vocabulary of llama2.c (tokenizer.bin): the length of the longest token, then for each a score, a length
 * and its bytes.  Merged by score like SentencePiece's, with spaces as they are.
 * https://github.com/karpathy/llama2.c/blob/master/tokenizer.py */
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mapfile.h"
#include "model/tokenizer/spm.h"

enum { BYTES_FROM = 3, BYTES_TO = 259, LONGEST = 4096 };

typedef struct entry { float score; const char *s; uint32_t n; } entry;

static uint32_t u32(const unsigned char *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* The entry at *at, which moves on; false at the end, or when it does not fit. */
static bool next_entry(entry *out, const unsigned char *bytes, size_t n, size_t *at)
{
    if (n - *at < 8)
        return false;
    uint32_t bits = u32(bytes + *at), len = u32(bytes + *at + 4);
    if (len > n - *at - 8)
        return false;
    memcpy(&out->score, &bits, sizeof bits);
    out->s = (const char *)bytes + *at + 8;
    out->n = len;
    *at += 8 + len;
    return true;
}

size_t llama2c_count(const unsigned char *bytes, size_t n)
{
    entry k;
    size_t at = 4, count = 0;
    uint32_t longest = n >= 4 ? u32(bytes) : 0;

    if (!longest || longest > LONGEST)
        return 0;
    for (; at < n && next_entry(&k, bytes, n, &at); count++)
        if (!k.n || (count >= BYTES_TO && k.n > longest) || !isfinite(k.score))
            return 0;
    return at == n && count > BYTES_TO ? count : 0;
}

static bool has_tokens(const char *path, int64_t n_token)
{
    mapfile map;
    if (mapfile_open(&map, path, NULL))
        return false;
    bool yes = llama2c_count(map.data, map.size) == (size_t)n_token;
    mapfile_close(&map);
    return yes;
}

/* Take "directory/name" for *path when it fits. */
static int try_file(char **path, const char *directory, const char *name, int64_t n_token, err *e)
{
    strbuf b = { 0 };
    strbuf_printf(&b, "%s/%s", directory, name);
    *path = strbuf_take(&b, e);
    if (!*path)
        return ERR_RESOURCE;
    if (!has_tokens(*path, n_token)) {
        free(*path);
        *path = NULL;
    }
    return 0;
}

static int try_all(char **path, const char *directory, int64_t n_token, err *e)
{
    DIR *d = opendir(directory);
    const struct dirent *item;
    char *other = NULL;
    int rc = 0;

    while (!rc && !other && d && (item = readdir(d))) {
        size_t n = strlen(item->d_name);
        if (n > 4 && !strcmp(item->d_name + n - 4, ".bin"))
            rc = try_file(*path ? &other : path, directory, item->d_name, n_token, e);
    }
    if (d)
        closedir(d);
    if (!rc && other) {
        err_set(e, ERR_INPUT, "which tokenizer: %s or %s?", *path, other);
        rc = err_hint(e, "name one with --tokenizer");
    }
    free(other);
    if (rc) {
        free(*path);
        *path = NULL;
    }
    return rc;
}

int llama2c_find(char **path, const char *directory, int64_t n_token, err *e)
{
    char name[40];
    int rc;

    *path = NULL;
    if (n_token < 1)
        return 0;
    rc = try_file(path, directory, "tokenizer.bin", n_token, e);
    snprintf(name, sizeof name, "tok%lld.bin", (long long)n_token);
    if (!rc && !*path)
        rc = try_file(path, directory, name, n_token, e);
    return rc || *path ? rc : try_all(path, directory, n_token, e);
}

int tokenizer_load_llama2c(tokenizer *t, const unsigned char *bytes, size_t n, err *e)
{
    size_t count = 0, at = 4;
    entry k;
    int rc = 0;

    if (!llama2c_count(bytes, n))
        return err_set(e, ERR_INPUT, "this is no tokenizer.bin of llama2.c");
    while (next_entry(&k, bytes, n, &at))
        count++;
    if (count > INT32_MAX)
        return err_set(e, ERR_INPUT, "%zu tokens are too many", count);
    float *scores = arena_alloc(&t->mem, count, sizeof *scores, e);
    uint8_t *types = arena_alloc(&t->mem, count, 1, e);
    rc = scores && types ? vocab_reserve(&t->vocab, (int64_t)count, e) : ERR_RESOURCE;
    at = 4;
    for (size_t id = 0; !rc && next_entry(&k, bytes, n, &at); id++) {
        types[id] = id == 0 ? PIECE_UNKNOWN : id < BYTES_FROM ? PIECE_CONTROL : id < BYTES_TO ? PIECE_BYTE : PIECE_NORMAL;
        scores[id] = k.score;
        while (types[id] == PIECE_CONTROL && k.n > 2 && *k.s == '\n' && k.s[k.n - 1] == '\n') { /* "\n<s>\n" */
            k.s++;
            k.n -= 2;
        }
        rc = vocab_add(&t->vocab, (int64_t)id, k.s, k.n, e);
        if (!rc && id < BYTES_FROM)
            t->vocab.e[id].flags |= VOCAB_SPECIAL;
    }
    t->bos = 1;
    t->eos = 2;
    if (!rc)
        rc = spm_build(t, &(spm_parts){ .scores = scores, .types = types, .unk = 0, .byte_fallback = true },
                       &(normalizer){ .dummy_prefix = true, .no_escape = true }, e);
    if (!rc)
        rc = post_add(t, t->bos, false, e);
    if (!rc)
        rc = post_describe(t, "the rule of Llama's models", e);
    if (!rc)
        rc = sha256_of(t->hash, bytes, n, e);
    t->description = arena_strdup(&t->mem, "SentencePiece BPE (llama2.c)", e);
    return rc || t->description ? rc : ERR_RESOURCE;
}
