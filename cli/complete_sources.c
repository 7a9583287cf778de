/* What may stand at a place of a command line. */
#include <stdlib.h>
#include <string.h>
#include "analysis/bibliography.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "cli/complete.h"
#include "cli/explain_terms.h"
#include "cli/bench.h"
#include "cli/help.h"
#include "cli/metric_select.h"
#include "cli/model_search.h"
#include "cli/report.h"
#include "cli/settings.h"
#include "cli/variables.h"
#include "compute/kernels.h"

void word_list_describe(word_list *l, const char *word, const char *about)
{
    if (l->n == l->cap) {
        int cap = l->cap ? 2 * l->cap : 32;
        char **grown = mem_grow(l->word, (size_t)cap, sizeof *grown, NULL);
        if (grown)
            l->word = grown;
        char **more = grown ? mem_grow(l->about, (size_t)cap, sizeof *more, NULL) : NULL;
        if (!more) {
            l->failed = true;
            return;
        }
        l->about = more;
        l->cap = cap;
    }
    char *copy = mem_strdup(word, NULL);
    if (!copy) {
        l->failed = true;
        return;
    }
    l->about[l->n] = about && *about ? mem_strdup(about, NULL) : NULL;
    l->word[l->n++] = copy;
}

void word_list_add(word_list *l, const char *word)
{
    word_list_describe(l, word, NULL);
}

void word_list_free(word_list *l)
{
    for (int i = 0; i < l->n; i++) {
        free(l->word[i]);
        free(l->about[i]);
    }
    free(l->word);
    free(l->about);
    *l = (word_list){0};
}

static void add_all(word_list *out, const char *const *words)
{
    for (; words && *words; words++)
        word_list_add(out, *words);
}

static void add_commands(word_list *out)
{
    for (int i = 0; commands[i]; i++)
        word_list_describe(out, commands[i]->name, commands[i]->summary);
}

static void add_names(word_list *out, const name_list *l)
{
    for (int i = 0; i < l->n; i++)
        word_list_describe(out, l->entry[i].name, l->entry[i].text);
}

void complete_metrics(word_list *out)
{
    for (int i = 0; metrics[i]; i++)
        word_list_describe(out, metrics[i]->name, metrics[i]->summary);
}

static void add_figures(word_list *out)
{
    for (int i = 0; figures[i]; i++)
        word_list_describe(out, figures[i]->name, figures[i]->summary);
}

static void add_edits(word_list *out)
{
    for (int i = 0; edits[i]; i++)
        word_list_describe(out, edits[i]->name, edits[i]->summary);
}

/* What `explain` knows. */
static void add_explained(word_list *out)
{
    complete_metrics(out);
    add_edits(out);
    add_figures(out);
    for (const term *t = terms; t->name; t++)
        word_list_describe(out, t->name, t->summary);
    for (const bib_entry *x = bibliography; x->key; x++)
        word_list_describe(out, x->key, x->title);
}

static void add_topics(word_list *out)
{
    add_commands(out);
    complete_metrics(out);
    add_edits(out);
    add_figures(out);
    for (const help_topic *t = help_topics; t->name; t++)
        word_list_describe(out, t->name, t->title);
}

static void add_settings(word_list *out)
{
    for (const param *r = settings_params; r->name; r++)
        word_list_describe(out, r->name, r->help);
}

static void add_isas(word_list *out)
{
    for (int i = 0; kernels_all()[i]; i++) {
        if (kernels_usable(kernels_all()[i]))
            word_list_add(out, kernels_all()[i]->isa);
    }
    word_list_add(out, "best");
}

static void add_models(word_list *out)
{
    model_entries found;
    model_entries_find(&found);
    for (int i = 0; i < found.n; i++)
        word_list_describe(out, found.v[i].name, strcmp(found.v[i].name, found.v[i].path) != 0 ? found.v[i].path : NULL);
    model_entries_free(&found);
    out->files = out->models = true;
}

/* source: heads, layers, or edits with theirs. */
static void add_places(word_list *out, const session *s, const line_context *at, const char *text, const char *source)
{
    strbuf before = {0};
    strbuf_add(&before, text + at->command, at->begin - at->command);
    if (*source == 'e')
        complete_edits(out, s, at, strbuf_str(&before));
    else
        complete_heads(out, s, at, strbuf_str(&before), *source == 'l');
    strbuf_free(&before);
}

