/* What the files beside a tokenizer.json say: special tokens by their role, BOS and EOS, chat templates. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mapfile.h"
#include "model/tokenizer/parts.h"

enum { MAX_CONFIG = 64 << 20, MAX_TEMPLATE = 4 << 20 };

static const named_text *find_named(const named_text *list, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (!strcmp(list[i].name, name))
            return &list[i];
    return NULL;
}

static int add_named(tokenizer *t, named_text **list, size_t *n, const char *name, const char *s,
    size_t n_s, err *e)
{
    if (find_named(*list, *n, name))
        return 0;
    named_text *all = tokenizer_push(t, *list, *n, sizeof *all, e);
    if (!all)
        return ERR_RESOURCE;
    *list = all;
    all[*n] = (named_text){ arena_strdup(&t->mem, name, e), arena_strndup(&t->mem, s, n_s, e) };
    if (!all[*n].name || !all[*n].text)
        return ERR_RESOURCE;
    ++*n;
    return 0;
}

int tokenizer_add_template(tokenizer *t, const char *name, const char *s, size_t n, err *e)
{
    return add_named(t, &t->templates, &t->n_template, name, s, n, e);
}

int tokenizer_add_role(tokenizer *t, const char *role, const char *s, size_t n, err *e)
{
    return add_named(t, &t->roles, &t->n_role, role, s, n, e);
}

const char *tokenizer_chat_template_named(const tokenizer *t, const char *name)
{
    const named_text *found = find_named(t->templates, t->n_template, name);
    return found ? found->text : NULL;
}

const char *tokenizer_chat_template(const tokenizer *t)
{
    const char *found = tokenizer_chat_template_named(t, "default");
    return found || !t->n_template ? found : t->templates[0].text;
}

const char *tokenizer_special(const tokenizer *t, const char *role)
{
    const named_text *found = find_named(t->roles, t->n_role, role);
    return found ? found->text : NULL;
}

/* ---- reading ---- */

/* The id of a token by name: added tokens first. */
static int32_t find_token(const tokenizer *t, const char *s, size_t n)
{
    for (size_t i = 0; i < t->n_added; i++)
        if (t->added[i].n == n && !memcmp(t->added[i].s, s, n))
            return t->added[i].id;
    return vocab_find(&t->vocab, s, n);
}

/* "bos_token": "<s>" or {"content": "<s>"}; a name that is not in the vocabulary is as good as none for ids. */
static int read_roles(tokenizer *t, const json *config, err *e)
{
    const char *key;
    const json *value;
    void *it = NULL;
    int rc = 0;

    while (!rc && json_each(config, &it, &key, &value)) {
        size_t n, n_key = strlen(key);
        const char *s = json_str(json_kind_of(value) == JSON_MAP ? json_get(value, "content") : value, &n);
        if (!s || n_key < 6 || strcmp(key + n_key - 6, "_token"))
            continue;
        if (t->bos < 0 && !strcmp(key, "bos_token"))
            t->bos = find_token(t, s, n);
        if (t->eos < 0 && !strcmp(key, "eos_token"))
            t->eos = find_token(t, s, n);
        rc = tokenizer_add_role(t, key, s, n, e);
    }
    return rc;
}

/* "eos_token_id": 2 or [2, 3], of which the first counts. */
static void read_id(int32_t *id, const tokenizer *t, const json *config, const char *key)
{
    const json *v = json_get(config, key);
    int64_t found;

    if (*id < 0 && json_int(&found, json_kind_of(v) == JSON_LIST ? json_at(v, 0) : v) && found >= 0 &&
        found < t->vocab.n && vocab_get(&t->vocab, (int32_t)found))
        *id = (int32_t)found;
}

/* "chat_template": a string, or [{"name": ..., "template": ...}, ...]. */
static int read_templates(tokenizer *t, const json *config, err *e)
{
    const json *v = json_get(config, "chat_template");
    size_t n;
    const char *s = json_str(v, &n);
    int rc = s ? tokenizer_add_template(t, "default", s, n, e) : 0;

    for (size_t i = 0; !rc && i < json_count(v); i++) {
        const char *name = json_str(json_get(json_at(v, i), "name"), NULL);
        s = json_str(json_get(json_at(v, i), "template"), &n);
        if (name && s)
            rc = tokenizer_add_template(t, name, s, n, e);
    }
    return rc;
}

static int read_template_file(tokenizer *t, const char *path, err *e)
{
    char *s;
    size_t n;
    int rc = read_file(&s, &n, path, MAX_TEMPLATE, e);

    if (rc)
        return rc;
    rc = tokenizer_add_template(t, "default", s, n, e);
    free(s);
    return rc;
}

int tokenizer_load_config(tokenizer *t, const char *directory, err *e)
{
    static const char *const files[] = {
        "chat_template.jinja", "tokenizer_config.json", "special_tokens_map.json", "config.json",
        "chat_template.json",
    };
    strbuf path = { 0 };
    int rc = 0;

    for (size_t i = 0; !rc && i < sizeof files / sizeof *files; i++) {
        json *config = NULL;
        strbuf_clear(&path);
        strbuf_printf(&path, "%s/%s", directory, files[i]);
        if (path.failed) {
            rc = err_nomem(e, "tokenizer");
            break;
        }
        if (access(path.s, F_OK))
            continue;
        if (i == 0) {
            rc = read_template_file(t, path.s, e);
            continue;
        }
        rc = json_load(&config, path.s, MAX_CONFIG, e);
        if (rc)
            break;
        if (i == 3) {
            read_id(&t->bos, t, config, "bos_token_id");
            read_id(&t->eos, t, config, "eos_token_id");
        } else {
            rc = read_roles(t, config, e);
            if (!rc)
                rc = read_templates(t, config, e);
        }
        json_free(config);
    }
    strbuf_free(&path);
    return rc;
}
