/* Templates of reports: a file of lines `option = value`. */
#include <stdlib.h>
#include <string.h>
#include "base/mapfile.h"
#include "cli/report.h"

enum { MOST_BYTES = 65536, MOST_NAMES = 64 };

static const char *const papers[] = {"a4", "letter", NULL};

const param report_template_params[] = {
    {.name = "heading", .kind = PARAM_STR, .value = "TEXT", .help = "title of the report"},
    {.name = "subheading", .kind = PARAM_STR, .value = "TEXT", .help = "the line below it"},
    {.name = "author", .kind = PARAM_STR, .value = "TEXT", .help = "who made it"},
    {.name = "sections", .kind = PARAM_LIST, .value = "A,B", .complete = "sections",
     .help = "what it has, in this order: overview, compare, model, prompts, census, results, figures, methods, repeat"},
    {.name = "recipes", .kind = PARAM_LIST, .value = "A,B", .complete = "figures", .help = "figures of these kinds alone"},
    {.name = "metrics", .kind = PARAM_LIST, .value = "A,B", .complete = "metrics", .help = "grids and curves of these scores"
                                                                                           " alone"},
    {.name = "grids", .kind = PARAM_INT, .def = "6", .value = "N", .max = 100, .help = "grids of scores in a run, at most"},
    {.name = "maps", .kind = PARAM_INT, .def = "4", .value = "N", .max = 100, .help = "maps of single heads in a run, at most"},
    {.name = "rows", .kind = PARAM_INT, .def = "200", .value = "N", .min = 1, .max = 100000,
     .help = "prompts that are listed, at most"},
    {.name = "page", .kind = PARAM_PATH, .value = "FILE", .help = "the HTML page around the text, with {{body}} and the like"},
    {.name = "paper-size", .kind = PARAM_ENUM, .def = "a4", .value = "SIZE", .choices = papers, .help = "page size of a PDF"},
    {.name = NULL},
};

static int add_names(const char **names, int n, const param *rows)
{
    for (; rows->name && n < MOST_NAMES; rows++)
        names[n++] = rows->name;
    names[n] = NULL;
    return n;
}

static int unknown(const char *path, int line, const char *key, err *e)
{
    const char *names[MOST_NAMES + 1];
    add_names(names, add_names(names, 0, report_template_params), figure_params);
    const char *near = nearest_word(key, names);
    err_set(e, ERR_INPUT, "%s:%d: '%s' is no option of a report", path, line, key);
    return near ? err_hint(e, "did you mean %s?", near)
                : err_hint(e, "`help report` lists them; figures have width, cmap, theme and others (`help plot`)");
}

/* A file that a template names lies beside it. */
static int beside(strbuf *out, const char *path, const char *name, err *e)
{
    const char *slash = strrchr(path, '/');
    if (*name != '/' && slash)
        strbuf_add(out, path, (size_t)(slash - path) + 1);
    strbuf_puts(out, name);
    return out->failed ? err_nomem(e, "template") : 0;
}

static int read_line(params *p, params *own, const char *path, int number, char *line, err *e)
{
    char *key = text_trim(line), *value = strchr(key, '=');
    strbuf full = {0};
    if (!*key || *key == '#')
        return 0;
    if (!value) {
        err_set(e, ERR_INPUT, "%s:%d: '%s' is no line of the form option = value", path, number, key);
        return err_hint(e, "for example: sections = overview,census,figures");
    }
    *value++ = '\0';
    key = text_trim(key);
    value = text_trim(value);
    if (!params_row(own, key))
        return unknown(path, number, key, e);
    if (params_given(own, key)) {
        err_set(e, ERR_INPUT, "%s:%d: %s stands twice", path, number, key);
        return err_hint(e, "remove one of the two lines");
    }
    if (!*value) {
        err_set(e, ERR_INPUT, "%s:%d: %s has no value", path, number, key);
        return err_hint(e, "leave the line out for the default");
    }
    bool file = params_row(own, key)->kind == PARAM_PATH;
    int rc = file ? beside(&full, path, value, e) : 0;
    if (!rc)
        rc = params_set(own, key, file ? strbuf_str(&full) : value, e);
    if (rc == ERR_USAGE) {
        rc = e->code = ERR_INPUT;
        err_prefix(e, "%s:%d", path, number);
    }
    if (!rc && !params_given(p, key))
        rc = params_set(p, key, file ? strbuf_str(&full) : value, e);
    strbuf_free(&full);
    return rc;
}

int report_template_read(params *p, const char *path, err *e)
{
    char *text = NULL, *next;
    size_t size;
    params *own = NULL;
    int number = 0, rc = read_file(&text, &size, path, MOST_BYTES, e);
    if (rc)
        return rc;
    if (strlen(text) != size) {
        err_set(e, ERR_INPUT, "%s: not a text", path);
        rc = err_hint(e, "a template has lines `option = value`");
    }
    if (!rc)
        rc = params_new(&own, e);
    if (!rc)
        rc = params_use(own, report_template_params, e);
    if (!rc)
        rc = params_use(own, figure_params, e);
    for (char *line = text; line && !rc; line = next) {
        next = strchr(line, '\n');
        if (next)
            *next++ = '\0';
        rc = read_line(p, own, path, ++number, line, e);
    }
    params_free(own);
    free(text);
    return rc;
}
