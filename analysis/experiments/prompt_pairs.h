/* Generators of clean and corrupted prompts for patching: texts with one answer each.
 *
 * Prompts come in neighbours: the corrupted prompt of 2i is the clean one of 2i + 1 and the other way round, with answer
 * and wrong answer exchanged.  The logit difference of a prompt's corrupted form is therefore minus that of its neighbour,
 * and over all prompts the mean of the corrupted ones is exactly minus that of the clean ones. */
#ifndef ATTNSCOPE_ANALYSIS_EXPERIMENTS_PROMPT_PAIRS_H
#define ATTNSCOPE_ANALYSIS_EXPERIMENTS_PROMPT_PAIRS_H

#include "base/rng.h"
#include "base/strbuf.h"
#include "model/tokenizer/tokenizer.h"

/* Texts, owned; answer and wrong begin with a space where a text would have one. */
typedef struct text_pair { char *clean, *corrupted, *answer, *wrong; } text_pair;
typedef struct text_pairs { int64_t n; text_pair *pair; } text_pairs;
void text_pairs_free(text_pairs *p);

/* Words of a generator that the tokenizer spells as one token behind another word. */
typedef struct word_list {
    const char *what;              /* "names", for errors */
    const char *const *word;       /* NULL-terminated, without the space */
    int least;                     /* that are needed */
    const char **single;           /* [n] found by words_single; free() it */
    int n;
} word_list;
/* ERR_USAGE, with the number that was found, when fewer than l->least are. */
int words_single(word_list *l, const tokenizer *tok, err *e);
/* Is " word" one token behind other text? */
int word_is_single(bool *yes, const tokenizer *tok, const char *word, err *e);

typedef struct pair_task {
    const char *name, *summary;
    int n_template;                /* 1: only one form */
    int64_t n_fixed;               /* > 0: exactly these many prompts, no random numbers */
    /* Prompts 2i and 2i + 1 (a, b), from their own random numbers; template 0 .. n_template - 1. */
    int (*make)(text_pair *a, text_pair *b, const word_list *words, int64_t i, int template, rng *r, err *e);
    const word_list *words;        /* ends with what NULL; NULL: none */
} pair_task;
extern const pair_task *const pair_tasks[]; /* NULL-terminated */
extern const pair_task pair_task_ioi, pair_task_ioi_demo, pair_task_colored_objects;

/* n prompts (even).  template: from 1; 0: all of them in turn.  The same seed gives the same texts for one tokenizer. */
int pair_task_make(text_pairs *out, const pair_task *task, const tokenizer *tok, int64_t n, int template, uint64_t seed,
                   err *e);

#endif
