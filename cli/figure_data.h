/* Stored rows of one run as the labelled numbers that a figure draws. */
#ifndef ATTNSCOPE_CLI_FIGURE_DATA_H
#define ATTNSCOPE_CLI_FIGURE_DATA_H

#include "base/mem.h"
#include "cli/command.h"
#include "plots/figure.h"

typedef struct figure_source {
    figure_data d;      /* what figure_draw and figure_view take */
    int64_t run;        /* the first where there are several */
    bool several;
    const char *runs;   /* "3,5" where there are several */
    char *label;        /* "L1H3" or the metric's name: for file names */
    const char *which;  /* for captions and subtitles of facets: "mean over 12 prompts", "LABEL, 74 tokens"; NULL: not said */
    const char *all;    /* what the caption says instead of its head or metric: "L0H0, L1H3" of facets; NULL: its own */
    bool mean;          /* over several prompts */
    struct figure_source *facet; /* [n_facet] owned: what --facet put side by side */
    int n_facet;
    float *cells;       /* owned, as is the arena with all texts */
    arena mem;
} figure_source;

/* Options that choose what is drawn: --run --labels --metric --head --kind --position --prompt. */
extern const param figure_source_params[];
/* figure_params and the options of all recipes as one table. */
const param *figure_all_params(void);

/* The recipe called name (ERR_USAGE with a near miss). */
int figure_require(const figure **out, const char *name, err *e);

/* What --head and --facet choose by lists, metrics and the like (cli/head_grammar.h) become names of heads, among those of
 * the run's model. */
int figure_named_heads(session *s, const command_args *a, store *st, err *e);

/* Read what recipe f needs.  Without --head the only stored map is taken, without --metric the only metric
 * of the run; what is missing is an error that says which command makes it.  figure_command: what draws this
 * figure again, for the provenance. */
int figure_source_load(figure_source *out, session *s, const command_args *a, store *st, const figure *f,
                       const char *figure_command, err *e);
void figure_source_free(figure_source *src);

#endif
