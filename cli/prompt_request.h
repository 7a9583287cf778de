/* A prompt as it was asked for, before any model has seen it: by options, or by a line of a JSONL file. */
#ifndef ATTNSCOPE_CLI_PROMPT_REQUEST_H
#define ATTNSCOPE_CLI_PROMPT_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/param.h"

/* --prompt, --prompt-file, --ids, the same of source and target, --image, --pixels, --audio, --features,
 * --special, --truncate. */
extern const param prompt_params[];
/* --prompts FILE.jsonl: of commands that take many. */
extern const param prompts_params[];

/* A text or token ids; neither: not given. */
typedef struct given_tokens {
    char *text;               /* owned; may hold NUL */
    size_t text_len;
    int32_t *ids;             /* [n] owned */
    int64_t n;
} given_tokens;

/* Owned paths of files; NULL: not given. */
typedef struct prompt_request {
    given_tokens prompt, source, target;
    char *image, *pixels, *audio, *features;
    char *label;
    char *domain;             /* what kind of text it is, for tables by domain */
    char where[112];          /* "stories.jsonl:3"; empty for options */
} prompt_request;

static inline bool is_given(const given_tokens *g)
{
    return g->text || g->ids;
}

/* Is any of prompt_params given that names an input? */
bool prompt_options_given(const params *p);
/* What the options ask for.  Two forms of the same thing are ERR_USAGE. */
int prompt_request_read(prompt_request *out, const params *p, err *e);
void prompt_request_free(prompt_request *q);

/* One request a line: {"text": ...} or {"ids": [...]}, and optionally label, domain, source, source_ids, target, target_ids,
 * image, pixels, audio, features.  Empty lines are skipped; paths are relative to the folder of the file.  Errors
 * name the line.  *out: [*n] requests, each of them and the array to be freed (prompt_requests_free). */
int prompt_requests_parse(prompt_request **out, int64_t *n, const char *text, size_t size, const char *path, err *e);
int prompt_requests_load(prompt_request **out, int64_t *n, const char *path, err *e);
void prompt_requests_free(prompt_request *q, int64_t n);

/* A text file taken whole, or standard input for "-"; free() the result. */
int prompt_read_text(char **out, size_t *len, const char *path, err *e);

#endif
