/* The charts of a figure, and what is written around them: names of the axes, titles, notes. */
#include <string.h>

#include "plots/chart.h"
#include "plots/frame.h"

int chart_count(const figure_data *d)
{
    return d->charts ? d->charts->n : d->chart ? 1 : 0;
}

const figure_chart *chart_at(const figure_data *d, int i)
{
    return d->charts ? &d->charts->chart[i] : d->chart;
}

figure_data chart_alone(const figure_data *d, int i)
{
    figure_data one = *d;

    one.chart = chart_at(d, i);
    one.charts = NULL;
    if (d->charts && d->charts->quantities) {
        one.quantity = d->charts->quantities[i];
        one.unit = NULL;
    }
    return one;
}

int chart_check(const figure_data *d, err *e)
{
    if (chart_count(d) > PANELS_MOST) {
        err_set(e, ERR_USAGE, "%d panels: a page holds at most %d", chart_count(d), PANELS_MOST);
        return err_hint(e, "draw several figures");
    }
    for (int i = 0; i < chart_count(d); i++) {
        int n = chart_at(d, i)->n_series;
        if (n < 1)
            return err_set(e, ERR_FAILED, "nothing to draw: there is no series");
        if (n > CHART_MAX_SERIES)
            return err_set(e, ERR_FAILED, "%d series are too many for one chart (at most %d)", n, CHART_MAX_SERIES);
        if (!chart_at(d, i)->groups != !chart_at(d, 0)->groups)
            return err_set(e, ERR_FAILED, "charts over groups and over numbers have no axis in common");
    }
    return chart_count(d) ? 0 : err_set(e, ERR_FAILED, "nothing to draw: there is no series");
}

/* --- names --- */

void chart_put_x_name(strbuf *b, const figure_data *d, const chart_axis *x)
{
    strbuf_puts(b, d->col_axis ? d->col_axis : "");
    if (d->col_axis && x->shift > 0)
        strbuf_puts(b, " + 1");
}

void chart_put_y_name(strbuf *b, const figure_data *d)
{
    strbuf_puts(b, d->quantity && *d->quantity ? d->quantity : "value");
    if (d->unit && *d->unit)
        strbuf_printf(b, " (%s)", d->unit);
}

void chart_put_title(strbuf *b, const figure_charts *c, int i)
{
    frame_put_panel(b, c->titles ? c->titles[i] : NULL, i, c->n);
}

/* The notes of all charts: once where all say the same, else each behind its letter. */
static void put_notes(strbuf *b, const figure_data *d)
{
    const char *first = chart_at(d, 0)->note;
    bool same = true;

    for (int i = 1; i < chart_count(d); i++) {
        const char *note = chart_at(d, i)->note;
        same &= strcmp(first ? first : "", note ? note : "") == 0;
    }
    for (int i = 0; i < (same ? 1 : chart_count(d)); i++) {
        const char *note = chart_at(d, i)->note;
        if (!note || !*note)
            continue;
        strbuf_puts(b, b->len ? "; " : "");
        if (!same) {
            frame_put_panel(b, NULL, i, chart_count(d));
            strbuf_putc(b, ' ');
        }
        strbuf_puts(b, note);
    }
}

void chart_put_note(strbuf *b, const figure_data *d, const chart_axis *x, const chart_axis *y)
{
    const int64_t off = x->off + y->off;

    put_notes(b, d);
    if (off)
        strbuf_printf(b, "%s%lld value%s of 0 or below not shown", b->len ? "; " : "", (long long)off,
                      off == 1 ? "" : "s");
    if (y->outside)
        strbuf_printf(b, "%s%lld value%s outside the axes", b->len ? "; " : "", (long long)y->outside,
                      y->outside == 1 ? "" : "s");
    if (y->cut)
        strbuf_printf(b, "%sbands that reach further down are cut", b->len ? "; " : "");
}
