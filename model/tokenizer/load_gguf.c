/* Tokenizers from the metadata of a GGUF file: vocabulary, special tokens, hash.  What makes the kinds
 * different is in gguf_kinds.c. */
#include "model/tokenizer/gguf_load.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- vocabulary ---- */

int gguf_read_strings(gguf_string **out, size_t *n, const gguf_meta *m, const char *key, err *e)
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

static int add_added(tokenizer *t, int32_t id, uint8_t type, bool normalized, bool rstrip, err *e)
{
    added_token *all = tokenizer_push(t, t->added, t->n_added, sizeof *all, e);
    vocab_entry *v = &t->vocab.e[id];
    bool special = type != PIECE_USER_DEFINED;

    if (!all)
        return ERR_RESOURCE;
    t->added = all;
    all[t->n_added++] = (added_token){
        .id = id, .s = v->piece, .n = v->n_piece, .special = special, .normalized = !special && normalized,
        .rstrip = rstrip,
    };
    v->flags |= VOCAB_ADDED | (special ? VOCAB_SPECIAL : 0);
    return 0;
}

int gguf_read_vocab(tokenizer *t, const gguf_meta *m, gguf_spelling spelling, err *e)
{
    gguf_string *s = NULL;
    strbuf b = { 0 };
    const gguf_kv *types, *scores;
    size_t n;
    int64_t type;
    int rc = gguf_read_strings(&s, &n, m, "tokenizer.ggml.tokens", e);

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
        if (spelling) {
            strbuf_clear(&b);
            spelling(&b, s[i]);
            s[i] = (gguf_string){ strbuf_str(&b), b.len };
        }
        if (b.failed)
            rc = err_nomem(e, "vocabulary");
        else if (s[i].len)
            rc = vocab_add(&t->vocab, (int64_t)i, s[i].s, s[i].len, e);
    }
    strbuf_free(&b);
    free(s);
    if (rc)
        return rc;
    uint8_t *kept = arena_alloc(&t->mem, n, 1, e);
    float *score = arena_alloc(&t->mem, n, sizeof *score, e);
    if (!kept || !score)
        return ERR_RESOURCE;
    for (size_t i = 0; i < n; i++) {
        double v = 0;
        kept[i] = types && gguf_int(&type, types, i) && type >= PIECE_NORMAL && type <= PIECE_BYTE ? (uint8_t)type
                                                                                                  : PIECE_NORMAL;
        if (scores && !gguf_real(&v, scores, i))
            return err_set(e, ERR_INPUT, "tokenizer.ggml.scores holds no numbers");
        score[i] = (float)v;
        if (!isfinite(score[i]))
            return err_set(e, ERR_INPUT, "the score of token %zu is not finite", i);
    }
    t->gguf_types = kept;
    t->gguf_scores = scores ? score : NULL;
    return 0;
}

int gguf_add_specials(tokenizer *t, bool normalized, bool rstrip, err *e)
{
    int rc = 0;

    for (int32_t id = 0; !rc && id < t->vocab.n; id++) {
        uint8_t type = t->gguf_types[id];
        const vocab_entry *v = &t->vocab.e[id];
        if (!v->piece || (type != PIECE_CONTROL && type != PIECE_UNKNOWN && type != PIECE_USER_DEFINED))
            continue;
        rc = add_added(t, id, type, normalized, rstrip && type != PIECE_UNKNOWN, e);
    }
    return rc;
}

/* ---- special ids ---- */

int gguf_read_id(int32_t *out, const tokenizer *t, const gguf_meta *m, const char *key, int32_t otherwise,
    err *e)
{
    const gguf_kv *kv = gguf_find(m, key);
    int64_t id;

    *out = vocab_get(&t->vocab, otherwise) ? otherwise : -1;
    if (!kv)
        return 0;
    if (!gguf_int(&id, kv, 0) || id < 0 || id >= t->vocab.n)
        return err_set(e, ERR_INPUT, "%s is out of range (the vocabulary has %d tokens)", key, t->vocab.n);
    if (!vocab_get(&t->vocab, (int32_t)id)) /* an empty text stands for no token */
        return err_set(e, ERR_INPUT, "%s names id %d, which is no token of the vocabulary", key, (int)id);
    *out = (int32_t)id;
    return 0;
}

