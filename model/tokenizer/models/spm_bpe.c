/* Byte-pair encoding as SentencePiece does it: without a list of merges.  Two neighbours are merged when what
 * they make together is a piece, the piece with the highest score first, the leftmost of equals.  A linked
 * list and a heap: O(n log n) for any text. */
#include "model/tokenizer/models/spm_bpe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cancel.h"

typedef struct spm_bpe {
    const vocab *v;
    const float *scores;
    const uint8_t *types;
    const trie *whole;
    int32_t unk;
    bool byte_fallback, has_unused;
    size_t longest;                /* bytes of the longest piece */
    int32_t fallback[256];         /* of "<0xHH>"; -1: none */
} spm_bpe;

/* Bytes [begin, end) of the text; empty when merged away.  prev, next: -1 at the ends. */
typedef struct symbol { uint32_t begin, end; int32_t prev, next; bool whole; } symbol;
/* Symbol `left` and its neighbour, of n bytes together. */
typedef struct pair { float score; int32_t left; uint32_t n; } pair;

typedef struct spm_work {
    symbol *s; size_t n, cap;
    pair *heap; size_t n_heap, cap_heap;
    uint32_t *half;                /* [v->n] where an unused piece was put together; only with unused pieces */
    uint32_t *todo; size_t cap_todo;
} spm_work;

static void work_free(void *scratch)
{
    spm_work *b = scratch;

    if (!b)
        return;
    free(b->s);
    free(b->heap);
    free(b->half);
    free(b->todo);
    free(b);
}

int spm_bpe_new(token_model **out, tokenizer *t, const spm_bpe_options *o, err *e)
{
    size_t n = (size_t)t->vocab.n;
    spm_bpe *m = arena_alloc(&t->mem, 1, sizeof *m, e);
    float *scores = arena_alloc(&t->mem, n, sizeof *scores, e);
    uint8_t *types = arena_alloc(&t->mem, n, 1, e);

    if (!m || !scores || !types)
        return ERR_RESOURCE;
    memcpy(scores, o->scores, n * sizeof *scores);
    memcpy(types, o->types, n);
    *m = (spm_bpe){
        .v = &t->vocab, .scores = scores, .types = types, .whole = o->whole, .unk = o->unk,
        .byte_fallback = o->byte_fallback,
    };
    for (size_t i = 0; i < n; i++) {
        m->has_unused |= types[i] == PIECE_UNUSED;
        if (t->vocab.e[i].piece && t->vocab.e[i].n_piece > m->longest)
            m->longest = t->vocab.e[i].n_piece;
    }
    for (int i = 0; i < 256; i++) {
        char name[8];
        snprintf(name, sizeof name, "<0x%02X>", (unsigned)i);
        m->fallback[i] = vocab_find(m->v, name, 6);
    }
    *out = (token_model *)(void *)m;
    return 0;
}

/* ---- heap ---- */

static bool before(const pair *a, const pair *b)
{
    return a->score > b->score || (a->score == b->score && a->left < b->left);
}

static int push(spm_work *b, pair p, err *e)
{
    if (b->n_heap == b->cap_heap) {
        size_t cap = b->cap_heap ? b->cap_heap * 2 : 256;
        pair *heap = mem_grow(b->heap, cap, sizeof *heap, e);
        if (!heap)
            return ERR_RESOURCE;
        b->heap = heap;
        b->cap_heap = cap;
    }
    size_t i = b->n_heap++;
    for (; i && before(&p, &b->heap[(i - 1) / 2]); i = (i - 1) / 2)
        b->heap[i] = b->heap[(i - 1) / 2];
    b->heap[i] = p;
    return 0;
}

static pair pop(spm_work *b)
{
    pair top = b->heap[0], last = b->heap[--b->n_heap];
    size_t i = 0, child;

    while ((child = 2 * i + 1) < b->n_heap) {
        child += child + 1 < b->n_heap && before(&b->heap[child + 1], &b->heap[child]);
        if (!before(&b->heap[child], &last))
            break;
        b->heap[i] = b->heap[child];
        i = child;
    }
    if (b->n_heap)
        b->heap[i] = last;
    return top;
}

/* ---- merging ---- */

static int queue(const spm_bpe *m, spm_work *b, const text *x, int32_t left, err *e)
{
    const symbol *s = b->s;

    if (left < 0 || s[left].next < 0)
        return 0;
    const symbol *right = &s[s[left].next];
    size_t n = right->end - s[left].begin;
    if (s[left].whole || right->whole || n > m->longest)
        return 0;
    int32_t id = vocab_find(m->v, x->s + s[left].begin, n);
    if (id < 0 || (m->types[id] != PIECE_NORMAL && m->types[id] != PIECE_USER_DEFINED &&
                   m->types[id] != PIECE_UNUSED))
        return 0;
    if (m->types[id] == PIECE_UNUSED)
        b->half[id] = s[left].end - s[left].begin;
    return push(b, (pair){ m->scores[id], left, (uint32_t)n }, e);
}

static int cut_symbols(const spm_bpe *m, spm_work *b, const text *x, err *e)
{
    b->n = 0;
    for (size_t i = 0, len; i < x->n; i += len) {
        uint32_t c;
        bool whole = m->whole && trie_longest(m->whole, x->s + i, x->n - i, &len) >= 0;
        if (!whole)
            len = (size_t)unicode_next(&c, x->s + i, x->n - i);
        if (b->n == b->cap) {
            size_t cap = b->cap ? b->cap * 2 : 256;
            symbol *s = mem_grow(b->s, cap, sizeof *s, e);
            if (!s)
                return ERR_RESOURCE;
            b->s = s;
            b->cap = cap;
        }
        b->s[b->n] = (symbol){ (uint32_t)i, (uint32_t)(i + len), (int32_t)b->n - 1, (int32_t)b->n + 1, whole };
        b->n++;
    }
    if (b->n)
        b->s[b->n - 1].next = -1;
    return 0;
}

