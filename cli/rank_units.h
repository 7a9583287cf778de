/* Units shared out over ranks (base/ranks.h).  Rank 0 deals them, one at a time as they are asked for, and works too.  The
 * other ranks write to stores of their own beside the session's, STORE.rank1 ..., which rank 0 merges into it at the end;
 * after a kill the same command merges what lies there first, and deals only what is missing. */
#ifndef ATTNSCOPE_CLI_RANK_UNITS_H
#define ATTNSCOPE_CLI_RANK_UNITS_H

#include "cli/command.h"

/* Is that what a command does under mpirun: all that take --resume RUN? */
bool rank_units_of(const command *c);
/* All ranks: a command whose units run on cli/experiment.h.  The units of all are done and merged, then rank 0 runs the
 * command once more on what is stored, for its tables.  --resume as ever. */
int rank_units_run(session *s, const command *c, const command_args *a, err *e);

/* ---- the parts, for who has several runs (`sweep`); all ranks call each ---- */

/* Merge what a stopped command left, then each rank has a store of its own.  ERR_USAGE without --store. */
int rank_stores_begin(session *s, err *e);
/* Merge; the session has its store again.  rc: of the work; that of the first rank that failed comes back, after the
 * merge. */
int rank_stores_end(session *s, int rc, err *e);

typedef struct rank_deal rank_deal;
/* runs [n_run]: ids in rank 0's store, kept by the caller; may be filled in until the first unit is asked for. */
int rank_deal_new(rank_deal **out, session *s, const int64_t *runs, int64_t n_run, err *e);
void rank_deal_free(rank_deal *d);
/* The next unit of a run for this rank, -1: no more.  A rank asks for one run after the other, in order. */
int rank_deal_next(rank_deal *d, int64_t run, int64_t n_unit, int64_t *unit, err *e);
/* Rank 0, while it works: answer who waits. */
void rank_deal_serve(rank_deal *d);
/* This rank asks no more; rank 0 goes on dealing until none does. */
void rank_deal_end(rank_deal *d);

#endif
