/* Metrics between heads, or between layers, as matrices. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "analysis/cluster.h"
#include "analysis/metric.h"
#include "base/mem.h"
#include "cli/command_util.h"
#include "cli/counted_heads.h"
#include "cli/figure_parts.h"

enum { MOST_ENTRIES = 4096 };

/* Entries of the axes: heads of all layers, or layers.  A matrix is a run of them. */
typedef struct between {
    const metric *m;
    attn_kind kind;
    bool layers;                 /* entries are layers */
    int64_t group_size;          /* of heads that share keys and values, in clustered order, where they stand apart: no line can
                                  * tell them, their names do; else 0 */
    bool within;                 /* values exist within a layer alone: a matrix a layer */
    figure_units units;
    int64_t n_layer, n;          /* n: entries in all */
    int64_t *first;              /* [n_layer + 1] entry of head 0 */
    float *cells;                /* [n, n] of all entries, NaN where there is no value; owned by the source */
} between;

static bool is_between(const metric *m)
{
    return m->axis == AXIS_HEAD || m->axis == AXIS_LAYER;
}

static int refuse_metric(const char *name, err *e)
{
    strbuf all = {0};
    for (const metric *const *m = metrics; *m; m++)
        if (is_between(*m))
            strbuf_printf(&all, "%s%s", all.len ? ", " : "", (*m)->name);
    err_set(e, ERR_USAGE, "%s has no values between heads or layers", name);
    int rc = err_hint(e, "divergence_matrix draws %s", strbuf_str(&all));
    strbuf_free(&all);
    return rc;
}

static int choose_metric(const metric **out, figure_source *src, const command_args *a, store *st, const figure_facts *f,
                         err *e)
{
    const char *name = params_str(a->p, "metric");
    const cell bind[] = {cell_int(src->run), cell_index(params_given(a->p, "prompt") ? params_int(a->p, "prompt") : NO_INDEX)};
    strbuf have = {0};
    table *t = NULL;
    bool there = false;
    int n = 0, rc = name ? require_metric(out, name, e) : 0;
    if (!rc && name && !is_between(*out))
        rc = refuse_metric(name, e);
    if (!rc)
        rc = store_query(st, &t, "SELECT DISTINCT metric FROM value_list WHERE run = ?1 AND (?2 IS NULL OR prompt = ?2)"
                         " AND layer IS NOT NULL AND position IS NOT NULL ORDER BY metric", bind, 2, e);
    for (int64_t i = 0; !rc && i < t->n_row; i++) {
        const metric *m = metric_find(cell_string(table_cell(t, i, 0)));
        if (!m || !is_between(m))
            continue;
        strbuf_printf(&have, "%s%s", n++ ? ", " : "", m->name);
        there |= name && strcmp(name, m->name) == 0;
        if (!name)
            *out = m;
    }
    if (!rc && !name && n > 1) {
        rc = err_set(e, ERR_USAGE, "run %" PRId64 " holds several metrics between heads or layers: which?", src->run);
        err_hint(e, "add --metric, one of %s", strbuf_str(&have));
    } else if (!rc && (name ? !there : n == 0)) {
        rc = err_set(e, ERR_FAILED, "run %" PRId64 " has no values of %s%s%s%s", src->run, name ? name : "jsd or its like",
                     n ? " (it has " : "", n ? strbuf_str(&have) : "", n ? ")" : "");
        figure_hint_metric(st, f->path, name ? name : "jsd", e);
    }
    strbuf_free(&have);
    table_free(t);
    return rc;
}

static int choose_kind(between *b, figure_source *src, const command_args *a, store *st, const figure_facts *f, err *e)
{
    const char *asked = params_str(a->p, "kind"), *want = asked ? asked : attn_kind_name(f->main);
    const cell bind[] = {cell_int(src->run), cell_text(b->m->name)};
    table *t = NULL;
    bool found = false;
    const char *sql = figure_text(src, e, "SELECT DISTINCT kind FROM value_list WHERE run = ?1 AND metric = ?2%s"
                                  " AND position IS NOT NULL ORDER BY kind", b->units.condition);
    int rc = sql ? store_query(st, &t, sql, bind, 2, e) : ERR_RESOURCE;
    if (rc)
        return rc;
    for (int64_t i = 0; i < t->n_row; i++) {
        const char *kind = cell_string(table_cell(t, i, 0));
        if (strcmp(kind, want) != 0 && (asked || t->n_row > 1))
            continue;
        found = true;
        b->kind = attn_kind_named(kind, b->kind);
    }
    table_free(t);
    if (found)
        return 0;
    if (b->units.n > 1)
        err_set(e, ERR_USAGE, "run %" PRId64 " has no %s of kind %s", src->run, b->m->name, want);
    else
        err_set(e, ERR_USAGE, "prompt %" PRId64 " of run %" PRId64 " has no %s of kind %s", b->units.prompt, src->run,
                b->m->name, want);
    return err_hint(e, "leave --kind and --prompt out to draw what there is");
}

