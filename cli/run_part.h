/* A run as a part of something larger.  A sweep (cli/sweep.h) runs the same commands as a user does; while
 * session.part is set, the runner of experiments (cli/experiment.h) does what it says in place of all units
 * and then ends the command: nothing is printed.  Commands know nothing of it. */
#ifndef ATTNSCOPE_CLI_RUN_PART_H
#define ATTNSCOPE_CLI_RUN_PART_H

#include <stdbool.h>
#include <stdint.h>
#include "base/err.h"

/* What a unit of a run takes. */
typedef struct unit_cost {
    double seconds;
    double bytes;             /* in the store */
    int64_t n;                /* units that this is the mean of; 0: not known */
    bool stored;              /* of runs in the store; else they were tried just now */
    double memory;            /* bytes: the weights and, of tried units, what the longest forward pass
                               * allocates */
} unit_cost;

typedef struct run_part {
    /* Which run this is in the store (db/store.h). */
    const char *uid, *cell;
    int64_t sweep;

    /* What is wanted; it is done in this order. */
    struct store *look;       /* where stored units are looked for; NULL: nowhere */
    bool estimate;            /* what a unit costs: of stored units, else ... */
    double try_seconds;       /* ... above 0: of units that are tried in a store of their own, until so much
                               * time has passed */
    struct run_estimate *forecast; /* NULL, or where units that are prompts are told from their lengths
                               * (cli/estimate.h), in place of trying; n stays -1 where they are not */
    bool begin;               /* the run is begun or taken up */
    bool work;                /* its units are done */
    bool keep_going;          /* behind a unit that fails the others are done all the same */
    /* The next unit for this process, -1: no more; never the same twice. */
    int (*next)(void *ud, int64_t n_unit, int64_t *unit, err *e);
    void (*step)(void *ud, int64_t unit, double part); /* progress within the unit, 0 .. 1 */
    void *ud;

    /* What came of it. */
    bool reached;             /* the command came to its units */
    bool ended;               /* all that was wanted was done; the command's ERR_CANCELLED is no error then */
    int64_t n_unit;           /* of the whole run */
    int64_t run;              /* in the store; 0: not there */
    int64_t n_there;          /* units that were there before */
    int64_t n_done;           /* that this call made */
    int64_t n_failed;         /* that this call tried in vain */
    int64_t failed_unit;      /* the lowest of them, and why: "unit 11: ..." */
    err failure;
    bool whole;               /* all units are there now */
    unit_cost cost;
} run_part;

/* The error for a part whose units failed, n_failed > 0: "2 units failed: unit 11: ..."; its code. */
int run_part_failure(const run_part *part, err *e);

#endif
