/* The work of a sweep. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/cancel.h"
#include "base/clock.h"
#include "base/mem.h"
#include "cli/command_util.h"
#include "cli/progress_bar.h"
#include "cli/sweep.h"

/* The command of a cell, quietly, up to where its part is done. */
static int run_cell(session *s, sweep_cell *c, err *e)
{
    const bool quiet = s->quiet;
    const progress prog = s->prog;
    c->part.ended = c->part.reached = false;
    s->part = &c->part;
    s->quiet = true;
    s->prog = (progress){NULL, NULL};
    int rc = c->c->run(s, &c->args, e);
    s->part = NULL;
    s->quiet = quiet;
    s->prog = prog;
    if (c->part.ended) {
        *e = (err){0};
        return 0;
    }
    if (!rc) {
        err_set(e, ERR_USAGE, "with these words %s has no units of work", c->c->name);
        rc = err_hint(e, "a sweep runs what makes a run of its own");
    }
    return rc;
}

static void no_step(void *ud, int64_t unit, double part)
{
    (void)ud;
    (void)unit;
    (void)part;
}

static run_part part_of(const sweep *w, const sweep_cell *c)
{
    return (run_part){.uid = c->uid, .cell = c->json, .sweep = w->id, .step = no_step, .n_unit = -1};
}

static int find_sweep(sweep *w, store *st, err *e)
{
    const cell bind[] = {cell_text(w->uid)};
    int64_t id;
    int rc = query_count(&id, st, "SELECT id FROM sweep WHERE uid = ?1", bind, 1, e);
    w->id = id ? id : w->id;
    return rc;
}

/* How like two cells are: of the same verb and model, by as many equal axes as there are; 0: not at all. */
static int likeness(const sweep *w, const sweep_cell *a, const sweep_cell *b)
{
    int like = a->c == b->c && strcmp(a->model, b->model) == 0;
    for (int k = 0; like && k < w->n_axis; k++)
        like += a->value[k] && b->value[k] && strcmp(a->value[k], b->value[k]) == 0;
    return like;
}

/* Cells whose units were not looked at cost as much as the one most like them among those that lie near. */
static int settle_costs(sweep *w, err *e)
{
    enum { NEAR = 64 };
    int64_t n = 0, next = 0;
    sweep_cell **known = mem_array((size_t)w->n, sizeof *known, e);
    if (!known)
        return ERR_RESOURCE;
    for (int64_t i = 0; i < w->n; i++)
        if (w->cell[i].part.cost.n > 0)
            known[n++] = &w->cell[i];
    w->costs_known = true;
    for (int64_t i = 0; i < w->n; i++) {
        sweep_cell *c = &w->cell[i];
        int best = 0;
        while (next < n && known[next]->index < i)
            next++;
        c->cost_of = c->part.cost.n > 0 ? c : NULL;
        for (int64_t k = next > NEAR ? next - NEAR : 0; !c->cost_of && k < n && k < next + NEAR; k++)
            best = likeness(w, c, known[k]) > best ? likeness(w, c, known[k]) : best;
        for (int64_t k = next > NEAR ? next - NEAR : 0; best && !c->cost_of && k < n; k++)
            if (likeness(w, c, known[k]) == best)
                c->cost_of = known[k];
        w->costs_known &= c->cost_of || c->part.n_unit <= c->part.n_there;
    }
    free(known);
    return 0;
}

int sweep_look(sweep *w, session *s, const sweep_how *how, err *e)
{
    store *st = NULL;
    double left = how->try_seconds;
    int rc = how->begin || how->stored ? session_store(s, &st, e) : 0;
    const store_sweep record = {.uid = w->uid, .name = w->file.name, .text = w->file.text,
                                .command = how->command};
    if (!rc && how->begin)
        rc = store_sweep_begin(st, &record, &w->id, e);
    else if (!rc && st)
        rc = find_sweep(w, st, e);
    for (int64_t i = 0; i < w->n && !rc; i++) {
        sweep_cell *c = &w->cell[i];
        progress_step(&s->prog, "planning", (double)i, (double)w->n);
        c->part = part_of(w, c);
        c->part.look = st;
        c->part.begin = how->begin;
        c->part.estimate = true;
        c->part.try_seconds = left;
        c->error = (err){0};
        c->rc = run_cell(s, c, &c->error);
        left -= c->part.cost.stored ? 0 : c->part.cost.seconds * (double)c->part.cost.n;
        rc = cancel_check(e);
    }
    progress_step(&s->prog, "planning", (double)w->n, (double)w->n);
    return rc ? rc : settle_costs(w, e);
}

/* ---- work ---- */

static int next_of_shard(void *ud, const sweep_cell *c, int64_t *unit, err *e)
{
    sweep_shard *s = ud;
    (void)e;
    if (s->cell != c->index + 1) { /* a cell begins at its first unit of this shard */
        s->cell = c->index + 1;
        s->at = ((s->number - 1 - c->index) % s->of + s->of) % s->of;
    }
    *unit = s->at < c->part.n_unit ? s->at : -1;
    s->at += s->of;
    return 0;
}

