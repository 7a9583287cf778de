/* Unigram language model (Kudo, arXiv:1804.10959): of all ways to cut a text into pieces the one with the
 * largest sum of scores, found from left to right (Viterbi).
 *
 * Hugging Face's reading sums in double precision and knows every piece; SentencePiece's own sums in single
 * precision, never matches control or byte pieces, and always prefers user-defined ones.  The first of equals
 * stays in both. */
#include "model/tokenizer/models/unigram.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cancel.h"
#include "model/tokenizer/trie.h"

enum { LOOK_EVERY = 1 << 16 }; /* steps between two looks at Ctrl-C */
#define UNKNOWN_PENALTY 10.0 /* below the least score */

typedef struct unigram {
    const vocab *v;
    const trie *pieces;
    const double *score;           /* [v->n] */
    const uint8_t *types;          /* NULL: Hugging Face's reading */
    double unk_score, max_score;
    int32_t unk;
    bool byte_fallback;
    int32_t fallback[256];         /* of "<0xHH>"; -1: none */
} unigram;

/* The best way to reach a place. */
typedef struct place { double score; uint32_t from; int32_t id; } place; /* id -1: not reached */

typedef struct path_work { place *p; size_t cap; uint32_t *step; size_t cap_step; } path_work;

static void work_free(void *scratch)
{
    path_work *b = scratch;

    if (!b)
        return;
    free(b->p);
    free(b->step);
    free(b);
}

int unigram_new(token_model **out, tokenizer *t, const double *scores, const unigram_options *o, err *e)
{
    size_t n = (size_t)t->vocab.n, used = 0;
    unigram *m = arena_alloc(&t->mem, 1, sizeof *m, e);
    double *score = arena_alloc(&t->mem, n, sizeof *score, e), least = INFINITY, most = -INFINITY;
    uint8_t *types = o->sentencepiece ? arena_alloc(&t->mem, n, 1, e) : NULL;
    trie_item *items = mem_array(n, sizeof *items, e);
    int rc = ERR_RESOURCE;

    if (!m || !score || !items || (o->sentencepiece && !types))
        goto out;
    m->v = &t->vocab;
    m->score = score;
    m->types = types;
    m->unk = o->unk;
    m->byte_fallback = o->byte_fallback;
    memcpy(score, scores, n * sizeof *score);
    if (types)
        memcpy(types, o->types, n);
    for (size_t i = 0; i < n; i++) {
        const vocab_entry *v = &t->vocab.e[i];
        if (!isfinite(score[i])) {
            rc = err_set(e, ERR_INPUT, "the score of token %zu is not finite", i);
            goto out;
        }
        if (!v->piece || !(v->flags & VOCAB_MODEL))
            continue;
        if (types && types[i] != PIECE_NORMAL && types[i] != PIECE_USER_DEFINED)
            continue;
        if (!types || types[i] == PIECE_NORMAL) {
            least = score[i] < least ? score[i] : least;
            most = score[i] > most ? score[i] : most;
        }
        items[used++] = (trie_item){ v->piece, v->n_piece, (int32_t)i };
    }
    if (!isfinite(least))
        least = most = 0;
    m->unk_score = types ? (float)least - (float)UNKNOWN_PENALTY : least - UNKNOWN_PENALTY;
    m->max_score = most;
    for (int i = 0; i < 256; i++) {
        char name[8];
        snprintf(name, sizeof name, "<0x%02X>", (unsigned)i);
        m->fallback[i] = vocab_find(m->v, name, 6);
    }
    rc = trie_new(&m->pieces, &t->mem, items, used, e);
    *out = (token_model *)(void *)m;
out:
    free(items);
    return rc;
}

/* "vocab": [["piece", score], ...] */
static int from_json(token_model **out, tokenizer *t, const json *v, err *e)
{
    const json *list = json_get(v, "vocab");
    size_t n = json_count(list);
    unigram_options o = { .unk = -1 };
    int64_t unk;
    int rc;

    if (json_kind_of(list) != JSON_LIST || !n)
        return err_set(e, ERR_INPUT, n ? "model has no vocabulary" : "the vocabulary is empty");
    if (n > INT32_MAX)
        return err_set(e, ERR_INPUT, "%zu tokens are too many", n);
    double *scores = mem_array(n, sizeof *scores, e);
    rc = scores ? vocab_reserve(&t->vocab, (int64_t)n, e) : ERR_RESOURCE;
    for (size_t i = 0; !rc && i < n; i++) {
        size_t len;
        const char *s = json_str(json_at(json_at(list, i), 0), &len);
        if (!s || !json_real(&scores[i], json_at(json_at(list, i), 1)))
            rc = err_set(e, ERR_INPUT, "token %zu of the vocabulary is no pair of a piece and a score", i);
        else
            rc = vocab_add_later(&t->vocab, (int64_t)i, s, len, e);
    }
    if (!rc && json_kind_of(json_get(v, "unk_id")) > JSON_NULL_) {
        if (!json_int(&unk, json_get(v, "unk_id")) || unk < 0 || unk >= (int64_t)n)
            rc = err_set(e, ERR_INPUT, "unk_id is not in the vocabulary");
        else
            o.unk = (int32_t)unk;
    }
    json_bool(&o.byte_fallback, json_get(v, "byte_fallback"));
    if (!rc)
        rc = unigram_new(out, t, scores, &o, e);
    free(scores);
    return rc;
}

