/* Experiments: commands whose work is a list of units, each of them rows of the store in one transaction, so
 * that a run that was stopped or killed goes on with --resume where it was.
 *
 * A command fills an experiment_plan, calls experiment_run and then makes its table from the rows of the
 * store: that is the one source, also after a resume. */
#ifndef ATTNSCOPE_CLI_EXPERIMENT_H
#define ATTNSCOPE_CLI_EXPERIMENT_H

#include "base/stats.h"
#include "cli/command_util.h"
#include "cli/prompt_input.h"
#include "cli/run_sink.h"

/* --seed N (default 0), --resume RUN and --dry-run; and the last two alone.  A command with one of these tables can
 * be a part of a sweep. */
extern const param experiment_params[];
extern const param resume_params[];

struct analysis_request;      /* analysis/analyse.h */
typedef struct experiment experiment;

typedef struct experiment_plan {
    session *s;
    const command_args *a;
    loaded_model *lm;             /* with a runtime */
    const char *verb;             /* NULL: the first word of the command line */
    const char *settings;         /* JSON object: all that decides the numbers, but model, seed, precision and
                                   * the contents of files named by options, which are added */
    const char *edits;            /* JSON list; NULL: "[]" */
    int64_t seed;                 /* NO_INDEX: no random numbers */
    int64_t n_unit;
    /* Work of unit i: call experiment_prompt (or _ids, _nothing) once, then emit values, maps and facts.  A
     * unit must not depend on units before it having run in this process.  After an error nothing of it is
     * kept. */
    int (*unit)(void *ud, experiment *x, int64_t i, err *e);
    /* What unit i measures with experiment_measure, so that short prompts of several units can pass together;
     * `in` is freed by the caller.  *request stays NULL for a unit that works otherwise; requests that are
     * the same are the same pointer, valid until experiment_run returns.  NULL: no unit does. */
    int (*input)(void *ud, int64_t i, prompt_input *in, const struct analysis_request **request, err *e);
    /* Lengths of what unit i measures, and with what, for estimates; NULL: those of `input`, where all units
     * have one. */
    int (*lengths)(void *ud, int64_t i, input_lengths *n, const struct analysis_request **request, err *e);
    void *ud;
    const char *what;             /* of progress: "trial", "head" */
    FILE *lines;                  /* where values go as JSON lines while they are made; NULL: nowhere */
    const char *stdin_text;       /* what --prompt-file - read; NULL: nothing */
} experiment_plan;

/* All units that are not in the store yet.  *run: the run's id, set as soon as it is known, also when this
 * fails. As a part of a sweep (cli/run_part.h) this never succeeds, so that the command ends without tables;
 * the sweep knows. */
int experiment_run(const experiment_plan *plan, int64_t *run, err *e);

/* The digest of what an option (row) named by `text`, as "inputs" of the settings hold it.  *read false: what
 * was given is kept there as it is, or cannot be read.  ERR_RESOURCE alone is an error: it says nothing about
 * the file. */
int experiment_input_digest(bool *read, sha256_hex out, const param *row, const char *text, err *e);

/* In a unit: what it is about. */
int experiment_prompt(experiment *x, const prompt_input *in, const char *label, err *e);
/* ids [n] of the main stack, spelled by the model's tokenizer where it has one. */
int experiment_ids(experiment *x, const int32_t *ids, int64_t n, const char *label, err *e);
int experiment_nothing(experiment *x, const char *label, err *e); /* no prompt: weights alone */
int experiment_value(experiment *x, const char *name, attn_kind kind, int layer, int head, int64_t position,
                     double value, err *e);
int experiment_fact(experiment *x, const char *name, const char *text, size_t len, err *e);
const result_sink *experiment_sink(experiment *x);
/* Progress within the unit, 0 .. 1, for analyse() and the like. */
const progress *experiment_progress(experiment *x);
/* analyse() into the unit's rows; what passed together with other units' prompts is there already, the same
 * to the last bit. */
int experiment_measure(experiment *x, const model_input *in, const struct analysis_request *request, err *e);

/* ---- tables of rows ---- */

/* Values of one metric of a run, over its units: a row for each (kind, layer, head, position) in that
 * order. */
typedef struct value_group {
    head_id head;                 /* layer and head may be NO_INDEX */
    int64_t position;
    stats st;
} value_group;
typedef struct value_groups { int64_t n; value_group *g; } value_groups; /* free(g) */
/* units: SQL condition on unit columns ("prompt IN (...)", by fact: "EXISTS (...)"), trusted text; NULL: all.
 * threshold: NULL, or values are made 1 where above it, strictly, else 0, before anything is averaged. */
int experiment_groups(value_groups *out, store *st, int64_t run, const char *metric, const char *units,
                      const double *threshold, uint64_t seed, err *e);
/* The same without the bootstrap, where only means are shown: low and high are the mean. */
int experiment_means(value_groups *out, store *st, int64_t run, const char *metric, const char *units,
                     const double *threshold, err *e);

/* What intervals of a run's values are drawn with wherever they are shown: its seed, 0 for a run without one. */
int run_seed(uint64_t *out, store *st, int64_t run, err *e);
/* The first column of a query's rows as statistics; n is 0 where there are none. */
int stats_of_query(stats *out, store *st, const char *sql, const cell *bind, int n_bind, uint64_t seed,
                   err *e);

/* "SmolLM2-135M, 60 prompts, T 12 to 64, bos added by the tokenizer, f32, weights q4_1, seed 0": the line
 * above a table, for its readers to know how the numbers were taken. */
int experiment_conditions(strbuf *out, store *st, int64_t run, err *e);

/* n, mean, sd, low, high as five cells of a row from column col on; of one value the last three are empty. */
void stats_cells(cell *row, int col, const stats *st);
/* mean, low, high as three cells, likewise. */
void change_cells(cell *row, const stats *st);

/* The highest mean first, then by layer and head. */
void value_groups_sort(value_groups *g);
/* The one of a head at a position; NULL: there is none. */
const value_group *value_groups_find(const value_groups *g, head_id head, int64_t position);

/* Cells of queries: a kind by its name, and a layer, head or position that may be NULL. */
attn_kind kind_of_cell(const cell *c);
int64_t index_of_cell(const cell *c);

#endif
