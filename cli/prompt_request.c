#include "cli/prompt_request.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/mapfile.h"
#include "base/mem.h"
#include "cli/token_ids.h"

#define MAX_PROMPT_BYTES ((size_t)64 << 20)

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

static sha256_hex stdin_digest;

const char *prompt_stdin_digest(void)
{
    return *stdin_digest ? stdin_digest : NULL;
}

static int read_stdin(char **out, size_t *len, size_t limit, err *e)
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
        if (n > limit) {
            free(s);
            return err_set(e, ERR_INPUT, "standard input holds more than %zu MiB of text", limit >> 20);
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
    int rc = ferror(stdin) ? err_set(e, ERR_INPUT, "cannot read standard input") : sha256_of(stdin_digest, s, n, e);
    if (rc) {
        free(s);
        return rc;
    }
    s[n] = '\0';
    *out = s;
    *len = n;
    return 0;
}

int prompt_read_bytes(char **out, size_t *len, const char *path, size_t limit, err *e)
{
    if (strcmp(path, "-") == 0)
        return read_stdin(out, len, limit, e);
    return read_file(out, len, path, limit, e);
}

int prompt_read_text(char **out, size_t *len, const char *path, err *e)
{
    return prompt_read_bytes(out, len, path, MAX_PROMPT_BYTES, e);
}

bool prompt_options_given(const params *p)
{
    for (const param *row = prompt_params; row->name; row++)
        if (row->kind != PARAM_BOOL && row->kind != PARAM_INT && params_row(p, row->name) && params_str(p, row->name))
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

void prompt_facts_free(prompt_facts *f)
{
    for (int i = 0; i < f->n; i++) {
        free(f->list[i].name);
        free(f->list[i].text);
    }
    free(f->list);
    *f = (prompt_facts){0};
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
    free(q->messages);
    free(q->label);
    prompt_facts_free(&q->facts);
    *q = (prompt_request){0};
}

void prompt_requests_free(prompt_request *q, int64_t n)
{
    for (int64_t i = 0; q && i < n; i++)
        prompt_request_free(&q[i]);
    free(q);
}
