#include "cli/help_words.h"

#include <string.h>
#include "analysis/bibliography.h"
#include "cli/explain_terms.h"
#include "cli/report.h"
#include "cli/settings.h"

static void put_word(strbuf *b, size_t from, const char *word, size_t n)
{
    if (b->len > from)
        strbuf_putc(b, ' ');
    strbuf_add(b, word, n);
}

static void put_named(strbuf *b, size_t from, const char *word)
{
    put_word(b, from, word, strlen(word));
}

/* "metrics | edits | ...": what `list` takes stands in its usage. */
static void put_lists(strbuf *b, size_t from)
{
    const command *c = command_find("list", false);
    for (const char *at = c ? c->usage : ""; *at;) {
        size_t n = strcspn(at, " |");
        if (n)
            put_word(b, from, at, n);
        at += n + strspn(at + n, " |");
    }
}

bool help_words(strbuf *b, const char *const *choices, const char *source)
{
    size_t from = b->len;
    const char *s = source ? source : "";
    bool topics = !strcmp(s, "topics"), explained = !strcmp(s, "explained"), all = topics || explained;
    for (; choices && *choices; choices++)
        put_named(b, from, *choices);
    for (int i = 0; (all || !strcmp(s, "metrics")) && metrics[i]; i++)
        put_named(b, from, metrics[i]->name);
    for (int i = 0; (all || !strcmp(s, "edits")) && edits[i]; i++)
        put_named(b, from, edits[i]->name);
    for (int i = 0; (all || !strcmp(s, "figures")) && figures[i]; i++)
        put_named(b, from, figures[i]->name);
    for (int i = 0; (topics || !strcmp(s, "commands")) && commands[i]; i++)
        put_named(b, from, commands[i]->name);
    for (const help_topic *t = help_topics; topics && t->name; t++)
        put_named(b, from, t->name);
    for (const term *t = terms; explained && t->name; t++)
        put_named(b, from, t->name);
    for (const bib_entry *x = bibliography; explained && x->key; x++)
        put_named(b, from, x->key);
    for (const param *r = settings_params; !strcmp(s, "settings") && r->name; r++)
        put_named(b, from, r->name);
    for (int i = 0; !strcmp(s, "sections") && report_sections[i]; i++)
        put_named(b, from, report_sections[i]->name);
    if (!strcmp(s, "lists"))
        put_lists(b, from);
    return b->len > from;
}

bool help_option_words(strbuf *b, const param *row)
{
    return help_words(b, row->choices, row->complete);
}

void help_long_option(strbuf *b, const param *row)
{
    bool on = row->kind == PARAM_BOOL && row->def && !strcmp(row->def, "true");
    strbuf_printf(b, "%s%s", on ? "no-" : "", row->name);
}

bool help_takes_file(const param *row)
{
    return row->kind == PARAM_PATH || (row->complete && (!strcmp(row->complete, "files") || !strcmp(row->complete, "models")));
}

bool help_argument_words(strbuf *b, const command *c)
{
    return c->complete && c->complete[0] && help_words(b, NULL, c->complete[0]);
}

void help_each_option(const command *c, void (*each)(void *ud, const param *row), void *ud)
{
    command_tables tables;
    command_get_tables(c, tables);
    for (int t = 0; tables[t]; t++) {
        for (const param *r = tables[t]; r->name; r++) {
            if (!help_shadowed(tables, t, r))
                each(ud, r);
        }
    }
}
