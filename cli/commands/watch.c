/* watch: a command again and again. */
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "base/cancel.h"
#include "base/ranks.h"
#include "cli/command_util.h"
#include "cli/help.h"
#include "cli/progress_bar.h"
#include "cli/terminal.h"

#define SLICE_NS 50000000 /* how long Ctrl-C may wait */

typedef struct watching {
    session *s;
    strbuf text;        /* the command */
    bool screen;        /* a terminal that can be cleared */
    double every;       /* seconds */
    bool changed;       /* wait for the store */
    int64_t version;    /* of the store, before the command read it */
} watching;

/* A number that is another one when another connection has written to the store. */
static int store_version(watching *w, int64_t *version, err *e)
{
    store *st;
    table *t = NULL;
    int rc = store_to_read(w->s, &st, e);
    if (!rc)
        rc = store_query(st, &t, "PRAGMA data_version", NULL, 0, e);
    if (!rc)
        *version = t->n_row ? table_cell(t, 0, 0)->u.i : 0;
    table_free(t);
    return rc;
}

static void put_heading(const watching *w, int64_t round)
{
    char now[32] = "";
    time_t seconds = time(NULL);
    struct tm parts;
    strbuf line = {0};
    if (localtime_r(&seconds, &parts))
        strftime(now, sizeof now, "%Y-%m-%d %H:%M:%S", &parts);
    strbuf_printf(&line, "%s  #%lld, ", now, (long long)round);
    if (w->changed)
        strbuf_puts(&line, "when the store changes: ");
    else
        strbuf_printf(&line, "every %g s: ", w->every);
    strbuf_put_visible(&line, strbuf_str(&w->text), w->text.len);
    if (w->screen && !w->s->quiet) {
        strbuf rows = {0};
        help_fit(&rows, strbuf_str(&line), STDOUT_FILENO);
        fprintf(w->s->out, "%s\n", strbuf_str(&rows));
        strbuf_free(&rows);
    } else if (!w->screen)
        say(w->s, "%s", strbuf_str(&line));
    strbuf_free(&line);
}

/* False: Ctrl-C. */
static bool sleep_for(double seconds)
{
    const struct timespec slice = {.tv_nsec = SLICE_NS};
    struct timespec begin, now;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    do {
        if (cancel_requested())
            return false;
        nanosleep(&slice, NULL);
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while ((double)(now.tv_sec - begin.tv_sec) + (double)(now.tv_nsec - begin.tv_nsec) * 1e-9 < seconds);
    return !cancel_requested();
}

/* Until the next round is due: 0, ERR_CANCELLED without a word after Ctrl-C, or what is wrong with the store. */
static int wait_for_next(watching *w, err *e)
{
    int rc = 0;
    int64_t version = w->version;
    bool more = sleep_for(w->every);
    while (!rc && more && w->changed && version == w->version) {
        rc = store_version(w, &version, e);
        if (!rc && version == w->version)
            more = sleep_for(SLICE_NS * 4e-9);
    }
    if (!rc && !more && w->s->interactive)
        fputc('\n', stderr); /* behind the ^C of the terminal */
    return rc ? rc : more ? 0 : ERR_CANCELLED;
}

static int rounds(watching *w, int64_t times, err *e)
{
    int first = 0;
    for (int64_t i = 1;; i++) {
        int rc = w->changed ? store_version(w, &w->version, e) : 0;
        if (rc)
            return rc;
        if (w->screen)
            fputs("\033[H\033[2J", w->s->out);
        put_heading(w, i);
        rc = session_line(w->s, strbuf_str(&w->text), NULL); /* says itself what went wrong */
        fflush(w->s->out);
        first = first ? first : rc;
        if (rc == ERR_CANCELLED || (i == 1 && rc) || i == times || w->s->quit)
            return first; /* what fails at once is wrong; later it may be busy */
        progress_bar_clear(w->s->bar);
        if ((rc = wait_for_next(w, e)))
            return rc;
    }
}

static int run(session *s, const command_args *a, err *e)
{
    watching w = {.s = s, .every = params_real(a->p, "every"), .changed = params_bool(a->p, "changed")};
    w.screen = terminal_output(s) && terminal_can_redraw(STDOUT_FILENO) && !params_bool(s->settings, "plain");
    if (ranks_size() > 1) {
        err_set(e, ERR_USAGE, "several processes cannot watch together");
        return err_hint(e, "watch in a session of its own, without mpirun");
    }
    if (w.changed && !strcmp(s->store_path, ":memory:")) {
        err_set(e, ERR_USAGE, "--changed: results are kept in memory, where nobody else writes");
        return err_hint(e, "name the store that others write: watch --store FILE --changed ...");
    }
    if (!strcmp(a->word[0], "watch")) {
        err_set(e, ERR_USAGE, "watch cannot watch itself");
        return err_hint(e, "name the command to run again: watch --every 5 runs");
    }
    for (int i = 0; i < a->n; i++) {
        strbuf_puts(&w.text, i ? " " : "");
        if (a->n == 1)
            strbuf_puts(&w.text, a->word[i]);
        else
            strbuf_put_quoted(&w.text, a->word[i]);
    }
    s->depth++; /* as in a script: no pager */
    int rc = w.text.failed ? err_nomem(e, "a command") : rounds(&w, params_int(a->p, "times"), e);
    s->depth--;
    strbuf_free(&w.text);
    return rc;
}

static const param own[] = {
    {.name = "every", .kind = PARAM_REAL, .def = "2", .value = "SECONDS", .min = 0.1, .max = 86400,
     .help = "how long to wait behind the command"},
    {.name = "times", .kind = PARAM_INT, .def = "0", .value = "N", .max = 1e9,
     .help = "how often; 0: until Ctrl-C"},
    {.name = "changed", .kind = PARAM_BOOL, .help = "only when another program has written to the store"},
    {.name = NULL},
};
static const char *const examples[] = {
    "watch --times 2 --every 0.1 list isas", "twice, a moment apart",
    "watch --times 2 --every 0.1 'set threads; set precision'", "several commands, quoted as one word",
    NULL,
};
static const char *const complete[] = {"commands", NULL};

const command command_watch = {
    .name = "watch", .group = "shell", .usage = "COMMAND ...",
    .summary = "run a command again and again, as results come in",
    .help = "Ctrl-C ends it. Options of watch go before COMMAND; what follows belongs to the command. In a terminal the "
            "screen is cleared before each round, under a line with time and number; elsewhere that line goes to standard "
            "error, the results one behind the other to standard output. With --changed it waits until another program, "
            "as a sweep in the next window, has written to the store: watch --changed --store heads.db runs. A command "
            "that fails in the first round ends the watch; later errors are shown and it goes on.",
    .examples = examples, .params = own, .min_args = 1, .max_args = -1, .complete = complete, .literal_after = 1,
    .run = run, .no_table = true, .live = true,
};
