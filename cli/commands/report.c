/* report: stored runs as one document for colleagues. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include "base/mapfile.h"
#include "base/mem.h"
#include "base/outfile.h"
#include "cli/figure_data.h"
#include "cli/output.h"
#include "cli/report.h"

enum { MOST_RUNS = 24, MOST_PAGE_BYTES = 1 << 20 };
typedef enum report_format { TO_HTML, TO_MARKDOWN, TO_PDF } report_format;
static const char *const formats[] = {"html", "markdown", "pdf", NULL};

/* ---- what is asked for ---- */

static int add_run(int64_t *run, int *n, session *s, const command_args *a, store *st, const char *word, err *e)
{
    int64_t id;
    int rc = choose_run(s, a, st, word, &id, e);
    for (int i = 0; i < *n && !rc; i++)
        if (run[i] == id)
            rc = err_set(e, ERR_USAGE, "run %" PRId64 " is named twice", id);
    if (!rc && *n == MOST_RUNS) {
        err_set(e, ERR_USAGE, "more than %d runs", MOST_RUNS);
        rc = err_hint(e, "make several reports");
    }
    if (!rc)
        run[(*n)++] = id;
    return rc;
}

/* Words 3 5, or 3,5; none: the last run. */
static int choose_runs(int64_t *run, int *n, session *s, const command_args *a, store *st, err *e)
{
    int rc = 0;
    *n = 0;
    if (a->n == 0)
        return add_run(run, n, s, a, st, NULL, e);
    for (int i = 0; i < a->n && !rc; i++) {
        char *words = mem_strdup(a->word[i], e), *save = NULL;
        int before = *n;
        if (!words)
            return ERR_RESOURCE;
        for (char *w = strtok_r(words, ",", &save); w && !rc; w = strtok_r(NULL, ",", &save))
            rc = add_run(run, n, s, a, st, w, e);
        if (!rc && *n == before)
            rc = err_set(e, ERR_USAGE, "'%s' names no run", a->word[i]);
        free(words);
    }
    return rc;
}

static bool is_folder(const char *path)
{
    struct stat st;
    size_t n = strlen(path);
    return (n && path[n - 1] == '/') || (stat(path, &st) == 0 && S_ISDIR(st.st_mode));
}

/* --format, else what the name says. */
static int choose_format(report_format *out, const command_args *a, const char *path, err *e)
{
    const char *named = params_str(a->p, "format"), *slash = strrchr(path, '/'), *dot = strrchr(path, '.');
    if (named) {
        for (int i = 0; formats[i]; i++)
            if (strcmp(formats[i], named) == 0)
                *out = (report_format)i;
        if (*out == TO_MARKDOWN && strcmp(path, "-") == 0)
            return err_set(e, ERR_USAGE, "Markdown is written into a folder, not to standard output");
        return 0;
    }
    const char *ext = dot && dot > (slash ? slash : path) ? dot + 1 : "";
    if (is_folder(path))
        *out = TO_MARKDOWN;
    else if (strcasecmp(ext, "html") == 0 || strcasecmp(ext, "htm") == 0)
        *out = TO_HTML;
    else if (strcasecmp(ext, "pdf") == 0)
        *out = TO_PDF;
    else {
        err_set(e, ERR_USAGE, "'%s': the name does not say what to write", path);
        return err_hint(e, "end it in .html or .pdf, or in / for a folder with Markdown and figures; or give --format");
    }
    return 0;
}

static int read_page(char **page, const command_args *a, err *e)
{
    const char *path = params_str(a->p, "page");
    size_t n;
    *page = NULL;
    if (!path)
        return 0;
    int rc = read_file(page, &n, path, MOST_PAGE_BYTES, e);
    if (!rc && strlen(*page) != n)
        rc = err_set(e, ERR_INPUT, "%s: not a text", path);
    for (size_t i = 0, len; !rc && i < n; i += len)
        if ((len = (size_t)utf8_next(NULL, *page + i, n - i)) == 0)
            rc = err_set(e, ERR_INPUT, "%s: not UTF-8", path);
    return rc;
}

/* ---- writing ---- */

static int write_one(const char *path, const strbuf *bytes, err *e)
{
    outfile *f = NULL;
    int rc = outfile_open(&f, path, e);
    if (rc)
        return rc;
    rc = outfile_write(f, bytes->s, bytes->len, e);
    if (!rc)
        return outfile_commit(f, e);
    outfile_abandon(f);
    return rc;
}

static int write_report(report_build *b, report_format format, const char *path, bool force, err *e)
{
    strbuf bytes = {0};
    if (format == TO_MARKDOWN)
        return report_write_markdown(path, b, force, e);
    int rc = format == TO_PDF ? report_write_pdf(&bytes, b, e) : report_write_html(&bytes, b, e);
    if (rc == ERR_INPUT && format == TO_HTML && b->opt->page && params_str(b->opt->figure, "page"))
        err_prefix(e, "%s", params_str(b->opt->figure, "page"));
    if (!rc)
        rc = write_one(path, &bytes, e);
    strbuf_free(&bytes);
    return rc;
}

