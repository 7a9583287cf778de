/* Words that are none of those that there are: what was probably meant. */
#ifndef ATTNSCOPE_BASE_NEAR_WORD_H
#define ATTNSCOPE_BASE_NEAR_WORD_H

#include "base/err.h"

/* The hint of e: "did you mean A?" for the nearest of NULL-terminated words (nearest_word in base/param.h), else "did you mean
 * A, B or C?" for those that hold the word (of three letters or more), with `otherwise` behind it; `otherwise` alone where
 * there is none.  Returns e's code. */
int near_word_hint(err *e, const char *word, const char *const *words, const char *otherwise);

#endif
