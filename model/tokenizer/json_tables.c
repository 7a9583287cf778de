/* Vocabulary and merges of a tokenizer.json without a tree of values.
 *
 * They are nearly all of the file, and a value for each of their strings takes longer to build than all the
 * rest of loading.  So model.vocab and model.merges are read here, straight from the bytes, and only what
 * remains is given to the JSON parser.  This reader reports nothing: in any doubt it gives up, and the parser
 * gets the whole file, with the final say on what is wrong with it. */
#include <stdlib.h>
#include <string.h>

#include "model/tokenizer/parts.h"

typedef struct scan {
    const char *p, *end;
    arena *mem;              /* strings with escapes */
    json_tables *out;
    size_t cap_vocab, cap_merges;
} scan;

enum { MAX_DEPTH = 256 };

static void space(scan *c)
{
    while (c->p < c->end && (*c->p == ' ' || *c->p == '\n' || *c->p == '\t' || *c->p == '\r'))
        c->p++;
}

/* The next character that is no space, consumed when it is `want`. */
static bool take(scan *c, char want)
{
    space(c);
    if (c->p == c->end || *c->p != want)
        return false;
    c->p++;
    return true;
}

static bool read_hex(uint32_t *out, const char *s, const char *end)
{
    *out = 0;
    if (end - s < 4)
        return false;
    for (int i = 0; i < 4; i++) {
        char d = s[i];
        int v = d >= '0' && d <= '9' ? d - '0' : d >= 'a' && d <= 'f' ? d - 'a' + 10 :
                d >= 'A' && d <= 'F' ? d - 'A' + 10 : -1;
        if (v < 0)
            return false;
        *out = *out << 4 | (uint32_t)v;
    }
    return true;
}

/* An escape; c->p is behind the backslash.  NUL is left to the parser. */
static int unescape(scan *c, char out[4])
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    uint32_t high, low;
    char letter = c->p < c->end ? *c->p++ : 0;
    const char *known = letter ? strchr(from, letter) : NULL;

    if (known) {
        *out = to[known - from];
        return 1;
    }
    if (letter != 'u' || !read_hex(&high, c->p, c->end) || high == 0)
        return 0;
    c->p += 4;
    if (high >= 0xd800 && high <= 0xdbff) {
        if (c->end - c->p < 6 || c->p[0] != '\\' || c->p[1] != 'u' || !read_hex(&low, c->p + 2, c->end) ||
            low < 0xdc00 || low > 0xdfff)
            return 0;
        c->p += 6;
        high = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
    } else if (high >= 0xdc00 && high <= 0xdfff) {
        return 0;
    }
    return unicode_put(out, high);
}

/* A string; without escapes it stays where it is. */
static bool string(scan *c, const char **s, size_t *n)
{
    if (!take(c, '"'))
        return false;
    const char *begin = c->p, *from;
    char *copy = NULL;

    for (from = begin; c->p < c->end; ) {
        unsigned char b = (unsigned char)*c->p;
        if (b == '"') {
            size_t rest = (size_t)(c->p - from);
            if (copy) {
                memcpy(copy + *n, from, rest);
                *n += rest;
            } else {
                *n = rest;
            }
            *s = copy ? copy : begin;
            c->p++;
            return true;
        }
        if (b >= 0x80) {
            int len = utf8_next(NULL, c->p, (size_t)(c->end - c->p));
            if (!len)
                return false;
            c->p += len;
        } else if (b < 0x20) {
            return false;
        } else if (b != '\\') {
            c->p++;
        } else {
            char out[4];
            size_t rest = (size_t)(c->p - from);
            if (!copy) { /* it shrinks: the bytes up to its end are enough */
                size_t size = (size_t)(c->p - begin), all = (size_t)(c->end - begin);
                while (size < all && begin[size] != '"')
                    size += begin[size] == '\\' ? 2 : 1;
                copy = size < all ? arena_alloc(c->mem, size + 1, 1, NULL) : NULL;
                if (!copy)
                    return false;
                *n = 0;
            }
            memcpy(copy + *n, from, rest);
            *n += rest;
            c->p++;
            int len = unescape(c, out);
            if (!len)
                return false;
            memcpy(copy + *n, out, (size_t)len);
            *n += (size_t)len;
            from = c->p;
        }
    }
    return false;
}

/* Past any value; its syntax is the parser's business. */
static bool skip(scan *c)
{
    int depth = 0;

    space(c);
    do {
        if (c->p == c->end)
            return false;
        char b = *c->p;
        if (b == '"') {
            for (c->p++; c->p < c->end && *c->p != '"'; c->p++)
                if (*c->p == '\\' && ++c->p == c->end)
                    return false;
            if (c->p == c->end)
                return false;
            c->p++;
        } else if (b == '{' || b == '[') {
            if (++depth > MAX_DEPTH)
                return false;
            c->p++;
        } else if (b == '}' || b == ']') {
            if (--depth < 0)
                return false;
            c->p++;
        } else if (depth) {
            c->p++;
        } else { /* a number or a word */
            const char *begin = c->p;
            while (c->p < c->end && !strchr(",]} \t\r\n\"{[:", *c->p))
                c->p++;
            return c->p > begin;
        }
    } while (depth);
    return true;
}

