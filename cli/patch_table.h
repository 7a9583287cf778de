/* The table of `patch`, from the rows of the store. */
#ifndef ATTNSCOPE_CLI_PATCH_TABLE_H
#define ATTNSCOPE_CLI_PATCH_TABLE_H

#include "cli/experiment.h"
#include "cli/patch_pairs.h"

typedef struct patch_report {
    session *s;
    const command_args *a;
    store *st;
    int64_t run;
    const pair_set *pairs;
    const loaded_model *lm;
    const char *const *metric;    /* [n_metric] names of normalised values: "patch_z", "path_effect" */
    const char *const *what;      /* [n_metric] what the table calls them */
    int n_metric;
    const char *score;            /* "logit_diff", "kl" */
    double neutral;               /* value of a place that changes nothing: strongest is what is furthest from it */
    bool path;                    /* normalised by path_effect, not by patch_recovery */
    uint64_t seed;
} patch_report;

/* "<metric>_<score>": raw scores of the same places. */
void patch_raw_name(char out[64], const char *metric, const char *score);
int patch_print(const patch_report *r, err *e);

#endif
