/* NFC, NFD, NFKC, NFKD (Unicode Standard Annex 15) with utf8proc's tables.
 *
 * The text is cut into segments, a character with the marks after it: nothing composes or is reordered
 * across their borders.  A segment that changes stands as a whole for the input it came from. */
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "model/tokenizer/parts.h"

typedef struct scratch { utf8proc_int32_t *c; size_t cap; } scratch; /* [cap] */

static int reserve(scratch *z, size_t n, err *e)
{
    if (n <= z->cap)
        return 0;
    size_t cap = z->cap ? z->cap : 64;
    while (cap < n)
        cap *= 2; /* n is a small multiple of the text's length */
    utf8proc_int32_t *c = mem_grow(z->c, cap, sizeof *c, e);
    if (!c)
        return ERR_RESOURCE;
    z->c = c;
    z->cap = cap;
    return 0;
}

/* Does c join the segment that is open?  Marks do, and the vowels and finals of Hangul, and what
 * decomposes into one of them. */
static bool joins(uint32_t c, utf8proc_option_t options)
{
    utf8proc_int32_t parts[32];

    if (c < 0x300 || unicode_is_inert(c) ||
        utf8proc_decompose_char((utf8proc_int32_t)c, parts, 32, options, NULL) < 1)
        return false;
    return (parts[0] >= 0x1160 && parts[0] <= 0x11ff) || unicode_is_mark((uint32_t)parts[0]);
}

static int class_of(utf8proc_int32_t c)
{
    return utf8proc_get_property(c)->combining_class;
}

/* Marks in a row come in the order of their classes; equal ones stay as they are.  Counting sort: a
 * megabyte of marks is no problem.  z->c holds n characters and has room for twice as many. */
static void order_marks(scratch *z, size_t n)
{
    for (size_t begin = 0, end; begin < n; begin = end) {
        size_t start[256] = { 0 };
        bool sorted = true;
        if (!class_of(z->c[begin])) {
            end = begin + 1;
            continue;
        }
        for (end = begin; end < n && class_of(z->c[end]); end++) {
            if (end > begin && class_of(z->c[end]) < class_of(z->c[end - 1]))
                sorted = false;
        }
        if (sorted)
            continue;
        utf8proc_int32_t *copy = z->c + n;
        memcpy(copy, z->c + begin, (end - begin) * sizeof *copy);
        for (size_t i = 0; i < end - begin; i++)
            start[class_of(copy[i])]++;
        for (size_t k = 1, at = begin; k < 256; k++) {
            size_t count = start[k];
            start[k] = at;
            at += count;
        }
        for (size_t i = 0; i < end - begin; i++)
            z->c[start[class_of(copy[i])]++] = copy[i];
    }
}

/* The normal form of segment [begin, end) of x; nothing is written when it is the segment itself. */
static int segment(text_out *o, size_t *done, scratch *z, utf8proc_option_t options, const text *x,
    size_t begin, size_t end, err *e)
{
    size_t n = 0, at = begin;

    for (size_t i = begin; i < end;) {
        uint32_t c;
        i += (size_t)unicode_next(&c, x->s + i, end - i);
        int rc = reserve(z, n + 32, e); /* the longest decomposition is of 18 */
        if (rc)
            return rc;
        utf8proc_ssize_t got = utf8proc_decompose_char((utf8proc_int32_t)c, z->c + n,
                                                       (utf8proc_ssize_t)(z->cap - n), options, NULL);
        if (got < 0 || (size_t)got > z->cap - n)
            return err_set(e, ERR_FAILED, "normalising text failed");
        n += (size_t)got;
    }
    int rc = reserve(z, 2 * n, e);
    if (rc)
        return rc;
    order_marks(z, n);
    if (options & UTF8PROC_COMPOSE && n > 1) {
        utf8proc_ssize_t got = utf8proc_normalize_utf32(z->c, (utf8proc_ssize_t)n, options);
        if (got < 0)
            return err_set(e, ERR_FAILED, "normalising text failed");
        n = (size_t)got;
    }

    char s[4];
    for (size_t i = 0; i < n; i++) {
        size_t len = (size_t)unicode_put(s, (uint32_t)z->c[i]);
        if (len > end - at || memcmp(s, x->s + at, len)) {
            at = SIZE_MAX;
            break;
        }
        at += len;
    }
    if (at == end)
        return 0;
    text_range from = text_where(x, begin, end);
    text_copy(o, x, *done, begin);
    for (size_t i = 0; i < n; i++)
        text_add(o, s, (size_t)unicode_put(s, (uint32_t)z->c[i]), from);
    *done = end;
    return 0;
}

int normalize_form(const normalizer *k, text *out, const text *x, work *w, err *e)
{
    /* below this first byte every character stays as it is and nothing joins it */
    unsigned char plain = k->compose && !k->compat ? 0xcc : 0x80;
    utf8proc_option_t options = (utf8proc_option_t)(UTF8PROC_STABLE |
        (k->compose ? UTF8PROC_COMPOSE : UTF8PROC_DECOMPOSE) | (k->compat ? UTF8PROC_COMPAT : 0));
    text_out o = { .w = w };
    scratch z = { 0 };
    size_t done = 0, end;
    int rc = 0;

    for (size_t begin = 0; !rc && begin < x->n; begin = end) {
        uint32_t c, next;
        end = begin + (size_t)unicode_next(&c, x->s + begin, x->n - begin);
        bool inert = unicode_is_inert(c);
        for (; !inert && end < x->n && (unsigned char)x->s[end] >= 0x80;) {
            size_t len = (size_t)unicode_next(&next, x->s + end, x->n - end);
            if (!joins(next, options))
                break;
            end += len;
        }
        if (inert || (end - begin <= 2 && (unsigned char)x->s[begin] < plain))
            continue;
        rc = segment(&o, &done, &z, options, x, begin, end, e);
    }
    free(z.c);
    if (rc)
        return rc;
    *out = *x;
    if (!done)
        return 0;
    text_copy(&o, x, done, x->n);
    return text_done(&o, out, e);
}
