/* tiktoken's files: a line for each token, its bytes in base64 and its rank.  They say neither how text is cut
 * nor which special tokens there are; both go by the family, which is told by the number of tokens, the file's
 * name or the user. */
#include <stdlib.h>
#include <string.h>

#include "model/tokenizer/models/bpe.h"
#include "model/tokenizer/tiktoken.h"

enum { SPARE_RANKS = 100000, SPARE_FACTOR = 8 };

#define CONTRACTIONS "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define WORD "[^\\r\\n\\p{L}\\p{N}]?"
#define UPPER "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define TAIL "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define LLAMA3 CONTRACTIONS "|" WORD "\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*" TAIL
#define QWEN CONTRACTIONS "|" WORD "\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*" TAIL
/* white space at the end of the text stays in one piece */
#define CL100K "'(?i:[sdmt]|ll|ve|re)|" WORD "\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s+\\z" \
               "|\\s*[\\r\\n]|\\s+(?!\\S)|\\s"
#define O200K WORD UPPER "*" LOWER "+" CONTRACTIONS "?|" WORD UPPER "+" LOWER "*" CONTRACTIONS "?" \
              "|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*" TAIL

typedef struct special { const char *text; int32_t id; } special;

/* The name first: the user's word for it. */
static const struct family {
    const char *name, *in_path; /* in_path: part of the file's name; NULL: none */
    size_t n_token;             /* of the file; the special tokens belong to files of just so many */
    const char *pattern;        /* NULL: GPT-2's */
    bool nfc, bos;              /* bos: the first special token comes before a text */
    special specials[12];       /* up to a NULL */
    const char *more; int32_t more_first, more_n, more_from; /* "<|extra_%d|>": ids and the first number */
} families[] = {
    { .name = "gpt2", .in_path = "gpt2", .n_token = 50256, .specials = { { "<|endoftext|>", 50256 } } },
    { .name = "r50k", .in_path = "r50k", .n_token = 50256, .specials = { { "<|endoftext|>", 50256 } } },
    { .name = "p50k", .in_path = "p50k", .n_token = 50280, .specials = { { "<|endoftext|>", 50256 } } },
    { .name = "multilingual", .in_path = "multilingual", .n_token = 50257, .specials = { { "<|endoftext|>", 50257 } } },
    { .name = "cl100k", .in_path = "cl100k", .n_token = 100256, .pattern = CL100K,
      .specials = { { "<|endoftext|>", 100257 }, { "<|fim_prefix|>", 100258 }, { "<|fim_middle|>", 100259 },
                    { "<|fim_suffix|>", 100260 }, { "<|endofprompt|>", 100276 } } },
    { .name = "o200k", .in_path = "o200k", .n_token = 199998, .pattern = O200K,
      .specials = { { "<|endoftext|>", 199999 }, { "<|endofprompt|>", 200018 } } },
    { .name = "llama3", .n_token = 128000, .pattern = LLAMA3, .bos = true,
      .specials = { { "<|begin_of_text|>", 128000 }, { "<|end_of_text|>", 128001 },
                    { "<|reserved_special_token_0|>", 128002 }, { "<|reserved_special_token_1|>", 128003 },
                    { "<|reserved_special_token_2|>", 128004 }, { "<|reserved_special_token_3|>", 128005 },
                    { "<|start_header_id|>", 128006 }, { "<|end_header_id|>", 128007 },
                    { "<|reserved_special_token_4|>", 128008 }, { "<|eot_id|>", 128009 } },
      .more = "<|reserved_special_token_%d|>", .more_first = 128010, .more_n = 246, .more_from = 5 },
    { .name = "qwen", .in_path = "qwen", .n_token = 151643, .pattern = QWEN, .nfc = true,
      .specials = { { "<|endoftext|>", 151643 }, { "<|im_start|>", 151644 }, { "<|im_end|>", 151645 } },
      .more = "<|extra_%d|>", .more_first = 151646, .more_n = 205, .more_from = 0 },
};
enum { FAMILIES = sizeof families / sizeof *families };
/* What Hugging Face's converter takes for all files. */
static const struct family otherwise = { .name = "llama3", .pattern = LLAMA3 };

/* ---- the file ---- */

typedef struct lines { const char *at, *end; } lines;

