/* The values of a metric, layer by head, as the numbers of a figure. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "analysis/metric.h"
#include "base/mem.h"
#include "cli/command_util.h"
#include "cli/experiment.h"
#include "cli/figure_parts.h"
#include "cli/run_units.h"

static int choose_metric(const metric **m, figure_source *src, const command_args *a, store *st,
                         const figure_facts *f, err *e)
{
    const cell bind[] = {cell_int(src->run)};
    const char *name = params_str(a->p, "metric");
    table *t = NULL;
    int rc = name ? run_metric(m, &src->mem, st, src->run, name, e) : 0;
    if (!rc && name && !figure_of_heads(*m)) {
        rc = err_set(e, ERR_USAGE, "%s has no values per head", name);
        err_hint(e, "`top %s` ranks its values", name);
    }
    if (rc)
        return rc;
    rc = store_query(st, &t, HEAD_METRICS_SQL, bind, 1, e);
    if (rc)
        return rc;
    strbuf have = {0};
    bool there = false;
    for (int64_t i = 0; i < t->n_row; i++) {
        const char *stored = cell_string(table_cell(t, i, 0));
        strbuf_printf(&have, "%s%s", i ? ", " : "", stored);
        there |= name && strcmp(stored, name) == 0;
    }
    if (!name && t->n_row == 1) {
        rc = run_metric(m, &src->mem, st, src->run, cell_string(table_cell(t, 0, 0)), e);
    } else if (!name && t->n_row > 1) {
        rc = err_set(e, ERR_USAGE, "run %" PRId64 " holds several metrics: which?", src->run);
        err_hint(e, "add --metric, one of %s", strbuf_str(&have));
    } else if (!there) {
        rc = t->n_row ? err_set(e, ERR_FAILED, "run %" PRId64 " has no values of %s (it has %s)", src->run,
                                name, strbuf_str(&have))
                      : err_set(e, ERR_FAILED, "run %" PRId64 " holds no values of heads", src->run);
        figure_hint_metric(st, f->path, name ? name : metric_defaults, e);
    }
    strbuf_free(&have);
    table_free(t);
    return rc;
}

/* What is drawn: one kind of attention of one prompt or several, and its layers and heads. */
typedef struct extent { char kind[8]; figure_units units; int64_t n_layer, n_head; } extent;

/* The kind asked for, else that of the stack that gives the logits, else the only one there is. */
static int choose_kind(extent *x, figure_source *src, const command_args *a, store *st, const metric *m,
                       const figure_facts *f, err *e)
{
    const char *asked = params_str(a->p, "kind"), *want = asked ? asked : attn_kind_name(f->main);
    *x = (extent){.n_layer = 0};
    int rc = figure_choose_units(&x->units, src, a, st, m->name, f, e);
    if (rc)
        return rc;
    const cell bind[] = {cell_int(src->run), cell_text(m->name)};
    table *t = NULL;
    strbuf have = {0};
    const char *sql = figure_text(src, e, "SELECT kind, max(layer) + 1, max(head) + 1 FROM head_value WHERE run = ?1"
                                  " AND metric = ?2%s GROUP BY kind ORDER BY kind", x->units.condition);
    rc = sql ? store_query(st, &t, sql, bind, 2, e) : ERR_RESOURCE;
    if (rc)
        return rc;
    for (int64_t i = 0; i < t->n_row; i++) {
        const char *kind = cell_string(table_cell(t, i, 0));
        strbuf_printf(&have, "%s%s", i ? ", " : "", kind);
        if (strcmp(kind, want) != 0 && (asked || t->n_row > 1))
            continue;
        snprintf(x->kind, sizeof x->kind, "%s", kind);
        x->n_layer = table_cell(t, i, 1)->u.i;
        x->n_head = table_cell(t, i, 2)->u.i;
    }
    if (!x->kind[0]) {
        rc = x->units.n > 1 ? err_set(e, ERR_USAGE, "run %" PRId64 " has no %s of kind %s", src->run, m->name, want)
                            : err_set(e, ERR_USAGE, "prompt %" PRId64 " of run %" PRId64 " has no %s of kind %s",
                                      x->units.prompt, src->run, m->name, want);
        if (have.len)
            err_hint(e, "it has kinds %s", strbuf_str(&have));
        else
            err_hint(e, "`show %" PRId64 "` says what the run measured", src->run);
    } else if (strcmp(x->kind, attn_kind_name(f->main)) == 0) { /* layers without values are drawn too */
        x->n_layer = f->n_layer > x->n_layer ? f->n_layer : x->n_layer;
        x->n_head = f->n_head > x->n_head ? f->n_head : x->n_head;
    }
    strbuf_free(&have);
    table_free(t);
    return rc;
}

