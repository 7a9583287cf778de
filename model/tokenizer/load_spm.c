/* A SentencePiece model as SentencePiece itself runs it. */
#include <stdlib.h>
#include <string.h>

#include "model/tokenizer/models/spm_bpe.h"
#include "model/tokenizer/models/unigram.h"
#include "model/tokenizer/spm.h"
#include "model/tokenizer/trie.h"

/* The user-defined pieces of t, or NULL. */
static int find_whole(const trie **out, tokenizer *t, const uint8_t *types, err *e)
{
    size_t n = 0;
    trie_item *items = mem_array((size_t)t->vocab.n, sizeof *items, e);
    int rc = items ? 0 : ERR_RESOURCE;

    *out = NULL;
    for (int32_t id = 0; !rc && id < t->vocab.n; id++) {
        const vocab_entry *v = &t->vocab.e[id];
        if (types[id] == PIECE_USER_DEFINED && v->piece)
            items[n++] = (trie_item){ v->piece, v->n_piece, id };
    }
    if (!rc && n)
        rc = trie_new(out, &t->mem, items, n, e);
    free(items);
    return rc;
}

int spm_build(tokenizer *t, const spm_parts *p, const normalizer *how, err *e)
{
    size_t n = (size_t)t->vocab.n;
    const trie *whole;
    int rc = find_whole(&whole, t, p->types, e);

    if (rc)
        return rc;
    t->kind = tokenizer_model_find(p->unigram ? "Unigram" : "SentencePiece BPE");
    if (!t->kind)
        return tokenizer_refuse(e, "this kind of SentencePiece model");
    if (p->unigram) {
        double *scores = mem_array(n, sizeof *scores, e);
        if (!scores)
            return ERR_RESOURCE;
        for (size_t i = 0; i < n; i++)
            scores[i] = p->scores[i];
        rc = unigram_new(&t->model, t, scores, &(unigram_options){
            .unk = p->unk, .byte_fallback = p->byte_fallback, .sentencepiece = true, .types = p->types }, e);
        free(scores);
    } else {
        rc = spm_bpe_new(&t->model, t, &(spm_bpe_options){
            .scores = p->scores, .types = p->types, .whole = whole, .unk = p->unk,
            .byte_fallback = p->byte_fallback }, e);
    }
    if (rc)
        return rc;
    normalizer z = *how;
    z.run = normalize_sentencepiece;
    z.keep = whole;
    rc = normalizer_add(t, &z, e);
    /* what a token stands for; whole sequences are decoded by decode_spm where t->spm is set */
    if (!rc)
        rc = decoder_add_metaspace(t, how->dummy_prefix, e);
    return rc;
}

/* ---- the file ---- */

static bool same(spm_bytes a, const vocab_entry *v)
{
    return v && v->n_piece == a.n && !memcmp(v->piece, a.s, a.n);
}

/* The control piece with this text; -1: none. */
static int32_t find_control(const tokenizer *t, const spm_model *s, spm_bytes name)
{
    int32_t id = name.n ? vocab_find(&t->vocab, name.s, name.n) : -1;
    return id >= 0 && s->piece[id].type == PIECE_CONTROL && same(name, vocab_get(&t->vocab, id)) ? id : -1;
}

static int add_pieces(tokenizer *t, const spm_model *s, spm_parts *p, err *e)
{
    float *scores = arena_alloc(&t->mem, s->n, sizeof *scores, e);
    uint8_t *types = arena_alloc(&t->mem, s->n, 1, e);
    int rc = scores && types ? vocab_reserve(&t->vocab, (int64_t)s->n, e) : ERR_RESOURCE;

    for (size_t i = 0; !rc && i < s->n; i++) {
        const spm_piece *k = &s->piece[i];
        if (!k->text.n)
            return err_set(e, ERR_INPUT, "piece %zu is empty", i);
        rc = vocab_add(&t->vocab, (int64_t)i, k->text.s, k->text.n, e);
        if (rc)
            return rc;
        scores[i] = k->score;
        types[i] = k->type;
        if (k->type == PIECE_CONTROL || k->type == PIECE_UNKNOWN)
            t->vocab.e[i].flags |= VOCAB_SPECIAL;
        if (k->type == PIECE_UNKNOWN) {
            if (p->unk >= 0)
                return err_set(e, ERR_INPUT, "the SentencePiece model has two unknown pieces");
            p->unk = (int32_t)i;
        }
    }
    if (!rc && p->unk < 0)
        return err_set(e, ERR_INPUT, "the SentencePiece model has no unknown piece");
    p->scores = scores;
    p->types = types;
    return rc;
}

