/* Hints for a first word that is no command. */
#ifndef ATTNSCOPE_CLI_VERB_HINT_H
#define ATTNSCOPE_CLI_VERB_HINT_H

#include "cli/session.h"

/* What was probably meant: how other programs call it, the command that takes a word of that kind (a metric, a list, a file),
 * or the nearest command or alias.  Returns e's code. */
int verb_hint(const session *s, const char *word, err *e);

#endif