static void add_variables(word_list *out, const session *s, const line_context *at, const char *text)
{
    const char *end = at->begin > 0 && text[at->begin - 1] == '{' ? "}" : "";
    int n = s->variables.n;
    for (int i = 0; i < n || variables_predefined(i - n); i++) {
        strbuf word = {0};
        strbuf_printf(&word, "%s%s", i < n ? s->variables.entry[i].name : variables_predefined(i - n), end);
        word_list_describe(out, strbuf_str(&word), i < n ? s->variables.entry[i].text : NULL);
        strbuf_free(&word);
    }
    out->stem = at->quoted;
}

/* Does the command show what was measured, and measures nothing? */
static bool reads_store(const command *c)
{
    return c && (!strcmp(c->group, "store") || !strcmp(c->group, "figure"));
}

/* Panels side by side: runs, heads or metrics. */
static void add_panels(word_list *out, const session *s, const line_context *at, const char *text)
{
    complete_runs(out, s, at);
    complete_measured(out, s, at, complete_typed(at));
    add_places(out, s, at, text, "heads");
}

static void add_source(word_list *out, const session *s, const char *source, const line_context *at, const char *text)
{
    static const char *const lists[] = {"metrics", "edits", "figures", "commands", "experiments", "examples", "readers",
                                        "families", "models", "isas", "schemas", "settings", NULL};
    static const char *const pagers[] = {"auto", "off", "less", NULL};
    if (!strcmp(source, "models"))
        add_models(out);
    else if (!strcmp(source, "commands"))
        add_commands(out);
    else if (!strcmp(source, "metrics") && reads_store(at->c))
        complete_measured(out, s, at, complete_typed(at));
    else if (!strcmp(source, "metrics"))
        complete_metrics(out);
    else if (!strcmp(source, "figures"))
        add_figures(out);
    else if (!strcmp(source, "edits") && at->want == LINE_VALUE)
        add_places(out, s, at, text, source);
    else if (!strcmp(source, "edits"))
        add_edits(out);
    else if (!strcmp(source, "topics"))
        add_topics(out);
    else if (!strcmp(source, "explained"))
        add_explained(out);
    else if (!strcmp(source, "aliases"))
        add_names(out, &s->aliases);
    else if (!strcmp(source, "variables"))
        add_names(out, &s->variables);
    else if (!strcmp(source, "lists"))
        add_all(out, lists);
    else if (!strcmp(source, "pagers"))
        add_all(out, pagers);
    else if (!strcmp(source, "settings"))
        add_settings(out);
    else if (!strcmp(source, "isas"))
        add_isas(out);
    else if (!strcmp(source, "heads") || !strcmp(source, "layers"))
        add_places(out, s, at, text, source);
    else if (!strcmp(source, "sql"))
        complete_sql(out, s, at, text + at->command, at->begin - at->command);
    else if (!strcmp(source, "runs"))
        complete_runs(out, s, at);
    else if (!strcmp(source, "compared")) { /* two models, or two runs */
        complete_runs(out, s, at);
        add_models(out);
    } else if (!strcmp(source, "panels")) {
        add_panels(out, s, at, text);
    } else if (!strcmp(source, "sections")) {
        for (int i = 0; report_sections[i]; i++)
            word_list_add(out, report_sections[i]->name);
    } else if (!strcmp(source, "benches")) {
        for (int i = 0; bench_forms[i]; i++)
            word_list_add(out, bench_forms[i]->name);
    } else if (!strcmp(source, "imports")) {
        word_list_describe(out, "heads", "lists of heads, for --heads @NAME");
    } else
        out->files = true;
}

static void add_values(word_list *out, const session *s, const param *row, const line_context *at, const char *text)
{
    static const char *const yes_no[] = {"on", "off", NULL};
    if (row->choices)
        add_all(out, row->choices);
    else if (row->complete)
        add_source(out, s, row->complete, at, text);
    else if (row->kind == PARAM_BOOL)
        add_all(out, yes_no);
    else
        out->files = row->kind == PARAM_PATH;
}

