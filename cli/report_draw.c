/* Figures of a report: their rows, and what they show in words. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "analysis/metric.h"
#include "base/mem.h"
#include "cli/experiment.h"
#include "cli/figure_parts.h"
#include "cli/report.h"
#include "plots/chart_data.h"

/* ---- means of many prompts, layer by head ---- */

struct report_grid {
    int64_t run, layers, heads;
    attn_kind kind;
    const char *column, *words;  /* "the 61 prompts of set text" */
    const char *quantity, *unit, *range, *summary;
    float *cells;                /* [layers, heads] NaN: no such head */
};

/* The kind of attention with the most rows: that of the table of an ordinary model. */
static attn_kind main_kind(const table *t)
{
    int64_t n[ATTN_VISION + 1] = {0};
    attn_kind most = ATTN_SELF;
    head_id h;
    for (int64_t i = 0; i < t->n_row; i++)
        if (head_parse(&h, cell_string(table_cell(t, i, 0))) && ++n[h.kind] > n[most])
            most = h.kind;
    return most;
}

int report_grid_make(report_grid **out, report_build *b, const report_run *r, int column, err *e)
{
    const table *t = r->heads;
    const char *name = t->column[column];
    const metric *m = report_column_metric(name);
    const report_term *term = m ? NULL : report_term_find(name);
    char *condition = NULL;
    size_t count = 0;
    head_id h;
    *out = NULL;
    report_grid *g = arena_alloc(&b->doc->mem, 1, sizeof *g, e);
    if (!g)
        return ERR_RESOURCE;
    *g = (report_grid){.run = r->id, .kind = main_kind(t), .column = report_print(b->doc, "%s", name), .words = "",
                       .unit = strcmp(name, "sink_rate") == 0 ? "" : m ? m->unit : term ? term->unit : "",
                       .range = m ? m->range : term ? term->range : "", .summary = m ? m->summary : ""};
    g->quantity = strcmp(name, "sink") == 0        ? "alpha (mean attention weight)"
                  : strcmp(name, "sink_rate") == 0 ? "share of texts"
                                                   : g->column;
    int rc = report_units(&condition, &g->words, b, r, m ? m->name : name, e);
    free(condition);
    if (rc)
        return rc;
    for (int64_t i = 0; i < t->n_row; i++)
        if (head_parse(&h, cell_string(table_cell(t, i, 0))) && h.kind == g->kind) {
            g->layers = h.layer >= g->layers ? h.layer + 1 : g->layers;
            g->heads = h.head >= g->heads ? h.head + 1 : g->heads;
        }
    if (!g->layers || !size_mul(&count, (size_t)g->layers, (size_t)g->heads))
        return 0;
    if (!(g->cells = arena_alloc(&b->doc->mem, count, sizeof *g->cells, e)))
        return ERR_RESOURCE;
    for (size_t i = 0; i < count; i++)
        g->cells[i] = NAN;
    for (int64_t i = 0; i < t->n_row; i++)
        if (head_parse(&h, cell_string(table_cell(t, i, 0))) && h.kind == g->kind)
            g->cells[h.layer * g->heads + h.head] = (float)cell_number(table_cell(t, i, column));
    *out = g;
    return 0;
}

static int load_grid(figure_source *src, report_build *b, const report_grid *g, err *e)
{
    const cell bind[] = {cell_int(g->run)};
    figure_facts f;
    table *t = NULL;
    figure_data *d = &src->d;
    *src = (figure_source){.run = g->run};
    int64_t prompt = 0;
    int rc = store_query(b->st, &t, "SELECT min(prompt_index) FROM unit WHERE run_id = ?1", bind, 1, e);
    if (!rc && t->n_row)
        prompt = index_of_cell(table_cell(t, 0, 0));
    table_free(t);
    if (!rc)
        rc = figure_read_facts(&f, src, b->st, prompt, e);
    if (rc)
        return rc;
    d->m = (figure_matrix){g->layers, g->heads, g->cells, NULL, NULL};
    d->title = figure_text(src, e, "%s \xc2\xb7 %s", g->column, f.model);
    d->subtitle = figure_text(src, e, "mean over %s, %s, run %" PRId64 "%s%s", g->words, f.operator_name, g->run,
                              *g->summary ? "; " : "", g->summary);
    d->row_axis = figure_layer_axis(g->kind);
    d->col_axis = "head";
    d->quantity = g->quantity;
    d->unit = g->unit;
    d->lo = strncmp(g->range, "0 ..", 4) == 0 ? 0 : strncmp(g->range, "-1 .. 1", 7) == 0 ? -1 : (double)NAN;
    d->hi = strcmp(g->range, "0 .. 1") == 0 || strcmp(g->range, "-1 .. 1") == 0 ? 1 : (double)NAN;
    d->pool = 1;
    d->caption = figure_text(src, e, "%s: mean over %s, head by head; run %" PRId64, g->column, g->words, g->run);
    if (!d->title || !d->subtitle || !d->caption)
        return ERR_RESOURCE;
    rc = figure_head_groups(&d->groups, src, b->st, &f, g->kind, false, e);
    return rc ? rc : figure_put_provenance(src, &f, &g->run, 1, b->opt->command, e);
}

