/* Decoders: from pieces back to text.  Each turns a list of strings into another; the text is what the last
 * one leaves, joined. */
#include <stdlib.h>
#include <string.h>

#include "model/tokenizer/spm.h"

/* ---- a list of strings, one behind the other ---- */

typedef struct pieces {
    strbuf s;
    size_t *end; size_t n, cap; /* [n] where each ends in s */
    bool failed;
} pieces;

/* What was written to p->s since the last end is one string. */
static void pieces_end(pieces *p)
{
    if (p->n == p->cap) {
        size_t cap = p->cap ? p->cap * 2 : 64;
        size_t *end = mem_grow(p->end, cap, sizeof *end, NULL);
        if (!end) {
            p->failed = true;
            return;
        }
        p->end = end;
        p->cap = cap;
    }
    p->end[p->n++] = p->s.len;
}

static void pieces_add(pieces *p, const char *s, size_t n)
{
    strbuf_add(&p->s, s, n);
    pieces_end(p);
}

static const char *pieces_at(const pieces *p, size_t i, size_t *n)
{
    size_t begin = i ? p->end[i - 1] : 0;
    *n = p->end[i] - begin;
    return strbuf_str(&p->s) + begin;
}

static void pieces_free(pieces *p)
{
    strbuf_free(&p->s);
    free(p->end);
    *p = (pieces){ 0 };
}

/* ---- bytes ---- */

/* How many bytes of s, which begins no valid sequence, a decoder of UTF-8 replaces at once: the longest
 * start of a sequence that might have become valid, at least one (Unicode 3.9, U+FFFD substitution). */
static size_t broken(const char *s, size_t n)
{
    const unsigned char *u = (const unsigned char *)s;
    unsigned char low = 0x80, high = 0xbf;
    size_t want, have = 1;

    if (u[0] >= 0xc2 && u[0] <= 0xdf)
        want = 2;
    else if (u[0] >= 0xe0 && u[0] <= 0xef)
        want = 3;
    else if (u[0] >= 0xf0 && u[0] <= 0xf4)
        want = 4;
    else
        return 1;
    if (u[0] == 0xe0)
        low = 0xa0;
    else if (u[0] == 0xed)
        high = 0x9f;
    else if (u[0] == 0xf0)
        low = 0x90;
    else if (u[0] == 0xf4)
        high = 0x8f;
    while (have < want && have < n && u[have] >= low && u[have] <= high) {
        low = 0x80;
        high = 0xbf;
        have++;
    }
    return have;
}

/* s with U+FFFD for what is not UTF-8. */
static void put_lossy(strbuf *out, const char *s, size_t n)
{
    size_t done = 0, i = 0;

    while (i < n) {
        size_t len = (unsigned char)s[i] < 0x80 ? 1 : (size_t)utf8_next(NULL, s + i, n - i);
        if (len) {
            i += len;
            continue;
        }
        strbuf_add(out, s + done, i - done);
        strbuf_puts(out, "\xef\xbf\xbd");
        i += broken(s + i, n - i);
        done = i;
    }
    strbuf_add(out, s + done, n - done);
}

/* The byte of "<0xHH>"; -1: another string. */
static int byte_of_fallback(const char *s, size_t n)
{
    int byte = 0;

    if (n != 6 || memcmp(s, "<0x", 3) || s[5] != '>')
        return -1;
    for (int i = 3; i < 5; i++) {
        char c = s[i];
        int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 :
                    c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
        if (digit < 0)
            return -1;
        byte = byte * 16 + digit;
    }
    return byte;
}

/* ---- the decoders ---- */

static void run_byte_level(pieces *out, const pieces *in)
{
    strbuf bytes = { 0 };
    size_t n;

    for (size_t i = 0; i < in->n; i++) {
        const char *s = pieces_at(in, i, &n);
        if (!text_from_byte_level(&bytes, s, n))
            strbuf_add(&bytes, s, n);
    }
    put_lossy(&out->s, strbuf_str(&bytes), bytes.len);
    pieces_end(out);
    out->failed |= bytes.failed;
    strbuf_free(&bytes);
}

