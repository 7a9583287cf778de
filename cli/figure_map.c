/* A stored attention map as the numbers of a figure. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "base/mem.h"
#include "cli/command_util.h"
#include "cli/figure_parts.h"
#include "cli/head_select.h"

/* A token as a label: visible, a leading blank as a middle dot; ids where there is no text. */
static const char *token_label(figure_source *src, const char *text, int64_t id, err *e)
{
    strbuf b = {0};
    if (*text == ' ' && text[1]) {
        strbuf_puts(&b, "\xc2\xb7");
        text++;
    } else if (*text == ' ') {
        strbuf_puts(&b, "\xe2\x90\xa3"); /* a blank alone: open box */
        text++;
    }
    strbuf_put_visible(&b, text, strlen(text));
    if (b.len == 0)
        strbuf_printf(&b, "%" PRId64, id);
    const char *label = b.failed ? NULL : arena_strndup(&src->mem, strbuf_str(&b), b.len, e);
    strbuf_free(&b);
    return label;
}

/* Labels of the tokens, or, pooled, the first position of each block. */
static int token_labels(const char ***out, figure_source *src, store *st, int64_t prompt, int64_t block,
                        int64_t n, err *e)
{
    const cell bind[] = {cell_int(src->run), cell_int(prompt)};
    table *t = NULL;
    const char **labels = arena_alloc(&src->mem, (size_t)n, sizeof *labels, e);
    int rc = labels ? 0 : ERR_RESOURCE;
    if (!rc && block <= 1)
        rc = store_query(st, &t,
                         "SELECT id, text FROM prompt_token WHERE run = ?1 AND prompt = ?2 ORDER BY position",
                         bind, 2, e);
    for (int64_t i = 0; i < n && !rc; i++) {
        if (t && i < t->n_row)
            labels[i] = token_label(src, cell_string(table_cell(t, i, 1)), table_cell(t, i, 0)->u.i, e);
        else
            labels[i] = figure_text(src, e, "%" PRId64, i * (block > 1 ? block : 1));
        rc = labels[i] ? 0 : ERR_RESOURCE;
    }
    table_free(t);
    *out = labels;
    return rc;
}

/* The maps of the run as words, for messages; *only: the head when there is exactly one. */
static int list_maps(strbuf *out, char only[64], int64_t *n, store *st, int64_t run, int64_t prompt, err *e)
{
    const cell bind[] = {cell_int(run), cell_int(prompt)};
    table *t = NULL;
    int rc = store_query(
        st, &t, "SELECT head_name FROM map_list WHERE run = ?1 AND prompt = ?2 ORDER BY kind, layer, head",
        bind, 2, e);
    if (rc)
        return rc;
    *n = t->n_row;
    for (int64_t i = 0; i < t->n_row && i < 8; i++)
        strbuf_printf(out, "%s%s", i ? ", " : "", cell_string(table_cell(t, i, 0)));
    if (t->n_row > 8)
        strbuf_puts(out, ", ...");
    only[0] = '\0';
    if (t->n_row == 1)
        snprintf(only, 64, "%s", cell_string(table_cell(t, 0, 0)));
    table_free(t);
    return 0;
}

static int choose_head(head_id *h, figure_source *src, const command_args *a, store *st,
                       const figure_facts *f, err *e)
{
    const char *text = params_str(a->p, "head");
    strbuf have = {0};
    char only[64];
    int64_t n = 0, prompt = params_int(a->p, "prompt");
    head_text name;
    int rc = 0;
    if (text)
        rc = head_read(h, text, f->n_layer, f->n_head, e);
    if (!rc)
        rc = list_maps(&have, only, &n, st, src->run, prompt, e);
    if (rc)
        goto out;
    if (!text && n == 1) {
        rc = head_parse(h, only) ? 0 : err_set(e, ERR_FAILED, "the store names a head '%s'", only);
        goto out;
    }
    if (!text && n > 1) {
        rc = err_set(e, ERR_USAGE, "run %" PRId64 " holds several maps: which head?", src->run);
        err_hint(e, "add --head, one of %s", strbuf_str(&have));
        goto out;
    }
    if (text)
        head_format(name, *h);
    const cell bind[] = {cell_int(src->run), cell_int(prompt), cell_text(text ? name : "")};
    table *t = NULL;
    rc = store_query(st, &t, "SELECT 1 FROM map_list WHERE run = ?1 AND prompt = ?2 AND head_name = ?3", bind,
                     3, e);
    if (!rc && t->n_row == 0) {
        if (n)
            rc = err_set(e, ERR_FAILED, "run %" PRId64 " holds no map of %s (it holds %s)", src->run, name,
                         strbuf_str(&have));
        else
            rc = err_set(e, ERR_FAILED, "run %" PRId64 " holds no attention map", src->run);
        strbuf path = {0};
        put_shell_word(&path, f->path);
        err_hint(e, "make one with `run %s --prompt TEXT --maps %s`", strbuf_str(&path),
                 text ? name : "L0H0");
        strbuf_free(&path);
    }
    table_free(t);
out:
    strbuf_free(&have);
    return rc;
}

/* In a long prompt nearly all weights are far below 1: on linear colours the map would be one dark
 * triangle.  The figure's colour bar says which scale it is. */
static int choose_norm(session *s, const command_args *a, int64_t n_token, err *e)
{
    enum { LONG_PROMPT = 256 };
    if (n_token <= LONG_PROMPT || params_given(a->p, "norm") || params_given(a->p, "limits"))
        return 0;
    say(s, "%" PRId64 " tokens: logarithmic colours; --norm linear gives linear ones", n_token);
    return params_set(a->p, "norm", "log", e);
}

int figure_load_map(figure_source *src, session *s, const command_args *a, store *st, const figure_facts *f,
                    err *e)
{
    int64_t prompt = params_int(a->p, "prompt");
    stored_map m = {0};
    head_id h;
    head_text name;
    const char **rows = NULL, **cols = NULL;
    int rc = choose_head(&h, src, a, st, f, e);
    if (!rc)
        rc = choose_norm(s, a, f->n_token, e);
    if (!rc)
        rc = store_get_map(st, src->run, prompt, h, &m, e);
    if (rc)
        return rc;
    src->cells = m.cells;
    head_format(name, h);
    rc = token_labels(&rows, src, st, prompt, m.pool, m.rows, e);
    if (!rc)
        rc = token_labels(&cols, src, st, prompt, m.pool, m.cols, e);
    if (rc)
        return rc;
    figure_data *d = &src->d;
    d->m = (figure_matrix){m.rows, m.cols, src->cells, rows, cols};
    d->title = figure_text(src, e, "%s \xc2\xb7 %s", name, f->model);
    d->subtitle = figure_text(src, e, "%s%s%" PRId64 " tokens, %s, run %" PRId64, f->label,
                              *f->label ? ", " : "", f->n_token, f->operator_name, src->run);
    d->row_axis = "query token";
    d->col_axis = "key token";
    d->quantity = "attention weight";
    d->unit = "";
    d->lo = 0;
    d->hi = 1;
    d->pool = m.pool;
    d->pooling = m.pool > 1 ? arena_strdup(&src->mem, m.pooling, e) : NULL;
    src->label = mem_strdup(name, e);
    return d->title && d->subtitle && src->label && (d->pooling || m.pool <= 1) ? 0 : ERR_RESOURCE;
}
