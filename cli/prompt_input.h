/* What a command runs on: text through the model's tokenizer, or raw token ids. */
#ifndef ATTNSCOPE_CLI_PROMPT_INPUT_H
#define ATTNSCOPE_CLI_PROMPT_INPUT_H

#include "base/param.h"
#include "cli/session.h"
#include "db/store.h"

/* --prompt TEXT, --prompt-file FILE, --ids LIST|FILE, --special, --truncate N. */
extern const param prompt_params[];

typedef struct prompt_input {
    int32_t *ids;          /* [n] */
    int64_t n;
    char *text;            /* what was tokenised (may hold NUL); NULL for raw ids */
    size_t text_len;
    const char *policy;    /* what the tokenizer added; belongs to the tokenizer, or static */
    int64_t n_cut;         /* tokens that --truncate dropped */
    bool *special;         /* [n] added or recognised special tokens */
} prompt_input;

/* Exactly one source must be given (ERR_USAGE otherwise).  Raw ids are taken as they are; text gets what
 * the tokenizer's own policy adds, unless --no-special.  Ids outside the vocabulary, an empty prompt and
 * one longer than the model's context are refused. */
int prompt_read(prompt_input *out, const loaded_model *lm, const params *p, err *e);
void prompt_free(prompt_input *in);

/* Ids alone: "1,2,3" (spaces and brackets allowed), a .npy file, the array `ids` of a .npz file, or any
 * other file as text of that form; `@NAME` is always a file. */
int prompt_parse_ids(int32_t **ids, int64_t *n, const char *text, err *e);
/* Refuses an empty list, ids outside the vocabulary and more tokens than the context holds. */
int prompt_check_ids(const loaded_model *lm, const int32_t *ids, int64_t n, err *e);

/* Rows for the store: allocated, free() it; texts belong to the tokenizer. */
int prompt_store_tokens(store_token **out, const prompt_input *in, const loaded_model *lm, err *e);

/* A text file taken whole, or standard input for "-"; free() the result. */
int prompt_read_text(char **out, size_t *len, const char *path, err *e);

#endif