/* --- which entry is which head --- */

/* What the rows of the store say of each layer: heads, lowest and highest position. */
typedef struct layer_span { int64_t heads, low, high; } layer_span;

/* First entries from the heads that the store knows of; false where it knows none. */
static bool count_first(between *b, const layer_span *span, const counted_heads *c)
{
    int64_t at = 0;
    b->within = b->m->scope != METRIC_WEIGHTS && b->n_layer > 1;
    for (int64_t l = 0; l < b->n_layer; l++) {
        b->first[l] = at;
        while (at < c->n && c->head[at].layer == l)
            at++;
        if (b->first[l] + span[l].heads > at)
            return false;
        b->within = b->within && (span[l].heads == 0 || (span[l].low >= b->first[l] && span[l].high < at));
    }
    b->first[b->n_layer] = at;
    b->n = at;
    return at > 0;
}

/* First entries of the layers from the values alone.  Positions count the heads of all layers: within a layer they begin
 * at its first head; weights have values for all heads of earlier layers; else every head of the model has values. */
static void find_first(between *b, const layer_span *span)
{
    int64_t next = 0;
    bool within = b->m->scope != METRIC_WEIGHTS;
    for (int64_t l = 0; l < b->n_layer; l++)
        within = within && (span[l].heads == 0 || span[l].high - span[l].low < span[l].heads);
    b->within = within && b->n_layer > 1;
    for (int64_t l = 0; l < b->n_layer; l++) {
        if (within && span[l].heads)
            next = span[l].low;
        else if (b->m->scope == METRIC_WEIGHTS && span[l].heads)
            next = span[l].high + 1;
        b->first[l] = next;
        next += span[l].heads;
    }
    b->first[b->n_layer] = next;
    b->n = next;
}

static int find_entries(between *b, figure_source *src, store *st, const cell *bind, const figure_facts *f, err *e)
{
    table *t = NULL;
    counted_heads c = {0};
    const char *sql = figure_text(src, e,
        "SELECT layer, coalesce(max(head), 0) + 1, min(position), max(position) FROM value_list"
        " WHERE run = ?1 AND metric = ?2 AND kind = ?3%s AND position IS NOT NULL AND layer IS NOT NULL"
        " GROUP BY layer ORDER BY layer", b->units.condition);
    int rc = sql ? store_query(st, &t, sql, bind, 3, e) : ERR_RESOURCE;
    if (rc)
        return rc;
    for (int64_t i = 0; i < t->n_row; i++) {
        int64_t last = table_cell(t, i, 0)->u.i, high = b->layers ? table_cell(t, i, 3)->u.i : last;
        last = high > last ? high : last;
        b->n_layer = last >= b->n_layer ? last + 1 : b->n_layer;
    }
    if (b->n_layer > MOST_ENTRIES) {
        table_free(t);
        return err_set(e, ERR_USAGE, "%" PRId64 " layers are more than a matrix shows", b->n_layer);
    }
    b->first = arena_alloc(&src->mem, (size_t)b->n_layer + 1, sizeof *b->first, e);
    layer_span *span = b->first ? mem_array((size_t)b->n_layer + 1, sizeof *span, e) : NULL;
    for (int64_t i = 0; span && i < t->n_row; i++)
        span[table_cell(t, i, 0)->u.i] = (layer_span){table_cell(t, i, 1)->u.i, table_cell(t, i, 2)->u.i,
                                                     table_cell(t, i, 3)->u.i};
    table_free(t);
    if (!span)
        return ERR_RESOURCE;
    rc = b->layers ? 0 : counted_heads_load(&c, st, src->run, attn_kind_name(b->kind), e);
    if (rc) {
        free(span);
        return rc;
    }
    /* heads of the first layer read nothing earlier, so that they have no rows of their own */
    if (b->m->scope == METRIC_WEIGHTS && span[0].heads == 0 && c.n == 0)
        span[0] = (layer_span){f->n_head, 0, -1};
    if (b->layers)
        b->n = b->n_layer;
    else if (!count_first(b, span, &c))
        find_first(b, span);
    free(c.head);
    free(span);
    if (b->n > MOST_ENTRIES) {
        err_set(e, ERR_USAGE, "%" PRId64 " heads are more than a matrix shows", b->n);
        return err_hint(e, "choose a layer: --layer 0");
    }
    return 0;
}

