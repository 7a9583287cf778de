#include "model/tokenizer/slow_vocab.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mapfile.h"
#include "model/tokenizer/models/unigram.h"
#include "model/tokenizer/models/wordpiece.h"
#include "model/tokenizer/sentencepiece.h"

enum { MAX_FILE = 512 << 20 };

bool slow_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

static char *path_of(const char *directory, const char *name)
{
    strbuf b = { 0 };

    strbuf_printf(&b, "%s/%s", directory, name);
    if (!b.failed && slow_exists(b.s))
        return strbuf_take(&b, NULL);
    strbuf_free(&b);
    return NULL;
}

bool slow_find(slow_place *out, const char *directory)
{
    static const char *const models[] = { "tokenizer.model", "spiece.model", "sentencepiece.bpe.model",
                                          "sentencepiece.model" };

    *out = (slow_place){ .files = SLOW_BPE };
    out->vocab = path_of(directory, "vocab.json");
    out->merges = path_of(directory, "merges.txt");
    if (out->vocab && out->merges)
        return true;
    slow_place_free(out);
    out->files = SLOW_SPM;
    for (size_t i = 0; !out->vocab && i < sizeof models / sizeof *models; i++)
        out->vocab = path_of(directory, models[i]);
    if (!out->vocab) {
        out->files = SLOW_WORDPIECE;
        out->vocab = path_of(directory, "vocab.txt");
    }
    return out->vocab != NULL;
}

void slow_place_free(slow_place *p)
{
    free(p->vocab);
    free(p->merges);
    *p = (slow_place){ .files = SLOW_BPE };
}

/* The next line without its end; false behind the last. */
static bool next_line(const char **line, size_t *n, const char **at, const char *end)
{
    if (*at == end)
        return false;
    const char *stop = memchr(*at, '\n', (size_t)(end - *at));
    *line = *at;
    *n = (size_t)((stop ? stop : end) - *at);
    *at = stop ? stop + 1 : end;
    if (*n && (*line)[*n - 1] == '\r')
        --*n;
    return true;
}

/* ---- vocab.json and merges.txt ---- */

static int read_bpe(tokenizer *t, const char *table, size_t n_table, const char *merges, size_t n_merges,
    const slow_class *c, const char *unk, err *e)
{
    bpe_merge *list = NULL;
    size_t n = 0, cap = 0, n_line;
    const char *at = merges, *line;
    int rc = json_vocab_read(&t->tables, table, n_table)
                 ? 0 : err_set(e, ERR_INPUT, "vocab.json is no map from pieces to ids");

    if (!rc)
        rc = model_read_vocab(t, NULL, e);
    json_tables_free(&t->tables);
    for (size_t number = 1; !rc && next_line(&line, &n_line, &at, merges + n_merges); number++) {
        if (!n_line || (n_line >= 8 && !memcmp(line, "#version", 8)))
            continue;
        if (n == cap) {
            cap = cap ? cap * 2 : 4096;
            bpe_merge *more = mem_grow(list, cap, sizeof *more, e);
            if (!more) {
                rc = ERR_RESOURCE;
                break;
            }
            list = more;
        }
        if (!bpe_split_merge(&list[n++], line, n_line))
            rc = err_set(e, ERR_INPUT, "merges.txt:%zu: no pair of tokens", number);
    }
    if (!rc)
        rc = bpe_new(&t->model, t, list, n, &(bpe_options){ .unk = c->unk ? unk : NULL, .suffix = c->suffix }, e);
    free(list);
    return rc;
}

/* ---- vocab.txt ---- */

static int read_wordpiece(tokenizer *t, const char *s, size_t n, const char *unk, err *e)
{
    const char *at = s, *line;
    size_t n_line, count = 0;
    int64_t id = 0;
    int rc;

    while (next_line(&line, &n_line, &at, s + n))
        count++;
    if (!count || count > INT32_MAX)
        return err_set(e, ERR_INPUT, "vocab.txt has %zu lines", count);
    rc = vocab_reserve(&t->vocab, (int64_t)count, e);
    at = s;
    for (; !rc && next_line(&line, &n_line, &at, s + n); id++) {
        while (n_line) { /* white space at the end is no part of a piece */
            uint32_t c;
            size_t last = unicode_start(line, n_line, n_line - 1);
            unicode_next(&c, line + last, n_line - last);
            if (!unicode_is_space(c))
                break;
            n_line = last;
        }
        rc = vocab_add_later(&t->vocab, id, line, n_line, e);
    }
    return rc ? rc : wordpiece_new(&t->model, t, unk ? unk : "[UNK]", "##", 100, e);
}

