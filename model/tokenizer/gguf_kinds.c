/* The kinds of tokenizers in GGUF files, by tokenizer.ggml.model.
 *
 * The rules are those of the tokenizers that the files were converted from, normaliser included, so that ids
 * are the original ones.  Where a file does not say what the original did, the choice is told in
 * tokenizer_kind. */
#include <stdlib.h>
#include <string.h>

#include "model/tokenizer/gguf_load.h"
#include "model/tokenizer/gguf_pre.h"
#include "model/tokenizer/models/wordpiece.h"
#include "model/tokenizer/spm.h"

static const char mark[] = "\xe2\x96\x81"; /* U+2581, a space */

static int describe(tokenizer *t, const char *kind, const char *detail, size_t n, err *e)
{
    strbuf b = { 0 };

    strbuf_puts(&b, kind);
    if (n) {
        strbuf_puts(&b, " (");
        strbuf_put_visible(&b, detail, n);
        strbuf_putc(&b, ')');
    }
    t->description = b.failed ? NULL : arena_strdup(&t->mem, strbuf_str(&b), e);
    strbuf_free(&b);
    return t->description ? 0 : err_nomem(e, "tokenizer");
}

static int find_model(tokenizer *t, const char *type, err *e)
{
    t->kind = tokenizer_model_find(type);
    return t->kind ? 0 : tokenizer_refuse(e, "model type %s", type);
}

static bool flag(const gguf_meta *m, const char *key, bool otherwise)
{
    bool on = otherwise;
    gguf_bool(&on, gguf_find(m, key), 0);
    return on;
}

/* ---- gpt2: byte-level BPE ---- */

static int add_steps(tokenizer *t, const gguf_pre *pre, err *e)
{
    bool mapped = false;
    int rc = pre->nfc ? normalizer_add_nfc(t, e) : 0;

    for (size_t i = 0; !rc && i < sizeof pre->steps / sizeof *pre->steps && pre->steps[i]; i++) {
        const char *step = pre->steps[i];
        if (!strcmp(step, GGUF_PRE_GPT2)) {
            rc = pretokenizer_add_byte_level(t, true, e);
            mapped = true;
        } else if (!strcmp(step, GGUF_PRE_DIGITS) || !strcmp(step, GGUF_PRE_NUMBERS)) {
            rc = pretokenizer_add_digits(t, !strcmp(step, GGUF_PRE_DIGITS), e);
        } else if (!strcmp(step, GGUF_PRE_PUNCTUATION)) {
            rc = pretokenizer_add_punctuation(t, SPLIT_CONTIGUOUS, e);
        } else {
            rc = pretokenizer_add_split(t, step, e);
        }
    }
    return rc || mapped ? rc : pretokenizer_add_byte_level(t, false, e);
}

/* "a b": cut at the first space behind the first byte. */
static int read_merges(tokenizer *t, const gguf_meta *m, const bpe_options *o, err *e)
{
    gguf_string *s = NULL;
    bpe_merge *merges = NULL;
    size_t n;
    int rc = gguf_read_strings(&s, &n, m, "tokenizer.ggml.merges", e);

    if (!rc) {
        merges = mem_array(n, sizeof *merges, e);
        rc = merges ? 0 : ERR_RESOURCE;
    }
    for (size_t i = 0; !rc && i < n; i++) {
        const char *space = s[i].len < 3 ? NULL : memchr(s[i].s + 1, ' ', s[i].len - 2);
        if (!space) {
            rc = err_set(e, ERR_INPUT, "merge %zu is no pair of tokens", i + 1);
            break;
        }
        size_t left = (size_t)(space - s[i].s);
        merges[i] = (bpe_merge){ s[i].s, space + 1, left, s[i].len - left - 1 };
    }
    if (!rc)
        rc = bpe_new(&t->model, t, merges, n, o, e);
    free(merges);
    free(s);
    return rc;
}

int gguf_load_bpe(tokenizer *t, const gguf_meta *m, err *e)
{
    static const char unnamed[] = "pre-tokenizer not named, legacy default";
    gguf_string pre = { "", 0 };
    int rc = find_model(t, "BPE", e);

    if (rc)
        return rc;
    gguf_text(&pre, gguf_find(m, "tokenizer.ggml.pre"));
    const gguf_pre *p = gguf_pre_find(pre.len ? pre : (gguf_string){ "default", 7 });
    if (!p)
        return tokenizer_refuse(e, "tokenizer.ggml.pre %.*s", pre.len > 60 ? 60 : (int)pre.len, pre.s);
    rc = gguf_read_vocab(t, m, NULL, e);
    if (!rc)
        rc = gguf_add_specials(t, p->nfc, false, e);
    if (!rc)
        rc = read_merges(t, m, &(bpe_options){ .ignore_merges = p->ignore_merges }, e);
    if (!rc)
        rc = add_steps(t, p, e);
    if (!rc)
        rc = decoder_add_byte_level(t, e);
    if (!rc)
        rc = gguf_add_policy(t, m, &(gguf_policy){ .bos = p->add_bos, .bos_id = -1, .eos_id = -1,
                                                   .where = "the default of this pre-tokenizer" }, e);
    if (rc)
        return rc;
    return pre.len ? describe(t, "byte-level BPE", pre.s, pre.len, e)
                   : describe(t, "byte-level BPE", unnamed, sizeof unnamed - 1, e);
}

