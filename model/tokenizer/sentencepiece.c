#include "model/tokenizer/sentencepiece.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/tokenizer/parts.h"

enum { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 }; /* wire types */

typedef struct message { const unsigned char *at, *end; } message;

typedef struct field {
    uint64_t number;
    int wire;
    uint64_t value;            /* VARINT, FIXED32, FIXED64 */
    message body;              /* BYTES */
} field;

static bool take_varint(uint64_t *out, message *m)
{
    *out = 0;
    for (int shift = 0; m->at < m->end && shift < 64; shift += 7) {
        unsigned char c = *m->at++;
        *out |= (uint64_t)(c & 0x7f) << shift;
        if (c < 0x80)
            return true;
    }
    return false;
}

static bool take_fixed(uint64_t *out, message *m, int n)
{
    if (m->end - m->at < n)
        return false;
    *out = 0;
    for (int i = 0; i < n; i++)
        *out |= (uint64_t)m->at[i] << 8 * i;
    m->at += n;
    return true;
}

/* The next field; false with *ok unchanged at the end, with *ok false when it is damaged. */
static bool take_field(field *out, message *m, bool *ok)
{
    uint64_t key;

    if (!*ok || m->at == m->end)
        return false;
    *ok = take_varint(&key, m) && key >> 3 != 0 && key >> 3 < (1u << 29);
    if (!*ok)
        return false;
    out->number = key >> 3;
    out->wire = (int)(key & 7);
    switch (out->wire) {
    case VARINT:
        *ok = take_varint(&out->value, m);
        break;
    case FIXED64:
        *ok = take_fixed(&out->value, m, 8);
        break;
    case FIXED32:
        *ok = take_fixed(&out->value, m, 4);
        break;
    case BYTES:
        *ok = take_varint(&out->value, m) && out->value <= (uint64_t)(m->end - m->at);
        if (*ok) {
            out->body = (message){ m->at, m->at + out->value };
            m->at += out->value;
        }
        break;
    default: /* groups are of no use here */
        *ok = false;
    }
    return *ok;
}

static spm_bytes bytes_of(const field *f)
{
    return (spm_bytes){ (const char *)f->body.at, (size_t)(f->body.end - f->body.at) };
}

/* A known field of this wire type; *ok turns false when it has another. */
static bool is(const field *f, uint64_t number, int wire, bool *ok)
{
    if (f->number != number)
        return false;
    if (f->wire != wire)
        *ok = false;
    return *ok;
}

static bool read_piece(spm_piece *p, message m)
{
    bool ok = true;
    field f;

    *p = (spm_piece){ .text = { "", 0 }, .type = PIECE_NORMAL };
    while (take_field(&f, &m, &ok)) {
        if (is(&f, 1, BYTES, &ok)) {
            p->text = bytes_of(&f);
        } else if (is(&f, 2, FIXED32, &ok)) {
            uint32_t bits = (uint32_t)f.value;
            memcpy(&p->score, &bits, sizeof bits);
        } else if (is(&f, 3, VARINT, &ok)) {
            if (f.value < PIECE_NORMAL || f.value > PIECE_BYTE)
                return false;
            p->type = (uint8_t)f.value;
        }
    }
    return ok;
}

static bool read_trainer(spm_model *s, message m)
{
    bool ok = true;
    field f;

    while (take_field(&f, &m, &ok)) {
        if (is(&f, 3, VARINT, &ok))
            s->type = (int64_t)f.value;
        else if (is(&f, 24, VARINT, &ok))
            s->as_suffix = f.value != 0;
        else if (is(&f, 35, VARINT, &ok))
            s->byte_fallback = f.value != 0;
        else if (is(&f, 40, VARINT, &ok))
            s->unk_id = (int32_t)(uint32_t)f.value;
        else if (is(&f, 44, BYTES, &ok))
            s->unk_surface = bytes_of(&f);
        else if (is(&f, 45, BYTES, &ok))
            s->unk = bytes_of(&f);
        else if (is(&f, 46, BYTES, &ok))
            s->bos = bytes_of(&f);
        else if (is(&f, 47, BYTES, &ok))
            s->eos = bytes_of(&f);
        else if (is(&f, 48, BYTES, &ok))
            s->pad = bytes_of(&f);
    }
    return ok;
}

