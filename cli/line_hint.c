#include "cli/line_hint.h"

#include <string.h>
#include "cli/help.h"
#include "cli/settings.h"

/* Bytes of the first piece of a usage: a word, or a bracket with all that it holds ("[--prompt TEXT | --ids LIST]"), with
 * "..." behind it. */
static size_t usage_piece(const char *usage)
{
    size_t i = 0;
    int depth = 0;
    for (; usage[i] && (depth > 0 || usage[i] != ' '); i++)
        depth += usage[i] == '[' ? 1 : usage[i] == ']' ? -1 : 0;
    return i;
}

/* What of the usage is still to come behind n arguments.  Alternatives ("a | b | c") are one argument. */
static const char *usage_rest(const char *usage, int n)
{
    bool repeats = false;
    for (; n > 0 && *usage; n--) {
        const char *begin = usage;
        size_t len = usage_piece(usage);
        if (*usage == '[' && !strncmp(usage, "[--", 3))
            break; /* options: not for arguments to use up */
        repeats = len > 3 && !strncmp(usage + len - 3, "...", 3);
        if (repeats)
            return begin;
        usage += len;
        while (!strncmp(usage, " | ", 3))
            usage += 3, usage += usage_piece(usage);
        usage += strspn(usage, " ");
    }
    return usage;
}

static void put_command(strbuf *out, const command *c)
{
    if (*c->usage)
        strbuf_printf(out, " %s", c->usage);
    strbuf_printf(out, "  %s", c->summary);
}

/* The only verb that begins so; the one that is so. */
static void verb_hint(strbuf *out, const session *s, const char *typed)
{
    size_t n = strlen(typed);
    const command *c = n ? command_find(typed, true) : NULL;
    const name_entry *alias = n ? name_list_find(&s->aliases, typed) : NULL;
    if (alias)
        strbuf_printf(out, "  = %s", alias->text);
    else if (c && !strncmp(c->name, typed, n)) {
        strbuf_puts(out, c->name + n);
        put_command(out, c);
    }
}

static void option_hint(strbuf *out, const command *c, const char *typed)
{
    command_tables tables;
    const param *only = NULL;
    size_t n = strlen(typed);
    bool no = !strncmp(typed, "--no-", 5), exact = false;
    const char *name = typed + (no ? 5 : 2);
    if (n < 3 || strncmp(typed, "--", 2) != 0)
        return;
    command_get_tables(c, tables);
    for (int t = 0; tables[t]; t++) {
        for (const param *r = tables[t]; r->name && !exact; r++) {
            bool begins = !strncmp(r->name, name, strlen(name)) && (!no || r->kind == PARAM_BOOL);
            if (!begins || help_shadowed(tables, t, r))
                continue;
            exact = !strcmp(r->name, name);
            if (only && !exact)
                return; /* several begin so */
            only = r;
        }
    }
    if (!only)
        return;
    strbuf_puts(out, only->name + strlen(name));
    if (only->kind != PARAM_BOOL)
        strbuf_printf(out, " %s", only->value ? only->value : "VALUE");
    strbuf_printf(out, "  %s", only->help ? only->help : "");
}

static void value_hint(strbuf *out, const param *row, const char *typed)
{
    const char *only = NULL;
    size_t n = strlen(typed);
    if (n == 0) {
        strbuf_printf(out, "%s  ", row->value ? row->value : "on|off");
        help_option_text(out, row);
        return;
    }
    for (int i = 0; row->choices && row->choices[i]; i++) {
        if (strncmp(row->choices[i], typed, n) != 0)
            continue;
        if (only)
            return;
        only = row->choices[i];
    }
    strbuf_puts(out, only ? only + n : "");
}

/* The first options of a command, as many as a line may have room for. */
static void put_options(strbuf *out, const command *c)
{
    enum { WIDEST = 200 };
    for (const param *r = c->params; r && r->name && out->len < WIDEST; r++) {
        strbuf_puts(out, out->len ? " [" : "[");
        help_option(out, r);
        strbuf_putc(out, ']');
    }
}

