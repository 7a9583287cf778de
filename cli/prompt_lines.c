/* Prompts from JSON Lines. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/json_lines.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "cli/prompt_request.h"

static int take_text(char **out, size_t *len, const json *v, const char *key, err *e)
{
    size_t n;
    const char *s = json_str(v, &n);
    if (!s) {
        err_set(e, ERR_INPUT, "\"%s\" is no string", key);
        return err_hint(e, "write the text in quotes: {\"%s\": \"some text\"}", key);
    }
    if (*out)
        return err_set(e, ERR_INPUT, "\"%s\" says again what another key says", key);
    if (!len && strlen(s) != n)
        return err_set(e, ERR_INPUT, "\"%s\" holds a NUL character", key);
    if (!(*out = mem_strndup(s, n, e)))
        return ERR_RESOURCE;
    if (len)
        *len = n;
    return 0;
}

static int take_ids(given_tokens *out, const json *v, const char *key, err *e)
{
    size_t n = json_count(v);
    if (json_kind_of(v) != JSON_LIST)
        return err_set(e, ERR_INPUT, "\"%s\" is no list of token ids", key);
    if (!(out->ids = mem_array(n, sizeof *out->ids, e)))
        return ERR_RESOURCE;
    for (size_t i = 0; i < n; i++) {
        int64_t id;
        if (!json_int(&id, json_at(v, i)) || id < 0 || id > INT32_MAX)
            return err_set(e, ERR_INPUT, "element %zu of \"%s\" is no token id", i, key);
        out->ids[i] = (int32_t)id;
    }
    out->n = (int64_t)n;
    return 0;
}

/* A path of the file, relative to its folder. */
static int take_path(char **out, const json *v, const char *key, const char *file, err *e)
{
    char *name = NULL;
    const char *slash = strrchr(file, '/');
    int rc = *out ? err_set(e, ERR_INPUT, "\"%s\" is given twice", key) : take_text(&name, NULL, v, key, e);
    if (rc || name[0] == '/' || !slash) {
        *out = name;
        return rc;
    }
    size_t folder = (size_t)(slash - file) + 1, size = folder + strlen(name) + 1;
    *out = mem_array(size, 1, e);
    if (*out)
        snprintf(*out, size, "%.*s%s", (int)folder, file, name);
    free(name);
    return *out ? 0 : ERR_RESOURCE;
}

/* What `needle`, `induction`, `mqar` and `copy` write beside the ids: answers, not part of a prompt. */
static const char *const of_experiments[] = {"targets", "routes", "needle", "answer_ids", "answer", "needle_text", "length",
                                             "depth", NULL};

/* A value in words: texts as they are, the rest as JSON. */
static void put_value(strbuf *b, const json *v, bool top)
{
    size_t n;
    const char *s = json_str(v, &n), *key;
    const json *member;
    void *it = NULL;
    int64_t i;
    double r;
    bool yes, first = true;
    if (s && top)
        strbuf_add(b, s, n);
    else if (s)
        strbuf_put_json(b, s, n);
    else if (json_int(&i, v))
        strbuf_printf(b, "%" PRId64, i);
    else if (json_real(&r, v))
        strbuf_put_real(b, r);
    else if (json_bool(&yes, v))
        strbuf_puts(b, yes ? "true" : "false");
    else if (json_kind_of(v) == JSON_LIST) {
        strbuf_putc(b, '[');
        for (size_t k = 0; k < json_count(v); k++) {
            strbuf_puts(b, k ? "," : "");
            put_value(b, json_at(v, k), false);
        }
        strbuf_putc(b, ']');
    } else if (json_kind_of(v) == JSON_MAP) {
        strbuf_putc(b, '{');
        while (json_each(v, &it, &key, &member)) {
            strbuf_puts(b, first ? "" : ",");
            first = false;
            strbuf_put_json(b, key, strlen(key));
            strbuf_putc(b, ':');
            put_value(b, member, false);
        }
        strbuf_putc(b, '}');
    } else {
        strbuf_puts(b, "null");
    }
}

static int add_fact(prompt_request *q, const char *key, const json *v, err *e)
{
    static const char *const taken[] = {"set", "generated", "stopped", "checkpoint", NULL};
    bool own = false;
    strbuf name = {0}, text = {0};
    prompt_facts *f = &q->facts;
    for (int i = 0; taken[i]; i++)
        own |= strcmp(key, taken[i]) == 0;
    prompt_fact *more = mem_grow(f->list, (size_t)f->n + 1, sizeof *more, e);
    if (!more)
        return ERR_RESOURCE;
    f->list = more;
    strbuf_printf(&name, "%s%s", own ? "prompt." : "", key);
    strbuf_puts(&text, "");
    put_value(&text, v, true);
    prompt_fact *to = &more[f->n];
    to->len = text.len;
    to->name = strbuf_take(&name, e);
    to->text = text.len ? strbuf_take(&text, e) : mem_strdup("", e);
    strbuf_free(&text);
    if (to->name && to->text) {
        f->n++;
        return 0;
    }
    free(to->name);
    free(to->text);
    return ERR_RESOURCE;
}

