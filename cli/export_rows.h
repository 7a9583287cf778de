/* The values of a run as lines of text, written as they are read: memory does not grow with the run. */
#ifndef ATTNSCOPE_CLI_EXPORT_ROWS_H
#define ATTNSCOPE_CLI_EXPORT_ROWS_H

#include "cli/command_util.h"

/* CSV, TSV (with a header) or JSON Lines, in the order of prompts.  Numbers are the shortest that read back
 * as the same double. */
typedef struct export_form {
    output_format format;
    bool array;     /* of JSON: the objects stand in one array */
    bool wide;      /* not a value a line, as `run --json` prints it, but a place (prompt, kind, layer, head,
                     * position) a line with a column for each metric of the run; what was not measured there
                     * is empty (null in JSON) */
    bool terminal;  /* the file is one, and gets no control characters */
    bool header;    /* also where there are no values */
    const char *heads; /* condition on rows (cli/head_filter.h); NULL: all */
} export_form;
/* *n: lines, 0 without values. */
int export_rows(FILE *f, store *st, int64_t run, export_form form, int64_t *n, const progress *p, err *e);

#endif