static int read_cells(between *b, figure_source *src, store *st, const cell *bind, err *e)
{
    table *t = NULL;
    size_t cells = (size_t)(b->n * b->n);
    const char *sql = figure_text(src, e,
        "SELECT layer, coalesce(head, 0), position, avg(value) FROM value_list WHERE run = ?1 AND metric = ?2 AND kind = ?3%s"
        " AND position IS NOT NULL AND layer IS NOT NULL GROUP BY layer, head, position", b->units.condition);
    int rc = sql ? store_query(st, &t, sql, bind, 3, e) : ERR_RESOURCE;
    if (!rc && !(src->cells = mem_array(cells, sizeof *src->cells, e)))
        rc = ERR_RESOURCE;
    for (size_t i = 0; !rc && i < cells; i++)
        src->cells[i] = NAN;
    for (int64_t i = 0; !rc && i < t->n_row; i++) {
        int64_t layer = table_cell(t, i, 0)->u.i, head = table_cell(t, i, 1)->u.i, col = table_cell(t, i, 2)->u.i;
        int64_t row = b->layers ? layer : b->first[layer] + head;
        if (row >= 0 && row < b->n && col >= 0 && col < b->n && row != col)
            src->cells[row * b->n + col] = (float)cell_number(table_cell(t, i, 3));
    }
    table_free(t);
    b->cells = src->cells;
    return rc;
}

/* --- one matrix --- */

/* Entries [from, from + n) in the order of clusters: what is alike stands side by side.  Distances are the values, or what
 * a similarity lacks to 1. */
static int cluster(int64_t *order, const between *b, int64_t from, int64_t n, const char *linkage, err *e)
{
    bool similar = strstr(b->m->name, "cosine") || strstr(b->m->name, "similarity");
    double *distance = mem_array((size_t)(n * n), sizeof *distance, e);
    cluster_merge *merge = distance ? mem_array((size_t)n, sizeof *merge, e) : NULL;
    cluster_linkage how = LINK_AVERAGE;
    int rc = merge ? 0 : ERR_RESOURCE;
    for (int i = 0; cluster_linkages[i]; i++)
        if (strcmp(cluster_linkages[i], linkage) == 0)
            how = (cluster_linkage)i;
    for (int64_t i = 0; i < n && !rc; i++)
        for (int64_t j = 0; j < n && !rc; j++) {
            double v = i == j ? 0 : ((double)b->cells[(from + i) * b->n + from + j] +
                                     (double)b->cells[(from + j) * b->n + from + i]) / 2;
            distance[i * n + j] = i == j ? 0 : similar ? fmax(1 - v, 0) : v;
            if (!isfinite(v)) {
                rc = err_set(e, ERR_FAILED, "%s lacks values for some pairs: they have no clustered order", b->m->name);
                err_hint(e, "draw it with --order natural");
            }
        }
    if (!rc && n > 1)
        rc = cluster_merges(merge, distance, n, how, e);
    if (!rc && n > 1)
        rc = cluster_order(order, merge, n, e);
    free(merge);
    free(distance);
    return rc;
}

static int64_t layer_of(const between *b, int64_t entry)
{
    int64_t l = 0;
    while (!b->layers && l + 1 < b->n_layer && entry >= b->first[l + 1])
        l++;
    return b->layers ? entry : l;
}

/* "L1H3", in one layer or between layers "3"; with group_size behind it the group that shares keys and values: "L1H3 kv1". */
static const char *entry_name(const between *b, figure_source *src, int64_t entry, bool one_layer, err *e)
{
    int64_t l = layer_of(b, entry);
    if (b->layers)
        return figure_text(src, e, "%" PRId64, entry);
    int64_t h = entry - b->first[l];
    const char *name = one_layer ? figure_text(src, e, "%" PRId64, h) : figure_text(src, e, "L%" PRId64 "H%" PRId64, l, h);
    return name && b->group_size ? figure_text(src, e, "%s kv%" PRId64, name, h / b->group_size) : name;
}

static int layer_lines(figure_groups *g, figure_source *src, const between *b, err *e)
{
    int64_t *starts = arena_alloc(&src->mem, (size_t)b->n_layer, sizeof *starts, e);
    if (!starts)
        return ERR_RESOURCE;
    for (int64_t l = 1; l < b->n_layer; l++)
        if (b->first[l] > 0)
            starts[g->n_row++] = b->first[l];
    g->row_starts = g->col_starts = starts;
    g->n_col = g->n_row;
    g->meaning = "between layers";
    return 0;
}

