#include "cli/prompt_request.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/json.h"
#include "base/mapfile.h"
#include "base/mem.h"
#include "cli/token_ids.h"

#define MAX_PROMPT_BYTES ((size_t)64 << 20)
#define MAX_PROMPTS_BYTES ((size_t)1 << 30)

const param prompt_params[] = {
    {.name = "prompt", .kind = PARAM_STR, .value = "TEXT",
     .help = "text to run on; the tokenizer adds what its own policy says.  Of an encoder-decoder: the source; of a "
             "speech model: the target"},
    {.name = "prompt-file", .kind = PARAM_PATH, .value = "FILE",
     .help = "the same from a file, taken whole (- is standard input)"},
    {.name = "ids", .kind = PARAM_STR, .value = "LIST|FILE",
     .help = "token ids, nothing added: \"0,17,42\", a .npy file or a text file of numbers"},
    {.name = "source", .kind = PARAM_STR, .value = "TEXT",
     .help = "text that the encoder of an encoder-decoder reads"},
    {.name = "source-file", .kind = PARAM_PATH, .value = "FILE", .help = "the same from a file, taken whole"},
    {.name = "source-ids", .kind = PARAM_STR, .value = "LIST|FILE", .help = "the same as token ids, nothing added"},
    {.name = "target", .kind = PARAM_STR, .value = "TEXT",
     .help = "text on the decoder's side of an encoder-decoder, shifted behind its start token; without it the decoder "
             "runs on the start token alone"},
    {.name = "target-ids", .kind = PARAM_STR, .value = "LIST|FILE",
     .help = "the decoder's token ids, start token included, nothing added"},
    {.name = "image", .kind = PARAM_PATH, .value = "FILE",
     .help = "picture (PNG, JPEG), prepared as preprocessor_config.json of the model says"},
    {.name = "pixels", .kind = PARAM_PATH, .value = "FILE.npy",
     .help = "prepared picture [channels, height, width] instead"},
    {.name = "audio", .kind = PARAM_PATH, .value = "FILE.wav",
     .help = "sound, turned into a log-mel spectrogram as preprocessor_config.json of the model says"},
    {.name = "features", .kind = PARAM_PATH, .value = "FILE.npy", .help = "spectrogram [mel bins, frames] instead"},
    {.name = "special", .kind = PARAM_BOOL, .def = "true",
     .help = "let the tokenizer add its special tokens to text"},
    {.name = "truncate", .kind = PARAM_INT, .value = "N", .min = 1, .max = 1e15,
     .help = "keep the first N tokens of the prompt only"},
    {.name = NULL},
};

const param prompts_params[] = {
    {.name = "prompts", .kind = PARAM_PATH, .value = "FILE.jsonl",
     .help = "many prompts: a JSON object a line with text or ids, and optionally label, source, target, image, audio"},
    {.name = NULL},
};

static int read_stdin(char **out, size_t *len, err *e)
{
    size_t cap = 1 << 16, n = 0;
    char *s = mem_array(cap, 1, e);
    if (!s)
        return ERR_RESOURCE;
    for (;;) {
        size_t got = fread(s + n, 1, cap - n - 1, stdin);
        if (got == 0)
            break;
        n += got;
        if (n > MAX_PROMPT_BYTES) {
            free(s);
            return err_set(e, ERR_INPUT, "standard input holds more than %zu MiB of text",
                           MAX_PROMPT_BYTES >> 20);
        }
        if (cap - n < 2) {
            char *more = mem_grow(s, cap * 2, 1, e);
            if (!more) {
                free(s);
                return ERR_RESOURCE;
            }
            s = more;
            cap *= 2;
        }
    }
    if (ferror(stdin)) {
        free(s);
        return err_set(e, ERR_INPUT, "cannot read standard input");
    }
    s[n] = '\0';
    *out = s;
    *len = n;
    return 0;
}

int prompt_read_text(char **out, size_t *len, const char *path, err *e)
{
    if (strcmp(path, "-") == 0)
        return read_stdin(out, len, e);
    return read_file(out, len, path, MAX_PROMPT_BYTES, e);
}

bool prompt_options_given(const params *p)
{
    for (const param *row = prompt_params; row->name; row++)
        if (row->kind != PARAM_BOOL && row->kind != PARAM_INT && params_str(p, row->name))
            return true;
    return false;
}

/* One of up to three ways to give the same tokens; what: "prompt". */
static int read_given(given_tokens *out, const params *p, const char *text_name, const char *file_name,
                      const char *ids_name, err *e)
{
    const char *text = params_str(p, text_name), *file = file_name ? params_str(p, file_name) : NULL,
               *ids = params_str(p, ids_name);
    if ((text != NULL) + (file != NULL) + (ids != NULL) > 1) {
        if (file_name)
            err_set(e, ERR_USAGE, "--%s, --%s and --%s exclude each other", text_name, file_name, ids_name);
        else
            err_set(e, ERR_USAGE, "--%s and --%s exclude each other", text_name, ids_name);
        return err_hint(e, "keep one of them");
    }
    if (ids) {
        char option[32];
        snprintf(option, sizeof option, "--%s", ids_name);
        return token_ids_parse(&out->ids, &out->n, ids, option, e);
    }
    if (file)
        return prompt_read_text(&out->text, &out->text_len, file, e);
    if (text && !(out->text = mem_strdup(text, e)))
        return ERR_RESOURCE;
    out->text_len = text ? strlen(text) : 0;
    return 0;
}

static int read_path(char **out, const params *p, const char *name, err *e)
{
    const char *path = params_str(p, name);
    return path && !(*out = mem_strdup(path, e)) ? ERR_RESOURCE : 0;
}

int prompt_request_read(prompt_request *out, const params *p, err *e)
{
    *out = (prompt_request){0};
    int rc = read_given(&out->prompt, p, "prompt", "prompt-file", "ids", e);
    if (!rc)
        rc = read_given(&out->source, p, "source", "source-file", "source-ids", e);
    if (!rc)
        rc = read_given(&out->target, p, "target", NULL, "target-ids", e);
    if (!rc)
        rc = read_path(&out->image, p, "image", e);
    if (!rc)
        rc = read_path(&out->pixels, p, "pixels", e);
    if (!rc)
        rc = read_path(&out->audio, p, "audio", e);
    if (!rc)
        rc = read_path(&out->features, p, "features", e);
    if (rc)
        prompt_request_free(out);
    return rc;
}

static void given_free(given_tokens *g)
{
    free(g->text);
    free(g->ids);
}

void prompt_request_free(prompt_request *q)
{
    given_free(&q->prompt);
    given_free(&q->source);
    given_free(&q->target);
    free(q->image);
    free(q->pixels);
    free(q->audio);
    free(q->features);
    free(q->label);
    *q = (prompt_request){0};
}

void prompt_requests_free(prompt_request *q, int64_t n)
{
    for (int64_t i = 0; q && i < n; i++)
        prompt_request_free(&q[i]);
    free(q);
}

/* --- JSONL --- */

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
    err_set(e, ERR_INPUT, "key \"%.60s\" is not known", key);
    return err_hint(e, "a line has text or ids, and optionally label, source, source_ids, target, target_ids, image, "
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

int prompt_requests_load(prompt_request **out, int64_t *n, const char *path, err *e)
{
    char *text;
    size_t size, cap = 0;
    prompt_request *list = NULL;
    *out = NULL;
    *n = 0;
    int rc = read_file(&text, &size, path, MAX_PROMPTS_BYTES, e);
    if (rc)
        return rc;
    int64_t number = 0;
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
    free(text);
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
