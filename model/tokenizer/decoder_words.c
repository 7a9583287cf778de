/* Decoders that put words together: WordPiece and CTC, and the cleaning of English spacing that both offer. */
#include <string.h>

#include "model/tokenizer/parts.h"

void decoder_replace_all(strbuf *out, const char *s, size_t n, const char *from, size_t n_from, const char *to)
{
    const char *at;

    while (n && n_from && (at = memmem(s, n, from, n_from))) {
        strbuf_add(out, s, (size_t)(at - s));
        strbuf_puts(out, to);
        n -= (size_t)(at - s) + n_from;
        s = at + n_from;
    }
    strbuf_add(out, s, n);
}

/* Spaces before marks and contractions go away, in this order. */
static void clean_up(strbuf *b)
{
    static const char *const rules[][2] = {
        { " .", "." }, { " ?", "?" }, { " !", "!" }, { " ,", "," }, { " ' ", "'" }, { " n't", "n't" },
        { " 'm", "'m" }, { " do not", " don't" }, { " 's", "'s" }, { " 've", "'ve" }, { " 're", "'re" },
    };

    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        size_t n = strlen(rules[i][0]);
        if (b->len < n || !memmem(b->s, b->len, rules[i][0], n))
            continue;
        strbuf next = { .failed = b->failed };
        decoder_replace_all(&next, b->s, b->len, rules[i][0], n, rules[i][1]);
        strbuf_free(b);
        *b = next;
    }
}

void decoder_wordpiece(strbuf *out, const decoder *d, const char *s, size_t n, bool first)
{
    strbuf b = { 0 };

    if (!first && n >= d->n && !memcmp(s, d->s, d->n))
        strbuf_add(&b, s + d->n, n - d->n);
    else {
        strbuf_puts(&b, first ? "" : " ");
        strbuf_add(&b, s, n);
    }
    if (d->cleanup)
        clean_up(&b);
    strbuf_add(out, strbuf_str(&b), b.len);
    out->failed |= b.failed;
    strbuf_free(&b);
}

void decoder_ctc(strbuf *out, const decoder *d, const char *s, size_t n)
{
    strbuf b = { 0 };

    decoder_replace_all(&b, s, n, d->s, d->n, "");
    if (d->cleanup) {
        clean_up(&b);
        decoder_replace_all(out, strbuf_str(&b), b.len, d->delimiter, d->n_delimiter, " ");
    } else {
        strbuf_add(out, strbuf_str(&b), b.len);
    }
    out->failed |= b.failed;
    strbuf_free(&b);
}
