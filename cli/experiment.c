#include "cli/experiment_parts.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/cancel.h"
#include "base/mem.h"

#define RESUME \
    {.name = "resume", .kind = PARAM_INT, .value = "RUN", .min = 1, .max = 9e15, \
     .help = "go on with a run that was stopped: the same command, its store, only what is missing"}

#define DRY_RUN \
    {.name = "dry-run", .kind = PARAM_BOOL, \
     .help = "only tell what it will take, time and memory: nothing is run to its end nor stored"}

const param resume_params[] = {RESUME, DRY_RUN, {.name = NULL}};

const param experiment_params[] = {
    {.name = "seed", .kind = PARAM_INT, .def = "0", .value = "N", .min = 0, .max = 9e15,
     .help = "of the random numbers; recorded with the run"},
    RESUME,
    DRY_RUN,
    {.name = NULL},
};

/* How far the run is: unit i and a part of it. */
static void tell(const experiment *x, int64_t i, double part)
{
    const session *s = x->plan->s;
    if (s->part)
        s->part->step(s->part->ud, i, part);
    else
        progress_step(&s->prog, x->plan->what, (double)i + part, (double)x->plan->n_unit);
}

static void step_of_unit(void *ud, const char *what, double done, double total)
{
    const experiment *x = ud;
    (void)what;
    tell(x, x->unit, total > 0 ? done / total : 0);
}

static int begin(experiment *x, const run_record *r, err *e)
{
    const params *p = x->plan->a->p;
    int64_t resume = !x->plan->s->part && params_row(p, "resume") ? params_int(p, "resume") : 0;
    int rc = session_store(x->plan->s, &x->st, e);
    if (!rc && resume > 0) {
        rc = store_run_resume(x->st, resume, &r->card.m, &r->r, e);
        x->run = rc ? 0 : resume;
    } else if (!rc) {
        rc = store_run_begin(x->st, &r->card.m, &r->r, &x->run, e);
    }
    return rc;
}

/* What one unit does, its rows still waiting. */
static int unit_rows(experiment *x, int64_t i, err *e)
{
    int rc = x->plan->unit(x->plan->ud, x, i, e);
    if (!rc)
        rc = cancel_check(e);
    if (!rc && !x->open)
        rc = experiment_nothing(x, NULL, e);
    if (!rc && x->rows.json)
        rc = run_sink_flush(&x->rows, e);
    return rc;
}

int experiment_do_unit(experiment *x, int64_t i, err *e)
{
    bool there;
    int rc = store_unit_done(x->st, x->run, i, &there, e);
    if (rc || there) {
        x->n_done += there;
        return rc;
    }
    x->unit = i;
    x->rows.st = x->st;
    x->rows.run = x->run;
    x->rows.prompt = i;
    tell(x, i, 0);
    rc = unit_rows(x, i, e);
    if (!rc)
        rc = store_unit_commit(x->st, e);
    if (rc)
        store_unit_rollback(x->st);
    x->open = false;
    /* Another process may have been faster: what it wrote is the same. */
    if (rc && rc != ERR_CANCELLED && x->plan->s->part &&
        store_unit_done(x->st, x->run, i, &there, NULL) == 0 && there) {
        *e = (err){0};
        x->n_done++;
        return 0;
    }
    x->n_now += rc == 0;
    return rc;
}

/* In a sweep the error says which unit failed; with keep_going it waits while the others are done, unless they could not be
 * done either. */
static int unit_failed(experiment *x, int64_t i, int rc, err *e)
{
    run_part *part = x->plan->s->part;
    if (!part || rc == ERR_CANCELLED)
        return rc;
    err_prefix(e, "unit %" PRId64, i);
    if (part->n_failed++ == 0 || i < part->failed_unit) {
        part->failed_unit = i;
        part->failure = *e;
    }
    if (!part->keep_going || rc == ERR_RESOURCE)
        return rc;
    *e = (err){0};
    return 0;
}

int run_part_failure(const run_part *part, err *e)
{
    *e = part->failure;
    if (part->n_failed > 1)
        err_prefix(e, "%" PRId64 " units failed", part->n_failed);
    return e->code;
}

/* Units in the order in which this process is to do them; each is written by itself. */
static int do_units(experiment *x, err *e)
{
    int64_t unit[UNIT_BATCH];
    const run_part *part = x->plan->s->part;
    int n = 1, rc = 0;
    while (!rc && n > 0) {
        rc = experiment_next_units(x, unit, &n, e);
        for (int i = 0; i < n && !rc; i++) {
            rc = experiment_do_unit(x, unit[i], e);
            if (rc)
                rc = unit_failed(x, unit[i], rc, e);
        }
    }
    unit_batch_free(x->batch);
    x->batch = NULL;
    return rc || !part || !part->n_failed ? rc : run_part_failure(part, e);
}

/* How the run ended.  Of one that several processes share it is done when the last unit is there, whoever did
 * it. */
static int end(experiment *x, int rc, err *e)
{
    run_part *part = x->plan->s->part;
    const char *status = rc == 0 ? "done" : rc == ERR_CANCELLED ? "cancelled" : "failed";
    int64_t n = x->plan->n_unit;
    int end_rc = part && !rc ? run_units_done(&n, x->st, x->run, e) : 0;
    if (part)
        part->whole = !rc && !end_rc && n == x->plan->n_unit;
    if (!end_rc && n == x->plan->n_unit)
        end_rc = store_run_end(x->st, x->run, status, rc ? e->msg : NULL, rc ? NULL : e);
    return rc ? rc : end_rc;
}

