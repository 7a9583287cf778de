/* Series of a chart as boxes, lines and markers. */
#include <math.h>
#include <stdlib.h>

#include "base/cancel.h"
#include "plots/chart.h"
#include "plots/frame.h"

static const double line_width = 1.1, marker_size = 4.4, point_size = 3.2, marker_gap = 5.6; /* units */
static const rgb white = {255, 255, 255};

/* --- looks --- */

/* Okabe and Ito's eight without yellow, which is lost on white; black comes last, rules are grey. */
static const rgb colours[] = {
    {0x00, 0x72, 0xb2}, {0xd5, 0x5e, 0x00}, {0x00, 0x9e, 0x73}, {0xcc, 0x79, 0xa7},
    {0xe6, 0x9f, 0x00}, {0x56, 0xb4, 0xe9}, {0x00, 0x00, 0x00},
};
enum { N_COLOUR = sizeof colours / sizeof *colours };

rgb chart_colour(int look)
{
    return colours[look % N_COLOUR];
}

marker chart_marker(int look)
{
    return (marker)((look + look / N_COLOUR) % MARKER_COUNT);
}

bool chart_hollow(int look)
{
    return look / N_COLOUR % 2 == 1;
}

int chart_dash(double out[SCENE_DASHES], int look, double unit)
{
    static const double dashes[][SCENE_DASHES] = {{0}, {4.5, 1.8}, {1.3, 1.3}, {5, 1.4, 1.3, 1.4}, {8, 2}, {2.6, 1.3}};
    static const int n[] = {0, 2, 2, 4, 2, 2};
    int i = look % (int)(sizeof n / sizeof *n);

    for (int k = 0; k < n[i]; k++)
        out[k] = dashes[i][k] * unit;
    return n[i];
}

static line_style rule_style(const scene *s, int i)
{
    line_style l = {.width = 0.9 * s->page.unit, .colour = s->page.line, .n_dash = 2};

    l.dash[0] = (i % 2 ? 1.2 : 3) * s->page.unit;
    l.dash[1] = 1.6 * s->page.unit;
    return l;
}

static line_style style_of(const scene *s, const figure_series *f)
{
    line_style l = {.width = line_width * s->page.unit, .colour = chart_colour(f->look)};

    if (f->plain)
        return rule_style(s, 0);
    if (f->n > 400)
        l.width *= 0.7;
    l.n_dash = chart_dash(l.dash, f->look, s->page.unit);
    return l;
}

/* --- places --- */

static scene_point place(const chart_axis *x, const chart_axis *y, box plot, double vx, double vy)
{
    return (scene_point){plot.x + chart_axis_at(x, vx) * plot.w, plot.y + (1 - chart_axis_at(y, vy)) * plot.h};
}

static bool within(box plot, scene_point p)
{
    return p.x >= plot.x - 0.01 && p.x <= plot.x + plot.w + 0.01 && p.y >= plot.y - 0.01 &&
           p.y <= plot.y + plot.h + 0.01;
}

static bool known(scene_point p)
{
    return isfinite(p.x) && isfinite(p.y);
}

/* The part of a to b inside the plot (Liang and Barsky); false: none. */
static bool clip_line(box plot, scene_point *a, scene_point *b)
{
    double dx = b->x - a->x, dy = b->y - a->y, t0 = 0, t1 = 1;
    const double p[] = {-dx, dx, -dy, dy};
    const double q[] = {a->x - plot.x, plot.x + plot.w - a->x, a->y - plot.y, plot.y + plot.h - a->y};

    for (int i = 0; i < 4; i++) {
        if (p[i] == 0 && q[i] < 0)
            return false;
        if (p[i] < 0)
            t0 = fmax(t0, q[i] / p[i]);
        if (p[i] > 0)
            t1 = fmin(t1, q[i] / p[i]);
    }
    if (t0 > t1)
        return false;
    *b = (scene_point){a->x + t1 * dx, a->y + t1 * dy};
    *a = (scene_point){a->x + t0 * dx, a->y + t0 * dy};
    return true;
}

