/* A prompt as it was asked for, before any model has seen it: by options, or by one of many in files. */
#ifndef ATTNSCOPE_CLI_PROMPT_REQUEST_H
#define ATTNSCOPE_CLI_PROMPT_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/hash.h"
#include "base/param.h"

/* --prompt, --prompt-file, --ids, the same of source and target, --image, --pixels, --audio, --features,
 * --special, --truncate. */
extern const param prompt_params[];
/* --prompts FILE|FOLDER|-, --prompt-unit: of commands that take many. */
extern const param prompts_params[];

/* A text or token ids; neither: not given. */
typedef struct given_tokens {
    char *text;               /* owned; may hold NUL */
    size_t text_len;
    int32_t *ids;             /* [n] owned */
    int64_t n;
} given_tokens;

/* What a file says of a prompt besides, say its domain: facts of its unit in the store. */
typedef struct prompt_fact { char *name, *text; size_t len; } prompt_fact;
typedef struct prompt_facts { prompt_fact *list; int n; } prompt_facts;
void prompt_facts_free(prompt_facts *f);

/* Owned paths of files; NULL: not given. */
typedef struct prompt_request {
    given_tokens prompt, source, target;
    char *messages;           /* in place of prompt: a JSON list of {"role", "content"}, for the model's chat template */
    char *image, *pixels, *audio, *features;
    char *label;
    prompt_facts facts;
    char where[112];          /* "stories.jsonl:3"; empty for options */
} prompt_request;

static inline bool is_given(const given_tokens *g)
{
    return g->text || g->ids;
}

/* Is any of prompt_params given that names an input?  p may describe none of them. */
bool prompt_options_given(const params *p);
/* What the options ask for.  Two forms of the same thing are ERR_USAGE. */
int prompt_request_read(prompt_request *out, const params *p, err *e);
void prompt_request_free(prompt_request *q);

/* How plain text is cut into prompts.  USUAL: a line each; of a folder, a file each. */
typedef enum prompt_unit { PROMPT_USUAL, PROMPT_LINE, PROMPT_DOCUMENT, PROMPT_FILE } prompt_unit;
prompt_unit prompt_unit_of(const params *p); /* p describes prompts_params */

/* The prompts of a path; any of the files may be packed by gzip.
 *
 * JSON Lines (*.jsonl, *.ndjson, *.json; with another name, and on standard input, what begins with '{'): an object a line
 * with text, ids or messages, and optionally label (or id), source, source_ids, target, target_ids, image, pixels, audio,
 * features.  Members of other names are facts of the prompt; those that experiments use themselves ("set", "generated",
 * "stopped", "checkpoint") get the name "prompt.set".  Answers that `needle` and others write are left out.  Paths
 * are relative to the folder of the file.
 * Plain text (anything else): a prompt a line, blank lines left out; or a document, between form feeds where there are any,
 * else between blank lines; or the file.  It must be UTF-8 without NUL.
 * A folder: its *.txt and *.jsonl (and those with .gz), sorted by name.
 * "-": standard input.
 *
 * *out: [*n] requests, n >= 1; prompt_requests_free.  ERR_INPUT names file and line. */
int prompt_requests_load(prompt_request **out, int64_t *n, const char *path, prompt_unit unit, err *e);
/* JSON Lines in memory; path is what errors call them. */
int prompt_requests_parse(prompt_request **out, int64_t *n, const char *text, size_t size, const char *path, err *e);
void prompt_requests_free(prompt_request *q, int64_t n);
/* SHA-256 of what a path holds, of a folder with the names; of standard input: of what was read from it last. */
int prompt_requests_hash(sha256_hex out, const char *path, err *e);

/* A text file taken whole, or standard input for "-"; free() the result.  limit: bytes, at most. */
int prompt_read_text(char **out, size_t *len, const char *path, err *e);
int prompt_read_bytes(char **out, size_t *len, const char *path, size_t limit, err *e);
/* Of what was read from standard input last; NULL: nothing was. */
const char *prompt_stdin_digest(void);

#endif
