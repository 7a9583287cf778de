/* Two measurements of the same prompts, value by value: paired differences, and tables of them. */
#ifndef ATTNSCOPE_CLI_COMPARE_TABLE_H
#define ATTNSCOPE_CLI_COMPARE_TABLE_H

#include "cli/experiment.h"

/* What a second checkpoint's values are called in the store: "entropy_second". */
#define SECOND_SUFFIX "_second"

/* One metric at one place, over the prompts. */
typedef struct paired {
    const char *metric;       /* into the set's table */
    head_id head;             /* layer and head may be NO_INDEX */
    int64_t position;
    int64_t n;                /* prompts */
    const double *change;     /* [n] second less first, in the order of prompts; into the set */
    double first, second, mean; /* means over the prompts; of the change */
} paired;

typedef struct paired_set {
    int64_t n;
    paired *p;                /* [n] by metric, kind, layer, head, position */
    double *change;
    table *t;
} paired_set;

/* Values that both have, of prompts that are the same in both: run `second`'s value of METRIC SUFFIX against run
 * `first`'s value of METRIC.  metrics: names separated by commas, NULL: all. */
int paired_load(paired_set *out, store *st, int64_t first, int64_t second, const char *suffix, const char *metrics, err *e);
void paired_free(paired_set *s);

typedef struct compare_report {
    session *s;
    const command_args *a;
    store *st;
    int64_t first, second;    /* runs; the same when one run holds both checkpoints */
    const char *suffix;
    const char *metrics;      /* those that are shown; NULL: all */
    uint64_t seed;
    bool equal;               /* set: nothing differs at all */
} compare_report;

int compare_print(compare_report *r, err *e);

#endif
