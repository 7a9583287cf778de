/* Precompiled character maps, as SentencePiece writes them: a 32-bit count of bytes, a double array in Darts'
 * form (a trie whose keys are UTF-8 strings), then NUL-terminated replacements.
 *
 * A unit of the array: bits 0-7 and 31 are the label, bit 8 says that a key ends here, bits 10-30 with bit 9
 * as a factor of 256 are the offset to the children; a leaf holds a position among the replacements. */
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "model/tokenizer/parts.h"

struct charsmap {
    const uint32_t *units; size_t n_unit;
    const char *texts; size_t n_text;      /* its last byte is NUL */
};

enum { SHORT_CLUSTER = 6 }; /* bytes: below, a cluster of characters is looked up as a whole */

static int damaged(err *e, const char *what)
{
    return err_set(e, ERR_INPUT, "precompiled_charsmap: %s", what);
}

int charsmap_new(const charsmap **out, tokenizer *t, const void *bytes, size_t n, err *e)
{
    const unsigned char *u = bytes;
    charsmap *m = arena_alloc(&t->mem, 1, sizeof *m, e);
    size_t size = 0;

    if (!m)
        return ERR_RESOURCE;
    for (int i = 3; n >= 4 && i >= 0; i--)
        size = size << 8 | u[i];
    if (n < 4 || size > n - 4 || size % 4)
        return damaged(e, "the size of its table is wrong");
    m->n_unit = size / 4;
    m->n_text = n - 4 - size;
    uint32_t *units = arena_alloc(&t->mem, m->n_unit, sizeof *units, e);
    char *texts = arena_alloc(&t->mem, m->n_text + 1, 1, e); /* a NUL behind the last */
    if (!units || !texts)
        return ERR_RESOURCE;
    for (size_t i = 0; i < m->n_unit; i++) {
        const unsigned char *p = u + 4 + 4 * i;
        units[i] = p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
    }
    memcpy(texts, u + 4 + size, m->n_text);
    for (size_t i = 0, len; i < m->n_text; i += len) {
        len = (unsigned char)texts[i] < 0x80 ? 1 : (size_t)utf8_next(NULL, texts + i, m->n_text - i);
        if (!len)
            return damaged(e, "a replacement is not UTF-8");
    }
    m->n_text++;
    m->units = units;
    m->texts = texts;
    *out = m;
    return 0;
}

int charsmap_from_base64(const charsmap **out, tokenizer *t, const char *s, size_t n, err *e)
{
    unsigned char *bytes = mem_array(n / 4 * 3 + 3, 1, e);
    size_t n_byte;
    int rc = ERR_RESOURCE;

    if (bytes)
        rc = base64_decode(bytes, &n_byte, s, n) ? charsmap_new(out, t, bytes, n_byte, e)
                                                 : damaged(e, "it is no base64");
    free(bytes);
    return rc;
}

static size_t offset_of(uint32_t unit)
{
    return (size_t)(unit >> 10) << ((unit & 0x200) >> 6);
}

const char *charsmap_find(const charsmap *m, const char *s, size_t n, bool shortest, size_t *used, size_t *len)
{
    const char *found = NULL;
    size_t at;

    if (!m->n_unit)
        return NULL;
    at = offset_of(m->units[0]);
    for (size_t i = 0; i < n && s[i]; i++) {
        unsigned char c = (unsigned char)s[i];
        at ^= c;
        if (at >= m->n_unit || (m->units[at] & 0x800000ffu) != c)
            break;
        uint32_t unit = m->units[at];
        at ^= offset_of(unit);
        if (at >= m->n_unit)
            break;
        if (unit & 0x100) {
            size_t text_at = m->units[at] & 0x7fffffffu;
            if (text_at >= m->n_text)
                break;
            found = m->texts + text_at;
            *used = i + 1;
            *len = strlen(found);
            if (shortest)
                break;
        }
    }
    return found;
}

/* ---- normalizer Precompiled ---- */

/* End of the cluster (grapheme) that begins at byte i. */
static size_t cluster_end(const text *x, size_t i)
{
    utf8proc_int32_t state = 0;
    uint32_t c, next;

    i += (size_t)unicode_next(&c, x->s + i, x->n - i);
    if (c != '\r' && c < 0x80 && (i == x->n || (unsigned char)x->s[i] < 0x80))
        return i;
    while (i < x->n && c != UNICODE_BAD) {
        size_t len = (size_t)unicode_next(&next, x->s + i, x->n - i);
        if (next == UNICODE_BAD ||
            utf8proc_grapheme_break_stateful((utf8proc_int32_t)c, (utf8proc_int32_t)next, &state))
            break;
        i += len;
        c = next;
    }
    return i;
}

/* Replace [begin, end) by what its start maps to; false when that is nothing. */
static bool put_mapped(text_out *o, size_t *done, const charsmap *m, const text *x, size_t begin, size_t end)
{
    size_t used, len;
    const char *s = charsmap_find(m, x->s + begin, end - begin, true, &used, &len);

    if (!s)
        return false;
    text_copy(o, x, *done, begin);
    text_add(o, s, len, text_where(x, begin, end));
    *done = end;
    return true;
}

/* The original looks a short cluster up as a whole, and takes the replacement of its shortest start for all of
 * it; longer ones character by character. */
int normalize_precompiled(const normalizer *z, text *out, const text *x, work *w, err *e)
{
    text_out o = { .w = w };
    size_t done = 0, end;

    for (size_t begin = 0; begin < x->n; begin = end) {
        uint32_t c;
        end = cluster_end(x, begin);
        unicode_next(&c, x->s + begin, x->n - begin);
        if (end - begin < SHORT_CLUSTER && c != UNICODE_BAD && put_mapped(&o, &done, z->map, x, begin, end))
            continue;
        for (size_t i = begin, len; i < end; i += len) {
            len = (size_t)unicode_next(&c, x->s + i, x->n - i);
            if (c != UNICODE_BAD)
                put_mapped(&o, &done, z->map, x, i, i + len);
        }
    }
    *out = *x;
    if (!done)
        return 0;
    text_copy(&o, x, done, x->n);
    return text_done(&o, out, e);
}