/* ---- gemma4: BPE with merges over the whole text ---- */

int gguf_load_gemma4(tokenizer *t, const gguf_meta *m, err *e)
{
    int rc = find_model(t, "BPE", e);

    if (!rc)
        rc = gguf_read_vocab(t, m, NULL, e);
    if (!rc)
        rc = gguf_add_specials(t, false, false, e);
    if (!rc)
        rc = read_merges(t, m, &(bpe_options){ .byte_fallback = true, .fuse_unk = true }, e);
    if (!rc)
        rc = normalizer_add(t, &(normalizer){ .run = normalize_sentencepiece }, e);
    if (!rc)
        rc = decoder_add_metaspace(t, false, e);
    if (!rc)
        rc = gguf_add_policy(t, m, &(gguf_policy){ .bos_id = -1, .eos_id = -1, .where = "the default" }, e);
    return rc ? rc : describe(t, "BPE", "gemma4", 6, e);
}

/* ---- llama: SentencePiece BPE ---- */

/* Tokens of Phi-3 take the white space behind them along; nothing but the name tells. */
static bool takes_space(const gguf_meta *m)
{
    gguf_string name;
    char s[64];
    size_t n = 0;

    if (!gguf_text(&name, gguf_find(m, "general.name")))
        return false;
    for (; n < name.len && n + 1 < sizeof s; n++)
        s[n] = (char)(name.s[n] >= 'A' && name.s[n] <= 'Z' ? name.s[n] + 32 : name.s[n]);
    s[n] = 0;
    return strstr(s, "phi-3") || strstr(s, "phi3");
}

/* User-defined pieces that hold the mark of a space are matched behind the normaliser by the model itself; the
 * others are added tokens.  Of Phi-3's, <unk>, <s> and <|endoftext|> leave the space. */
static int add_llama_specials(tokenizer *t, const gguf_meta *m, err *e)
{
    static const char *const plain[] = { "<unk>", "<s>", "<|endoftext|>" };
    bool rstrip = takes_space(m);
    int rc = gguf_add_specials(t, false, rstrip, e);
    size_t n = 0;

    for (size_t i = 0; !rc && i < t->n_added; i++) {
        added_token *a = &t->added[i];
        for (size_t k = 0; k < sizeof plain / sizeof *plain; k++)
            if (a->n == strlen(plain[k]) && !memcmp(a->s, plain[k], a->n))
                a->rstrip = false;
        if (!a->special && memmem(a->s, a->n, mark, 3))
            t->vocab.e[a->id].flags &= ~(uint32_t)VOCAB_ADDED;
        else
            t->added[n++] = *a;
    }
    t->n_added = n;
    return rc;
}

int gguf_load_llama(tokenizer *t, const gguf_meta *m, err *e)
{
    spm_parts p = { .byte_fallback = true };
    normalizer how = { .dummy_prefix = flag(m, "tokenizer.ggml.add_space_prefix", true) };
    int rc = gguf_read_vocab(t, m, NULL, e);

    if (rc)
        return rc;
    if (!t->gguf_scores)
        return err_set(e, ERR_INPUT, "tokenizer.ggml.scores is missing");
    p.scores = t->gguf_scores;
    p.types = t->gguf_types;
    rc = gguf_read_id(&p.unk, t, m, "tokenizer.ggml.unknown_token_id", 0, e);
    if (!rc)
        rc = add_llama_specials(t, m, e);
    if (!rc)
        rc = spm_build(t, &p, &how, e);
    if (!rc)
        rc = gguf_add_policy(t, m, &(gguf_policy){ .bos = true, .bos_id = 1, .eos_id = 2,
                                                   .where = "the default of SentencePiece models" }, e);
    return rc ? rc : describe(t, "SentencePiece BPE", NULL, 0, e);
}

/* ---- t5: SentencePiece Unigram ---- */

