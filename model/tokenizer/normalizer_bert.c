/* What happens to text on its way to WordPiece: BertNormalizer, and its relatives StripAccents and Nmt. */
#include <string.h>

#include "model/tokenizer/parts.h"

/* A character in another's place (UNICODE_BAD: none); what stays as it is answers with itself. */
typedef uint32_t (*exchange)(uint32_t c);

/* x with every character exchanged; only what changes is written anew. */
static int exchange_all(exchange f, text *out, const text *x, work *w, err *e)
{
    text_out o = { .w = w };
    size_t done = 0, len;

    for (size_t i = 0; i < x->n; i += len) {
        uint32_t c;
        char s[4];
        len = (size_t)unicode_next(&c, x->s + i, x->n - i);
        if (c == UNICODE_BAD)
            continue;
        uint32_t now = f(c);
        if (now == c)
            continue;
        text_copy(&o, x, done, i);
        if (now != UNICODE_BAD)
            text_add(&o, s, (size_t)unicode_put(s, now), text_where(x, i, i + len));
        done = i + len;
    }
    *out = *x;
    if (!done)
        return 0;
    text_copy(&o, x, done, x->n);
    return text_done(&o, out, e);
}

static uint32_t cleaned(uint32_t c)
{
    if (c >= 0x20 && c < 0x7f)
        return c;
    if (c == '\t' || c == '\n' || c == '\r')
        return ' ';
    if (c == 0 || c == 0xfffd || unicode_is_control(c))
        return UNICODE_BAD;
    return unicode_is_space(c) ? ' ' : c;
}

static uint32_t without_nonspacing(uint32_t c)
{
    return c >= 0x80 && unicode_is_nonspacing(c) ? UNICODE_BAD : c;
}

static uint32_t without_combining(uint32_t c)
{
    return c >= 0x80 && unicode_is_combining(c) ? UNICODE_BAD : c;
}

static uint32_t nmt(uint32_t c)
{
    if ((c >= 0x01 && c <= 0x08) || c == 0x0b || (c >= 0x0e && c <= 0x1f) || c == 0x7f || c == 0x8f || c == 0x9f)
        return UNICODE_BAD;
    if (c == 0x09 || c == 0x0a || c == 0x0c || c == 0x0d || c == 0x1680 || (c >= 0x200b && c <= 0x200f) ||
        c == 0x2028 || c == 0x2029 || c == 0x2581 || c == 0xfeff || c == 0xfffd)
        return ' ';
    return c;
}

/* A space on both sides of every ideograph. */
static int set_apart(text *out, const text *x, work *w, err *e)
{
    text_out o = { .w = w };
    size_t done = 0, len;

    for (size_t i = 0; i < x->n; i += len) {
        uint32_t c;
        len = (size_t)unicode_next(&c, x->s + i, x->n - i);
        if (len < 3 || !unicode_is_ideograph(c))
            continue;
        text_range from = text_where(x, i, i + len);
        text_copy(&o, x, done, i);
        text_add(&o, " ", 1, from);
        text_copy(&o, x, i, i + len);
        text_add(&o, " ", 1, from);
        done = i + len;
    }
    *out = *x;
    if (!done)
        return 0;
    text_copy(&o, x, done, x->n);
    return text_done(&o, out, e);
}

int normalize_bert(const normalizer *z, text *out, const text *x, work *w, err *e)
{
    static const normalizer nfd = { .compose = false };
    text now = *x;
    int rc = 0;

    *out = *x;
    if (z->clean)
        rc = exchange_all(cleaned, out, &now, w, e);
    now = *out;
    if (!rc && z->ideographs)
        rc = set_apart(out, &now, w, e);
    now = *out;
    if (!rc && z->strip)
        rc = normalize_form(&nfd, out, &now, w, e);
    now = *out;
    if (!rc && z->strip)
        rc = exchange_all(without_nonspacing, out, &now, w, e);
    now = *out;
    return rc || !z->lower ? rc : normalize_lowercase(z, out, &now, w, e);
}

int normalize_strip_accents(const normalizer *z, text *out, const text *x, work *w, err *e)
{
    (void)z;
    return exchange_all(without_combining, out, x, w, e);
}

int normalize_nmt(const normalizer *z, text *out, const text *x, work *w, err *e)
{
    (void)z;
    return exchange_all(nmt, out, x, w, e);
}