/* The position that is drawn: the one asked for, else "over all queries", else the first there is. */
static int choose_position(int64_t *position, figure_source *src, const command_args *a, store *st,
                           const metric *m, const extent *x, err *e)
{
    bool given = params_given(a->p, "position");
    const cell bind[] = {cell_int(src->run), cell_text(m->name), cell_text(x->kind)};
    table *t = NULL;
    const char *sql = figure_text(src, e, "SELECT DISTINCT position FROM head_value WHERE run = ?1 AND metric = ?2 AND kind = ?3"
                                  "%s ORDER BY position LIMIT 1000", x->units.condition);
    int rc = sql ? store_query(st, &t, sql, bind, 3, e) : ERR_RESOURCE;
    if (rc)
        return rc;
    bool found = false;
    strbuf have = {0};
    for (int64_t i = 0; i < t->n_row && !found; i++) {
        const cell *c = table_cell(t, i, 0);
        *position = index_of_cell(c);
        found = !given || *position == params_int(a->p, "position");
        if (i < 8 && c->kind == CELL_INT)
            strbuf_printf(&have, "%s%" PRId64, have.len ? ", " : "", c->u.i);
    }
    if (!found) {
        rc = err_set(e, ERR_USAGE, "run %" PRId64 " has no %s at position %" PRId64, src->run, m->name,
                     params_int(a->p, "position"));
        err_hint(e,
                 have.len ? "it has positions %s" : "leave --position out: its values are over all queries",
                 strbuf_str(&have));
    }
    strbuf_free(&have);
    table_free(t);
    return rc;
}

/* Ends of a metric's range "0 .. 1"; NaN where there is none. */
static void ends_of(double *lo, double *hi, const char *range)
{
    *lo = *hi = (double)NAN;
    char text[64];
    snprintf(text, sizeof text, "%s", range);
    char *dots = strstr(text, "..");
    if (!dots)
        return;
    char *end = dots, *right = dots + 2 + strspn(dots + 2, " ");
    while (end > text && end[-1] == ' ')
        end--;
    *end = '\0';
    double v;
    if (parse_real(&v, text))
        *lo = v;
    if (parse_real(&v, right))
        *hi = v;
}

/* Bytes of a metric's summary without ", ... by default": here the parameters are known. */
static int what_is_drawn(const metric *m)
{
    static const char tail[] = " by default";
    size_t n = strlen(m->summary), k = sizeof tail - 1;
    if (n > k && strcmp(m->summary + n - k, tail) == 0)
        for (size_t i = n; i > 0; i--)
            if (m->summary[i] == ',')
                return (int)i;
    return (int)n;
}

/* What the colours show, where the metric's name does not say it. */
static const char *quantity_of(const metric *m, const char *words)
{
    return strcmp(m->name, "sink") == 0 ? "alpha (mean attention weight)" : words;
}

int figure_group_size(int64_t *size, store *st, int64_t run, const figure_facts *f, attn_kind kind, err *e)
{
    const cell bind[] = {cell_int(run)};
    int64_t shared = 0;
    *size = 0;
    if (kind != f->main)
        return 0;
    int rc = query_count(&shared, st, "SELECT m.n_kv_head FROM run r JOIN model m ON m.id = r.model_id WHERE r.id = ?1", bind, 1,
                         e);
    if (!rc && shared > 0 && shared < f->n_head && f->n_head % shared == 0)
        *size = f->n_head / shared;
    return rc;
}

