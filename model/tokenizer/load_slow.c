/* A checkpoint without a tokenizer.json, as Hugging Face's transformers would convert it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mapfile.h"
#include "model/tokenizer/slow.h"
#include "model/tokenizer/slow_vocab.h"

typedef struct slow {
    tokenizer *t;
    const slow_class *class;
    const slow_place *place;
    json *config, *specials, *added; /* tokenizer_config.json, special_tokens_map.json, added_tokens.json */
} slow;

/* ---- added tokens ---- */

static int32_t next_id(const tokenizer *t)
{
    int32_t id = t->vocab.n;
    while (id > 0 && !t->vocab.e[id - 1].piece)
        id--;
    return id;
}

/* One more added token, or new properties of one that is there; its id is the vocabulary's, or the next. */
static int put_added(tokenizer *t, const char *s, size_t n, const json *how, bool special, err *e)
{
    added_token a = { .n = n, .special = special };

    if (!n)
        return 0;
    json_bool(&a.special, json_get(how, "special"));
    a.special |= special;
    json_bool(&a.single_word, json_get(how, "single_word"));
    json_bool(&a.lstrip, json_get(how, "lstrip"));
    json_bool(&a.rstrip, json_get(how, "rstrip"));
    if (!a.special) {
        a.normalized = true;
        json_bool(&a.normalized, json_get(how, "normalized"));
    }
    for (size_t i = 0; i < t->n_added; i++) {
        added_token *old = &t->added[i];
        if (old->n != n || memcmp(old->s, s, n))
            continue;
        a.id = old->id;
        a.s = old->s;
        if (how || special)
            *old = how ? a : (added_token){ .id = a.id, .s = a.s, .n = n, .special = true, .lstrip = old->lstrip,
                                            .rstrip = old->rstrip, .single_word = old->single_word };
        t->vocab.e[a.id].flags |= old->special ? VOCAB_SPECIAL : 0;
        return 0;
    }
    added_token *all = tokenizer_push(t, t->added, t->n_added, sizeof *all, e);
    a.s = arena_strndup(&t->mem, s, n, e);
    if (!all || !a.s)
        return ERR_RESOURCE;
    t->added = all;
    int rc = tokenizer_place_added(t, &a, next_id(t), e);
    all[t->n_added++] = a;
    return rc;
}

/* "added_tokens_decoder": {"32000": {"content": ...}}, by id. */
static int put_decoder(slow *s, err *e)
{
    const json *map = json_get(s->config, "added_tokens_decoder"), *value;
    int64_t last = -1;
    int rc = 0;

    for (size_t k = json_count(map); !rc && k; k--) { /* few: the next larger id each time */
        const json *best = NULL;
        int64_t best_id = INT64_MAX;
        const char *key;
        void *it = NULL;
        while (json_each(map, &it, &key, &value)) {
            char *end;
            long long id = strtoll(key, &end, 10);
            if (end != key && !*end && id > last && id < best_id) {
                best_id = id;
                best = value;
            }
        }
        if (!best)
            break;
        last = best_id;
        size_t n;
        const char *word = json_str(json_get(best, "content"), &n);
        if (word)
            rc = put_added(s->t, word, n, best, false, e);
    }
    return rc;
}

/* added_tokens.json: {"<tok>": 32000}, the form of old. */
static int put_old(slow *s, err *e)
{
    int64_t last = -1;
    int rc = 0;

    if (json_get(s->config, "added_tokens_decoder"))
        return 0;
    for (size_t k = json_count(s->added); !rc && k; k--) {
        const char *key, *best = NULL;
        const json *value;
        int64_t id, best_id = INT64_MAX;
        void *it = NULL;
        while (json_each(s->added, &it, &key, &value))
            if (json_int(&id, value) && id > last && id < best_id) {
                best_id = id;
                best = key;
            }
        if (!best)
            break;
        last = best_id;
        rc = put_added(s->t, best, strlen(best), NULL, false, e);
    }
    return rc;
}

static const json *role_value(const slow *s, int role)
{
    const json *v = json_get(s->config, slow_roles[role]);
    return v ? v : json_get(s->specials, slow_roles[role]);
}

/* The text of a role: the checkpoint's, or the class's own.  NULL: none. */
static const char *role_text(const slow *s, int role, size_t *n)
{
    const json *v = role_value(s, role);
    const char *word;

    if (v && json_kind_of(v) == JSON_NULL_)
        return NULL;
    word = json_str(json_kind_of(v) == JSON_MAP ? json_get(v, "content") : v, n);
    if (!word && s->class->role[role]) {
        word = s->class->role[role];
        *n = strlen(word);
    }
    return word;
}

