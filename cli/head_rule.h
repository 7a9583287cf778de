/* Choosing heads: by name, or by what an earlier run has measured of them. */
#ifndef ATTNSCOPE_CLI_HEAD_RULE_H
#define ATTNSCOPE_CLI_HEAD_RULE_H

#include "cli/command_util.h"
#include "cli/head_select.h"

/* --heads LIST, --rule RULE, --run RUN. */
extern const param head_choice_params[];

/* head_select, and words @NAME for the lists of the session's store (`import heads`). */
int head_select_named(head_id **out, int *n, session *s, const model *m, const char *text, err *e);

/* Heads by a rule over the values of a run, averaged over its prompts (but those that it says were no success); ties are
 * kept in the order of layers and heads:
 *     top 20 by retrieval        bottom 5 by entropy       top 5% by retrieval      where sink[0] > 0.3
 * A metric with values at several positions needs one in brackets.  free(*out).  ERR_USAGE: not a rule, no such values, a run
 * of another model, no head passes.  (head_choose also takes "heads NAME", a list of the store.) */
int head_rule(head_id **out, int *n, const model *m, store *st, int64_t run, const char *rule, err *e);

/* What the options choose; neither --heads nor --rule: *n = 0 and *out NULL, or with `otherwise_all` all heads of the stack
 * that gives the logits.  free(*out). */
int head_choose(head_id **out, int *n, session *s, const command_args *a, const model *m, bool otherwise_all, err *e);

/* "L1H3,L2H5", appended. */
void put_heads(strbuf *b, const head_id *heads, int n);

#endif