/* The part of a polygon on one side of a straight edge of the plot (Sutherland and Hodgman); out [2 n]. */
static int64_t clip_side(scene_point *out, const scene_point *in, int64_t n, double edge, bool vertical, double sign)
{
    int64_t kept = 0;

    for (int64_t i = 0; i < n; i++) {
        scene_point a = in[i], b = in[(i + 1) % n];
        double da = sign * ((vertical ? a.x : a.y) - edge), db = sign * ((vertical ? b.x : b.y) - edge);
        if (da >= 0)
            out[kept++] = a;
        if ((da >= 0) != (db >= 0)) {
            double t = da / (da - db);
            out[kept++] = (scene_point){a.x + t * (b.x - a.x), a.y + t * (b.y - a.y)};
        }
    }
    return kept;
}

static void put_area(scene *s, const scene_point *p, int64_t n, box plot, rgb colour, double opacity)
{
    /* each of four sides may add half as many points again */
    scene_point *a = scene_alloc(s, (size_t)n * 6 + 8, sizeof *a), *b = scene_alloc(s, (size_t)n * 6 + 8, sizeof *b);

    if (!a || !b)
        return;
    n = clip_side(a, p, n, plot.y, false, 1);
    n = clip_side(b, a, n, plot.y + plot.h, false, -1);
    n = clip_side(a, b, n, plot.x, true, 1);
    n = clip_side(b, a, n, plot.x + plot.w, true, -1);
    scene_area(s, b, n, colour, opacity);
}

/* --- lines and bands --- */

static void put_line(scene *s, const figure_series *f, const chart_axis *x, const chart_axis *y, box plot)
{
    scene_point *run = scene_alloc(s, (size_t)f->n + 1, sizeof *run), last = {NAN, NAN};
    line_style style = style_of(s, f);
    int64_t n = 0;

    for (int64_t i = 0; run && i < f->n && !cancel_requested(); i++) {
        scene_point p = place(x, y, plot, f->x[i], f->y[i]), a = last, b = p;
        bool seen = known(a) && known(b) && clip_line(plot, &a, &b);
        bool goes_on = seen && n && a.x == run[n - 1].x && a.y == run[n - 1].y;
        if (!goes_on) {
            scene_path(s, run, n, style);
            n = 0;
        }
        if (seen) {
            if (n == 0)
                run[n++] = a;
            run[n++] = b;
        }
        last = p;
    }
    if (run)
        scene_path(s, run, n, style);
}

/* From one gap to the next: low ends there, high ends back. */
static void put_band(scene *s, const figure_series *f, const chart_axis *x, const chart_axis *y, box plot)
{
    scene_point *p = scene_alloc(s, 2 * (size_t)f->n + 1, sizeof *p);
    double floor_value = y->log ? y->lo : -INFINITY;

    for (int64_t first = 0, end; p && first < f->n; first = end + 1) {
        int64_t n = 0;
        for (end = first; end < f->n && isfinite(f->low[end]) && isfinite(f->high[end]); end++)
            if (known(place(x, y, plot, f->x[end], f->high[end])))
                p[n++] = place(x, y, plot, f->x[end], fmax(f->low[end], floor_value));
        for (int64_t i = end - 1; i >= first; i--)
            if (known(place(x, y, plot, f->x[i], f->high[i])))
                p[n++] = place(x, y, plot, f->x[i], f->high[i]);
        if (n > 3)
            put_area(s, p, n, plot, chart_colour(f->look), 0.18);
    }
}

/* A line of many points that is the only one needs no markers to be told apart. */
static bool bare(const figure_chart *c, const figure_series *f)
{
    enum { MANY = 48 };
    int n = 0;

    for (int i = 0; i < c->n_series; i++)
        n += !c->series[i].plain;
    return f->plain || (f->kind == SERIES_LINE && n == 1 && f->n > MANY);
}

static double size_of(const scene *s, const figure_series *f)
{
    return (f->kind == SERIES_POINTS ? point_size : marker_size) * s->page.unit;
}

