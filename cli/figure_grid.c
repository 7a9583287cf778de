/* Stored maps of many heads as thumbnails. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/cancel.h"
#include "base/mem.h"
#include "cli/command_util.h"
#include "cli/counted_heads.h"
#include "cli/experiment.h"
#include "cli/figure_parts.h"
#include "cli/head_select.h"

typedef struct chosen {
    attn_kind kind;
    head_id *head;          /* [n] in the order of layers */
    int n, stored;          /* stored: maps of this kind that the run holds */
    int64_t n_query, n_key;
} chosen;

/* The command that makes what is missing. */
static void hint_maps(const session *s, store *st, const figure_facts *f, err *e)
{
    strbuf b = {0}, there = {0};
    figure_put_run_with_maps(&there, st, NULL);
    put_shell_word(&b, f->path);
    strbuf_puts(&b, " --prompt TEXT --maps all");
    if (strcmp(s->store_path, ":memory:") != 0) {
        strbuf_puts(&b, " --store ");
        put_shell_word(&b, s->store_path);
    }
    err_hint(e, "%smake them with `run %s`", strbuf_str(&there), strbuf_str(&b));
    strbuf_free(&there);
    strbuf_free(&b);
}

/* The kind asked for, else that of the stack that gives the logits, else the first that has maps. */
static attn_kind choose_kind(const table *t, const command_args *a, const figure_facts *f)
{
    const char *asked = params_str(a->p, "kind");
    if (asked)
        return attn_kind_named(asked, f->main);
    for (int64_t i = 0; i < t->n_row; i++)
        if (kind_of_cell(table_cell(t, i, 0)) == f->main)
            return f->main;
    return t->n_row ? kind_of_cell(table_cell(t, 0, 0)) : f->main;
}

static int choose_maps(chosen *c, const session *s, figure_source *src, const command_args *a, store *st,
                       const figure_facts *f, err *e)
{
    const char *words = params_str(a->p, "head");
    const cell bind[] = {cell_int(src->run), cell_int(params_int(a->p, "prompt"))};
    table *t = NULL;
    int rc = store_query(st, &t, "SELECT kind, layer, head, n_query, n_key FROM map_list WHERE run = ?1 AND prompt = ?2"
                         " AND layer IS NOT NULL AND head IS NOT NULL ORDER BY kind, layer, head", bind, 2, e);
    if (rc)
        return rc;
    c->kind = choose_kind(t, a, f);
    c->head = mem_array((size_t)t->n_row + 1, sizeof *c->head, e);
    rc = c->head ? 0 : ERR_RESOURCE;
    for (int64_t i = 0; i < t->n_row && !rc; i++) {
        head_id h = {kind_of_cell(table_cell(t, i, 0)), (int)table_cell(t, i, 1)->u.i,
                     (int)table_cell(t, i, 2)->u.i};
        bool yes = true;
        if (words)
            rc = head_matches(&yes, h, c->kind, words, e);
        c->stored += h.kind == c->kind;
        if (rc || !yes || h.kind != c->kind)
            continue;
        c->n_query = table_cell(t, i, 3)->u.i;
        c->n_key = table_cell(t, i, 4)->u.i;
        c->head[c->n++] = h;
    }
    table_free(t);
    if (!rc && c->n == 0) {
        if (words && c->stored)
            rc = err_set(e, ERR_FAILED, "run %" PRId64 " holds no map of %s (it holds %d others)", src->run, words,
                         c->stored);
        else
            rc = err_set(e, ERR_FAILED, "run %" PRId64 " holds no attention map", src->run);
        hint_maps(s, st, f, e);
    }
    return rc;
}

/* --- rows and columns --- */

/* Layers and heads that occur, ascending, and how they are called. */
typedef struct axis { int *number; const char **name; int n; } axis;

static int axis_of(axis *x, figure_source *src, const chosen *c, bool layers, err *e)
{
    x->number = arena_alloc(&src->mem, (size_t)c->n, sizeof *x->number, e);
    x->name = x->number ? arena_alloc(&src->mem, (size_t)c->n, sizeof *x->name, e) : NULL;
    if (!x->name)
        return ERR_RESOURCE;
    for (int i = 0; i < c->n; i++) {
        int v = layers ? c->head[i].layer : c->head[i].head, at = x->n;
        while (at > 0 && x->number[at - 1] > v)
            at--;
        if (at > 0 && x->number[at - 1] == v)
            continue;
        memmove(x->number + at + 1, x->number + at, (size_t)(x->n - at) * sizeof *x->number);
        x->number[at] = v;
        x->n++;
    }
    for (int i = 0; i < x->n; i++)
        if (!(x->name[i] = figure_text(src, e, "%c%d", layers ? 'L' : 'H', x->number[i])))
            return ERR_RESOURCE;
    return 0;
}

static int index_in(const axis *x, int v)
{
    int i = 0;
    while (i < x->n && x->number[i] != v)
        i++;
    return i;
}

/* --- the maps, no larger than they are drawn --- */

