/* Bars in a terminal: a line each, with its number and interval. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "plots/chart_view.h"
#include "plots/label.h"

enum { MAX_NAME = 28 };

/* "L1H2  ████████▌  0.12 [0.1, 0.14]" */
static void put_bar(chart_terminal *v, const figure_series *f, int64_t k, int owner, const char *name, int name_columns,
                    int value_columns, double most)
{
    number_text y, lo, hi;
    char value[160];
    int room = v->size.columns - name_columns - value_columns - 2;

    chart_view_text(v, name, name_columns);
    chart_view_blanks(v, name_columns + 1 - v->used);
    double share = most > 0 && isfinite(f->y[k]) ? fabs(f->y[k]) / most : 0;
    int eighths = (int)round(share * room * 8);
    chart_view_begin(v, chart_view_colour(v, owner));
    for (int i = 0; i < eighths / 8; i++)
        chart_view_text(v, v->ascii ? (char[]){chart_view_letter(v, owner), '\0'} : "\u2588", 1);
    if (eighths % 8 && !v->ascii) {
        strbuf_put_utf8(v->out, 0x2590u - (uint32_t)(eighths % 8));
        v->used++;
    }
    chart_view_end(v);
    chart_view_blanks(v, 1);
    number_format(y, f->y[k], -1, !v->ascii);
    snprintf(value, sizeof value, "%s", isfinite(f->y[k]) ? y : "no value");
    if (f->low && isfinite(f->low[k]) && isfinite(f->high[k])) {
        number_format(lo, f->low[k], -1, !v->ascii);
        number_format(hi, f->high[k], -1, !v->ascii);
        snprintf(value, sizeof value, "%s [%s, %s]", y, lo, hi);
    }
    chart_view_text(v, value, v->size.columns);
    chart_view_end_line(v);
}

void chart_view_bars(chart_terminal *v, int lines)
{
    const figure_chart *c = v->d->chart;
    int name_columns = 1, value_columns = 26, n = chart_bars(c);
    double most = 0;

    for (int64_t g = 0; g < c->n_groups; g++)
        name_columns = label_columns(c->groups[g]) > name_columns ? label_columns(c->groups[g]) : name_columns;
    name_columns = name_columns > MAX_NAME ? MAX_NAME : name_columns;
    if (name_columns > v->size.columns / 3)
        name_columns = v->size.columns / 3;
    if (v->size.columns < name_columns + value_columns + 8)
        value_columns = v->size.columns / 3;
    for (int i = 0; i < c->n_series; i++)
        for (int64_t k = 0; k < c->series[i].n && c->series[i].kind == SERIES_BAR; k++)
            most = isfinite(c->series[i].y[k]) ? fmax(most, fabs(c->series[i].y[k])) : most;
    for (int64_t g = 0; g < c->n_groups; g++) {
        if (lines > 0 && n * (g + 2) > lines && g + 1 < c->n_groups) {
            char more[64];
            snprintf(more, sizeof more, "... and %lld more", (long long)(c->n_groups - g));
            chart_view_text(v, more, v->size.columns);
            chart_view_end_line(v);
            return;
        }
        bool named = false;
        for (int i = 0; i < c->n_series; i++) {
            const figure_series *f = &c->series[i];
            for (int64_t k = 0; k < f->n && f->kind == SERIES_BAR; k++)
                if ((int64_t)f->x[k] == g) {
                    put_bar(v, f, k, i, named ? "" : c->groups[g], name_columns, value_columns, most);
                    named = true;
                }
        }
    }
}
