/* The post-processor: special tokens before and after the text.  Templates for pairs of texts are not
 * used; offsets are never trimmed. */
#include <string.h>

#include "model/tokenizer/parts.h"

int post_add(tokenizer *t, int32_t id, bool after, err *e)
{
    int32_t **list = after ? &t->after : &t->before;
    size_t *n = after ? &t->n_after : &t->n_before;
    int32_t *more = tokenizer_push(t, *list, *n, sizeof *more, e);

    if (!more)
        return ERR_RESOURCE;
    more[(*n)++] = id;
    *list = more;
    return 0;
}

static int add_checked(tokenizer *t, const json *v, bool after, const char *where, err *e)
{
    int64_t id;

    if (!json_int(&id, v) || id < 0 || id >= t->vocab.n || !vocab_get(&t->vocab, (int32_t)id))
        return err_set(e, ERR_INPUT, "post_processor %s names an id that is not in the vocabulary", where);
    return post_add(t, (int32_t)id, after, e);
}

/* ["[SEP]", 102] */
static int read_pair(tokenizer *t, const json *v, bool after, const char *where, err *e)
{
    return add_checked(t, json_at(v, 1), after, where, e);
}

/* "single": pieces before and after {"Sequence": {"id": "A"}}; special tokens by name. */
static int read_template(tokenizer *t, const json *v, err *e)
{
    const json *pieces = json_get(v, "single"), *specials = json_get(v, "special_tokens");
    bool after = false;
    int rc = 0;

    for (size_t i = 0; !rc && i < json_count(pieces); i++) {
        const json *piece = json_at(pieces, i);
        const json *sequence = json_get(piece, "Sequence");
        const json *named = sequence ? sequence : json_get(piece, "SpecialToken");
        const char *id = json_str(json_get(named, "id"), NULL);
        if (!id)
            return tokenizer_refuse(e, "post_processor TemplateProcessing with such a template");
        if (sequence) {
            if (after || strcmp(id, "A"))
                return tokenizer_refuse(e, "post_processor TemplateProcessing with two texts in \"single\"");
            after = true;
            continue;
        }
        const json *ids = json_get(json_get(specials, id), "ids");
        if (!json_count(ids))
            return err_set(e, ERR_INPUT, "post_processor TemplateProcessing does not define \"%s\"", id);
        for (size_t k = 0; !rc && k < json_count(ids); k++)
            rc = add_checked(t, json_at(ids, k), after, "TemplateProcessing", e);
    }
    if (!rc && !after)
        return tokenizer_refuse(e, "post_processor TemplateProcessing without the text in \"single\"");
    return rc;
}

/* Put what was added from n_before, n_after on outside of what was there: later processors wrap. */
static void wrap(tokenizer *t, size_t n_before)
{
    int32_t *b = t->before;

    for (size_t added = t->n_before - n_before, i = 0; n_before && i < added; i++) {
        int32_t id = b[n_before + i];
        memmove(b + i + 1, b + i, n_before * sizeof *b);
        b[i] = id;
    }
}

int post_from_json(tokenizer *t, const json *v, err *e)
{
    const char *type = json_str(json_get(v, "type"), NULL);
    size_t n_before = t->n_before;
    int rc = 0;

    if (json_kind_of(v) <= JSON_NULL_)
        return 0;
    if (!type)
        return err_set(e, ERR_INPUT, "post_processor has no type");
    if (!strcmp(type, "Sequence")) {
        const json *list = json_get(v, "processors");
        for (size_t i = 0; !rc && i < json_count(list); i++)
            rc = post_from_json(t, json_at(list, i), e);
        return rc;
    }
    if (!strcmp(type, "ByteLevel"))
        return 0; /* it trims offsets: ours keep the space that belongs to a token */
    if (!strcmp(type, "TemplateProcessing")) {
        rc = read_template(t, v, e);
    } else if (!strcmp(type, "RobertaProcessing") || !strcmp(type, "BertProcessing")) {
        rc = read_pair(t, json_get(v, "cls"), false, type, e);
        if (!rc)
            rc = read_pair(t, json_get(v, "sep"), true, type, e);
    } else {
        return tokenizer_refuse(e, "post_processor type %s", type);
    }
    if (!rc)
        wrap(t, n_before);
    return rc;
}

static void describe_token(strbuf *b, const tokenizer *t, int32_t id, size_t i, size_t n)
{
    const vocab_entry *entry = vocab_get(&t->vocab, id);

    strbuf_puts(b, i == 0 ? "" : i + 1 == n ? " and " : ", ");
    strbuf_puts(b, id == t->bos ? "bos " : id == t->eos ? "eos " : "");
    if (entry)
        strbuf_put_visible(b, entry->piece, entry->n_piece);
}

int post_describe(tokenizer *t, const char *where, err *e)
{
    strbuf b = { 0 };
    size_t n = t->n_before + t->n_after;
    bool none = n == 0;

    for (size_t i = 0; i < n; i++)
        describe_token(&b, t, i < t->n_before ? t->before[i] : t->after[i - t->n_before], i, n);
    if (!none)
        strbuf_printf(&b, " from %s", where);
    t->policy = b.failed ? NULL : arena_strdup(&t->mem, none ? "nothing added" : strbuf_str(&b), e);
    t->policy_plain = arena_strdup(&t->mem, none ? "nothing added" : "nothing added, as asked", e);
    bool failed = b.failed;
    strbuf_free(&b);
    return t->policy && t->policy_plain && !failed ? 0 : err_nomem(e, "tokenizer");
}