static int load_map(figure_panel *p, figure_source *src, const command_args *a, store *st, head_id h, int64_t side, err *e)
{
    figure_map m;
    int rc = figure_read_map(&m, src, a, st, h, side, e);
    if (rc)
        return rc;
    size_t cells = (size_t)(m.rows * m.cols);
    float *kept = arena_alloc(&src->mem, cells, sizeof *kept, e);
    if (kept)
        memcpy(kept, m.cells, cells * sizeof *kept);
    free(m.cells);
    p->m = (figure_matrix){m.rows, m.cols, kept, NULL, NULL};
    src->d.pool = m.pool;
    src->d.pooling = m.pooling;
    return kept ? 0 : ERR_RESOURCE;
}

/* Where a column is the first of another group of query heads that share keys and values. */
static int group_columns(figure_groups *g, figure_source *src, store *st, const figure_facts *f, attn_kind kind,
                         const axis *heads, err *e)
{
    figure_groups all;
    int rc = figure_head_groups(&all, src, st, f, kind, false, e);
    int64_t *starts = rc || all.n_col == 0 ? NULL : arena_alloc(&src->mem, (size_t)all.n_col, sizeof *starts, e);
    *g = (figure_groups){0};
    if (!starts)
        return rc ? rc : all.n_col ? ERR_RESOURCE : 0;
    for (int64_t i = 0; i < all.n_col; i++) {
        int at = 0;
        while (at < heads->n && heads->number[at] < all.col_starts[i])
            at++;
        if (at > 0 && at < heads->n && (g->n_col == 0 || starts[g->n_col - 1] != at))
            starts[g->n_col++] = at;
    }
    g->col_starts = starts;
    g->meaning = all.meaning;
    return 0;
}

static int load_all(figure_panels *out, figure_source *src, const command_args *a, store *st, const chosen *c,
                    const figure_facts *f, err *e)
{
    axis layers = {0}, heads = {0};
    int64_t side = 1;
    int rc = axis_of(&layers, src, c, true, e);
    if (!rc)
        rc = axis_of(&heads, src, c, false, e);
    if (rc)
        return rc;
    *out = (figure_panels){.n = layers.n * heads.n, .columns = heads.n, .row_names = layers.name, .col_names = heads.name,
                           .row_axis = figure_layer_axis(c->kind),
                           .col_axis = "head", .empty = "no map stored"};
    rc = group_columns(&out->groups, src, st, f, c->kind, &heads, e);
    if (!rc)
        rc = thumbs_side(&side, out, a->p, e);
    figure_panel *panel = rc ? NULL : arena_alloc(&src->mem, (size_t)out->n, sizeof *panel, e);
    if (!panel)
        return rc ? rc : ERR_RESOURCE;
    out->panel = panel;
    for (int i = 0; i < c->n && !rc; i++) {
        int at = index_in(&layers, c->head[i].layer) * heads.n + index_in(&heads, c->head[i].head);
        rc = load_map(&panel[at], src, a, st, c->head[i], side, e);
        if (!rc)
            rc = cancel_check(e);
    }
    return rc;
}

int figure_load_grid(figure_source *src, session *s, const command_args *a, store *st, const figure_facts *f, err *e)
{
    chosen c = {0};
    figure_data *d = &src->d;
    figure_panels *panels = arena_alloc(&src->mem, 1, sizeof *panels, e);
    int rc = panels ? choose_maps(&c, s, src, a, st, f, e) : ERR_RESOURCE;
    if (!rc)
        rc = figure_log_colours(a, e);
    if (!rc)
        rc = load_all(panels, src, a, st, &c, f, e);
    int n = c.n;
    free(c.head);
    if (rc)
        return rc;
    counted_heads all = {0};
    rc = counted_heads_load(&all, st, src->run, attn_kind_name(c.kind), e);
    free(all.head);
    if (rc)
        return rc;
    if (!params_given(a->p, "head") && c.stored < all.n)
        say(s, "run %" PRId64 " holds %d of %" PRId64 " maps; `run ... --maps all` keeps all", src->run, c.stored, all.n);
    const char *axes = c.kind == ATTN_VISION ? "query patches down, key patches across" : "queries down, keys across";
    const char *words = figure_prompt_words(src, st, params_int(a->p, "prompt"), f, e);
    if (!words)
        return ERR_RESOURCE;
    d->panels = panels;
    d->title = figure_text(src, e, "attention of %d heads \xc2\xb7 %s", n, f->model);
    d->subtitle = c.n_query == c.n_key
                      ? figure_text(src, e, "%s%" PRId64 " %s%s, run %" PRId64 "; %s", words, c.n_query,
                                    c.kind == ATTN_VISION ? "patches" : "tokens", f->operated, src->run, axes)
                      : figure_text(src, e, "%s%" PRId64 " x %" PRId64 " positions%s, run %" PRId64 "; %s", words, c.n_query,
                                    c.n_key, f->operated, src->run, axes);
    d->caption = figure_text(src, e, "%s, attention weights of %d heads; %" PRId64 " x %" PRId64
                             " positions; 1 prompt%s%s%s%s; run %" PRId64 "; one colour scale for all", f->model, n,
                             c.n_query, c.n_key, *f->label ? " (" : "", f->label, *f->label ? ")" : "", f->operated, src->run);
    d->quantity = "attention weight";
    d->unit = "";
    d->lo = 0;
    d->hi = 1;
    src->label = mem_strdup(n == 1 ? "1-head" : "heads", e);
    return d->title && d->subtitle && d->caption && src->label ? 0 : ERR_RESOURCE;
}
