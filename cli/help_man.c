/* The manual page, in man(7), from the tables that the program runs on. */
#include <string.h>
#include "cli/help.h"
#include "cli/json_schemas.h"
#include "cli/output.h"
#include "cli/settings.h"

/* s as running text: roff's own characters escaped, `words` in bold; fill: lines of the source are kept short, what is set
 * is the same. */
static void put_text(strbuf *b, const char *s, size_t n, bool fill)
{
    enum { SHORT = 60 };
    bool bold = false, line_start = true;
    size_t from = b->len;
    for (size_t i = 0; i < n; i++) {
        size_t blanks = strspn(s + i, " ");
        if (fill && blanks && b->len + blanks - from > SHORT) {
            strbuf_putc(b, '\n');
            from = b->len;
            line_start = true;
            i += blanks - 1;
            continue;
        }
        if (line_start && (s[i] == '.' || s[i] == '\''))
            strbuf_puts(b, "\\&");
        line_start = s[i] == '\n';
        switch (s[i]) {
        case '\\': strbuf_puts(b, "\\e"); break;
        case '-': strbuf_puts(b, "\\-"); break;
        case '\'': strbuf_puts(b, "\\(aq"); break;
        case '"': strbuf_puts(b, "\\(dq"); break;
        case '^': strbuf_puts(b, "\\(ha"); break;
        case '~': strbuf_puts(b, "\\(ti"); break;
        case '`':
            bold = !bold;
            strbuf_puts(b, bold ? "\\fB" : "\\fR");
            break;
        default: strbuf_putc(b, s[i]);
        }
    }
    if (bold)
        strbuf_puts(b, "\\fR");
}

static void put_string(strbuf *b, const char *s)
{
    put_text(b, s, strlen(s), true);
}

/* On one line: what stands behind a macro. */
static void put_line(strbuf *b, const char *s)
{
    put_text(b, s, strlen(s), false);
}

/* Upper case, for headings. */
static void put_upper(strbuf *b, const char *s)
{
    for (; *s; s++)
        strbuf_putc(b, *s >= 'a' && *s <= 'z' ? (char)(*s - 'a' + 'A') : *s);
}

/* A new paragraph, where none has just begun. */
static void put_break(strbuf *b)
{
    size_t start = b->len ? b->len - 1 : 0;
    while (start > 0 && b->s[start - 1] != '\n')
        start--;
    const char *last = strbuf_str(b) + start;
    if (strncmp(last, ".PP", 3) != 0 && strncmp(last, ".SH", 3) != 0 && strncmp(last, ".SS", 3) != 0)
        strbuf_puts(b, ".PP\n");
}

/* Paragraphs as in help_wrap. */
static void put_paragraphs(strbuf *b, const char *text)
{
    bool fixed = false;
    while (*text) {
        size_t len = strcspn(text, "\n");
        bool indented = text[0] == ' ';
        if (fixed && !indented)
            strbuf_puts(b, ".fi\n");
        if (len == 0 || (indented && !fixed))
            put_break(b);
        if (indented && !fixed)
            strbuf_puts(b, ".nf\n");
        fixed = indented;
        if (len) {
            put_text(b, text, len, !fixed);
            strbuf_putc(b, '\n');
        }
        text += len + (text[len] == '\n');
    }
    if (fixed)
        strbuf_puts(b, ".fi\n");
}

static void put_item(strbuf *b, const char *label, const char *text)
{
    strbuf_puts(b, ".TP\n.B ");
    put_line(b, label);
    strbuf_putc(b, '\n');
    put_string(b, text);
    strbuf_putc(b, '\n');
}

static void put_row(strbuf *b, const param *r)
{
    strbuf label = {0}, text = {0};
    help_option(&label, r);
    help_option_text(&text, r);
    put_item(b, strbuf_str(&label), strbuf_str(&text));
    b->failed = b->failed || label.failed || text.failed;
    strbuf_free(&label);
    strbuf_free(&text);
}

static void put_rows(strbuf *b, const param *rows)
{
    for (const param *r = rows; r && r->name; r++)
        put_row(b, r);
}

/* Options of its own, or all of them. */
static void put_options(strbuf *b, const command *c, bool shared)
{
    command_tables tables;
    command_get_tables(c, tables);
    for (int t = 0; tables[t]; t++) {
        if ((tables[t] == output_params || tables[t] == common_params) != shared)
            continue;
        for (const param *r = tables[t]; r->name; r++) {
            if (!help_shadowed(tables, t, r))
                put_row(b, r);
        }
    }
}

static void put_example(strbuf *b, const char *const *x)
{
    put_break(b);
    put_string(b, x[1]);
    strbuf_puts(b, ":\n.PP\n.RS 4\n.nf\n");
    put_line(b, x[0]);
    strbuf_puts(b, "\n.fi\n.RE\n");
}

