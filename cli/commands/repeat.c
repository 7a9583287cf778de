/* repeat: a run done again, and whether its rows are the same. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "cli/output.h"
#include "cli/repeat_plan.h"
#include "cli/run_compare.h"
#include "compute/kernels.h"

typedef struct job {
    session *s;
    const command_args *a;
    store *source, *target;
    int64_t run, made;
    repeat_plan plan;
    run_difference d;
} job;

/* ---- settings of the session, as they were for the run ---- */

typedef struct kept_settings { char *isa, *precision; FILE *out; bool quiet; int64_t last_run; } kept_settings;

static void restore_settings(session *s, kept_settings *k)
{
    s->out = k->out;
    s->quiet = true; /* of the instruction set that comes back nothing needs to be said */
    if (k->isa)
        session_set(s, "isa", k->isa, NULL);
    if (k->precision)
        session_set(s, "precision", k->precision, NULL);
    s->quiet = k->quiet;
    free(k->isa);
    free(k->precision);
}

static int set_settings(job *j, kept_settings *k, err *e)
{
    session *s = j->s;
    const char *isa = repeat_fact(&j->plan, "isa"), *arithmetic = repeat_fact(&j->plan, "precision");
    *k = (kept_settings){mem_strdup(kernels_get()->isa, e), mem_strdup(params_str(s->settings, "precision"), e), s->out, s->quiet,
                         s->last_run};
    if (!k->isa || !k->precision)
        return ERR_RESOURCE;
    s->quiet = true;
    int rc = session_set(s, "precision", arithmetic, e);
    if (!rc && session_set(s, "isa", isa, NULL) != 0) /* of a machine that this program does not know: the best here */
        rc = session_set(s, "isa", "best", e);
    if (!rc && strcmp(kernels_get()->isa, isa) != 0)
        strbuf_printf(&j->plan.notes, "instruction set %s, it was %s%s\n", kernels_get()->isa, isa,
                      strcmp(arithmetic, "bf16") == 0 ? "" : ": the float32 values do not depend on it");
    return rc;
}

/* ---- the run itself ---- */

/* The run that the command made: that of the same model and verb, the last such. */
static int find_made(job *j, int64_t before, err *e)
{
    const cell bind[] = {cell_int(before), cell_text(repeat_fact(&j->plan, "verb")), cell_int(j->s->last_run)};
    table *t = NULL;
    int rc = store_query(j->target, &t,
                         "SELECT r.id FROM run r WHERE r.id > ?1 AND r.verb = ?2 ORDER BY r.id = ?3 DESC, r.id DESC LIMIT 1",
                         bind, 3, e);
    if (!rc && t->n_row == 0)
        rc = err_set(e, ERR_FAILED, "the command of run %" PRId64 " made no run", j->run);
    j->made = rc ? 0 : table_cell(t, 0, 0)->u.i;
    table_free(t);
    return rc;
}

static int do_again(job *j, err *e)
{
    session *s = j->s;
    kept_settings kept;
    int64_t before = 0;
    const char *threads = params_given(j->a->p, "threads") ? params_str(j->a->p, "threads") : NULL;
    const command_args again = {.n = j->plan.n, .word = j->plan.positional, .p = j->plan.p, .line = strbuf_str(&j->plan.line)};
    int rc = session_store(s, &j->target, e);
    if (!rc)
        rc = store_last_run(j->target, &before, e);
    if (!rc && threads)
        rc = params_set(j->plan.p, "threads", threads, e);
    if (rc)
        return rc;
    rc = set_settings(j, &kept, e);
    FILE *nowhere = rc ? NULL : fopen("/dev/null", "we");
    if (!rc && !nowhere)
        rc = err_set(e, ERR_RESOURCE, "cannot open /dev/null");
    if (!rc) {
        s->out = nowhere;
        rc = j->plan.c->run(s, &again, e);
        fclose(nowhere);
    }
    restore_settings(s, &kept);
    return rc ? rc : find_made(j, before, e);
}

/* ---- the verdict ---- */

static void put_pair(strbuf *b, const char *what, const value_pair *v)
{
    if (!v->metric)
        return;
    strbuf_printf(b, "  %-8s ", what);
    strbuf_put_visible(b, v->metric, strlen(v->metric));
    strbuf_printf(b, " of %s, prompt %" PRId64, v->place, v->prompt);
    if (v->position != NO_INDEX)
        strbuf_printf(b, ", position %" PRId64, v->position);
    strbuf_puts(b, ": ");
    strbuf_put_real(b, v->then);
    strbuf_puts(b, " then, ");
    strbuf_put_real(b, v->now);
    strbuf_printf(b, " now (%.3g)\n", fabs(v->now - v->then));
}

