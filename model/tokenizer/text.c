#include <stdlib.h>
#include <string.h>

#include "model/tokenizer/parts.h"

text text_part(const text *x, size_t begin, size_t end)
{
    return (text){
        .s = x->s + begin,
        .view = x->view + begin,
        .n = end - begin,
        .at = x->at + (uint32_t)begin,
        .from = x->from ? x->from + begin : NULL,
    };
}

static bool continues(const char *s, size_t i)
{
    return ((unsigned char)s[i] & 0xc0) == 0x80;
}

text_range text_where(const text *x, size_t begin, size_t end)
{
    if (x->from) {
        if (begin < end)
            return (text_range){ x->from[begin].begin, x->from[end - 1].end };
        uint32_t at = begin < x->n ? x->from[begin].begin : x->n ? x->from[x->n - 1].end : x->at;
        return (text_range){ at, at };
    }
    if (begin < end) {
        if (continues(x->s, begin))
            begin = unicode_start(x->s, x->n, begin);
        if (end < x->n && continues(x->s, end)) {
            size_t last = unicode_start(x->s, x->n, end);
            if (last < end)
                end = last + (size_t)utf8_next(NULL, x->s + last, x->n - last);
        }
    }
    return (text_range){ x->at + (uint32_t)begin, x->at + (uint32_t)end };
}

int work_emit(work *w, int32_t id, const text *x, size_t begin, size_t end, err *e)
{
    if (w->n_out == w->cap_out) {
        size_t cap = w->cap_out ? w->cap_out * 2 : 64;
        token *more = mem_grow(w->out, cap, sizeof *more, e);
        if (!more)
            return ERR_RESOURCE;
        w->out = more;
        w->cap_out = cap;
    }
    text_range r = text_where(x, begin, end);
    const vocab_entry *entry = vocab_get(&w->t->vocab, id);
    w->out[w->n_out++] = (token){
        .id = id,
        .special = entry && entry->flags & VOCAB_SPECIAL,
        .begin = r.begin,
        .end = r.end,
    };
    return 0;
}

/* Room for n more bytes; false when there is none. */
static bool room(text_out *o, size_t n)
{
    if (o->failed)
        return false;
    if (n <= o->cap - o->n)
        return true;
    size_t cap = o->cap ? o->cap : 64;
    while (cap - o->n < n)
        if (!size_mul(&cap, cap, 2)) {
            o->failed = true;
            return false;
        }
    char *s = arena_alloc(&o->w->mem, cap, 1, NULL);
    text_range *from = arena_alloc(&o->w->mem, cap, sizeof *from, NULL);
    if (!s || !from) {
        o->failed = true;
        return false;
    }
    if (o->n) {
        memcpy(s, o->s, o->n);
        memcpy(from, o->from, o->n * sizeof *from);
    }
    o->s = s;
    o->from = from;
    o->cap = cap;
    return true;
}

void text_add(text_out *o, const char *s, size_t n, text_range from)
{
    if (!n || !room(o, n))
        return;
    memcpy(o->s + o->n, s, n);
    for (size_t i = 0; i < n; i++)
        o->from[o->n + i] = from;
    o->n += n;
}

void text_copy(text_out *o, const text *x, size_t begin, size_t end)
{
    if (begin >= end || !room(o, end - begin))
        return;
    memcpy(o->s + o->n, x->s + begin, end - begin);
    if (x->from) {
        memcpy(o->from + o->n, x->from + begin, (end - begin) * sizeof *x->from);
    } else {
        for (size_t i = begin; i < end;) {
            uint32_t c;
            size_t len = (size_t)unicode_next(&c, x->s + i, x->n - i);
            text_range r = { x->at + (uint32_t)i, x->at + (uint32_t)(i + len) };
            for (size_t k = 0; k < len; k++)
                o->from[o->n + i - begin + k] = r;
            i += len;
        }
    }
    o->n += end - begin;
}

int text_done(text_out *o, text *out, err *e)
{
    if (o->failed || o->n > TOKENIZER_MAX_TEXT)
        return err_nomem(e, "text of the tokenizer");
    const char *view = unicode_view(o->s, o->n, &o->w->mem, e);
    if (!view && o->n)
        return ERR_RESOURCE;
    *out = (text){ .s = o->n ? o->s : "", .view = o->n ? view : "", .n = o->n, .from = o->from };
    return 0;
}

int text_to_byte_level(text *out, const text *x, work *w, err *e)
{
    text_out o = { .w = w };

    for (size_t i = 0; i < x->n; i++) {
        char c[4];
        int n = unicode_put(c, unicode_of_byte((unsigned char)x->s[i]));
        text_add(&o, c, (size_t)n, text_where(x, i, i + 1));
    }
    return text_done(&o, out, e);
}

bool text_from_byte_level(strbuf *out, const char *s, size_t n)
{
    size_t before = out->len, len;

    for (size_t i = 0; i < n; i += len) {
        uint32_t c;
        len = (size_t)unicode_next(&c, s + i, n - i);
        int byte = unicode_to_byte(c);
        if (byte < 0) {
            out->len = before;
            return false;
        }
        strbuf_putc(out, (char)byte);
    }
    return true;
}