static int put_roles(slow *s, err *e)
{
    int rc = 0;

    for (int i = 0; !rc && i < SLOW_ROLES; i++) {
        const json *v = role_value(s, i);
        size_t n;
        const char *word = role_text(s, i, &n);
        if (!word)
            continue;
        rc = put_added(s->t, word, n, json_kind_of(v) == JSON_MAP ? v : NULL, true, e);
        if (!rc)
            rc = tokenizer_add_role(s->t, slow_roles[i], word, n, e);
    }
    return rc;
}

static int put_extra(slow *s, err *e)
{
    static const char *const keys[] = { "additional_special_tokens", "extra_special_tokens" };
    int rc = 0;

    for (size_t k = 0; k < 2; k++) {
        const json *list = json_get(s->config, keys[k]);
        if (!list)
            list = json_get(s->specials, keys[k]);
        for (size_t i = 0; !rc && json_kind_of(list) == JSON_LIST && i < json_count(list); i++) {
            const json *v = json_at(list, i);
            size_t n;
            const char *word = json_str(json_kind_of(v) == JSON_MAP ? json_get(v, "content") : v, &n);
            if (word)
                rc = put_added(s->t, word, n, json_kind_of(v) == JSON_MAP ? v : NULL, true, e);
        }
    }
    return rc;
}

static int put_pieces(slow *s, const slow_added *list, size_t n, err *e)
{
    int rc = 0;

    for (size_t i = 0; !rc && i < n; i++)
        rc = put_added(s->t, list[i].s, list[i].n, NULL, list[i].special, e);
    return rc;
}

/* ---- parts ---- */

static int with_json(tokenizer *t, const char *word, int (*read)(tokenizer *, const json *, err *), err *e)
{
    json *v;

    if (!word)
        return 0;
    int rc = json_parse(&v, word, strlen(word), "tokenizer", e);
    if (rc)
        return rc;
    rc = read(t, v, e);
    json_free(v);
    return rc;
}

static int32_t role_id(const slow *s, int role)
{
    size_t n;
    const char *word = role_text(s, role, &n);

    for (size_t i = 0; word && i < s->t->n_added; i++)
        if (s->t->added[i].n == n && !memcmp(s->t->added[i].s, word, n))
            return s->t->added[i].id;
    return word ? vocab_find(&s->t->vocab, word, n) : -1;
}

static int put_post(slow *s, err *e)
{
    enum { BOS = 0, EOS = 1, SEP = 3, CLS = 5 };
    bool bos = false, eos = false;
    int32_t before = -1, after = -1;

    switch (s->class->post) {
    case SLOW_AS_ASKED:
        json_bool(&bos, json_get(s->config, "add_bos_token"));
        json_bool(&eos, json_get(s->config, "add_eos_token"));
        before = bos ? role_id(s, BOS) : -1;
        after = eos ? role_id(s, EOS) : -1;
        break;
    case SLOW_CLS_SEP:
        before = role_id(s, CLS);
        after = role_id(s, SEP);
        break;
    case SLOW_BOS_EOS:
        before = role_id(s, BOS);
        after = role_id(s, EOS);
        break;
    case SLOW_EOS:
        after = vocab_find(&s->t->vocab, "</s>", 4);
        break;
    }
    s->t->bos = role_id(s, BOS);
    s->t->eos = role_id(s, EOS);
    int rc = before >= 0 ? post_add(s->t, before, false, e) : 0;
    return rc || after < 0 ? rc : post_add(s->t, after, true, e);
}

static int put_bert_normalizer(slow *s, err *e)
{
    normalizer z = { .run = normalize_bert, .clean = true, .ideographs = true, .lower = true };

    json_bool(&z.lower, json_get(s->config, "do_lower_case"));
    json_bool(&z.ideographs, json_get(s->config, "tokenize_chinese_chars"));
    z.strip = z.lower;
    json_bool(&z.strip, json_get(s->config, "strip_accents"));
    return normalizer_add(s->t, &z, e);
}

/* What the class's own pre-tokenizer becomes by the options of tokenizer_config.json. */
static void apply_options(slow *s)
{
    bool prefix = s->class->files == SLOW_SPM, legacy = false;

    json_bool(&prefix, json_get(s->config, "add_prefix_space"));
    json_bool(&legacy, json_get(s->config, "legacy"));
    for (size_t i = 0; i < s->t->n_pretokenizer; i++) {
        pretokenizer *p = &s->t->pretokenizers[i];
        if (s->class->prefix_option && prefix && p->byte_level) {
            p->prefix = " ";
            p->n_prefix = 1;
        }
        if (s->class->files != SLOW_SPM || !p->space)
            continue;
        if (!prefix)
            p->prefix = NULL;
        else if (legacy)
            p->prefix_first = false;
    }
    if (s->class->files == SLOW_SPM && !prefix && s->t->n_decoder &&
        s->t->decoders[s->t->n_decoder - 1].kind == DECODER_STRIP)
        s->t->n_decoder--; /* nothing was put before the text */
}

