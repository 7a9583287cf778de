/* Choosing heads by words.  The grammar and its manual: cli/head_grammar.h. */
#ifndef ATTNSCOPE_CLI_HEAD_SELECT_H
#define ATTNSCOPE_CLI_HEAD_SELECT_H

#include "cli/head_space.h"
#include "cli/session.h"

/* Where lists of heads and the values of rankings and conditions are. */
typedef struct head_source {
    session *s;          /* its store; NULL: they are refused */
    const char *run;     /* that rankings and conditions read unless they name one: --run; NULL: not said */
    int64_t at_hand;     /* the run whose rows are chosen from, read where it has the metric; 0: none */
    bool read_run;       /* out: `run` was of use */
} head_source;

/* Heads in the order of the selection, each once: free(*out).  ERR_USAGE: not of the grammar, a layer or head that there is
 * not (with the range), a list or metric that the store has not, nothing left.  src may be NULL. */
int head_select_in(head_id **out, int *n, const head_space *space, head_source *src, const char *text, err *e);

/* Among the heads of a model, by name alone. */
int head_select(head_id **out, int *n, const model *m, const char *text, err *e);
/* The same with lists and rules of the session's store. */
int head_select_named(head_id **out, int *n, session *s, const model *m, const char *text, err *e);
/* Among the heads of a stored run's model.  main: of names without a kind; below 0: of the stack that gives the logits. */
int head_select_stored(head_id **out, int *n, session *s, store *st, int64_t run, int main, const char *text, err *e);

/* Layers of the stacks of a model; head of each is NO_INDEX.  free(*out). */
int layer_select(head_id **out, int *n, const model *m, const char *text, err *e);

/* Does one of the names, separated by commas, name this head?  `main`: the kind meant without a prefix.  Nothing is known of
 * the model: a layer that it lacks names no head.  ERR_USAGE: not names alone. */
int head_matches(bool *yes, head_id h, attn_kind main, const char *text, err *e);
/* One head; without a prefix its kind is ATTN_SELF. */
int head_read(head_id *out, const char *text, err *e);
/* Against n_layer and n_head when they are > 0. */
int head_check(head_id h, int64_t n_layer, int64_t n_head, err *e);

/* ---- between head_select.c and head_values.c ---- */

struct head_expr;
/* Values of the metric of x for the heads of space [n], NaN where there is none; *run: of which. */
int head_values_load(double **value, int64_t *run, const head_space *space, head_source *src, const struct head_expr *x, err *e);

#endif
