/* What `explain` tells of metrics, edits, figures and terms, as fields that are printed as text or as rows. */
#ifndef ATTNSCOPE_CLI_EXPLAIN_H
#define ATTNSCOPE_CLI_EXPLAIN_H

#include <stdio.h>
#include "base/table.h"
#include "cli/explain_terms.h"

/* columns: topic, kind, field, text */
int explain_table(table **out, err *e);
/* Append all that bears this name (blanks and "_" as "-", any case), with its other spellings.  *any: there was something. */
int explain_name(table *t, const char *name, bool *any, err *e);
/* The nearest name, NULL when none is near. */
const char *explain_nearest(const char *name);
/* The rows as text, wrapped to the width of help. */
int explain_print(FILE *f, const table *t, err *e);
/* One line for each term. */
int explain_overview(FILE *f, err *e);
/* The works that the rows cite, each once, as BibTeX; t NULL: the whole bibliography. */
int explain_bibtex(FILE *f, const table *t, err *e);

#endif
