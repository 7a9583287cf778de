/* Which prompts of a run a figure draws, and what it says of them. */
#include <inttypes.h>
#include <string.h>
#include "base/strbuf.h"
#include "cli/command_util.h"
#include "cli/figure_parts.h"
#include "cli/run_units.h"

const char *figure_prompt_words(figure_source *src, store *st, int64_t prompt, const figure_facts *f, err *e)
{
    const char *label = f->label, *comma = *label ? ", " : "";
    int64_t n;
    if (run_units_done(&n, st, src->run, e))
        return NULL;
    if (n < 2 || f->n_token == 0) /* the units of weights are metrics */
        return figure_text(src, e, "%s%s", label, comma);
    return figure_text(src, e, "prompt %" PRId64 " of %" PRId64 ", %s%s", prompt, n, label, comma);
}

/* Those that count and have values of the metric. */
static int count_units(figure_units *u, const figure_source *src, store *st, const char *name, const char *condition, err *e)
{
    const cell bind[] = {cell_int(src->run), cell_text(name)};
    strbuf sql = {0};
    table *t = NULL;
    strbuf_printf(&sql, "SELECT count(DISTINCT prompt), coalesce(min(prompt), 0) FROM value_list WHERE run = ?1 AND metric ="
                        " ?2%s",
                  condition);
    int rc = sql.failed ? err_nomem(e, "query") : store_query(st, &t, strbuf_str(&sql), bind, 2, e);
    strbuf_free(&sql);
    if (!rc) {
        u->n = table_cell(t, 0, 0)->u.i;
        u->prompt = table_cell(t, 0, 1)->u.i;
    }
    table_free(t);
    return rc;
}

/* "mean over 12 prompts", "mean over the 61 prompts of set text". */
static const char *mean_words(figure_source *src, const figure_units *u, const char *what, err *e)
{
    if (strncmp(what, "the ", 4) == 0)
        return figure_text(src, e, "mean over %s", what);
    return figure_text(src, e, "mean over %" PRId64 " prompts%s%s", u->n, *what ? " " : "", what);
}

static int name_one(figure_units *u, figure_source *src, store *st, err *e)
{
    const figure_facts *f = &u->facts;
    const char *words = figure_prompt_words(src, st, u->prompt, f, e);
    if (!words)
        return ERR_RESOURCE;
    if (f->n_token == 0) {
        u->size = u->caption = "of the weights alone";
        return 0;
    }
    u->size = figure_text(src, e, "%s%" PRId64 " tokens", words, f->n_token);
    u->caption = figure_text(src, e, "%" PRId64 " tokens; 1 prompt%s%s%s", f->n_token, *f->label ? " (" : "", f->label,
                             *f->label ? ")" : "");
    return 0;
}

int figure_choose_units(figure_units *u, figure_source *src, const command_args *a, store *st, const char *name,
                        const figure_facts *f, err *e)
{
    strbuf condition = {0}, what = {0};
    bool given = params_given(a->p, "prompt");
    *u = (figure_units){.prompt = params_int(a->p, "prompt"), .n = 1, .facts = *f};
    int rc = given ? 0 : run_units(&condition, &what, st, src->run, name, NULL, e);
    if (!rc && !given)
        rc = count_units(u, src, st, name, strbuf_str(&condition), e);
    if (!rc && u->n > 1) {
        u->prompt = NO_INDEX;
        u->condition = arena_strdup(&src->mem, strbuf_str(&condition), e);
        u->size = u->caption = mean_words(src, u, strbuf_str(&what), e);
    } else if (!rc) {
        u->n = 1;
        u->condition = figure_text(src, e, " AND prompt = %" PRId64, u->prompt);
        if (u->prompt != params_int(a->p, "prompt"))
            rc = figure_read_facts(&u->facts, src, st, u->prompt, e);
        if (!rc)
            rc = name_one(u, src, st, e);
    }
    strbuf_free(&condition);
    strbuf_free(&what);
    return rc ? rc : u->condition && u->size && u->caption ? 0 : ERR_RESOURCE;
}

const char *figure_words(figure_source *src, const char *name, err *e)
{
    char *text = arena_strdup(&src->mem, name, e);
    for (char *c = text; c && *c; c++)
        *c = *c == '_' ? ' ' : *c;
    return text;
}
