/* Variables of the command language: `let`, and what is predefined. */
#ifndef ATTNSCOPE_CLI_VARIABLES_H
#define ATTNSCOPE_CLI_VARIABLES_H

#include "base/strbuf.h"
#include "cli/parse.h"
#include "cli/session.h"

/* Put the text of a word with values in the places of its references behind what b holds.  Of the word in
 * which it stands a value is a part as it is: never split, never read again.  ERR_USAGE: no such variable. */
int variables_expand(strbuf *b, session *s, const parsed_word *w, err *e);

/* Is the word no more than $1 ... $9? */
bool variables_is_argument(const parsed_word *w);
/* Names of the predefined ones, NULL behind the last. */
const char *variables_predefined(int i);

/* ERR_USAGE unless name may be given a value: well formed, and none of the predefined ones. */
int variables_check_name(const char *name, err *e);
/* "did you mean" among all variables, else how to see them. */
int variables_unknown(const session *s, const char *name, err *e);

/* All of them: variable, value, from ("predefined", "config", "session").  table_free it. */
int variables_table(table **out, session *s, err *e);

#endif
