/* The census of a run's heads, from the rows of the store. */
#ifndef ATTNSCOPE_CLI_CENSUS_TABLE_H
#define ATTNSCOPE_CLI_CENSUS_TABLE_H

#include "cli/census_set.h"
#include "cli/experiment.h"

typedef struct census_view {
    store *st;
    int64_t run;
    double threshold;          /* of sinks */
    uint64_t seed;             /* of the intervals */
    bool by_domain;            /* rows for each domain of the texts */
    bool labelled;             /* only heads that have a label */
    int room;                  /* 1: a narrow terminal, the most telling scores alone; 2 */
    bool all;                  /* every score and its interval; else the means that are shown */
} census_view;

/* A row a head (and domain): "head", "labels" (comma-separated), then the scores that have values in the run; of all:
 * NAME, NAME_n, NAME_sd, NAME_low, NAME_high. */
int census_table(table **out, const census_view *v, err *e);

/* Share of heads with alpha of key 0 above the threshold, prompt by prompt, as statistics over the prompts; n 0: none. */
int census_sink_rate(stats *out, const census_view *v, err *e);
/* "previous-token: L0H0 L0H1" a line for each label that a head has, in the order of the rules. */
int census_labels(strbuf *out, const census_view *v, err *e);

#endif
