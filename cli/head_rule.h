/* The options that choose heads, of experiments. */
#ifndef ATTNSCOPE_CLI_HEAD_RULE_H
#define ATTNSCOPE_CLI_HEAD_RULE_H

#include "cli/command_util.h"
#include "cli/head_select.h"

/* --heads and --rule, which are the same (cli/head_grammar.h), and --run RUN, which their rankings and conditions read. */
extern const param head_choice_params[];

/* What the options choose; neither --heads nor --rule: *n = 0 and *out NULL, or with `otherwise_all` all heads of the stack
 * that gives the logits.  free(*out). */
int head_choose(head_id **out, int *n, session *s, const command_args *a, const model *m, bool otherwise_all, err *e);

/* The heads [n] that the text of an option chose, kept in s->chosen for the command that is recorded: a ranking, `last`
 * or a list may choose others later.  Of names alone nothing is kept. */
int head_choice_note(session *s, const char *option, const char *text, const head_id *heads, int n, err *e);
/* Is the text a selection that may choose other heads another time? */
bool head_choice_varies(const char *text);

/* "L1H3,L2H5", appended. */
void put_heads(strbuf *b, const head_id *heads, int n);

#endif
