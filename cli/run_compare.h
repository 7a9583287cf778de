/* Are the rows of two runs the same, bit for bit?  The runs may lie in different stores. */
#ifndef ATTNSCOPE_CLI_RUN_COMPARE_H
#define ATTNSCOPE_CLI_RUN_COMPARE_H

#include "db/store.h"

/* A value of both runs; metric NULL: there is none. */
typedef struct value_pair {
    char *metric;                 /* owned */
    char place[48];               /* "L1H3", "layer 2", "model" */
    int64_t prompt, position;     /* position NO_INDEX: over all queries */
    double then, now;
} value_pair;

typedef struct run_difference {
    int64_t prompts;              /* that the first run holds */
    int64_t prompts_missing;      /* in the second */
    int64_t prompts_changed;      /* other text or other tokens */
    int64_t values, values_changed; /* of the prompts that both hold; those that only one has count as changed */
    int64_t maps, maps_changed;
    int64_t facts, facts_changed;
    value_pair first, largest;    /* first: by prompt, metric, place, position; both among values that both have */
    char *first_alone;            /* owned: the first value that only one has, in words; NULL: none */
} run_difference;

/* Only prompts of the first run count: it may have been stopped.  Free with run_difference_free, also after failure. */
int run_compare(run_difference *out, store *then, int64_t run, store *now, int64_t other, err *e);
bool run_difference_none(const run_difference *d);
void run_difference_free(run_difference *d);

#endif
