/* Text as SentencePiece prepares it: replaced by its character map, spaces trimmed and written as U+2581, one
 * before (or after) the whole. */
#include <string.h>

#include "model/tokenizer/parts.h"
#include "model/tokenizer/trie.h"

static const char mark[] = "\xe2\x96\x81";
enum { MARK = 3 };

/* What byte i of x and some that follow become: *n bytes of text for *used bytes. */
static const char *next_part(const normalizer *z, const text *x, size_t i, size_t *used, size_t *n)
{
    const char *s = NULL;
    uint32_t c;

    if (z->keep && trie_longest(z->keep, x->s + i, x->n - i, used) >= 0) {
        *n = *used;
        return x->s + i;
    }
    size_t len = (size_t)unicode_next(&c, x->s + i, x->n - i);
    if (z->map && c != UNICODE_BAD)
        s = charsmap_find(z->map, x->s + i, x->n - i, false, used, n);
    if (s)
        return s;
    *used = *n = len;
    return x->s + i;
}

static void add_space(text_out *o, const normalizer *z, text_range from)
{
    text_add(o, z->no_escape ? " " : mark, z->no_escape ? 1 : MARK, from);
}

static void add_part(text_out *o, const normalizer *z, const char *s, size_t n, text_range from)
{
    const char *space;

    while (!z->no_escape && n && (space = memchr(s, ' ', n))) {
        text_add(o, s, (size_t)(space - s), from);
        add_space(o, z, from);
        n -= (size_t)(space - s) + 1;
        s = space + 1;
    }
    text_add(o, s, n, from);
}

int normalize_sentencepiece(const normalizer *z, text *out, const text *x, work *w, err *e)
{
    text_out o = { .w = w };
    size_t at = 0, used, n;
    const char *space = z->no_escape ? " " : mark;
    size_t n_space = z->no_escape ? 1 : MARK;
    bool after_space = z->remove_extra;
    uint32_t c;

    while (z->remove_extra && at < x->n) {
        const char *s = next_part(z, x, at, &used, &n);
        if (n != 1 || *s != ' ')
            break;
        at += used;
    }
    if (at == x->n) {
        *out = text_part(x, at, at);
        return 0;
    }
    if (z->dummy_prefix && !z->as_suffix)
        add_space(&o, z, text_where(x, at, at + (size_t)unicode_next(&c, x->s + at, x->n - at)));
    for (; at < x->n; at += used) {
        const char *s = next_part(z, x, at, &used, &n);
        while (after_space && n && *s == ' ') {
            s++;
            n--;
        }
        if (n) {
            add_part(&o, z, s, n, text_where(x, at, at + used));
            after_space = s[n - 1] == ' ';
        }
        after_space &= z->remove_extra;
    }
    while (z->remove_extra && o.n >= n_space && !memcmp(o.s + o.n - n_space, space, n_space))
        o.n -= n_space;
    if (z->dummy_prefix && z->as_suffix)
        add_space(&o, z, text_where(x, x->n, x->n));
    return text_done(&o, out, e);
}
