/* tokenizer.json of Hugging Face. */
#include <stdlib.h>
#include <string.h>

#include "model/tokenizer/parts.h"

enum {
    SPARE_IDS = 100000, SPARE_FACTOR = 8, /* ids may be this much beyond their number */
};

/* Arrays by id must stay in proportion to the file. */
static bool id_allowed(int64_t id, size_t count)
{
    return id >= 0 && id < INT32_MAX && (uint64_t)id <= (uint64_t)count * SPARE_FACTOR + SPARE_IDS;
}

static int add_vocab(tokenizer *t, const vocab_item *items, size_t n, err *e)
{
    int64_t largest = -1;

    for (size_t i = 0; i < n; i++) {
        if (!id_allowed(items[i].id, n))
            return err_set(e, ERR_INPUT, "vocabulary: id %lld of \"%.*s\" is out of range for %zu tokens",
                           (long long)items[i].id, items[i].n > 60 ? 60 : (int)items[i].n, items[i].s, n);
        if (items[i].id > largest)
            largest = items[i].id;
    }
    if (!n)
        return err_set(e, ERR_INPUT, "the vocabulary is empty");
    int rc = vocab_reserve(&t->vocab, largest + 1, e);
    for (size_t i = 0; !rc && i < n; i++)
        rc = vocab_add(&t->vocab, items[i].id, items[i].s, items[i].n, e);
    return rc;
}

int model_read_vocab(tokenizer *t, const json *v, err *e)
{
    size_t n = 0;
    const char *key;
    const json *value;
    void *it = NULL;
    int rc = 0;

    if (t->tables.present)
        return add_vocab(t, t->tables.vocab, t->tables.n_vocab, e);
    if (json_kind_of(v) != JSON_MAP)
        return err_set(e, ERR_INPUT, "model has no vocabulary");
    vocab_item *items = mem_array(json_count(v), sizeof *items, e);
    if (!items)
        return ERR_RESOURCE;
    while (!rc && json_each(v, &it, &key, &value)) {
        items[n] = (vocab_item){ .s = key, .n = strlen(key) };
        if (!json_int(&items[n++].id, value))
            rc = err_set(e, ERR_INPUT, "vocabulary: the id of \"%.60s\" is no integer", key);
    }
    if (!rc)
        rc = add_vocab(t, items, n, e);
    free(items);
    return rc;
}

/* An added token that the model knows keeps the model's id, whatever the file says; another takes the
 * file's. */
int tokenizer_place_added(tokenizer *t, added_token *a, int64_t id, err *e)
{
    int32_t known = vocab_find(&t->vocab, a->s, a->n);
    size_t count = t->n_added + (size_t)t->vocab.by_piece.count;
    int rc = 0;

    if (known < 0 && !id_allowed(id, count))
        return err_set(e, ERR_INPUT, "added token \"%.60s\" has id %lld, which is out of range", a->s,
                       (long long)id);
    a->id = known < 0 ? (int32_t)id : known;
    if (a->id >= t->vocab.n) /* more at once: tokens come one by one */
        rc = vocab_reserve(&t->vocab, (int64_t)a->id + 1, e);
    if (rc)
        return rc;
    vocab_entry *v = &t->vocab.e[a->id];
    if (known < 0 && v->flags & VOCAB_MODEL)
        return err_set(e, ERR_INPUT, "added token \"%.60s\" has id %d, which in the vocabulary is \"%.60s\"",
                       a->s, a->id, v->piece);
    if (v->flags & VOCAB_ADDED)
        return err_set(e, ERR_INPUT, "id %d is given to two added tokens, \"%.60s\" and \"%.60s\"", a->id,
                       v->piece, a->s);
    v->flags |= VOCAB_ADDED | (a->special ? VOCAB_SPECIAL : 0);
    v->piece = a->s;
    v->n_piece = (uint32_t)a->n;
    return 0;
}