static int reserve(path_work *b, size_t n, err *e)
{
    if (n < b->cap)
        return 0;
    size_t cap = b->cap ? b->cap : 256;
    while (cap <= n)
        cap *= 2; /* n is the length of a text */
    place *p = mem_grow(b->p, cap, sizeof *p, e);
    if (p)
        b->p = p;
    uint32_t *step = mem_grow(b->step, cap, sizeof *step, e);
    if (step)
        b->step = step;
    if (!p || !step)
        return ERR_RESOURCE;
    b->cap = cap;
    return 0;
}

static int no_unknown(err *e)
{
    err_set(e, ERR_INPUT, "a character has no token, and the model has no unknown token");
    return err_hint(e, "give raw token ids (--ids)");
}

/* A way to `to` by way of `from`. */
static void consider(const unigram *m, place *p, uint32_t from, uint32_t to, int32_t id, double score)
{
    double sum = m->types ? (double)((float)score + (float)p[from].score) : score + p[from].score;

    if (p[to].id < 0 || sum > p[to].score)
        p[to] = (place){ sum, from, id };
}

static int find_path(const unigram *m, place *p, const text *x, err *e)
{
    const trie *t = m->pieces;
    size_t len, steps = 0, next_look = LOOK_EVERY;
    int rc;

    for (size_t i = 0; i <= x->n; i++)
        p[i].id = -1;
    p[0].score = 0;
    for (size_t at = 0; at < x->n; at += len) {
        uint32_t node = 0, c;
        bool single = false;
        len = (size_t)unicode_next(&c, x->s + at, x->n - at);
        for (size_t i = at; i < x->n && (node = trie_step(t, node, (unsigned char)x->s[i])); i++) {
            int32_t id = t->node[node].value;
            if (id < 0)
                continue;
            double score = m->score[id];
            if (m->types && m->types[id] == PIECE_USER_DEFINED)
                score = (double)((float)(i + 1 - at) * (float)m->max_score) - 0.1;
            consider(m, p, (uint32_t)at, (uint32_t)i + 1, id, score);
            single |= i + 1 - at == len;
            steps++;
        }
        if (!single) {
            if (m->unk < 0)
                return no_unknown(e);
            double sum = m->types ? (double)((float)m->unk_score + (float)p[at].score)
                                  : m->unk_score + p[at].score;
            place *to = &p[at + len];
            if (to->id < 0 || sum > to->score)
                *to = (place){ sum, (uint32_t)at, m->unk };
        }
        if (++steps >= next_look) {
            rc = cancel_check(e);
            if (rc)
                return rc;
            next_look = steps + LOOK_EVERY;
        }
    }
    return 0;
}

/* Characters [begin, end) that no piece stands for. */
static int emit_unknown(const unigram *m, work *w, const text *x, size_t begin, size_t end, err *e)
{
    bool bytes = m->byte_fallback && (m->types || vocab_find(m->v, x->s + begin, end - begin) < 0);
    int rc = 0;

    for (size_t i = begin; bytes && i < end; i++)
        bytes = m->fallback[(unsigned char)x->s[i]] >= 0;
    if (!bytes)
        return work_emit(w, m->unk, x, begin, end, e);
    for (size_t i = begin; !rc && i < end; i++)
        rc = work_emit(w, m->fallback[(unsigned char)x->s[i]], x, i, i + 1, e);
    return rc;
}

static int encode(const token_model *self, work *w, const text *x, bool bytes, err *e)
{
    const unigram *m = (const unigram *)(const void *)self;
    path_work *b = w->model;
    size_t n = 0;
    text mapped;
    int rc = 0;

    if (bytes) {
        rc = text_to_byte_level(&mapped, x, w, e);
        if (rc)
            return rc;
        x = &mapped;
    }
    if (!b) {
        b = w->model = mem_array(1, sizeof *b, e);
        if (!b)
            return ERR_RESOURCE;
    }
    rc = reserve(b, x->n + 1, e);
    if (!rc)
        rc = find_path(m, b->p, x, e);
    if (rc)
        return rc;
    for (uint32_t at = (uint32_t)x->n; at; at = b->p[at].from)
        b->step[n++] = at;
    while (!rc && n) { /* from left to right; unknown characters in a row are one */
        size_t begin = b->p[b->step[n - 1]].from, end = b->step[n - 1];
        int32_t id = b->p[end].id;
        n--;
        if (id != m->unk) {
            rc = work_emit(w, id, x, begin, end, e);
            continue;
        }
        for (; n && b->p[b->step[n - 1]].id == m->unk; n--)
            end = b->step[n - 1];
        rc = emit_unknown(m, w, x, begin, end, e);
    }
    return rc;
}

extern const tokenizer_model tokenizer_model_unigram;
const tokenizer_model tokenizer_model_unigram = {
    .type = "Unigram",
    .from_json = from_json,
    .encode = encode,
    .work_free = work_free,
};
