/* From words to a command that runs: the one way in for the shell, scripts, -c and argv. */
#ifndef ATTNSCOPE_CLI_DISPATCH_H
#define ATTNSCOPE_CLI_DISPATCH_H

#include "cli/command.h"
#include "cli/parse.h"

/* Split the words after the verb into options and positional arguments.
 *
 * `--name value`, `--name=value`, `--flag`, `--no-flag`, `-o FILE` (--output), `-q` (--quiet), `-h` (--help);
 * `--` ends the options; a lone "-" and negative numbers are positional.  word: room for n. */
int command_read_words(const command *c, params *p, const char **positional, int *n_positional, int n,
                       const char *const *words, err *e);

/* Run the commands of one parsed line.  name: what errors call the text, NULL: nothing; first_line > 0: its
 * number is added.  Returns the code of the first error. */
int session_parsed(session *s, const parsed_line *line, const char *name, int first_line);

#endif
