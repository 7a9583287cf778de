/* The page of a chart: title, axes, series, and below them legend and note. */
#include "plots/chart.h"

#include <math.h>

#include "base/cancel.h"
#include "plots/frame.h"
#include "plots/label.h"

static const double tick_length = 2.5, label_gap = 2;  /* units */
static const double max_height = 60 * POINTS_PER_MM, aspect = 0.62, turned_room = 70;
static const rgb grid_ink = {0xe4, 0xe4, 0xe4};
enum { NAME_LINES = 2, NOTE_LINES = 4, CAPTION_LINES = 8 };

typedef struct chart {
    const figure_data *d;
    chart_axis x, y;
    box plot;
    bool turned;               /* names of groups run upwards */
    double below;              /* height of the x axis's numbers or names */
} chart;

/* The most ticks whose labels stand apart along `length`. */
static void choose_ticks(scene *s, chart_axis *a, double length, bool vertical)
{
    text_style style = frame_style(s->page.small, s->page.text);

    for (int most = vertical ? 7 : 10; most >= 2; most--) {
        bool apart = true;
        chart_axis_ticks(a, most, true);
        for (int i = 1; i < a->n_tick; i++) {
            double w0 = scene_text_width(s, a->tick[i - 1].text, style);
            double w1 = scene_text_width(s, a->tick[i].text, style);
            double need = vertical ? 1.8 * scene_line_height(s, style) : (w0 + w1) / 2 + 1.2 * style.size;
            apart &= (a->tick[i].at - a->tick[i - 1].at) * length >= need;
        }
        if (apart)
            break;
    }
}

static double widest_tick(scene *s, const chart_axis *a)
{
    double most = 0;

    for (int i = 0; i < a->n_tick; i++)
        most = fmax(most, scene_text_width(s, a->tick[i].text, frame_style(s->page.small, s->page.text)));
    return most;
}

/* --- names of groups --- */

static double slot(const chart *c)
{
    return c->plot.w / (c->x.hi - c->x.lo);
}

/* How the names stand, and the room that they take downwards.  False: not all can be read. */
static bool plan_names(scene *s, chart *c)
{
    text_style style = frame_style(s->page.small, s->page.text);
    const figure_chart *f = c->d->chart;
    double line = scene_line_height(s, style), room = slot(c) - 0.8 * style.size, widest = 0;
    const char *lines[NAME_LINES];
    int most = 1;
    bool whole = true;

    c->turned = false;
    for (int64_t i = 0; i < f->n_groups; i++) {
        double w = scene_text_width(s, f->groups[i], style);
        widest = fmax(widest, w);
        if (room < 4 * style.size || w <= room)
            continue;
        int n = scene_wrap(s, lines, NAME_LINES, f->groups[i], style, room);
        double drawn = 0;
        for (int k = 0; k < n; k++)
            drawn += scene_text_width(s, lines[k], style);
        whole &= drawn >= 0.93 * w; /* less: something was cut; blanks at the breaks are not drawn */
        most = n > most ? n : most;
    }
    if (widest > room && room < 4 * style.size) {
        c->turned = true;
        c->below = fmin(widest, turned_room * s->page.unit);
        return widest <= turned_room * s->page.unit && slot(c) >= 1.05 * line;
    }
    c->below = line + (most - 1) * 1.2 * line;
    return whole;
}

static void put_names(scene *s, const chart *c, double y)
{
    text_style style = frame_style(s->page.small, s->page.text);
    const figure_chart *f = c->d->chart;
    double line = scene_line_height(s, style);
    int64_t step = c->turned ? (int64_t)ceil(1.05 * line / slot(c)) : 1; /* some are left out, none overlap */
    const char *lines[NAME_LINES];

    style.turned = c->turned;
    for (int64_t i = 0; i < f->n_groups; i += step) {
        double at = c->plot.x + ((double)i - c->x.lo) * slot(c);
        if (c->turned) {
            scene_text(s, frame_text(s, f->groups[i], style, c->below + 0.5), style, at, ALIGN_MIDDLE, y, ALIGN_LOW);
            continue;
        }
        const char *name = frame_text(s, f->groups[i], style, 10 * s->page.width);
        int n = scene_wrap(s, lines, NAME_LINES, name, style, slot(c) - 0.8 * style.size);
        for (int k = 0; k < n; k++)
            scene_text(s, lines[k], style, at, ALIGN_MIDDLE, y + k * 1.2 * line, ALIGN_LOW);
    }
}

/* --- grid, axes, numbers --- */

/* A thin horizontal or vertical line as a box on device pixels. */
static void put_rule(scene *s, double x, double y, double w, double h, rgb colour)
{
    scene_fill(s, (box){w > h ? x : page_snap(&s->page, x), w > h ? page_snap(&s->page, y) : y, w, h}, colour);
}

