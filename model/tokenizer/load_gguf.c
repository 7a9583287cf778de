/* Byte-level BPE from the metadata of a GGUF file.
 *
 * GGUF names the pre-tokenizer (tokenizer.ggml.pre) and keeps vocabulary, merges and token types; what the
 * name stands for is in the table below.  The rules are those of the tokenizers that the files were converted
 * from, normaliser included, so that ids are the original ones. */
#include <stdlib.h>
#include <string.h>

#include "model/tokenizer/parts.h"

enum { NORMAL = 1, UNKNOWN = 2, CONTROL = 3, USER_DEFINED = 4 }; /* tokenizer.ggml.token_type */

#define HEAD "|[^\\r\\n\\p{L}\\p{N}]?" /* a character that a word may take along */
#define CONTRACTIONS "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define SPACES "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define LLAMA3 CONTRACTIONS HEAD "\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*" SPACES
#define QWEN2 CONTRACTIONS HEAD "\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*" SPACES
#define QWEN35 CONTRACTIONS HEAD "[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*" SPACES
#define UPPER "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define CASED(tail) "[^\\r\\n\\p{L}\\p{N}]?" UPPER "*" LOWER "+" tail HEAD UPPER "+" LOWER "*" tail
#define O200K CASED(CONTRACTIONS "?") "|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*" SPACES
#define TEKKEN CASED("") "|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*" SPACES
#define DEEPSEEK3 "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+" \
                  "|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*" SPACES
#define BLOOM " ?[^(\\s|.,!?\xe2\x80\xa6\xe3\x80\x82\xef\xbc\x8c\xe3\x80\x81\xe0\xa5\xa4\xdb\x94\xd8\x8c)]+"
/* ideographs, with kana or with all of U+0800 to U+4E00 and Hangul */
#define CJK_KANA "[\\x{4e00}-\\x{9fa5}\\x{3040}-\\x{309f}\\x{30a0}-\\x{30ff}]+"
#define CJK_WIDE "[\\x{4e00}-\\x{9fa5}\\x{800}-\\x{4e00}\\x{ac00}-\\x{d7ff}]+"
#define LEGACY_GPT2 "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)"

/* One step: a pattern, or one of these. */
#define DIGITS "digits"           /* each digit alone */
#define NUMBERS "numbers"         /* runs of digits */
#define PUNCTUATION "punctuation" /* runs of punctuation */
#define GPT2 "gpt2"               /* ByteLevel with its own pattern */

static const struct pre_name {
    const char *names;      /* between spaces */
    const char *steps[6];   /* in order; bytes are mapped behind GPT2, or behind the last */
    bool nfc, ignore_merges, add_bos;
} pre_names[] = {
    { " gpt-2 phi-2 jina-es jina-de jina-v1-en jina-v2-es jina-v2-de jina-v2-code roberta-bpe exaone4 ",
      { GPT2 }, .nfc = false },
    { " mpt olmo modern-bert ", { GPT2 }, .nfc = true },
    { " starcoder refact smollm codeshell exaone ", { DIGITS, GPT2 }, .nfc = false },
    { " command-r ", { DIGITS, GPT2 }, .nfc = true },
    { " falcon ", { PUNCTUATION, GPT2, NUMBERS, "[0-9][0-9][0-9]" }, .nfc = false },
    { " llama3 llama-v3 llama-bpe falcon3 falcon-h1 pixtral lfm2 ", { LLAMA3 },
      .ignore_merges = true, .add_bos = true },
    { " chatglm-bpe glm4 dbrx smaug-bpe ", { LLAMA3 }, .nfc = false },
    { " qwen2 deepseek-r1-qwen stablelm2 ", { QWEN2 }, .nfc = true },
    { " qwen35 ", { QWEN35 }, .nfc = true },
    { " gpt-4o llama4 ", { O200K }, .nfc = false },
    { " tekken ", { TEKKEN }, .ignore_merges = true, .add_bos = true },
    { " deepseek-v3 ", { "\\p{N}{1,3}", CJK_KANA, DEEPSEEK3 }, .nfc = false },
    { " deepseek-coder ", { "[\\r\\n]", "\\s?\\p{L}+", "\\s?\\p{P}+", CJK_WIDE, DIGITS }, .nfc = false },
    { " bloom poro-chat gpt3-finnish ", { BLOOM }, .nfc = false },
    { " default ", { "[\\p{P}\\$\\+<=>\\^~\\|]+", LEGACY_GPT2, "\\p{N}+", "[0-9][0-9][0-9]" }, .nfc = false },
};

