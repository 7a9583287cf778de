/* Trials of a needle in a haystack: a prompt that holds a statement (the needle), and the answer that a model which
 * finds it would give.  Read from a JSONL file, or made by analysis/haystack.h.
 *
 * A file has one object a line, either of token ids:
 *   {"ids": [0, 17, 42, ...], "needle": [12, 36], "answer_ids": [5, 9]}        needle: tokens begin <= i < end
 * or of text:
 *   {"text": "...", "needle_text": "The colour of ...", "answer": "green"}
 * whose answer tokens are those of the answer within the needle where it stands there (the last time), so that the space
 * before it is as the model would write it; else the answer is tokenised alone;
 * and optionally "label", "length" (tokens that were aimed at), "depth" (share of the haystack before the needle, 0 to
 * 1) and, with ids, "answer" (text).  Other members are ignored.  Empty lines are skipped. */
#ifndef ATTNSCOPE_ANALYSIS_TRIALS_H
#define ATTNSCOPE_ANALYSIS_TRIALS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "model/tokenizer/tokenizer.h"

typedef struct trial {
    int32_t *ids; int64_t n;              /* [n] the prompt, n >= 2; the last token is the one decoding starts from */
    int64_t needle_begin, needle_end;     /* tokens of the prompt, 0 <= begin < end <= n */
    int32_t *answer_ids; int64_t n_answer; /* [n_answer] n_answer >= 1 */
    char *answer; size_t answer_len;      /* its text; NULL where neither the trial nor a tokenizer says it */
    char *text; size_t text_len;          /* what was tokenised; NULL: ids were given */
    const char *policy;                   /* what the tokenizer added to it, its own text; NULL: ids were given */
    char *label;                          /* NULL: none */
    char where[112];                      /* "trials.jsonl:3", of errors; empty for trials that were made */
    int64_t length;                       /* tokens that were aimed at; n where none were */
    double depth;                         /* 0 .. 1; where it was not said, tokens before the needle / tokens beside it */
} trial;

/* How the tokens of a needle are found in a text. */
typedef enum needle_match {
    NEEDLE_BYTES,    /* the tokens that hold bytes of its first occurrence: exact */
    NEEDLE_OVERLAP,  /* as coded by Wu et al. (arXiv 2404.15574): the first window of as many tokens as the needle has when
                      * it is tokenised alone that holds more than 0.9 of its distinct tokens; may be off by some tokens */
} needle_match;
extern const char *const needle_match_names[]; /* "bytes", "overlap", NULL */

typedef struct trial_rules {
    const tokenizer *tok;       /* NULL: trials of ids only */
    needle_match match;
    bool special;               /* the tokenizer adds its special tokens (not to a text that was rendered) */
    int64_t vocab;              /* ids at or above are refused; 0: not checked */
    /* The text as the model is to read it, say in its chat template; NULL: as it is.  free() *out.  *special: the
     * tokenizer is to add its special tokens. */
    int (*render)(void *ud, char **out, size_t *len, bool *special, const char *text, size_t n, err *e);
    void *ud;
} trial_rules;

typedef struct trials { int64_t n; trial *t; } trials;

/* All trials of a file.  ERR_INPUT names file and line: no such member, a needle that is not in the text or outside of
 * the prompt, an id outside of the vocabulary, no trial at all. */
int trials_load(trials *out, const char *path, const trial_rules *rules, err *e);
void trials_free(trials *s);

/* One trial of text.  length and depth are taken from the tokens.  ERR_INPUT. */
int trial_of_text(trial *out, const char *text, size_t n, const char *needle, size_t n_needle, const char *answer,
                  size_t n_answer, const trial_rules *rules, err *e);
void trial_free(trial *t);

/* The first window of `width` tokens of ids [n] that holds more than 0.9 of the distinct tokens of needle [width]; -1:
 * none.  ERR_RESOURCE only. */
int trial_find_overlap(int64_t *begin, const int32_t *ids, int64_t n, const int32_t *needle, int64_t width, err *e);

/* {"ids": [...], "needle": [a, b], "answer_ids": [...], ...} and a newline, appended; reads back as the same trial. */
void trial_put_json(strbuf *b, const trial *t);

#endif
