/* sweep: many runs that one file asks for. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/ranks.h"
#include "cli/command_util.h"
#include "cli/output.h"
#include "cli/sweep.h"

static int read_shard(sweep_shard *out, const char *text, err *e)
{
    const char *slash = text ? strchr(text, '/') : NULL;
    char number[24] = "";
    *out = (sweep_shard){.number = 1, .of = 1};
    if (!text)
        return 0;
    if (slash && slash - text < (ptrdiff_t)sizeof number)
        memcpy(number, text, (size_t)(slash - text));
    if (!slash || !parse_int(&out->number, number) || !parse_int(&out->of, slash + 1) || out->number < 1 ||
        out->of < 1 ||
        out->number > out->of) {
        err_set(e, ERR_USAGE, "--shard %s: no shard", text);
        return err_hint(e, "write I/N, as 2/3 for the second of three");
    }
    return 0;
}

static bool in_memory(const session *s)
{
    return strcmp(s->store_path, ":memory:") == 0;
}

/* --resume: there must be something to go on with, in this store. */
static int require_sweep(session *s, const sweep *w, err *e)
{
    const cell bind[] = {cell_text(w->uid)};
    store *st;
    int64_t there = 0;
    int rc = store_to_read(s, &st, e);
    if (!rc)
        rc = query_count(&there, st, "SELECT 1 FROM sweep WHERE uid = ?1", bind, 1, e);
    if (!rc && !there) {
        err_set(e, ERR_USAGE, "%s holds no sweep of this file as it is now", in_memory(s) ? "this session"
                : store_path(st));
        rc = err_hint(e, "another --store, or a file that was changed since?  without --resume a new one"
                         " begins");
    }
    return rc;
}

static int print_estimate(session *s, const command_args *a, const sweep *w, double share, err *e)
{
    strbuf b = {0};
    int rc = 0;
    sweep_put_estimate(&b, w, share);
    if (command_format(s, a) == FORMAT_TABLE) {
        strbuf_putc(&b, '\n');
        rc = output_flush(s->out, &b, e);
    } else {
        say(s, "%s", strbuf_str(&b));
    }
    strbuf_free(&b);
    return rc;
}

/* --plan: nothing is written, also no store made. */
static int plan_only(session *s, const command_args *a, sweep *w, double share, err *e)
{
    const sweep_how how = {.stored = s->st || (!in_memory(s) && access(s->store_path, R_OK) == 0),
                           .try_seconds = params_real(a->p, "try")};
    int rc = sweep_look(w, s, &how, e);
    if (!rc)
        rc = sweep_plan_table(w, s, a, e);
    if (!rc)
        rc = print_estimate(s, a, w, share, e);
    for (int64_t i = 0; i < w->n && !rc; i++)
        if (w->cell[i].rc) {
            err_set(e, w->cell[i].rc, "cell %" PRId64 " cannot run: %s", i, w->cell[i].error.msg);
            rc = err_hint(e, "%s", w->cell[i].error.hint);
        }
    return rc;
}

static int look_and_work(session *s, const command_args *a, sweep *w, const sweep_dealer *deal, err *e)
{
    char *line = repeatable_command(a, NULL, e);
    const sweep_how how = {.begin = true, .try_seconds = params_real(a->p, "try"), .command = line};
    int rc = !line ? e->code : ranks_size() > 1 ? sweep_on_ranks(w, s, line, deal->keep_going, e)
        : sweep_look(w, s, &how, e);
    free(line);
    if (rc || ranks_size() > 1)
        return rc;
    strbuf b = {0};
    sweep_put_estimate(&b, w, deal->share);
    say(s, "%s", strbuf_str(&b));
    strbuf_free(&b);
    return sweep_work(w, s, deal, e);
}

static int work(session *s, const command_args *a, sweep *w, const sweep_dealer *deal, err *e)
{
    int rc = look_and_work(s, a, w, deal, e);
    if (ranks_rank() > 0)
        return rc;
    if (rc && e->msg[0]) { /* not of a cell */
        if (rc == ERR_CANCELLED && !in_memory(s))
            err_hint(e, "what is done is kept: the same command goes on");
        return rc;
    }
    err late = {0};
    int printed = sweep_done_table(w, s, a, &late);
    if (printed && !rc) {
        *e = late;
        return printed;
    }
    if (in_memory(s) && !s->interactive)
        say_once(s, "kept in memory only: with --store FILE the runs can be asked, drawn and exported later");
    if (!rc && params_given(a->p, "shard"))
        say(s, "this shard is done; runs are done when all are, in one store or merged into one: the same"
               " command without --shard says whether anything is missing");
    return rc;
}

