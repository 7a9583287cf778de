/* Words of an interactive view. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cli/command_util.h"
#include "cli/view_window.h"
#include "plots/label.h"

const char *const view_keys[] = {
    "arrows", "move the cursor",
    "PgUp PgDn", "a page up, down",
    "Shift arrows", "a page any way",
    "H J K L", "a page left, down, up, right",
    "Home End", "first, last column",
    "+ -", "zoom in, out",
    "0", "the whole map",
    "[ ]", "layer before, behind",
    ", . or < >", "head or panel before, behind",
    "p n", "metric before, behind",
    "g", "go to query,key",
    "/ f", "find key, query token",
    "m", "blocks: mean or max",
    "l c", "log or linear; colour map",
    "s", "save as plot does",
    "q Esc", "leave",
    NULL,
};

void view_text(view_line *l, const char *text, int most)
{
    strbuf safe = {0}, cut = {0};
    if (l->ascii)
        label_put_ascii(&safe, text);
    else
        label_put_visible(&safe, text);
    most = most < l->most - l->used ? most : l->most - l->used;
    if (most > 0 && *text)
        label_put_cut(&cut, strbuf_str(&safe), most, l->ascii);
    strbuf_puts(&l->b, strbuf_str(&cut));
    l->used += label_columns(strbuf_str(&cut));
    l->b.failed |= safe.failed || cut.failed;
    strbuf_free(&safe);
    strbuf_free(&cut);
}

void view_blanks(view_line *l, int n)
{
    for (; n > 0 && l->used < l->most; n--, l->used++)
        strbuf_putc(&l->b, ' ');
}

void view_put_float(strbuf *b, float v)
{
    char text[48] = "";
    for (int digits = 1; digits <= 9; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, (double)v);
        if (strtof(text, NULL) == v)
            break;
    }
    strbuf_puts(b, text);
}

static void put_all(view_line *l, strbuf *b)
{
    view_text(l, strbuf_str(b), l->most);
    l->b.failed |= b->failed;
    strbuf_free(b);
}

/* --- a map --- */

/* One end of the cursor: "query 12 "dark"", "queries 32 to 39 "dark" ...". */
typedef struct end { const char *axis, *label; int64_t first, last; bool of_tokens; } end;

static end end_of(const view_window *w, bool rows)
{
    const view_page *p = &w->book.page;
    const figure_matrix *m = &p->d.m;
    const char *const *labels = rows ? m->row_labels : m->col_labels;
    int64_t at = rows ? w->row : w->col, n = rows ? p->map.rows : p->map.cols;
    int64_t span = p->d.pool > 1 ? p->d.pool : 1, after = at + w->pool < n ? at + w->pool : n;
    bool of_tokens = p->weights || strcmp(w->book.f->needs, "map") == 0;
    end x = {rows ? p->d.row_axis : p->d.col_axis, NULL, at * span, after * span - 1, of_tokens};
    if (p->weights) {
        int64_t length = rows ? p->stored.n_query : p->stored.n_key;
        x.last = x.last < length ? x.last : length - 1;
        x.label = labels[x.first];
    } else if (labels && (of_tokens || w->pool == 1)) {
        x.label = labels[at];
    }
    return x;
}

static void put_number(strbuf *b, const end *x)
{
    strbuf_printf(b, "%s %" PRId64, x->axis ? x->axis : "", x->first);
    if (x->last > x->first)
        strbuf_printf(b, "-%" PRId64, x->last);
}

void view_put_place(view_line *l, const view_window *w)
{
    const end ends[2] = {end_of(w, true), end_of(w, false)};
    strbuf fixed = {0};
    for (int i = 0; i < 2; i++)
        put_number(&fixed, &ends[i]);
    int room = (l->most - label_columns(strbuf_str(&fixed)) - 8) / 2; /* quotes and blanks between */
    l->b.failed |= fixed.failed;
    strbuf_free(&fixed);
    for (int i = 0; i < 2; i++) {
        strbuf b = {0};
        const end *x = &ends[i];
        if (!x->of_tokens && x->label)
            strbuf_printf(&b, "%s %s", x->axis ? x->axis : "", x->label);
        else
            put_number(&b, x);
        view_blanks(l, i ? 2 : 0);
        put_all(l, &b);
        if (!x->of_tokens || !x->label || room < 1)
            continue;
        view_blanks(l, 1);
        view_text(l, "\"", 1);
        view_text(l, x->label, room);
        view_text(l, "\"", 1);
    }
}

/* "rank 2 of 48", the largest first. */
static void put_rank(strbuf *b, const view_map *m, float v)
{
    int64_t above = 0;
    for (int64_t i = 0; i < m->rows * m->cols; i++)
        above += m->cells[i] > v;
    strbuf_printf(b, ", rank %" PRId64 " of %" PRId64, above + 1, m->n_finite);
}

