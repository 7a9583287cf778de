/* Charts for the tests: sample series, and what is where in a scene. */
#ifndef ATTNSCOPE_TESTS_CHART_SAMPLE_H
#define ATTNSCOPE_TESTS_CHART_SAMPLE_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plots/chart.h"
#include "plots/frame.h"

/* --- samples --- */

typedef struct chart_sample {
    figure_data d;
    figure_chart c;
    figure_series s[CHART_MAX_SERIES];
    figure_rule rule;
    params *p;
} chart_sample;

static const char *const groups[] = {"zero L1H2, L1H3", "mean, 12 heads"};
static const double five[] = {0, 1, 2, 3, 4};
static const double ups[] = {1, 2, 4, 3, 5}, lows[] = {0.5, 1, 3, 2, 4}, highs[] = {1.5, 3, 5, 4, 6};

#define OPTIONS(...) ((const char *const[]){__VA_ARGS__, NULL})

static inline params *options_of(const figure *f, const char *const *options)
{
    params *p = NULL;
    err e = {0};
    assert_non_null(f);
    assert_int_equal(params_new(&p, &e), 0);
    assert_int_equal(params_use(p, figure_params, &e), 0);
    assert_int_equal(params_use(p, f->params, &e), 0);
    for (; options && options[0]; options += 2)
        assert_int_equal(params_set(p, options[0], options[1], &e), 0);
    return p;
}

static inline void start(chart_sample *x, const char *recipe, const char *const *options)
{
    memset(x, 0, sizeof *x);
    x->c = (figure_chart){.series = x->s, .rules = &x->rule, .whole = true};
    x->d = (figure_data){.chart = &x->c, .title = "a chart \xc2\xb7 lantern-3m", .subtitle = "run 3, 74 tokens",
                         .col_axis = "layer", .quantity = "entropy", .unit = "nats", .lo = NAN, .hi = NAN, .pool = 1};
    x->p = options_of(figure_find(recipe), options);
}

static inline figure_series *add(chart_sample *x, series_kind kind, const char *label, const double *xs, const double *ys,
                                 int64_t n)
{
    figure_series *f = &x->s[x->c.n_series];
    *f = (figure_series){.kind = kind, .label = label, .n = n, .x = xs, .y = ys, .look = x->c.n_series};
    x->c.n_series++;
    return f;
}

static inline void finish(chart_sample *x)
{
    params_free(x->p);
}

static inline scene *build(chart_sample *x, chart_style style)
{
    scene *s = NULL;
    err e = {0};
    if (chart_build(&s, &x->d, x->p, style, &e))
        fail_msg("%s", e.msg);
    return s;
}

/* --- looking into a scene --- */

static inline const scene_item *text_item(const scene *s, const char *text)
{
    for (int64_t i = 0; i < s->n; i++)
        if (s->items[i].kind == SCENE_TEXT && strcmp(s->items[i].text, text) == 0)
            return &s->items[i];
    return NULL;
}

static inline const scene_item *need_text(const scene *s, const char *text)
{
    const scene_item *it = text_item(s, text);
    if (!it)
        fail_msg("no text '%s'", text);
    return it;
}

static inline double middle_x(const scene_item *it) { return it->at.x + it->at.w / 2; }
static inline double middle_y(const scene_item *it) { return it->at.y + it->at.h / 2; }

static inline bool same_colour(rgb a, rgb b)
{
    return a.r == b.r && a.g == b.g && a.b == b.b;
}

/* The box of the axes: left of it stands the highest filled box, below it the widest of the same colour. */
static inline box plot_of(const scene *s)
{
    const scene_item *left = NULL, *low = NULL;
    for (int64_t i = 0; i < s->n; i++) {
        const scene_item *it = &s->items[i];
        if (it->kind != SCENE_FILL || it->colour.r != 0x55)
            continue;
        if (!left || it->at.h > left->at.h)
            left = it;
        if (!low || it->at.w >= low->at.w)
            low = it;
    }
    assert_non_null(left);
    double x = left->at.x + left->at.w, y = left->at.y;
    return (box){x, y, low->at.x + low->at.w - x, left->at.h - left->at.w};
}

/* Outlines of markers of a look, in order. */
static inline int markers_of(const scene *s, int look, scene_point *out, int most)
{
    box plot = plot_of(s);
    int n = 0;
    for (int64_t i = 0; i < s->n && n < most; i++) {
        const scene_item *it = &s->items[i];
        if (it->kind == SCENE_PATH && it->line.closed && same_colour(it->line.colour, chart_colour(look)) &&
            it->at.y < plot.y + plot.h + 4)
            out[n++] = (scene_point){middle_x(it), middle_y(it)};
    }
    return n;
}

/* The value that a place on the page stands for, read off the numbers of two ticks, as a reader does. */
static inline double read_y(const scene *s, double y, const char *a, const char *b)
{
    double drop = frame_digit_drop(s); /* numbers stand a little lower, to look centred */
    double ya = middle_y(need_text(s, a)) - drop, yb = middle_y(need_text(s, b)) - drop, va = atof(a), vb = atof(b);
    return va + (y - ya) / (yb - ya) * (vb - va);
}

/* A number of the x axis. */
static inline const scene_item *below(const scene *s, const char *text)
{
    box plot = plot_of(s);
    for (int64_t i = 0; i < s->n; i++)
        if (s->items[i].kind == SCENE_TEXT && strcmp(s->items[i].text, text) == 0 && s->items[i].at.y > plot.y + plot.h)
            return &s->items[i];
    fail_msg("no number '%s' below", text);
    return NULL;
}

static inline double read_x(const scene *s, double x, const char *a, const char *b)
{
    double xa = middle_x(below(s, a)), xb = middle_x(below(s, b)), va = atof(a), vb = atof(b);
    return va + (x - xa) / (xb - xa) * (vb - va);
}

static inline bool overlap(box a, box b)
{
    return a.x < b.x + b.w - 0.01 && b.x < a.x + a.w - 0.01 && a.y < b.y + b.h - 0.01 && b.y < a.y + a.h - 0.01;
}

/* All is on the page, text is readable, no text lies on another or on the data. */
static inline void check_page(const scene *s)
{
    box plot = plot_of(s), paper = {0, 0, s->page.width + 0.01, s->height + 0.01};
    for (int64_t i = 0; i < s->n; i++) {
        const scene_item *a = &s->items[i];
        box at = a->at;
        if (at.x < paper.x - 0.01 || at.y < paper.y - 0.01 || at.x + at.w > paper.w || at.y + at.h > paper.h)
            fail_msg("outside the page: item %d, %s, %g %g %g %g", (int)i, a->kind == SCENE_TEXT ? a->text : "", at.x, at.y,
                     at.w, at.h);
        for (int64_t k = 0; k < a->n_points; k++)
            assert_true(isfinite(a->points[k].x) && isfinite(a->points[k].y));
        if (a->kind != SCENE_TEXT)
            continue;
        assert_true(a->style.size >= PAGE_MIN_FONT - 1e-9);
        if (overlap(at, plot))
            fail_msg("'%s' lies on the data", a->text);
        for (int64_t k = 0; k < i; k++)
            if (s->items[k].kind == SCENE_TEXT && overlap(at, s->items[k].at))
                fail_msg("'%s' lies on '%s'", a->text, s->items[k].text);
    }
}

#endif
