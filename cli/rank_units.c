#include "cli/rank_units.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/mem.h"
#include "base/ranks.h"
#include "cli/command_util.h"
#include "cli/run_part.h"

enum { MOST_RANKS = 4096 };

/* ---- stores ---- */

static char *rank_store(const char *path, int rank, err *e)
{
    strbuf b = {0};
    strbuf_printf(&b, "%s.rank%d", path, rank);
    return strbuf_take(&b, e);
}

static void remove_store(const char *path)
{
    static const char *const with[] = {"", "-wal", "-shm", "-journal"};
    for (int i = 0; i < 4; i++) {
        strbuf b = {0};
        strbuf_printf(&b, "%s%s", path, with[i]);
        if (!b.failed)
            unlink(strbuf_str(&b));
        strbuf_free(&b);
    }
}

static int merge_one(session *s, const char *path, err *e)
{
    struct stat st;
    store_merge_report report;
    store *to;
    if (stat(path, &st) != 0)
        return 0;
    int rc = st.st_size == 0 ? 0 : session_store(s, &to, e); /* empty: killed before it was a store */
    if (!rc && st.st_size > 0)
        rc = store_merge(to, path, &report, &s->prog, e);
    if (!rc)
        remove_store(path);
    return rc;
}

/* Rank 0: the stores of ranks 1 .. into the session's. */
static int merge_all(session *s, err *e)
{
    int rc = 0;
    for (int rank = 1; rank < MOST_RANKS && !rc; rank++) {
        char *path = rank_store(s->store_path, rank, e);
        rc = path ? merge_one(s, path, e) : ERR_RESOURCE;
        free(path);
    }
    return rc;
}

int rank_stores_begin(session *s, err *e)
{
    int rc = 0;
    if (strcmp(s->store_path, ":memory:") == 0) {
        err_set(e, ERR_USAGE, "the units of several processes need a store on disk");
        rc = err_hint(e, "add --store FILE: each process writes beside it, and all is merged into it at the end");
    } else if (ranks_size() > MOST_RANKS) {
        rc = err_set(e, ERR_USAGE, "%d processes are more than the %d that units can be shared over", ranks_size(), MOST_RANKS);
    } else if (ranks_rank() == 0) {
        rc = merge_all(s, e);
    }
    if ((rc = ranks_agree(rc, e)))
        return rc;
    if (ranks_rank() > 0) {
        char *own = rank_store(s->store_path, ranks_rank(), e);
        rc = own ? session_use_store(s, own, e) : ERR_RESOURCE;
        free(own);
    }
    return ranks_agree(rc, e);
}

int rank_stores_end(session *s, int rc, err *e)
{
    err late = {0};
    if (ranks_rank() > 0) {
        size_t n = strlen(s->store_path);
        char suffix[24];
        snprintf(suffix, sizeof suffix, ".rank%d", ranks_rank());
        char *path = mem_strndup(s->store_path, n > strlen(suffix) ? n - strlen(suffix) : n, &late);
        int closed = path ? session_use_store(s, path, &late) : ERR_RESOURCE;
        free(path);
        if (!rc && closed) {
            *e = late;
            rc = closed;
        }
    }
    rc = ranks_agree(rc, e); /* all stores are closed */
    late = (err){0};
    int merged = ranks_agree(ranks_rank() == 0 ? merge_all(s, &late) : 0, &late);
    if (!rc && merged) {
        *e = late;
        rc = merged;
    }
    return rc;
}

/* ---- dealing ---- */

/* What a rank asks: the next unit of a run; run -1: it asks no more. */
typedef struct question { int64_t run, n_unit; } question;

struct rank_deal {
    session *s;
    const int64_t *runs;     /* [n_run] */
    int64_t n_run;
    int64_t *at;             /* [n_run] units before are dealt */
    int left;                /* ranks that may still ask */
    bool stop;               /* rank 0 failed: nothing more is dealt */
};

int rank_deal_new(rank_deal **out, session *s, const int64_t *runs, int64_t n_run, err *e)
{
    rank_deal *d = mem_array(1, sizeof *d, e);
    int64_t *at = d ? mem_array((size_t)n_run, sizeof *at, e) : NULL;
    if (!at) {
        free(d);
        return ERR_RESOURCE;
    }
    *d = (rank_deal){.s = s, .runs = runs, .n_run = n_run, .at = at, .left = ranks_size() - 1};
    *out = d;
    return 0;
}

void rank_deal_free(rank_deal *d)
{
    if (!d)
        return;
    free(d->at);
    free(d);
}

/* The next unit that is not in the store. */
static int64_t take(rank_deal *d, int64_t run, int64_t n_unit)
{
    store *st;
    bool there = true;
    if (run < 0 || run >= d->n_run || d->stop || session_store(d->s, &st, NULL))
        return -1;
    while (d->at[run] < n_unit) {
        int64_t i = d->at[run]++;
        if (d->runs[run] <= 0 || store_unit_done(st, d->runs[run], i, &there, NULL) || !there)
            return i;
    }
    return -1;
}

static void answer(rank_deal *d)
{
    void *bytes = NULL;
    size_t n;
    int sender;
    question q = {-1, 0};
    err e;
    int rc = ranks_receive_sized(&bytes, &n, -1, &sender, &e);
    if (!rc && n == sizeof q)
        memcpy(&q, bytes, n);
    free(bytes);
    if (q.run < 0) {
        d->left--;
        return;
    }
    int64_t unit = take(d, q.run, q.n_unit);
    ranks_send(&unit, sizeof unit, sender);
}

