/* Byte-pair encoding: what loading (bpe.c) and merging (bpe_merge.c) share. */
#ifndef ATTNSCOPE_MODEL_TOKENIZER_MODELS_BPE_H
#define ATTNSCOPE_MODEL_TOKENIZER_MODELS_BPE_H

#include "model/tokenizer/parts.h"

/* One merge: the pair of ids, high and low half of key. */
typedef struct bpe_pair { uint64_t key; uint32_t rank; int32_t id; } bpe_pair;

#define BPE_NO_PAIR UINT64_MAX /* a free slot: no id is negative */

typedef struct bpe {
    const vocab *v;
    bpe_pair *pairs;               /* [1 << (64 - shift)], open addressing */
    int shift;
    size_t n_pair;
    const char *unk, *prefix, *suffix; /* NULL: none */
    size_t n_prefix, n_suffix;
    int32_t unk_id;                /* -1: none, or not in the vocabulary */
    bool fuse_unk, byte_fallback, ignore_merges;
    bool fast_bytes;               /* byte_id and byte_last may be used */
    int32_t byte_id[256];          /* of the byte's character in the byte-level alphabet; -1: none */
    int32_t byte_last[256];        /* the same at the end of a word */
    int32_t fallback[256];         /* of "<0xHH>"; -1: none */
} bpe;

/* The merge of a and b, or NULL. */
static inline const bpe_pair *bpe_find(const bpe *m, int32_t a, int32_t b)
{
    uint64_t key = (uint64_t)(uint32_t)a << 32 | (uint32_t)b;
    size_t mask = ((size_t)1 << (64 - m->shift)) - 1;

    for (size_t i = (size_t)(key * 0x9e3779b97f4a7c15u >> m->shift);; i = (i + 1) & mask) {
        const bpe_pair *p = &m->pairs[i];
        if (p->key == key)
            return p;
        if (p->key == BPE_NO_PAIR)
            return NULL;
    }
}

/* Add a merge: of two merges of a pair the later one counts.  There is room. */
static inline void bpe_put(bpe *m, int32_t a, int32_t b, uint32_t rank, int32_t id)
{
    uint64_t key = (uint64_t)(uint32_t)a << 32 | (uint32_t)b;
    size_t mask = ((size_t)1 << (64 - m->shift)) - 1;
    size_t i = (size_t)(key * 0x9e3779b97f4a7c15u >> m->shift);

    while (m->pairs[i].key != key && m->pairs[i].key != BPE_NO_PAIR)
        i = (i + 1) & mask;
    m->pairs[i] = (bpe_pair){ key, rank, id };
}

/* A token by its bytes; its rank is its id. */
typedef struct rank_token { const unsigned char *s; size_t n; int32_t id; } rank_token;
/* The vocabulary, spelled in the byte-level alphabet, is in t; k: the same as bytes, by rank. */
int bpe_from_ranks(token_model **out, tokenizer *t, const rank_token *k, size_t n, err *e);

int bpe_encode(const token_model *m, work *w, const text *x, bool bytes, err *e);
void bpe_work_free(void *scratch);

#endif
