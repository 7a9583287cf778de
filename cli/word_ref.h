/* Places in a word that stand for values: how they are spelled.  See cli/parse.h for the language and
 * cli/variables.h for the values. */
#ifndef ATTNSCOPE_CLI_WORD_REF_H
#define ATTNSCOPE_CLI_WORD_REF_H

#include "cli/parse.h"

/* Read what begins with the '$' at text[0].  out->len 0: the sign stands for itself, as in "$5.40" at its end
 * or before a blank.  Texts are kept in mem.  ERR_USAGE: braces that hold no name. */
int word_ref_read(word_ref *out, const char *text, size_t n, arena *mem, err *e);

/* Letters, digits and _, not beginning with a digit, n > 0: what may be called a variable. */
bool word_ref_name(const char *name, size_t n);

#endif