sweep_dealer sweep_deal_shard(sweep_shard *s)
{
    return (sweep_dealer){.next = next_of_shard, .ud = s, .share = 1 / (double)s->of};
}

/* The cell at hand, for what its command asks and tells. */
typedef struct work {
    const sweep_cell *c;
    const sweep_dealer *deal;
    const progress *whole;
    double before, total, unit; /* unit: weight of one */
    double shown;               /* never goes back, or the time left would be told anew */
    int64_t last, n_begun;
} work;

static int next_unit(void *ud, int64_t n_unit, int64_t *unit, err *e)
{
    work *k = ud;
    int rc = cancel_check(e);
    (void)n_unit;
    return rc ? rc : k->deal->next(k->deal->ud, k->c, unit, e);
}

static void step(void *ud, int64_t unit, double part)
{
    work *k = ud;
    k->n_begun += unit != k->last;
    k->last = unit;
    double done = k->before + k->unit * ((double)k->n_begun - 1 + part);
    k->shown = done > k->shown ? done : k->shown;
    if (k->total > 0)
        progress_step(k->whole, "sweep", k->shown, k->total);
}

int sweep_work_cell(sweep *w, session *s, int64_t number, const sweep_dealer *deal, double before,
                    double total, err *e)
{
    sweep_cell *c = &w->cell[number];
    const progress whole = s->prog;
    int64_t missing = c->part.n_unit - c->part.n_there;
    const unit_cost cost = c->part.cost;
    work k = {.c = c, .deal = deal, .whole = &whole, .before = before, .total = total, .last = -1,
              .unit = missing > 0 ? sweep_cell_weight(w, c) / (double)missing : 0};
    double begun = clock_seconds();
    store *st;
    int rc = session_store(s, &st, e);
    if (rc)
        return rc;
    c->part = part_of(w, c);
    c->part.look = st;
    c->part.begin = c->part.work = true;
    c->part.keep_going = deal->keep_going;
    c->part.next = next_unit;
    c->part.step = step;
    c->part.ud = &k;
    c->error = (err){0};
    c->rc = run_cell(s, c, &c->error);
    c->part.cost = cost;
    c->seconds = clock_seconds() - begun;
    if (c->rc == ERR_CANCELLED && cancel_requested()) {
        *e = c->error;
        return ERR_CANCELLED;
    }
    return 0;
}

static void put_where(char out[160], const sweep *w, const sweep_cell *c)
{
    snprintf(out, 160, "%.100s: cell %" PRId64, w->file.path, c->index);
}

/* The cell whose error was printed and is the one of c, NULL: none. */
static sweep_cell *same_reason(sweep *w, const sweep_cell *c)
{
    for (int64_t i = 0; i < w->n; i++) {
        sweep_cell *other = &w->cell[i];
        if (other != c && other->reported && other->c == c->c && other->rc == c->rc &&
            !strcmp(other->error.msg, c->error.msg) && !strcmp(other->error.hint, c->error.hint))
            return other; /* the first: one that was counted stands behind it, or was counted for it */
    }
    return NULL;
}

void sweep_report_cell(sweep *w, session *s, sweep_cell *c)
{
    char where[160];
    if (!c->rc || c->reported)
        return;
    sweep_cell *other = same_reason(w, c);
    put_where(where, w, c);
    if (other)
        other->n_same++;
    else
        session_report(s, where, c->c->name, &c->error);
    c->reported = true;
}

void sweep_report_counted(sweep *w, session *s)
{
    for (int64_t i = 0; i < w->n; i++) {
        sweep_cell *c = &w->cell[i];
        char where[160];
        err e = {0};
        if (!c->n_same)
            continue;
        put_where(where, w, c);
        err_set(&e, c->rc, "and %" PRId64 " more cell%s for the same reason", c->n_same, c->n_same == 1 ? "" : "s");
        session_report(s, where, c->c->name, &e);
        c->n_same = 0;
    }
}

int sweep_work(sweep *w, session *s, const sweep_dealer *deal, err *e)
{
    double total = 0, before = 0;
    int rc = 0, first = 0;
    for (int64_t i = 0; i < w->n; i++)
        total += sweep_cell_weight(w, &w->cell[i]) * deal->share;
    for (int64_t i = 0; i < w->n && !rc; i++) {
        sweep_cell *c = &w->cell[i];
        double part = sweep_cell_weight(w, c) * deal->share;
        if (!c->rc && !c->part.whole)
            rc = sweep_work_cell(w, s, i, deal, before, total, e);
        before += part;
        if (!rc) {
            sweep_report_cell(w, s, c);
            first = first ? first : c->rc;
        }
        if (c->part.run > 0)
            s->last_run = c->part.run;
    }
    progress_step(&s->prog, "sweep", total, total);
    sweep_report_counted(w, s);
    if (rc || !first)
        return rc;
    *e = (err){.code = first}; /* said already */
    return first;
}
