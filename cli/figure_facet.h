/* --facet: several runs, heads or metrics side by side, each loaded as if it were drawn alone. */
#ifndef ATTNSCOPE_CLI_FIGURE_FACET_H
#define ATTNSCOPE_CLI_FIGURE_FACET_H

#include "cli/figure_parts.h"

typedef struct facets {
    facet_kind kind;
    char *text;                    /* owned; word point into it */
    const char *word[PANELS_MOST];
    int n;
} facets;

/* The words of --facet, checked: of one sort, one that the recipe has facets of, not said by another option as well.
 * free(x->text), also after an error. */
int facets_read(facets *x, const figure *f, const command_args *a, err *e);
/* The option that a facet stands for: "run", "head", "metric". */
const char *facet_option(const facets *x);

/* What panels [x->n] are called: --labels of runs, else what they differ in.  many: runs are drawn over many prompts, which have
 * no label in common. */
int facets_titles(const char **title, figure_source *src, const facets *x, const figure_facts *facts, const command_args *a,
                  bool many, err *e);
bool facets_one_model(const facets *x, const figure_facts *facts);
/* The title of the first panel; without its model where there are several. */
const char *facets_title(figure_source *src, const facets *x, const figure_facts *facts, err *e);
/* "sink, induction" where the quantities of src->facet differ. */
const char *facets_quantity(figure_source *src, err *e);
/* Limits that hold those of all; NaN where one has none. */
void facets_limits(figure_data *d, const figure_source *src);
/* NULL is the same as "". */
bool facets_same_text(const char *a, const char *b);

#endif
