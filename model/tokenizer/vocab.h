/* A vocabulary: pieces by id and ids by piece. */
#ifndef ATTNSCOPE_MODEL_TOKENIZER_VOCAB_H
#define ATTNSCOPE_MODEL_TOKENIZER_VOCAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/mem.h"

enum {
    VOCAB_MODEL = 1,    /* of the model's vocabulary: found by vocab_find */
    VOCAB_SPECIAL = 2,  /* skipped by decoding on request */
    VOCAB_ADDED = 4,    /* an added token */
    VOCAB_BYTES = 8,    /* the piece is spelled in the byte-level alphabet alone */
    VOCAB_RESPELLED = 16, /* an added token whose normalised form differs */
};

typedef struct vocab_entry {
    const char *piece;  /* as spelled in the file, NUL-terminated; NULL: no such id */
    const char *text;   /* the bytes that it stands for */
    uint32_t n_piece, n_text;
    uint32_t flags;
} vocab_entry;

/* Open addressing; a slot holds the high bits of the hash, which spare most comparisons. */
typedef struct vocab_index { struct vocab_slot *slots; size_t mask, count; } vocab_index;

typedef struct vocab {
    arena *mem;
    vocab_entry *e;     /* [n] */
    int32_t n;          /* largest id + 1 */
    vocab_index by_piece;
    vocab_index by_text; /* vocab_index_text */
} vocab;

/* Room for ids below n. */
int vocab_reserve(vocab *v, int64_t n, err *e);
/* Entry of the model's own vocabulary; id < v->n.  Refuses a second piece for an id and a second id for a
 * piece.  The piece is copied. */
int vocab_add(vocab *v, int64_t id, const char *piece, size_t n, err *e);
/* The same, but of two ids for a piece the later is what vocab_find answers. */
int vocab_add_later(vocab *v, int64_t id, const char *piece, size_t n, err *e);
/* -1: not there. */
int32_t vocab_find(const vocab *v, const char *piece, size_t n);
/* Make the index behind vocab_find_text, of the model's entries with VOCAB_BYTES. */
int vocab_index_text(vocab *v, err *e);
int32_t vocab_find_text(const vocab *v, const char *text, size_t n);

uint64_t vocab_hash(const char *s, size_t n);

static inline const vocab_entry *vocab_get(const vocab *v, int32_t id)
{
    return id >= 0 && id < v->n && v->e[id].piece ? &v->e[id] : NULL;
}

#endif