static const struct pre_name *find_pre(gguf_string name)
{
    char word[64];

    if (!name.len || name.len > sizeof word - 3 || memchr(name.s, ' ', name.len) ||
        memchr(name.s, 0, name.len))
        return NULL;
    word[0] = ' ';
    memcpy(word + 1, name.s, name.len);
    memcpy(word + 1 + name.len, " ", 2);
    for (size_t i = 0; i < sizeof pre_names / sizeof *pre_names; i++)
        if (strstr(pre_names[i].names, word))
            return &pre_names[i];
    return NULL;
}

static int add_steps(tokenizer *t, const struct pre_name *pre, err *e)
{
    bool mapped = false;
    int rc = pre->nfc ? normalizer_add_nfc(t, e) : 0;

    for (size_t i = 0; !rc && i < sizeof pre->steps / sizeof *pre->steps && pre->steps[i]; i++) {
        const char *step = pre->steps[i];
        if (!strcmp(step, GPT2)) {
            rc = pretokenizer_add_byte_level(t, true, e);
            mapped = true;
        } else if (!strcmp(step, DIGITS) || !strcmp(step, NUMBERS)) {
            rc = pretokenizer_add_digits(t, !strcmp(step, DIGITS), e);
        } else if (!strcmp(step, PUNCTUATION)) {
            rc = pretokenizer_add_punctuation(t, SPLIT_CONTIGUOUS, e);
        } else {
            rc = pretokenizer_add_split(t, step, e);
        }
    }
    return rc || mapped ? rc : pretokenizer_add_byte_level(t, false, e);
}

/* ---- vocabulary ---- */

/* An array of strings; *out is freed by the caller. */
static int read_strings(gguf_string **out, size_t *n, const gguf_meta *m, const char *key, err *e)
{
    const gguf_kv *kv = gguf_find(m, key);

    *out = NULL;
    *n = 0;
    if (!kv || kv->type != GGUF_ARRAY || kv->element != GGUF_STRING)
        return err_set(e, ERR_INPUT, "%s is missing or no array of strings", key);
    if (kv->count > INT32_MAX)
        return err_set(e, ERR_INPUT, "%s has %llu elements, too many", key, (unsigned long long)kv->count);
    *n = (size_t)kv->count;
    *out = mem_array(*n, sizeof **out, e);
    if (!*out)
        return ERR_RESOURCE;
    return gguf_texts(*out, kv) ? 0 : err_set(e, ERR_INPUT, "%s is damaged", key);
}

/* An array with an element for each token, or nothing. */
static int check_length(const gguf_meta *m, const char *key, size_t n, const gguf_kv **out, err *e)
{
    *out = gguf_find(m, key);
    if (*out && ((*out)->type != GGUF_ARRAY || (*out)->count != n))
        return err_set(e, ERR_INPUT, "%s has %llu elements for %zu tokens", key,
                       (unsigned long long)(*out)->count, n);
    return 0;
}

static int add_added(tokenizer *t, int32_t id, gguf_string s, bool special, bool normalized, err *e)
{
    added_token *all = tokenizer_push(t, t->added, t->n_added, sizeof *all, e);

    if (!all)
        return ERR_RESOURCE;
    t->added = all;
    all[t->n_added++] = (added_token){
        .id = id, .s = t->vocab.e[id].piece, .n = s.len, .special = special, .normalized = normalized,
    };
    t->vocab.e[id].flags |= VOCAB_ADDED | (special ? VOCAB_SPECIAL : 0);
    return 0;
}

