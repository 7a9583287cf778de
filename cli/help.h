/* Help: the overview, one command, one metric, edit or figure, the man pages and completion for bash, zsh and fish, all from the
 * tables that the program runs on. */
#ifndef ATTNSCOPE_CLI_HELP_H
#define ATTNSCOPE_CLI_HELP_H

#include <stdio.h>
#include "analysis/edit.h"
#include "analysis/metric.h"
#include "base/strbuf.h"
#include "cli/command.h"
#include "plots/figure.h"

int help_overview(FILE *f, err *e);
int help_command(FILE *f, const command *c, err *e);
int help_metric(FILE *f, const metric *m, err *e);
int help_edit(FILE *f, const edit *x, err *e);
int help_figure(FILE *f, const figure *fig, err *e);
int help_topic_text(FILE *f, const char *title, const char *text, err *e);
/* attnscope(1) in man(7). */
int help_man(FILE *f, err *e);
/* attnscope-json(7): the schemas of --json. */
int help_man_json(FILE *f, err *e);
/* attnscope-VERB(1). */
int help_man_command(FILE *f, const command *c, err *e);
/* Scripts for the completion of the system's shells. */
int help_bash_completion(FILE *f, err *e);
int help_zsh_completion(FILE *f, err *e);
int help_fish_completion(FILE *f, err *e);

/* --- shared by the writers --- */

/* Columns of a page of help: those of the terminal, 24 to 80. */
int help_width(void);

/* What is said about the program as a whole: `help language`, and sections of the man page. */
typedef struct help_topic {
    const char *name;   /* NULL ends the list */
    const char *title;
    const char *text;   /* paragraphs apart by an empty line; lines that begin with blanks stay as they are;
                         * `words` of the language in back quotes */
} help_topic;
extern const help_topic help_topics[];
extern const char head_help[]; /* of the topic "heads" (cli/head_help.c) */
const help_topic *help_find_topic(const char *name); /* NULL: there is none */

/* The program's options before the verb. */
typedef struct program_option { const char *spelling, *help; } program_option;
extern const program_option program_options[]; /* ended by NULL */

/* "--threads N", "--[no-]special" for a flag that is on by default, "--json". */
void help_option(strbuf *b, const param *row);
/* The help of a row with its choices and default. */
void help_option_text(strbuf *b, const param *row);
/* Is row of tables[t] hidden by a row of the same name in an earlier table? */
bool help_shadowed(const param *const *tables, int t, const param *row);
/* Text as paragraphs of lines of at most width columns, each line after `indent` blanks. */
void help_wrap(strbuf *b, const char *text, int indent, int width);
/* Text as it is, each line ended; where fd is a terminal, words of a line that does not fit go on in the next row, below
 * its first word, or below the text behind a label ("  name    text"). */
void help_fit(strbuf *b, const char *text, int fd);
/* One entry of a list: label at column `indent`, text wrapped from column `column` on. */
void help_entry(strbuf *b, const char *label, const char *text, int indent, int column, int width);

#endif