/* ---- SentencePiece ---- */

/* Of all ways to make a piece of two others: in the order of ids, then of the length of the left part. */
static int merges_of_pieces(bpe_merge **out, size_t *n, const vocab *v, err *e)
{
    size_t cap = 0;

    for (int32_t id = 0; id < v->n; id++) {
        const vocab_entry *k = vocab_get(v, id);
        for (size_t i = 1; k && i < k->n_piece; i++) {
            if (((unsigned char)k->piece[i] & 0xc0) == 0x80 || vocab_find(v, k->piece, i) < 0 ||
                vocab_find(v, k->piece + i, k->n_piece - i) < 0)
                continue;
            if (*n == cap) {
                cap = cap ? cap * 2 : 4096;
                bpe_merge *more = mem_grow(*out, cap, sizeof *more, e);
                if (!more)
                    return ERR_RESOURCE;
                *out = more;
            }
            (*out)[(*n)++] = (bpe_merge){ k->piece, k->piece + i, i, k->n_piece - i };
        }
    }
    return 0;
}

/* A piece in its place; the first ones of XLM-R are its own. */
static int add_pieces(tokenizer *t, const spm_model *m, const slow_class *c, int extra_ids, double *scores, err *e)
{
    static const char *const own[] = { "<s>", "<pad>", "</s>", "<unk>" };
    size_t id = 0;
    int rc = 0;

    if (c->pieces == SLOW_PIECES_XLMR)
        for (; !rc && id < 4; id++)
            rc = vocab_add_later(&t->vocab, (int64_t)id, own[id], strlen(own[id]), e);
    for (size_t i = c->pieces == SLOW_PIECES_XLMR ? 3 : 0; !rc && i < m->n; i++, id++) {
        scores[id] = m->piece[i].score;
        rc = vocab_add_later(&t->vocab, (int64_t)id, m->piece[i].text.s, m->piece[i].text.n, e);
    }
    if (!rc && c->pieces == SLOW_PIECES_XLMR)
        rc = vocab_add_later(&t->vocab, (int64_t)id++, "<mask>", 6, e);
    for (int i = extra_ids - 1; !rc && c->pieces == SLOW_PIECES_T5 && i >= 0; i--) {
        char name[32];
        int n = snprintf(name, sizeof name, "<extra_id_%d>", i);
        rc = vocab_add_later(&t->vocab, (int64_t)id++, name, (size_t)n, e);
    }
    return rc;
}

static int list_added(tokenizer *t, const spm_model *m, const slow_class *c, int extra_ids, slow_added **list,
    size_t *n, err *e)
{
    *list = mem_array(m->n + (size_t)extra_ids, sizeof **list, e);
    if (!*list)
        return ERR_RESOURCE;
    for (size_t i = 0; i < m->n; i++) {
        const spm_piece *p = &m->piece[i];
        if (p->type != PIECE_CONTROL && p->type != PIECE_USER_DEFINED)
            continue;
        char *s = arena_strndup(&t->mem, p->text.s, p->text.n, e);
        if (!s)
            return ERR_RESOURCE;
        (*list)[(*n)++] = (slow_added){ s, p->text.n, p->type == PIECE_CONTROL };
    }
    for (int i = extra_ids - 1; c->pieces == SLOW_PIECES_T5 && i >= 0; i--) {
        char *s = arena_alloc(&t->mem, 32, 1, e);
        if (!s)
            return ERR_RESOURCE;
        (*list)[(*n)++] = (slow_added){ s, (size_t)snprintf(s, 32, "<extra_id_%d>", i), true };
    }
    return 0;
}