static int add_roles(tokenizer *t, const spm_model *s, int32_t unk, err *e)
{
    const struct { const char *role; int32_t id; } roles[] = {
        { "bos_token", t->bos }, { "eos_token", t->eos }, { "pad_token", find_control(t, s, s->pad) },
        { "unk_token", unk },
    };
    int rc = 0;

    for (size_t i = 0; !rc && i < sizeof roles / sizeof *roles; i++) {
        const vocab_entry *v = vocab_get(&t->vocab, roles[i].id);
        if (v)
            rc = tokenizer_add_role(t, roles[i].role, v->piece, v->n_piece, e);
    }
    return rc;
}

static int build(tokenizer *t, const spm_model *s, err *e)
{
    static const char *const kinds[] = { "WORD", "CHAR" };
    spm_parts p = { .unigram = s->type == SPM_UNIGRAM, .unk = -1, .byte_fallback = s->byte_fallback };
    normalizer z = {
        .dummy_prefix = s->dummy_prefix, .remove_extra = s->remove_extra, .as_suffix = s->as_suffix,
        .no_escape = !s->escape,
    };
    spm_decoding *d = arena_alloc(&t->mem, 1, sizeof *d, e);
    int rc = 0;

    if (!d)
        return ERR_RESOURCE;
    if (s->type == SPM_WORD || s->type == SPM_CHAR)
        return tokenizer_refuse(e, "a SentencePiece model of type %s", kinds[s->type - SPM_WORD]);
    if (s->type != SPM_UNIGRAM && s->type != SPM_BPE)
        return tokenizer_refuse(e, "a SentencePiece model of type %lld", (long long)s->type);
    rc = add_pieces(t, s, &p, e);
    if (!rc && s->charsmap.n)
        rc = charsmap_new(&z.map, t, s->charsmap.s, s->charsmap.n, e);
    if (!rc && s->denormalizer.n)
        rc = charsmap_new(&d->map, t, s->denormalizer.s, s->denormalizer.n, e);
    if (!rc)
        rc = spm_build(t, &p, &z, e);
    if (rc)
        return rc;
    *d = (spm_decoding){
        .types = p.types, .map = d->map, .drop_space = s->dummy_prefix || s->remove_extra,
        .drop_spaces = s->remove_extra,
        .unknown = arena_strndup(&t->mem, s->unk_surface.s, s->unk_surface.n, e), .n_unknown = s->unk_surface.n,
    };
    if (!d->unknown)
        return ERR_RESOURCE;
    t->spm = d;
    t->bos = find_control(t, s, s->bos);
    t->eos = find_control(t, s, s->eos);
    rc = add_roles(t, s, p.unk, e);
    if (!rc && t->bos >= 0)
        rc = post_add(t, t->bos, false, e);
    return rc ? rc : post_describe(t, "the rule of Llama's models", e);
}

int tokenizer_load_spm(tokenizer *t, const void *bytes, size_t n, err *e)
{
    spm_model s;
    int rc = spm_read(&s, bytes, n, e);

    if (rc)
        return rc;
    rc = build(t, &s, e);
    if (!rc)
        rc = sha256_of(t->hash, bytes, n, e);
    if (!rc) {
        t->description = arena_strdup(&t->mem, s.type == SPM_BPE ? "SentencePiece BPE" : "SentencePiece Unigram", e);
        rc = t->description ? 0 : ERR_RESOURCE;
    }
    spm_free(&s);
    return rc;
}
