#include "cli/view_page.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "cli/command_util.h"
#include "cli/experiment.h"
#include "cli/figure_parts.h"
#include "cli/head_select.h"

static void page_free(view_page *p)
{
    view_map_free(&p->map);
    figure_source_free(&p->src);
    *p = (view_page){.weights = false};
}

/* --- a stored map --- */

static int put_words(view_page *p, const figure_facts *f, int64_t prompt, store *st, err *e)
{
    const stored_map *m = &p->stored;
    bool cross = p->head.kind == ATTN_CROSS, vision = p->head.kind == ATTN_VISION;
    const char **rows = NULL, **cols = NULL;
    head_text name;
    head_format(name, p->head);
    int rc = figure_token_labels(&rows, &p->src, st, prompt, attn_kind_name(cross ? ATTN_SELF : p->head.kind), 1, m->n_query,
                                 e);
    if (!rc)
        rc = figure_token_labels(&cols, &p->src, st, prompt, attn_kind_name(cross ? ATTN_ENCODER : p->head.kind), 1,
                                 m->n_key, e);
    if (rc)
        return rc;
    p->d = (figure_data){
        .m = {m->rows, m->cols, NULL, rows, cols},
        .title = figure_text(&p->src, e, "%s \xc2\xb7 %s", name, f->model),
        .subtitle = figure_text(&p->src, e, "%s%srun %" PRId64, f->label, *f->label ? ", " : "", p->src.run),
        .row_axis = vision ? "query patch" : "query", .col_axis = vision ? "key patch" : "key",
        .quantity = "attention weight", .unit = "", .lo = 0, .hi = 1, .missing = "not visible",
        .pool = m->pool, .pooling = figure_text(&p->src, e, "%s", m->pooling),
    };
    return p->d.title && p->d.subtitle && p->d.pooling ? 0 : ERR_RESOURCE;
}

static int load_map(view_page *out, const view_book *b, int at, err *e)
{
    const command_args *a = b->a;
    enum { LONG_PROMPT = 256 }; /* as in a printed view: most weights are far below 1 */
    view_page p = {.weights = true, .head = b->head[at]};
    figure_facts facts = {0};
    int64_t prompt = params_int(a->p, "prompt");
    int rc = choose_run(b->s, a, b->st, NULL, &p.src.run, e);
    if (!rc)
        rc = figure_read_facts(&facts, &p.src, b->st, prompt, e);
    if (!rc)
        rc = view_map_read(&p.map, &p.stored, b->st, p.src.run, prompt, p.head, b->prog, e);
    if (!rc)
        rc = put_words(&p, &facts, prompt, b->st, e);
    if (!rc && (p.stored.n_query > LONG_PROMPT || p.stored.n_key > LONG_PROMPT))
        rc = figure_log_colours(a, e);
    if (rc)
        page_free(&p);
    else
        *out = p;
    return rc;
}

/* --- what figure_source_load reads --- */

static int count_panels(const figure_data *d)
{
    return d->panels ? d->panels->n : d->charts ? d->charts->n : 0;
}

/* False: nothing is stored in that place. */
static bool has_panel(const figure_data *d, int at)
{
    return !d->panels || d->panels->panel[at].m.cells;
}

static int show_panel(view_page *p, int at, err *e)
{
    figure_data d = p->src.d;
    view_map map = {.rows = 0};
    if (d.panels) {
        const figure_panel *panel = &d.panels->panel[at];
        d.m = panel->m;
        d.groups = panel->groups;
        d.title = panel->title ? panel->title : d.title;
    } else if (d.charts) {
        d.chart = &d.charts->chart[at];
        d.title = d.charts->titles ? d.charts->titles[at] : d.title;
    }
    int rc = d.chart ? 0 : view_map_of(&map, &d.m, e);
    if (rc)
        return rc;
    d.panels = NULL;
    d.charts = NULL;
    view_map_free(&p->map);
    p->map = map;
    p->d = d;
    return 0;
}

static int load_figure(view_page *out, const view_book *b, int *at_panel, err *e)
{
    view_page p = {.weights = false};
    int rc = figure_source_load(&p.src, b->s, b->a, b->st, b->f, b->a->line, e);
    int n = rc ? 0 : count_panels(&p.src.d);
    if (*at_panel >= n)
        *at_panel = 0;
    while (*at_panel + 1 < n && !has_panel(&p.src.d, *at_panel))
        ++*at_panel;
    if (!rc)
        rc = show_panel(&p, *at_panel, e);
    if (rc)
        page_free(&p);
    else
        *out = p;
    return rc;
}

