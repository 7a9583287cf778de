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

/* What a row takes in the file, indexes included: measured on stores of some 100,000 rows each. */
enum { VALUE_BYTES = 20, TOKEN_BYTES = 26, UNIT_BYTES = 600 };

/* What the units will take, told from the lengths of their prompts.  out->n -1: they are not all prompts whose lengths are
 * known. */
struct run_estimate;
int experiment_forecast(struct run_estimate *out, const experiment_plan *plan, err *e);
/* Say what a run will take, where it is long: from 5 s on to a terminal, from 30 s on to anything else. */
int experiment_announce(const experiment_plan *plan, err *e);

#endif
