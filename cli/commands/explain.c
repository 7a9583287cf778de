/* explain: what a metric, an edit, a figure or a term is, how it is read, where it misleads, whom to cite. */
#include "cli/explain.h"

#include "cli/command_util.h"
#include "cli/help.h"

static int unknown(const char *name, err *e)
{
    const char *near = explain_nearest(name);
    err_set(e, ERR_USAGE, "nothing to explain is called \"%s\"", name);
    if (command_find(name, false) || help_find_topic(name))
        return err_hint(e, "`help %s` tells of it", name);
    return near ? err_hint(e, "did you mean \"%s\"?", near)
                : err_hint(e, "`explain` shows the terms, `list metrics`, `list edits` and `list figures` the rest");
}

/* All words as one name (induction head), else each for itself. */
static int collect(table *t, const command_args *a, err *e)
{
    strbuf whole = {0};
    bool any = false;
    for (int i = 0; i < a->n; i++)
        strbuf_printf(&whole, "%s%s", i ? "-" : "", a->word[i]);
    int rc = whole.failed ? err_nomem(e, "words") : explain_name(t, strbuf_str(&whole), &any, e);
    strbuf_free(&whole);
    if (rc || any)
        return rc;
    for (int i = 0; i < a->n && !rc; i++) {
        rc = explain_name(t, a->word[i], &any, e);
        if (!rc && !any)
            rc = unknown(a->word[i], e);
    }
    return rc;
}

static int run(session *s, const command_args *a, err *e)
{
    bool bib = params_bool(a->p, "bib");
    output_format format = command_format(s, a);
    table *t = NULL;
    if (a->n == 0)
        return bib ? explain_bibtex(s->out, NULL, e) : explain_overview(s->out, e);
    int rc = explain_table(&t, e);
    if (!rc)
        rc = collect(t, a, e);
    if (!rc && bib)
        rc = explain_bibtex(s->out, t, e);
    else if (!rc)
        rc = format == FORMAT_TABLE ? explain_print(s->out, t, e) : print_table(s, a, t, "attnscope.explanation/1", e);
    table_free(t);
    return rc;
}

static const param own[] = {
    {.name = "bib", .kind = PARAM_BOOL, .help = "the works that are cited, as BibTeX; without a name all of them"},
    {.name = NULL},
};
static const char *const examples[] = {
    "explain sink", "formula, reading, traps and sources of a metric",
    "explain induction head", "a term of the field",
    "explain sink --bib", "the works behind it for a bibliography",
    "explain entropy --json", "field by field, for a script",
    NULL,
};
static const char *const complete[] = {"explained", NULL};

const command command_explain = {
    .name = "explain", .group = "shell", .usage = "[METRIC | EDIT | FIGURE | TERM]...",
    .summary = "definition, reading, traps and citation of a metric, edit, figure or term",
    .help = "How a value is formed, in a line and in full; what is high and what to compare it with; where it misleads; what "
            "it costs; where it comes from. Without a word, lists the terms. `help NAME` is shorter and has the options.\n"
            "\n"
            "--bib prints entries for BibTeX (UTF-8). What is not known of a work is left out of its entry. [attnscope] stands "
            "for definitions that are this program's own.",
    .examples = examples, .params = own, .max_args = -1, .complete = complete, .run = run,
};
