/* What a census asks of every head, and the rules by which it names heads. */
#ifndef ATTNSCOPE_CLI_CENSUS_SET_H
#define ATTNSCOPE_CLI_CENSUS_SET_H

#include <stdbool.h>
#include <stdint.h>
#include "base/strbuf.h"

/* Where the numbers of a score are taken. */
typedef enum census_part {
    PART_TEXT,     /* the prompts, all of one length */
    PART_RANDOM,   /* random tokens, twice the same */
    PART_NEEDLE,   /* trials of a needle in a haystack */
} census_part;
extern const char *const census_part_names[]; /* as the fact "set" of a unit: "text", "random", "needle" */

/* A column: one value per head and unit, averaged over the units of a part. */
typedef struct census_score {
    const char *name;        /* of the column */
    const char *metric;
    census_part part;
    int64_t position;        /* of the value; NO_INDEX: over all queries */
    bool rate;               /* values are made 1 above the sink threshold, else 0, before they are averaged */
    int shown;               /* in the table for people: 1 always, 2 where there is room, 0 never; CSV and JSON have all */
} census_score;
extern const census_score census_scores[];   /* the last has no name */

/* A label: given where the mean of a score, over the units of its part, is above a bound. */
typedef struct census_rule {
    const char *label, *score;
    double bound;
    const char *words;       /* "more than half of the prompts have ..." */
} census_rule;
extern const census_rule census_rules[];     /* the last has no label */

/* Metrics that are measured on the texts and on random tokens, comma-separated; the list census takes by default. */
extern const char *const census_metrics;

#endif