static void put_share(strbuf *b, int64_t changed, int64_t all, const char *what)
{
    if (changed)
        strbuf_printf(b, "  %" PRId64 " of %" PRId64 " %s\n", changed, all, what);
}

static int print_words(const job *j, err *e)
{
    const run_difference *d = &j->d;
    strbuf b = {0};
    bool same = run_difference_none(d);
    strbuf_printf(&b, "run %" PRId64 " of ", j->made);
    strbuf_put_visible(&b, store_path(j->target), strlen(store_path(j->target)));
    strbuf_printf(&b, " repeats run %" PRId64 ": %s\n", j->run, same ? "identical" : "different");
    if (same) {
        strbuf_printf(&b, "  %" PRId64 " values, %" PRId64 " maps, %" PRId64 " facts of %" PRId64 " prompt%s compared\n",
                      d->values,
                      d->maps, d->facts, d->prompts, d->prompts == 1 ? "" : "s");
    } else {
        put_share(&b, d->prompts_missing, d->prompts, "prompts are not there");
        put_share(&b, d->prompts_changed, d->prompts, "prompts have other text or tokens");
        strbuf_printf(&b, "  %" PRId64 " of %" PRId64 " values differ\n", d->values_changed, d->values);
        put_share(&b, d->maps_changed, d->maps, "maps differ");
        put_share(&b, d->facts_changed, d->facts, "facts differ");
        if (d->first_alone)
            strbuf_printf(&b, "  alone    %s\n", d->first_alone);
        put_pair(&b, "first", &d->first);
        put_pair(&b, "largest", &d->largest);
    }
    int rc = output_flush(j->s->out, &b, e);
    strbuf_free(&b);
    return rc;
}

static int put_pair_cells(table *t, cell *row, int col, const value_pair *v, err *e)
{
    if (!v->metric)
        return 0;
    int rc = table_text(t, &row[col], v->metric, strlen(v->metric), e);
    if (!rc)
        rc = table_text(t, &row[col + 1], v->place, strlen(v->place), e);
    row[col + 2] = cell_int(v->prompt);
    row[col + 3] = cell_index(v->position);
    row[col + 4] = cell_real(v->then);
    row[col + 5] = cell_real(v->now);
    return rc;
}

static int print_row(const job *j, err *e)
{
    static const char *const columns[] = {
        "run", "repeated", "identical", "prompts", "prompts_missing", "prompts_changed", "values", "values_changed", "maps",
        "maps_changed", "facts", "facts_changed", "first_metric", "first_head", "first_prompt", "first_position", "first_then",
        "first_now", "largest_metric", "largest_head", "largest_prompt", "largest_position", "largest_then", "largest_now"};
    const run_difference *d = &j->d;
    const int64_t count[] = {j->run, j->made, run_difference_none(d), d->prompts, d->prompts_missing, d->prompts_changed,
                             d->values, d->values_changed, d->maps, d->maps_changed, d->facts, d->facts_changed};
    enum { COUNTS = sizeof count / sizeof *count, COLUMNS = sizeof columns / sizeof *columns };
    table *t = NULL;
    int rc = table_new(&t, COLUMNS, columns, e);
    cell *row = rc ? NULL : table_row(t, e);
    if (!rc && !row)
        rc = ERR_RESOURCE;
    for (int i = 0; i < COUNTS && !rc; i++)
        row[i] = cell_int(count[i]);
    if (!rc)
        rc = put_pair_cells(t, row, COUNTS, &d->first, e);
    if (!rc)
        rc = put_pair_cells(t, row, COUNTS + 6, &d->largest, e);
    if (!rc)
        rc = print_table(j->s, j->a, t, "attnscope.repeat/1", e);
    table_free(t);
    return rc;
}

static int verdict(job *j, err *e)
{
    int rc = run_compare(&j->d, j->source, j->run, j->target, j->made, e);
    if (!rc)
        rc = command_format(j->s, j->a) == FORMAT_TABLE ? print_words(j, e) : print_row(j, e);
    if (rc || run_difference_none(&j->d))
        return rc;
    return err_set(e, ERR_DIFFERS, "run %" PRId64 " does not repeat run %" PRId64, j->made, j->run);
}

/* ---- the command ---- */

