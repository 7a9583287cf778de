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
    const char *group;        /* "model", "measure", "store", "figure", "prove", "shell" */
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
} command;

extern const command *const commands[]; /* NULL-terminated, in the order of help */
/* exact name; with prefix = true also a unique prefix (the interactive prompt). */
const command *command_find(const char *name, bool prefix);

/* Options that every command with output has: --json --csv --tsv --output FILE. */
extern const param output_params[];
/* Options that every command has: --store FILE --threads N --quiet --help. */
extern const param common_params[];

/* Print a table the way the options ask for: aligned (default), --csv, --tsv, --json (JSON Lines with
 * "schema" first: schema is "attnscope.<what>/1"). */
int print_table(session *s, const command_args *a, const table *t, const char *schema, err *e);

#endif
