/* What comes next in an unfinished command.  Knows nothing of Readline. */
#ifndef ATTNSCOPE_CLI_LINE_HINT_H
#define ATTNSCOPE_CLI_LINE_HINT_H

#include "base/strbuf.h"
#include "cli/line_context.h"

/* A few words for behind the cursor, at the end of the line: the rest of a word that can only be one, the arguments that
 * are still to come, the value of an option and what it means.  Nothing where there is nothing to say. */
void line_hint(strbuf *out, const session *s, const line_context *at);

/* Help for the place, as lines of at most width columns: the commands, a command with its options, or an option. */
void line_help(strbuf *out, const session *s, const line_context *at, int width);

#endif
