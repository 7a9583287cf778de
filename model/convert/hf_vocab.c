#include "model/convert/hf_vocab.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { NORMAL = 1, UNKNOWN = 2, CONTROL = 3, USER_DEFINED = 4 }; /* tokenizer.ggml.token_type */

static const char mark[] = "\xe2\x96\x81";
enum { MARK = sizeof mark - 1 };

/* ---- reading ---- */

static const gguf_kv *for_each_token(const hf_vocab *v, const char *key)
{
    const gguf_kv *kv = gguf_find(v->g, key);
    return kv && kv->type == GGUF_ARRAY && kv->count == v->n ? kv : NULL;
}

int hf_vocab_read(hf_vocab *v, const gguf_meta *g, err *e)
{
    const gguf_kv *kv = gguf_find(g, "tokenizer.ggml.tokens");

    *v = (hf_vocab){.g = g};
    if (!kv || kv->type != GGUF_ARRAY || kv->element != GGUF_STRING || kv->count == 0)
        return 0;
    if (kv->count > INT32_MAX)
        return err_set(e, ERR_INPUT, "the vocabulary has %llu tokens, too many", (unsigned long long)kv->count);
    v->s = mem_array((size_t)kv->count, sizeof *v->s, e);
    if (!v->s)
        return ERR_RESOURCE;
    if (!gguf_texts(v->s, kv))
        return err_set(e, ERR_INPUT, "tokenizer.ggml.tokens is damaged");
    v->n = (size_t)kv->count;
    v->types = for_each_token(v, "tokenizer.ggml.token_type");
    v->scores = for_each_token(v, "tokenizer.ggml.scores");
    return 0;
}

void hf_vocab_free(hf_vocab *v)
{
    arena_free(&v->mem);
    free(v->s);
}

static int64_t read_id(const hf_vocab *v, const char *key, int64_t fallback)
{
    int64_t id = fallback;
    if (gguf_int(&id, gguf_find(v->g, key), 0) && (id < 0 || (uint64_t)id >= v->n))
        return -1;
    return id >= 0 && (uint64_t)id < v->n ? id : -1;
}

static int64_t type_of(const hf_vocab *v, size_t i)
{
    int64_t type = NORMAL;
    if (v->types)
        gguf_int(&type, v->types, i);
    return type;
}

static double score_of(const hf_vocab *v, size_t i)
{
    double score = 0;
    if (v->scores)
        gguf_real(&score, v->scores, i);
    return score;
}

void hf_vocab_special_ids(hf_vocab *v, bool spm, bool bert)
{
    int64_t unknown = spm ? 0 : bert ? 100 : -1;
    for (size_t i = 0; i < v->n && unknown <= 0; i++)
        if (type_of(v, i) == UNKNOWN)
            unknown = (int64_t)i;
    v->bos = read_id(v, "tokenizer.ggml.bos_token_id", spm ? 1 : -1);
    v->eos = read_id(v, "tokenizer.ggml.eos_token_id", spm ? 2 : -1);
    v->unk = read_id(v, "tokenizer.ggml.unknown_token_id", unknown);
    v->pad = read_id(v, "tokenizer.ggml.padding_token_id", bert ? 0 : -1);
    v->cls = read_id(v, "tokenizer.ggml.cls_token_id", bert ? v->bos >= 0 ? v->bos : 101 : -1);
    v->sep = read_id(v, "tokenizer.ggml.seperator_token_id", read_id(v, "tokenizer.ggml.separator_token_id",
                                                                     bert ? 102 : -1));
    v->mask = read_id(v, "tokenizer.ggml.mask_token_id", bert ? 103 : -1);
}

bool hf_vocab_flag(const hf_vocab *v, const char *key, bool fallback)
{
    int64_t yes = fallback;
    const gguf_kv *kv = gguf_find(v->g, key);
    if (kv && kv->type == GGUF_BOOL)
        return kv->data[0] != 0;
    gguf_int(&yes, kv, 0);
    return yes != 0;
}

/* ---- WordPiece ---- */

static bool is_bracketed(gguf_string s)
{
    return s.len > 2 && s.s[0] == '[' && s.s[s.len - 1] == ']';
}

int hf_vocab_respell_wordpiece(hf_vocab *v, err *e)
{
    for (size_t i = 0; i < v->n; i++) {
        gguf_string s = v->s[i];
        if (is_bracketed(s) || s.len == 0)
            continue;
        if (s.len > MARK && memcmp(s.s, mark, MARK) == 0) {
            v->s[i] = (gguf_string){s.s + MARK, s.len - MARK};
            continue;
        }
        char *more = arena_alloc(&v->mem, s.len + 2, 1, e);
        if (!more)
            return ERR_RESOURCE;
        memcpy(more, "##", 2);
        memcpy(more + 2, s.s, s.len);
        v->s[i] = (gguf_string){more, s.len + 2};
    }
    return 0;
}