/* Figures that there are: a name that is none would leave them all out. */
static int check_recipes(const char *list, err *e)
{
    int rc = 0;
    for (size_t len; list && *list && !rc; list += len + (list[len] == ',')) {
        const figure *found;
        len = strcspn(list, ",");
        char *name = mem_strndup(list, len, e);
        rc = name ? figure_require(&found, name, e) : ERR_RESOURCE;
        free(name);
    }
    return rc;
}

static int make(session *s, const command_args *a, store *st, const char *path, const char *again, err *e)
{
    const params *p = a->p;
    int64_t run[MOST_RUNS];
    report_format format = TO_HTML;
    report_doc doc = {.title = NULL};
    char *page = NULL;
    int n = 0, rc = choose_runs(run, &n, s, a, st, e);
    if (!rc)
        rc = choose_format(&format, a, path, e);
    if (!rc)
        rc = check_recipes(params_str(p, "recipes"), e);
    if (!rc)
        rc = read_page(&page, a, e);
    if (rc) {
        free(page);
        return rc;
    }
    const report_options o = {
        .title = params_str(p, "heading"), .subtitle = params_str(p, "subheading"), .author = params_str(p, "author"),
        .page = page, .sections = params_str(p, "sections"), .recipes = params_str(p, "recipes"),
        .metrics = params_str(p, "metrics"), .maps = params_int(p, "maps"), .grids = params_int(p, "grids"),
        .rows = params_int(p, "rows"), .letter = strcmp(params_str(p, "paper-size"), "letter") == 0, .png = params_bool(p, "png"),
        .command = again, .figure = p,
    };
    report_build b = {.s = s, .st = st, .opt = &o, .doc = &doc};
    rc = report_make(&b, run, n, e);
    if (!rc)
        rc = write_report(&b, format, path, params_bool(p, "force"), e);
    report_free(&b);
    free(page);
    return rc;
}

static int run(session *s, const command_args *a, err *e)
{
    const char *path = params_str(a->p, "output"), *template = params_str(a->p, "template");
    store *st;
    char *again = NULL;
    int rc = template ? report_template_read(a->p, template, e) : 0;
    if (!rc)
        rc = figure_theme(a->p, e);
    if (!rc)
        rc = store_to_read(s, &st, e);
    if (!rc && !(again = repeatable_on_store(s, a, e)))
        rc = e->code;
    if (!rc)
        rc = make(s, a, st, path ? path : "report.html", again, e);
    free(again);
    if (!rc && !(path && strcmp(path, "-") == 0)) {
        strbuf b = {0};
        path = path ? path : "report.html";
        strbuf_put_visible(&b, path, strlen(path));
        strbuf_putc(&b, '\n');
        rc = output_flush(s->out, &b, e);
        strbuf_free(&b);
    }
    return rc;
}

static const param own[] = {
    {.name = "output", .kind = PARAM_PATH, .value = "FILE",
     .help = "FILE.html, FILE.pdf, or FOLDER/ for Markdown with figures beside it [report.html]"},
    {.name = "format", .kind = PARAM_ENUM, .value = "FORMAT", .choices = formats,
     .help = "what is written, where the name does not say it"},
    {.name = "template", .kind = PARAM_PATH, .value = "FILE",
     .help = "a file of lines `option = value` for the options below and those of figures"},
    {.name = "png", .kind = PARAM_BOOL, .help = "Markdown: every figure as PNG, too"},
    {.name = "force", .kind = PARAM_BOOL, .help = "Markdown: replace a folder that holds a report"},
    {.name = NULL},
};
static const param *const *extra(void)
{
    static const param *const tables[] = {report_template_params, figure_params, NULL};
    return tables;
}
static const char *const examples[] = {
    "report --store heads.db -o report.html", "the last run as one page that needs nothing else",
    "report 3 5 --store heads.db -o two-models.pdf", "two runs side by side and one by one, to print",
    "report 3 --store heads.db -o report/ --png", "report/report.md, and figures as SVG and PNG",
    "report 3 --store heads.db --template examples/report/paper.report -o paper.html", "what a paper's appendix needs",
    NULL,
};
static const char *const complete[] = {"runs", NULL};

const command command_report = {
    .name = "report", .group = "figure", .usage = "[RUN...]",
    .summary = "stored runs as one page for colleagues: HTML, Markdown or PDF",
    .help = "Made from the store alone: the models are not needed any more. A page has cards of models and prompts, the plan of "
            "attention, all heads in a table, the tables of the experiment, the figures that the rows can draw, what every "
            "number is with its parameters, hashes, and the commands to repeat it. Several runs are first shown side by side. "
            "The HTML is one file that loads nothing and needs no script; where scripts run, a click on a column sorts its "
            "table. It follows the reader's light or dark theme and prints well. A folder holds report.md and figures/. The "
            "same rows give the same bytes. --template names a file of options, --page an HTML page of your own: "
            "examples/report/README.md explains both.",
    .examples = examples, .params = own, .min_args = 0, .max_args = -1,
    .complete = complete, .extra_params = extra,
    .run = run, .no_table = true,
};