static int read_added(tokenizer *t, const json *list, err *e)
{
    size_t n = json_count(list), count = n + (size_t)t->vocab.n;
    int64_t id, largest = 0;

    if (!n)
        return 0;
    t->added = arena_alloc(&t->mem, n, sizeof *t->added, e);
    if (!t->added)
        return ERR_RESOURCE;
    for (size_t i = 0; i < n; i++) /* reserve once */
        if (json_int(&id, json_get(json_at(list, i), "id")) && id > largest && id_allowed(id, count))
            largest = id;
    int rc = vocab_reserve(&t->vocab, largest + 1, e);
    for (size_t i = 0; !rc && i < n; i++) {
        const json *v = json_at(list, i);
        added_token a = { 0 };
        const char *s = json_str(json_get(v, "content"), &a.n);
        if (!s || !json_int(&id, json_get(v, "id")))
            return err_set(e, ERR_INPUT, "added token %zu has no content or no id", i + 1);
        if (!a.n)
            continue;
        json_bool(&a.special, json_get(v, "special"));
        a.normalized = !a.special;
        json_bool(&a.normalized, json_get(v, "normalized"));
        json_bool(&a.single_word, json_get(v, "single_word"));
        json_bool(&a.lstrip, json_get(v, "lstrip"));
        json_bool(&a.rstrip, json_get(v, "rstrip"));
        a.s = arena_strndup(&t->mem, s, a.n, e);
        rc = a.s ? tokenizer_place_added(t, &a, id, e) : ERR_RESOURCE;
        t->added[t->n_added++] = a;
    }
    return rc;
}

static int read_model(tokenizer *t, const json *v, err *e)
{
    const char *type = json_str(json_get(v, "type"), NULL);

    if (json_kind_of(v) != JSON_MAP)
        return err_set(e, ERR_INPUT, "no model: this is no tokenizer.json");
    if (!type && json_get(v, "merges")) /* files of old have no type */
        type = "BPE";
    if (!type)
        return err_set(e, ERR_INPUT, "model has no type");
    t->kind = tokenizer_model_find(type);
    if (!t->kind || !t->kind->from_json)
        return tokenizer_refuse(e, "model type %s", type);
    return t->kind->from_json(&t->model, t, v, e);
}

static int read_parts(tokenizer *t, const json *root, err *e)
{
    const char *version = json_str(json_get(root, "version"), NULL);
    int rc = 0;

    if (version && strcmp(version, "1.0"))
        return tokenizer_refuse(e, "version %s", version);
    rc = read_model(t, json_get(root, "model"), e);
    if (!rc)
        rc = read_added(t, json_get(root, "added_tokens"), e);
    if (!rc)
        rc = normalizer_from_json(t, json_get(root, "normalizer"), e);
    if (!rc)
        rc = pretokenizer_from_json(t, json_get(root, "pre_tokenizer"), e);
    if (!rc)
        rc = post_from_json(t, json_get(root, "post_processor"), e);
    if (!rc)
        rc = decoder_from_json(t, json_get(root, "decoder"), e);
    return rc;
}

/* The file as JSON; most of it may have gone to t->tables. */
static int parse(json **root, tokenizer *t, const char *bytes, size_t n, const char *what, err *e)
{
    strbuf rest = { 0 };

    if (json_tables_read(&t->tables, &rest, bytes, n)) {
        int rc = rest.failed || json_parse(root, rest.s, rest.len, what, NULL);
        strbuf_free(&rest);
        if (!rc)
            return 0;
        json_tables_free(&t->tables); /* once more, for a message with the right line */
    }
    return json_parse(root, bytes, n, what, e);
}

int tokenizer_load_json(tokenizer *t, const char *bytes, size_t n, const char *what, err *e)
{
    json *root = NULL;
    int rc = parse(&root, t, bytes, n, what, e);

    if (rc)
        return rc;
    rc = read_parts(t, root, e);
    if (!rc)
        rc = sha256_of(t->hash, bytes, n, e);
    json_free(root);
    json_tables_free(&t->tables);
    return rc && e ? err_prefix(e, "%s", what) : rc;
}
