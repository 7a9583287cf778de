/* What `needle` prints and writes: from the rows of its run. */
#ifndef ATTNSCOPE_CLI_NEEDLE_TABLES_H
#define ATTNSCOPE_CLI_NEEDLE_TABLES_H

#include "base/table.h"
#include "cli/experiment.h"

/* Trials of a run that passed its success rule, and all; the best recall of those that did not. */
typedef struct needle_counts { int64_t all, counted, exact; double best_recall; } needle_counts;
int needle_count(needle_counts *out, store *st, int64_t run, err *e);

/* One row a head, the highest mean score first: mean over the trials that count, standard deviation, 95 % interval, mean
 * score as a set, share of trials with a score above 0, mean place in the needle that was looked at. */
int needle_head_table(table **out, store *st, int64_t run, uint64_t seed, err *e);
/* One row a trial. */
int needle_trial_table(table **out, store *st, int64_t run, err *e);
/* Share of trials that succeeded, by length and depth.  wide: lengths down, depths across; else one row a cell, with n,
 * interval and mean recall. */
int needle_grid_table(table **out, store *st, int64_t run, bool wide, uint64_t seed, err *e);

/* {"layer-head": [score of each trial that counts], ...} on one line, 0-based, as Retrieval_Head's head_score files.
 * append: behind the lists of a file that is there. */
int needle_write_scores(store *st, int64_t run, const char *path, bool append, err *e);

#endif
