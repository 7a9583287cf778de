/* Texts by characters.  A byte that is not UTF-8 is a character of its own. */
#include <string.h>

#include "model/chat/jinja.h"
#include "model/tokenizer/unicode.h"

size_t text_length(text t)
{
    size_t n = 0;
    uint32_t c;
    while (t.n) {
        size_t len = (size_t)unicode_next(&c, t.s, t.n);
        t.s += len;
        t.n -= len;
        n++;
    }
    return n;
}

text text_slice(text t, size_t from, size_t to)
{
    size_t i = 0, begin = 0, at = 0;
    uint32_t c;
    for (; at < t.n && i < to; i++) {
        if (i == from)
            begin = at;
        at += (size_t)unicode_next(&c, t.s + at, t.n - at);
    }
    return i <= from ? (text){t.s + at, 0} : (text){t.s + begin, at - begin};
}

const char *text_find(text in, text what)
{
    return what.n == 0 ? (in.s ? in.s : "") : in.n < what.n ? NULL : memmem(in.s, in.n, what.s, what.n);
}

/* str.strip() also takes the separators 1c to 1f for white space. */
static bool strippable(const char *s, size_t n, const text *chars)
{
    uint32_t c;
    if (chars)
        return text_find(*chars, (text){s, n}) != NULL;
    unicode_next(&c, s, n);
    return c != UNICODE_BAD && (unicode_is_space(c) || (c >= 0x1c && c <= 0x1f));
}

text text_strip(text t, const text *chars, int sides)
{
    uint32_t c;
    while (sides & STRIP_LEFT && t.n) {
        size_t len = (size_t)unicode_next(&c, t.s, t.n);
        if (!strippable(t.s, len, chars))
            break;
        t.s += len;
        t.n -= len;
    }
    while (sides & STRIP_RIGHT && t.n) {
        size_t begin = unicode_start(t.s, t.n, t.n - 1);
        if (!strippable(t.s + begin, t.n - begin, chars))
            break;
        t.n = begin;
    }
    return t;
}

static void put_case(strbuf *b, uint32_t c, bool upper)
{
    uint32_t lower[2];
    if (!upper) {
        int n = unicode_lower(lower, c);
        for (int i = 0; i < n; i++)
            strbuf_put_utf8(b, lower[i]);
    } else if (c == 0xdf) {
        strbuf_puts(b, "SS");
    } else {
        strbuf_put_utf8(b, unicode_upper(c));
    }
}

value text_case(jinja *j, text t, case_kind kind)
{
    strbuf b = {0};
    bool inside = false; /* a word; for CASE_CAPITAL the text */
    while (t.n) {
        uint32_t c;
        size_t len = (size_t)unicode_next(&c, t.s, t.n);
        if (c == UNICODE_BAD) {
            strbuf_add(&b, t.s, len);
            inside = kind == CASE_CAPITAL;
        } else {
            put_case(&b, c, kind == CASE_UPPER || (kind != CASE_LOWER && !inside));
            inside = kind == CASE_CAPITAL || unicode_is_letter(c);
        }
        t.s += len;
        t.n -= len;
    }
    return value_take(j, &b);
}

value text_replace(jinja *j, text t, text what, text with, int64_t most)
{
    strbuf b = {0};
    while (most != 0) {
        const char *at = what.n ? text_find(t, what) : t.n ? t.s : NULL;
        if (!at)
            break;
        strbuf_add(&b, t.s, (size_t)(at - t.s));
        strbuf_add(&b, with.s, with.n);
        size_t skip = (size_t)(at - t.s) + what.n;
        if (!what.n) { /* between all characters */
            text c = text_slice(t, 0, 1);
            strbuf_add(&b, c.s, c.n);
            skip = c.n;
        }
        t.s += skip;
        t.n -= skip;
        most -= most > 0;
        if (b.len > jinja_output) {
            strbuf_free(&b);
            return jinja_fail(j, 0, "a text is longer than %zu MiB", jinja_output >> 20);
        }
    }
    strbuf_add(&b, t.s, t.n);
    if (!what.n && most != 0)
        strbuf_add(&b, with.s, with.n);
    return value_take(j, &b);
}

/* The first separator (the last, from the right) of t; *len its bytes. */
static const char *separator(text t, const text *at, bool last, size_t *len)
{
    const char *found = NULL;
    if (at) {
        *len = at->n;
        for (text rest = t; (found ? last : true);) {
            const char *next = rest.n < at->n ? NULL : memmem(rest.s, rest.n, at->s, at->n);
            if (!next)
                break;
            found = next;
            rest.n -= (size_t)(next + at->n - rest.s);
            rest.s = next + at->n;
        }
        return found;
    }
    for (size_t i = 0; i < t.n;) {
        uint32_t c;
        size_t n = (size_t)unicode_next(&c, t.s + i, t.n - i);
        if (strippable(t.s + i, n, NULL)) {
            found = t.s + i;
            *len = n;
            if (!last)
                break;
        }
        i += n;
    }
    return found;
}

value text_split(jinja *j, text t, const text *at, int64_t most, bool from_right)
{
    size_t n = 0, cap = 16, len = 0;
    value *v = jinja_alloc(j, cap, sizeof *v);
    for (bool more = true; more && v;) {
        if (!at)
            t = text_strip(t, NULL, from_right ? STRIP_RIGHT : STRIP_LEFT);
        if (!at && !t.n)
            break;
        const char *cut = most != 0 ? separator(t, at, from_right, &len) : NULL;
        text part = t;
        more = cut != NULL;
        if (cut && !from_right) {
            part.n = (size_t)(cut - t.s);
            t.n -= part.n + len;
            t.s = cut + len;
        } else if (cut) {
            part.n = t.n - (size_t)(cut + len - t.s);
            part.s = cut + len;
            t.n = (size_t)(cut - t.s);
        } else if (!at) { /* what is left keeps its white space inside */
            part = text_strip(part, NULL, from_right ? STRIP_LEFT : most < 0 ? STRIP_RIGHT : 0);
        }
        most -= most > 0;
        if (n == cap) {
            value *larger = jinja_alloc(j, cap * 2, sizeof *larger);
            if (!larger)
                break;
            memcpy(larger, v, n * sizeof *v);
            v = larger;
            cap *= 2;
        }
        v[n++] = value_text(part);
    }
    value out = value_new_list(j, n, false);
    for (size_t i = 0; !j->rc && i < n; i++)
        out.u.list->v[i] = v[from_right ? n - 1 - i : i];
    return out;
}