int gguf_add_policy(tokenizer *t, const gguf_meta *m, const gguf_policy *p, err *e)
{
    bool bos = p->bos, eos = p->eos, sep = p->sep;
    int32_t sep_id = -1;
    bool asked = gguf_bool(&bos, gguf_find(m, "tokenizer.ggml.add_bos_token"), 0);
    int rc = gguf_read_id(&t->bos, t, m, "tokenizer.ggml.bos_token_id", p->bos_id, e);

    if (!rc && p->sep)
        rc = gguf_read_id(&sep_id, t, m, "tokenizer.ggml.seperator_token_id", p->eos_id, e); /* sic */
    if (!rc)
        rc = gguf_read_id(&t->eos, t, m, "tokenizer.ggml.eos_token_id", p->sep ? sep_id : p->eos_id, e);
    if (!rc && p->sep) { /* [CLS] and [SEP] are what BOS and EOS are elsewhere */
        rc = gguf_read_id(&t->bos, t, m, "tokenizer.ggml.cls_token_id", t->bos, e);
        gguf_bool(&sep, gguf_find(m, "tokenizer.ggml.add_sep_token"), 0);
    }
    if (rc)
        return rc;
    asked |= gguf_bool(&eos, gguf_find(m, "tokenizer.ggml.add_eos_token"), 0);
    if (bos && t->bos >= 0)
        rc = post_add(t, t->bos, false, e);
    if (!rc && sep && sep_id >= 0)
        rc = post_add(t, sep_id, true, e);
    if (!rc && eos && t->eos >= 0)
        rc = post_add(t, t->eos, true, e);
    const char *where = !asked ? p->where : bos && eos ? "tokenizer.ggml.add_bos_token and add_eos_token" :
                        eos ? "tokenizer.ggml.add_eos_token" : "tokenizer.ggml.add_bos_token";
    return rc ? rc : post_describe(t, where, e);
}

/* Names and templates for those who render conversations. */
static int read_config(tokenizer *t, const gguf_meta *m, err *e)
{
    static const struct { const char *key, *role; } roles[] = {
        { "tokenizer.ggml.bos_token_id", "bos_token" },
        { "tokenizer.ggml.eos_token_id", "eos_token" },
        { "tokenizer.ggml.unknown_token_id", "unk_token" },
        { "tokenizer.ggml.padding_token_id", "pad_token" },
        { "tokenizer.ggml.seperator_token_id", "sep_token" }, /* sic */
        { "tokenizer.ggml.separator_token_id", "sep_token" },
        { "tokenizer.ggml.cls_token_id", "cls_token" },
        { "tokenizer.ggml.mask_token_id", "mask_token" },
    };
    static const char prefix[] = "tokenizer.chat_template";
    int rc = 0;

    for (size_t i = 0; !rc && i < sizeof roles / sizeof *roles; i++) {
        int64_t id;
        if (!gguf_int(&id, gguf_find(m, roles[i].key), 0) || id < 0 || id >= t->vocab.n)
            continue;
        const vocab_entry *v = vocab_get(&t->vocab, (int32_t)id);
        if (v)
            rc = tokenizer_add_role(t, roles[i].role, v->piece, v->n_piece, e);
    }
    /* "tokenizer.chat_template" and "tokenizer.chat_template.NAME" */
    for (size_t i = 0; !rc && i < gguf_count(m); i++) {
        const gguf_kv *kv = gguf_at(m, i);
        size_t n = sizeof prefix - 1;
        char name[64] = "default";
        gguf_string s;
        if (kv->key.len < n || memcmp(kv->key.s, prefix, n) || !gguf_text(&s, kv))
            continue;
        if (kv->key.len > n) {
            n++;
            if (kv->key.s[n - 1] != '.' || kv->key.len == n || kv->key.len - n >= sizeof name)
                continue;
            memcpy(name, kv->key.s + n, kv->key.len - n);
            name[kv->key.len - n] = 0;
        }
        rc = tokenizer_add_template(t, name, s.s, s.len, e);
    }
    return rc;
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

static const struct { const char *name; int (*load)(tokenizer *t, const gguf_meta *m, err *e); } kinds[] = {
    { "gpt2", gguf_load_bpe }, { "llama", gguf_load_llama }, { "bert", gguf_load_bert }, { "t5", gguf_load_t5 },
    { "gemma4", gguf_load_gemma4 },
};

int tokenizer_load_gguf(tokenizer *t, const gguf_meta *m, err *e)
{
    gguf_string name;
    size_t i = 0;

    if (!gguf_text(&name, gguf_find(m, "tokenizer.ggml.model"))) {
        err_set(e, ERR_INPUT, "no tokenizer in this file (tokenizer.ggml.model is missing)");
        return err_hint(e, "run, dump and generate take raw token ids (--ids) without the tokenizer");
    }
    while (i < sizeof kinds / sizeof *kinds &&
           (strlen(kinds[i].name) != name.len || memcmp(kinds[i].name, name.s, name.len)))
        i++;
    if (i == sizeof kinds / sizeof *kinds)
        return tokenizer_refuse(e, "tokenizer.ggml.model %.*s", name.len > 60 ? 60 : (int)name.len, name.s);
    int rc = kinds[i].load(t, m, e);
    if (!rc)
        rc = read_config(t, m, e);
    return rc ? rc : hash_keys(t, m, e);
}
