/* The page of one chart or several: where the plots stand, and below them legend, note and caption. */
#include "plots/chart_page.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/cancel.h"
#include "plots/frame.h"

static const double max_height = 60 * POINTS_PER_MM, aspect = 0.62, panel_aspect = 0.72;
static const double least_panel = 34 * POINTS_PER_MM, least_grouped = 50 * POINTS_PER_MM;
enum { NOTE_LINES = 4, CAPTION_LINES = 8 };

typedef struct layout {
    const figure_data *d;
    chart_axis x, y;           /* of all charts */
    chart_axis own[PANELS_MOST]; /* y of each, used where each has its own quantity */
    bool each;
    int n, columns, rows;
    double left, gap;          /* from the margin to the first column; between two columns */
    double title;              /* height of a panel's title, 0 where there is none */
    chart_panel panel[PANELS_MOST];
} layout;

/* --- names and words --- */

static const char *visible(scene *s, strbuf *b, text_style style, double width)
{
    const char *text = frame_text(s, strbuf_str(b), style, width);

    s->failed |= b->failed;
    strbuf_free(b);
    return text;
}

/* At the left of a block of plots, ending at `right`. */
static void put_y_name(scene *s, const figure_data *d, box block, double right)
{
    text_style style = frame_style(s->page.body, s->page.text), turned = style;
    strbuf b = {0};

    chart_put_y_name(&b, d);
    const char *name = visible(s, &b, style, block.h + 4 * style.size);
    double half = scene_text_width(s, name, style) / 2;
    turned.turned = true;
    scene_text(s, name, turned, right, ALIGN_HIGH, fmax(block.y + block.h / 2, block.y + half), ALIGN_MIDDLE);
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
static double put_below(scene *s, const layout *l, double centre, double y)
{
    text_style body = frame_style(s->page.body, s->page.text), quiet = frame_style(s->page.small, s->page.quiet);
    double room = s->page.width - 2 * s->page.margin;
    strbuf b = {0};

    chart_put_x_name(&b, l->d, &l->x);
    const char *name = visible(s, &b, body, room);
    if (*name) {
        double half = scene_text_width(s, name, body) / 2;
        y += 0.35 * s->page.body;
        scene_text(s, name, body, fmin(fmax(centre, s->page.margin + half), s->page.width - s->page.margin - half),
                   ALIGN_MIDDLE, y, ALIGN_LOW);
        y += scene_line_height(s, body);
    }
    double h = chart_put_legend(s, l->d, centre, y + 0.8 * s->page.body);
    y += h > 0 ? 0.8 * s->page.body + h : 0;
    b = (strbuf){0};
    chart_put_note(&b, l->d, &l->x, &l->y);
    y = put_words(s, visible(s, &b, quiet, 1e6), NOTE_LINES, centre, y);
    if (s->page.show_caption && l->d->caption)
        y = put_words(s, frame_text(s, l->d->caption, quiet, 1e6), CAPTION_LINES, s->page.width / 2, y);
    return y;
}

static void put_title(scene *s, const layout *l, int i)
{
    text_style style = frame_style(s->page.body, s->page.text);
    const box *plot = &l->panel[i].plot;
    strbuf b = {0};

    chart_put_title(&b, l->d->charts, i);
    const char *text = visible(s, &b, style, plot->w + 0.5);
    scene_text(s, text, style, plot->x, ALIGN_LOW, plot->y - 0.6 * s->page.small, ALIGN_HIGH);
}

/* --- the page --- */

static bool same_groups(const figure_chart *a, const figure_chart *b)
{
    bool same = a->n_groups == b->n_groups;

    for (int64_t i = 0; same && i < a->n_groups; i++)
        same = strcmp(a->groups[i], b->groups[i]) == 0;
    return same;
}

/* As many columns as have room, the last row as full as the others where it can be. */
static void choose_columns(layout *l, const page *pg, double room)
{
    double least = (chart_at(l->d, 0)->groups ? least_grouped : least_panel) * pg->unit;
    int most = (int)floor((room - 4 * pg->small + l->gap) / (least + l->gap));

    most = most < 1 ? 1 : most;
    l->columns = l->n < most ? l->n : most;
    l->rows = (l->n - 1) / l->columns + 1;
    l->columns = (l->n - 1) / l->rows + 1;
}

/* Sizes of the plots, given that the width of the y axis's numbers follows from their height.  False: some name cannot be
 * read. */
static bool plan(scene *s, layout *l)
{
    const page *pg = &s->page;
    double name = scene_line_height(s, frame_style(pg->body, pg->text)) + 3 * pg->unit;
    double right = 0.9 * pg->small, room = pg->width - 2 * pg->margin;
    bool complete = true, grouped = chart_at(l->d, 0)->groups;

    l->gap = l->n > 1 ? l->each ? name + 5 * pg->small : 3 * pg->small : 0;
    choose_columns(l, pg, room - name);
    double slot = (room - name - 4 * pg->small - (l->columns - 1) * l->gap) / l->columns;
    box plot = {.h = fmin((l->n > 1 ? panel_aspect : aspect) * slot, max_height * pg->unit)};
    double numbers = 0;
    for (int i = 0; i < (l->each ? l->n : 1); i++) {
        chart_axis *y = l->each ? &l->own[i] : &l->y;
        chart_choose_ticks(s, y, plot.h, true);
        numbers = fmax(numbers, frame_ticks_width(s, y->tick, y->n_tick));
    }
    l->left = name + numbers + chart_number_gap(s) + frame_hairline(s);
    if (l->each)
        l->gap = fmax(l->gap, l->left + 2 * pg->small);
    plot.w = floor((room - l->left - right - (l->columns - 1) * l->gap) / l->columns / pg->px) * pg->px;
    plot.h = floor(plot.h / pg->px) * pg->px;
    l->title = l->d->charts ? 1.25 * scene_line_height(s, frame_style(pg->body, pg->text)) : 0;
    if (plot.w < 12 * pg->small)
        return l->panel[0].plot.w = 0, false;
    if (!grouped)
        chart_choose_ticks(s, &l->x, plot.w, false);
    for (int i = 0; i < l->n; i++) {
        bool lowest = i + l->columns >= l->n;
        chart_panel *c = &l->panel[i];
        *c = (chart_panel){.f = chart_at(l->d, i), .x = &l->x, .y = l->each ? &l->own[i] : &l->y, .plot = plot,
                           .y_numbers = l->each || i % l->columns == 0,
                           .below = scene_line_height(s, frame_style(pg->small, pg->text))};
        c->x_numbers = lowest || (grouped && !same_groups(c->f, chart_at(l->d, i + l->columns)));
        if (grouped && c->x_numbers)
            complete &= chart_plan_names(s, c);
    }
    return complete;
}

static double compose(scene *s, layout *l)
{
    const page *pg = &s->page;
    double w = l->panel[0].plot.w, h = l->panel[0].plot.h, left = page_snap(pg, pg->margin + l->left);
    double name = scene_line_height(s, frame_style(pg->body, pg->text));
    box block = {left, 0, l->columns * w + (l->columns - 1) * l->gap, 0};
    double centre = block.x + block.w / 2, bottom = frame_head(s, l->d, centre), low = bottom;

    for (int i = 0; i < l->n && !cancel_requested(); i++) {
        chart_panel *c = &l->panel[i];
        if (i % l->columns == 0) {
            /* half a number stands above the highest tick */
            bottom = page_snap(pg, low + (i ? 0.8 * pg->body : 0) + l->title + 0.6 * pg->small);
            low = bottom + h;
        }
        c->plot.x = page_snap(pg, left + i % l->columns * (w + l->gap));
        c->plot.y = bottom;
        block.y = i == 0 ? bottom : block.y;
        block.h = bottom + h - block.y;
        chart_put_panel(s, c);
        if (l->title > 0)
            put_title(s, l, i);
        if (l->each) {
            figure_data one = chart_alone(l->d, i);
            put_y_name(s, &one, c->plot, c->plot.x - l->left + name);
        }
        low = fmax(low, bottom + h + (c->x_numbers ? chart_number_gap(s) + c->below : 0));
    }
    if (!l->each)
        put_y_name(s, l->d, block, pg->margin + name);
    return put_below(s, l, centre, low) + pg->margin;
}

static int build_at(scene **out, bool *complete, const figure_data *d, const params *p, chart_style style,
                    double width_mm, err *e)
{
    page pg;
    scene *s = NULL;
    layout *l = NULL;
    int rc = page_init(&pg, p, width_mm, e);

    *out = NULL;
    if (rc == 0)
        rc = scene_new(&s, &pg, e);
    if (rc)
        return rc;
    l = mem_array(1, sizeof *l, e);
    if (!l) {
        rc = ERR_RESOURCE;
        goto out;
    }
    *l = (layout){.d = d, .n = chart_count(d)};
    l->each = d->charts && d->charts->quantities;
    rc = chart_axes(&l->x, &l->y, d, p, style, e);
    for (int i = 0; i < l->n && rc == 0; i++)
        rc = chart_own_axis(&l->own[i], d, i, p, style, e);
    if (rc)
        goto out;
    *complete = plan(s, l);
    if (l->panel[0].plot.w <= 0) {
        err_set(e, ERR_USAGE, "a page of %.0f mm leaves no room for a chart", pg.width / POINTS_PER_MM);
        rc = err_hint(e, "raise --width or lower --font-size");
        goto out;
    }
    double height = compose(s, l);
    rc = cancel_check(e);
    if (rc == 0)
        rc = scene_finish(s, height, e);
out:
    free(l);
    if (rc)
        scene_free(s);
    else
        *out = s;
    return rc;
}

int chart_build(scene **out, const figure_data *d, const params *p, chart_style style, err *e)
{
    bool complete;
    int rc = chart_check(d, e);

    if (rc)
        return rc;
    rc = build_at(out, &complete, d, p, style, d->charts && d->charts->n > 1 ? PAGE_DOUBLE_MM : PAGE_SINGLE_MM, e);
    if (rc == 0 && !complete && !params_given(p, "width")) {
        scene_free(*out);
        rc = build_at(out, &complete, d, p, style, PAGE_DOUBLE_MM, e);
    }
    return rc;
}