static int read_vocab(tokenizer *t, const gguf_meta *m, bool normalized, err *e)
{
    gguf_string *s = NULL;
    const gguf_kv *types, *scores;
    size_t n;
    int64_t type;
    int rc = read_strings(&s, &n, m, "tokenizer.ggml.tokens", e);

    if (!rc && n == 0)
        rc = err_set(e, ERR_INPUT, "the vocabulary is empty");
    if (!rc)
        rc = check_length(m, "tokenizer.ggml.token_type", n, &types, e);
    if (!rc)
        rc = check_length(m, "tokenizer.ggml.scores", n, &scores, e);
    if (!rc)
        rc = vocab_reserve(&t->vocab, (int64_t)n, e);
    for (size_t i = 0; !rc && i < n; i++) {
        if (s[i].len == 0) /* a row without a token */
            continue;
        rc = vocab_add(&t->vocab, (int64_t)i, s[i].s, s[i].len, e);
        if (rc || !types || !gguf_int(&type, types, i))
            continue;
        if (type == CONTROL || type == UNKNOWN || type == USER_DEFINED)
            rc = add_added(t, (int32_t)i, s[i], type != USER_DEFINED, type == USER_DEFINED && normalized, e);
    }
    free(s);
    return rc;
}

/* "a b": cut at the first space behind the first byte. */
static int read_merges(tokenizer *t, const gguf_meta *m, bool ignore_merges, err *e)
{
    gguf_string *s = NULL;
    bpe_merge *merges = NULL;
    size_t n;
    int rc = read_strings(&s, &n, m, "tokenizer.ggml.merges", e);

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
        rc = bpe_new(&t->model, t, merges, n, &(bpe_options){ .ignore_merges = ignore_merges }, e);
    free(merges);
    free(s);
    return rc;
}

/* ---- special ids ---- */

static int read_id(int32_t *out, const tokenizer *t, const gguf_meta *m, const char *key, err *e)
{
    const gguf_kv *kv = gguf_find(m, key);
    int64_t id;

    *out = -1;
    if (!kv)
        return 0;
    if (!gguf_int(&id, kv, 0) || id < 0 || id >= t->vocab.n)
        return err_set(e, ERR_INPUT, "%s is out of range (the vocabulary has %d tokens)", key, t->vocab.n);
    *out = (int32_t)id;
    return 0;
}

static int add_special(tokenizer *t, const gguf_meta *m, bool bos_by_default, err *e)
{
    bool bos = bos_by_default, eos = false;
    const char *where = "tokenizer.ggml.add_bos_token";
    int rc = read_id(&t->bos, t, m, "tokenizer.ggml.bos_token_id", e);

    if (!rc)
        rc = read_id(&t->eos, t, m, "tokenizer.ggml.eos_token_id", e);
    if (rc)
        return rc;
    if (!gguf_bool(&bos, gguf_find(m, "tokenizer.ggml.add_bos_token")) && bos)
        where = "the default of this pre-tokenizer";
    if (gguf_bool(&eos, gguf_find(m, "tokenizer.ggml.add_eos_token")) && eos)
        where = bos ? "tokenizer.ggml.add_bos_token and add_eos_token" : "tokenizer.ggml.add_eos_token";
    if (bos && t->bos >= 0)
        rc = post_add(t, t->bos, false, e);
    if (!rc && eos && t->eos >= 0)
        rc = post_add(t, t->eos, true, e);
    return rc ? rc : post_describe(t, where, e);
}

/* ---- hash ---- */

static const size_t element_size[GGUF_TYPE_COUNT] = {
    [GGUF_U8] = 1, [GGUF_I8] = 1, [GGUF_BOOL] = 1, [GGUF_U16] = 2, [GGUF_I16] = 2,
    [GGUF_U32] = 4, [GGUF_I32] = 4, [GGUF_F32] = 4, [GGUF_U64] = 8, [GGUF_I64] = 8, [GGUF_F64] = 8,
};

