/* Which trials `needle` runs, and how: from its options. */
#ifndef ATTNSCOPE_CLI_NEEDLE_PLAN_H
#define ATTNSCOPE_CLI_NEEDLE_PLAN_H

#include "analysis/haystack.h"
#include "analysis/retrieval.h"
#include "cli/command_util.h"
#include "cli/end_tokens.h"

/* Options of trials and of their making; those of scoring. */
extern const param needle_trial_params[];
extern const param needle_score_params[];

typedef struct needle_plan {
    const loaded_model *lm;
    const params *p;
    trial_rules trial;
    retrieval_rules score;
    end_tokens ends;
    trials given;               /* --trials */
    needles needles;            /* else */
    double *lengths, *depths;   /* [n_length], [n_depth] depths 0 .. 1 */
    int64_t n_length, n_depth;
    haystack_rules rules;
    strbuf text;                /* of the user's haystack; empty: made up */
    uint64_t seed;
    int64_t n_trial;
    /* The haystack that was used last: of one needle. */
    haystack hay;
    strbuf hay_text;
    int64_t hay_of;             /* NO_INDEX: none */
} needle_plan;

/* Must not move afterwards.  needle_plan_free() it in any case. */
int needle_plan_make(needle_plan *out, const loaded_model *lm, const params *p, err *e);
void needle_plan_free(needle_plan *n);
/* Trial i, 0 <= i < n_trial: *owned is to be freed (empty for a given one). */
int needle_plan_trial(needle_plan *n, int64_t i, const trial **out, trial *owned, err *e);
/* All that decides the numbers, as a JSON object; free() it. */
char *needle_plan_settings(const needle_plan *n, err *e);

#endif