static bool next_line(lines *l, const char **s, size_t *n)
{
    if (l->at == l->end)
        return false;
    const char *stop = memchr(l->at, '\n', (size_t)(l->end - l->at));
    *s = l->at;
    *n = (size_t)((stop ? stop : l->end) - l->at);
    l->at = stop ? stop + 1 : l->end;
    while (*n && ((*s)[*n - 1] == '\r' || (*s)[*n - 1] == ' '))
        --*n;
    return true;
}

/* "aGVsbG8= 1234"; out has room for the bytes. */
static bool read_line(unsigned char *out, size_t *n_out, int64_t *rank, const char *s, size_t n)
{
    const char *space = memchr(s, ' ', n);
    size_t n_text = space ? (size_t)(space - s) : 0;

    if (!n_text || !base64_decode(out, n_out, s, n_text) || !*n_out)
        return false;
    *rank = 0;
    if (n_text + 1 == n || n - n_text - 1 > 9)
        return false;
    for (size_t i = n_text + 1; i < n; i++) {
        if (s[i] < '0' || s[i] > '9')
            return false;
        *rank = *rank * 10 + (s[i] - '0');
    }
    return true;
}

bool tiktoken_sniff(const char *bytes, size_t n)
{
    unsigned char out[256];
    lines l = { bytes, bytes + n };
    size_t n_line, n_out;
    const char *s;
    int64_t rank;

    return n && next_line(&l, &s, &n_line) && n_line < 256 && read_line(out, &n_out, &rank, s, n_line);
}

static int by_rank(const void *a, const void *b)
{
    const rank_token *x = a, *y = b;
    return x->id < y->id ? -1 : x->id > y->id;
}

static int read_tokens(rank_token **out, size_t *n_out, tokenizer *t, const char *bytes, size_t n, err *e)
{
    lines l = { bytes, bytes + n };
    size_t count = 0, n_line, number = 0;
    const char *s;
    int rc = 0;

    while (next_line(&l, &s, &n_line))
        count += n_line > 0;
    if (!count)
        return err_set(e, ERR_INPUT, "no tokens");
    unsigned char *room = arena_alloc(&t->mem, n, 1, e);
    *out = mem_array(count, sizeof **out, e);
    if (!room || !*out)
        return ERR_RESOURCE;
    for (l.at = bytes; next_line(&l, &s, &n_line);) {
        rank_token *k = &(*out)[*n_out];
        int64_t rank;
        number++;
        if (!n_line)
            continue;
        if (!read_line(room, &k->n, &rank, s, n_line))
            return err_set(e, ERR_INPUT, "line %zu is not a token in base64 and its rank", number);
        if ((uint64_t)rank > (uint64_t)count * SPARE_FACTOR + SPARE_RANKS)
            return err_set(e, ERR_INPUT, "line %zu: rank %lld is out of range for %zu tokens", number,
                           (long long)rank, count);
        k->s = room;
        k->id = (int32_t)rank;
        room += k->n;
        ++*n_out;
    }
    qsort(*out, *n_out, sizeof **out, by_rank);
    return rc;
}

static int add_vocab(tokenizer *t, const rank_token *k, size_t n, err *e)
{
    strbuf b = { 0 };
    int rc = vocab_reserve(&t->vocab, (int64_t)k[n - 1].id + 1, e);

    for (size_t i = 0; !rc && i < n; i++) {
        strbuf_clear(&b);
        for (size_t j = 0; j < k[i].n; j++) {
            char c[4];
            strbuf_add(&b, c, (size_t)unicode_put(c, unicode_of_byte(k[i].s[j])));
        }
        rc = b.failed ? err_nomem(e, "vocabulary") : vocab_add(&t->vocab, k[i].id, b.s, b.len, e);
    }
    strbuf_free(&b);
    return rc;
}

/* ---- the family ---- */

