/* What an edit of each of many heads changes: a row a head. */
#ifndef ATTNSCOPE_CLI_HEAD_CHANGES_H
#define ATTNSCOPE_CLI_HEAD_CHANGES_H

#include "cli/effect_table.h"

enum { N_MEASURE = 4 };  /* of effect_measures */

typedef struct head_change {
    head_id head;
    stats change[N_MEASURE];  /* against the model as it is, unit by unit; n = 0: the run has none */
    double order;             /* rows are sorted by it, the largest first */
} head_change;

/* Changes at a position of the values with _edited for heads [n]; base: kind that the values without edits are kept under.
 * any: which measures the run has.  free(*out). */
int head_changes_load(head_change **out, bool any[N_MEASURE], const effect_view *v, attn_kind base, const head_id *heads,
                      int n, err *e);
/* Sort by order, ties by layer and head. */
void head_changes_sort(head_change *rows, int n);
/* Columns head, and for each measure that there is n, change, low, high.  table_free(*out). */
int head_changes_table(table **out, const head_change *rows, int n, const bool any[N_MEASURE], err *e);

#endif