void view_put_value(view_line *l, const view_window *w)
{
    const view_page *p = &w->book.page;
    int64_t masked = 0;
    strbuf b = {0};
    float v = view_map_block(&p->map, w->row, w->col, w->pool, w->how, &masked);
    strbuf_puts(&b, p->weights ? "weight " : p->d.quantity ? p->d.quantity : "value");
    strbuf_puts(&b, p->weights ? "" : " ");
    if (isnan(v)) {
        strbuf_puts(&b, p->weights ? "masked" : "none");
        if (!p->weights && p->d.missing)
            strbuf_printf(&b, " (%s)", p->d.missing);
    } else {
        view_put_float(&b, v);
        if (p->d.unit && *p->d.unit)
            strbuf_printf(&b, " %s", p->d.unit);
    }
    const char *how = w->how == POOL_MAX ? "max" : "mean";
    if (w->pool > 1 && !isnan(v))
        strbuf_printf(&b, ", %s of %" PRId64 " x %" PRId64, how, w->pool, w->pool);
    if (w->pool > 1 && !isnan(v) && masked)
        strbuf_printf(&b, " without %" PRId64 " masked", masked);
    if (p->d.pool > 1)
        strbuf_printf(&b, ", stored as %s of %" PRId64 " x %" PRId64, p->d.pooling ? p->d.pooling : "mean", p->d.pool,
                      p->d.pool);
    if (!p->weights && w->pool == 1 && !isnan(v))
        put_rank(&b, &p->map, v);
    put_all(l, &b);
}

void view_put_state(view_line *l, const view_window *w)
{
    const view_book *k = &w->book;
    const params *p = k->a->p;
    strbuf b = {0};
    if (k->n_head) {
        head_text name;
        head_format(name, k->page.head);
        strbuf_printf(&b, "%s (%d of %d)  ", name, k->at_head + 1, k->n_head);
    } else if (k->n_panel) {
        strbuf_printf(&b, "panel %d of %d  ", k->at_panel + 1, k->n_panel);
    }
    if (k->at_metric != NO_INDEX)
        strbuf_printf(&b, "%s  ", cell_string(table_cell(k->metrics, k->at_metric, 0)));
    if (!k->page.d.chart && w->pool > 1)
        strbuf_printf(&b, "%s %" PRId64 "x%" PRId64 "  ", w->how == POOL_MAX ? "max" : "mean", w->pool, w->pool);
    else if (!k->page.d.chart)
        strbuf_puts(&b, "1x1  ");
    if (!k->page.d.chart)
        strbuf_printf(&b, "%s %s%s  ", params_str(p, "norm"), w->sc.palette.map->name, w->sc.palette.reversed ? "_r" : "");
    int room = l->most - 7;
    view_text(l, strbuf_str(&b), room);
    l->b.failed |= b.failed;
    strbuf_free(&b);
    view_text(l, "? help", 6);
}

/* --- a chart --- */

static void put_point(strbuf *b, const figure_series *s, double x)
{
    for (int64_t i = 0; i < s->n; i++) {
        if (s->x[i] != x)
            continue;
        if (!isfinite(s->y[i])) {
            strbuf_puts(b, "no value");
            return;
        }
        strbuf_put_real(b, s->y[i]);
        if (s->low && isfinite(s->low[i]) && isfinite(s->high[i])) {
            strbuf_puts(b, " (");
            strbuf_put_real(b, s->low[i]);
            strbuf_puts(b, " to ");
            strbuf_put_real(b, s->high[i]);
            strbuf_puts(b, ")");
        }
        return;
    }
    strbuf_puts(b, "no value");
}

void view_put_series(view_line *l, const view_window *w, int i)
{
    const figure_data *d = &w->book.page.d;
    const figure_chart *c = d->chart;
    strbuf b = {0};
    if (i == 0) { /* the place */
        strbuf_printf(&b, "%s ", d->col_axis ? d->col_axis : "x");
        if (c->groups && w->at_x < c->n_groups)
            strbuf_puts(&b, c->groups[w->at_x]);
        else
            strbuf_put_real(&b, w->x[w->at_x]);
    } else if (i <= c->n_series) {
        const figure_series *s = &c->series[(w->first + i - 1) % c->n_series];
        strbuf_printf(&b, "%s ", s->label ? s->label : d->quantity ? d->quantity : "y");
        put_point(&b, s, w->x[w->at_x]);
        if (d->unit && *d->unit)
            strbuf_printf(&b, " %s", d->unit);
    }
    put_all(l, &b);
}
