/* view: a figure in the terminal. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "cli/command_util.h"
#include "cli/figure_data.h"
#include "cli/output.h"
#include "cli/terminal.h"

static int run(session *s, const command_args *a, err *e)
{
    const figure *f;
    store *st;
    figure_source src = {0};
    char *text = NULL;
    if (command_format(s, a) != FORMAT_TABLE) {
        err_set(e, ERR_USAGE, "a view is a picture: it has no rows to write");
        return err_hint(e, "`export` writes the values, `plot` a picture file");
    }
    int rc = figure_require(&f, a->word[0], e);
    if (!rc)
        rc = store_to_read(s, &st, e);
    if (!rc)
        rc = figure_source_load(&src, s, a, st, f, a->line, e);
    if (!rc) {
        view_size size = terminal_size(STDOUT_FILENO);
        size.lines = 0; /* a terminal scrolls; its width does not */
        rc = figure_view(f, &src.d, a->p, terminal_colour(s), size, &text, e);
    }
    if (!rc) {
        strbuf b = {0};
        strbuf_puts(&b, text);
        rc = output_flush(s->out, &b, e);
        strbuf_free(&b);
    }
    free(text);
    figure_source_free(&src);
    return rc;
}

static const param *const *extra(void)
{
    static const param *tables[3];
    tables[0] = figure_source_params;
    tables[1] = figure_all_params();
    return tables;
}
static const char *const examples[] = {
    "view head_map --head L1H3 --store heads.db", "where the queries of one head look",
    "view score_grid --metric sink --store heads.db", "which heads are sinks",
    NULL,
};
static const char *const complete[] = {"figures", NULL};

const command command_view = {
    .name = "view", .group = "figure", .usage = "RECIPE",
    .summary = "draw a figure of stored rows in the terminal",
    .help = "The same recipes and options as `plot`, as text: 24-bit colour where COLORTERM says so, 256 "
            "colours, or plain ASCII with NO_COLOR, a dumb terminal or a pipe.",
    .examples = examples, .params = NULL, .min_args = 1, .max_args = 1,
    .complete = complete, .extra_params = extra,
    .run = run,
};
