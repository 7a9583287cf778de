/* Decoders: reading them, and the text of every token, which follows from them. */
#include <string.h>

#include "model/tokenizer/parts.h"

/* ---- the texts of the vocabulary ---- */

/* Printable ASCII spells itself. */
static bool plain_ascii(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (s[i] < 0x21 || s[i] > 0x7e)
            return false;
    return true;
}

/* Set v->text from what b holds. */
static int keep_text(tokenizer *t, vocab_entry *v, const strbuf *b, err *e)
{
    if (b->failed)
        return err_nomem(e, "vocabulary");
    v->text = arena_strndup(&t->mem, strbuf_str(b), b->len, e);
    v->n_text = (uint32_t)b->len;
    return v->text ? 0 : ERR_RESOURCE;
}

int decoder_texts(tokenizer *t, err *e)
{
    bool byte_level = t->last_byte_level;
    regex_work *rw = NULL;
    strbuf b = { 0 };
    int rc = t->n_regex ? regex_work_new(&rw, e) : 0;

    for (size_t i = 0; i < t->n_decoder; i++)
        byte_level |= t->decoders[i].kind == DECODER_BYTE_LEVEL;
    for (int32_t id = 0; !rc && id < t->vocab.n; id++) {
        vocab_entry *v = &t->vocab.e[id];
        size_t n = v->n_piece;
        v->text = v->piece;
        v->n_text = v->n_piece;
        if (!v->piece)
            continue;
        if (byte_level && v->flags & VOCAB_MODEL && plain_ascii(v->piece, n))
            v->flags |= VOCAB_BYTES;
        if (v->flags & VOCAB_ADDED)
            continue;
        if (t->suffix && n > t->n_suffix && !memcmp(v->piece + n - t->n_suffix, t->suffix, t->n_suffix))
            n -= t->n_suffix;
        v->n_text = (uint32_t)n; /* a text need not end in NUL */
        if (v->flags & VOCAB_BYTES)
            continue;
        strbuf_clear(&b);
        if (!byte_level)
            rc = decoder_text(&b, t, v->piece, n, rw, e);
        else if (text_from_byte_level(&b, v->piece, n))
            v->flags |= VOCAB_BYTES;
        else
            continue;
        if (!rc)
            rc = keep_text(t, v, &b, e);
    }
    strbuf_free(&b);
    regex_work_free(rw);
    return rc;
}

/* ---- reading ---- */

static int add(tokenizer *t, const decoder *d, err *e)
{
    decoder *all = tokenizer_push(t, t->decoders, t->n_decoder, sizeof *all, e);

    if (!all)
        return ERR_RESOURCE;
    t->decoders = all;
    all[t->n_decoder++] = *d;
    return 0;
}

int decoder_add_byte_level(tokenizer *t, err *e)
{
    return add(t, &(decoder){ .kind = DECODER_BYTE_LEVEL }, e);
}

int decoder_add_wordpiece(tokenizer *t, err *e)
{
    return add(t, &(decoder){ .kind = DECODER_WORDPIECE, .s = "##", .n = 2, .cleanup = true }, e);
}

int decoder_add_metaspace(tokenizer *t, bool prefix, err *e)
{
    int rc = add(t, &(decoder){ .kind = DECODER_BYTE_FALLBACK }, e);

    if (!rc)
        rc = add(t, &(decoder){ .kind = DECODER_METASPACE, .s = "\xe2\x96\x81", .n = 3 }, e);
    if (!rc)
        rc = add(t, &(decoder){ .kind = DECODER_FUSE }, e);
    return rc || !prefix ? rc : add(t, &(decoder){ .kind = DECODER_STRIP, .s = " ", .n = 1, .start = 1 }, e);
}

static int read_string(decoder *d, tokenizer *t, const json *v, const char *key, err *e)
{
    size_t n;
    const char *s = json_str(json_get(v, key), &n);

    if (!s)
        return err_set(e, ERR_INPUT, "decoder has no string \"%s\"", key);
    d->s = arena_strndup(&t->mem, s, n, e);
    d->n = n;
    return d->s ? 0 : ERR_RESOURCE;
}

