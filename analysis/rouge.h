/* ROUGE-1 recall (Lin 2004): how many of the words of a reference stand in an answer.  Words as in Google's rouge_score:
 * runs of a-z and 0-9 of the text in small letters, everything else separates. */
#ifndef ATTNSCOPE_ANALYSIS_ROUGE_H
#define ATTNSCOPE_ANALYSIS_ROUGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

/* *recall: sum over distinct words of min(count in answer, count in reference) / words of the reference, 0 .. 1.
 * stem: words of more than three letters are stemmed (analysis/porter.h) first.  *n_word: words of the reference; where
 * it is 0 there is no recall and *recall is 0.  ERR_RESOURCE only. */
int rouge1_recall(double *recall, int64_t *n_word, const char *reference, size_t n_reference, const char *answer,
                  size_t n_answer, bool stem, err *e);

/* Share of the distinct ids of a reference [n_reference >= 1] that stand in the answer [n_answer].  ERR_RESOURCE only. */
int token_recall(double *recall, const int32_t *reference, int64_t n_reference, const int32_t *answer, int64_t n_answer,
                 err *e);

#endif
