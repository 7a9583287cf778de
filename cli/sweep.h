/* Sweeps: the cells of a file (cli/sweep_file.h), each a command that is one run of the store, whose units
 * may be done by any number of processes, in any order, and in stores of their own that are merged.
 *
 *     sweep w;
 *     sweep_make(&w, "precision.sweep", &e);          the cells; what is wrong with the words is found here
 *     sweep_look(&w, s, how, &e);                     their units, what is there, what it costs; runs begin
 *     sweep_work(&w, s, dealer, &e);                  units are done as they are dealt out
 *     sweep_free(&w);
 *
 * The identity of a run is the plan (all commands, and the name) and the number of its cell, so everyone who
 * has the same file works on the same runs; runs are begun in the order of the cells, so that their numbers
 * agree too. */
#ifndef ATTNSCOPE_CLI_SWEEP_H
#define ATTNSCOPE_CLI_SWEEP_H

#include "cli/command.h"
#include "cli/run_part.h"
#include "cli/sweep_file.h"

enum { SWEEP_UID = 33, SWEEP_MOST_CELLS = 100000 };

typedef struct sweep_cell {
    int64_t index;
    const command *c;
    const char *const *value; /* [n_axis] of the sweep: labels; NULL where the axis is of another verb */
    const char *model;        /* as the file names it */
    char *json;               /* {"precision":"bf16"}: the axes */
    char uid[SWEEP_UID];
    command_args args;        /* ready to run */
    const char **positional;
    char *line;
    /* From sweep_look and sweep_work; n_unit -1: not known. */
    run_part part;
    const struct sweep_cell *cost_of; /* the cell by whose units the cost of this one is told: itself, else
                                       * one that is like
                               * it; NULL: nothing is known */
    double seconds;           /* that the work took in this process */
    int rc;                   /* of the last attempt, 0: none failed */
    err error;
    bool reported;            /* it was printed, or one before it that failed for the same reason */
    int64_t n_same;           /* cells behind it that failed for its reason and were not printed */
} sweep_cell;

typedef struct sweep {
    sweep_file file;
    char uid[SWEEP_UID];
    int n_axis;
    const char **axis;        /* [n_axis] names: those that decide about loading first, else in the order of
                               * the file */
    sweep_cell *cell;         /* [n] the last axis goes fastest */
    int64_t n;
    int64_t id;               /* in the store; 0: not there yet */
    bool costs_known;         /* of all cells that have units missing */
    arena mem;
} sweep;

/* ERR_USAGE with file and line: an option that the verb does not have, a value it does not take, no command,
 * a verb that makes no units.  sweep_free in any case. */
int sweep_make(sweep *out, const char *path, err *e);
void sweep_free(sweep *w);

typedef struct sweep_how {
    bool begin;               /* work will follow: runs are begun in the session's store */
    bool stored;              /* the session's store is there and may be read */
    double try_seconds;       /* units may be tried for so long in all, to tell what they cost; 0: not at
                               * all */
    const char *command;      /* that repeats the sweep */
} sweep_how;
/* A cell that fails is no error here: its rc says so.  Errors: ERR_CANCELLED, the store. */
int sweep_look(sweep *w, session *s, const sweep_how *how, err *e);

/* Who does which unit.  next: the next unit of the cell for this process, -1: no more; it is asked until it
 * says so, for one cell after the other.  A unit may be given to two processes, or again after a crash: one
 * that is in the store is skipped. */
typedef struct sweep_dealer {
    int (*next)(void *ud, const sweep_cell *cell, int64_t *unit, err *e);
    void *ud;
    bool keep_going;          /* behind a unit that fails the others of its cell are done */
    double share;             /* of all units that this process gets, about: for progress and estimates */
} sweep_dealer;

/* Unit u of cell c belongs to shard I = (c + u) mod N + 1 of N. */
typedef struct sweep_shard { int64_t number, of, cell, at; } sweep_shard; /* {1, 1}: all of them */
sweep_dealer sweep_deal_shard(sweep_shard *s);

/* The units of all cells that are dealt to this process.  A cell that fails is reported on standard error and
 * the others go on.  ERR_CANCELLED, or the code of the first cell that failed, with an empty message. */
int sweep_work(sweep *w, session *s, const sweep_dealer *deal, err *e);
/* Those of one cell alone; rc and error of the cell tell how it went, and it is not reported.  before, total:
 * what was done of the whole sweep in the measure of sweep_cell_weight, for progress; total 0: none is
 * shown. */
int sweep_work_cell(sweep *w, session *s, int64_t cell, const sweep_dealer *deal, double before,
                    double total, err *e);

/* Under mpirun, all ranks (cli/rank_units.h): the cells are looked at, their units shared out and done, the
 * stores of the ranks merged.  The table is then for rank 0 to print. */
/* line: repeats the command */
int sweep_on_ranks(sweep *w, session *s, const char *line, bool keep_going, err *e);

/* ---- estimates and tables ---- */

/* Say that the cell failed, if it did and that was not said yet; a reason that another cell had is counted. */
void sweep_report_cell(sweep *w, session *s, sweep_cell *c);
/* Say how many were counted. */
void sweep_report_counted(sweep *w, session *s);

/* Of the units that are missing: seconds, or their number where the cost of some cell is not known. */
double sweep_cell_weight(const sweep *w, const sweep_cell *c);
/* "12 cells, 720 units, 120 of them there; about 3:05, 45 MiB in the store, 350 MiB of memory (by units
 * tried)"; share: of this process. */
void sweep_put_estimate(strbuf *out, const sweep *w, double share);
/* Tables: of what is to be done, and of what was done. */
int sweep_plan_table(const sweep *w, session *s, const command_args *a, err *e);
int sweep_done_table(const sweep *w, session *s, const command_args *a, err *e);

#endif
