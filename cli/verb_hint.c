#include "cli/verb_hint.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "analysis/edit.h"
#include "analysis/metric.h"
#include "base/mem.h"
#include "cli/command.h"
#include "plots/figure.h"

/* What other programs call it. */
static const struct { const char *word, *hint; } elsewhere[] = {
    {"exit", "`quit` leaves the shell"}, {"bye", "`quit` leaves the shell"}, {"q", "`quit` leaves the shell"},
    {"open", "`load MODEL` opens a model, --store FILE a store"}, {"use", "`load MODEL` opens a model"},
    {"ls", "`list models` shows the models, `runs` the runs"}, {"heads", "`help heads` says how heads are chosen"},
    {"save", "name a store with --store FILE, or `export` a run"}, {"draw", "`plot RECIPE` draws; `list figures` shows all"},
    {"ask", "`sql` asks the store"}, {"select", "`sql \"SELECT ...\"` asks the store"},
    {"man", "`help VERB` explains a command"}, {"version", "`attnscope --version` prints it"},
    {"diff", "`compare` holds two models or two runs against each other"}, {"measure", "`run` measures"},
};

/* Is it one of the words that `list` takes? */
static bool is_list(const char *word)
{
    const command *list = command_find("list", false);
    size_t n = strlen(word);
    for (const char *at = list ? list->usage : ""; n && (at = strstr(at, word)); at += n) {
        bool begins = at == list->usage || at[-1] == ' ';
        if (begins && (at[n] == ' ' || at[n] == '\0'))
            return true;
    }
    return false;
}

/* Something that a command takes. */
static bool hint_thing(const char *word, err *e)
{
    const metric *m = metric_find(word);
    if (*word == '!')
        err_hint(e, "`!!` and `!5` bring lines back at the prompt of the shell; `history` shows them");
    else if (is_list(word))
        err_hint(e, "`list %s` shows them", word);
    else if (m && m->scope == METRIC_WEIGHTS)
        err_hint(e, "that is a metric: `weights MODEL --metrics %s` measures it, `explain %s` says what it is", word, word);
    else if (m)
        err_hint(e, "that is a metric: `run MODEL --prompt TEXT --metrics %s` measures it, `explain %s` says what it is", word,
                 word);
    else if (figure_find(word))
        err_hint(e, "that is a figure: `plot %s` draws it into a file, `view %s` in the terminal", word, word);
    else if (edit_find(word))
        err_hint(e, "that is an edit: run MODEL --prompt TEXT --edit \"%s ...\"; `explain %s` says what it does", word, word);
    else
        return false;
    return true;
}

static const char *nearest_verb(const session *s, const char *word)
{
    int n = 0;
    while (commands[n])
        n++;
    const char **names = mem_array((size_t)(n + s->aliases.n) + 1, sizeof *names, NULL);
    for (int i = 0; names && i < n; i++)
        names[i] = commands[i]->name;
    for (int i = 0; names && i < s->aliases.n; i++)
        names[n + i] = s->aliases.entry[i].name;
    const char *near = names ? nearest_word(word, names) : NULL;
    free(names);
    return near;
}

int verb_hint(const session *s, const char *word, err *e)
{
    for (size_t i = 0; i < sizeof elsewhere / sizeof *elsewhere; i++)
        if (!strcmp(elsewhere[i].word, word))
            return err_hint(e, "%s", elsewhere[i].hint);
    if (hint_thing(word, e))
        return ERR_USAGE;
    const char *near = nearest_verb(s, word);
    if (near)
        return err_hint(e, "did you mean \"%s\"?", near);
    if (access(word, F_OK) == 0)
        return err_hint(e, "that is a file: `info %s` describes a model, `source %s` runs a script", word, word);
    return err_hint(e, "`%shelp` lists the commands", s->interactive ? "" : "attnscope ");
}