/* Entries [from, from + n) as a panel. */
static int make_panel(figure_panel *p, figure_source *src, const between *b, int64_t from, int64_t n, const command_args *a,
                      store *st, const figure_facts *f, err *e)
{
    bool clustered = strcmp(params_str(a->p, "order"), "clustered") == 0;
    bool one_layer = b->layers || layer_of(b, from) == layer_of(b, from + n - 1);
    int64_t *order = mem_array((size_t)n, sizeof *order, e);
    float *cells = order ? arena_alloc(&src->mem, (size_t)(n * n), sizeof *cells, e) : NULL;
    const char **name = cells ? arena_alloc(&src->mem, (size_t)n, sizeof *name, e) : NULL;
    int rc = name ? 0 : ERR_RESOURCE;
    for (int64_t i = 0; i < n && !rc; i++)
        order[i] = i;
    if (!rc && clustered)
        rc = cluster(order, b, from, n, params_str(a->p, "linkage"), e);
    for (int64_t i = 0; i < n && !rc; i++) {
        for (int64_t j = 0; j < n; j++)
            cells[i * n + j] = b->cells[(from + order[i]) * b->n + from + order[j]];
        if (!(name[i] = entry_name(b, src, from + order[i], one_layer, e)))
            rc = ERR_RESOURCE;
    }
    free(order);
    if (rc)
        return rc;
    bool plain = one_layer && !clustered; /* numbers from 0 */
    p->m = (figure_matrix){n, n, cells, plain ? NULL : name, plain ? NULL : name};
    if (!clustered && !one_layer)
        return layer_lines(&p->groups, src, b, e);
    if (!clustered && !b->layers)
        return figure_head_groups(&p->groups, src, st, f, b->kind, true, e);
    return 0;
}

/* Layers with a matrix of their own. */
static int64_t layers_within(const between *b)
{
    int64_t n = 0;
    for (int64_t l = 0; l < b->n_layer; l++)
        n += b->first[l + 1] - b->first[l] >= 2;
    return n;
}

/* A panel for each layer that has values. */
static int make_panels(figure_source *src, const between *b, const command_args *a, store *st, const figure_facts *f, err *e)
{
    figure_panels *panels = arena_alloc(&src->mem, 1, sizeof *panels, e);
    figure_panel *panel = panels ? arena_alloc(&src->mem, (size_t)b->n_layer, sizeof *panel, e) : NULL;
    int rc = panel ? 0 : ERR_RESOURCE;
    for (int64_t l = 0; l < b->n_layer && !rc; l++) {
        int64_t n = b->first[l + 1] - b->first[l];
        if (n < 2)
            continue;
        rc = make_panel(&panel[panels->n], src, b, b->first[l], n, a, st, f, e);
        if (!rc && !(panel[panels->n].title = figure_text(src, e, "layer %" PRId64, l)))
            rc = ERR_RESOURCE;
        panels->n++;
    }
    if (rc)
        return rc;
    panels->panel = panel;
    src->d.panels = panels;
    return 0;
}

static int make_matrix(figure_source *src, const between *b, const command_args *a, store *st, const figure_facts *f, err *e)
{
    figure_panel one = {.m = {.rows = 0}};
    int64_t from = 0, n = b->n;
    if (params_given(a->p, "layer")) {
        int64_t l = params_int(a->p, "layer");
        if (b->layers || l >= b->n_layer || b->first[l + 1] - b->first[l] < 2) {
            err_set(e, ERR_USAGE, "run %" PRId64 " has no %s between heads of layer %" PRId64, src->run, b->m->name, l);
            return err_hint(e, "leave --layer out to draw what there is");
        }
        from = b->first[l];
        n = b->first[l + 1] - from;
    } else if (b->within && layers_within(b) <= PANELS_MOST) { /* else as blocks along the diagonal */
        return make_panels(src, b, a, st, f, e);
    }
    int rc = make_panel(&one, src, b, from, n, a, st, f, e);
    src->d.m = one.m;
    src->d.groups = one.groups;
    return rc;
}

/* A parameter of the metric as it was measured: option "jsd-unit" of the run's settings; NULL: not recorded. */
static int setting(const char **value, figure_source *src, store *st, const between *b, const char *what, err *e)
{
    char name[64];
    snprintf(name, sizeof name, "%s-%s", b->m->name, what);
    for (char *c = name; *c; c++)
        *c = *c == '_' ? '-' : *c;
    return figure_setting(value, src, st, src->run, name, e);
}

