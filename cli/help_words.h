/* For the completion scripts of the system's shells: what may follow, as far as the program knows it beforehand. */
#ifndef ATTNSCOPE_CLI_HELP_WORDS_H
#define ATTNSCOPE_CLI_HELP_WORDS_H

#include "cli/help.h"

/* Append the words of a list, blanks between them: choices (may be NULL), and those of source (may be NULL): "metrics",
 * "figures", "edits", "commands", "settings", "topics", "lists".  False: no words are known (a file, a number, free
 * text), nothing was appended. */
bool help_words(strbuf *b, const char *const *choices, const char *source);
/* Words for an option's value. */
bool help_option_words(strbuf *b, const param *row);
/* "no-special" where a flag is on by default, else "name"; without dashes. */
void help_long_option(strbuf *b, const param *row);
/* Does the value of the option name a file? */
bool help_takes_file(const param *row);
/* Words for the arguments of a verb: the first place decides for all. */
bool help_argument_words(strbuf *b, const command *c);
/* Call each for every option of the verb, what hides another instead of it. */
void help_each_option(const command *c, void (*each)(void *ud, const param *row), void *ud);

#endif