/* Is it an option of metrics alone, none of which the text names?  There are very many: they come when one begins to be
 * typed, or with its metric. */
static bool of_other_metrics(const param *rows, const param *row, const char *text)
{
    if (rows != metric_choice_params() && rows != metric_weights_params())
        return false;
    for (int i = 0; metrics[i]; i++) {
        for (const param *r = metrics[i]->params; r && r->name; r++) {
            if (!strcmp(r->name, row->name) && complete_names(text, metrics[i]->name))
                return false;
        }
    }
    return true;
}

static void add_options(word_list *out, const line_context *at, const char *text)
{
    const command *c = at->c;
    command_tables tables;
    command_get_tables(c, tables);
    bool few = strlen(at->word) <= 2; /* nothing of a name is typed */
    for (int t = 0; tables[t]; t++) {
        for (const param *r = tables[t]; r->name; r++) {
            char name[80];
            bool on = r->kind == PARAM_BOOL && r->def && !strcmp(r->def, "true");
            snprintf(name, sizeof name, "--%s%s", on ? "no-" : "", r->name);
            if (!help_shadowed(tables, t, r) && !(few && of_other_metrics(tables[t], r, text + at->command)))
                word_list_describe(out, name, r->help);
        }
    }
}

/* What completes positional argument i, NULL: nothing does. */
static const char *argument_source(const command *c, int argument)
{
    int i = 0;
    if (!c->complete || !c->complete[0] || (c->max_args >= 0 && argument >= c->max_args))
        return NULL;
    while (i < argument && c->complete[i + 1])
        i++; /* the last source serves all places that follow */
    return c->complete[i];
}

static void add_argument(word_list *out, const session *s, const line_context *at, const char *text)
{
    const char *source = argument_source(at->c, at->argument);
    if (!source)
        return;
    if (!strcmp(source, "setting-values")) {
        const param *row = params_row(s->settings, at->first);
        if (row)
            add_values(out, s, row, at, text);
    } else {
        add_source(out, s, source, at, text);
    }
}

void complete_words(word_list *out, const session *s, const line_context *at, const char *text)
{
    *out = (word_list){0};
    switch (at->want) {
    case LINE_NOTHING: break;
    case LINE_VERB:
        add_names(out, &s->aliases);
        add_commands(out);
        break;
    case LINE_OPTION: add_options(out, at, text); break;
    case LINE_VALUE: add_values(out, s, at->row, at, text); break;
    case LINE_ARGUMENT: add_argument(out, s, at, text); break;
    case LINE_FILE: out->files = true; break;
    case LINE_VARIABLE: add_variables(out, s, at, text); break;
    }
}

const char *complete_inner(const line_context *at)
{
    const char *source = at->want == LINE_VALUE ? at->row->complete : at->want == LINE_ARGUMENT
                                                                          ? argument_source(at->c, at->argument)
                                                                          : NULL;
    if (source && !strcmp(source, "sql"))
        return " \t\n\"'();,.=<>+-*/";
    if (at->want == LINE_VARIABLE)
        return " \t\n\"'${";
    if (source && !strcmp(source, "edits") && at->want == LINE_VALUE && at->quoted)
        return " \t\n\"';(),@<>=";
    return source && !strcmp(source, "heads") && at->quoted ? " \t\n\"'(),@<>=" : NULL;
}

void complete_place(line_context *out, const session *s, const char *line, size_t point)
{
    line_context_get(out, line, point, true);
    const name_entry *alias = out->c || !out->verb[0] ? NULL : name_list_find(&s->aliases, out->verb);
    if (!alias)
        return;
    strbuf b = {0};
    size_t verb = strlen(out->verb), more = strlen(alias->text), start = out->command;
    if (strncmp(line + start, out->verb, verb) != 0)
        return;
    strbuf_add(&b, line, start);
    strbuf_puts(&b, alias->text);
    strbuf_add(&b, line + start + verb, point - start - verb);
    line_context_get(out, strbuf_str(&b), b.len, true);
    out->begin = out->begin >= start + more ? out->begin - more + verb : point;
    out->command = start;
    strbuf_free(&b);
}