static const struct family *choose(const char *name, const char *path, size_t n_token, const char **why, err *e)
{
    const char *slash = path ? strrchr(path, '/') : NULL;
    const char *file = slash ? slash + 1 : path;

    *why = "as asked";
    for (size_t i = 0; name && i < FAMILIES; i++)
        if (!strcmp(name, families[i].name))
            return &families[i];
    if (name) {
        strbuf b = { 0 };
        for (size_t i = 0; i < FAMILIES; i++)
            strbuf_printf(&b, "%s%s", i ? ", " : "", families[i].name);
        err_set(e, ERR_USAGE, "unknown pattern \"%.60s\"", name);
        err_hint(e, "one of %s", strbuf_str(&b));
        strbuf_free(&b);
        return NULL;
    }
    *why = "by the number of tokens";
    for (size_t i = 0; i < FAMILIES; i++)
        if (families[i].n_token == n_token)
            return &families[i];
    *why = "by the file's name";
    for (size_t i = 0; i < FAMILIES; i++)
        if (file && families[i].in_path && strstr(file, families[i].in_path))
            return &families[i];
    *why = "assumed";
    return &otherwise;
}

static int add_special(tokenizer *t, const char *content, int32_t id, err *e)
{
    added_token *all = tokenizer_push(t, t->added, t->n_added, sizeof *all, e);
    added_token a = { .n = strlen(content), .special = true };

    a.s = arena_strdup(&t->mem, content, e);
    if (!all || !a.s)
        return ERR_RESOURCE;
    t->added = all;
    int rc = tokenizer_place_added(t, &a, id, e);
    all[t->n_added++] = a;
    return rc;
}

static int add_specials(tokenizer *t, const struct family *f, err *e)
{
    int rc = 0;

    for (size_t i = 0; !rc && i < 12 && f->specials[i].text; i++)
        rc = add_special(t, f->specials[i].text, f->specials[i].id, e);
    for (int32_t i = 0; !rc && i < f->more_n; i++) {
        strbuf b = { 0 };
        const char *mark = strchr(f->more, '%');
        strbuf_add(&b, f->more, (size_t)(mark - f->more));
        strbuf_printf(&b, "%d%s", f->more_from + i, mark + 2);
        rc = b.failed ? err_nomem(e, "tokens") : add_special(t, b.s, f->more_first + i, e);
        strbuf_free(&b);
    }
    if (!rc && f->bos) {
        t->bos = t->added[0].id;
        rc = post_add(t, t->bos, false, e);
    }
    for (size_t i = 0; i < t->n_added; i++)
        if (!strcmp(t->added[i].s, "<|endoftext|>") || !strcmp(t->added[i].s, "<|end_of_text|>"))
            t->eos = t->added[i].id;
    return rc;
}

static int describe(tokenizer *t, const struct family *f, const char *why, err *e)
{
    strbuf b = { 0 };

    strbuf_printf(&b, "tiktoken BPE (text cut as by %s, %s)", f->name, why);
    t->description = b.failed ? NULL : arena_strdup(&t->mem, strbuf_str(&b), e);
    strbuf_free(&b);
    return t->description ? 0 : err_nomem(e, "tokenizer");
}

int tokenizer_load_tiktoken(tokenizer *t, const char *bytes, size_t n, const char *path, const char *pattern,
    bool own_specials, err *e)
{
    rank_token *k = NULL;
    size_t count = 0;
    const char *why;
    const struct family *f = NULL;
    int rc = read_tokens(&k, &count, t, bytes, n, e);

    if (!rc)
        rc = add_vocab(t, k, count, e);
    if (!rc) {
        f = choose(pattern, path, count, &why, e);
        rc = f ? 0 : ERR_USAGE;
    }
    t->kind = tokenizer_model_find("BPE");
    if (!rc && !t->kind)
        rc = tokenizer_refuse(e, "model type BPE");
    if (!rc)
        rc = bpe_from_ranks(&t->model, t, k, count, e);
    free(k);
    if (!rc && f->nfc)
        rc = normalizer_add_nfc(t, e);
    if (!rc && f->pattern)
        rc = pretokenizer_add_split(t, f->pattern, e);
    if (!rc)
        rc = pretokenizer_add_byte_level(t, !f->pattern, e);
    if (!rc)
        rc = decoder_add_byte_level(t, e);
    if (!rc && own_specials && f->n_token == count) /* else their ids are not those of this vocabulary */
        rc = add_specials(t, f, e);
    if (!rc)
        rc = sha256_of(t->hash, bytes, n, e);
    return rc ? rc : describe(t, f, why, e);
}
