/* Byte-pair encoding: reading the vocabulary and the merges. */
#include "model/tokenizer/models/bpe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A string of the file, quoted in an error, at most so many bytes of it. */
static int quoted(size_t n)
{
    return n > 60 ? 60 : (int)n;
}

/* The id of a piece.  Vocabularies mostly list what merges make in the order of the merges: look there
 * first. */
static int32_t find_made(const vocab *v, int32_t expected, const char *s, size_t n)
{
    const vocab_entry *k = vocab_get(v, expected);

    if (k && k->flags & VOCAB_MODEL && k->n_piece == n && !memcmp(k->piece, s, n))
        return expected;
    return vocab_find(v, s, n);
}

static int add_merges(bpe *m, const bpe_merge *merges, size_t n, err *e)
{
    strbuf joined = { 0 };
    int32_t last = -1;
    int rc = 0;

    for (size_t i = 0; !rc && i < n; i++) {
        const bpe_merge *k = &merges[i];
        if (k->n_right <= m->n_prefix) {
            rc = err_set(e, ERR_INPUT, "merge %zu adds nothing", i + 1);
            break;
        }
        int32_t a = vocab_find(m->v, k->left, k->n_left);
        int32_t b = vocab_find(m->v, k->right, k->n_right);
        if (a < 0 || b < 0) {
            const char *s = a < 0 ? k->left : k->right;
            rc = err_set(e, ERR_INPUT, "merge %zu names \"%.*s\", which is not in the vocabulary", i + 1,
                         quoted(a < 0 ? k->n_left : k->n_right), s);
            break;
        }
        strbuf_clear(&joined);
        strbuf_add(&joined, k->left, k->n_left);
        strbuf_add(&joined, k->right + m->n_prefix, k->n_right - m->n_prefix);
        int32_t id = joined.failed ? -1 : find_made(m->v, last + 1, joined.s, joined.len);
        if (joined.failed)
            rc = err_nomem(e, "merges");
        else if (id < 0)
            rc = err_set(e, ERR_INPUT, "merge %zu makes \"%.*s\", which is not in the vocabulary", i + 1,
                         quoted(joined.len), joined.s);
        else
            bpe_put(m, a, b, (uint32_t)i, last = id);
    }
    strbuf_free(&joined);
    return rc;
}

static int copy_string(const char **out, size_t *n, tokenizer *t, const char *s, err *e)
{
    if (!s || !*s)
        return 0;
    *n = strlen(s);
    *out = arena_strndup(&t->mem, s, *n, e);
    return *out ? 0 : ERR_RESOURCE;
}

int bpe_new(token_model **out, tokenizer *t, const bpe_merge *merges, size_t n, const bpe_options *o, err *e)
{
    bpe *m = arena_alloc(&t->mem, 1, sizeof *m, e);
    size_t unused = 0;
    int bits = 6;

    if (!m)
        return ERR_RESOURCE;
    if (n > INT32_MAX)
        return err_set(e, ERR_INPUT, "%zu merges are too many", n);
    while ((size_t)1 << (bits - 1) < n)
        bits++;
    size_t slots = (size_t)1 << bits;
    m->v = &t->vocab;
    m->shift = 64 - bits;
    m->n_pair = n;
    m->fuse_unk = o->fuse_unk;
    m->byte_fallback = o->byte_fallback;
    m->ignore_merges = o->ignore_merges;
    m->pairs = arena_alloc(&t->mem, slots, sizeof *m->pairs, e);
    if (!m->pairs || copy_string(&m->unk, &unused, t, o->unk, e) ||
        copy_string(&m->prefix, &m->n_prefix, t, o->prefix, e) ||
        copy_string(&m->suffix, &m->n_suffix, t, o->suffix, e))
        return ERR_RESOURCE;
    for (size_t i = 0; i < slots; i++)
        m->pairs[i].key = BPE_NO_PAIR;
    m->unk_id = m->unk ? vocab_find(m->v, m->unk, strlen(m->unk)) : -1;
    if (!m->ignore_merges) { /* which compares whole pieces */
        t->suffix = m->suffix;
        t->n_suffix = m->n_suffix;
    }
    int rc = add_merges(m, merges, n, e);
    *out = (token_model *)(void *)m;
    return rc;
}