/* ---- in words ---- */

static void put_place(strbuf *b, const figure_data *d, const figure_matrix *m, int64_t at)
{
    int64_t row = at / m->cols, col = at % m->cols;
    const char *of_row = d->row_axis ? d->row_axis : "row", *of_col = d->col_axis ? d->col_axis : "column";
    if (m->row_labels && m->row_labels[row])
        strbuf_printf(b, "%s %s", of_row, m->row_labels[row]);
    else
        strbuf_printf(b, "%s %" PRId64, of_row, row);
    if (m->col_labels && m->col_labels[col])
        strbuf_printf(b, ", %s %s", of_col, m->col_labels[col]);
    else
        strbuf_printf(b, ", %s %" PRId64, of_col, col);
}

static void put_matrix(strbuf *b, const figure_data *d, const figure_matrix *m)
{
    int64_t low = -1, high = -1, n = 0;
    for (int64_t i = 0; i < m->rows * m->cols; i++) {
        if (isnan(m->cells[i]))
            continue;
        n++;
        low = low < 0 || m->cells[i] < m->cells[low] ? i : low;
        high = high < 0 || m->cells[i] > m->cells[high] ? i : high;
    }
    strbuf_printf(b, " %" PRId64 " rows by %" PRId64 " columns", m->rows, m->cols);
    if (n == 0)
        return;
    strbuf_printf(b, ", from %.3g to %.3g; highest at ", m->cells[low], m->cells[high]);
    put_place(b, d, m, high);
    strbuf_putc(b, '.');
}

static void put_chart(strbuf *b, const figure_chart *c)
{
    enum { MOST = 6 };
    for (int i = 0; i < c->n_series && i < MOST; i++) {
        const figure_series *f = &c->series[i];
        double low = INFINITY, high = -INFINITY;
        for (int64_t k = 0; k < f->n; k++) {
            low = f->y[k] < low ? f->y[k] : low;
            high = f->y[k] > high ? f->y[k] : high;
        }
        if (low <= high)
            strbuf_printf(b, " %s: %" PRId64 " points from %.3g to %.3g.", f->label ? f->label : "Series", f->n, low, high);
    }
    if (c->note)
        strbuf_printf(b, " %s.", c->note);
}

static void put_alt(strbuf *b, const report_figure *f, const figure_data *d)
{
    strbuf_printf(b, "%s: %s. ", f->recipe->name, f->recipe->summary);
    if (d->title)
        strbuf_printf(b, "%s. ", d->title);
    strbuf_printf(b, "%s%s%s%s:", d->quantity ? d->quantity : "values", d->unit && *d->unit ? " (" : "",
                  d->unit ? d->unit : "", d->unit && *d->unit ? ")" : "");
    if (d->chart)
        put_chart(b, d->chart);
    for (int i = 0; d->charts && i < d->charts->n; i++)
        put_chart(b, &d->charts->chart[i]);
    if (d->panels) {
        strbuf_printf(b, " %d panels.", d->panels->n);
        for (int i = 0; i < d->panels->n && i < 4; i++)
            if (d->panels->panel[i].m.cells) {
                strbuf_printf(b, " %s:", d->panels->panel[i].title ? d->panels->panel[i].title : "Panel");
                put_matrix(b, d, &d->panels->panel[i].m);
            }
    } else if (d->m.cells) {
        put_matrix(b, d, &d->m);
    }
}

int report_figure_load(figure_source *src, strbuf *alt, report_build *b, const report_figure *f, err *e)
{
    const char *const words[] = {f->recipe->name, NULL};
    const command_args a = {.n = 1, .word = words, .p = f->p, .line = f->command ? f->command : ""};
    int rc = f->grid ? load_grid(src, b, f->grid, e) : figure_source_load(src, b->s, &a, b->st, f->recipe, a.line, e);
    if (rc) {
        if (f->grid)
            figure_source_free(src);
        return rc;
    }
    if (alt) {
        strbuf raw = {0};
        put_alt(&raw, f, &src->d);
        const char *text = raw.failed ? NULL : report_visible(b->doc, strbuf_str(&raw), false);
        strbuf_free(&raw);
        if (text)
            strbuf_puts(alt, text);
        else
            alt->failed = true;
    }
    return 0;
}
