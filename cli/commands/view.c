/* view: a figure in the terminal. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "cli/command_util.h"
#include "cli/figure_data.h"
#include "cli/output.h"
#include "cli/terminal.h"
#include "cli/view_browse.h"
#include "cli/view_graphics.h"

/* As a picture; *done false where the terminal has none, or no room. */
static int put_picture(bool *done, strbuf *b, session *s, const command_args *a, const figure *f, const figure_data *d,
                       err *e)
{
    graphics_kind kind = graphics_choose(s, a);
    *done = false;
    return kind == GRAPHICS_NONE ? 0 : graphics_put(b, done, kind, f, d, a->p, e);
}

static int put_text(strbuf *b, session *s, const command_args *a, const figure *f, const figure_data *d, err *e)
{
    char *text = NULL;
    view_size size = terminal_size(STDOUT_FILENO);
    size.lines = 0; /* a terminal scrolls; its width does not */
    int rc = figure_view(f, d, a->p, terminal_colour(s), size, &text, e);
    strbuf_puts(b, text ? text : "");
    free(text);
    return rc;
}

static int print(session *s, const command_args *a, store *st, const figure *f, err *e)
{
    figure_source src = {0};
    strbuf b = {0};
    bool done = false;
    int rc = figure_source_load(&src, s, a, st, f, a->line, e);
    if (!rc)
        rc = put_picture(&done, &b, s, a, f, &src.d, e);
    if (!rc && !done)
        rc = put_text(&b, s, a, f, &src.d, e);
    if (!rc)
        rc = output_flush(s->out, &b, e);
    strbuf_free(&b);
    figure_source_free(&src);
    return rc;
}

static int run(session *s, const command_args *a, err *e)
{
    const figure *f;
    store *st;
    bool interactive = params_bool(a->p, "interactive") || params_bool(a->p, "i");
    if (command_format(s, a) != FORMAT_TABLE) {
        err_set(e, ERR_USAGE, "a view is a picture: it has no rows to write");
        return err_hint(e, "`export` writes the values, `plot` a picture file");
    }
    int rc = figure_require(&f, a->word[0], e);
    if (!rc && interactive)
        rc = view_browse_check(s, e);
    if (!rc)
        rc = store_to_read(s, &st, e);
    if (rc)
        return rc;
    return interactive ? view_browse(s, a, st, f, e) : print(s, a, st, f, e);
}

static const param own[] = {
    {.name = "interactive", .kind = PARAM_BOOL, .def = "false",
     .help = "move through the figure with keys; `?` shows them"},
    {.name = "i", .kind = PARAM_BOOL, .def = "false", .help = "short for --interactive"},
    {.name = "graphics", .kind = PARAM_ENUM, .value = "KIND", .choices = graphics_choices,
     .help = "draw as pixels: auto (where the terminal says that it can), none, sixel or kitty [the setting of that name]"},
    {.name = NULL},
};
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
    "view head_map -i --store heads.db", "move through the stored maps with the arrow keys",
    "view layer_curve --metric entropy --graphics none --store heads.db", "as text, whatever the terminal can draw",
    NULL,
};
static const char *const complete[] = {"figures", NULL};

const command command_view = {
    .name = "view", .group = "figure", .usage = "RECIPE",
    .summary = "draw a figure of stored rows in the terminal",
    .help = "The same recipes and options as `plot`. Where the terminal says that it can draw pixels (kitty's protocol, or "
            "sixels), the page of `plot`, at the window's resolution; else text: 24-bit colour where COLORTERM says so, 256 "
            "colours, or plain ASCII with NO_COLOR, a dumb terminal or a pipe. --graphics, or `set graphics`, chooses; a "
            "terminal is asked once, and has 150 ms to answer; inside tmux or screen pictures come only where tmux itself "
            "draws sixels.\n\n"
            "By itself `view` prints and ends, so that the figure stays in the window's history and scripts never wait for "
            "a key. With -i it takes the window until `q`: arrow keys move a cursor whose query token, key token and "
            "weight (layer, head and value; x and the value of each series) are shown in full; + and - zoom between a "
            "cell a token and the whole map; [ and ] change the layer, comma and full stop the head, n and p the metric; "
            "`?` lists all keys. Maps of any size: of what is larger than 128 MiB the cells lie in a temporary file while "
            "it is shown ($TMPDIR, else /var/tmp).",
    .examples = examples, .params = own, .min_args = 1, .max_args = 1,
    .complete = complete, .extra_params = extra,
    .run = run, .live = true,
};
