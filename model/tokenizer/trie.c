#include "model/tokenizer/trie.h"

#include <stdlib.h>
#include <string.h>

static int compare(const void *a, const void *b)
{
    const trie_item *x = a, *y = b;
    size_t n = x->n < y->n ? x->n : y->n;
    int c = n ? memcmp(x->s, y->s, n) : 0;

    if (c)
        return c;
    if (x->n != y->n)
        return x->n < y->n ? -1 : 1;
    return x->value < y->value ? -1 : x->value > y->value;
}

/* Items [begin, end) share their first `depth` bytes, which lead to a node. */
typedef struct span { size_t begin, end, depth; } span;

int trie_new(const trie **out, arena *a, trie_item *items, size_t n, err *e)
{
    size_t most = 1, n_node = 1;
    trie *t = arena_alloc(a, 1, sizeof *t, e);
    int rc = 0;

    for (size_t i = 0; i < n; i++)
        if (!size_add(&most, most, items[i].n))
            return err_nomem(e, "vocabulary");
    if (most > UINT32_MAX)
        return err_set(e, ERR_INPUT, "the vocabulary is too long");
    if (n)
        qsort(items, n, sizeof *items, compare);
    for (size_t i = 0; i + 1 < n; i++) /* bytes that two neighbours share have one node */
        for (size_t k = 0; k < items[i].n && k < items[i + 1].n && items[i].s[k] == items[i + 1].s[k]; k++)
            most--;
    span *spans = mem_array(most, sizeof *spans, e);
    if (t)
        t->node = arena_alloc(a, most, sizeof *t->node, e);
    if (!t || !t->node || !spans) {
        rc = ERR_RESOURCE;
        goto out;
    }
    spans[0] = (span){ 0, n, 0 };
    for (size_t at = 0; at < n_node; at++) {
        span p = spans[at];
        trie_node *node = &t->node[at];
        node->value = -1;
        for (; p.begin < p.end && items[p.begin].n == p.depth; p.begin++)
            node->value = p.depth ? items[p.begin].value : -1;
        node->first = (uint32_t)n_node;
        for (size_t i = p.begin, k; i < p.end; i = k) {
            for (k = i + 1; k < p.end && items[k].s[p.depth] == items[i].s[p.depth]; k++)
                ;
            t->node[n_node].byte = (unsigned char)items[i].s[p.depth];
            spans[n_node++] = (span){ i, k, p.depth + 1 };
            node->count++;
        }
        if (p.depth > t->longest)
            t->longest = p.depth;
    }
    for (uint32_t i = 0; i < t->node[0].count; i++)
        t->start[t->node[t->node[0].first + i].byte] = t->node[0].first + i;
    *out = t;
out:
    free(spans);
    return rc;
}

int32_t trie_longest(const trie *t, const char *s, size_t n, size_t *used)
{
    int32_t found = -1;
    uint32_t node = 0;

    for (size_t i = 0; i < n && (node = trie_step(t, node, (unsigned char)s[i])); i++)
        if (t->node[node].value >= 0) {
            found = t->node[node].value;
            *used = i + 1;
        }
    return found;
}