/* Bytes in a row become text together; when they are no text, U+FFFD for each. */
static void flush_bytes(pieces *out, strbuf *bytes)
{
    size_t i = 0, len = 1;

    while (i < bytes->len && (len = (size_t)utf8_next(NULL, bytes->s + i, bytes->len - i)))
        i += len;
    if (bytes->len && len)
        pieces_add(out, bytes->s, bytes->len);
    else
        for (i = 0; i < bytes->len; i++)
            pieces_add(out, "\xef\xbf\xbd", 3);
    strbuf_clear(bytes);
}

static void run_byte_fallback(pieces *out, const pieces *in)
{
    strbuf bytes = { 0 };
    size_t n;

    for (size_t i = 0; i < in->n; i++) {
        const char *s = pieces_at(in, i, &n);
        int byte = byte_of_fallback(s, n);
        if (byte >= 0) {
            strbuf_putc(&bytes, (char)byte);
            continue;
        }
        flush_bytes(out, &bytes);
        pieces_add(out, s, n);
    }
    flush_bytes(out, &bytes);
    out->failed |= bytes.failed;
    strbuf_free(&bytes);
}

static int put_replaced(strbuf *out, const decoder *d, const char *s, size_t n, regex_work *rw, err *e)
{
    arena mem = { 0 };
    regex_iter it = { 0 };
    size_t done = 0;
    int rc = 0;
    const char *view = unicode_view(s, n, &mem, e);

    if (!view)
        rc = ERR_RESOURCE;
    while (!rc) {
        rc = regex_next(&it, d->pattern, rw, view, n, e);
        if (rc || it.done)
            break;
        strbuf_add(out, s + done, it.begin - done);
        strbuf_add(out, d->s, d->n);
        done = it.end;
    }
    strbuf_add(out, s + done, n - done);
    arena_free(&mem);
    return rc;
}

/* s without up to `start` times d->s at its start and `stop` times at its end. */
static void put_stripped(strbuf *out, const decoder *d, const char *s, size_t n)
{
    for (int64_t i = 0; i < d->start && n >= d->n && !memcmp(s, d->s, d->n); i++) {
        s += d->n;
        n -= d->n;
    }
    for (int64_t i = 0; i < d->stop && n >= d->n && !memcmp(s + n - d->n, d->s, d->n); i++)
        n -= d->n;
    strbuf_add(out, s, n);
}

/* out = d(in) */
static int run(pieces *out, const pieces *in, const decoder *d, regex_work *rw, err *e)
{
    size_t n;
    int rc = 0;

    if (d->kind == DECODER_BYTE_LEVEL) {
        run_byte_level(out, in);
    } else if (d->kind == DECODER_BYTE_FALLBACK) {
        run_byte_fallback(out, in);
    } else if (d->kind == DECODER_FUSE) {
        pieces_add(out, strbuf_str(&in->s), in->s.len);
    } else {
        for (size_t i = 0; !rc && i < in->n; i++) {
            const char *s = pieces_at(in, i, &n);
            if (d->kind == DECODER_REPLACE)
                rc = put_replaced(&out->s, d, s, n, rw, e);
            else if (d->kind == DECODER_STRIP)
                put_stripped(&out->s, d, s, n);
            else if (d->kind == DECODER_WORDPIECE)
                decoder_wordpiece(&out->s, d, s, n, i == 0);
            else if (d->kind == DECODER_CTC) {
                size_t n_last = 0;
                const char *last = i ? pieces_at(in, i - 1, &n_last) : NULL;
                if (last && n_last == n && !memcmp(last, s, n)) /* held, not said again */
                    continue;
                decoder_ctc(&out->s, d, s, n);
                if (out->s.len == (out->n ? out->end[out->n - 1] : 0))
                    continue;
            } else if (d->kind == DECODER_METASPACE)
                decoder_replace_all(&out->s, s, n, d->s, d->n, i == 0 && d->drop_first ? "" : " ");
            else
                decoder_replace_all(&out->s, s, n, d->s, d->n, i + 1 == in->n ? "" : " ");
            pieces_end(out);
        }
    }
    if (!rc && (out->failed || out->s.failed))
        rc = err_nomem(e, "decoded text");
    return rc;
}

