/* Long results of the interactive shell go through a pager, as the setting `pager` says. */
#ifndef ATTNSCOPE_CLI_PAGER_H
#define ATTNSCOPE_CLI_PAGER_H

#include "cli/command.h"

/* A command begins.  What it prints is held back where a pager may be wanted: at the prompt of a terminal, not in
 * scripts, and not of commands that print while they work (command.live). */
void pager_begin(const session *s, const command *c);
/* Show what is held, through the pager when it is longer than the screen, and hold no more: when the command has ended,
 * and before anything is said on standard error.  Harmless when nothing is held.  The user may leave the pager early,
 * or press Ctrl-C in it; a pager that cannot be run leaves the text on the screen. */
void pager_end(const session *s);

/* Rows that n bytes take on a screen of so many columns; colours take none. */
int64_t pager_rows(const char *text, size_t n, int columns);

#endif