static void put_grid(scene *s, const chart *c)
{
    double t = frame_hairline(s);

    for (int i = 0; i < c->y.n_tick; i++)
        put_rule(s, c->plot.x, c->plot.y + (1 - c->y.tick[i].at) * c->plot.h - t / 2, c->plot.w, t, grid_ink);
    for (int i = 0; i < c->x.n_tick && !c->d->chart->groups; i++)
        put_rule(s, c->plot.x + c->x.tick[i].at * c->plot.w - t / 2, c->plot.y, t, c->plot.h, grid_ink);
}

static void put_axes(scene *s, const chart *c)
{
    double t = frame_hairline(s), u = s->page.unit, tick = tick_length * u;
    box p = c->plot;
    double low = p.y + p.h;

    for (int i = 0; i < c->y.n_tick; i++)
        put_rule(s, p.x - tick, p.y + (1 - c->y.tick[i].at) * p.h - t / 2, tick, t, s->page.line);
    for (int i = 0; i < c->y.n_minor; i++)
        put_rule(s, p.x - 0.6 * tick, p.y + (1 - c->y.minor[i]) * p.h - t / 2, 0.6 * tick, t, s->page.line);
    for (int i = 0; i < c->x.n_tick && !c->d->chart->groups; i++)
        put_rule(s, p.x + c->x.tick[i].at * p.w - t / 2, low, t, tick, s->page.line);
    for (int i = 0; i < c->x.n_minor && !c->d->chart->groups; i++)
        put_rule(s, p.x + c->x.minor[i] * p.w - t / 2, low, t, 0.6 * tick, s->page.line);
    scene_fill(s, (box){p.x - t, p.y, t, p.h + t}, s->page.line);
    scene_fill(s, (box){p.x - t, low, p.w + t, t}, s->page.line);
    /* bars stand on 0 also where the axis goes below it */
    double zero = chart_axis_at(&c->y, 0);
    if (chart_bars(c->d->chart) && zero > 0 && zero <= 1)
        put_rule(s, p.x, p.y + (1 - zero) * p.h - t / 2, p.w, t, s->page.line);
}

static void put_numbers(scene *s, const chart *c)
{
    text_style style = frame_style(s->page.small, s->page.text);
    double gap = (tick_length + label_gap) * s->page.unit;

    for (int i = 0; i < c->y.n_tick; i++)
        scene_text(s, c->y.tick[i].text, style, c->plot.x - gap, ALIGN_HIGH,
                   c->plot.y + (1 - c->y.tick[i].at) * c->plot.h + frame_digit_drop(s), ALIGN_MIDDLE);
    if (c->d->chart->groups) {
        put_names(s, c, c->plot.y + c->plot.h + gap);
        return;
    }
    for (int i = 0; i < c->x.n_tick; i++)
        scene_text(s, c->x.tick[i].text, style, c->plot.x + c->x.tick[i].at * c->plot.w, ALIGN_MIDDLE,
                   c->plot.y + c->plot.h + gap, ALIGN_LOW);
}

/* --- names and words --- */

static const char *visible(scene *s, strbuf *b, text_style style, double width)
{
    const char *text = frame_text(s, strbuf_str(b), style, width);

    s->failed |= b->failed;
    strbuf_free(b);
    return text;
}

static void put_y_name(scene *s, const chart *c, double left)
{
    text_style style = frame_style(s->page.body, s->page.text), turned = style;
    strbuf b = {0};

    chart_put_y_name(&b, c->d);
    const char *name = visible(s, &b, style, c->plot.h + 4 * style.size);
    double half = scene_text_width(s, name, style) / 2;
    turned.turned = true;
    scene_text(s, name, turned, left, ALIGN_LOW, fmax(c->plot.y + c->plot.h / 2, c->plot.y + half), ALIGN_MIDDLE);
}

/* Lines of small quiet text, as near to `centre` as the margins allow; returns the lower end. */
static double put_words(scene *s, const char *text, int most, double centre, double y)
{
    text_style quiet = frame_style(s->page.small, s->page.quiet);
    double margin = s->page.margin;
    const char *lines[CAPTION_LINES];
    int n = *text ? scene_wrap(s, lines, most, text, quiet, s->page.width - 2 * margin) : 0;

    y += n ? 0.5 * s->page.body : 0;
    for (int i = 0; i < n; i++, y += 1.25 * scene_line_height(s, quiet)) {
        double half = scene_text_width(s, lines[i], quiet) / 2;
        scene_text(s, lines[i], quiet, fmin(fmax(centre, margin + half), s->page.width - margin - half), ALIGN_MIDDLE, y,
                   ALIGN_LOW);
    }
    return y;
}

