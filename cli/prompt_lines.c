/* Prompts from JSON Lines: a file, or the set that is compiled in. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/json.h"
#include "base/mapfile.h"
#include "base/mem.h"
#include "cli/builtin_prompts.h"
#include "cli/prompt_request.h"

#define MAX_PROMPTS_BYTES ((size_t)1 << 30)

static int take_text(char **out, size_t *len, const json *v, const char *key, err *e)
{
    size_t n;
    const char *s = json_str(v, &n);
    if (!s)
        return err_set(e, ERR_INPUT, "\"%s\" is no string", key);
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
    if (strcmp(key, "label") == 0)
        return take_text(&q->label, NULL, v, key, e);
    if (strcmp(key, "domain") == 0)
        return take_text(&q->domain, NULL, v, key, e);
    for (int i = 0; of_experiments[i]; i++)
        if (strcmp(key, of_experiments[i]) == 0)
            return 0;
    err_set(e, ERR_INPUT, "key \"%.60s\" is not known", key);
    return err_hint(e, "a line has text or ids, and optionally label, domain, source, source_ids, target, target_ids, image, "
                       "pixels, audio, features");
}

static int take_line(prompt_request *q, const char *line, size_t n, const char *file, int64_t number, err *e)
{
    const char *slash = strrchr(file, '/'), *what = q->where;
    json *root = NULL;
    *q = (prompt_request){0};
    snprintf(q->where, sizeof q->where, "%.80s:%" PRId64, slash ? slash + 1 : file, number);
    int rc = json_parse(&root, line, n, what, e);
    if (rc)
        return rc;
    if (json_kind_of(root) != JSON_MAP)
        rc = err_set(e, ERR_INPUT, "is no JSON object");
    void *it = NULL;
    const char *key;
    const json *v;
    while (!rc && json_each(root, &it, &key, &v))
        rc = take_member(q, key, v, file, e);
    const given_tokens *twice[] = {&q->prompt, &q->source, &q->target};
    for (int i = 0; i < 3 && !rc; i++)
        if (twice[i]->text && twice[i]->ids)
            rc = err_set(e, ERR_INPUT, "has a text and ids for the same tokens");
    if (rc && rc != ERR_RESOURCE)
        err_prefix(e, "%s", what);
    json_free(root);
    return rc;
}

int prompt_requests_parse(prompt_request **out, int64_t *n, const char *text, size_t size, const char *path, err *e)
{
    size_t cap = 0;
    prompt_request *list = NULL;
    int64_t number = 0;
    int rc = 0;
    *out = NULL;
    *n = 0;
    for (size_t at = 0; at < size && !rc; number++) {
        const char *line = text + at, *end = memchr(line, '\n', size - at);
        size_t len = end ? (size_t)(end - line) : size - at;
        at += len + 1;
        size_t blank = 0;
        while (blank < len && strchr(" \t\r", line[blank]) && line[blank])
            blank++;
        if (blank == len)
            continue;
        if ((size_t)*n == cap) {
            cap = cap ? 2 * cap : 16;
            prompt_request *more = mem_grow(list, cap, sizeof *list, e);
            if (!more) {
                rc = ERR_RESOURCE;
                break;
            }
            list = more;
        }
        rc = take_line(&list[(*n)++], line, len, path, number + 1, e);
    }
    if (!rc && *n == 0) {
        err_set(e, ERR_INPUT, "%s: holds no prompts", path);
        rc = err_hint(e, "write a JSON object a line, as {\"text\": \"Once upon a time\"}");
    }
    if (rc) {
        prompt_requests_free(list, *n);
        *n = 0;
        return rc;
    }
    *out = list;
    return 0;
}

int prompt_requests_load(prompt_request **out, int64_t *n, const char *path, err *e)
{
    char *text;
    size_t size;
    *out = NULL;
    *n = 0;
    int rc = read_file(&text, &size, path, MAX_PROMPTS_BYTES, e);
    if (rc)
        return rc;
    rc = prompt_requests_parse(out, n, text, size, path, e);
    free(text);
    return rc;
}

/* examples/prompts/census.jsonl, as the build turned it into text. */
static const char builtin[] =
#include "registry/builtin_prompts.inc"
    ;

int builtin_prompts(prompt_request **out, int64_t *n, err *e)
{
    return prompt_requests_parse(out, n, builtin, sizeof builtin - 1, "builtin", e);
}

const param builtin_params[] = {
    {.name = "builtin", .kind = PARAM_BOOL,
     .help = "the prompts that come with the program: 61 short texts of prose, dialogue, code, lists, numbers, languages"},
    {.name = NULL},
};

int prompt_requests_chosen(prompt_request **out, int64_t *n, const params *p, bool otherwise_builtin, err *e)
{
    const char *file = params_str(p, "prompts");
    bool own = prompt_options_given(p), set = params_bool(p, "builtin");
    *out = NULL;
    *n = 0;
    if ((file != NULL) + own + set > 1) {
        err_set(e, ERR_USAGE, "--prompts, --builtin and the options that give one prompt exclude each other");
        return err_hint(e, "keep one of them");
    }
    if (file)
        return prompt_requests_load(out, n, file, e);
    if (set || (!own && otherwise_builtin))
        return builtin_prompts(out, n, e);
    *out = mem_array(1, sizeof **out, e);
    if (!*out)
        return ERR_RESOURCE;
    int rc = prompt_request_read(*out, p, e);
    if (rc) {
        free(*out);
        *out = NULL;
    }
    *n = rc ? 0 : 1;
    return rc;
}