/* --- what there is to choose from --- */

static int find_heads(view_book *b, err *e)
{
    const command_args *a = b->a;
    const char *words = params_str(a->p, "head"), *kind = params_str(a->p, "kind");
    bool one = strcmp(b->f->needs, "map") == 0, found = false;
    figure_source src = {0};
    figure_facts facts = {0};
    table *t = NULL;
    int rc = choose_run(b->s, a, b->st, NULL, &src.run, e);
    if (!rc)
        rc = figure_read_facts(&facts, &src, b->st, params_int(a->p, "prompt"), e);
    const cell bind[] = {cell_int(src.run), cell_int(params_int(a->p, "prompt"))};
    if (!rc)
        rc = store_query(b->st, &t, "SELECT kind, layer, head FROM map_list WHERE run = ?1 AND prompt = ?2 AND layer IS NOT"
                         " NULL AND head IS NOT NULL ORDER BY kind <> 'self', kind, layer, head", bind, 2, e);
    if (!rc && !(b->head = mem_array((size_t)t->n_row + 1, sizeof *b->head, e)))
        rc = ERR_RESOURCE;
    for (int64_t i = 0; !rc && i < t->n_row; i++) {
        head_id h = {kind_of_cell(table_cell(t, i, 0)), (int)table_cell(t, i, 1)->u.i, (int)table_cell(t, i, 2)->u.i};
        bool yes = true;
        if (words)
            rc = head_matches(&yes, h, facts.main, words, e);
        if (rc || (kind && strcmp(kind, attn_kind_name(h.kind)) != 0) || (!one && !yes))
            continue;
        if (one && yes && !found && (words || h.kind == facts.main)) {
            b->at_head = b->n_head; /* the others stay within reach of the keys */
            found = true;
        }
        b->head[b->n_head++] = h;
    }
    if (!rc && one && words && !found)
        b->n_head = 0;
    table_free(t);
    figure_source_free(&src);
    return rc;
}

static int find_metrics(view_book *b, int64_t run, err *e)
{
    const cell bind[] = {cell_int(run)};
    table_free(b->metrics);
    b->metrics = NULL;
    return store_query(b->st, &b->metrics, "SELECT metric FROM metric_list WHERE run = ?1 ORDER BY metric", bind, 1, e);
}

static const char *metric_at(const view_book *b, int64_t i)
{
    return cell_string(table_cell(b->metrics, i, 0));
}

/* The metric of the page: the one named, or the only one of the run, after which the source is called. */
static void find_metric(view_book *b)
{
    const char *name = params_given(b->a->p, "metric") ? params_str(b->a->p, "metric") : b->page.src.label;
    b->at_metric = NO_INDEX;
    for (int64_t i = 0; name && b->metrics && i < b->metrics->n_row; i++)
        if (strcmp(metric_at(b, i), name) == 0)
            b->at_metric = i;
}

/* Several metrics and none named: the first that the recipe draws. */
static int open_first_metric(view_book *b, err *first)
{
    err e = {0};
    int64_t run;
    if (params_given(b->a->p, "metric") || first->code != ERR_USAGE || choose_run(b->s, b->a, b->st, NULL, &run, &e) ||
        find_metrics(b, run, &e))
        return first->code;
    for (int64_t i = 0; i < b->metrics->n_row; i++)
        if (params_set(b->a->p, "metric", metric_at(b, i), &e) == 0 && load_figure(&b->page, b, &b->at_panel, &e) == 0) {
            *first = (err){0};
            return 0;
        }
    return first->code;
}

static bool browses_heads(const view_book *b)
{
    bool maps = strcmp(b->f->needs, "map") == 0 || strcmp(b->f->needs, "maps") == 0;
    return maps && !params_given(b->a->p, "facet");
}

