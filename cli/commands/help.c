/* help: what there is, and how it is used. */
#include <string.h>
#include "cli/aliases.h"
#include "cli/explain.h"
#include "cli/help.h"
#include "cli/settings.h"

/* A term of the field, or a work that is cited. */
static bool is_explained(const char *name)
{
    table *t = NULL;
    bool any = false;
    if (!explain_table(&t, NULL) && explain_name(t, name, &any, NULL) != 0)
        any = false;
    table_free(t);
    return any;
}

static int unknown_topic(const char *name, err *e)
{
    const char *names[512];
    int n = 0;
    for (int i = 0; commands[i] && n < 511; i++)
        names[n++] = commands[i]->name;
    for (int i = 0; metrics[i] && n < 511; i++)
        names[n++] = metrics[i]->name;
    for (int i = 0; edits[i] && n < 511; i++)
        names[n++] = edits[i]->name;
    for (int i = 0; figures[i] && n < 511; i++)
        names[n++] = figures[i]->name;
    for (const help_topic *t = help_topics; t->name && n < 511; t++)
        names[n++] = t->name;
    names[n] = NULL;
    const char *near = nearest_word(name, names);
    err_set(e, ERR_USAGE, "no help on \"%s\"", name);
    if (is_explained(name))
        return err_hint(e, "`explain %s` tells of it", name);
    return near ? err_hint(e, "did you mean \"%s\"?", near) : err_hint(e, "`help` shows what there is");
}

/* An empty line between two things of one name: `induction` is a command and a metric. */
static FILE *next(session *s, bool *any)
{
    if (*any)
        fputc('\n', s->out);
    *any = true;
    return s->out;
}

/* All that bears this very name. */
static int named(session *s, const char *name, bool *any, err *e)
{
    const command *c = command_find(name, false);
    const help_topic *t = help_find_topic(name);
    const metric *m = metric_find(name);
    const edit *x = edit_find(name);
    const figure *f = figure_find(name);
    int rc = 0;
    if (c)
        rc = help_command(next(s, any), c, e);
    if (t && !rc)
        rc = help_topic_text(next(s, any), t->title, t->text, e);
    if (m && !rc)
        rc = help_metric(next(s, any), m, e);
    if (x && !rc)
        rc = help_edit(next(s, any), x, e);
    if (f && !rc)
        rc = help_figure(next(s, any), f, e);
    return rc;
}

static int page_of(session *s, const command_args *a, err *e)
{
    const command *c = a->n ? command_find(a->word[0], false) : NULL;
    if (a->n && !strcmp(a->word[0], "json"))
        return help_man_json(s->out, e);
    if (a->n && !c) {
        err_set(e, ERR_USAGE, "there is no manual page for \"%s\"", a->word[0]);
        return err_hint(e, "there are attnscope(1), one for each command (`list commands`), and json");
    }
    return c ? help_man_command(s->out, c, e) : help_man(s->out, e);
}

static int run(session *s, const command_args *a, err *e)
{
    if (params_bool(a->p, "man"))
        return page_of(s, a, e);
    if (params_bool(a->p, "bash-completion"))
        return help_bash_completion(s->out, e);
    if (params_bool(a->p, "zsh-completion"))
        return help_zsh_completion(s->out, e);
    if (params_bool(a->p, "fish-completion"))
        return help_fish_completion(s->out, e);
    if (a->n == 0) {
        int rc = help_overview(s->out, e);
        return rc ? rc : aliases_print(s, NULL, e);
    }
    const char *name = a->word[0];
    bool any = false;
    if (name_list_find(&s->aliases, name)) {
        any = true;
        int rc = aliases_print(s, name, e);
        if (rc)
            return rc;
    }
    int rc = named(s, name, &any, e);
    if (rc || any)
        return rc;
    const command *c = command_find(name, s->interactive);
    return c ? help_command(s->out, c, e) : unknown_topic(name, e);
}

static const param own[] = {
    {.name = "man", .kind = PARAM_BOOL, .help = "the manual page, for man(1): of the program, or of the command named"},
    {.name = "bash-completion", .kind = PARAM_BOOL, .help = "a completion script for bash"},
    {.name = "zsh-completion", .kind = PARAM_BOOL, .help = "one for zsh: a file _attnscope in a folder of fpath"},
    {.name = "fish-completion", .kind = PARAM_BOOL, .help = "one for fish: attnscope.fish"},
    {.name = NULL},
};
static const char *const examples[] = {
    "help", "all commands at a glance",
    "help run", "one command, with its options and examples",
    "help entropy", "how a metric is defined",
    "help language", "quotes, comments, files and here-documents",
    NULL,
};
static const char *const complete[] = {"topics", NULL};

const command command_help = {
    .name = "help", .group = "shell", .usage = "[VERB | METRIC | EDIT | FIGURE | TOPIC]",
    .summary = "explain a command, a metric, a figure or a topic",
    .help = "Without a word, lists the commands. The manual pages and the completion for bash, zsh and fish\n"
            "come from the same tables. `explain NAME` says more of a metric, an edit or a figure.",
    .examples = examples, .params = own, .max_args = 1, .complete = complete, .run = run,
};
