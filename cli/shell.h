/* The interactive shell (GNU Readline). */
#ifndef ATTNSCOPE_CLI_SHELL_H
#define ATTNSCOPE_CLI_SHELL_H

#include "base/strbuf.h"
#include "cli/session.h"

/* Read and run commands until the end of input or `quit`.  Returns 0, or ERR_CANCELLED after SIGTERM. */
int session_shell(session *s);

/* --- history (cli/shell_history.c) --- */

/* $XDG_STATE_HOME/attnscope/history; false when there is no home to keep it in. */
bool shell_history_path(strbuf *out);
/* Read the file into Readline's list, once.  Trouble with the file is no reason not to have a shell. */
void shell_history_load(void);
/* Remember a line, in the list and at once in the file (made for its owner alone).  Lines that begin with
 * a blank and repetitions of the line before are left out. */
void shell_history_add(const char *line);
/* A line that begins with !! (the line before), !N, !-N, !TEXT (the newest that begins so) or !?TEXT? (holds it): put that
 * line in the place of the words; what is behind them stays.  *line is free()d for another then.  ERR_USAGE: there is none.
 * Elsewhere in a line, and before a blank, a ! is a ! . */
int shell_history_expand(char **line, bool *expanded, err *e);
/* The last n lines (n <= 0: all), numbered. */
int shell_history_print(FILE *f, int64_t n, err *e);
/* Forget everything, in the file too. */
int shell_history_clear(err *e);

#endif
