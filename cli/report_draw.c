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
    int rc = f->grid ? report_grid_load(src, b, f->grid, e) : figure_source_load(src, b->s, &a, b->st, f->recipe, a.line, e);
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