static void put_command(strbuf *b, const command *c)
{
    strbuf_printf(b, ".SS %s\n.B %s\n", c->name, c->name);
    put_string(b, c->usage);
    strbuf_puts(b, *c->usage ? "\n.PP\n" : ".PP\n");
    put_paragraphs(b, c->help);
    put_options(b, c, false); /* the others are told once for all commands */
    if (c->examples && c->examples[0])
        strbuf_puts(b, ".PP\nExamples:\n");
    for (int i = 0; c->examples && c->examples[i] && c->examples[i + 1]; i += 2)
        put_example(b, c->examples + i);
}

/* Ragged, without hyphens: names of options stay whole, and narrow terminals are no trouble. */
static void put_title(strbuf *b, const char *page, int section)
{
    strbuf_puts(b, ".TH ");
    put_upper(b, page);
    strbuf_printf(b, " %d \"\" \"attnscope %s\" \"%s\"\n.ad l\n.nh\n", section, program_version,
                  section == 1 ? "User Commands" : "Formats");
}

int help_man_command(FILE *f, const command *c, err *e)
{
    strbuf b = {0}, page = {0};
    strbuf_printf(&page, "attnscope-%s", c->name);
    put_title(&b, strbuf_str(&page), 1);
    strbuf_printf(&b, ".SH NAME\nattnscope\\-%s \\- ", c->name);
    put_line(&b, c->summary);
    strbuf_printf(&b, "\n.SH SYNOPSIS\n.B attnscope %s\n", c->name);
    put_string(&b, c->usage);
    strbuf_puts(&b, *c->usage ? "\n[\\fIoptions\\fR]\n" : "[\\fIoptions\\fR]\n");
    strbuf_puts(&b, ".SH DESCRIPTION\n");
    put_paragraphs(&b, c->help);
    strbuf_puts(&b, ".SH OPTIONS\n");
    put_options(&b, c, false);
    put_break(&b);
    strbuf_puts(&b, "These other commands have too:\n");
    put_options(&b, c, true);
    strbuf_puts(&b, ".SH EXAMPLES\n");
    for (int i = 0; c->examples && c->examples[i] && c->examples[i + 1]; i += 2)
        put_example(&b, c->examples + i);
    strbuf_puts(&b, ".SH SEE ALSO\n.BR attnscope (1),\nfor the command language, exit status, environment and files\n");
    b.failed = b.failed || page.failed;
    int rc = output_flush(f, &b, e);
    strbuf_free(&b);
    strbuf_free(&page);
    return rc;
}

static void put_commands(strbuf *b)
{
    strbuf_puts(b, ".SH COMMANDS\n");
    for (const command_group *g = command_groups; g->name; g++) {
        for (int i = 0; commands[i]; i++) {
            if (!strcmp(commands[i]->group, g->name))
                put_command(b, commands[i]);
        }
    }
}

static void put_edits(strbuf *b)
{
    strbuf_puts(b, ".SH EDITS\n");
    for (int i = 0; edits[i]; i++) {
        const edit *x = edits[i];
        strbuf_puts(b, ".TP\n.B ");
        put_string(b, x->name);
        strbuf_putc(b, '\n');
        put_string(b, x->summary);
        strbuf_puts(b, ".\n");
        put_string(b, x->definition);
        strbuf_puts(b, ".\nDecoding: ");
        put_string(b, x->decoding);
        strbuf_puts(b, ".\nSource: ");
        put_string(b, x->source);
        strbuf_puts(b, ".\n");
    }
}

static void put_metrics(strbuf *b)
{
    strbuf_puts(b, ".SH METRICS\n");
    for (int i = 0; metrics[i]; i++) {
        const metric *m = metrics[i];
        strbuf_puts(b, ".TP\n.B ");
        put_string(b, m->name);
        strbuf_putc(b, '\n');
        put_string(b, m->summary);
        strbuf_puts(b, ".\n");
        put_string(b, m->definition);
        strbuf_puts(b, ".\nRange: ");
        put_string(b, m->range);
        if (*m->unit) {
            strbuf_puts(b, " [");
            put_string(b, m->unit);
            strbuf_putc(b, ']');
        }
        strbuf_puts(b, ".\nSource: ");
        put_string(b, m->source);
        strbuf_puts(b, ".\nMissing mass: ");
        put_string(b, m->missing_mass);
        strbuf_puts(b, ".\nCost: ");
        put_string(b, m->cost);
        strbuf_puts(b, ".\n");
    }
}

static void put_figures(strbuf *b)
{
    strbuf_puts(b, ".SH FIGURES\n");
    for (int i = 0; figures[i]; i++)
        put_item(b, figures[i]->name, figures[i]->summary);
    strbuf_puts(b, ".PP\nOptions of every figure:\n");
    put_rows(b, figure_params);
}

