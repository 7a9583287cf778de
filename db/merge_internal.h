/* What the files of merging share: two stores, and how row ids of one become those of the other. */
#ifndef ATTNSCOPE_DB_MERGE_INTERNAL_H
#define ATTNSCOPE_DB_MERGE_INTERNAL_H

#include "db/internal.h"

typedef struct id_pair { int64_t from, to; } id_pair;
typedef struct id_map { id_pair *pair; size_t n, cap; } id_map; /* sorted by from */

enum { MERGE_READ_VALUES, MERGE_FIND_VALUE, MERGE_ADD_VALUE, MERGE_STATEMENTS };

typedef struct merge {
    store *to, *from;
    id_map metric, site;
    sqlite3_stmt *kept[MERGE_STATEMENTS];
    store_merge_report n;
    const struct progress *prog;
    int64_t n_unit, done;      /* of `from`, for the progress */
} merge;

/* ---- merge_rows.c ---- */
int id_map_add(id_map *m, int64_t from, int64_t to, err *e);
/* ERR_INPUT when there is none: rows of the other store refer to rows that it lacks. */
int id_map_get(const merge *g, const id_map *m, int64_t from, int64_t *to, err *e);
/* Metrics and sites of `from` in `to`. */
int merge_names(merge *g, err *e);

/* A value that takes the place of a column: column at of the rows of merge_copy. */
typedef struct replaced { int at; int64_t value; } replaced;
/* Every row of `select` (a query on `from`, ?1 = id) goes through `insert` into `to`: column i of a row is
 * ?(i + 1). First those columns that `other` names [n_other] get a value of their own.  *n (may be NULL)
 * grows by the rows. */
int merge_copy(merge *g, const char *select, int64_t id, const char *insert, const replaced *other,
               int n_other, int64_t *n, err *e);
/* The one row of a query on `in` as a table; ERR_INPUT when there is none. */
int merge_row(store *in, table **out, const char *sql, const cell *bind, int n_bind, err *e);

/* ---- merge_unit.c ---- */
/* Unit `from` of the other store as prompt `index` of run `run` in `to`: copied, or held against the one
 * there is. */
int merge_unit(merge *g, int64_t from, int64_t run, int64_t index, err *e);

#endif