/* Bytes of an encoded value of a checked file. */
static size_t encoded_size(const gguf_kv *kv)
{
    size_t size = 0;

    if (kv->element != GGUF_STRING)
        return (size_t)kv->count * element_size[kv->element];
    for (uint64_t i = 0; i < kv->count; i++) {
        uint64_t len = 0;
        for (int k = 7; k >= 0; k--)
            len = len << 8 | kv->data[size + (size_t)k];
        size += 8 + (size_t)len;
    }
    return size;
}

/* Of every tokenizer.* key in file order: its name and a NUL, type, element type, count (8 bytes, little
 * endian) and the value as it is encoded in the file. */
static int hash_keys(tokenizer *t, const gguf_meta *m, err *e)
{
    sha256 *h;
    int rc = sha256_new(&h, e);

    if (rc)
        return rc;
    for (size_t i = 0; !rc && i < gguf_count(m); i++) {
        const gguf_kv *kv = gguf_at(m, i);
        unsigned char head[11] = { 0, (unsigned char)kv->type, (unsigned char)kv->element };
        if (kv->key.len < 10 || memcmp(kv->key.s, "tokenizer.", 10))
            continue;
        for (int k = 0; k < 8; k++)
            head[3 + k] = (unsigned char)(kv->count >> 8 * k);
        rc = sha256_add(h, kv->key.s, kv->key.len, e);
        if (!rc)
            rc = sha256_add(h, head, sizeof head, e);
        if (!rc && kv->count)
            rc = sha256_add(h, kv->data, encoded_size(kv), e);
    }
    if (rc) {
        sha256_abandon(h);
        return rc;
    }
    return sha256_done(h, t->hash, e);
}

/* ---- all ---- */

static int describe(tokenizer *t, gguf_string pre, err *e)
{
    strbuf b = { 0 };

    strbuf_puts(&b, "byte-level BPE (");
    if (pre.len)
        strbuf_put_visible(&b, pre.s, pre.len);
    else
        strbuf_puts(&b, "pre-tokenizer not named, legacy default");
    strbuf_putc(&b, ')');
    t->description = b.failed ? NULL : arena_strdup(&t->mem, strbuf_str(&b), e);
    strbuf_free(&b);
    return t->description ? 0 : err_nomem(e, "tokenizer");
}

int tokenizer_load_gguf(tokenizer *t, const gguf_meta *m, err *e)
{
    gguf_string name, pre = { "", 0 };

    if (!gguf_text(&name, gguf_find(m, "tokenizer.ggml.model"))) {
        err_set(e, ERR_INPUT, "no tokenizer in this file (tokenizer.ggml.model is missing)");
        return err_hint(e, "run, dump and generate take raw token ids (--ids) without the tokenizer");
    }
    if (name.len != 4 || memcmp(name.s, "gpt2", 4))
        return tokenizer_refuse(e, "tokenizer.ggml.model %.*s", name.len > 60 ? 60 : (int)name.len, name.s);
    gguf_text(&pre, gguf_find(m, "tokenizer.ggml.pre"));
    const struct pre_name *p = find_pre(pre.len ? pre : (gguf_string){ "default", 7 });
    if (!p)
        return tokenizer_refuse(e, "tokenizer.ggml.pre %.*s", pre.len > 60 ? 60 : (int)pre.len, pre.s);
    for (size_t i = 0; tokenizer_models[i]; i++)
        if (!strcmp(tokenizer_models[i]->type, "BPE"))
            t->kind = tokenizer_models[i];
    if (!t->kind)
        return tokenizer_refuse(e, "model type BPE");

    int rc = read_vocab(t, m, p->nfc, e);
    if (!rc)
        rc = read_merges(t, m, p->ignore_merges, e);
    if (!rc)
        rc = add_steps(t, p, e);
    if (!rc)
        rc = decoder_add_byte_level(t, e);
    if (!rc)
        rc = add_special(t, m, p->add_bos, e);
    if (!rc)
        rc = hash_keys(t, m, e);
    return rc ? rc : describe(t, pre, e);
}