static bool read_normalizer(spm_model *s, message m, spm_bytes *map)
{
    bool ok = true, prefix = true, extra = true, escape = true;
    field f;

    while (take_field(&f, &m, &ok)) {
        if (is(&f, 2, BYTES, &ok))
            *map = bytes_of(&f);
        else if (is(&f, 3, VARINT, &ok))
            prefix = f.value != 0;
        else if (is(&f, 4, VARINT, &ok))
            extra = f.value != 0;
        else if (is(&f, 5, VARINT, &ok))
            escape = f.value != 0;
    }
    if (map == &s->charsmap) {
        s->dummy_prefix = prefix;
        s->remove_extra = extra;
        s->escape = escape;
    }
    return ok;
}

static int damaged(err *e)
{
    err_set(e, ERR_INPUT, "the SentencePiece model is damaged or is none");
    return err_hint(e, "fetch the file again; a Git LFS pointer or an HTML page in its place is a common cause");
}

/* Pieces at the top, to make room for them all at once. */
static size_t count_pieces(message m, bool *ok)
{
    size_t n = 0;
    field f;

    while (take_field(&f, &m, ok))
        n += is(&f, 1, BYTES, ok);
    return n;
}

static int read_pieces(spm_model *s, message m, err *e)
{
    bool ok = true;
    field f;
    size_t n = count_pieces(m, &ok);

    if (!ok || n > INT32_MAX)
        return damaged(e);
    if (!n)
        return err_set(e, ERR_INPUT, "the SentencePiece model has no pieces");
    s->piece = mem_array(n, sizeof *s->piece, e);
    if (!s->piece)
        return ERR_RESOURCE;
    while (take_field(&f, &m, &ok)) {
        if (is(&f, 1, BYTES, &ok)) {
            spm_piece *p = &s->piece[s->n];
            if (!read_piece(p, f.body))
                return damaged(e);
            if (!isfinite(p->score))
                return err_set(e, ERR_INPUT, "the score of piece %zu is not finite", s->n);
            s->n++;
        } else if (is(&f, 2, BYTES, &ok)) {
            ok &= read_trainer(s, f.body);
        } else if (is(&f, 3, BYTES, &ok)) {
            ok &= read_normalizer(s, f.body, &s->charsmap);
        } else if (is(&f, 5, BYTES, &ok)) {
            ok &= read_normalizer(s, f.body, &s->denormalizer);
        }
    }
    return ok ? 0 : damaged(e);
}

bool spm_sniff(const unsigned char *bytes, size_t n)
{
    message m = { bytes, bytes + n };
    bool ok = true;
    field f;
    spm_piece p;

    return n && bytes[0] == 0x0a && take_field(&f, &m, &ok) && read_piece(&p, f.body) && p.text.n;
}

int spm_read(spm_model *out, const void *bytes, size_t n, err *e)
{
    const unsigned char *u = bytes;

    *out = (spm_model){
        .type = SPM_UNIGRAM, .dummy_prefix = true, .remove_extra = true, .escape = true,
        .unk_surface = { " \xe2\x81\x87 ", 5 }, .unk = { "<unk>", 5 }, .bos = { "<s>", 3 },
        .eos = { "</s>", 4 }, .pad = { "<pad>", 5 },
    };
    int rc = n ? read_pieces(out, (message){ u, u + n }, e) : damaged(e);
    if (rc)
        spm_free(out);
    return rc;
}

void spm_free(spm_model *m)
{
    free(m->piece);
    m->piece = NULL;
    m->n = 0;
}
