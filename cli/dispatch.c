#include "cli/dispatch.h"
#include "cli/dry_run.h"

#include <stdlib.h>
#include <string.h>
#include "base/cancel.h"
#include "base/outfile.h"
#include "base/ranks.h"
#include "base/strbuf.h"
#include "cli/help.h"
#include "cli/output.h"
#include "cli/pager.h"
#include "cli/progress_bar.h"
#include "cli/rank_units.h"
#include "cli/settings.h"
#include "cli/standard_out.h"
#include "cli/verb_hint.h"

/* --- options --- */

static const char *short_option(char c)
{
    return c == 'o' ? "output" : c == 'q' ? "quiet" : c == 'h' ? "help" : NULL;
}

static bool is_option(const char *word)
{
    double number;
    return word[0] == '-' && word[1] != '\0' && !parse_real(&number, word);
}

/* Options of the program as a whole stand before the verb. */
static int hint_before_verb(const char *name, err *e)
{
    bool no = !strncmp(name, "no-", 3);
    for (const param *r = settings_params; r->name; r++)
        if (!strcmp(r->name, name) || (no && r->kind == PARAM_BOOL && !strcmp(r->name, name + 3)))
            return err_hint(e, "--%s stands before the command: attnscope --%s%s ...; in a session, `set %s`", name, name,
                            r->kind == PARAM_BOOL ? "" : " VALUE", r->name);
    if (!strcmp(name, "keep-going") || !strcmp(name, "no-config") || !strcmp(name, "no-color"))
        err_hint(e, "--%s stands before the command: attnscope --%s ...", name, name);
    return e->code;
}

static int set_option(params *p, const char *name, const char *value, int *at, int n,
                      const char *const *words, err *e)
{
    const param *row = params_row(p, name);
    if (row && row->kind != PARAM_BOOL && !value && *at + 1 < n)
        value = words[++*at];
    int rc = params_set(p, name, value, e);
    return rc && !row && e ? hint_before_verb(name, e) : rc;
}

int command_read_words(const command *c, params *p, const char **positional, int *n_positional, int n,
                       const char *const *words, err *e)
{
    bool options = true;
    int rc = 0;
    *n_positional = 0;
    for (int i = 0; i < n && !rc; i++) {
        const char *w = words[i];
        options = options && !(c->literal_after && *n_positional >= c->literal_after);
        if (options && !strcmp(w, "--")) {
            options = false;
        } else if (!options || !is_option(w)) {
            positional[(*n_positional)++] = w;
        } else if (w[1] != '-') {
            const char *name = w[2] ? NULL : short_option(w[1]);
            if (!name && !w[2])
                name = w + 1; /* an option of one letter, as -n of top */
            if (!name || !params_row(p, name)) {
                err_set(e, ERR_USAGE, "unknown option %s", w);
                rc = err_hint(e, "`help %s` shows the options; `--` ends them", c->name);
            } else {
                rc = set_option(p, name, NULL, &i, n, words, e);
            }
        } else {
            const char *equals = strchr(w + 2, '=');
            char *name = equals ? mem_strndup(w + 2, (size_t)(equals - w) - 2, e) : mem_strdup(w + 2, e);
            rc = name ? set_option(p, name, equals ? equals + 1 : NULL, &i, n, words, e) : ERR_RESOURCE;
            free(name);
        }
    }
    return rc;
}

/* One form of the results at a time. */
static int check_formats(const command *c, const params *p, err *e)
{
    const char *first = NULL;
    for (const param *r = output_params; !c->no_table && r->name; r++) {
        if (r->kind != PARAM_BOOL || params_row(p, r->name) != r || !params_bool(p, r->name))
            continue;
        if (first) {
            err_set(e, ERR_USAGE, "--%s and --%s exclude each other", first, r->name);
            return err_hint(e, "keep one of them");
        }
        first = r->name;
    }
    return 0;
}

