/* Pairs of prompts for `patch`: by options, from a file, or from a generator; as texts and then as tokens. */
#ifndef ATTNSCOPE_CLI_PATCH_PAIRS_H
#define ATTNSCOPE_CLI_PATCH_PAIRS_H

#include "analysis/experiments/patch_sweep.h"
#include "analysis/experiments/prompt_pairs.h"
#include "cli/command_util.h"
#include "cli/prompt_input.h"

/* --clean, --corrupted, --answer, --wrong and the same as ids, --pairs, --task, --n, --template, --position, --special,
 * --bos. */
extern const param patch_pair_params[];

/* A pair as it was asked for.  All owned. */
typedef struct pair_request {
    given_tokens clean, corrupted;
    char *answer;              /* NULL: none, or by id */
    int32_t answer_id;         /* -1: none, or by text */
    char **wrong;              /* [n_wrong] or NULL */
    int32_t *wrong_ids;        /* [n_wrong] or NULL */
    int n_wrong;
    int64_t position;          /* where the logits are read; negative: from the end */
    char *label;               /* or NULL */
    char where[112];           /* "pairs.jsonl:3"; empty for options */
} pair_request;

/* The same in tokens. */
typedef struct pair_input {
    prompt_input clean, corrupted;
    int32_t *wrong;            /* [p.n_wrong] owned */
    patch_pair p;              /* views into the above */
    char label[64];
} pair_input;

typedef struct pair_set {
    int64_t n;
    pair_request *request;     /* [n] */
    pair_input *pair;          /* [n]; NULL until pair_set_tokens */
} pair_set;

/* What the options ask for.  one_template: prompts of a generator all by its first template unless --template says
 * otherwise, so that positions mean the same in all. */
int pair_set_read(pair_set *out, const params *p, const tokenizer *tok, bool one_template, err *e);
/* One JSON object a line: {"clean": ..., "corrupted": ..., "answer": ..., "wrong": ...}, wrong a text or a list of texts;
 * or clean_ids, corrupted_ids, answer_id, wrong_ids; optionally label, position.  Errors name the line. */
int pair_requests_load(pair_set *out, const char *path, err *e);
/* Texts to tokens.  answers: both answers are needed.  ERR_USAGE: lengths that differ, an answer that is not one token
 * behind its prompt, answer and wrong answer the same, a position outside the prompt. */
int pair_set_tokens(pair_set *s, const loaded_model *lm, const params *p, bool answers, err *e);
void pair_set_free(pair_set *s);

/* Write the pairs as lines that --pairs reads. */
int pair_set_write(const pair_set *s, const char *path, err *e);
/* SHA-256 over all that the numbers depend on. */
int pair_set_hash(sha256_hex out, const pair_set *s, err *e);

#endif
