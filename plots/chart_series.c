/* Series of a chart as boxes, lines and markers. */
#include <math.h>
#include <stdlib.h>

#include "base/cancel.h"
#include "plots/chart_page.h"

static const double line_width = 1.1, marker_size = 4.4, point_size = 3.2, marker_gap = 5.6; /* units */

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

rgb chart_ink(const scene *s, int look)
{
    return s->page.n_series ? s->page.series[look % s->page.n_series] : chart_colour(look);
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

line_style chart_rule_style(const scene *s, int i)
{
    line_style l = {.width = 0.9 * s->page.unit, .colour = s->page.line, .n_dash = 2};

    l.dash[0] = (i % 2 ? 5 : 1.2) * s->page.unit;
    l.dash[1] = (i % 2 ? 2.4 : 1.6) * s->page.unit;
    return l;
}

line_style chart_line_style(const scene *s, const figure_series *f)
{
    line_style l = {.width = line_width * s->page.unit, .colour = chart_ink(s, f->look)};

    if (f->plain) { /* as grey as a rule, not as it is dashed */
        l = chart_rule_style(s, 0);
        l.dash[0] = 3 * s->page.unit;
        return l;
    }
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
    line_style style = chart_line_style(s, f);
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
            put_area(s, p, n, plot, chart_ink(s, f->look), 0.18);
    }
}

/* Of many points, and the only one. */
bool chart_bare(const figure_chart *c, const figure_series *f)
{
    enum { MANY = 48 };
    int n = 0;

    for (int i = 0; i < c->n_series; i++)
        n += !c->series[i].plain;
    return f->plain || (f->kind == SERIES_LINE && n == 1 && f->n > MANY);
}

double chart_marker_size(const scene *s, const figure_series *f)
{
    return (f->kind == SERIES_POINTS ? point_size : marker_size) * s->page.unit;
}

static void put_markers(scene *s, const figure_series *f, const chart_axis *x, const chart_axis *y, box plot)
{
    double size = chart_marker_size(s, f), last = -INFINITY;
    rgb colour = chart_ink(s, f->look), fill = chart_hollow(f->look) ? s->page.paper : colour;

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
            scene_fill(s, (box){a.x, fmin(a.y, b.y), b.x - a.x, fabs(a.y - b.y)}, chart_ink(s, f->look));
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
        if (c->series[i].kind != SERIES_BAR && !chart_bare(c, &c->series[i]))
            put_markers(s, &c->series[i], x, y, plot);
}

void chart_put_rules(scene *s, const figure_chart *c, const chart_axis *y, box plot)
{
    for (int i = 0; i < c->n_rules; i++) {
        double at = chart_axis_at(y, c->rules[i].at), py = plot.y + (1 - at) * plot.h;
        if (at >= 0 && at <= 1)
            scene_path(s, (scene_point[]){{plot.x, py}, {plot.x + plot.w, py}}, 2, chart_rule_style(s, i));
    }
}
