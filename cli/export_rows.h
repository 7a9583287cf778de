/* The values of a run as lines of text, written as they are read: memory does not grow with the run. */
#ifndef ATTNSCOPE_CLI_EXPORT_ROWS_H
#define ATTNSCOPE_CLI_EXPORT_ROWS_H

#include "cli/command_util.h"

/* CSV, TSV (with a header) or JSON Lines, in the order of prompts.  Long: a value a line, as `run --json` prints it.  wide: a
 * place (prompt, kind, layer, head, position) a line with a column for each metric of the run; what was not measured there is
 * empty (null in JSON).  Numbers are the shortest that read back as the same double.  terminal: f is one, and gets no
 * control characters.  *n: lines, 0 without values. */
int export_rows(FILE *f, store *st, int64_t run, output_format format, bool wide, bool terminal, int64_t *n,
                const progress *p, err *e);

#endif
