/* What the files behind cli/figure_data.h share. */
#ifndef ATTNSCOPE_CLI_FIGURE_PARTS_H
#define ATTNSCOPE_CLI_FIGURE_PARTS_H

#include "base/result.h"
#include "cli/figure_data.h"

/* What is known of the run, for title, subtitle and provenance; texts live in the source's arena. */
typedef struct figure_facts {
    const char *model, *sha256, *path, *command, *version, *operator_name, *precision, *label, *prompt_sha256;
    const char *operated;  /* ", sigmoid", ", softmax with 2 edits"; "" for softmax as the model has it */
    int64_t n_token, n_layer, n_head;
    attn_kind main;       /* of the stack that gives the logits */
} figure_facts;

/* s made visible, but for the joiners of emoji, which plots/label.h draws or spells. */
void figure_put_visible(strbuf *b, const char *s, size_t n);
/* printf into the arena of src. */
const char *figure_text(figure_source *src, err *e, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Append "run 3 holds some: --run 3; or ": the newest run of the store with a map (of that head, as L1H3; NULL: any). */
void figure_put_run_with_maps(strbuf *b, store *st, const char *head);
/* Fill cells, labels and titles: figure_map.c from a stored map, figure_values.c from the values of a
 * metric. */
int figure_load_map(figure_source *src, session *s, const command_args *a, store *st, const figure_facts *f,
                    err *e);
int figure_load_values(figure_source *src, const command_args *a, store *st, const figure_facts *f, err *e);
/* Labels of the n tokens of a sequence ("self", "enc", "vis"), or, pooled, the first position of each block. */
int figure_token_labels(const char ***out, figure_source *src, store *st, int64_t prompt, const char *sequence,
                        int64_t block, int64_t n, err *e);
/* A stored map pooled, while it is read, to no more than `side` cells a side (side < 1: than a page of head_map shows):
 * free(*cells); *pool and *pooling: what a cell is of, pooling NULL for single cells. */
typedef struct figure_map { int64_t rows, cols, n_query, n_key, pool; const char *pooling; float *cells; } figure_map;
int figure_read_map(figure_map *out, figure_source *src, const command_args *a, store *st, head_id h, int64_t side, err *e);
/* Which prompts of a run are drawn (figure_units.c): that of --prompt, else all that count for the metric (cli/run_units.h)
 * and have values of it.  Metrics of weights have a unit each.  Texts live in the arena of the source. */
typedef struct figure_units {
    int64_t n, prompt;          /* prompt: NO_INDEX where n > 1, then the mean is drawn */
    const char *condition;      /* " AND prompt = 3", " AND prompt IN (...)" for ?1 the run, or "" */
    const char *size;           /* "mean over 12 prompts", "prompt 3 of 89, LABEL, 74 tokens" */
    const char *caption;        /* "mean over 12 prompts", "74 tokens; 1 prompt (LABEL)" */
    figure_facts facts;         /* with the label and the tokens of that prompt */
} figure_units;
int figure_choose_units(figure_units *u, figure_source *src, const command_args *a, store *st, const char *name,
                        const figure_facts *f, err *e);
/* For figures of one prompt: "prompt 3 of 89, LABEL, ", "LABEL, ", or "". */
const char *figure_prompt_words(figure_source *src, store *st, int64_t prompt, const figure_facts *f, err *e);
/* "jsd layers" */
const char *figure_words(figure_source *src, const char *name, err *e);
/* Whether a metric has values of single heads: those of attention, and of weights where they are not between heads. */
struct metric;
bool figure_of_heads(const struct metric *m);
/* The hint for a run without values of a metric: the command that makes them. */
int figure_hint_metric(const store *st, const char *path, const char *name, err *e);
/* The hint "make them with `COMMAND --store FILE`". */
int figure_hint_command(const store *st, err *e, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* A text of the settings that a run was made with, in the arena of src; NULL: they do not have it. */
int figure_setting(const char **value, figure_source *src, store *st, int64_t run, const char *name, err *e);
/* How the axis of layers is called: "layer", "encoder layer". */
const char *figure_layer_axis(attn_kind kind);
/* Logarithmic colours where the user asks for neither norm nor limits. */
int figure_log_colours(const command_args *a, err *e);
/* *size: query heads that share keys and values, from the stored model; 0 where each has its own, and for other kinds of
 * attention than the model's main one. */
int figure_group_size(int64_t *size, store *st, int64_t run, const figure_facts *f, attn_kind kind, err *e);
/* Lines between the query heads that share keys and values, from the stored model; none for other kinds of attention. */
int figure_head_groups(figure_groups *out, figure_source *src, store *st, const figure_facts *f, attn_kind kind,
                       bool rows, err *e);
/* What draws itself from one run: figure_grid.c maps of many heads, figure_received.c the values of `received`,
 * figure_matrix.c metrics between heads or layers. */
int figure_load_grid(figure_source *src, session *s, const command_args *a, store *st, const figure_facts *f, err *e);
int figure_load_received(figure_source *src, const command_args *a, store *st, const figure_facts *f, err *e);
int figure_load_matrix(figure_source *src, const command_args *a, store *st, const figure_facts *f, err *e);
/* What panels side by side differ in. */
typedef enum facet_kind { FACET_NONE, FACET_RUN, FACET_HEAD, FACET_METRIC } facet_kind;
/* --facet, several of them side by side, provenance included: figure_facet_maps.c, and figure_facet_charts.c for recipes that
 * draw series. */
int figure_load_map_facets(figure_source *src, session *s, const command_args *a, store *st, const figure *f,
                       const char *figure_command, err *e);
int figure_load_chart_facets(figure_source *src, session *s, const command_args *a, store *st, const figure *f,
                             const char *figure_command, err *e);
/* One run by what the recipe needs. */
int figure_load_one(figure_source *src, session *s, const command_args *a, store *st, const figure *f,
                    const figure_facts *facts, err *e);

/* figure_trials.c: from the trials of a run of `needle`, all of them. */
int figure_load_trials(figure_source *src, const command_args *a, store *st, const figure_facts *f, err *e);

/* figure_series*.c: recipes that draw series, of one run or several (--run 3,5), provenance included. */
bool figure_has_series(const figure *f);
int figure_load_series(figure_source *src, session *s, const command_args *a, store *st, const figure *f,
                       const char *figure_command, err *e);
/* "3, 5" */
const char *figure_runs_text(figure_source *src, const int64_t *run, int n, const char *between, err *e);
/* Facts of src->run, and what the file says of n runs. */
int figure_read_facts(figure_facts *f, figure_source *src, store *st, int64_t prompt, err *e);
int figure_put_provenance(figure_source *src, const figure_facts *f, const int64_t *run, int n, const char *figure_command,
                          err *e);

#endif
