/* The user's configuration file: lines of the command language that the shell begins with. */
#ifndef ATTNSCOPE_CLI_USER_CONFIG_H
#define ATTNSCOPE_CLI_USER_CONFIG_H

#include "base/strbuf.h"
#include "cli/session.h"

/* $ATTNSCOPE_CONFIG, else $XDG_CONFIG_HOME/attnscope/config (~/.config/...); false: there is no place for one. */
bool user_config_path(strbuf *out);

/* Read it: `set NAME VALUE`, `alias NAME = WORDS` and `let NAME = VALUE`, one a line.  shell false (commands and
 * scripts): only settings that change no results (settings_config_row.batch).  A setting that was named on the
 * program's command line stays.  A line that cannot be read is reported and left out; so is a file. */
void user_config_read(session *s, bool shell);

/* Keep `VERB NAME ...` (line, without its newline) in the file, in the place of the last line that says VERB NAME; line
 * NULL: remove all lines that say it.  What else is there stays as it is; the file appears whole. */
int user_config_save(session *s, const char *verb, const char *name, const char *line, err *e);

/* Take n names out of a list of the session, aliases or variables; save: their `VERB NAME ...` out of the file, too. */
int user_config_forget(session *s, name_list *l, const char *verb, const char *const *names, int n, bool save, err *e);

#endif