static int decode_pieces(strbuf *out, const tokenizer *t, pieces *list, err *e)
{
    regex_work *rw = NULL;
    size_t n;
    int rc = t->n_regex ? regex_work_new(&rw, e) : 0;

    for (size_t i = 0; !rc && i < t->n_decoder; i++) {
        pieces next = { 0 };
        rc = run(&next, list, &t->decoders[i], rw, e);
        pieces_free(list);
        *list = next;
    }
    for (size_t i = 0; !rc && i < list->n; i++) {
        const char *s = pieces_at(list, i, &n);
        if (i && !t->n_decoder)
            strbuf_putc(out, ' ');
        strbuf_add(out, s, n);
    }
    regex_work_free(rw);
    return rc;
}

/* The spelling of an id that decoding starts from: of an added token the normalised one. */
static const char *spelling(const tokenizer *t, int32_t id, size_t *n)
{
    const vocab_entry *v = &t->vocab.e[id];

    if (v->flags & VOCAB_RESPELLED)
        for (size_t i = 0; i < t->n_added; i++)
            if (t->added[i].id == id && t->added[i].pattern) {
                *n = t->added[i].n_pattern;
                return t->added[i].pattern;
            }
    *n = v->n_piece;
    return v->piece;
}

int tokenizer_decode(const tokenizer *t, const int32_t *ids, int64_t n, bool skip_special, strbuf *out,
    err *e)
{
    pieces list = { 0 };
    int rc = 0;

    if (t->spm)
        return decode_spm(out, t, ids, n, skip_special, e);
    for (int64_t i = 0; i < n; i++) {
        const vocab_entry *v = vocab_get(&t->vocab, ids[i]);
        size_t len;
        if (!v || (skip_special && v->flags & VOCAB_SPECIAL))
            continue;
        const char *s = spelling(t, ids[i], &len);
        pieces_add(&list, s, len);
    }
    rc = list.failed || list.s.failed ? err_nomem(e, "decoded text") : decode_pieces(out, t, &list, e);
    pieces_free(&list);
    return rc || !out->failed ? rc : err_nomem(e, "decoded text");
}

int decoder_text(strbuf *out, const tokenizer *t, const char *s, size_t n, regex_work *rw, err *e)
{
    strbuf now = { 0 };
    int byte = byte_of_fallback(s, n), rc = 0;

    strbuf_add(&now, s, n);
    for (size_t i = 0; !rc && i < t->n_decoder; i++) {
        const decoder *d = &t->decoders[i];
        strbuf next = { 0 };
        if (d->kind == DECODER_BYTE_FALLBACK && byte >= 0) {
            strbuf_clear(&now);
            strbuf_putc(&now, (char)byte);
            break;
        }
        if (d->kind != DECODER_REPLACE && d->kind != DECODER_METASPACE && d->kind != DECODER_WORDPIECE)
            continue;
        if (d->kind == DECODER_REPLACE)
            rc = put_replaced(&next, d, strbuf_str(&now), now.len, rw, e);
        else if (d->kind == DECODER_WORDPIECE) {
            bool inner = now.len > d->n && !memcmp(now.s, d->s, d->n);
            strbuf_add(&next, strbuf_str(&now) + (inner ? d->n : 0), now.len - (inner ? d->n : 0));
        } else
            decoder_replace_all(&next, strbuf_str(&now), now.len, d->s, d->n, " ");
        next.failed |= now.failed;
        strbuf_free(&now);
        now = next;
    }
    strbuf_add(out, strbuf_str(&now), now.len);
    out->failed |= now.failed;
    strbuf_free(&now);
    return rc;
}