static int read_spm(tokenizer *t, const spm_model *m, const slow_class *c, const char *unk, int extra_ids,
    slow_added **list, size_t *n, err *e)
{
    bool unigram = c->pieces != SLOW_PIECES_AS_THEY_ARE || m->type == SPM_UNIGRAM;
    int rc;

    if (m->type != SPM_UNIGRAM && m->type != SPM_BPE)
        return tokenizer_refuse(e, "a SentencePiece model of this type (%lld)", (long long)m->type);
    if (unigram != (m->type == SPM_UNIGRAM))
        return err_set(e, ERR_INPUT, "the SentencePiece model is BPE where its tokenizer_class wants Unigram");
    size_t count = c->pieces == SLOW_PIECES_T5 ? m->n + (size_t)extra_ids
            : c->pieces == SLOW_PIECES_XLMR ? (m->n > 3 ? m->n : 3) + 2 : m->n;
    double *scores = mem_array(count, sizeof *scores, e);
    rc = scores ? vocab_reserve(&t->vocab, (int64_t)count, e) : ERR_RESOURCE;
    if (!rc)
        rc = add_pieces(t, m, c, extra_ids, scores, e);
    if (!rc && c->charsmap && m->charsmap.n) {
        normalizer z = { .run = normalize_precompiled };
        rc = charsmap_new(&z.map, t, m->charsmap.s, m->charsmap.n, e);
        if (!rc)
            rc = normalizer_add(t, &z, e);
    }
    if (!rc && unigram) {
        int64_t unk_id = c->pieces == SLOW_PIECES_T5 ? 2 : c->pieces == SLOW_PIECES_XLMR ? 3 : m->unk_id;
        if (unk_id < 0 || unk_id >= t->vocab.n)
            rc = err_set(e, ERR_INPUT, "the unknown piece (%lld) is not in the vocabulary", (long long)unk_id);
        t->kind = tokenizer_model_find("Unigram");
        if (!rc)
            rc = unigram_new(&t->model, t, scores, &(unigram_options){
                .unk = (int32_t)unk_id, .byte_fallback = c->byte_fallback && m->byte_fallback }, e);
    } else if (!rc) {
        bpe_merge *merges = NULL;
        size_t n_merge = 0;
        rc = merges_of_pieces(&merges, &n_merge, &t->vocab, e);
        if (!rc)
            rc = bpe_new(&t->model, t, merges, n_merge, &(bpe_options){
                .unk = c->unk ? unk : NULL, .fuse_unk = true, .byte_fallback = c->byte_fallback }, e);
        free(merges);
    }
    free(scores);
    return rc ? rc : list_added(t, m, c, extra_ids, list, n, e);
}

/* ---- all ---- */

static int hash_files(tokenizer *t, const char *a, size_t n_a, const char *b, size_t n_b, err *e)
{
    sha256 *h;
    int rc = sha256_new(&h, e);

    if (rc)
        return rc;
    rc = sha256_add(h, a, n_a, e);
    if (!rc && n_b)
        rc = sha256_add(h, b, n_b, e);
    if (!rc)
        return sha256_done(h, t->hash, e);
    sha256_abandon(h);
    return rc;
}

int slow_read_vocab(tokenizer *t, const slow_place *place, const slow_class *c, const char *unk, int extra_ids,
    slow_added **list, size_t *n, err *e)
{
    static const char *const kinds[] = { "BPE", "WordPiece", "BPE" };
    char *table = NULL, *merges = NULL;
    size_t n_table = 0, n_merges = 0;
    spm_model m = { 0 };
    int rc = read_file(&table, &n_table, place->vocab, MAX_FILE, e);

    if (!rc && place->merges)
        rc = read_file(&merges, &n_merges, place->merges, MAX_FILE, e);
    t->kind = tokenizer_model_find(kinds[place->files]);
    if (!rc && !t->kind)
        rc = tokenizer_refuse(e, "model type %s", kinds[place->files]);
    if (!rc && place->files == SLOW_BPE)
        rc = read_bpe(t, table, n_table, merges, n_merges, c, unk, e);
    else if (!rc && place->files == SLOW_WORDPIECE)
        rc = read_wordpiece(t, table, n_table, unk, e);
    else if (!rc && !(rc = spm_read(&m, table, n_table, e)))
        rc = read_spm(t, &m, c, unk, extra_ids, list, n, e);
    spm_free(&m);
    if (!rc)
        rc = hash_files(t, table, n_table, merges, n_merges, e);
    else if (rc == ERR_INPUT && e)
        err_prefix(e, "%s", place->vocab);
    free(table);
    free(merges);
    return rc;
}