int view_book_open(view_book *out, session *s, const command_args *a, store *st, const figure *f, err *e)
{
    view_book b = {.s = s, .a = a, .st = st, .f = f, .at_metric = NO_INDEX, .prog = &s->prog};
    err why = {0};
    int rc = figure_theme(a->p, &why);
    if (!rc)
        rc = figure_named_heads(s, a, st, &why);
    if (!rc && browses_heads(&b))
        rc = find_heads(&b, &why);
    if (!rc && b.n_head) {
        rc = load_map(&b.page, &b, b.at_head, &why);
    } else if (!rc) { /* of maps that are not there this says what makes them */
        rc = load_figure(&b.page, &b, &b.at_panel, &why);
        if (rc)
            rc = open_first_metric(&b, &why);
        b.n_panel = rc ? 0 : count_panels(&b.page.src.d);
        if (!rc)
            rc = find_metrics(&b, b.page.src.run, &why);
        if (!rc)
            find_metric(&b);
    }
    if (rc && e)
        *e = why;
    if (rc)
        view_book_close(&b);
    else
        *out = b;
    out->prog = NULL;
    return rc;
}

void view_book_close(view_book *b)
{
    page_free(&b->page);
    table_free(b->metrics);
    free(b->head);
    *b = (view_book){.s = NULL};
}

/* --- switching --- */

static int show_head(view_book *b, int at, err *e)
{
    view_page page;
    head_text name;
    int rc = load_map(&page, b, at, e);
    if (rc)
        return rc;
    page_free(&b->page);
    b->page = page;
    b->at_head = at;
    head_format(name, b->head[at]);
    return strcmp(b->f->needs, "map") == 0 ? params_set(b->a->p, "head", name, e) : 0;
}

int view_book_step_head(view_book *b, int step, err *e)
{
    int at = b->at_head + step;
    if (b->n_head && at >= 0 && at < b->n_head)
        return show_head(b, at, e);
    if (b->n_head)
        return err_set(e, ERR_FAILED, "no map %s this one", step < 0 ? "before" : "behind");
    for (at = b->at_panel + step; at >= 0 && at < b->n_panel; at += step) {
        if (!has_panel(&b->page.src.d, at))
            continue;
        int rc = show_panel(&b->page, at, e);
        b->at_panel = rc ? b->at_panel : at;
        return rc;
    }
    return err_set(e, ERR_FAILED, b->n_panel ? "no other panel on this side" : "a figure without heads to choose from");
}

int view_book_step_layer(view_book *b, int step, err *e)
{
    int best = -1;
    if (!b->n_head)
        return err_set(e, ERR_FAILED, "a figure without layers to choose from");
    const head_id now = b->head[b->at_head];
    for (int i = b->at_head; i >= 0 && i < b->n_head; i += step) {
        const head_id h = b->head[i];
        if (h.kind != now.kind)
            break;
        if (h.layer == now.layer)
            continue;
        if (best >= 0 && h.layer != b->head[best].layer)
            break;
        if (best < 0 || h.head == now.head || (b->head[best].head != now.head && h.head < b->head[best].head))
            best = i;
    }
    return best < 0 ? err_set(e, ERR_FAILED, "no stored map of a layer %s this one", step < 0 ? "before" : "behind")
                    : show_head(b, best, e);
}

int view_book_step_metric(view_book *b, int step, err *e)
{
    if (b->at_metric == NO_INDEX)
        return err_set(e, ERR_FAILED, "a figure without metrics to choose from");
    const int64_t n = b->metrics->n_row, was = b->at_metric;
    for (int64_t i = (was + step + n) % n; i != was; i = (i + step + n) % n) {
        view_page page;
        err why = {0};
        int at = 0, rc = params_set(b->a->p, "metric", metric_at(b, i), e);
        if (rc)
            return rc;
        rc = load_figure(&page, b, &at, &why);
        if (rc == ERR_CANCELLED || rc == ERR_RESOURCE) {
            if (e)
                *e = why;
            params_set(b->a->p, "metric", metric_at(b, was), NULL);
            return rc;
        }
        if (rc)
            continue;
        page_free(&b->page);
        b->page = page;
        b->at_metric = i;
        b->at_panel = at;
        b->n_panel = count_panels(&page.src.d);
        return 0;
    }
    int rc = params_set(b->a->p, "metric", metric_at(b, was), e);
    return rc ? rc : err_set(e, ERR_FAILED, "the run has no other metric that %s draws", b->f->name);
}
