#include "cli/help.h"

#include <string.h>
#include <unistd.h>
#include "cli/output.h"
#include "cli/terminal.h"

/* Help is read: never wider than a page, narrower where the terminal is. */
int help_width(void)
{
    int width = isatty(STDOUT_FILENO) ? terminal_size(STDOUT_FILENO).columns : 80;
    return width > 80 ? 80 : width < 24 ? 24 : width;
}

static int finish(FILE *f, strbuf *b, err *e)
{
    int rc = output_flush(f, b, e);
    strbuf_free(b);
    return rc;
}

int help_overview(FILE *f, err *e)
{
    int width = help_width();
    strbuf b = {0};
    strbuf_printf(&b, "attnscope %s: see what a transformer's attention heads do\n\n", program_version);
    strbuf_puts(&b, "usage: attnscope VERB ...\n"
                    "       attnscope -c 'VERB ...; VERB ...'\n"
                    "       attnscope -f SCRIPT\n"
                    "       attnscope                  (the shell)\n");
    for (const command_group *g = command_groups; g->name; g++) {
        bool titled = false;
        for (int i = 0; commands[i]; i++) {
            if (strcmp(commands[i]->group, g->name) != 0)
                continue;
            if (!titled)
                strbuf_printf(&b, "\n%s\n", g->title);
            titled = true;
            help_entry(&b, commands[i]->name, commands[i]->summary, 2, 14, width);
        }
    }
    strbuf_puts(&b, "\n");
    help_wrap(&b, "`help VERB` or `VERB --help` explains a command; `help METRIC`, `help FIGURE`, and `help` "
                  "with one of", 0, width);
    strbuf topics = {0};
    for (const help_topic *t = help_topics; t->name; t++)
        strbuf_printf(&topics, "%s%s", t == help_topics ? "" : ", ", t->name);
    help_wrap(&b, strbuf_str(&topics), 2, width);
    b.failed = b.failed || topics.failed;
    strbuf_free(&topics);
    help_wrap(&b, "explain the rest. `list metrics`, `list figures`, `list settings` show what there is.", 0,
              width);
    strbuf_puts(&b, "\n");
    help_wrap(&b, "Where to begin: the tutorial, docs/tutorial.md of the source and of the installed documentation "
                  "(share/doc/attnscope), and `help shell`.", 0, width);
    return finish(f, &b, e);
}

static void put_row(strbuf *b, const param *r, int width)
{
    strbuf label = {0}, text = {0};
    help_option(&label, r);
    help_option_text(&text, r);
    help_entry(b, strbuf_str(&label), strbuf_str(&text), 2, width < 60 ? 6 : 24, width);
    b->failed = b->failed || label.failed || text.failed;
    strbuf_free(&label);
    strbuf_free(&text);
}

/* What a command has of its own, then what those with results share, then what all share. */
static void put_options(strbuf *b, const command *c, int width)
{
    command_tables tables;
    const char *heading = "";
    command_get_tables(c, tables);
    for (int t = 0; tables[t]; t++) {
        const char *title = tables[t] == output_params   ? "Output"
                            : tables[t] == common_params ? "All commands"
                                                         : "Options";
        for (const param *r = tables[t]; r->name; r++) {
            if (help_shadowed(tables, t, r))
                continue;
            if (strcmp(heading, title) != 0)
                strbuf_printf(b, "\n%s\n", title);
            heading = title;
            put_row(b, r, width);
        }
    }
}

