/* Byte-pair encoding of a vocabulary without merges, where the rank of a merge is that of the bytes it makes
 * (tiktoken's form): find the merges.
 *
 * A token is made by the merges of lower rank from its bytes up to two parts; these are its merge.  Tokens
 * that come out in more parts can be put together at any cut whose halves are tokens. */
#include "model/tokenizer/models/bpe.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_TOKEN = 1024 }; /* bytes: the search for a token's parts is quadratic in them */

static int grow(bpe *m, tokenizer *t, err *e)
{
    size_t old = (size_t)1 << (64 - m->shift);
    bpe_pair *pairs = m->pairs;

    m->pairs = arena_alloc(&t->mem, old * 2, sizeof *m->pairs, e);
    if (!m->pairs)
        return ERR_RESOURCE;
    m->shift--;
    for (size_t i = 0; i < old * 2; i++)
        m->pairs[i].key = BPE_NO_PAIR;
    for (size_t i = 0; i < old; i++)
        if (pairs[i].key != BPE_NO_PAIR)
            bpe_put(m, (int32_t)(pairs[i].key >> 32), (int32_t)(uint32_t)pairs[i].key, pairs[i].rank, pairs[i].id);
    return 0;
}

static int put(bpe *m, tokenizer *t, int32_t a, int32_t b, int32_t made, err *e)
{
    if (m->n_pair >= (size_t)1 << (63 - m->shift)) {
        int rc = grow(m, t, e);
        if (rc)
            return rc;
    }
    bpe_put(m, a, b, (uint32_t)made, made);
    m->n_pair++;
    return 0;
}

static uint32_t rank_of(const bpe *m, const int32_t *id, size_t i, size_t n)
{
    const bpe_pair *p = i + 1 < n ? bpe_find(m, id[i], id[i + 1]) : NULL;
    return p ? p->rank : UINT32_MAX;
}

/* Merge the n ids as far as the merges found so far go; how many are left.  A merge's rank is the id it
 * makes. */
static size_t merge(const bpe *m, int32_t *id, size_t n)
{
    uint32_t rank[MAX_TOKEN];

    for (size_t i = 0; n > 2 && i < n; i++)
        rank[i] = rank_of(m, id, i, n);
    while (n > 2) {
        size_t at = 0;
        for (size_t i = 1; i + 1 < n; i++)
            if (rank[i] < rank[at])
                at = i;
        if (rank[at] == UINT32_MAX)
            break;
        id[at] = (int32_t)rank[at];
        n--;
        memmove(id + at + 1, id + at + 2, (n - at - 1) * sizeof *id);
        memmove(rank + at + 1, rank + at + 2, (n - at - 1) * sizeof *rank);
        rank[at] = rank_of(m, id, at, n);
        if (at)
            rank[at - 1] = rank_of(m, id, at - 1, n);
    }
    return n;
}

static int find_merges(bpe *m, tokenizer *t, const rank_token *k, err *e)
{
    int32_t id[MAX_TOKEN];
    strbuf spelling = { 0 };
    size_t end[MAX_TOKEN];
    int rc = 0;

    if (k->n > MAX_TOKEN)
        return err_set(e, ERR_INPUT, "token %d has %zu bytes, more than %d", k->id, k->n, MAX_TOKEN);
    for (size_t i = 0; i < k->n; i++) {
        id[i] = m->byte_id[k->s[i]];
        if (id[i] < 0)
            return 0; /* can never be made */
    }
    if (merge(m, id, k->n) == 2)
        return put(m, t, id[0], id[1], k->id, e);
    for (size_t i = 0; i < k->n; i++) {
        char c[4];
        strbuf_add(&spelling, c, (size_t)unicode_put(c, unicode_of_byte(k->s[i])));
        end[i] = spelling.len;
    }
    if (spelling.failed)
        rc = err_nomem(e, "merges");
    for (size_t i = 0; !rc && i + 1 < k->n; i++) {
        int32_t a = vocab_find(m->v, spelling.s, end[i]);
        int32_t b = vocab_find(m->v, spelling.s + end[i], spelling.len - end[i]);
        if (a >= 0 && b >= 0)
            rc = put(m, t, a, b, k->id, e);
    }
    strbuf_free(&spelling);
    return rc;
}

int bpe_from_ranks(token_model **out, tokenizer *t, const rank_token *k, size_t n, err *e)
{
    int rc = bpe_new(out, t, NULL, 0, &(bpe_options){ .ignore_merges = true }, e);

    if (rc)
        return rc;
    bpe *m = (bpe *)(void *)*out;
    while (!rc && (size_t)1 << (63 - m->shift) < n) /* room at once */
        rc = grow(m, t, e);
    for (int i = 0; i < 256; i++) {
        char c[4];
        m->byte_id[i] = vocab_find(m->v, c, (size_t)unicode_put(c, unicode_of_byte((unsigned char)i)));
    }
    for (size_t i = 0; !rc && i < n; i++)
        if (k[i].n > 1)
            rc = find_merges(m, t, &k[i], e);
    return rc;
}