static void put_markers(scene *s, const figure_series *f, const chart_axis *x, const chart_axis *y, box plot)
{
    double size = size_of(s, f), last = -INFINITY;
    rgb colour = chart_colour(f->look), fill = chart_hollow(f->look) ? white : colour;

    for (int64_t i = 0; i < f->n && !cancel_requested(); i++) {
        scene_point p = place(x, y, plot, f->x[i], f->y[i]);
        /* a line shows where it runs: its markers only say which it is */
        if (!known(p) || !within(plot, p) || (f->kind == SERIES_LINE && p.x - last < marker_gap * s->page.unit))
            continue;
        last = p.x;
        scene_marker(s, chart_marker(f->look), p, size, colour, fill);
    }
}

/* --- error bars and bars --- */

static void put_error(scene *s, const chart_axis *y, box plot, double at, double low, double high, rgb colour)
{
    double a = chart_axis_at(y, high), b = chart_axis_at(y, low), cap = 2 * s->page.unit;
    line_style l = {.width = 0.8 * s->page.unit, .colour = colour};

    if (!isfinite(low) || !isfinite(a) || a < 0)
        return;
    b = isfinite(b) ? b : 0; /* below a log axis */
    double top = plot.y + (1 - fmin(a, 1)) * plot.h, end = plot.y + (1 - fmax(b, 0)) * plot.h;
    if (b > 1)
        return;
    scene_path(s, (scene_point[]){{at, top}, {at, end}}, 2, l);
    if (a <= 1)
        scene_path(s, (scene_point[]){{at - cap, top}, {at + cap, top}}, 2, l);
    if (b >= 0)
        scene_path(s, (scene_point[]){{at - cap, end}, {at + cap, end}}, 2, l);
}

int chart_bars(const figure_chart *c)
{
    int n = 0;

    for (int i = 0; i < c->n_series; i++)
        n += c->series[i].kind == SERIES_BAR;
    return n;
}

double chart_bar_width(int n)
{
    return 0.76 / n;
}

double chart_bar_offset(int i, int n)
{
    return (i - (n - 1) / 2.0) * chart_bar_width(n);
}

void chart_put_bars(scene *s, const figure_chart *c, const chart_axis *x, const chart_axis *y, box plot)
{
    int n = chart_bars(c), at = 0;
    double base = y->log ? y->lo : fmin(fmax(0, y->lo), y->hi);
    double w = chart_bar_width(n ? n : 1) * 0.9;

    for (int i = 0; i < c->n_series; i++) {
        const figure_series *f = &c->series[i];
        if (f->kind != SERIES_BAR)
            continue;
        for (int64_t k = 0; k < f->n; k++) {
            double centre = f->x[k] + chart_bar_offset(at, n);
            double v = fmin(fmax(f->y[k], y->lo), y->hi);
            scene_point a = place(x, y, plot, centre - w / 2, base), b = place(x, y, plot, centre + w / 2, v);
            if (!isfinite(f->y[k]) || !known(a) || !known(b))
                continue;
            scene_fill(s, (box){a.x, fmin(a.y, b.y), b.x - a.x, fabs(a.y - b.y)}, chart_colour(f->look));
        }
        at++;
    }
}

void chart_put_series(scene *s, const figure_chart *c, const chart_axis *x, const chart_axis *y, box plot)
{
    int n = chart_bars(c), at = 0;

    for (int i = 0; i < c->n_series; i++)
        if (c->series[i].kind == SERIES_LINE && c->series[i].low)
            put_band(s, &c->series[i], x, y, plot);
    for (int i = 0; i < c->n_series; i++)
        if (c->series[i].kind == SERIES_LINE)
            put_line(s, &c->series[i], x, y, plot);
    for (int i = 0; i < c->n_series; i++) {
        const figure_series *f = &c->series[i];
        double shift = f->kind == SERIES_BAR ? chart_bar_offset(at++, n) : 0;
        for (int64_t k = 0; f->kind != SERIES_LINE && f->low && k < f->n; k++)
            put_error(s, y, plot, place(x, y, plot, f->x[k] + shift, y->lo).x, f->low[k], f->high[k], s->page.text);
    }
    for (int i = 0; i < c->n_series; i++)
        if (c->series[i].kind != SERIES_BAR && !bare(c, &c->series[i]))
            put_markers(s, &c->series[i], x, y, plot);
}