static void say_notes(const job *j)
{
    const char *s = strbuf_str(&j->plan.notes);
    while (*s) {
        size_t n = strcspn(s, "\n");
        say(j->s, "%.*s", (int)n, s);
        s += n + (s[n] == '\n');
    }
}

static int print_plan(const job *j, err *e)
{
    strbuf b = {0};
    strbuf_puts(&b, "attnscope --isa ");
    put_shell_word(&b, repeat_fact(&j->plan, "isa"));
    strbuf_printf(&b, " %s\n", strbuf_str(&j->plan.line));
    int rc = output_flush(j->s->out, &b, e);
    strbuf_free(&b);
    return rc;
}

/* Into another store: the source stays open beside it. */
static int swap_store(session *s, const char *path, store **was, char **was_path, err *e)
{
    *was = s->st;
    *was_path = s->store_path;
    s->st = NULL;
    s->store_path = NULL;
    return session_use_store(s, path, e);
}

static void swap_back(session *s, store *was, char *was_path, int64_t last)
{
    store_close(s->st);
    free(s->store_path);
    s->st = was;
    s->store_path = was_path;
    s->last_run = last;
}

static int repeat(job *j, err *e)
{
    const char *into = params_str(j->a->p, "into");
    store *was = NULL;
    char *was_path = NULL;
    int64_t last = j->s->last_run;
    bool other = into && strcmp(into, j->s->store_path) != 0;
    int rc = other ? swap_store(j->s, into, &was, &was_path, e) : 0;
    if (!rc)
        rc = do_again(j, e);
    say_notes(j);
    if (!rc)
        rc = verdict(j, e);
    if (other)
        swap_back(j->s, was, was_path, last);
    return rc;
}

static int run(session *s, const command_args *a, err *e)
{
    job j = {.s = s, .a = a};
    int rc = store_to_read(s, &j.source, e);
    if (!rc)
        rc = choose_run(s, a, j.source, a->n ? a->word[0] : NULL, &j.run, e);
    if (!rc)
        rc = repeat_plan_make(&j.plan, j.source, j.run, params_str(a->p, "model"), e);
    if (rc)
        return rc;
    rc = repeat_check(&j.plan, s, j.source, params_bool(a->p, "force"), e);
    if (!rc && strcmp(repeat_fact(&j.plan, "status"), "done") != 0)
        strbuf_printf(&j.plan.notes, "run %" PRId64 " did not come to its end (%s): only the prompts that it holds are"
                                                    " compared\n",
                      j.run, repeat_fact(&j.plan, "status"));
    if (!rc && params_bool(a->p, "dry-run")) {
        say_notes(&j);
        rc = print_plan(&j, e);
    } else if (!rc) {
        rc = repeat(&j, e);
    }
    run_difference_free(&j.d);
    repeat_plan_free(&j.plan);
    return rc;
}

static const param own[] = {
    {.name = "into", .kind = PARAM_PATH, .value = "FILE", .help = "store of the new run; without it the store of the old one"},
    {.name = "model", .kind = PARAM_PATH, .value = "MODEL", .complete = "models",
     .help = "where the model lies now; its weights must be the same"},
    {.name = "force", .kind = PARAM_BOOL, .help = "also when weights, tokenizer or files that were read are others now"},
    {.name = "dry-run", .kind = PARAM_BOOL, .help = "check weights, tokenizer and files, print what would be run, and stop"},
    {.name = NULL},
};
static const char *const examples[] = {
    "repeat 3 --store heads.db", "does run 3 come out the same here, bit for bit?",
    "repeat --store heads.db --into again.db --model /models/lantern-3m", "the last run, on another machine, into another store",
    "repeat 3 --store heads.db --dry-run", "only whether everything it needs is there unchanged",
    NULL,
};
static const char *const complete[] = {"runs", NULL};

const command command_repeat = {
    .name = "repeat", .group = "store", .usage = "[RUN]",
    .summary = "run a stored run again and say whether its rows are identical",
    .help = "Runs the recorded command again, with the recorded instruction set (the best there is where this machine lacks "
            "it), precision and seed, as a new run, and compares every value, map and fact bit for bit. Says how many were "
            "compared; where they differ, which is the first (by prompt, metric, head and position) and which differs most, with "
            "both values. Refuses when the weights, the tokenizer or a file that was read are others than recorded, by their "
            "SHA-256, unless --force. The text of --prompt-file, and the prompts of `run --prompts`, are taken from the store "
            "where the file is gone. Exit status 0: identical; 4: different. Without RUN the last one.",
    .examples = examples, .params = own, .min_args = 0, .max_args = 1, .complete = complete, .run = run, .live = true,
};
