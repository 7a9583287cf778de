/* One chart of a page: names of groups, grid, axes and numbers around its series. */
#include <math.h>

#include "plots/chart_page.h"
#include "plots/frame.h"

static const double tick_length = 2.5, label_gap = 2, turned_room = 70; /* units */
enum { NAME_LINES = 2 };

double chart_number_gap(const scene *s)
{
    return (tick_length + label_gap) * s->page.unit;
}

void chart_choose_ticks(scene *s, chart_axis *a, double length, bool vertical)
{
    for (int most = vertical ? 7 : 10; most >= 2; most--) {
        chart_axis_ticks(a, most, true);
        if (frame_ticks_apart(s, a->tick, a->n_tick, length, vertical))
            break;
    }
}

/* --- names of groups --- */

static double slot(const chart_panel *c)
{
    return c->plot.w / (c->x->hi - c->x->lo);
}

bool chart_plan_names(scene *s, chart_panel *c)
{
    text_style style = frame_style(s->page.small, s->page.text);
    double line = scene_line_height(s, style), room = slot(c) - 0.8 * style.size, widest = 0;
    const char *lines[NAME_LINES];
    int most = 1;
    bool whole = true;

    c->turned = false;
    for (int64_t i = 0; i < c->f->n_groups; i++) {
        double w = scene_text_width(s, c->f->groups[i], style);
        widest = fmax(widest, w);
        if (room < 4 * style.size || w <= room)
            continue;
        int n = scene_wrap(s, lines, NAME_LINES, c->f->groups[i], style, room);
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

static void put_names(scene *s, const chart_panel *c, double y)
{
    text_style style = frame_style(s->page.small, s->page.text);
    double line = scene_line_height(s, style);
    int64_t step = c->turned ? (int64_t)ceil(1.05 * line / slot(c)) : 1; /* some are left out, none overlap */
    const char *lines[NAME_LINES];

    style.turned = c->turned;
    for (int64_t i = 0; i < c->f->n_groups; i += step) {
        double at = c->plot.x + ((double)i - c->x->lo) * slot(c);
        if (c->turned) {
            scene_text(s, frame_text(s, c->f->groups[i], style, c->below + 0.5), style, at, ALIGN_MIDDLE, y, ALIGN_LOW);
            continue;
        }
        const char *name = frame_text(s, c->f->groups[i], style, 10 * s->page.width);
        int n = scene_wrap(s, lines, NAME_LINES, name, style, slot(c) - 0.8 * style.size);
        for (int k = 0; k < n; k++)
            scene_text(s, lines[k], style, at, ALIGN_MIDDLE, y + k * 1.2 * line, ALIGN_LOW);
    }
}

/* --- grid, axes, numbers --- */

/* A thin line across the page: level at y, or upright at x; on device pixels. */
static void put_level(scene *s, double x, double y, double w, rgb colour)
{
    double t = frame_hairline(s);
    scene_fill(s, (box){x, page_snap(&s->page, y - t / 2), w, t}, colour);
}

static void put_upright(scene *s, double x, double y, double h, rgb colour)
{
    double t = frame_hairline(s);
    scene_fill(s, (box){page_snap(&s->page, x - t / 2), y, t, h}, colour);
}

static double place_x(const chart_panel *c, double at) { return c->plot.x + at * c->plot.w; }
static double place_y(const chart_panel *c, double at) { return c->plot.y + (1 - at) * c->plot.h; }

static void put_grid(scene *s, const chart_panel *c)
{
    for (int i = 0; i < c->y->n_tick; i++)
        put_level(s, c->plot.x, place_y(c, c->y->tick[i].at), c->plot.w, s->page.grid);
    for (int i = 0; i < c->x->n_tick && !c->f->groups; i++)
        put_upright(s, place_x(c, c->x->tick[i].at), c->plot.y, c->plot.h, s->page.grid);
}

static void put_axes(scene *s, const chart_panel *c)
{
    double t = frame_hairline(s), tick = tick_length * s->page.unit, low = c->plot.y + c->plot.h;
    rgb ink = s->page.line;

    for (int i = 0; i < c->y->n_tick; i++)
        put_level(s, c->plot.x - tick, place_y(c, c->y->tick[i].at), tick, ink);
    for (int i = 0; i < c->y->n_minor; i++)
        put_level(s, c->plot.x - 0.6 * tick, place_y(c, c->y->minor[i]), 0.6 * tick, ink);
    for (int i = 0; i < c->x->n_tick && !c->f->groups; i++)
        put_upright(s, place_x(c, c->x->tick[i].at), low, tick, ink);
    for (int i = 0; i < c->x->n_minor && !c->f->groups; i++)
        put_upright(s, place_x(c, c->x->minor[i]), low, 0.6 * tick, ink);
    scene_fill(s, (box){c->plot.x - t, c->plot.y, t, c->plot.h + t}, ink);
    scene_fill(s, (box){c->plot.x - t, low, c->plot.w + t, t}, ink);
    /* bars stand on 0 also where the axis goes below it */
    double zero = chart_axis_at(c->y, 0);
    if (chart_bars(c->f) && zero > 0 && zero <= 1)
        put_level(s, c->plot.x, place_y(c, zero), c->plot.w, ink);
}

static void put_numbers(scene *s, const chart_panel *c)
{
    text_style style = frame_style(s->page.small, s->page.text);
    double gap = chart_number_gap(s), low = c->plot.y + c->plot.h + gap;

    for (int i = 0; i < c->y->n_tick && c->y_numbers; i++)
        scene_text(s, c->y->tick[i].text, style, c->plot.x - gap, ALIGN_HIGH,
                   place_y(c, c->y->tick[i].at) + frame_digit_drop(s), ALIGN_MIDDLE);
    if (!c->x_numbers)
        return;
    if (c->f->groups) {
        put_names(s, c, low);
        return;
    }
    for (int i = 0; i < c->x->n_tick; i++)
        scene_text(s, c->x->tick[i].text, style, place_x(c, c->x->tick[i].at), ALIGN_MIDDLE, low, ALIGN_LOW);
}

void chart_put_panel(scene *s, const chart_panel *c)
{
    put_grid(s, c);
    chart_put_bars(s, c->f, c->x, c->y, c->plot);
    put_axes(s, c);
    chart_put_rules(s, c->f, c->y, c->plot);
    chart_put_series(s, c->f, c->x, c->y, c->plot);
    put_numbers(s, c);
}
