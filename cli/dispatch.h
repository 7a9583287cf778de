/* From words to a command that runs: the one way in for the shell, scripts, -c and argv. */
#ifndef ATTNSCOPE_CLI_DISPATCH_H
#define ATTNSCOPE_CLI_DISPATCH_H

#include "cli/command.h"
#include "cli/parse.h"

/* Split the words after the verb into options and positional arguments.
 *
 * `--name value`, `--name=value`, `--flag`, `--no-flag`, `-o FILE` (--output), `-q` (--quiet), `-h` (--help);
 * `--` ends the options, and so does argument c->literal_after; a lone "-" and negative numbers are positional.
 * word: room for n. */
int command_read_words(const command *c, params *p, const char **positional, int *n_positional, int n,
                       const char *const *words, err *e);

/* The words of a command as it runs: @files read, variables in their places.  word: [c->n], owned. */
typedef struct command_words { int n; char **word; } command_words;
int command_words_make(command_words *out, session *s, const parsed_command *c, err *e);
void command_words_free(command_words *w);

/* Run the commands of one parsed line.  name: what errors call the text, NULL: nothing; first_line > 0: its
 * number is added.  A first word without quotes may be an alias.  Returns the code of the first error. */
int session_parsed(session *s, const parsed_line *line, const char *name, int first_line);

#endif
