#include "model/tokenizer/vocab.h"

#include <stdlib.h>
#include <string.h>

typedef struct vocab_slot { uint32_t high; int32_t id; } vocab_slot; /* id + 1; 0: free */

enum { FIRST_SLOTS = 1024 };

/* Eight bytes at a time, multiplied and folded.  Needs no secrecy: the worst that a hostile file gets is
 * slow loading, bounded by its own size. */
uint64_t vocab_hash(const char *s, size_t n)
{
    const uint64_t k = 0x9e3779b97f4a7c15u;
    uint64_t h = (uint64_t)n * k, w;

    for (; n >= 8; s += 8, n -= 8) {
        memcpy(&w, s, 8);
        h = (h ^ w) * k;
        h ^= h >> 29;
    }
    w = 0;
    memcpy(&w, s, n);
    h = (h ^ w) * k;
    h ^= h >> 32;
    h *= k;
    return h ^ h >> 29;
}

/* What an index finds an entry by: its text or its piece. */
static const char *key_of(const vocab_entry *v, bool text, size_t *n)
{
    *n = text ? v->n_text : v->n_piece;
    return text ? v->text : v->piece;
}

static bool same(const vocab_entry *v, const char *s, size_t n, bool text)
{
    size_t n_key;
    const char *key = key_of(v, text, &n_key);
    return n_key == n && !memcmp(key, s, n);
}

/* The slot that holds s, or the free one where it would go. */
static vocab_slot *lookup(const vocab *v, const vocab_index *x, const char *s, size_t n, bool text)
{
    uint64_t h = vocab_hash(s, n);

    for (size_t i = h & x->mask;; i = (i + 1) & x->mask) {
        vocab_slot *slot = &x->slots[i];
        if (!slot->id || (slot->high == h >> 32 && same(&v->e[slot->id - 1], s, n, text)))
            return slot;
    }
}

/* Keep at least half of the slots free. */
static int grow(const vocab *v, vocab_index *x, size_t count, bool text, err *e)
{
    size_t size = x->slots ? x->mask + 1 : FIRST_SLOTS;

    while (size / 2 < count)
        size *= 2;
    if (x->slots && size == x->mask + 1)
        return 0;
    vocab_index bigger = { arena_alloc(v->mem, size, sizeof(vocab_slot), e), size - 1, x->count };
    if (!bigger.slots)
        return ERR_RESOURCE;
    for (size_t i = 0; x->slots && i <= x->mask; i++) {
        const vocab_slot *old = &x->slots[i];
        if (old->id) {
            size_t n;
            const char *key = key_of(&v->e[old->id - 1], text, &n);
            *lookup(v, &bigger, key, n, text) = *old;
        }
    }
    *x = bigger;
    return 0;
}

int vocab_reserve(vocab *v, int64_t n, err *e)
{
    if (n <= v->n)
        return 0;
    vocab_entry *more = arena_alloc(v->mem, (size_t)n, sizeof *more, e);
    if (!more)
        return ERR_RESOURCE;
    if (v->n)
        memcpy(more, v->e, (size_t)v->n * sizeof *more);
    v->e = more;
    v->n = (int32_t)n;
    return grow(v, &v->by_piece, (size_t)n, false, e);
}

static int add(vocab *v, int64_t id, const char *piece, size_t n, bool again, err *e)
{
    if (n > UINT32_MAX)
        return err_set(e, ERR_INPUT, "token %lld is too long", (long long)id);
    vocab_entry *entry = &v->e[id];
    if (entry->piece)
        return err_set(e, ERR_INPUT, "vocabulary: id %lld is given to two tokens, \"%.60s\" and \"%.*s\"",
                       (long long)id, entry->piece, n > 60 ? 60 : (int)n, piece);
    int rc = grow(v, &v->by_piece, v->by_piece.count + 1, false, e);
    if (rc)
        return rc;
    vocab_slot *slot = lookup(v, &v->by_piece, piece, n, false);
    if (slot->id && !again)
        return err_set(e, ERR_INPUT, "vocabulary: token \"%.*s\" has two ids, %d and %lld",
                       n > 60 ? 60 : (int)n, piece, slot->id - 1, (long long)id);
    entry->piece = arena_strndup(v->mem, piece, n, e);
    if (!entry->piece)
        return ERR_RESOURCE;
    entry->n_piece = (uint32_t)n;
    entry->flags = VOCAB_MODEL;
    if (slot->id)
        v->e[slot->id - 1].flags &= ~(uint32_t)VOCAB_MODEL;
    else
        v->by_piece.count++;
    slot->high = (uint32_t)(vocab_hash(piece, n) >> 32);
    slot->id = (int32_t)id + 1;
    return 0;
}

int vocab_add(vocab *v, int64_t id, const char *piece, size_t n, err *e)
{
    return add(v, id, piece, n, false, e);
}

int vocab_add_later(vocab *v, int64_t id, const char *piece, size_t n, err *e)
{
    return add(v, id, piece, n, true, e);
}

int32_t vocab_find(const vocab *v, const char *piece, size_t n)
{
    return v->by_piece.slots ? lookup(v, &v->by_piece, piece, n, false)->id - 1 : -1;
}

int vocab_index_text(vocab *v, err *e)
{
    v->by_text = (vocab_index){ 0 };
    int rc = grow(v, &v->by_text, v->by_piece.count, true, e);
    for (int32_t id = 0; !rc && id < v->n; id++) {
        const vocab_entry *entry = &v->e[id];
        if ((entry->flags & (VOCAB_MODEL | VOCAB_BYTES)) != (VOCAB_MODEL | VOCAB_BYTES))
            continue;
        vocab_slot *slot = lookup(v, &v->by_text, entry->text, entry->n_text, true);
        if (!slot->id) {
            slot->high = (uint32_t)(vocab_hash(entry->text, entry->n_text) >> 32);
            slot->id = id + 1;
            v->by_text.count++;
        }
    }
    return rc;
}

int32_t vocab_find_text(const vocab *v, const char *text, size_t n)
{
    return v->by_text.slots ? lookup(v, &v->by_text, text, n, true)->id - 1 : -1;
}
