/* Byte-pair encoding: a word into tokens.
 *
 * The word starts as one symbol for each character; then the pair with the lowest rank, leftmost first, is
 * merged until no pair is left.  Short words (nearly all) keep the ranks of their pairs in an array that is
 * scanned; long ones, up to whole documents, use a linked list and a heap: O(n log n). */
#include "model/tokenizer/models/bpe.h"

#include <stdlib.h>
#include <string.h>

#include "base/cancel.h"

enum {
    SHORT_WORD = 48,        /* symbols */
    CACHE_KEY = 23, CACHE_IDS = 8,
    SMALL_AFTER = 64, SMALL_CACHE = 1024,   /* words of a text after which remembering so many pays */
    LARGE_AFTER = 8192, LARGE_CACHE = 16384,
};

/* Bytes [begin, end) of the word.  prev, next: neighbours, -1 at the ends; id -1: merged away. */
typedef struct symbol { int32_t id; uint32_t begin, end; int32_t prev, next; } symbol;

/* The tokens of a word that was seen before. */
typedef struct cached {
    uint64_t hash;
    char key[CACHE_KEY];
    uint8_t n_key;                  /* 0: free */
    uint8_t n, end[CACHE_IDS];
    int32_t id[CACHE_IDS];
} cached;

typedef struct bpe_work {
    symbol *s; size_t n, cap;
    uint64_t *heap; size_t n_heap, cap_heap; /* rank, then position: the least on top */
    cached *cache; size_t n_cache;  /* [n_cache], a power of two; or NULL */
} bpe_work;

void bpe_work_free(void *scratch)
{
    bpe_work *b = scratch;

    if (!b)
        return;
    free(b->s);
    free(b->heap);
    free(b->cache);
    free(b);
}

static int reserve_symbols(bpe_work *b, size_t n, err *e)
{
    if (n <= b->cap)
        return 0;
    size_t cap = b->cap ? b->cap : 256;
    while (cap < n)
        cap *= 2; /* n is a small multiple of the text's length */
    symbol *s = mem_grow(b->s, cap, sizeof *s, e);
    if (!s)
        return ERR_RESOURCE;
    b->s = s;
    b->cap = cap;
    return 0;
}

static int add_symbol(bpe_work *b, int32_t id, size_t begin, size_t end, err *e)
{
    int rc = reserve_symbols(b, b->n + 1, e);
    if (!rc)
        b->s[b->n++] = (symbol){ .id = id, .begin = (uint32_t)begin, .end = (uint32_t)end };
    return rc;
}

/* ---- merging ---- */

static void merge_short(const bpe *m, bpe_work *b)
{
    uint32_t rank[SHORT_WORD];
    int32_t made[SHORT_WORD];
    symbol *s = b->s;
    size_t n = b->n;

    for (size_t i = 0; i + 1 < n; i++) {
        const bpe_pair *p = bpe_find(m, s[i].id, s[i + 1].id);
        rank[i] = p ? p->rank : UINT32_MAX;
        made[i] = p ? p->id : -1;
    }
    while (n > 1) {
        size_t best = 0;
        for (size_t i = 1; i + 1 < n; i++)
            if (rank[i] < rank[best])
                best = i;
        if (rank[best] == UINT32_MAX)
            break;
        s[best].id = made[best];
        s[best].end = s[best + 1].end;
        n--;
        for (size_t i = best + 1; i < n; i++) {
            s[i] = s[i + 1];
            rank[i - 1] = rank[i];
            made[i - 1] = made[i];
        }
        for (size_t i = best ? best - 1 : 0; i <= best && i + 1 < n; i++) {
            const bpe_pair *p = bpe_find(m, s[i].id, s[i + 1].id);
            rank[i] = p ? p->rank : UINT32_MAX;
            made[i] = p ? p->id : -1;
        }
    }
    b->n = n;
}

static int push(bpe_work *b, uint64_t key, err *e)
{
    if (b->n_heap == b->cap_heap) {
        size_t cap = b->cap_heap ? b->cap_heap * 2 : 256;
        uint64_t *heap = mem_grow(b->heap, cap, sizeof *heap, e);
        if (!heap)
            return ERR_RESOURCE;
        b->heap = heap;
        b->cap_heap = cap;
    }
    size_t i = b->n_heap++;
    for (; i && b->heap[(i - 1) / 2] > key; i = (i - 1) / 2)
        b->heap[i] = b->heap[(i - 1) / 2];
    b->heap[i] = key;
    return 0;
}