static void argument_hint(strbuf *out, const session *s, const line_context *at)
{
    const param *row = !strcmp(at->c->name, "set") && at->argument == 1 ? params_row(s->settings, at->first) : NULL;
    if (row)
        value_hint(out, row, at->word);
    else if (!at->word[0] && !at->quoted) {
        const char *rest = usage_rest(at->c->usage, at->argument);
        strbuf_puts(out, rest);
        if (!strstr(rest, "--"))
            put_options(out, at->c);
    }
}

void line_hint(strbuf *out, const session *s, const line_context *at)
{
    switch (at->want) {
    case LINE_VERB: verb_hint(out, s, at->word); break;
    case LINE_OPTION: option_hint(out, at->c, at->word); break;
    case LINE_VALUE:
        if (!strchr(at->word, '=') && !at->quoted)
            value_hint(out, at->row, at->word);
        break;
    case LINE_ARGUMENT: argument_hint(out, s, at); break;
    case LINE_NOTHING:
    case LINE_FILE:
    case LINE_VARIABLE: break;
    }
}

/* --- help for the place --- */

static void help_verbs(strbuf *out, int width)
{
    for (const command_group *g = command_groups; g->name; g++) {
        strbuf names = {0};
        for (int i = 0; commands[i]; i++) {
            if (!strcmp(commands[i]->group, g->name))
                strbuf_printf(&names, "%s%s", names.len ? " " : "", commands[i]->name);
        }
        if (names.len)
            help_entry(out, g->title, strbuf_str(&names), 0, width < 60 ? 4 : 24, width);
        out->failed = out->failed || names.failed;
        strbuf_free(&names);
    }
    help_wrap(out, "`help VERB` explains one.", 0, width);
}

static void help_row(strbuf *out, const param *row, int width)
{
    strbuf label = {0}, text = {0};
    help_option(&label, row);
    help_option_text(&text, row);
    help_entry(out, strbuf_str(&label), strbuf_str(&text), 0, width < 60 ? 4 : 24, width);
    out->failed = out->failed || label.failed || text.failed;
    strbuf_free(&label);
    strbuf_free(&text);
}

static void help_short(strbuf *out, const command *c, int width)
{
    strbuf text = {0};
    strbuf_printf(&text, "%s %s", c->name, c->usage);
    help_entry(out, "usage:", strbuf_str(&text), 0, 7, width);
    strbuf_clear(&text);
    strbuf_printf(&text, "%s.", c->summary);
    help_wrap(out, strbuf_str(&text), 0, width);
    strbuf_clear(&text);
    for (const param *r = c->params; r && r->name; r++) {
        bool on = r->kind == PARAM_BOOL && r->def && !strcmp(r->def, "true");
        strbuf_printf(&text, "%s--%s%s", text.len ? " " : "", on ? "no-" : "", r->name);
    }
    if (text.len)
        help_entry(out, "options:", strbuf_str(&text), 0, 9, width);
    strbuf_clear(&text);
    strbuf_printf(&text, "`help %s` tells more.", c->name);
    help_wrap(out, strbuf_str(&text), 0, width);
    out->failed = out->failed || text.failed;
    strbuf_free(&text);
}

void line_help(strbuf *out, const session *s, const line_context *at, int width)
{
    const param *row = at->want == LINE_VALUE ? at->row : NULL;
    if (at->want == LINE_ARGUMENT && !strcmp(at->c->name, "set") && at->argument == 1)
        row = params_row(s->settings, at->first);
    if (row)
        help_row(out, row, width);
    else if (at->c)
        help_short(out, at->c, width);
    else if (at->want == LINE_VERB)
        help_verbs(out, width);
    else
        help_wrap(out, "No help here: this is text, a comment, or an unknown command.", 0, width);
}