static const char description[] =
    "attnscope loads a transformer checkpoint, runs it with its attention instrumented, and answers "
    "questions about its heads: where they look, which are sinks, how spread their attention is. "
    "Metrics are exact and computed inside the attention kernel, in memory that grows with the length "
    "of the prompt, not with its square. Results are rows of an SQLite database; figures are drawn "
    "from those rows.\n"
    "\n"
    "Without arguments, and with a terminal, it opens a shell with history and completion.";

int help_man(FILE *f, err *e)
{
    strbuf b = {0};
    put_title(&b, "attnscope", 1);
    strbuf_puts(&b, ".SH NAME\nattnscope \\- see what a transformer\\(aqs attention heads do\n"
                    ".SH SYNOPSIS\n"
                    ".B attnscope\n[\\fIoptions\\fR] \\fIVERB\\fR [\\fIword\\fR ...] "
                    "[\\fIoptions of the verb\\fR]\n.br\n"
                    ".B attnscope\n[\\fIoptions\\fR] \\fB\\-c\\fR \\fICOMMANDS\\fR ...\n.br\n"
                    ".B attnscope\n[\\fIoptions\\fR] \\fB\\-f\\fR \\fISCRIPT\\fR ...\n.br\n"
                    ".B attnscope\n[\\fIoptions\\fR] [< \\fISCRIPT\\fR]\n"
                    ".SH DESCRIPTION\n");
    put_paragraphs(&b, description);
    strbuf_puts(&b, ".SH OPTIONS\nThese come before the verb.\n");
    for (const program_option *o = program_options; o->spelling; o++)
        put_item(&b, o->spelling, o->help);
    strbuf_puts(&b, ".PP\nThese every command has:\n");
    put_rows(&b, common_params);
    strbuf_puts(&b, ".PP\nThese every command with results has:\n");
    put_rows(&b, output_params);
    put_commands(&b);
    strbuf_puts(&b, ".SH SETTINGS\nFor the rest of a session, with \\fBset\\fR \\fINAME VALUE\\fR.\n");
    for (const param *r = settings_params; r->name; r++) {
        strbuf text = {0};
        help_option_text(&text, r);
        put_item(&b, r->name, strbuf_str(&text));
        b.failed = b.failed || text.failed;
        strbuf_free(&text);
    }
    put_metrics(&b);
    put_edits(&b);
    put_figures(&b);
    for (const help_topic *t = help_topics; t->name; t++) {
        strbuf_puts(&b, ".SH ");
        put_upper(&b, t->title);
        strbuf_putc(&b, '\n');
        put_paragraphs(&b, t->text);
    }
    int rc = output_flush(f, &b, e);
    strbuf_free(&b);
    return rc;
}

/* One member of a schema: its type, then what it means. */
static void put_member(strbuf *b, const table *t, int64_t row)
{
    enum { MEMBER = 1, TYPE, NULLABLE, ABSENT, UNIT, MEANING };
    const char *text[MEANING + 1];
    for (int i = 0; i <= MEANING; i++) {
        const cell *c = table_cell(t, row, i);
        text[i] = c->kind == CELL_TEXT ? c->u.s : "";
    }
    strbuf words = {0};
    strbuf_printf(&words, "%s%s%s", text[TYPE], !strcmp(text[NULLABLE], "yes") ? " or null" : "",
                  !strcmp(text[ABSENT], "yes") ? ", may be missing" : "");
    if (*text[UNIT])
        strbuf_printf(&words, " [%s]", text[UNIT]);
    strbuf_printf(&words, "; %s", text[MEANING]);
    put_item(b, text[MEMBER], strbuf_str(&words));
    b->failed = b->failed || words.failed;
    strbuf_free(&words);
}

int help_man_json(FILE *f, err *e)
{
    const help_topic *topic = help_find_topic("json");
    strbuf b = {0};
    table *t = NULL;
    int rc = json_schema_table(&t, e);
    if (rc)
        return rc;
    put_title(&b, "attnscope-json", 7);
    strbuf_puts(&b, ".SH NAME\nattnscope\\-json \\- what attnscope writes with \\-\\-json\n.SH DESCRIPTION\n");
    put_paragraphs(&b, topic->text);
    strbuf_puts(&b, ".SH SCHEMAS\n");
    int64_t row = 0;
    for (const json_schema *s = json_schemas; s->name; s++) {
        strbuf_printf(&b, ".SS %s\n", s->name);
        put_string(&b, s->what);
        strbuf_puts(&b, "; written by ");
        put_string(&b, s->from);
        strbuf_putc(&b, '\n');
        for (; row < t->n_row && !strcmp(table_cell(t, row, 0)->u.s, s->name); row++)
            put_member(&b, t, row);
    }
    strbuf_puts(&b, ".SH SEE ALSO\n.BR attnscope (1)\n");
    table_free(t);
    rc = output_flush(f, &b, e);
    strbuf_free(&b);
    return rc;
}
