/* A sweep under mpirun. */
#include <stdlib.h>
#include "base/mem.h"
#include "base/ranks.h"
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
    }
    rank_deal_free(d.deal);
    for (int64_t i = 0; i < w->n && rc && ranks_rank() > 0 && !e->msg[0]; i++)
        if (w->cell[i].rc) { /* nobody has heard what this rank reported */
            *e = w->cell[i].error;
            err_prefix(e, "cell %lld", (long long)i);
        }
    return rc;
}

int sweep_on_ranks(sweep *w, session *s, const char *line, bool keep_going, err *e)
{
    const sweep_how how = {.begin = true, .command = line};
    const sweep_dealer none = {.next = no_unit, .share = 1};
    int rc = rank_stores_begin(s, e);
    if (rc)
        return rc;
    int64_t *runs = mem_array((size_t)w->n, sizeof *runs, e);
    rc = runs ? sweep_look(w, s, &how, e) : ERR_RESOURCE;
    for (int64_t i = 0; i < w->n && runs; i++)
        runs[i] = w->cell[i].part.run;
    rc = ranks_agree(rc, e);
    if (!rc)
        rc = share_out(w, s, runs, keep_going, e);
    free(runs);
    rc = rank_stores_end(s, rc, e);
    /* Runs whose last units came from the others are done now. */
    if (ranks_rank() == 0 && rc != ERR_CANCELLED) {
        err late = {0};
        for (int64_t i = 0; i < w->n; i++)
            w->cell[i].part.whole = false;
        int ended = sweep_work(w, s, &none, &late);
        if (!rc && ended) {
            *e = late;
            rc = ended;
        }
    }
    return rc;
}
