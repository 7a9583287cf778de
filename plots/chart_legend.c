/* The legend of a page of charts. */
#include <math.h>
#include <string.h>

#include "plots/chart_page.h"
#include "plots/frame.h"

typedef struct entry {
    const figure_chart *chart;
    const figure_series *series; /* of chart; NULL: a rule */
    int rule;
    const char *label, *text;    /* text: cut to the page */
} entry;

static const double sample_width = 18, sample_gap = 3.5, column_gap = 10; /* units */

static void put_sample(scene *s, const entry *en, double x, double y, double h)
{
    double u = s->page.unit, w = sample_width * u;
    scene_point ends[] = {{x, y + h / 2}, {x + w, y + h / 2}}, middle = {x + w / 2, y + h / 2};
    const figure_series *f = en->series;

    if (!f) {
        scene_path(s, ends, 2, chart_rule_style(s, en->rule));
        return;
    }
    rgb colour = chart_ink(s, f->look);
    if (f->kind == SERIES_BAR) { /* a sweep late, but nothing lies below it */
        scene_fill(s, (box){x + w / 4, y + 0.12 * h, w / 2, 0.76 * h}, colour);
        return;
    }
    if (f->kind == SERIES_LINE && f->low)
        scene_area(s, (scene_point[]){{x, y}, {x + w, y}, {x + w, y + h}, {x, y + h}}, 4, colour, 0.18);
    if (f->kind == SERIES_LINE)
        scene_path(s, ends, 2, chart_line_style(s, f));
    if (!chart_bare(en->chart, f))
        scene_marker(s, chart_marker(f->look), middle, chart_marker_size(s, f), colour,
                     chart_hollow(f->look) ? s->page.paper : colour);
}

/* What stands for the same in two charts is explained once. */
static bool known(const entry *all, int n, const entry *en)
{
    for (int i = 0; i < n; i++)
        if (!all[i].series == !en->series && strcmp(all[i].label, en->label) == 0 &&
            (!en->series || (all[i].series->kind == en->series->kind && all[i].series->look == en->series->look)))
            return true;
    return false;
}

static int take_entries(entry *all, const figure_data *d)
{
    int n = 0;

    for (int i = 0; i < chart_count(d); i++) {
        const figure_chart *c = chart_at(d, i);
        for (int k = 0; k < c->n_series; k++) {
            all[n] = (entry){.chart = c, .series = &c->series[k], .label = c->series[k].label};
            n += all[n].label && !known(all, n, &all[n]);
        }
        for (int k = 0; k < c->n_rules; k++) {
            all[n] = (entry){.chart = c, .rule = k, .label = c->rules[k].label};
            n += all[n].label && !known(all, n, &all[n]);
        }
    }
    return n;
}

double chart_put_legend(scene *s, const figure_data *d, double centre, double y)
{
    text_style style = frame_style(s->page.small, s->page.text);
    double u = s->page.unit, line = scene_line_height(s, style), room = s->page.width - 2 * s->page.margin;
    double before = (sample_width + sample_gap) * u, widest = 0, pitch = 1.3 * line;
    int most = 1, n;

    for (int i = 0; i < chart_count(d); i++)
        most += chart_at(d, i)->n_series + chart_at(d, i)->n_rules;
    entry *all = scene_alloc(s, (size_t)most, sizeof *all);
    n = all ? take_entries(all, d) : 0;
    if (n == 0)
        return 0;
    for (int i = 0; i < n; i++) {
        all[i].text = frame_text(s, all[i].label, style, room - before);
        widest = fmax(widest, before + scene_text_width(s, all[i].text, style));
    }
    int cols = (int)((room + column_gap * u) / (widest + column_gap * u));
    cols = cols < 1 ? 1 : cols > n ? n : cols;
    int rows = (n - 1) / cols + 1;
    cols = (n - 1) / rows + 1; /* as few columns as fill the rows */
    double width = cols * widest + (cols - 1) * column_gap * u;
    double left = fmax(fmin(centre - width / 2, s->page.width - s->page.margin - width), s->page.margin);
    for (int i = 0; i < n; i++) {
        double x = left + i % cols * (widest + column_gap * u), top = y + i / cols * pitch;
        put_sample(s, &all[i], x, top, line);
        scene_text(s, all[i].text, style, x + before, ALIGN_LOW, top, ALIGN_LOW);
    }
    return rows * pitch;
}