void chart_put_rules(scene *s, const figure_chart *c, const chart_axis *x, const chart_axis *y, box plot)
{
    for (int i = 0; i < c->n_rules; i++) {
        const figure_rule *r = &c->rules[i];
        double at = chart_axis_at(r->vertical ? x : y, r->at);
        if (!(at >= 0 && at <= 1))
            continue;
        double px = plot.x + at * plot.w, py = plot.y + (1 - at) * plot.h;
        scene_point v[] = {{px, plot.y}, {px, plot.y + plot.h}}, h[] = {{plot.x, py}, {plot.x + plot.w, py}};
        scene_path(s, r->vertical ? v : h, 2, rule_style(s, i));
    }
}

/* --- legend --- */

typedef struct entry {
    const figure_series *series; /* or a rule */
    int rule;
    const char *text;            /* cut to the page */
} entry;

static const double sample_width = 18, sample_gap = 3.5, column_gap = 10; /* units */

static void put_sample(scene *s, const figure_chart *c, const entry *en, double x, double y, double h)
{
    double u = s->page.unit, w = sample_width * u;
    scene_point ends[] = {{x, y + h / 2}, {x + w, y + h / 2}}, middle = {x + w / 2, y + h / 2};

    if (!en->series) {
        scene_path(s, ends, 2, rule_style(s, en->rule));
        return;
    }
    int look = en->series->look;
    rgb colour = chart_colour(look);
    if (en->series->kind == SERIES_BAR) { /* a sweep late, but nothing lies below it */
        scene_fill(s, (box){x + w / 4, y + 0.12 * h, w / 2, 0.76 * h}, colour);
        return;
    }
    if (en->series->kind == SERIES_LINE && en->series->low)
        scene_area(s, (scene_point[]){{x, y}, {x + w, y}, {x + w, y + h}, {x, y + h}}, 4, colour, 0.18);
    if (en->series->kind == SERIES_LINE)
        scene_path(s, ends, 2, style_of(s, en->series));
    if (!bare(c, en->series))
        scene_marker(s, chart_marker(look), middle, size_of(s, en->series), colour, chart_hollow(look) ? white : colour);
}

double chart_legend(scene *s, const figure_chart *c, double centre, double y, bool draw)
{
    text_style style = frame_style(s->page.small, s->page.text);
    double u = s->page.unit, line = scene_line_height(s, style), room = s->page.width - 2 * s->page.margin;
    double before = (sample_width + sample_gap) * u, widest = 0, pitch = 1.3 * line;
    entry all[CHART_MAX_SERIES + 8];
    int n = 0;

    for (int i = 0; i < c->n_series; i++)
        if (c->series[i].label && n < CHART_MAX_SERIES)
            all[n++] = (entry){.series = &c->series[i],
                               .text = frame_text(s, c->series[i].label, style, room - before)};
    for (int i = 0; i < c->n_rules && n < CHART_MAX_SERIES + 8; i++)
        if (c->rules[i].label)
            all[n++] = (entry){.rule = i, .text = frame_text(s, c->rules[i].label, style, room - before)};
    if (n == 0)
        return 0;
    for (int i = 0; i < n; i++)
        widest = fmax(widest, before + scene_text_width(s, all[i].text, style));
    int cols = (int)((room + column_gap * u) / (widest + column_gap * u));
    cols = cols < 1 ? 1 : cols > n ? n : cols;
    int rows = (n - 1) / cols + 1;
    cols = (n - 1) / rows + 1; /* as few columns as fill the rows */
    double width = cols * widest + (cols - 1) * column_gap * u;
    double left = fmax(fmin(centre - width / 2, s->page.width - s->page.margin - width), s->page.margin);
    for (int i = 0; i < n && draw; i++) {
        double x = left + i % cols * (widest + column_gap * u), top = y + i / cols * pitch;
        put_sample(s, c, &all[i], x, top, line);
        scene_text(s, all[i].text, style, x + before, ALIGN_LOW, top, ALIGN_LOW);
    }
    return rows * pitch;
}