/* A divergence has a unit, and may be a root. */
static int put_quantity(figure_source *src, store *st, const between *b, err *e)
{
    const char *unit = NULL, *root = NULL;
    int rc = setting(&unit, src, st, b, "unit", e);
    if (!rc)
        rc = setting(&root, src, st, b, "root", e);
    if (rc)
        return rc;
    bool jsd = strncmp(b->m->name, "jsd", 3) == 0, rooted = jsd && root && strcmp(root, "none") != 0;
    const char *name = jsd ? rooted ? "Jensen-Shannon distance, root" : "Jensen-Shannon divergence"
        : figure_words(src, b->m->name, e);
    if (!name)
        return ERR_RESOURCE;
    src->d.quantity = rooted ? figure_text(src, e, "%s %s", name, root) : name;
    src->d.unit = jsd && !rooted ? (unit ? unit : "nats") : b->m->unit;
    return src->d.quantity ? 0 : ERR_RESOURCE;
}

static int put_words(figure_source *src, const between *b, const command_args *a, store *st, const figure_facts *f, err *e)
{
    figure_data *d = &src->d;
    bool weights = b->m->scope == METRIC_WEIGHTS, one = params_given(a->p, "layer") || d->panels;
    bool clustered = strcmp(params_str(a->p, "order"), "clustered") == 0;
    const char *order = clustered ? figure_text(src, e, "clustered order (%s linkage)%s", params_str(a->p, "linkage"),
                                              b->group_size ? "; kv: heads that share keys and values" : "")
                                  : "natural order";
    if (!order)
        return ERR_RESOURCE;
    const char *part = b->kind == ATTN_ENCODER ? "encoder " : b->kind == ATTN_CROSS ? "cross attention "
                        : b->kind == ATTN_VISION ? "image tower " : "";
    const char *what = figure_text(src, e, "%s%s", part, b->layers ? "layer" : one ? "head" : "head, all layers");
    const char *all = src->all ? src->all : figure_words(src, b->m->name, e);
    src->which = b->units.size;
    src->mean = b->units.n > 1;
    if (!what || !all)
        return ERR_RESOURCE;
    if (params_given(a->p, "layer"))
        d->title = figure_text(src, e, "%s, layer %" PRId64 " \xc2\xb7 %s", b->m->summary, params_int(a->p, "layer"), f->model);
    else
        d->title = figure_text(src, e, "%s \xc2\xb7 %s", b->m->summary, f->model);
    if (weights)
        d->subtitle = figure_text(src, e, "of the weights alone, run %" PRId64 "; %s", src->run, order);
    else
        d->subtitle = figure_text(src, e, "%s%s, run %" PRId64 "; %s", b->units.size, f->operated, src->run, order);
    if (weights)
        d->caption = figure_text(src, e, "%s, %s of the weights; %s; run %" PRId64, f->model, all, order, src->run);
    else
        d->caption = figure_text(src, e, "%s, %s; %s; mean over queries; %s%s; run %" PRId64, f->model, all,
                                 b->units.caption, order, f->operated, src->run);
    d->row_axis = weights ? "head that reads" : what;
    d->col_axis = weights ? "head that writes" : what;
    d->missing = weights ? "not an earlier head" : b->within && !one ? "itself, or in another layer" : "itself";
    int rc = put_quantity(src, st, b, e);
    if (rc)
        return rc;
    d->lo = d->hi = (double)NAN;
    if (b->m->axis == AXIS_HEAD && strncmp(b->m->name, "jsd", 3) == 0)
        d->lo = 0;
    d->pool = 1;
    src->label = mem_strdup(b->m->name, e);
    return d->title && d->subtitle && d->caption && src->label ? 0 : ERR_RESOURCE;
}

int figure_load_matrix(figure_source *src, const command_args *a, store *st, const figure_facts *f, err *e)
{
    between b = {0};
    int rc = choose_metric(&b.m, src, a, st, f, e);
    if (!rc)
        rc = figure_choose_units(&b.units, src, a, st, b.m->name, f, e);
    if (!rc)
        rc = choose_kind(&b, src, a, st, f, e);
    if (rc)
        return rc;
    b.layers = b.m->axis == AXIS_LAYER;
    const cell bind[] = {cell_int(src->run), cell_text(b.m->name), cell_text(attn_kind_name(b.kind))};
    rc = find_entries(&b, src, st, bind, f, e);
    if (!rc)
        rc = read_cells(&b, src, st, bind, e);
    if (!rc && !b.layers && strcmp(params_str(a->p, "order"), "clustered") == 0)
        rc = figure_group_size(&b.group_size, st, src->run, f, b.kind, e);
    if (!rc)
        rc = make_matrix(src, &b, a, st, f, e);
    return rc ? rc : put_words(src, &b, a, st, f, e);
}