/* Name of the x axis, legend, note and caption; returns the lower end. */
static double put_below(scene *s, const chart *c, double y)
{
    text_style body = frame_style(s->page.body, s->page.text), quiet = frame_style(s->page.small, s->page.quiet);
    double centre = c->plot.x + c->plot.w / 2, room = s->page.width - 2 * s->page.margin;
    strbuf b = {0};

    chart_put_x_name(&b, c->d, &c->x);
    const char *name = visible(s, &b, body, room);
    if (*name) {
        double half = scene_text_width(s, name, body) / 2;
        y += 0.35 * s->page.body;
        scene_text(s, name, body, fmin(fmax(centre, s->page.margin + half), s->page.width - s->page.margin - half),
                   ALIGN_MIDDLE, y, ALIGN_LOW);
        y += scene_line_height(s, body);
    }
    double h = chart_legend(s, c->d->chart, centre, y + 0.8 * s->page.body, true);
    y += h > 0 ? 0.8 * s->page.body + h : 0;
    b = (strbuf){0};
    chart_put_note(&b, c->d, &c->x, &c->y);
    y = put_words(s, visible(s, &b, quiet, 1e6), NOTE_LINES, centre, y);
    if (s->page.show_caption && c->d->caption)
        y = put_words(s, frame_text(s, c->d->caption, quiet, 1e6), CAPTION_LINES, s->page.width / 2, y);
    return y;
}

/* --- the page --- */

/* Width and height of the plot, given that the width of the y axis's numbers follows from its height. */
static bool plan(scene *s, chart *c, double *left)
{
    const page *pg = &s->page;
    double name = scene_line_height(s, frame_style(pg->body, s->page.text)) + 3 * pg->unit;
    double t = frame_hairline(s), gap = (tick_length + label_gap) * pg->unit;
    double right = 0.9 * pg->small, room = pg->width - 2 * pg->margin;
    bool complete = true;

    c->plot.h = fmin(aspect * (room - name - 4 * pg->small), max_height * pg->unit);
    choose_ticks(s, &c->y, c->plot.h, true);
    *left = name + widest_tick(s, &c->y) + gap + t;
    c->plot.w = floor((room - *left - right) / pg->px) * pg->px;
    c->plot.h = floor(c->plot.h / pg->px) * pg->px;
    c->below = scene_line_height(s, frame_style(pg->small, s->page.text));
    if (c->plot.w < 12 * pg->small)
        return false;
    if (c->d->chart->groups)
        complete = plan_names(s, c);
    else
        choose_ticks(s, &c->x, c->plot.w, false);
    return complete;
}

static double compose(scene *s, chart *c, double left)
{
    const page *pg = &s->page;
    const figure_chart *f = c->d->chart;

    c->plot.x = page_snap(pg, pg->margin + left);
    double y = frame_head(s, c->d, c->plot.x + c->plot.w / 2);
    /* half a number stands above the highest tick */
    c->plot.y = page_snap(pg, y + 0.6 * pg->small);
    put_grid(s, c);
    chart_put_bars(s, f, &c->x, &c->y, c->plot);
    put_axes(s, c);
    chart_put_rules(s, f, &c->x, &c->y, c->plot);
    chart_put_series(s, f, &c->x, &c->y, c->plot);
    put_numbers(s, c);
    put_y_name(s, c, pg->margin);
    y = c->plot.y + c->plot.h + (tick_length + label_gap) * pg->unit + c->below;
    return put_below(s, c, y) + pg->margin;
}

static int build_at(scene **out, bool *complete, const figure_data *d, const params *p, chart_style style,
                    double width_mm, err *e)
{
    page pg;
    scene *s = NULL;
    chart c = {.d = d};
    double left;
    int rc = page_init(&pg, p, width_mm, e);

    *out = NULL;
    if (rc == 0)
        rc = scene_new(&s, &pg, e);
    if (rc)
        return rc;
    rc = chart_axes(&c.x, &c.y, d, p, style, e);
    if (rc == 0) {
        *complete = plan(s, &c, &left);
        if (c.plot.w < 12 * pg.small) {
            err_set(e, ERR_USAGE, "a page of %.0f mm leaves no room for a chart", pg.width / POINTS_PER_MM);
            rc = err_hint(e, "raise --width or lower --font-size");
        }
    }
    if (rc == 0) {
        double height = compose(s, &c, left);
        rc = cancel_check(e);
        if (rc == 0)
            rc = scene_finish(s, height, e);
    }
    if (rc)
        scene_free(s);
    else
        *out = s;
    return rc;
}

int chart_build(scene **out, const figure_data *d, const params *p, chart_style style, err *e)
{
    bool complete;

    if (!d->chart || d->chart->n_series < 1)
        return err_set(e, ERR_FAILED, "nothing to draw: there is no series");
    if (d->chart->n_series > CHART_MAX_SERIES)
        return err_set(e, ERR_FAILED, "%d series are too many for one chart (at most %d)", d->chart->n_series,
                       CHART_MAX_SERIES);
    int rc = build_at(out, &complete, d, p, style, PAGE_SINGLE_MM, e);
    if (rc == 0 && !complete && !params_given(p, "width")) {
        scene_free(*out);
        rc = build_at(out, &complete, d, p, style, PAGE_DOUBLE_MM, e);
    }
    return rc;
}
