/* Choosing edits by words:
 *
 *     --edit "zero L1H3,L2H5; scale 2 L0H1; scale_first gamma=0.5 L3"
 *
 * An edit is its name, values (name=value; a number or a range right behind the name is for the first
 * parameter), and heads as cli/head_grammar.h has them ("zero top 5 by retrieval in L2-"); for edits of
 * layers, layers: L2, L2-5, L-1, enc.L0, all except L0.  Edits are separated by ';'.  Values with blanks
 * stand in "..." or '...'. */
#ifndef ATTNSCOPE_CLI_EDIT_SELECT_H
#define ATTNSCOPE_CLI_EDIT_SELECT_H

#include "analysis/edit.h"
#include "cli/command_util.h"
#include "cli/prompt_request.h"

/* --edit: of commands that run a model. */
extern const param edit_option_params[];

typedef struct edit_choice {
    runtime *r;               /* that has the edits; NULL: none are in use */
    edit_plan *plan;          /* NULL: none were asked for */
    head_reference **ref;     /* [n_ref] of mean and resample */
    int n_ref;
    char *json;               /* for the store; NULL: none were asked for */
    strbuf words;             /* the edits as --edit takes them, heads that were chosen by their names */
    bool varies;              /* some were: by a ranking, a condition, a list */
} edit_choice;

/* What --edit asks for, in use by lm's runtime until edit_choice_free.  Outputs over reference prompts are
 * measured here. */
int edit_choose(edit_choice *out, session *s, const command_args *a, loaded_model *lm, err *e);
/* The same from a text; NULL: no edits. */
int edit_choose_text(edit_choice *out, session *s, loaded_model *lm, const char *text, err *e);
/* For a command that writes its prompts and does not run (--emit): --edit is ERR_USAGE then. */
int edits_without_run(const command_args *a, err *e);
/* Takes the edits off the runtime.  *c may be zeroed. */
void edit_choice_free(edit_choice *c);
static inline const char *edit_choice_json(const edit_choice *c)
{
    return c->json ? c->json : "[]";
}

/* Reference outputs of heads over requests [n] (one of them, drawn by seed, with `one`). */
int edit_reference_make(head_reference **out, session *s, loaded_model *lm, const head_id *heads, int n_head,
                        const prompt_request *requests, int64_t n, bool by_position, bool one,
                        uint64_t seed, err *e);

/* The edit called name: ERR_USAGE with a near miss otherwise. */
int require_edit(const edit **out, const char *name, err *e);

#endif