bool hf_vocab_is_cased(const hf_vocab *v)
{
    for (size_t i = 0; i < v->n; i++) {
        if (is_bracketed(v->s[i]))
            continue;
        for (size_t k = 0; k < v->s[i].len; k++)
            if (v->s[i].s[k] >= 'A' && v->s[i].s[k] <= 'Z')
                return true;
    }
    return false;
}

/* ---- JSON ---- */

void hf_vocab_text(strbuf *b, const hf_vocab *v, int64_t id)
{
    if (id >= 0 && (uint64_t)id < v->n)
        strbuf_put_json(b, v->s[id].s, v->s[id].len);
    else
        strbuf_puts(b, "null");
}

void hf_vocab_special(strbuf *b, const hf_vocab *v, int64_t id, int type_id)
{
    strbuf_puts(b, "{\"SpecialToken\": {\"id\": ");
    hf_vocab_text(b, v, id);
    strbuf_printf(b, ", \"type_id\": %d}}", type_id);
}

void hf_vocab_added(strbuf *b, const hf_vocab *v)
{
    int n = 0;
    strbuf_putc(b, '[');
    for (size_t i = 0; i < v->n; i++) {
        int64_t type = type_of(v, i);
        if ((type != CONTROL && type != UNKNOWN && type != USER_DEFINED) || v->s[i].len == 0)
            continue;
        strbuf_printf(b, "%s\n    {\"id\": %zu, \"content\": ", n++ ? "," : "", i);
        hf_vocab_text(b, v, (int64_t)i);
        strbuf_printf(b, ", \"single_word\": false, \"lstrip\": false, \"rstrip\": false, \"normalized\": false, "
                         "\"special\": %s}", type == USER_DEFINED ? "false" : "true");
    }
    strbuf_puts(b, n ? "\n  ]" : "]");
}

void hf_vocab_map(strbuf *b, const hf_vocab *v)
{
    int n = 0;
    strbuf_putc(b, '{');
    for (size_t i = 0; i < v->n; i++) {
        if (v->s[i].len == 0) /* a row without a token */
            continue;
        strbuf_puts(b, n++ ? ",\n    " : "\n    ");
        hf_vocab_text(b, v, (int64_t)i);
        strbuf_printf(b, ": %zu", i);
    }
    strbuf_putc(b, '}');
}

static void put_score(strbuf *b, double score)
{
    strbuf_put_real(b, score);
    if (score == (double)(int64_t)score && !b->failed && !strpbrk(b->s + b->len - 2, ".e"))
        strbuf_puts(b, ".0");
}

void hf_vocab_scored_list(strbuf *b, const hf_vocab *v)
{
    strbuf_putc(b, '[');
    for (size_t i = 0; i < v->n; i++) {
        strbuf_puts(b, i ? ",\n    [" : "\n    [");
        hf_vocab_text(b, v, (int64_t)i);
        strbuf_puts(b, ", ");
        put_score(b, score_of(v, i));
        strbuf_putc(b, ']');
    }
    strbuf_putc(b, ']');
}

int hf_vocab_merges(strbuf *b, const hf_vocab *v, err *e)
{
    const gguf_kv *kv = gguf_find(v->g, "tokenizer.ggml.merges");
    if (!kv || kv->type != GGUF_ARRAY || kv->element != GGUF_STRING)
        return err_set(e, ERR_INPUT, "tokenizer.ggml.merges is missing or no array of strings");
    gguf_string *s = mem_array((size_t)kv->count, sizeof *s, e);
    if (!s)
        return ERR_RESOURCE;
    if (!gguf_texts(s, kv)) {
        free(s);
        return err_set(e, ERR_INPUT, "tokenizer.ggml.merges is damaged");
    }
    strbuf_puts(b, ",\n  \"merges\": [");
    for (uint64_t i = 0; i < kv->count; i++) {
        strbuf_puts(b, i ? ",\n    " : "\n    ");
        strbuf_put_json(b, s[i].s, s[i].len);
    }
    strbuf_putc(b, ']');
    free(s);
    return 0;
}

/* ---- merges from scores ---- */

typedef struct merge {
    uint32_t left, right;     /* ids */
    uint32_t n_left, n_right; /* characters */
    double score;             /* of the token that they make */
    size_t order;
} merge;

typedef struct merges { merge *m; size_t n, cap; } merges;

/* Ids by text: open addressing, 0 is an empty slot. */
typedef struct text_index { uint32_t *slot; size_t mask; } text_index;

static size_t hash_bytes(const char *s, size_t n)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < n; i++)
        h = (h ^ (unsigned char)s[i]) * 0x100000001b3u;
    return (size_t)(h ^ h >> 29);
}

static int make_index(text_index *x, const hf_vocab *v, err *e)
{
    size_t size = 16;
    while (size < 2 * v->n)
        size *= 2;
    x->slot = mem_array(size, sizeof *x->slot, e);
    x->mask = size - 1;
    for (size_t i = 0; x->slot && i < v->n; i++) {
        size_t at = hash_bytes(v->s[i].s, v->s[i].len) & x->mask;
        while (x->slot[at])
            at = (at + 1) & x->mask;
        x->slot[at] = (uint32_t)i + 1;
    }
    return x->slot ? 0 : ERR_RESOURCE;
}

