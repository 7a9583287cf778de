/* Tables of what edits do: measures of a run under several conditions, unit by unit against the model as it is. */
#ifndef ATTNSCOPE_CLI_EFFECT_TABLE_H
#define ATTNSCOPE_CLI_EFFECT_TABLE_H

#include "cli/effect_input.h"

enum { ANY_POSITION = -2 };  /* the mean over all positions of a unit */

/* Where the values of a condition are: as effect_site. */
typedef struct condition {
    const char *name;         /* of the row */
    const char *suffix;
    attn_kind kind;
    int layer, head;
    int64_t position;
} condition;

/* What is compared: the values of a unit, or 1 where they are above a bound, else 0. */
typedef struct measure {
    const char *name;         /* of the row: "recall above .5" */
    const char *metric;       /* "recall" */
    bool rate;
    double bound;
} measure;
extern const measure effect_measures[]; /* nll, accuracy, recall, success; the last has no name */
const measure *measure_find(const char *name); /* NULL when unknown */

/* Values of a measure under a condition by unit: [n] units and values, n = 0 when the run has none; free() both. */
typedef struct series { int64_t n; int64_t *unit; double *x; } series;
int series_load(series *out, store *st, int64_t run, const measure *what, const condition *c, err *e);
void series_free(series *s);
/* b - a over the units that both have, in order: free(*d); n = 0 when there are none. */
int series_differences(double **d, int64_t *n, const series *b, const series *a, err *e);
/* The same as statistics. */
int series_difference(stats *out, const series *b, const series *a, uint64_t seed, err *e);

typedef struct effect_view { store *st; int64_t run; uint64_t seed; } effect_view;
/* Columns measure, condition, n, mean, sd, low, high, change, change_low, change_high: for each measure that the run has, a
 * row for each condition [n]; the change is against the first, unit by unit.  table_free(*out). */
int effect_table(table **out, const effect_view *v, const condition *conditions, int n, err *e);

/* "run 3: lantern-3m, 61 prompts, ..." */
int effect_heading(session *s, const effect_view *v, err *e);

#endif