static int build(slow *s, err *e)
{
    tokenizer *t = s->t;
    const slow_class *c = s->class;
    slow_added *list = NULL;
    size_t n = 0, n_unk = 0;
    const char *unk = role_text(s, 2, &n_unk);
    char *unk_text = unk ? arena_strndup(&t->mem, unk, n_unk, e) : NULL;
    int64_t extra_ids = 100;
    int rc = unk && !unk_text ? ERR_RESOURCE : 0;

    json_int(&extra_ids, json_get(s->config, "extra_ids"));
    if (extra_ids < 0 || extra_ids > 10000)
        return err_set(e, ERR_INPUT, "tokenizer_config.json: extra_ids %lld is out of range", (long long)extra_ids);
    if (!rc)
        rc = slow_read_vocab(t, s->place, c, unk_text, (int)extra_ids, &list, &n, e);
    if (!rc)
        rc = c->files == SLOW_WORDPIECE ? put_bert_normalizer(s, e)
                                        : with_json(t, c->normalizer, normalizer_from_json, e);
    if (!rc)
        rc = with_json(t, c->pre_tokenizer, pretokenizer_from_json, e);
    if (!rc)
        rc = with_json(t, c->decoder, decoder_from_json, e);
    if (!rc)
        apply_options(s);
    if (!rc)
        rc = put_decoder(s, e);
    if (!rc)
        rc = put_old(s, e);
    if (!rc)
        rc = put_roles(s, e);
    if (!rc)
        rc = put_pieces(s, list, n, e);
    if (!rc)
        rc = put_extra(s, e);
    free(list);
    return rc ? rc : put_post(s, e);
}

/* ---- the directory ---- */

enum { MAX_CONFIG = 64 << 20 };

static int load_json(json **out, const char *directory, const char *name, err *e)
{
    strbuf path = { 0 };
    int rc = 0;

    *out = NULL;
    strbuf_printf(&path, "%s/%s", directory, name);
    if (path.failed)
        rc = err_nomem(e, "tokenizer");
    else if (slow_exists(path.s))
        rc = json_load(out, path.s, MAX_CONFIG, e);
    strbuf_free(&path);
    return rc;
}

/* The class that the checkpoint names, or that its model or its files imply.  *out stays NULL for a
 * SentencePiece model that comes with nothing else. */
static int choose_class(const slow_class **out, const slow *s, const char *directory, err *e)
{
    size_t n;
    const char *name = json_str(json_get(s->config, "tokenizer_class"), &n);
    json *config;
    int rc = load_json(&config, directory, "config.json", e);

    if (rc)
        return rc;
    const char *model = json_str(json_get(config, "model_type"), NULL);
    if (!name)
        name = json_str(json_get(config, "tokenizer_class"), &n);
    *out = NULL;
    if (name) {
        *out = slow_class_find(name, n);
        if (!*out)
            rc = tokenizer_refuse(e, "tokenizer_class %.60s without a tokenizer.json", name);
    } else if (model) {
        *out = slow_class_of_model(model);
    }
    if (!rc && (!*out || (*out)->files != s->place->files)) {
        if (*out && name)
            rc = err_set(e, ERR_INPUT, "%s does not go with tokenizer_class %.60s", s->place->vocab, name);
        else
            *out = slow_class_of_files(s->place->files);
    }
    json_free(config);
    return rc;
}

int tokenizer_config_specials(tokenizer *t, const char *directory, bool *named, bool add, err *e)
{
    static const slow_class none = { .names = "" };
    slow s = { .t = t, .class = &none };
    int rc = load_json(&s.config, directory, "tokenizer_config.json", e);

    *named = json_count(json_get(s.config, "added_tokens_decoder")) > 0;
    if (!rc && *named && add) {
        rc = put_decoder(&s, e);
        if (!rc)
            rc = put_roles(&s, e);
        if (!rc)
            rc = put_post(&s, e);
    }
    json_free(s.config);
    return rc;
}

int tokenizer_load_slow(tokenizer *t, const slow_place *place, const char *directory, err *e)
{
    slow s = { .t = t, .place = place };
    int rc = load_json(&s.config, directory, "tokenizer_config.json", e);

    if (!rc)
        rc = load_json(&s.specials, directory, "special_tokens_map.json", e);
    if (!rc)
        rc = load_json(&s.added, directory, "added_tokens.json", e);
    if (!rc)
        rc = choose_class(&s.class, &s, directory, e);
    if (!rc && !s.class)
        rc = tokenizer_load_spm_file(t, place->vocab, e);
    else if (!rc)
        rc = build(&s, e);
    json_free(s.config);
    json_free(s.specials);
    json_free(s.added);
    return rc;
}