void experiment_start(experiment *x, const experiment_plan *plan)
{
    bool keep = plan->lines && x->st && strcmp(store_path(x->st), ":memory:") != 0;
    x->rows = (run_sink){.st = x->st, .run = x->run, .bar = plan->s->bar, .keep_going = keep,
                         .json = plan->s->part ? NULL : plan->lines};
    x->sink = run_sink_use(&x->rows);
    x->prog = (progress){step_of_unit, x};
}

/* As a part of a sweep: only what it asks for, and then the command is over. */
static int run_part_of(experiment *x, const run_record *r, err *e)
{
    run_part *part = x->plan->s->part;
    part->reached = true;
    part->n_unit = x->plan->n_unit;
    int rc = experiment_look(part, x->plan, r, e);
    bool touch = !rc && (part->begin || part->work) && !part->whole;
    if (touch) {
        rc = begin(x, r, e);
        part->run = x->run;
        if (rc == ERR_USAGE)
            err_hint(e, "this cell is in the store of other inputs or of another version: take another"
                        " --store, or give the sweep another name");
    }
    if (touch && !rc && part->work) {
        experiment_start(x, x->plan);
        rc = do_units(x, e);
        run_sink_free(&x->rows);
        part->n_done = x->n_now;
        rc = end(x, rc, e);
    }
    if (rc)
        return rc;
    part->ended = true;
    return err_set(e, ERR_CANCELLED, "the sweep goes on");
}

int experiment_run(const experiment_plan *plan, int64_t *run, err *e)
{
    experiment x = {.plan = plan, .run = 0};
    run_record record;
    *run = 0;
    int rc = run_record_make(&record, plan, e);
    if (rc)
        return rc;
    if (plan->s->part) {
        rc = run_part_of(&x, &record, e);
        run_record_free(&record);
        return rc;
    }
    rc = experiment_announce(plan, e);
    if (!rc)
        rc = begin(&x, &record, e);
    run_record_free(&record);
    *run = x.run;
    if (rc)
        return rc;
    experiment_start(&x, plan);
    rc = do_units(&x, e);
    tell(&x, plan->n_unit, 0);
    run_sink_free(&x.rows);
    rc = end(&x, rc, e);
    if (x.n_done && !plan->s->alone) /* ranks made them just now */
        say(plan->s, "run %" PRId64 " resumed: %" PRId64 " of %" PRId64 " units were there", x.run,
            x.n_done, plan->n_unit);
    if (rc && x.n_done + x.n_now > 0 && x.n_done + x.n_now < plan->n_unit &&
        strcmp(store_path(x.st), ":memory:") != 0)
        err_hint(e, "%" PRId64 " of %" PRId64 " units are kept; go on with the same command and --resume"
                 " %" PRId64,
                 x.n_done + x.n_now, plan->n_unit, x.run);
    if (!rc)
        plan->s->last_run = x.run;
    return rc;
}

/* ---- what a unit is about ---- */

static void count_positions(experiment *x, const input_lengths *n)
{
    const loaded_model *lm = x->plan->lm;
    size_t memory = lm->rt ? forward_memory(lm->m, n, runtime_threads(lm->rt)) : 0;
    x->n_token += n->main + n->encoder + n->vision;
    x->memory = memory > x->memory ? memory : x->memory;
}

int experiment_prompt(experiment *x, const prompt_input *in, const char *label, err *e)
{
    int rc = prompt_store_begin(x->st, x->run, x->unit, in, x->plan->lm, label, e);
    input_lengths n;
    x->open = rc == 0;
    if (!rc && input_measure(&n, x->plan->lm->m, &in->in, NULL) == 0)
        count_positions(x, &n);
    return rc;
}

int experiment_ids(experiment *x, const int32_t *ids, int64_t n, const char *label, err *e)
{
    const tokenizer *tok = x->plan->lm->tok;
    store_token *t = mem_array((size_t)n + 1, sizeof *t, e);
    if (!t)
        return ERR_RESOURCE;
    for (int64_t i = 0; i < n; i++) {
        token_text text = {NULL, 0};
        if (tok)
            text = tokenizer_text(tok, ids[i]);
        const char *piece = tok && text.len == 0 ? tokenizer_piece(tok, ids[i]) : NULL;
        if (piece)
            text = (token_text){piece, strlen(piece)};
        t[i] = (store_token){ids[i], text.s, text.len, piece != NULL};
    }
    const store_sequence sequence = {x->plan->lm->m->main->kind, t, n};
    const store_prompt p = {.label = label, .policy = "ids as given", .sequences = &sequence,
                            .n_sequence = 1};
    const input_lengths length = {.main = n};
    int rc = store_unit_begin(x->st, x->run, x->unit, &p, e);
    x->open = rc == 0;
    if (!rc && n > 0)
        count_positions(x, &length);
    free(t);
    return rc;
}

int experiment_nothing(experiment *x, const char *label, err *e)
{
    return experiment_ids(x, NULL, 0, label, e);
}

int experiment_value(experiment *x, const char *name, attn_kind kind, int layer, int head, int64_t position,
                     double value, err *e)
{
    const result_value v = {kind, name, layer, head, position, value};
    return x->sink.value(x->sink.ud, &v, e);
}

int experiment_fact(experiment *x, const char *name, const char *text, size_t len, err *e)
{
    return store_fact(x->st, name, text, len, e);
}

const result_sink *experiment_sink(experiment *x)
{
    return &x->sink;
}

const progress *experiment_progress(experiment *x)
{
    return &x->prog;
}
