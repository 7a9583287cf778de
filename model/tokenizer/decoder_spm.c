/* Ids to text as SentencePiece does it. */
#include <string.h>

#include "model/tokenizer/spm.h"

/* Bytes in a row: what is UTF-8 as it is, every other byte as U+FFFD. */
static void flush_bytes(strbuf *out, strbuf *bytes)
{
    for (size_t i = 0; i < bytes->len;) {
        int len = utf8_next(NULL, bytes->s + i, bytes->len - i);
        if (len)
            strbuf_add(out, bytes->s + i, (size_t)len);
        else
            strbuf_puts(out, "\xef\xbf\xbd");
        i += len ? (size_t)len : 1;
    }
    strbuf_clear(bytes);
}

static int byte_of(const vocab_entry *v)
{
    int byte = 0;

    for (size_t i = 3; v->n_piece == 6 && i < 5; i++) {
        char c = v->piece[i];
        byte = byte * 16 + (c >= '0' && c <= '9' ? c - '0' : (c & 0x4f) - 'A' + 10);
    }
    return byte & 0xff;
}

static void apply_map(strbuf *out, const charsmap *m, const char *s, size_t n)
{
    size_t used, len;

    for (size_t i = 0; i < n; i += used) {
        const char *to = charsmap_find(m, s + i, n - i, false, &used, &len);
        if (!to) {
            uint32_t c;
            to = s + i;
            used = len = (size_t)unicode_next(&c, s + i, n - i);
        }
        strbuf_add(out, to, len);
    }
}

int decode_spm(strbuf *out, const tokenizer *t, const int32_t *ids, int64_t n, bool skip_special, err *e)
{
    static const char mark[] = "\xe2\x96\x81";
    const spm_decoding *d = t->spm;
    strbuf whole = { 0 }, bytes = { 0 };
    bool at_start = d->drop_space, dropped = false;

    for (int64_t i = 0; i < n; i++) {
        const vocab_entry *v = vocab_get(&t->vocab, ids[i]);
        if (!v || (skip_special && v->flags & VOCAB_SPECIAL))
            continue;
        if (d->types[ids[i]] == PIECE_BYTE) {
            strbuf_putc(&bytes, (char)byte_of(v));
            continue;
        }
        flush_bytes(&whole, &bytes);
        if (dropped || whole.len)
            at_start = false;
        dropped = false;
        if (d->types[ids[i]] == PIECE_CONTROL)
            continue;
        if (d->types[ids[i]] == PIECE_UNKNOWN) {
            strbuf_add(&whole, d->unknown, d->n_unknown);
            continue;
        }
        const char *s = v->piece;
        size_t len = v->n_piece;
        if (at_start && len >= 3 && !memcmp(s, mark, 3)) {
            s += 3;
            len -= 3;
            dropped = !d->drop_spaces;
        }
        decoder_replace_all(&whole, s, len, mark, 3, " ");
    }
    flush_bytes(&whole, &bytes);
    if (d->map)
        apply_map(out, d->map, strbuf_str(&whole), whole.len);
    else
        strbuf_add(out, strbuf_str(&whole), whole.len);
    bool failed = whole.failed || bytes.failed;
    strbuf_free(&whole);
    strbuf_free(&bytes);
    return failed || out->failed ? err_nomem(e, "decoded text") : 0;
}