static int take_messages(prompt_request *q, const json *v, err *e)
{
    strbuf b = {0};
    size_t n = json_count(v);
    bool good = json_kind_of(v) == JSON_LIST && n > 0;
    for (size_t i = 0; i < n && good; i++)
        good = json_str(json_get(json_at(v, i), "role"), NULL) != NULL;
    if (!good) {
        err_set(e, ERR_INPUT, "\"messages\" is no list of messages");
        return err_hint(e, "write \"messages\": [{\"role\": \"user\", \"content\": \"some text\"}]");
    }
    put_value(&b, v, true);
    q->messages = strbuf_take(&b, e);
    return q->messages ? 0 : ERR_RESOURCE;
}

static int take_member(prompt_request *q, const char *key, const json *v, const char *file, err *e)
{
    struct { const char *text, *ids; given_tokens *to; } words[] = {
        {"text", "ids", &q->prompt}, {"prompt", NULL, &q->prompt}, {"source", "source_ids", &q->source},
        {"target", "target_ids", &q->target}};
    struct { const char *key; char **to; } paths[] = {
        {"image", &q->image}, {"pixels", &q->pixels}, {"audio", &q->audio}, {"features", &q->features}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcmp(key, words[i].text) == 0)
            return take_text(&words[i].to->text, &words[i].to->text_len, v, key, e);
        if (words[i].ids && strcmp(key, words[i].ids) == 0)
            return take_ids(words[i].to, v, key, e);
    }
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        if (strcmp(key, paths[i].key) == 0)
            return take_path(paths[i].to, v, key, file, e);
    if (strcmp(key, "messages") == 0)
        return take_messages(q, v, e);
    if (strcmp(key, "label") == 0)
        return take_text(&q->label, NULL, v, key, e);
    for (int i = 0; of_experiments[i]; i++)
        if (strcmp(key, of_experiments[i]) == 0)
            return 0;
    return add_fact(q, key, v, e);
}

/* "id" names the prompt where no label does. */
static int label_by_id(prompt_request *q, err *e)
{
    for (int i = 0; i < q->facts.n && !q->label; i++) {
        const prompt_fact *f = &q->facts.list[i];
        if (strcmp(f->name, "id") == 0 && f->len && strlen(f->text) == f->len && !(q->label = mem_strdup(f->text, e)))
            return ERR_RESOURCE;
    }
    return 0;
}

static int no_prompt(const prompt_request *q, err *e)
{
    static const char *const known[] = {"text", "ids", "messages", "source", "target", "image", "pixels", "audio", "features",
                                        NULL};
    err_set(e, ERR_INPUT, "gives no prompt");
    for (int i = 0; i < q->facts.n; i++) {
        const char *near = nearest_word(q->facts.list[i].name, known);
        if (near)
            return err_hint(e, "did you mean \"%s\" in place of \"%.60s\"?", near, q->facts.list[i].name);
    }
    return err_hint(e, "a line has text, ids or messages, and optionally label, domain, source, target, image, audio; other "
                       "members are kept with it");
}

static int take_line(void *element, const json *line, const char *where, void *file, err *e)
{
    prompt_request *q = element;
    void *it = NULL;
    const char *key;
    const json *v;
    int rc = 0;
    snprintf(q->where, sizeof q->where, "%s", where);
    while (!rc && json_each(line, &it, &key, &v))
        rc = take_member(q, key, v, file, e);
    const given_tokens *twice[] = {&q->prompt, &q->source, &q->target};
    for (int i = 0; i < 3 && !rc; i++)
        if (twice[i]->text && twice[i]->ids)
            rc = err_set(e, ERR_INPUT, "has a text and ids for the same tokens");
    if (!rc && q->messages && is_given(&q->prompt))
        rc = err_set(e, ERR_INPUT, "has messages and another prompt");
    if (!rc && !is_given(&q->prompt) && !is_given(&q->source) && !is_given(&q->target) && !q->messages && !q->image &&
        !q->pixels && !q->audio && !q->features)
        rc = no_prompt(q, e);
    return rc ? rc : label_by_id(q, e);
}

int prompt_requests_parse(prompt_request **out, int64_t *n, const char *text, size_t size, const char *path, err *e)
{
    json_lines lines;
    char *file = mem_strdup(path, e);
    *out = NULL;
    *n = 0;
    if (!file)
        return ERR_RESOURCE;
    int rc = json_lines_read(&lines, sizeof **out, text, size, path, take_line, file, e);
    free(file);
    if (!rc && lines.n == 0) {
        err_set(e, ERR_INPUT, "%s: holds no prompts", path);
        rc = err_hint(e, "write a JSON object a line, as {\"text\": \"Once upon a time\"}");
    }
    if (rc) {
        prompt_requests_free(lines.list, lines.n);
        return rc;
    }
    *out = lines.list;
    *n = lines.n;
    return 0;
}