static int finish(token_model *self, tokenizer *t, err *e)
{
    bpe *m = (bpe *)(void *)self;
    char s[64], *end;

    for (int b = 0; b < 256; b++) {
        char name[8];
        snprintf(name, sizeof name, "<0x%02X>", (unsigned)b);
        m->fallback[b] = vocab_find(m->v, name, 6);
        end = s + unicode_put(s, unicode_of_byte((unsigned char)b));
        m->byte_id[b] = m->byte_last[b] = vocab_find(m->v, s, (size_t)(end - s));
        if (m->suffix && m->n_suffix <= sizeof s - 4) {
            memcpy(end, m->suffix, m->n_suffix);
            m->byte_last[b] = vocab_find(m->v, s, (size_t)(end - s) + m->n_suffix);
        }
    }
    m->fast_bytes = !m->prefix && m->n_suffix <= sizeof s - 4;
    return m->ignore_merges && t->last_byte_level ? vocab_index_text(&t->vocab, e) : 0;
}

bool bpe_split_merge(bpe_merge *out, const char *s, size_t n)
{
    const char *space = memchr(s, ' ', n);
    size_t left = space ? (size_t)(space - s) : 0;

    if (!space || memchr(space + 1, ' ', n - left - 1))
        return false;
    *out = (bpe_merge){ s, space + 1, left, n - left - 1 };
    return true;
}

/* "a b" (a line of merges.txt) or ["a", "b"]. */
static bool read_merge(bpe_merge *k, const json *v)
{
    size_t n;
    const char *s = json_str(v, &n);

    if (s)
        return bpe_split_merge(k, s, n);
    k->left = json_str(json_at(v, 0), &k->n_left);
    k->right = json_str(json_at(v, 1), &k->n_right);
    return json_count(v) == 2 && k->left && k->right;
}

static int read_merges(bpe_merge **out, size_t *used, const json *list, err *e)
{
    size_t n = json_count(list);

    if (json_kind_of(list) != JSON_LIST)
        return err_set(e, ERR_INPUT, "model has no list of merges");
    *out = mem_array(n, sizeof **out, e);
    if (!*out)
        return ERR_RESOURCE;
    for (size_t i = 0; i < n; i++) {
        const char *s = json_str(json_at(list, i), NULL);
        if (s && !strncmp(s, "#version", 8)) /* the first line of merges.txt */
            continue;
        if (!read_merge(&(*out)[(*used)++], json_at(list, i)))
            return err_set(e, ERR_INPUT, "merge %zu is no pair of tokens", i + 1);
    }
    return 0;
}

static int from_json(token_model **out, tokenizer *t, const json *v, err *e)
{
    bpe_options o = {
        .unk = json_str(json_get(v, "unk_token"), NULL),
        .prefix = json_str(json_get(v, "continuing_subword_prefix"), NULL),
        .suffix = json_str(json_get(v, "end_of_word_suffix"), NULL),
    };
    bpe_merge *merges = NULL;
    size_t n = 0;
    double dropout = 0;

    if (json_real(&dropout, json_get(v, "dropout")) && dropout != 0)
        return tokenizer_refuse(e, "BPE dropout %g", dropout);
    json_bool(&o.fuse_unk, json_get(v, "fuse_unk"));
    json_bool(&o.byte_fallback, json_get(v, "byte_fallback"));
    json_bool(&o.ignore_merges, json_get(v, "ignore_merges"));
    int rc = model_read_vocab(t, json_get(v, "vocab"), e);
    if (rc)
        return rc;
    if (t->tables.present)
        return bpe_new(out, t, t->tables.merges, t->tables.n_merges, &o, e);
    rc = read_merges(&merges, &n, json_get(v, "merges"), e);
    if (!rc)
        rc = bpe_new(out, t, merges, n, &o, e);
    free(merges);
    return rc;
}

extern const tokenizer_model tokenizer_model_bpe;
const tokenizer_model tokenizer_model_bpe = {
    .type = "BPE",
    .from_json = from_json,
    .finish = finish,
    .encode = bpe_encode,
    .work_free = bpe_work_free,
};
