/* Heads of a selection (cli/head_grammar.h) as a condition on rows of a stored run. */
#ifndef ATTNSCOPE_CLI_HEAD_FILTER_H
#define ATTNSCOPE_CLI_HEAD_FILTER_H

#include "base/strbuf.h"
#include "cli/session.h"

/* " AND head_name IN ('L1H3', ...)" behind what sql holds, and *n: how many heads.  text NULL: nothing is added, *n is 0.
 * Errors of head_select_stored, ERR_RESOURCE. */
int head_filter_put(strbuf *sql, int *n, session *s, store *st, int64_t run, const char *text, err *e);
/* Nothing of the run passed it: the error says so. */
int head_filter_nothing(int64_t run, const char *text, err *e);

#endif