int figure_head_groups(figure_groups *out, figure_source *src, store *st, const figure_facts *f, attn_kind kind,
                       bool rows, err *e)
{
    int64_t size;
    *out = (figure_groups){0};
    int rc = figure_group_size(&size, st, src->run, f, kind, e);
    int64_t shared = size ? f->n_head / size : 0;
    if (rc || shared < 2) /* one group for all: there is no line between groups */
        return rc;
    int64_t *starts = arena_alloc(&src->mem, (size_t)shared, sizeof *starts, e);
    if (!starts)
        return ERR_RESOURCE;
    for (int64_t i = 1; i < shared; i++)
        starts[i - 1] = i * size;
    out->col_starts = starts;
    out->n_col = shared - 1;
    if (rows) {
        out->row_starts = starts;
        out->n_row = shared - 1;
    }
    out->meaning = figure_text(src, e, "between groups of %" PRId64 " heads that share keys and values", size);
    return out->meaning ? 0 : ERR_RESOURCE;
}

int figure_load_values(figure_source *src, const command_args *a, store *st, const figure_facts *f, err *e)
{
    const metric *m;
    extent x;
    int64_t position = NO_INDEX;
    table *t = NULL;
    figure_data *d = &src->d;
    int rc = choose_metric(&m, src, a, st, f, e);
    if (!rc)
        rc = choose_kind(&x, src, a, st, m, f, e);
    if (!rc)
        rc = choose_position(&position, src, a, st, m, &x, e);
    if (rc)
        return rc;
    const cell bind[] = {cell_int(src->run), cell_text(m->name), cell_index(position), cell_text(x.kind)};
    const char *words = figure_words(src, m->name, e);
    const char *sql = figure_text(src, e, "SELECT layer, head, avg(value) FROM head_value WHERE run = ?1 AND metric = ?2"
                                  " AND position IS ?3 AND kind = ?4%s GROUP BY layer, head", x.units.condition);
    rc = sql && words ? store_query(st, &t, sql, bind, 4, e) : ERR_RESOURCE;
    size_t count = 0;
    if (!rc && !size_mul(&count, (size_t)x.n_layer, (size_t)x.n_head))
        rc = err_nomem(e, "figure");
    if (!rc && !(src->cells = mem_array(count, sizeof *src->cells, e)))
        rc = ERR_RESOURCE;
    for (size_t i = 0; !rc && i < count; i++)
        src->cells[i] = NAN;
    for (int64_t i = 0; !rc && i < t->n_row; i++) {
        int64_t layer = table_cell(t, i, 0)->u.i, head = table_cell(t, i, 1)->u.i;
        if (layer < x.n_layer && head < x.n_head)
            src->cells[layer * x.n_head + head] = (float)cell_number(table_cell(t, i, 2));
    }
    table_free(t);
    if (rc)
        return rc;
    d->m = (figure_matrix){x.n_layer, x.n_head, src->cells, NULL, NULL};
    d->title = position == NO_INDEX
                   ? figure_text(src, e, "%s \xc2\xb7 %s", words, f->model)
                   : figure_text(src, e, "%s of key %" PRId64 " \xc2\xb7 %s", words, position, f->model);
    src->which = x.units.size;
    src->mean = x.units.n > 1;
    d->subtitle = figure_text(src, e, "%s%s, run %" PRId64 "; %.*s", src->which, f->operated, src->run, what_is_drawn(m),
                              m->summary);
    d->row_axis = figure_layer_axis(attn_kind_named(x.kind, f->main));
    d->col_axis = "head";
    d->quantity = quantity_of(m, words);
    d->unit = m->unit;
    ends_of(&d->lo, &d->hi, m->range);
    d->pool = 1;
    if ((rc = figure_head_groups(&d->groups, src, st, f, attn_kind_named(x.kind, f->main), false, e)))
        return rc;
    const char *where = position == NO_INDEX ? "over all queries" : figure_text(src, e, "at position %" PRId64, position);
    if (!where)
        return ERR_RESOURCE;
    d->caption = figure_text(src, e, "%s, %s; %s; %s%s; run %" PRId64, f->model,
                             src->all ? src->all : words, x.units.caption, where, f->operated, src->run);
    src->label = mem_strdup(m->name, e);
    return d->title && d->subtitle && d->caption && src->label ? 0 : ERR_RESOURCE;
}
