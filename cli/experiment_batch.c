/* Units that pass through the model together.  Prompts well below the rows that a pass reads its weights for
 * are gathered; what each gives is kept until its unit asks for it.  Nothing else changes: a unit is one
 * transaction, and its rows are those that it would have made alone. */
#include <stdlib.h>
#include "analysis/analyse.h"
#include "base/mem.h"
#include "base/result_list.h"
#include "cli/experiment_parts.h"

typedef struct waiting {
    int64_t unit;
    prompt_input in;
    result_list rows;
    result_sink sink;
} waiting;

typedef struct unit_batch {
    waiting each[UNIT_BATCH];
    int n;
    bool measured;
    const analysis_request *request;
    int64_t held;           /* a unit that was taken and did not fit; -1: none */
    bool over;              /* there are no more units to take */
} unit_batch;

static void drop_all(unit_batch *b)
{
    for (int i = 0; i < b->n; i++) {
        prompt_free(&b->each[i].in);
        result_list_free(&b->each[i].rows);
    }
    b->n = 0;
    b->measured = false;
    b->request = NULL;
}

void unit_batch_free(unit_batch *b)
{
    if (b)
        drop_all(b);
    free(b);
}

/* The next unit that this process is to do and that is not there: -1, no more. */
static int take(experiment *x, int64_t *unit, err *e)
{
    const run_part *part = x->plan->s->part;
    bool there = true;
    int rc = 0;
    *unit = x->batch->held;
    x->batch->held = -1;
    while (!rc && *unit < 0 && there && !x->batch->over) {
        int64_t i = x->at < x->plan->n_unit ? x->at++ : -1;
        if (part)
            rc = part->next(part->ud, x->plan->n_unit, &i, e);
        x->batch->over = i < 0;
        if (!rc && i >= 0)
            rc = store_unit_done(x->st, x->run, i, &there, e);
        if (!rc && i >= 0 && !there)
            *unit = i;
        x->n_done += !rc && i >= 0 && there;
    }
    return rc;
}

/* Does the unit's prompt go with those that wait?  Then it is one of them. */
static bool joins(experiment *x, int64_t unit, int64_t *n_token)
{
    unit_batch *b = x->batch;
    const analysis_request *request = NULL;
    waiting *w = &b->each[b->n];
    const model_input *pair[2];
    bool good = x->plan->input && x->plan->lm->rt &&
        x->plan->input(x->plan->ud, unit, &w->in, &request, NULL) == 0;
    w->unit = unit;
    pair[0] = b->n ? &b->each[0].in.in : &w->in.in;
    pair[1] = &w->in.in;
    good = good && request && (!b->n || request == b->request) && *n_token + w->in.in.n <= batch_tokens() &&
           batch_fits(x->plan->lm->rt, pair, 2);
    if (!good) {
        prompt_free(&w->in);
        return false;
    }
    w->rows = (result_list){0};
    w->sink = result_list_sink(&w->rows);
    b->request = request;
    *n_token += w->in.in.n;
    b->n++;
    return true;
}

/* One pass for all that wait.  Where it fails each unit runs by itself, and the one at fault says why. */
static void measure(experiment *x)
{
    unit_batch *b = x->batch;
    const model_input *in[UNIT_BATCH];
    const result_sink *to[UNIT_BATCH];
    for (int i = 0; i < b->n; i++) {
        in[i] = &b->each[i].in.in;
        to[i] = &b->each[i].sink;
    }
    x->unit = b->each[0].unit;
    b->measured = analyse_batch(x->plan->lm->rt, x->plan->lm->m, in, b->n, b->request, to, &x->prog,
                                NULL) == 0;
}

int experiment_next_units(experiment *x, int64_t *unit, int *n, err *e)
{
    int64_t n_token = 0;
    int rc = 0;
    *n = 0;
    if (!x->batch) {
        x->batch = mem_array(1, sizeof *x->batch, e);
        if (!x->batch)
            return ERR_RESOURCE;
        x->batch->held = -1;
    }
    drop_all(x->batch);
    while (*n < UNIT_BATCH) {
        int64_t i;
        rc = take(x, &i, e);
        if (rc || i < 0)
            break;
        bool together = joins(x, i, &n_token);
        if (!together && *n > 0) {
            x->batch->held = i;
            break;
        }
        unit[(*n)++] = i;
        if (!together)
            break;
    }
    if (!rc && x->batch->n > 1)
        measure(x);
    return rc;
}

int experiment_measure(experiment *x, const model_input *in, const analysis_request *request, err *e)
{
    const loaded_model *lm = x->plan->lm;
    for (int i = 0; x->batch && x->batch->measured && i < x->batch->n; i++)
        if (x->batch->each[i].unit == x->unit && x->batch->request == request)
            return result_list_replay(&x->batch->each[i].rows, &x->sink, e);
    return analyse(lm->rt, lm->m, in, request, &x->sink, &x->prog, e);
}
