/* The `s` of an interactive view: the command `plot` with the options of what is shown. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "cli/dispatch.h"
#include "cli/view_browse.h"
#include "cli/view_window.h"

enum { MOST_WORDS = 96 };

typedef struct words { char *word[MOST_WORDS]; int n; bool failed; } words;

static void add_word(words *w, const char *dashes, const char *name, const char *value)
{
    strbuf b = {0};
    if (w->n == MOST_WORDS)
        return;
    strbuf_puts(&b, dashes);
    strbuf_puts(&b, name);
    strbuf_puts(&b, value ? "=" : "");
    strbuf_puts(&b, value ? value : "");
    w->word[w->n] = strbuf_take(&b, NULL);
    w->failed |= !w->word[w->n];
    w->n++;
}

/* Options that were given, or that keys have set. */
static void add_options(words *w, const params *p, const param *r)
{
    for (; r && r->name; r++) {
        if (!params_given(p, r->name))
            continue;
        if (r->kind == PARAM_BOOL)
            add_word(w, params_bool(p, r->name) ? "--" : "--no-", r->name, NULL);
        else
            add_word(w, "--", r->name, params_str(p, r->name));
    }
}

static void make_words(words *w, const view_window *v, const char *path)
{
    add_word(w, "", "plot", NULL);
    add_word(w, "", v->book.f->name, NULL);
    add_options(w, v->book.a->p, figure_source_params);
    add_options(w, v->book.a->p, figure_all_params());
    if (params_given(v->book.a->p, "store"))
        add_word(w, "--", "store", params_str(v->book.a->p, "store"));
    if (*path)
        add_word(w, "--", "output", path);
}

static int run_plot(session *s, const words *w, err *e)
{
    const command *c = command_find("plot", false);
    const char **positional = mem_array((size_t)w->n, sizeof *positional, e);
    command_tables tables;
    command_args a = {0};
    strbuf line = {0};
    int rc = positional ? params_new(&a.p, e) : ERR_RESOURCE;
    command_get_tables(c, tables);
    for (int i = 0; tables[i] && !rc; i++)
        rc = params_use(a.p, tables[i], e);
    if (!rc)
        rc = command_read_words(c, a.p, positional, &a.n, w->n - 1, (const char *const *)w->word + 1, e);
    for (int i = 0; i < w->n; i++) {
        strbuf_puts(&line, i ? " " : "");
        strbuf_put_quoted(&line, w->word[i]);
    }
    if (!rc && line.failed)
        rc = err_nomem(e, "the command line");
    a.word = positional;
    a.line = strbuf_str(&line);
    if (!rc)
        rc = c->run(s, &a, e);
    strbuf_free(&line);
    params_free(a.p);
    free(positional);
    return rc;
}

int view_save(view_window *v, const char *path, err *e)
{
    session *s = v->book.s;
    words w = {.n = 0};
    char *said = NULL;
    size_t n_said = 0;
    FILE *before = s->out, *catch = open_memstream(&said, &n_said); /* the screen is not for what plot prints */
    make_words(&w, v, path);
    int rc = !catch || w.failed ? err_nomem(e, "the command line") : 0;
    if (!rc) {
        s->out = catch;
        rc = run_plot(s, &w, e);
        s->out = before;
    }
    if (catch)
        fclose(catch);
    if (!rc)
        snprintf(v->message, sizeof v->message, "saved %.*s", said ? (int)strcspn(said, "\n") : 0, said ? said : "");
    free(said);
    for (int i = 0; i < w.n; i++)
        free(w.word[i]);
    return rc;
}