static int64_t find(const text_index *x, const hf_vocab *v, const char *s, size_t n)
{
    for (size_t at = hash_bytes(s, n) & x->mask; x->slot[at]; at = (at + 1) & x->mask) {
        const gguf_string *t = &v->s[x->slot[at] - 1];
        if (t->len == n && memcmp(t->s, s, n) == 0)
            return (int64_t)x->slot[at] - 1;
    }
    return -1;
}

static uint32_t characters(const char *s, size_t n)
{
    uint32_t count = 0;
    for (size_t i = 0; i < n; i++)
        count += ((unsigned char)s[i] & 0xc0) != 0x80;
    return count;
}

static int add_merge(merges *all, const merge *m, err *e)
{
    if (all->n == all->cap) {
        size_t cap = all->cap ? 2 * all->cap : 1024;
        merge *more = mem_grow(all->m, cap, sizeof *more, e);
        if (!more)
            return ERR_RESOURCE;
        all->m = more;
        all->cap = cap;
    }
    all->m[all->n] = *m;
    all->m[all->n].order = all->n;
    all->n++;
    return 0;
}

static int by_ids(const void *a, const void *b)
{
    const merge *x = a, *y = b;
    if (x->left != y->left)
        return x->left < y->left ? -1 : 1;
    return (x->right > y->right) - (x->right < y->right);
}

/* Score, then length of the left part, then of the right, all descending; what is left as it was found. */
static int by_rank(const void *a, const void *b)
{
    const merge *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    if (x->n_left != y->n_left)
        return x->n_left > y->n_left ? -1 : 1;
    if (x->n_right != y->n_right)
        return x->n_right > y->n_right ? -1 : 1;
    return (x->order > y->order) - (x->order < y->order);
}

/* All cuts of token i, in the order of the ids of their parts. */
static int cut_token(merges *all, const hf_vocab *v, const text_index *x, size_t i, err *e)
{
    gguf_string s = v->s[i];
    size_t first = all->n;
    int rc = 0;
    for (size_t at = 1; at < s.len && !rc; at++) {
        if (((unsigned char)s.s[at] & 0xc0) == 0x80)
            continue;
        int64_t l = find(x, v, s.s, at), r = l < 0 ? -1 : find(x, v, s.s + at, s.len - at);
        if (r < 0)
            continue;
        merge m = {(uint32_t)l, (uint32_t)r, characters(s.s, at), characters(s.s + at, s.len - at), score_of(v, i), 0};
        rc = add_merge(all, &m, e);
    }
    if (all->n > first)
        qsort(all->m + first, all->n - first, sizeof *all->m, by_ids);
    for (size_t k = first; k < all->n; k++)
        all->m[k].order = k;
    return rc;
}

int hf_vocab_scored_merges(strbuf *b, const hf_vocab *v, err *e)
{
    merges all = {0};
    text_index x = {0};
    int rc = make_index(&x, v, e);

    for (size_t i = 0; i < v->n && !rc; i++)
        rc = cut_token(&all, v, &x, i, e);
    if (!rc && all.n)
        qsort(all.m, all.n, sizeof *all.m, by_rank);
    strbuf_puts(b, ",\n  \"merges\": [");
    for (size_t k = 0; k < all.n && !rc; k++) {
        /* a pair and not "left right": tokens may hold spaces */
        strbuf_puts(b, k ? ",\n    [" : "\n    [");
        hf_vocab_text(b, v, all.m[k].left);
        strbuf_puts(b, ", ");
        hf_vocab_text(b, v, all.m[k].right);
        strbuf_putc(b, ']');
    }
    strbuf_putc(b, ']');
    free(all.m);
    free(x.slot);
    return rc;
}

/* ---- charsmap ---- */

bool hf_vocab_charsmap(strbuf *b, const hf_vocab *v)
{
    static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const gguf_kv *kv = gguf_find(v->g, "tokenizer.ggml.precompiled_charsmap");
    if (!kv || kv->type != GGUF_ARRAY || kv->count == 0 || (kv->element != GGUF_U8 && kv->element != GGUF_I8))
        return false;
    strbuf_puts(b, "{\"type\": \"Precompiled\", \"precompiled_charsmap\": \"");
    for (uint64_t i = 0; i < kv->count; i += 3) {
        uint64_t left = kv->count - i;
        uint32_t bits = (uint32_t)kv->data[i] << 16;
        bits |= left > 1 ? (uint32_t)kv->data[i + 1] << 8 : 0;
        bits |= left > 2 ? kv->data[i + 2] : 0;
        strbuf_putc(b, digit[bits >> 18]);
        strbuf_putc(b, digit[bits >> 12 & 63]);
        strbuf_putc(b, left > 1 ? digit[bits >> 6 & 63] : '=');
        strbuf_putc(b, left > 2 ? digit[bits & 63] : '=');
    }
    strbuf_puts(b, "\"}");
    return true;
}
