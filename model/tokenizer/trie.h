/* Byte strings that begin at a place of a text, shortest first. */
#ifndef ATTNSCOPE_MODEL_TOKENIZER_TRIE_H
#define ATTNSCOPE_MODEL_TOKENIZER_TRIE_H

#include <stddef.h>
#include <stdint.h>
#include "base/mem.h"

typedef struct trie_item { const char *s; size_t n; int32_t value; } trie_item; /* value >= 0 */

/* The children of a node lie together, in the order of their bytes. */
typedef struct trie_node { uint32_t first; int32_t value; uint16_t count; unsigned char byte; } trie_node;

typedef struct trie {
    trie_node *node;       /* node[0] is the root */
    uint32_t start[256];   /* the root's child for a byte; 0: none */
    size_t longest;        /* bytes of the longest string */
} trie;

/* Sorts items; of equal strings the greatest value counts, empty ones are left out.  Memory of a; the
 * strings are not kept. */
int trie_new(const trie **out, arena *a, trie_item *items, size_t n, err *e);

/* The child of `node` for a byte; 0: none.  Node 0 is the root. */
static inline uint32_t trie_step(const trie *t, uint32_t node, unsigned char byte)
{
    if (!node)
        return t->start[byte];
    uint32_t lo = t->node[node].first, n = t->node[node].count;
    while (n > 4) {
        uint32_t half = n / 2;
        if (t->node[lo + half].byte <= byte)
            lo += half;
        n -= half;
    }
    for (; n; lo++, n--)
        if (t->node[lo].byte == byte)
            return lo;
    return 0;
}

/* The longest string that s begins with: its value, its length in *used; -1: none. */
int32_t trie_longest(const trie *t, const char *s, size_t n, size_t *used);

#endif