static int read_charsmap(const charsmap **out, tokenizer *t, const gguf_meta *m, err *e)
{
    const gguf_kv *kv = gguf_find(m, "tokenizer.ggml.precompiled_charsmap");

    if (!kv || !kv->count)
        return 0;
    if (kv->type != GGUF_ARRAY || (kv->element != GGUF_U8 && kv->element != GGUF_I8))
        return err_set(e, ERR_INPUT, "tokenizer.ggml.precompiled_charsmap is no array of bytes");
    return charsmap_new(out, t, kv->data, (size_t)kv->count, e);
}

int gguf_load_t5(tokenizer *t, const gguf_meta *m, err *e)
{
    spm_parts p = { .unigram = true };
    normalizer how = {
        .dummy_prefix = flag(m, "tokenizer.ggml.add_space_prefix", true),
        .remove_extra = flag(m, "tokenizer.ggml.remove_extra_whitespaces", false),
        .as_suffix = flag(m, "tokenizer.ggml.treat_whitespace_as_suffix", false),
    };
    int rc = gguf_read_vocab(t, m, NULL, e);

    if (rc)
        return rc;
    if (!t->gguf_scores)
        return err_set(e, ERR_INPUT, "tokenizer.ggml.scores is missing");
    p.scores = t->gguf_scores;
    p.types = t->gguf_types;
    for (int32_t id = 0; id < t->vocab.n; id++)
        p.byte_fallback |= p.types[id] == PIECE_BYTE;
    rc = gguf_read_id(&p.unk, t, m, "tokenizer.ggml.unknown_token_id", 2, e);
    if (!rc)
        rc = read_charsmap(&how.map, t, m, e);
    if (!rc)
        rc = gguf_add_specials(t, false, false, e);
    if (!rc)
        rc = spm_build(t, &p, &how, e);
    if (!rc)
        rc = gguf_add_policy(t, m, &(gguf_policy){ .eos = true, .bos_id = -1, .eos_id = 1,
                                                   .where = "the default of T5 models" }, e);
    return rc ? rc : describe(t, "SentencePiece Unigram", NULL, 0, e);
}

/* ---- bert: WordPiece ---- */

/* The file marks what begins a word; the original marks what does not. */
static void wordpiece_spelling(strbuf *out, gguf_string s)
{
    if (s.len >= 3 && !memcmp(s.s, mark, 3)) {
        s.s += 3;
        s.len -= 3;
    } else if (s.len < 2 || s.s[0] != '[' || s.s[s.len - 1] != ']') {
        strbuf_puts(out, "##");
    }
    strbuf_add(out, s.s, s.len);
}

/* Files do not say whether text is put in lower case: it is where no word of the vocabulary has capitals. */
static bool has_capitals(const tokenizer *t)
{
    for (int32_t id = 0; id < t->vocab.n; id++) {
        const vocab_entry *v = vocab_get(&t->vocab, id);
        if (!v || *v->piece == '[' || *v->piece == '<')
            continue;
        for (size_t i = 0; i < v->n_piece; i++)
            if (v->piece[i] >= 'A' && v->piece[i] <= 'Z')
                return true;
    }
    return false;
}

int gguf_load_bert(tokenizer *t, const gguf_meta *m, err *e)
{
    int rc = find_model(t, "WordPiece", e);
    int32_t unk;

    if (!rc)
        rc = gguf_read_vocab(t, m, wordpiece_spelling, e);
    if (!rc)
        rc = gguf_read_id(&unk, t, m, "tokenizer.ggml.unknown_token_id", 100, e);
    if (!rc)
        rc = gguf_add_specials(t, false, false, e);
    if (rc)
        return rc;
    const vocab_entry *v = vocab_get(&t->vocab, unk);
    rc = wordpiece_new(&t->model, t, v ? v->piece : "[UNK]", "##", 100, e);
    bool lower = flag(m, "tokenizer.ggml.normalizer.lowercase", !has_capitals(t));
    bool strip = flag(m, "tokenizer.ggml.normalizer.strip_accents", lower);
    if (!rc)
        rc = normalizer_add(t, &(normalizer){ .run = normalize_bert, .clean = true, .ideographs = true,
                                              .lower = lower, .strip = strip }, e);
    if (!rc)
        rc = pretokenizer_add_bert(t, e);
    if (!rc)
        rc = decoder_add_wordpiece(t, e);
    if (!rc)
        rc = gguf_add_policy(t, m, &(gguf_policy){ .bos = true, .sep = true, .bos_id = 101, .eos_id = 102,
                                                   .where = "the rule of BERT" }, e);
    return rc ? rc : describe(t, "WordPiece", lower ? "lower case" : "cased", lower ? 10 : 5, e);
}
