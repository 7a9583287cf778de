/* Which units of a run its rankings and rules look at.  An experiment may hold unlike units: those of a census (texts,
 * random tokens, trials), and trials that did not succeed, which do not count for heads. */
#ifndef ATTNSCOPE_CLI_RUN_UNITS_H
#define ATTNSCOPE_CLI_RUN_UNITS_H

#include "base/mem.h"
#include "base/strbuf.h"
#include "db/store.h"

/* A condition on the column `prompt` of a view of values, for ?1 the run: " AND prompt IN (...)"; "" where all units
 * count.  set: "text", "random" or "needle" of a census; NULL: the one in which the metric's own column is taken.
 * what: in words, "61 texts", for headings; may be NULL.  ERR_USAGE: a set that the run has not. */
int run_units(strbuf *condition, strbuf *what, store *st, int64_t run, const char *name, const char *set, err *e);

/* The metric called name; else, where the run has values of heads under that name (retrieval, patch_z), a metric made in
 * mem that stands for them.  ERR_USAGE with a near miss otherwise. */
struct metric;
int run_metric(const struct metric **out, arena *mem, store *st, int64_t run, const char *name, err *e);

#endif