/* Signs of the system's shell, which would send the results elsewhere. */
static bool is_redirection(const char *word)
{
    static const char *const signs[] = {"|", ">", ">>", "<", "2>", "&", "&&", "||", NULL};
    for (int i = 0; signs[i]; i++)
        if (!strcmp(word, signs[i]))
            return true;
    return false;
}

static int check_count(const command *c, int n, const char *const *positional, err *e)
{
    bool surplus = c->max_args >= 0 && n > c->max_args;
    if (n < c->min_args)
        err_set(e, ERR_USAGE, n == 0 ? "needs an argument" : "needs %d arguments, has %d", c->min_args, n);
    else if (surplus)
        err_set(e, ERR_USAGE, "unexpected argument \"%s\"", positional[c->max_args]);
    else
        return 0;
    if (surplus && is_redirection(positional[c->max_args]))
        return err_hint(e, "there are no pipes here: `;` parts commands%s", c->no_table ? ", --help shows the options"
                        : ", --output FILE writes the results to a file");
    return err_hint(e, "usage: %s%s%s", c->name, *c->usage ? " " : "", c->usage);
}

static int unknown_verb(const session *s, const char *word, err *e)
{
    strbuf list = {0};
    int starts = 0;
    for (int i = 0; s->interactive && commands[i]; i++) {
        if (strncmp(commands[i]->name, word, strlen(word)) != 0)
            continue;
        strbuf_printf(&list, " %s", commands[i]->name);
        starts++;
    }
    if (starts > 1) {
        err_set(e, ERR_USAGE, "\"%s\" begins several commands:%s", word, strbuf_str(&list));
    } else {
        err_set(e, ERR_USAGE, "unknown command \"%s\"", word);
        verb_hint(s, word, e);
    }
    strbuf_free(&list);
    return ERR_USAGE;
}

/* --- one command --- */

/* --store of a command: the first store that is named becomes the session's, unless it cannot be opened; with one named or
 * open already it is used for this command alone, so that rows in memory are not lost. */
typedef struct store_swap {
    bool swapped, first;
    store *st;
    char *path;
    int64_t last_run;
} store_swap;

static int use_command_store(session *s, store_swap *swap, const char *path, err *e)
{
    if (!path || !strcmp(path, s->store_path))
        return 0;
    if (!s->st && !strcmp(s->store_path, ":memory:")) {
        swap->first = true;
        return session_use_store(s, path, e);
    }
    *swap = (store_swap){true, false, s->st, s->store_path, s->last_run};
    s->st = NULL;
    s->store_path = NULL;
    int rc = session_use_store(s, path, e);
    if (rc) {
        s->st = swap->st;
        s->store_path = swap->path;
        swap->swapped = false;
    }
    return rc;
}

/* rc: how the command ended. */
static void restore_store(session *s, store_swap *swap, int rc)
{
    if (swap->first && rc && !s->st)
        session_use_store(s, ":memory:", NULL);
    if (!swap->swapped)
        return;
    store_close(s->st);
    free(s->store_path);
    s->st = swap->st;
    s->store_path = swap->path;
    s->last_run = swap->last_run;
}

/* Results must have arrived: a write error counts even when the command did not look. */
static int finish_output(session *s, outfile *file, int rc, err *e)
{
    if (file) {
        s->out = s->standard_out;
        if (!rc || rc == ERR_DIFFERS) {
            err late = {0};
            int failed = outfile_commit(file, &late);
            if (failed) {
                *e = late;
                return failed;
            }
        } else {
            outfile_abandon(file);
        }
        return rc;
    }
    fflush(s->out);
    pager_end(s);
    if (standard_out_closed()) { /* as with `| head`: the reader has enough, which is no error */
        s->quit = true;
        e->msg[0] = '\0';
        return 0;
    }
    if (standard_out_errno()) {
        s->quit = true; /* nothing that follows could be seen */
        return output_error(standard_out_errno(), e);
    }
    return rc;
}