static int read_replace(decoder *d, tokenizer *t, const json *v, err *e)
{
    const json *pattern = json_get(v, "pattern");
    size_t n;
    const char *s = json_str(json_get(pattern, "String"), &n);
    bool literal = s != NULL;

    if (!s)
        s = json_str(json_get(pattern, "Regex"), &n);
    if (!s)
        return err_set(e, ERR_INPUT, "decoder Replace has no pattern");
    int rc = tokenizer_regex(&d->pattern, t, s, n, literal, e);
    return rc ? rc : read_string(d, t, v, "content", e);
}

int decoder_from_json(tokenizer *t, const json *v, err *e)
{
    static const char *const types[] = {
        [DECODER_BYTE_LEVEL] = "ByteLevel", [DECODER_REPLACE] = "Replace",
        [DECODER_BYTE_FALLBACK] = "ByteFallback", [DECODER_FUSE] = "Fuse", [DECODER_STRIP] = "Strip",
        [DECODER_METASPACE] = "Metaspace", [DECODER_BPE] = "BPEDecoder", [DECODER_WORDPIECE] = "WordPiece",
        [DECODER_CTC] = "CTC",
    };
    const char *type = json_str(json_get(v, "type"), NULL);
    decoder d = { 0 };
    size_t kind = 0;
    int rc = 0;

    if (json_kind_of(v) <= JSON_NULL_)
        return 0;
    if (!type)
        return err_set(e, ERR_INPUT, "decoder has no type");
    if (!strcmp(type, "Sequence")) {
        const json *list = json_get(v, "decoders");
        for (size_t i = 0; !rc && i < json_count(list); i++)
            rc = decoder_from_json(t, json_at(list, i), e);
        return rc;
    }
    while (kind < sizeof types / sizeof *types && strcmp(type, types[kind]))
        kind++;
    if (kind == sizeof types / sizeof *types)
        return tokenizer_refuse(e, "decoder type %s", type);
    d.kind = (enum decoder_kind)kind;
    if (d.kind == DECODER_REPLACE) {
        rc = read_replace(&d, t, v, e);
    } else if (d.kind == DECODER_STRIP) {
        rc = read_string(&d, t, v, "content", e);
        json_int(&d.start, json_get(v, "start"));
        json_int(&d.stop, json_get(v, "stop"));
    } else if (d.kind == DECODER_METASPACE) {
        const char *scheme = json_str(json_get(v, "prepend_scheme"), NULL);
        d.drop_first = true;
        json_bool(&d.drop_first, json_get(v, "add_prefix_space"));
        if (scheme)
            d.drop_first = strcmp(scheme, "never") != 0;
        rc = read_string(&d, t, v, "replacement", e);
    } else if (d.kind == DECODER_BPE) {
        rc = read_string(&d, t, v, "suffix", e);
    } else if (d.kind == DECODER_WORDPIECE) {
        d.cleanup = true;
        json_bool(&d.cleanup, json_get(v, "cleanup"));
        rc = read_string(&d, t, v, "prefix", e);
    } else if (d.kind == DECODER_CTC) {
        size_t n;
        const char *s = json_str(json_get(v, "word_delimiter_token"), &n);
        d.cleanup = true;
        json_bool(&d.cleanup, json_get(v, "cleanup"));
        d.delimiter = arena_strndup(&t->mem, s ? s : "|", s ? n : 1, e);
        d.n_delimiter = s ? n : 1;
        rc = d.delimiter ? read_string(&d, t, v, "pad_token", e) : ERR_RESOURCE;
    }
    if (!rc && d.kind >= DECODER_STRIP && d.n == 0)
        rc = err_set(e, ERR_INPUT, "decoder %s has an empty string", type);
    return rc ? rc : add(t, &d, e);
}