static uint64_t pop(bpe_work *b)
{
    uint64_t top = b->heap[0], last = b->heap[--b->n_heap];
    size_t i = 0, child;

    while ((child = 2 * i + 1) < b->n_heap) {
        child += child + 1 < b->n_heap && b->heap[child + 1] < b->heap[child];
        if (last <= b->heap[child])
            break;
        b->heap[i] = b->heap[child];
        i = child;
    }
    if (b->n_heap)
        b->heap[i] = last;
    return top;
}

/* Queue the pair whose left symbol is s[i]. */
static int queue(const bpe *m, bpe_work *b, int32_t i, err *e)
{
    const symbol *s = b->s;

    if (i < 0 || s[i].next < 0)
        return 0;
    const bpe_pair *p = bpe_find(m, s[i].id, s[s[i].next].id);
    return p ? push(b, (uint64_t)p->rank << 32 | (uint32_t)i, e) : 0;
}

static int merge_long(const bpe *m, bpe_work *b, err *e)
{
    symbol *s = b->s;
    unsigned turns = 0;
    int rc = 0;

    b->n_heap = 0;
    for (size_t i = 0; i < b->n; i++) {
        s[i].prev = (int32_t)i - 1;
        s[i].next = i + 1 < b->n ? (int32_t)i + 1 : -1;
    }
    for (size_t i = 0; !rc && i < b->n; i++)
        rc = queue(m, b, (int32_t)i, e);
    while (!rc && b->n_heap) {
        if ((++turns & 0xffff) == 0 && (rc = cancel_check(e)))
            break;
        uint64_t top = pop(b);
        int32_t i = (int32_t)(uint32_t)top, right;
        if (s[i].id < 0 || (right = s[i].next) < 0)
            continue;
        const bpe_pair *p = bpe_find(m, s[i].id, s[right].id);
        if (!p || p->rank != top >> 32) /* queued for symbols that are no longer there */
            continue;
        s[i].id = p->id;
        s[i].end = s[right].end;
        s[i].next = s[right].next;
        s[right].id = -1;
        if (s[i].next >= 0)
            s[s[i].next].prev = i;
        rc = queue(m, b, s[i].prev, e);
        if (!rc)
            rc = queue(m, b, i, e);
    }
    size_t n = 0;
    for (size_t i = 0; i < b->n; i++)
        if (s[i].id >= 0)
            s[n++] = s[i];
    b->n = n;
    return rc;
}

/* ---- symbols of a word ---- */

/* The word's bytes, when each is a token.  False: go the long way. */
static bool symbols_of_bytes(const bpe *m, bpe_work *b, const text *x)
{
    const unsigned char *u = (const unsigned char *)x->s;
    size_t last = x->n - 1;

    for (size_t i = 0; i <= last; i++) {
        int32_t id = i < last ? m->byte_id[u[i]] : m->byte_last[u[i]];
        if (id < 0)
            return false;
        b->s[i] = (symbol){ .id = id, .begin = (uint32_t)i, .end = (uint32_t)i + 1 };
    }
    b->n = x->n;
    return true;
}

/* A run of characters that have no token, not yet added. */
typedef struct unknown { bool open; size_t begin, end; } unknown;

static int flush_unknown(const bpe *m, bpe_work *b, unknown *u, err *e)
{
    bool open = u->open;
    u->open = false;
    return open ? add_symbol(b, m->unk_id, u->begin, u->end, e) : 0;
}

/* A character whose spelling has no token: its bytes if all of them have one, else the unknown token, else
 * nothing.  Bytes do not end a run of unknown characters, as in the original. */
static int add_unknown(const bpe *m, bpe_work *b, unknown *u, const char *spelling, size_t n, size_t begin,
    size_t end, err *e)
{
    bool fallback = m->byte_fallback;
    int rc = 0;

    for (size_t i = 0; fallback && i < n; i++)
        fallback = m->fallback[(unsigned char)spelling[i]] >= 0;
    if (fallback) {
        for (size_t i = 0; !rc && i < n; i++) {
            size_t at = begin + i < end ? begin + i : end;
            rc = add_symbol(b, m->fallback[(unsigned char)spelling[i]], at, at < end ? at + 1 : end, e);
        }
        return rc;
    }
    if (!m->unk)
        return 0;
    if (m->unk_id < 0) {
        err_set(e, ERR_INPUT, "a character has no token, and unk_token \"%.60s\" is not in the vocabulary",
                m->unk);
        return err_hint(e, "give raw token ids (--ids)");
    }
    if (u->open && m->fuse_unk) {
        u->end = end;
        return 0;
    }
    rc = flush_unknown(m, b, u, e);
    *u = (unknown){ true, begin, end };
    return rc;
}