static int run_with_options(session *s, const command *c, const command_args *a, err *e)
{
    bool quiet = s->quiet, own_file = false;
    outfile *file = NULL;
    store_swap swap = {0};
    model_hold hold;
    const bool holds = strcmp(c->group, "shell") != 0; /* what those run holds for itself */
    for (const param *r = c->params; r && r->name; r++)
        own_file = own_file || !strcmp(r->name, "output");
    int rc = use_command_store(s, &swap, params_str(a->p, "store"), e);
    if (!rc && !c->no_table && !own_file && params_given(a->p, "output") && ranks_rank() == 0) {
        rc = outfile_open(&file, params_str(a->p, "output"), e);
        if (!rc)
            s->out = outfile_stream(file);
    }
    if (!rc) {
        bool setting = params_bool(s->settings, "quiet");
        s->quiet = quiet || params_bool(a->p, "quiet");
        progress_bar_begin(s->bar, s->quiet);
        if (holds)
            session_hold_model(s, &hold);
        rc = dry_run_wanted(c, a) ? dry_run(s, c, a, e) :
             ranks_size() > 1 && !c->all_ranks && rank_units_of(c) ? rank_units_run(s, c, a, e) : c->run(s, a, e);
        if (holds)
            session_release_model(s, &hold, rc == ERR_CANCELLED);
        progress_bar_clear(s->bar);
        /* `set quiet` may just have changed what holds for the session; else what held before, as in a script that is quiet */
        bool now = params_bool(s->settings, "quiet");
        s->quiet = now != setting ? now : quiet;
    }
    rc = finish_output(s, file, rc, e);
    restore_store(s, &swap, rc);
    return rc;
}

static int run_words(session *s, const command *c, int n, const char *const *words, err *e)
{
    command_tables tables;
    params *p = NULL;
    strbuf line = {0};
    command_args a = {0};
    const char **positional = mem_array((size_t)n, sizeof *positional, e);
    int rc = positional ? params_new(&p, e) : ERR_RESOURCE;
    if (rc)
        goto out;
    command_get_tables(c, tables);
    for (int i = 0; tables[i] && !rc; i++)
        rc = params_use(p, tables[i], e);
    if (!rc)
        rc = command_read_words(c, p, positional, &a.n, n - 1, words + 1, e);
    if (rc)
        goto out;
    if (params_bool(p, "help")) {
        rc = finish_output(s, NULL, help_command(s->out, c, e), e);
        goto out;
    }
    rc = check_count(c, a.n, positional, e);
    if (!rc)
        rc = check_formats(c, p, e);
    if (rc)
        goto out;
    strbuf_puts(&line, c->name);
    for (int i = 1; i < n; i++) {
        strbuf_putc(&line, ' ');
        strbuf_put_quoted(&line, words[i]);
    }
    rc = line.failed ? err_nomem(e, "the command line") : 0;
    if (rc)
        goto out;
    a.word = positional;
    a.p = p;
    a.line = strbuf_str(&line);
    rc = run_with_options(s, c, &a, e);
out:
    strbuf_free(&line);
    params_free(p);
    free(positional);
    return rc;
}

int session_words(session *s, int n, const char *const *words, const char *where)
{
    err e = {0};
    if (n == 0)
        return 0;
    const command *c = command_find(words[0], s->interactive);
    long reported = session_reported();
    int rc = c ? cancel_check(&e) : unknown_verb(s, words[0], &e);
    if (!rc && (ranks_rank() == 0 || c->all_ranks || rank_units_of(c))) {
        pager_begin(s, c);
        rc = run_words(s, c, n, words, &e);
        pager_end(s);
    }
    if (rc == ERR_RESOURCE && !e.msg[0] && session_reported() == reported) /* a string that could not grow says nothing */
        err_nomem(&e, words[0]);
    rc = ranks_agree(rc, &e);
    ranks_broadcast(&s->quit, sizeof s->quit, 0);
    if (rc)
        session_report(s, where, c ? c->name : NULL, &e);
    return rc;
}
