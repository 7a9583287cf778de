/* Aliases: names for the beginning of a command (`alias`). */
#ifndef ATTNSCOPE_CLI_ALIASES_H
#define ATTNSCOPE_CLI_ALIASES_H

#include "cli/session.h"

/* Give name a text of the command language: commands of one line.  ERR_USAGE: not a name, a verb (unless shadow), or a
 * text that cannot be read. */
int alias_define(session *s, const char *name, const char *text, bool shadow, err *e);
/* "did you mean" among the aliases. */
int alias_unknown(const session *s, const char *name, err *e);

/* For `help`: the alias called name, or all of them behind an empty line (NULL); nothing when there are none. */
int aliases_print(const session *s, const char *name, err *e);
/* All of them: alias, text, from.  table_free it. */
int aliases_table(table **out, const session *s, err *e);

#endif