static bool grow(void **array, size_t n, size_t *cap, size_t size)
{
    if (n < *cap)
        return true;
    size_t more = *cap ? *cap * 2 : 4096;
    void *bigger = mem_grow(*array, more, size, NULL);
    if (!bigger)
        return false;
    *array = bigger;
    *cap = more;
    return true;
}

/* {"piece": 17, ...} */
static bool read_vocab(scan *c)
{
    json_tables *t = c->out;

    if (!take(c, '{'))
        return false;
    if (take(c, '}'))
        return true;
    do {
        vocab_item item = { 0 };
        int digits = 0;
        if (!grow((void **)&t->vocab, t->n_vocab, &c->cap_vocab, sizeof *t->vocab) ||
            !string(c, &item.s, &item.n) || !take(c, ':'))
            return false;
        space(c);
        if (c->p == c->end || (*c->p == '0' && c->p + 1 < c->end && c->p[1] >= '0' && c->p[1] <= '9'))
            return false;
        for (; c->p < c->end && *c->p >= '0' && *c->p <= '9' && digits < 18; c->p++, digits++)
            item.id = item.id * 10 + (*c->p - '0');
        if (!digits || (c->p < c->end && !strchr(", \t\r\n}", *c->p)))
            return false;
        t->vocab[t->n_vocab++] = item;
    } while (take(c, ','));
    return take(c, '}');
}

/* ["a b", ...] or [["a", "b"], ...] */
static bool read_merges(scan *c)
{
    json_tables *t = c->out;

    if (!take(c, '['))
        return false;
    if (take(c, ']'))
        return true;
    do {
        bpe_merge m = { 0 };
        if (!grow((void **)&t->merges, t->n_merges, &c->cap_merges, sizeof *t->merges))
            return false;
        if (take(c, '[')) {
            if (!string(c, &m.left, &m.n_left) || !take(c, ',') || !string(c, &m.right, &m.n_right) ||
                !take(c, ']'))
                return false;
        } else {
            const char *s;
            size_t n;
            if (!string(c, &s, &n))
                return false;
            if (n >= 8 && !memcmp(s, "#version", 8)) /* the first line of merges.txt */
                continue;
            if (!bpe_split_merge(&m, s, n))
                return false;
        }
        t->merges[t->n_merges++] = m;
    } while (take(c, ','));
    return take(c, ']');
}

static bool is(const char *s, size_t n, const char *name)
{
    return strlen(name) == n && !memcmp(s, name, n);
}

/* Where a value lay that was taken out. */
typedef struct hole { const char *begin, *end; } hole;

/* {..., "vocab": {}, "merges": [], ...} */
static bool read_model(scan *c, hole holes[2], int *n_hole)
{
    bool has_vocab = false, has_merges = false;
    const char *key;
    size_t n;

    if (!take(c, '{'))
        return false;
    do {
        if (!string(c, &key, &n) || !take(c, ':'))
            return false;
        space(c);
        const char *begin = c->p;
        bool is_vocab = is(key, n, "vocab"), is_merges = is(key, n, "merges");
        if ((is_vocab && has_vocab) || (is_merges && has_merges))
            return false;
        if (!(is_vocab ? read_vocab(c) : is_merges ? read_merges(c) : skip(c)))
            return false;
        has_vocab |= is_vocab;
        has_merges |= is_merges;
        if (is_vocab || is_merges)
            holes[(*n_hole)++] = (hole){ begin, c->p };
    } while (take(c, ','));
    return has_vocab && has_merges && take(c, '}');
}

static bool read_root(scan *c, hole holes[2], int *n_hole)
{
    bool found = false;
    const char *key;
    size_t n;

    if (!take(c, '{'))
        return false;
    do {
        if (!string(c, &key, &n) || !take(c, ':'))
            return false;
        bool is_model = is(key, n, "model");
        if ((is_model && found) || !(is_model ? read_model(c, holes, n_hole) : skip(c)))
            return false;
        found |= is_model;
    } while (take(c, ','));
    return found && take(c, '}');
}

bool json_tables_read(json_tables *out, strbuf *rest, const char *bytes, size_t n)
{
    *out = (json_tables){ 0 };
    scan c = { .p = bytes, .end = bytes + n, .mem = &out->mem, .out = out };
    hole holes[2];
    int n_hole = 0;
    const char *from = bytes;

    if (!read_root(&c, holes, &n_hole)) {
        json_tables_free(out);
        return false;
    }
    for (int i = 0; i < n_hole; i++) {
        strbuf_add(rest, from, (size_t)(holes[i].begin - from));
        strbuf_puts(rest, "null");
        from = holes[i].end;
    }
    strbuf_add(rest, from, (size_t)(bytes + n - from));
    out->present = true;
    return true;
}

bool json_vocab_read(json_tables *out, const char *bytes, size_t n)
{
    *out = (json_tables){ .present = true };
    scan c = { .p = bytes, .end = bytes + n, .mem = &out->mem, .out = out };

    if (read_vocab(&c)) {
        space(&c);
        if (c.p == c.end)
            return true;
    }
    json_tables_free(out);
    return false;
}

void json_tables_free(json_tables *t)
{
    free(t->vocab);
    free(t->merges);
    arena_free(&t->mem);
    *t = (json_tables){ 0 };
}
