/* Commands.  One file in cli/commands/ with one `const command command_<file name>`, and one line in
 * cli/sources.mk; help, completion, the man page and `list commands` follow. */
#ifndef ATTNSCOPE_CLI_COMMAND_H
#define ATTNSCOPE_CLI_COMMAND_H

#include <stdbool.h>
#include <stdio.h>
#include "base/param.h"
#include "base/progress.h"
#include "base/table.h"
#include "cli/session.h"

typedef struct command_args {
    int n;                    /* positional arguments */
    const char *const *word;  /* [n] */
    params *p;                /* options: the command's tables and the shared output options */
    const char *line;         /* the command as typed, for provenance */
} command_args;

typedef struct command {
    const char *name;
    const char *group;        /* "model", "measure", "experiment", "store", "figure", "prove", "shell" */
    const char *usage;        /* positional part: "MODEL [--prompt TEXT | --ids LIST]" */
    const char *summary;      /* one line */
    const char *help;         /* paragraphs */
    const char *const *examples; /* command, what it shows, command, ..., NULL; at least two */
    const param *params;      /* own options; NULL when none */
    int min_args, max_args;   /* positional; max -1: any number */
    const char *const *complete; /* what completes each positional argument, NULL-terminated:
                                  * "models", "files", "runs", "metrics", "figures", "commands", "sql" */
    /* Extra tables (metrics' parameters for `run`), NULL when none: NULL-terminated list. */
    const param *const *(*extra_params)(void);
    int (*run)(session *s, const command_args *a, err *e);
    int literal_after;        /* behind so many arguments words are taken as they are, options too; 0: never */
    bool no_table;            /* writes no results: takes none of output_params */
    bool live;                /* prints while it works, asks for keys or runs commands: never held for a pager */
    bool all_ranks;           /* under mpirun (base/ranks.h) all ranks run it; else the first does alone */
} command;

extern const command *const commands[]; /* NULL-terminated, sorted by name */

/* Groups in the order of help; within a group commands are sorted by name. */
typedef struct command_group {
    const char *name;         /* as in command.group; NULL ends the list */
    const char *title;
} command_group;
extern const command_group command_groups[];

/* exact name; with prefix = true also a unique prefix (the interactive prompt). */
const command *command_find(const char *name, bool prefix);

/* Options that every command with output has: --json --csv --tsv --output FILE.  The dispatcher opens
 * --output before the command runs and renames it into place afterwards: commands write to session.out and
 * need not look at it.  A command whose own table has "output" (the file it makes) keeps that meaning. */
extern const param output_params[];
/* Options that every command has: --store FILE --threads N --quiet --help. */
extern const param common_params[];

/* All tables of a command, its own first: at most 8, NULL-terminated. */
typedef const param *command_tables[16];
void command_get_tables(const command *c, command_tables out);

/* Print a table the way the options ask for: aligned (default), --csv, --tsv, --json (JSON Lines with
 * "schema" first: schema is "attnscope.<what>/1"). */
int print_table(session *s, const command_args *a, const table *t, const char *schema, err *e);

#endif
