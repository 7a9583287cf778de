/* What the files behind cli/experiment.h share. */
#ifndef ATTNSCOPE_CLI_EXPERIMENT_PARTS_H
#define ATTNSCOPE_CLI_EXPERIMENT_PARTS_H

#include "cli/experiment.h"
#include "cli/model_card.h"
#include "cli/run_part.h"

struct experiment {
    const experiment_plan *plan;
    store *st;
    int64_t run, unit;
    bool open;                  /* a unit of the store is open */
    int64_t n_done, n_now;      /* units that were there before; that this call made */
    int64_t at;                 /* the next unit, of a run that is no part of a sweep */
    int64_t n_token;            /* of all units so far; positions of all stacks */
    size_t memory;              /* of the longest forward pass so far, a bound */
    struct unit_batch *batch;   /* what units that come next have measured together; NULL: nothing */
    run_sink rows;
    result_sink sink;
    progress prog;              /* of the unit, as part of all */
};

/* What the store is told of a run. */
typedef struct run_record {
    store_run r;                /* views into the members below and into the plan */
    model_card card;
    char *command, *settings, verb[64];
} run_record;
int run_record_make(run_record *out, const experiment_plan *p, err *e);
void run_record_free(run_record *r);

/* Where rows go: when st and run are known, before units are done. */
void experiment_start(experiment *x, const experiment_plan *plan);
/* The next units for this process, at least one unless there are no more; those whose prompts can pass
 * together have done so. unit [UNIT_BATCH]. */
enum { UNIT_BATCH = 32 };
int experiment_next_units(experiment *x, int64_t *unit, int *n, err *e);
void unit_batch_free(struct unit_batch *b); /* may be NULL */
/* Unit i, unless it is there. */
int experiment_do_unit(experiment *x, int64_t i, err *e);

/* What the part of a sweep asks to know before work begins: whether the run is there, its units, what a unit
 * costs. */
int experiment_look(run_part *part, const experiment_plan *plan, const run_record *r, err *e);

#endif