void rank_deal_serve(rank_deal *d)
{
    while (d->left > 0 && ranks_rank() == 0 && ranks_asked())
        answer(d);
}

int rank_deal_next(rank_deal *d, int64_t run, int64_t n_unit, int64_t *unit, err *e)
{
    const question q = {run, n_unit};
    (void)e;
    if (ranks_rank() == 0) {
        rank_deal_serve(d);
        *unit = take(d, run, n_unit);
        return 0;
    }
    ranks_send_sized(&q, sizeof q, 0);
    ranks_receive(unit, sizeof *unit, 0);
    return 0;
}

void rank_deal_end(rank_deal *d)
{
    const question none = {-1, 0};
    if (ranks_rank() > 0) {
        ranks_send_sized(&none, sizeof none, 0);
        return;
    }
    while (d->left > 0)
        answer(d);
}

/* ---- one command ---- */

typedef struct work {
    session *s;
    rank_deal *deal;
    run_part part;
    progress shown;          /* the session's */
    int64_t n_unit;
} work;

static int next_unit(void *ud, int64_t n_unit, int64_t *unit, err *e)
{
    work *w = ud;
    w->n_unit = n_unit;
    return rank_deal_next(w->deal, 0, n_unit, unit, e);
}

static void step(void *ud, int64_t unit, double part)
{
    const work *w = ud;
    (void)unit;
    rank_deal_serve(w->deal);
    progress_step(&w->shown, "units", (double)w->deal->at[0] - 1 + part, (double)w->n_unit);
}

static int random_uid(char uid[33], err *e)
{
    unsigned char bytes[16];
    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
        return err_set(e, ERR_FAILED, "the system gives no random numbers");
    for (int i = 0; i < 16; i++)
        snprintf(uid + 2 * i, 3, "%02x", bytes[i]);
    return 0;
}

/* The run that --resume names keeps its identity, a new one gets a random one; the same on all ranks.  *there: units that
 * the store of rank 0 holds. */
static int choose_uid(char uid[33], int64_t *there, session *s, const command_args *a, err *e)
{
    int64_t resume = params_row(a->p, "resume") ? params_int(a->p, "resume") : 0;
    int rc = 0;
    if (ranks_rank() == 0 && resume > 0) {
        const cell bind[] = {cell_int(resume)};
        store *st;
        table *t = NULL;
        rc = store_to_read(s, &st, e);
        if (!rc)
            rc = store_query(st, &t, "SELECT uid FROM run WHERE id = ?1", bind, 1, e);
        if (!rc && t->n_row == 0)
            rc = err_set(e, ERR_USAGE, "there is no run %" PRId64, resume);
        if (!rc)
            snprintf(uid, 33, "%s", cell_string(table_cell(t, 0, 0)));
        table_free(t);
        if (!rc)
            rc = run_units_done(there, st, resume, e);
    } else if (ranks_rank() == 0) {
        rc = random_uid(uid, e);
    }
    ranks_broadcast(uid, 33, 0);
    return ranks_agree(rc, e);
}

/* Once more, for its tables: all units are there. */
static int run_on_what_is_stored(session *s, const command *c, const command_args *a, int64_t run, err *e)
{
    char number[24];
    snprintf(number, sizeof number, "%" PRId64, run);
    int rc = params_set(a->p, "resume", number, e);
    s->alone = true;
    rc = rc ? rc : c->run(s, a, e);
    s->alone = false;
    return rc;
}

bool rank_units_of(const command *c)
{
    command_tables tables;
    command_get_tables(c, tables);
    for (int t = 0; tables[t]; t++)
        for (const param *row = tables[t]; row->name; row++)
            if (strcmp(row->name, "resume") == 0 && row->kind == PARAM_INT)
                return true;
    return false;
}

int rank_units_run(session *s, const command *c, const command_args *a, err *e)
{
    char uid[33] = "";
    int64_t there = 0;
    work w = {.s = s, .shown = s->prog, .n_unit = 1};
    const bool quiet = s->quiet;
    int rc = rank_stores_begin(s, e);
    if (rc)
        return rc;
    rc = choose_uid(uid, &there, s, a, e);
    if (!rc)
        rc = ranks_agree(rank_deal_new(&w.deal, s, &w.part.run, 1, e), e);
    if (!rc) {
        w.part = (run_part){.uid = uid, .begin = true, .work = true, .next = next_unit, .step = step, .ud = &w, .n_unit = -1};
        s->part = &w.part;
        s->quiet = true;
        s->prog = (progress){NULL, NULL};
        rc = c->run(s, a, e);
        if (w.part.ended) {
            *e = (err){0};
            rc = 0;
        } else if (!rc) {
            rc = err_set(e, ERR_USAGE, "with these words %s has no units of work for several processes", c->name);
        }
        s->part = NULL;
        s->quiet = quiet;
        s->prog = w.shown;
        w.deal->stop = rc != 0;
        rank_deal_end(w.deal);
    }
    rank_deal_free(w.deal);
    rc = rank_stores_end(s, rc, e);
    if (there && w.part.run > 0)
        say(s, "run %" PRId64 " resumed: %" PRId64 " of %" PRId64 " units were there", w.part.run, there, w.part.n_unit);
    if (rc && w.part.run > 0 && ranks_rank() == 0)
        err_hint(e, "what is done is kept; go on with the same command and --resume %" PRId64, w.part.run);
    return rc || ranks_rank() > 0 ? rc : run_on_what_is_stored(s, c, a, w.part.run, e);
}