int help_command(FILE *f, const command *c, err *e)
{
    int width = help_width();
    strbuf b = {0}, usage = {0};
    help_entry(&b, c->name, c->summary, 0, (int)strlen(c->name) + 2, width);
    strbuf_printf(&usage, "%s [options]", c->usage);
    strbuf_puts(&b, "\n");
    strbuf label = {0};
    strbuf_printf(&label, "usage: %s", c->name);
    help_entry(&b, strbuf_str(&label), c->usage[0] ? strbuf_str(&usage) : "[options]", 0, (int)label.len + 1,
               width);
    strbuf_puts(&b, "\n");
    help_wrap(&b, c->help, 0, width);
    put_options(&b, c, width);
    if (c->examples && c->examples[0])
        strbuf_puts(&b, "\nExamples\n");
    for (int i = 0; c->examples && c->examples[i] && c->examples[i + 1]; i += 2) {
        strbuf_printf(&b, "  %s\n", c->examples[i]);
        help_wrap(&b, c->examples[i + 1], 6, width);
    }
    b.failed = b.failed || usage.failed || label.failed;
    strbuf_free(&usage);
    strbuf_free(&label);
    return finish(f, &b, e);
}

static void put_field(strbuf *b, const char *label, const char *text, int width)
{
    if (text && *text)
        help_entry(b, label, text, 0, 14, width);
}

static void put_params(strbuf *b, const param *rows, int width)
{
    if (!rows || !rows->name)
        return;
    strbuf_puts(b, "\nOptions\n");
    for (const param *r = rows; r->name; r++)
        put_row(b, r, width);
}

int help_metric(FILE *f, const metric *m, err *e)
{
    int width = help_width();
    strbuf b = {0};
    put_field(&b, "metric", m->name, width);
    put_field(&b, "what", m->summary, width);
    put_field(&b, "formula", m->formula, width);
    put_field(&b, "definition", m->definition, width);
    put_field(&b, "unit", *m->unit ? m->unit : "none", width);
    put_field(&b, "range", m->range, width);
    put_field(&b, "source", m->source, width);
    put_field(&b, "missing mass", m->missing_mass, width);
    put_field(&b, "cost", m->cost, width);
    static const char *const scopes[] = {"each layer and head", "the model's predictions", "each layer",
                                         "weights alone: `weights` measures it"};
    put_field(&b, "scope", scopes[m->scope], width);
    if (m->axis != AXIS_NONE)
        put_field(&b, "position", metric_axis_names[m->axis], width);
    put_field(&b, "held against", m->validated, width);
    strbuf_printf(&b, "\n`explain %s` says how to read it, where it misleads, and whom to cite.\n", m->name);
    put_params(&b, m->params, width);
    return finish(f, &b, e);
}

int help_edit(FILE *f, const edit *x, err *e)
{
    int width = help_width();
    strbuf b = {0};
    put_field(&b, "edit", x->name, width);
    put_field(&b, "of", x->target == EDIT_HEADS ? "heads" : "layers", width);
    put_field(&b, "what", x->summary, width);
    put_field(&b, "definition", x->definition, width);
    put_field(&b, "decoding", x->decoding, width);
    put_field(&b, "source", x->source, width);
    if (x->params)
        strbuf_puts(&b, "\nValues\n");
    for (const param *r = x->params; r && r->name; r++) {
        strbuf label = {0}, text = {0};
        strbuf_printf(&label, "%s=%s", r->name, r->value);
        help_option_text(&text, r);
        help_entry(&b, strbuf_str(&label), strbuf_str(&text), 2, 26, width);
        b.failed = b.failed || label.failed || text.failed;
        strbuf_free(&label);
        strbuf_free(&text);
    }
    return finish(f, &b, e);
}

int help_figure(FILE *f, const figure *fig, err *e)
{
    int width = help_width();
    strbuf b = {0};
    put_field(&b, "figure", fig->name, width);
    put_field(&b, "what", fig->summary, width);
    put_field(&b, "needs", fig->needs, width);
    put_params(&b, fig->params, width);
    put_params(&b, figure_params, width);
    return finish(f, &b, e);
}

int help_topic_text(FILE *f, const char *title, const char *text, err *e)
{
    strbuf b = {0};
    strbuf_printf(&b, "%s\n\n", title);
    help_wrap(&b, text, 0, help_width());
    return finish(f, &b, e);
}