static int symbols_of_characters(const bpe *m, bpe_work *b, const text *x, err *e)
{
    strbuf spelling = { 0 };
    unknown u = { 0 };
    int rc = 0;

    for (size_t i = 0, len; !rc && i < x->n; i += len) {
        uint32_t c;
        len = (size_t)unicode_next(&c, x->s + i, x->n - i);
        const char *s = x->s + i;
        size_t n = len;
        if ((i && m->prefix) || (i + len == x->n && m->suffix)) {
            strbuf_clear(&spelling);
            if (i)
                strbuf_add(&spelling, m->prefix, m->n_prefix);
            strbuf_add(&spelling, s, len);
            if (i + len == x->n)
                strbuf_add(&spelling, m->suffix, m->n_suffix);
            if (spelling.failed) {
                rc = err_nomem(e, "tokens");
                break;
            }
            s = spelling.s;
            n = spelling.len;
        }
        int32_t id = vocab_find(m->v, s, n);
        if (id < 0) {
            rc = add_unknown(m, b, &u, s, n, i, i + len, e);
            continue;
        }
        rc = flush_unknown(m, b, &u, e);
        if (!rc)
            rc = add_symbol(b, id, i, i + len, e);
    }
    if (!rc)
        rc = flush_unknown(m, b, &u, e);
    strbuf_free(&spelling);
    return rc;
}

/* ---- words ---- */

static int emit(const bpe_work *b, work *w, const text *x, err *e)
{
    int rc = 0;

    for (size_t i = 0; !rc && i < b->n; i++)
        rc = work_emit(w, b->s[i].id, x, b->s[i].begin, b->s[i].end, e);
    return rc;
}

/* *as_is: the symbols in b are of x itself, not of its byte-level spelling. */
static int encode_word(bool *as_is, const bpe *m, bpe_work *b, work *w, const text *x, bool bytes, err *e)
{
    text mapped;
    int rc = reserve_symbols(b, x->n, e);

    if (rc)
        return rc;
    b->n = 0;
    *as_is = true;
    if (bytes && !(m->fast_bytes && symbols_of_bytes(m, b, x))) {
        rc = text_to_byte_level(&mapped, x, w, e);
        if (rc)
            return rc;
        x = &mapped;
        bytes = *as_is = false;
    }
    if (!bytes) {
        b->n = 0;
        rc = symbols_of_characters(m, b, x, e);
        if (rc)
            return rc;
    }
    if (b->n <= SHORT_WORD)
        merge_short(m, b);
    else
        rc = merge_long(m, b, e);
    return rc ? rc : emit(b, w, x, e);
}

/* An empty cache; without one all is well too. */
static void new_cache(bpe_work *b, size_t n)
{
    free(b->cache);
    b->cache = mem_array(n, sizeof *b->cache, NULL);
    b->n_cache = n;
}

/* Remember that the bytes of x became the symbols in b, which cover all of it. */
static void remember(cached *c, const bpe_work *b, const text *x, uint64_t hash)
{
    if (b->n > CACHE_IDS)
        return;
    c->hash = hash;
    c->n_key = (uint8_t)x->n;
    memcpy(c->key, x->s, x->n);
    c->n = (uint8_t)b->n;
    for (size_t i = 0; i < b->n; i++) {
        c->id[i] = b->s[i].id;
        c->end[i] = (uint8_t)b->s[i].end;
    }
}

int bpe_encode(const token_model *self, work *w, const text *x, bool bytes, err *e)
{
    const bpe *m = (const bpe *)(const void *)self;
    bpe_work *b = w->model;
    cached *slot = NULL;
    uint64_t hash = 0;
    bool as_is;
    int rc = 0;

    if (!b) {
        b = w->model = mem_array(1, sizeof *b, e);
        if (!b)
            return ERR_RESOURCE;
    }
    if (w->words == SMALL_AFTER || w->words == LARGE_AFTER)
        new_cache(b, w->words == SMALL_AFTER ? SMALL_CACHE : LARGE_CACHE);
    if (m->ignore_merges) {
        int32_t whole = bytes ? vocab_find_text(m->v, x->s, x->n) : vocab_find(m->v, x->s, x->n);
        if (whole >= 0)
            return work_emit(w, whole, x, 0, x->n, e);
    }
    if (b->cache && bytes && m->fast_bytes && x->n <= CACHE_KEY) {
        hash = vocab_hash(x->s, x->n);
        slot = &b->cache[hash & (b->n_cache - 1)];
        if (slot->n_key == x->n && slot->hash == hash && !memcmp(slot->key, x->s, x->n)) {
            size_t begin = 0;
            for (size_t i = 0; !rc && i < slot->n; begin = slot->end[i++])
                rc = work_emit(w, slot->id[i], x, begin, slot->end[i], e);
            return rc;
        }
    }
    rc = encode_word(&as_is, m, b, w, x, bytes, e);
    if (!rc && slot && as_is)
        remember(slot, b, x, hash);
    return rc;
}
