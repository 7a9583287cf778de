/* A sweep under mpirun. */
#include <stdlib.h>
#include "base/mem.h"
#include "base/ranks.h"
#include "cli/command_util.h"
#include "cli/rank_units.h"
#include "cli/sweep.h"

typedef struct dealer {
    rank_deal *deal;
    progress shown;          /* of the session */
} dealer;

static int next(void *ud, const sweep_cell *c, int64_t *unit, err *e)
{
    const dealer *d = ud;
    return rank_deal_next(d->deal, c->index, c->part.n_unit, unit, e);
}

static int no_unit(void *ud, const sweep_cell *c, int64_t *unit, err *e)
{
    (void)ud, (void)c, (void)e;
    *unit = -1;
    return 0;
}

/* Progress comes every few milliseconds of work: time to answer the other ranks. */
static void step(void *ud, const char *what, double done, double total)
{
    const dealer *d = ud;
    rank_deal_serve(d->deal);
    progress_step(&d->shown, what, done, total);
}

/* ---- what failed ---- */

/* Of a cell on a rank. */
typedef struct failed_cell {
    int64_t cell, n_failed, unit; /* n_failed 0: the cell as a whole */
    err error;
} failed_cell;

static void send_failures(const sweep *w)
{
    failed_cell *list = mem_array((size_t)w->n + 1, sizeof *list, NULL);
    size_t n = 0;
    for (int64_t i = 0; i < w->n && list; i++) {
        const run_part *part = &w->cell[i].part;
        if (w->cell[i].rc)
            list[n++] = (failed_cell){i, part->n_failed, part->failed_unit, part->n_failed ? part->failure : w->cell[i].error};
    }
    ranks_send_sized(list, n * sizeof *list, 0);
    free(list);
}

static void add_failure(sweep_cell *c, const failed_cell *f, int rank)
{
    run_part *part = &c->part;
    bool first = f->n_failed && (!part->n_failed || f->unit < part->failed_unit);
    if (first) {
        part->failure = f->error;
        part->failed_unit = f->unit;
    }
    part->n_failed += f->n_failed;
    if (part->n_failed) {
        c->rc = run_part_failure(part, &c->error);
    } else if (!c->rc) {
        c->error = f->error;
        c->rc = c->error.code;
        err_prefix(&c->error, "rank %d", rank);
    }
}

/* All: rank 0 learns which cells failed on the others; the code of the first of all. */
static int gather_failures(sweep *w)
{
    int code = 0;
    if (ranks_rank() > 0)
        send_failures(w);
    for (int rank = 1; ranks_rank() == 0 && rank < ranks_size(); rank++) {
        void *bytes = NULL;
        size_t n = 0;
        err e;
        const failed_cell *f;
        if (ranks_receive_sized(&bytes, &n, rank, NULL, &e) == 0)
            for (f = bytes; n >= sizeof *f; f++, n -= sizeof *f)
                if (f->cell >= 0 && f->cell < w->n)
                    add_failure(&w->cell[f->cell], f, rank);
        free(bytes);
    }
    for (int64_t i = 0; i < w->n && !code; i++)
        code = w->cell[i].rc;
    return code;
}

static int share_out(sweep *w, session *s, const int64_t *runs, bool keep_going, err *e)
{
    dealer d = {.shown = s->prog};
    const sweep_dealer deal = {.next = next, .ud = &d, .keep_going = keep_going, .share = 1.0 / ranks_size()};
    int rc = ranks_agree(rank_deal_new(&d.deal, s, runs, w->n, e), e);
    if (!rc) {
        s->prog = (progress){step, &d};
        rc = sweep_work(w, s, &deal, e);
        s->prog = d.shown;
        rank_deal_end(d.deal);
        ranks_agree(0, e); /* nobody asks for units any more */
        int failed = gather_failures(w);
        if (!rc && failed) {
            *e = (err){.code = failed}; /* said when all have ended */
            rc = failed;
        }
    }
    rank_deal_free(d.deal);
    return rc;
}

/* Rank 0, when all is merged: runs whose last units came from the others are done now, and what is told of a cell is of all
 * ranks.  there [n]: units of each cell before any rank began. */
static int end_all(sweep *w, session *s, const int64_t *there, err *e)
{
    const sweep_dealer none = {.next = no_unit, .share = 1};
    store *st = NULL;
    double *seconds = mem_array((size_t)w->n, sizeof *seconds, e);
    int rc = seconds ? session_store(s, &st, e) : ERR_RESOURCE;
    for (int64_t i = 0; i < w->n && !rc; i++) {
        w->cell[i].part.whole = false;
        seconds[i] = w->cell[i].seconds;
    }
    rc = rc ? rc : sweep_work(w, s, &none, e);
    for (int64_t i = 0, n; i < w->n && st; i++) {
        sweep_cell *c = &w->cell[i];
        if (c->part.run > 0 && run_units_done(&n, st, c->part.run, NULL) == 0) {
            c->part.n_there = there[i];
            c->part.n_done = n - there[i];
        }
        c->seconds = seconds[i];
        if (c->rc && c->part.run > 0)
            store_run_end(st, c->part.run, "failed", c->error.msg, NULL);
        sweep_report_cell(w, s, c);
    }
    sweep_report_counted(w, s);
    free(seconds);
    return rc;
}

int sweep_on_ranks(sweep *w, session *s, const char *line, bool keep_going, err *e)
{
    const sweep_how how = {.begin = true, .command = line};
    int rc = rank_stores_begin(s, e);
    if (rc)
        return rc;
    int64_t *runs = mem_array((size_t)w->n, sizeof *runs, e), *there = mem_array((size_t)w->n, sizeof *there, e);
    rc = runs && there ? sweep_look(w, s, &how, e) : ERR_RESOURCE;
    for (int64_t i = 0; i < w->n && runs && there; i++) {
        runs[i] = w->cell[i].part.run;
        there[i] = w->cell[i].part.n_there;
    }
    rc = ranks_agree(rc, e);
    bool begun = rc == 0;
    if (begun)
        rc = share_out(w, s, runs, keep_going, e);
    rc = rank_stores_end(s, rc, e);
    if (ranks_rank() == 0 && begun && rc != ERR_CANCELLED) {
        err late = {0};
        int ended = end_all(w, s, there, &late);
        if (!rc && ended) {
            *e = late;
            rc = ended;
        }
    }
    free(runs);
    free(there);
    return rc;
}