static int run(session *s, const command_args *a, err *e)
{
    const bool planned = params_bool(a->p, "plan") || params_bool(a->p, "dry-run");
    sweep w;
    sweep_shard shard;
    int rc = read_shard(&shard, params_str(a->p, "shard"), e);
    if (rc)
        return rc;
    sweep_dealer deal = sweep_deal_shard(&shard);
    deal.keep_going = s->keep_going || params_bool(a->p, "keep-going");
    rc = sweep_make(&w, a->word[0], e);
    if (!rc && params_given(a->p, "shard") && ranks_size() > 1) {
        err_set(e, ERR_USAGE, "--shard and mpirun exclude each other");
        rc = err_hint(e, "mpirun shares the units out by itself");
    }
    if (!rc && params_given(a->p, "shard") && !planned && in_memory(s)) {
        err_set(e, ERR_USAGE, "--shard without a store");
        rc = err_hint(e, "each process may have a store of its own (--store part%" PRId64 ".db), joined by"
                      " `merge`, or all one",
                      shard.number);
    }
    if (!rc && params_bool(a->p, "resume"))
        rc = require_sweep(s, &w, e);
    if (!rc)
        rc = planned ? (ranks_rank() > 0 ? 0 : plan_only(s, a, &w, deal.share, e))
            : work(s, a, &w, &deal, e);
    sweep_free(&w);
    return rc;
}

static const param own[] = {
    {.name = "plan", .kind = PARAM_BOOL, .help = "show cells, units and the estimate, and stop: nothing is"
                                                 " stored"},
    {.name = "dry-run", .kind = PARAM_BOOL, .help = "the same as --plan"},
    {.name = "resume", .kind = PARAM_BOOL, .help = "there must be something to go on with in the store, else"
                                                   " it is an error"},
    {.name = "keep-going", .kind = PARAM_BOOL,
     .help = "behind a unit that fails go on with the other units of its cell; else with the next cell"},
    {.name = "shard", .kind = PARAM_STR, .value = "I/N",
     .help = "only every N-th unit, beginning with the I-th: one of N processes, or tasks of a Slurm array"},
    {.name = "try", .kind = PARAM_REAL, .def = "5", .value = "SECONDS", .max = 1e6,
     .help = "try units for so long at most to tell what the sweep takes, where no stored runs tell; 0: do"
             " not"},
    {.name = NULL},
};
static const char *const examples[] = {
    "sweep examples/sweeps/precision.sweep --plan", "what would be run, how long it takes, what it needs",
    "sweep examples/sweeps/precision.sweep --store precision.db", "run it; the same line again goes on after"
                                                                  " a stop",
    "sweep examples/sweeps/length.sweep --shard 1/2 --store part1.db", "one half of the units, joined with"
                                                                       " the other by `merge`",
    NULL,
};
static const char *const complete[] = {"files", NULL};

const command command_sweep = {
    .name = "sweep", .group = "experiment", .usage = "FILE",
    .summary = "run a whole plan: models x prompts x precisions x edits x anything else",
    .help = "FILE has lines `key = value`: command (a verb that measures: run, census, needle, ablate, ...),"
            " model, and any "
            "option of the verb without its dashes.  A list in brackets, as precision = [f32, bf16], makes"
            " the key an axis, and "
            "every combination of the axes is a cell: one run of the store.  Items may have names ([none:"
            " \"\", off: \"zero "
            "L1H2\"]), an empty value leaves the option out; VERB.OPTION is for one of several commands;"
            " `zip = A, B` lets axes "
            "go together, `exclude = A=x, B=y` leaves cells out; `arguments` are further words of the verb,"
            " `name` is what the sweep is called.  Paths are as on the command line.\n\n"
            "Everything that is wrong with the words is found before anything runs.  Then units are counted,"
            " what they cost is "
            "told by stored runs of the same settings or by trying a few, and they are run, each in one"
            " transaction.  The runs "
            "have the same identity wherever the same file is run, so the same command goes on with what is"
            " missing, after kill "
            "-9 too (--resume only makes sure that there is something), and processes with --shard I/N share"
            " the work in one "
            "store or in several, which `merge` joins.  A cell ends at its first unit that fails, unless"
            " there is --keep-going; it is reported "
            "with that unit and the other cells go on; the exit status is that of the first that failed."
            " Options that only shape "
            "the table of a verb are refused: a sweep prints its own.  Results are in the store: `sql"
            " \"SELECT * FROM sweep_list\"` says which run is which cell.",
    .examples = examples, .params = own, .min_args = 1, .max_args = 1, .complete = complete, .run = run, .live = true,
    .all_ranks = true,
};