static int merge(const spm_bpe *m, spm_work *b, const text *x, err *e)
{
    unsigned turns = 0;
    int rc = cut_symbols(m, b, x, e);
    symbol *s = b->s;

    b->n_heap = 0;
    for (size_t i = 0; !rc && i < b->n; i++)
        rc = queue(m, b, x, (int32_t)i, e);
    while (!rc && b->n_heap) {
        if ((++turns & 0xffff) == 0 && (rc = cancel_check(e)))
            break;
        pair top = pop(b);
        symbol *left = &s[top.left];
        if (left->begin == left->end || left->next < 0 || s[left->next].end - left->begin != top.n)
            continue; /* queued for symbols that are no longer there */
        symbol *right = &s[left->next];
        left->end = right->end;
        left->next = right->next;
        right->begin = right->end;
        if (left->next >= 0)
            s[left->next].prev = top.left;
        rc = queue(m, b, x, left->prev, e);
        if (!rc)
            rc = queue(m, b, x, top.left, e);
    }
    return rc;
}

/* ---- tokens ---- */

static int flush_unknown(const spm_bpe *m, work *w, const text *x, size_t *joined, size_t end, err *e)
{
    size_t begin = *joined;
    *joined = SIZE_MAX;
    return begin == SIZE_MAX ? 0 : work_emit(w, m->unk, x, begin, end, e);
}

/* Bytes [begin, end), a symbol that no piece stands for.  *joined: where a run of unknown ones that is not
 * yet emitted began, else SIZE_MAX. */
static int emit_unknown(const spm_bpe *m, work *w, const text *x, size_t begin, size_t end, size_t *joined,
    err *e)
{
    bool bytes = m->byte_fallback;
    int rc = 0;

    for (size_t i = begin; bytes && i < end; i++)
        bytes = m->fallback[(unsigned char)x->s[i]] >= 0;
    if (!bytes) {
        if (m->unk < 0) {
            err_set(e, ERR_INPUT, "a character has no token, and the model has no unknown token");
            return err_hint(e, "give raw token ids (--ids)");
        }
        if (*joined == SIZE_MAX)
            *joined = begin;
        return 0;
    }
    rc = flush_unknown(m, w, x, joined, begin, e);
    for (size_t i = begin; !rc && i < end; i++)
        rc = work_emit(w, m->fallback[(unsigned char)x->s[i]], x, i, i + 1, e);
    return rc;
}

static int room_todo(spm_work *b, size_t n, err *e)
{
    if (n <= b->cap_todo)
        return 0;
    size_t cap = b->cap_todo ? b->cap_todo * 2 : 64;
    uint32_t *todo = mem_grow(b->todo, cap, sizeof *todo, e);
    if (!todo)
        return ERR_RESOURCE;
    b->todo = todo;
    b->cap_todo = cap;
    return 0;
}

/* The tokens of one symbol: a piece that is not used falls apart into what it was made of. */
static int emit_symbol(const spm_bpe *m, spm_work *b, work *w, const text *x, const symbol *s, size_t *joined,
    err *e)
{
    uint32_t begin = s->begin;
    size_t n = 1;
    int rc = room_todo(b, 1, e);

    if (!rc)
        b->todo[0] = s->end; /* ends of what is still to do, the next one last */
    while (!rc && n) {
        uint32_t end = b->todo[n - 1];
        int32_t id = vocab_find(m->v, x->s + begin, end - begin);
        if (id >= 0 && m->types[id] == PIECE_UNUSED && b->half[id]) {
            rc = room_todo(b, n + 1, e);
            if (!rc)
                b->todo[n++] = begin + b->half[id];
            continue;
        }
        if (id < 0 || id == m->unk) {
            rc = emit_unknown(m, w, x, begin, end, joined, e);
        } else {
            rc = flush_unknown(m, w, x, joined, begin, e);
            if (!rc)
                rc = work_emit(w, id, x, begin, end, e);
        }
        begin = end;
        n--;
    }
    return rc;
}

static int encode(const token_model *self, work *w, const text *x, bool bytes, err *e)
{
    const spm_bpe *m = (const spm_bpe *)(const void *)self;
    spm_work *b = w->model;
    size_t joined = SIZE_MAX;
    int rc;

    (void)bytes; /* never made with a byte-level pre-tokenizer */
    if (!b) {
        b = w->model = mem_array(1, sizeof *b, e);
        if (!b)
            return ERR_RESOURCE;
    }
    if (m->has_unused && !b->half) {
        b->half = mem_array((size_t)m->v->n, sizeof *b->half, e);
        if (!b->half)
            return ERR_RESOURCE;
    }
    rc = merge(m, b, x, e);
    for (int32_t i = x->n ? 0 : -1; !rc && i >= 0; i = b->s[i].next)
        rc = emit_symbol(m, b, w, x, &b->s[i], &joined, e);
    return rc ? rc : flush_unknown(m, w, x, &joined, x->n, e);
}

extern const tokenizer_model tokenizer_model_spm_bpe;
const tokenizer_model tokenizer_model_spm_bpe = {
    .type = "SentencePiece BPE",
    .encode = encode,
    .work_free = work_free,
};
