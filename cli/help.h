/* Help: the overview, one command, one metric or figure, the man page and completion for bash, all from the
 * tables that the program runs on. */
#ifndef ATTNSCOPE_CLI_HELP_H
#define ATTNSCOPE_CLI_HELP_H

#include <stdio.h>
#include "analysis/metric.h"
#include "base/strbuf.h"
#include "cli/command.h"
#include "plots/figure.h"

int help_overview(FILE *f, err *e);
int help_command(FILE *f, const command *c, err *e);
int help_metric(FILE *f, const metric *m, err *e);
int help_figure(FILE *f, const figure *fig, err *e);
/* attnscope(1) in man(7). */
int help_man(FILE *f, err *e);
int help_bash_completion(FILE *f, err *e);

/* --- shared by the writers --- */

/* "--threads N", "--no-special" for a flag that is on by default, "--json". */
void help_option(strbuf *b, const param *row);
/* Is row i of tables[t] hidden by a row of the same name in an earlier table? */
bool help_shadowed(const param *const *tables, int t, const param *row);
/* Text broken at blanks into lines of at most width columns, each after `indent` blanks; the first line
 * starts at column `at` (0 <= at).  Line breaks in the text stay; lines that begin with blanks are kept as
 * they are. */
void help_wrap(strbuf *b, const char *text, int indent, int at, int width);

#endif
