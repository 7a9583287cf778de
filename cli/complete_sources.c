/* What may stand at a place of a command line. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "cli/complete.h"
#include "cli/help.h"
#include "cli/settings.h"
#include "compute/kernels.h"

#define MAX_RUNS 200

void word_list_add(word_list *l, const char *word)
{
    if (l->n == l->cap) {
        int cap = l->cap ? 2 * l->cap : 32;
        char **grown = mem_grow(l->word, (size_t)cap, sizeof *grown, NULL);
        if (!grown) {
            l->failed = true;
            return;
        }
        l->word = grown;
        l->cap = cap;
    }
    char *copy = mem_strdup(word, NULL);
    if (copy)
        l->word[l->n++] = copy;
    else
        l->failed = true;
}

void word_list_free(word_list *l)
{
    for (int i = 0; i < l->n; i++)
        free(l->word[i]);
    free(l->word);
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
        word_list_add(out, commands[i]->name);
}

static void add_metrics(word_list *out)
{
    for (int i = 0; metrics[i]; i++)
        word_list_add(out, metrics[i]->name);
}

static void add_figures(word_list *out)
{
    for (int i = 0; figures[i]; i++)
        word_list_add(out, figures[i]->name);
}

static void add_topics(word_list *out)
{
    add_commands(out);
    add_metrics(out);
    for (int i = 0; edits[i]; i++)
        word_list_add(out, edits[i]->name);
    add_figures(out);
    for (const help_topic *t = help_topics; t->name; t++)
        word_list_add(out, t->name);
}

static void add_heads_of(word_list *out, const model *m, attn_kind kind)
{
    char text[32];
    const stack *s = model_stack(m, kind);
    for (int l = 0; s && l < s->n_run; l++) {
        const attention_block *b = model_attention(m, kind, l);
        for (int h = 0; b && h < b->plan.n_head; h++) {
            head_format(text, (head_id){kind, l, h});
            word_list_add(out, text);
        }
    }
}

static void add_heads(word_list *out, const session *s, bool layers)
{
    const model *m = s->current ? s->current->m : NULL;
    for (int l = 0; m && layers && l < m->main->n_run; l++) {
        char text[32];
        snprintf(text, sizeof text, "%d", l);
        word_list_add(out, text);
    }
    for (int k = ATTN_SELF; m && !layers && k <= ATTN_VISION; k++)
        add_heads_of(out, m, (attn_kind)k);
}

static void add_query(word_list *out, const session *s, const char *sql)
{
    table *t = NULL;
    if (!s->st || store_query(s->st, &t, sql, NULL, 0, NULL) != 0)
        return;
    for (int64_t i = 0; i < t->n_row; i++) {
        const cell *c = table_cell(t, i, 0);
        char number[24];
        snprintf(number, sizeof number, "%" PRId64, c->kind == CELL_INT ? c->u.i : 0);
        word_list_add(out, c->kind == CELL_TEXT ? c->u.s : number);
    }
    table_free(t);
}

static void add_sql(word_list *out, const session *s)
{
    static const char *const keywords[] = {
        "SELECT", "FROM", "WHERE", "GROUP", "ORDER", "BY", "LIMIT", "JOIN", "LEFT", "USING", "ON", "AS",
        "AND", "OR", "NOT", "NULL", "IN", "LIKE", "BETWEEN", "DISTINCT", "HAVING", "DESC", "ASC", "COUNT",
        "AVG", "MIN", "MAX", "SUM", NULL};
    add_all(out, keywords);
    add_query(out, s, "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') "
                      "AND name NOT LIKE 'sqlite_%'");
    add_query(out, s, "SELECT DISTINCT c.name FROM sqlite_schema AS t, pragma_table_info(t.name) AS c "
                      "WHERE t.type IN ('table', 'view')");
}

static void add_settings(word_list *out)
{
    for (const param *r = settings_params; r->name; r++)
        word_list_add(out, r->name);
}

static void add_isas(word_list *out)
{
    for (int i = 0; kernels_all()[i]; i++) {
        if (kernels_usable(kernels_all()[i]))
            word_list_add(out, kernels_all()[i]->isa);
    }
    word_list_add(out, "best");
}

/* False: file names. */
static bool add_source(word_list *out, const session *s, const char *source)
{
    static const char *const lists[] = {"metrics", "edits", "figures", "commands", "readers", "families", "isas",
                                        "settings", NULL};
    if (!strcmp(source, "models") || !strcmp(source, "files"))
        return false;
    if (!strcmp(source, "commands"))
        add_commands(out);
    else if (!strcmp(source, "metrics"))
        add_metrics(out);
    else if (!strcmp(source, "figures"))
        add_figures(out);
    else if (!strcmp(source, "topics"))
        add_topics(out);
    else if (!strcmp(source, "lists"))
        add_all(out, lists);
    else if (!strcmp(source, "settings"))
        add_settings(out);
    else if (!strcmp(source, "isas"))
        add_isas(out);
    else if (!strcmp(source, "heads") || !strcmp(source, "layers"))
        add_heads(out, s, *source == 'l');
    else if (!strcmp(source, "sql"))
        add_sql(out, s);
    else if (!strcmp(source, "runs")) {
        char sql[80];
        snprintf(sql, sizeof sql, "SELECT id FROM run ORDER BY id DESC LIMIT %d", MAX_RUNS);
        word_list_add(out, "last");
        add_query(out, s, sql);
    }
    return true;
}

static bool add_values(word_list *out, const session *s, const param *row)
{
    if (row->choices) {
        add_all(out, row->choices);
        return true;
    }
    if (row->complete)
        return add_source(out, s, row->complete);
    if (row->kind == PARAM_BOOL) {
        word_list_add(out, "true");
        word_list_add(out, "false");
    }
    return row->kind != PARAM_PATH;
}

static void add_options(word_list *out, const command *c)
{
    command_tables tables;
    command_get_tables(c, tables);
    for (int t = 0; tables[t]; t++) {
        for (const param *r = tables[t]; r->name; r++) {
            char name[80];
            bool on = r->kind == PARAM_BOOL && r->def && !strcmp(r->def, "true");
            snprintf(name, sizeof name, "--%s%s", on ? "no-" : "", r->name);
            if (!help_shadowed(tables, t, r))
                word_list_add(out, name);
        }
    }
}

static bool add_argument(word_list *out, const session *s, const line_context *at)
{
    const char *const *sources = at->c->complete;
    int i = 0;
    if (!sources || !sources[0])
        return true;
    while (i < at->argument && sources[i + 1])
        i++; /* the last source serves all places that follow */
    if (at->c->max_args >= 0 && at->argument >= at->c->max_args)
        return true;
    if (!strcmp(sources[i], "setting-values")) {
        const param *row = params_row(s->settings, at->first);
        return row ? add_values(out, s, row) : true;
    }
    return add_source(out, s, sources[i]);
}

bool complete_words(word_list *out, const session *s, const line_context *at)
{
    *out = (word_list){0};
    switch (at->want) {
    case LINE_NOTHING: return true;
    case LINE_VERB: add_commands(out); return true;
    case LINE_OPTION: add_options(out, at->c); return true;
    case LINE_VALUE: return add_values(out, s, at->row);
    case LINE_ARGUMENT: return add_argument(out, s, at);
    case LINE_FILE: return false;
    }
    return true;
}
