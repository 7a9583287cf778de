/* Added tokens: found in the text before (raw) and after normalisation, leftmost first, the longest at a
 * place. */
#include <string.h>

#include "model/tokenizer/parts.h"

/* A trie; the nodes below a node are a list.  child, sibling: 0 for none; token: -1 for none. */
typedef struct trie_node { int32_t child, sibling, token; unsigned char byte; } trie_node;

struct added_set {
    const added_token *tokens;
    trie_node *nodes;                  /* [n], nodes[0] is the root */
    int32_t n;
    int32_t first[256];            /* the root's child for a byte; 0: no token starts with it */
};

/* The child of node `at` for a byte; 0: none. */
static int32_t child(const added_set *set, int32_t at, unsigned char byte)
{
    if (!at)
        return set->first[byte];
    int32_t i = set->nodes[at].child;
    while (i && set->nodes[i].byte != byte)
        i = set->nodes[i].sibling;
    return i;
}

static void insert(added_set *set, const char *s, size_t n, int32_t value)
{
    int32_t at = 0;

    for (size_t i = 0; i < n; i++) {
        unsigned char byte = (unsigned char)s[i];
        int32_t next = child(set, at, byte);
        if (!next) {
            next = set->n++;
            set->nodes[next] = (trie_node){ .token = -1, .byte = byte };
            if (at) {
                set->nodes[next].sibling = set->nodes[at].child;
                set->nodes[at].child = next;
            } else {
                set->first[byte] = next;
            }
        }
        at = next;
    }
    if (set->nodes[at].token < 0)
        set->nodes[at].token = value;
}

/* The spelling that the search looks for. */
static int pattern_of(text *out, const added_token *a, work *w, err *e)
{
    const char *view = unicode_view(a->s, a->n, &w->mem, e);
    if (!view)
        return ERR_RESOURCE;
    text x = { .s = a->s, .view = view, .n = a->n };
    if (a->normalized)
        return normalizers_run(out, &x, w, e);
    *out = x;
    return 0;
}

static int build(added_set **out, tokenizer *t, bool normalized, work *w, err *e)
{
    size_t bytes = 0;
    text x;
    int rc = 0;

    for (size_t i = 0; i < t->n_added; i++) {
        if (t->added[i].normalized != normalized)
            continue;
        rc = pattern_of(&x, &t->added[i], w, e);
        if (rc)
            return rc;
        if (x.n > ADDED_MAX_LEN)
            return err_set(e, ERR_INPUT, "added token %d (\"%.40s...\") has %zu bytes, more than %d",
                           t->added[i].id, t->added[i].s, x.n, ADDED_MAX_LEN);
        bytes += x.n;
    }
    *out = NULL;
    if (!bytes)
        return 0;
    if (bytes > INT32_MAX - 1)
        return err_set(e, ERR_INPUT, "the added tokens are too long");
    added_set *set = arena_alloc(&t->mem, 1, sizeof *set, e);
    if (!set)
        return ERR_RESOURCE;
    set->nodes = arena_alloc(&t->mem, bytes + 1, sizeof *set->nodes, e);
    if (!set->nodes)
        return ERR_RESOURCE;
    set->tokens = t->added;
    set->n = 1;
    for (size_t i = 0; !rc && i < t->n_added; i++) {
        added_token *a = &t->added[i];
        if (a->normalized != normalized)
            continue;
        rc = pattern_of(&x, a, w, e);
        if (rc || !x.n)
            continue;
        insert(set, x.s, x.n, (int32_t)i);
        if (x.n != a->n || memcmp(x.s, a->s, x.n)) {
            t->vocab.e[a->id].flags |= VOCAB_RESPELLED;
            a->n_pattern = x.n;
            a->pattern = arena_strndup(&t->mem, x.s, x.n, e);
            if (!a->pattern)
                rc = ERR_RESOURCE;
        }
    }
    *out = set;
    return rc;
}

int added_build(tokenizer *t, err *e)
{
    work w = { .t = t };
    int rc = regex_work_new(&w.regex, e);

    if (!rc)
        rc = build(&t->added_raw, t, false, &w, e);
    if (!rc)
        rc = build(&t->added_normalized, t, true, &w, e);
    regex_work_free(w.regex);
    arena_free(&w.mem);
    return rc;
}

/* The first token at or behind byte `at`, the longest there.  False: none. */
static bool find(const added_set *set, const text *x, size_t at, int32_t *which, size_t *begin, size_t *end)
{
    for (; at < x->n; at++) {
        int32_t node = set->first[(unsigned char)x->s[at]];
        bool found = false;
        for (size_t i = at + 1; node; i++) {
            if (set->nodes[node].token >= 0) {
                *which = set->nodes[node].token;
                *begin = at;
                *end = i;
                found = true;
            }
            if (i == x->n)
                break;
            node = child(set, node, (unsigned char)x->s[i]);
        }
        if (found)
            return true;
    }
    return false;
}

static bool word_before(const text *x, size_t at)
{
    uint32_t c;

    if (at == 0)
        return false;
    size_t begin = unicode_start(x->s, at, at - 1);
    unicode_next(&c, x->s + begin, at - begin);
    return unicode_is_word(c);
}

static bool word_after(const text *x, size_t at)
{
    uint32_t c;

    if (at == x->n)
        return false;
    unicode_next(&c, x->s + at, x->n - at);
    return unicode_is_word(c);
}

/* Where the white space that ends at `at` begins, at or behind `least`. */
static size_t space_before(const text *x, size_t at, size_t least)
{
    while (at > least) {
        uint32_t c;
        size_t begin = unicode_start(x->s, at, at - 1);
        unicode_next(&c, x->s + begin, at - begin);
        if (begin < least || !unicode_is_space(c))
            break;
        at = begin;
    }
    return at;
}

static size_t space_after(const text *x, size_t at)
{
    while (at < x->n) {
        uint32_t c;
        size_t len = (size_t)unicode_next(&c, x->s + at, x->n - at);
        if (!unicode_is_space(c))
            break;
        at += len;
    }
    return at;
}

int added_split(const added_set *set, work *w, const text *x, text_sink rest, err *e)
{
    size_t done = 0, at = 0, begin, end;
    int32_t which;
    int rc = 0;

    while (!rc && set && find(set, x, at, &which, &begin, &end)) {
        const added_token *a = &set->tokens[which];
        at = end;
        if (a->single_word && (word_before(x, begin) || word_after(x, end)))
            continue;
        /* the token before this one may have taken the space already, and even this token with it */
        if (a->lstrip)
            begin = done < begin ? space_before(x, begin, done) : done;
        if (a->rstrip)
            end = space_after(x, end);
        if (done < begin) {
            text part = text_part(x, done, begin);
            rc = rest(w, &part, e);
        }
        if (!rc && begin < end)
            rc = work_emit(w, a->id, x, begin, end, e);
        done = end;
    }
    if (rc || done >= x->n)
        return rc;
    text part = text_part(x, done, x->n);
    return rest(w, &part, e);
}
