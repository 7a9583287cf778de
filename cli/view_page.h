/* What an interactive view shows: one map or chart at a time, and what else can be switched to. */
#ifndef ATTNSCOPE_CLI_VIEW_PAGE_H
#define ATTNSCOPE_CLI_VIEW_PAGE_H

#include "cli/figure_data.h"
#include "cli/view_map.h"
#include "plots/chart_data.h"

typedef struct view_page {
    figure_source src;          /* owns labels and words */
    figure_data d;              /* what is shown: title, names of axes, quantity; m without cells where `weights` */
    view_map map;               /* of a chart nothing */
    bool weights;               /* a stored attention map: rows are queries, columns keys */
    stored_map stored;          /* of weights: its shape; a cell of map is of stored.pool x stored.pool tokens */
    head_id head;
} view_page;

typedef struct view_book {
    session *s;
    const command_args *a;      /* its options change with what is shown, so that `plot` draws the same */
    store *st;
    const figure *f;
    head_id *head;              /* [n_head] stored maps that the recipe draws; 0: it draws none by itself */
    int n_head, at_head;
    int n_panel, at_panel;      /* of a recipe with panels; 0: none */
    table *metrics;             /* of the run, a name a row; NULL: none */
    int64_t at_metric;          /* NO_INDEX: the recipe takes none */
    view_page page;
    const progress *prog;       /* while the terminal is still that of the shell; NULL later, when it would be written over the
                                 * picture */
} view_book;

/* The first page: of --head, --metric, else the first that there is.  Errors are those of `view` without -i. */
int view_book_open(view_book *out, session *s, const command_args *a, store *st, const figure *f, err *e);
void view_book_close(view_book *b);

/* The next one (step 1) or the one before (-1); what is shown stays when that fails.  ERR_FAILED: there is none. */
int view_book_step_head(view_book *b, int step, err *e);  /* or panel */
int view_book_step_layer(view_book *b, int step, err *e); /* the same head of the next layer that has one, else its first */
int view_book_step_metric(view_book *b, int step, err *e);

#endif
