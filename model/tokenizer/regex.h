/* Regular expressions as the Oniguruma library means them, run by PCRE2 with its compiler (JIT).
 *
 * tokenizer.json files are written for Oniguruma.  regex_new translates what the two read differently
 * (nested classes, \w, \b, \h, \v, \uHHHH, (?m), repeated intervals) and refuses what has no translation. */
#ifndef ATTNSCOPE_MODEL_TOKENIZER_REGEX_H
#define ATTNSCOPE_MODEL_TOKENIZER_REGEX_H

#include <stdbool.h>
#include <stddef.h>
#include "base/err.h"
#include "base/strbuf.h"

typedef struct regex regex;
typedef struct regex_work regex_work; /* what matching needs; one for each thread */

/* literal: the pattern is plain text. */
int regex_new(regex **out, const char *pattern, size_t n, bool literal, err *e);
void regex_free(regex *r);            /* r may be NULL */

int regex_work_new(regex_work **out, err *e);
void regex_work_free(regex_work *w);

/* All matches from left to right, as Oniguruma's find iterator: an empty match right after a match is
 * skipped.  Start with a zeroed regex_iter. */
typedef struct regex_iter {
    size_t begin, end;
    bool done;
    bool matched;         /* private, as what follows */
    size_t at, last;
} regex_iter;
/* The next one is [it->begin, it->end) of s; it->done when there is none.  s is valid UTF-8. */
int regex_next(regex_iter *it, const regex *r, regex_work *w, const char *s, size_t n, err *e);

/* The PCRE2 form of an Oniguruma pattern. */
int regex_translate(strbuf *out, const char *pattern, size_t n, err *e);

#endif
