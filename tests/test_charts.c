/* Charts: what is where on the page, in the files and in a terminal. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <png.h>
#include <stdio.h>

#include "plots/chart.h"
#include "plots/label.h"
#include "plots/writer.h"
#include "tests/figure_sample.h"

/* --- samples --- */

typedef struct chart_sample {
    figure_data d;
    figure_chart c;
    figure_series s[CHART_MAX_SERIES];
    figure_rule rule;
    params *p;
} chart_sample;

static const double five[] = {0, 1, 2, 3, 4};
static const double ups[] = {1, 2, 4, 3, 5}, lows[] = {0.5, 1, 3, 2, 4}, highs[] = {1.5, 3, 5, 4, 6};

static void start(chart_sample *x, const char *recipe, const char *const *options)
{
    memset(x, 0, sizeof *x);
    x->c = (figure_chart){.series = x->s, .rules = &x->rule, .whole = true};
    x->d = (figure_data){.chart = &x->c, .title = "a chart \xc2\xb7 lantern-3m", .subtitle = "run 3, 74 tokens",
                         .col_axis = "layer", .quantity = "entropy", .unit = "nats", .lo = NAN, .hi = NAN, .pool = 1};
    x->p = sample_params(figure_find(recipe), options);
}

static figure_series *add(chart_sample *x, series_kind kind, const char *label, const double *xs, const double *ys, int64_t n)
{
    figure_series *f = &x->s[x->c.n_series];
    *f = (figure_series){.kind = kind, .label = label, .n = n, .x = xs, .y = ys, .look = x->c.n_series};
    x->c.n_series++;
    return f;
}

static void finish(chart_sample *x)
{
    params_free(x->p);
}

static scene *build(chart_sample *x, chart_style style)
{
    scene *s = NULL;
    err e = {0};
    if (chart_build(&s, &x->d, x->p, style, &e))
        fail_msg("%s", e.msg);
    return s;
}

/* --- looking into a scene --- */

static const scene_item *text_item(const scene *s, const char *text)
{
    for (int64_t i = 0; i < s->n; i++)
        if (s->items[i].kind == SCENE_TEXT && strcmp(s->items[i].text, text) == 0)
            return &s->items[i];
    return NULL;
}

static const scene_item *need_text(const scene *s, const char *text)
{
    const scene_item *it = text_item(s, text);
    if (!it)
        fail_msg("no text '%s'", text);
    return it;
}

static double middle_x(const scene_item *it) { return it->at.x + it->at.w / 2; }
static double middle_y(const scene_item *it) { return it->at.y + it->at.h / 2; }

static bool same_colour(rgb a, rgb b)
{
    return a.r == b.r && a.g == b.g && a.b == b.b;
}

/* The box of the axes: left of it stands the highest filled box, below it the widest of the same colour. */
static box plot_of(const scene *s)
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
static int markers_of(const scene *s, int look, scene_point *out, int most)
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
static double read_y(const scene *s, double y, const char *a, const char *b)
{
    double ya = middle_y(need_text(s, a)), yb = middle_y(need_text(s, b)), va = atof(a), vb = atof(b);
    return va + (y - ya) / (yb - ya) * (vb - va);
}

static double read_x(const scene *s, double x, const char *a, const char *b)
{
    double xa = middle_x(need_text(s, a)), xb = middle_x(need_text(s, b)), va = atof(a), vb = atof(b);
    return va + (x - xa) / (xb - xa) * (vb - va);
}

static bool overlap(box a, box b)
{
    return a.x < b.x + b.w - 0.01 && b.x < a.x + a.w - 0.01 && a.y < b.y + b.h - 0.01 && b.y < a.y + a.h - 0.01;
}

/* All is on the page, text is readable, no text lies on another or on the data. */
static void check_page(const scene *s)
{
    box plot = plot_of(s), page = {0, 0, s->page.width + 0.01, s->height + 0.01};
    for (int64_t i = 0; i < s->n; i++) {
        const scene_item *a = &s->items[i];
        box at = a->at;
        if (at.x < page.x - 0.01 || at.y < page.y - 0.01 || at.x + at.w > page.w || at.y + at.h > page.h)
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

/* --- axes --- */

static void ticks_are(const chart_axis *a, const char *const *want)
{
    int n = 0;
    for (; want[n]; n++) {
        if (n >= a->n_tick)
            fail_msg("no tick %s", want[n]);
        assert_string_equal(a->tick[n].text, want[n]);
    }
    assert_int_equal(a->n_tick, n);
}
#define TICKS(a, ...) ticks_are(a, (const char *const[]){__VA_ARGS__, NULL})

static void ticks_are_round(void **state)
{
    (void)state;
    chart_axis a = {.lo = -0.13, .hi = 0.62};
    chart_axis_ticks(&a, 8, false);
    TICKS(&a, "-0.1", "0.0", "0.1", "0.2", "0.3", "0.4", "0.5", "0.6");
    assert_true(fabs(a.tick[1].at - 0.13 / 0.75) < 1e-12);
    a = (chart_axis){.lo = 0, .hi = 2600};
    chart_axis_ticks(&a, 6, false);
    TICKS(&a, "0", "500", "1000", "1500", "2000", "2500");
    /* things that are counted have no halves */
    a = (chart_axis){.lo = -0.1, .hi = 3.1, .whole = true};
    chart_axis_ticks(&a, 10, false);
    TICKS(&a, "0", "1", "2", "3");
    /* nor a rank 0 */
    a = (chart_axis){.lo = -2, .hi = 33, .whole = true, .first = 1};
    chart_axis_ticks(&a, 9, false);
    TICKS(&a, "1", "5", "10", "15", "20", "25", "30");
}

static void ticks_of_logarithms(void **state)
{
    (void)state;
    chart_axis a = {.log = true, .lo = 2e-4, .hi = 30};
    chart_axis_ticks(&a, 8, false);
    TICKS(&a, "0.001", "0.01", "0.1", "1", "10");
    assert_true(fabs(a.tick[3].at - log(1 / 2e-4) / log(30 / 2e-4)) < 1e-12);
    chart_axis_ticks(&a, 3, false);
    TICKS(&a, "0.1", "10");
    a = (chart_axis){.log = true, .lo = 5e-7, .hi = 0.2};
    chart_axis_ticks(&a, 8, true); /* all in one way of writing */
    TICKS(&a, "10\u207b\u2076", "10\u207b\u2075", "10\u207b\u2074", "10\u207b\u00b3", "10\u207b\u00b2", "10\u207b\u00b9");
    a = (chart_axis){.log = true, .lo = 0.8, .hi = 60};
    chart_axis_ticks(&a, 8, false);
    TICKS(&a, "1", "2", "5", "10", "20", "50");
    a = (chart_axis){.log = true, .lo = 1.1, .hi = 1.6};
    chart_axis_ticks(&a, 6, false);
    TICKS(&a, "1.1", "1.2", "1.3", "1.4", "1.5", "1.6");
    assert_true(fabs(a.tick[0].at) < 1e-12 && fabs(a.tick[5].at - 1) < 1e-12);
    assert_true(isnan(chart_axis_at(&a, 0)) && isnan(chart_axis_at(&a, -1)));
}

static void limits(void **state)
{
    (void)state;
    chart_sample x;
    chart_axis ax, ay;
    err e = {0};

    start(&x, "layer_curve", NULL);
    add(&x, SERIES_LINE, NULL, five, ups, 5);
    assert_int_equal(chart_axes(&ax, &ay, &x.d, x.p, (chart_style){0}, &e), 0);
    assert_true(ay.lo == 0 && ay.hi > 5 && ay.hi < 5.5 && ax.lo < 0 && ax.lo > -0.5 && ax.hi > 4);
    /* a natural limit is not passed by air alone */
    x.d.hi = 5;
    assert_int_equal(chart_axes(&ax, &ay, &x.d, x.p, (chart_style){0}, &e), 0);
    assert_true(ay.hi == 5);
    /* values far from 0 keep their resolution */
    static const double high[] = {100, 101, 103, 102, 104};
    x.s[0].y = high;
    x.d.hi = NAN;
    assert_int_equal(chart_axes(&ax, &ay, &x.d, x.p, (chart_style){0}, &e), 0);
    assert_true(ay.lo > 99 && ay.lo < 100);
    assert_int_equal(chart_axes(&ax, &ay, &x.d, x.p, (chart_style){.zero = true}, &e), 0);
    assert_true(ay.lo == 0);
    finish(&x);

    start(&x, "layer_curve", OPTIONS("y-limits", "-1,2.5"));
    add(&x, SERIES_LINE, NULL, five, ups, 5);
    assert_int_equal(chart_axes(&ax, &ay, &x.d, x.p, (chart_style){0}, &e), 0);
    assert_true(ay.lo == -1 && ay.hi == 2.5);
    assert_int_equal(chart_axes(&ax, &ay, &x.d, x.p, (chart_style){.log_y = true}, &e), ERR_USAGE);
    assert_non_null(strstr(e.msg, "positive limits"));
    finish(&x);
    static const char *const bad[] = {"1", "a,b", "2,1", "1,1", "nan,1", "1,", ",", "1,1e300"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        start(&x, "layer_curve", OPTIONS("x-limits", bad[i]));
        add(&x, SERIES_LINE, NULL, five, ups, 5);
        e = (err){0};
        assert_int_equal(chart_axes(&ax, &ay, &x.d, x.p, (chart_style){0}, &e), ERR_USAGE);
        assert_non_null(strstr(e.msg, "--x-limits"));
        assert_true(e.hint[0] != '\0');
        finish(&x);
    }
}

/* --- the page --- */

static void values_stand_where_the_axes_say(void **state)
{
    (void)state;
    chart_sample x;
    scene_point m[8];

    start(&x, "layer_curve", NULL);
    figure_series *f = add(&x, SERIES_LINE, "a", five, ups, 5);
    f->low = lows;
    f->high = highs;
    scene *s = build(&x, (chart_style){0});
    check_page(s);
    assert_int_equal(markers_of(s, 0, m, 8), 5);
    for (int i = 0; i < 5; i++) {
        assert_true(fabs(read_x(s, m[i].x, "0", "4") - five[i]) < 0.01);
        assert_true(fabs(read_y(s, m[i].y, "0", "6") - ups[i]) < 0.02);
    }
    /* the band: low ends, then high ends back, as translucent area */
    const scene_item *band = NULL;
    for (int64_t i = 0; i < s->n; i++)
        if (s->items[i].kind == SCENE_AREA && s->items[i].opacity < 1 && s->items[i].n_points == 10)
            band = &s->items[i];
    assert_non_null(band);
    double least = 1e9, most = -1e9;
    for (int i = 0; i < 10; i++) {
        double v = read_y(s, band->points[i].y, "0", "6"), at = read_x(s, band->points[i].x, "0", "4");
        int k = (int)round(at);
        assert_true(fabs(at - k) < 0.01 && k >= 0 && k < 5);
        assert_true(fabs(v - lows[k]) < 0.02 || fabs(v - highs[k]) < 0.02);
        least = fmin(least, v);
        most = fmax(most, v);
    }
    assert_true(fabs(least - 0.5) < 0.02 && fabs(most - 6) < 0.02);
    /* names, with unit */
    need_text(s, "layer");
    assert_true(need_text(s, "entropy (nats)")->style.turned);
    need_text(s, "a chart \xc2\xb7 lantern-3m");
    scene_free(s);
    finish(&x);
}

static void logarithms_stand_where_the_axes_say(void **state)
{
    (void)state;
    chart_sample x;
    scene_point m[8];
    static const double y[] = {1, 10, 0, 1000, 100};

    start(&x, "norm_profile", NULL);
    add(&x, SERIES_LINE, "a", five, y, 5);
    scene *s = build(&x, (chart_style){.log_y = true});
    check_page(s);
    assert_int_equal(markers_of(s, 0, m, 8), 4);
    double one = middle_y(need_text(s, "1000")), two = middle_y(need_text(s, "100"));
    assert_true(fabs((m[2].y - one) - (m[3].y - two)) < 0.1 && fabs(m[2].y - one) < 1);
    assert_true(fabs((m[1].y - m[3].y) - (two - one)) < 0.1);
    need_text(s, "1 value of 0 or below not shown");
    scene_free(s);
    /* 0 is no value on a log axis: the line has a gap there */
    int paths = 0;
    s = build(&x, (chart_style){.log_y = true});
    box plot = plot_of(s);
    for (int64_t i = 0; i < s->n; i++)
        paths += s->items[i].kind == SCENE_PATH && !s->items[i].line.closed && s->items[i].at.y < plot.y + plot.h;
    assert_int_equal(paths, 2);
    scene_free(s);
    /* positions count from 0, a log axis from 1 */
    s = build(&x, (chart_style){.log_x = true});
    need_text(s, "layer + 1");
    assert_int_equal(markers_of(s, 0, m, 8), 5);
    assert_true(fabs(m[0].x - middle_x(need_text(s, "1"))) < 0.05 && fabs(m[4].x - middle_x(need_text(s, "5"))) < 0.05);
    scene_free(s);
    finish(&x);

    static const double none[] = {0, -1, -2, NAN, 0};
    err e = {0};
    start(&x, "norm_profile", NULL);
    add(&x, SERIES_LINE, "a", five, none, 5);
    assert_int_equal(chart_build(&s, &x.d, x.p, (chart_style){.log_y = true}, &e), ERR_FAILED);
    assert_non_null(strstr(e.hint, "--log-y"));
    static const double nan[] = {NAN, INFINITY, NAN, NAN, -INFINITY};
    x.s[0].y = nan;
    assert_int_equal(chart_build(&s, &x.d, x.p, (chart_style){0}, &e), ERR_FAILED);
    finish(&x);
}

/* Gaps break a line; limits cut it at the edge of the plot. */
static void lines_are_cut(void **state)
{
    (void)state;
    chart_sample x;
    static const double gap[] = {1, 2, NAN, 3, 5};

    start(&x, "layer_curve", OPTIONS("y-limits", "0,4", "x-limits", "0.5,4"));
    figure_series *f = add(&x, SERIES_LINE, "a", five, gap, 5);
    f->low = lows;
    f->high = highs;
    scene *s = build(&x, (chart_style){0});
    check_page(s);
    box plot = plot_of(s);
    int paths = 0;
    for (int64_t i = 0; i < s->n; i++) {
        const scene_item *it = &s->items[i];
        if (it->at.y > plot.y + plot.h || it->n_points == 0 || it->line.closed || it->kind == SCENE_TEXT)
            continue;
        if (it->kind == SCENE_AREA && it->opacity == 1) /* of a marker */
            continue;
        paths += it->kind == SCENE_PATH;
        for (int64_t k = 0; k < it->n_points; k++)
            assert_true(it->points[k].x >= plot.x - 0.3 && it->points[k].x <= plot.x + plot.w + 0.3 &&
                        it->points[k].y >= plot.y - 0.3 && it->points[k].y <= plot.y + plot.h + 0.3);
    }
    assert_int_equal(paths, 2);
    /* from (3, 3) towards (4, 5) the line leaves at (3.5, 4) */
    bool leaves = false;
    for (int64_t i = 0; i < s->n; i++) {
        const scene_item *it = &s->items[i];
        if (it->kind == SCENE_PATH && it->n_points == 2 && !it->line.closed)
            leaves |= fabs(it->points[1].y - plot.y) < 0.1 &&
                      fabs((it->points[1].x - plot.x) / plot.w - (3.5 - 0.5) / 3.5) < 0.01;
    }
    assert_true(leaves);
    scene_free(s);
    finish(&x);
}

static const char *const groups[] = {"zero L1H2, L1H3", "mean, 12 heads"};

static void bars_have_their_height(void **state)
{
    (void)state;
    chart_sample x;
    static const double at[] = {0, 1}, up[] = {2, -1}, low[] = {1.5, -2}, high[] = {3, -0.5};

    start(&x, "ablation_bars", NULL);
    figure_series *f = add(&x, SERIES_BAR, "these heads", at, up, 2);
    f->low = low;
    f->high = high;
    add(&x, SERIES_BAR, "random heads", at, high, 2);
    x.c.groups = groups;
    x.c.n_groups = 2;
    x.d.col_axis = NULL;
    scene *s = build(&x, (chart_style){.zero = true});
    check_page(s);
    const scene_item *bar[2] = {0};
    int n = 0;
    box plot = plot_of(s);
    for (int64_t i = 0; i < s->n; i++)
        if (s->items[i].kind == SCENE_FILL && same_colour(s->items[i].colour, chart_colour(0)) &&
            s->items[i].at.y < plot.y + plot.h && n < 2)
            bar[n++] = &s->items[i];
    assert_int_equal(n, 2);
    assert_true(fabs(read_y(s, bar[0]->at.y, "0", "3") - 2) < 0.03);
    assert_true(fabs(read_y(s, bar[0]->at.y + bar[0]->at.h, "0", "3")) < 0.03);
    assert_true(fabs(read_y(s, bar[1]->at.y, "0", "3")) < 0.03);
    assert_true(fabs(read_y(s, bar[1]->at.y + bar[1]->at.h, "0", "3") + 1) < 0.03);
    /* the ends of the first error bar */
    bool whisker = false;
    for (int64_t i = 0; i < s->n; i++) {
        const scene_item *it = &s->items[i];
        if (it->kind == SCENE_PATH && it->n_points == 2 && it->points[0].x == it->points[1].x)
            whisker |= fabs(it->points[0].x - middle_x(bar[0])) < 0.5 && fabs(read_y(s, it->points[0].y, "0", "3") - 3) < 0.03 &&
                       fabs(read_y(s, it->points[1].y, "0", "3") - 1.5) < 0.03;
    }
    assert_true(whisker);
    scene_free(s);
    finish(&x);
}

/* Many groups: names upwards, all there, none on another. */
static void names_of_groups(void **state)
{
    (void)state;
    enum { N = 40 };
    static char name[N][8];
    static const char *names[N];
    static double at[N], up[N];
    chart_sample x;

    for (int i = 0; i < N; i++) {
        snprintf(name[i], sizeof name[i], "L%dH%d", i / 4, i % 4);
        names[i] = name[i];
        at[i] = i;
        up[i] = N - i;
    }
    for (int n = 1; n <= N; n += 3) {
        start(&x, "ablation_bars", NULL);
        add(&x, SERIES_BAR, NULL, at, up, n);
        x.c.groups = names;
        x.c.n_groups = n;
        scene *s = build(&x, (chart_style){.zero = true});
        check_page(s);
        need_text(s, names[0]);
        need_text(s, names[n - 1]);
        scene_free(s);
        finish(&x);
    }
}

static void legend_is_below(void **state)
{
    (void)state;
    chart_sample x;
    static const char *const labels[] = {"one", "a somewhat longer name of a run", "three", "SmolLM2-135M-Instruct.Q4_1",
                                         "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
                                         "a name so long that it does not fit into one column of any journal, not even nearly so",
                                         "fourteen"};
    static double y[CHART_MAX_SERIES][5];

    for (int n = 1; n <= CHART_MAX_SERIES; n++) {
        start(&x, "layer_curve", OPTIONS("width", n % 2 ? "84" : "174"));
        for (int i = 0; i < n; i++) {
            for (int k = 0; k < 5; k++)
                y[i][k] = i + 0.3 * k * (i % 3);
            add(&x, SERIES_LINE, labels[i], five, y[i], 5);
        }
        x.rule = (figure_rule){2.5, false, "threshold 2.5"};
        x.c.n_rules = 1;
        x.c.note = "band: quartiles of the heads of a layer, and some more words so that they take two lines";
        scene *s = build(&x, (chart_style){0});
        check_page(s);
        box plot = plot_of(s);
        assert_true(need_text(s, "one")->at.y > need_text(s, "layer")->at.y + need_text(s, "layer")->at.h);
        assert_true(need_text(s, "threshold 2.5")->at.y > plot.y + plot.h);
        for (int i = 0; i < n && i < 12; i++)
            need_text(s, labels[i]);
        scene_free(s);
        finish(&x);
    }
}

/* Colours of Okabe and Ito (Color Universal Design, 2008); no two series look alike even in grey. */
static void looks_differ(void **state)
{
    (void)state;
    static const rgb published[] = {{0, 114, 178}, {213, 94, 0}, {0, 158, 115}, {204, 121, 167}, {230, 159, 0}, {86, 180, 233}, {0, 0, 0}};
    for (int i = 0; i < 7; i++)
        assert_true(same_colour(chart_colour(i), published[i]));
    for (int i = 0; i < CHART_MAX_SERIES; i++) {
        for (int k = 0; k < i; k++) {
            double a[SCENE_DASHES] = {0}, b[SCENE_DASHES] = {0};
            int na = chart_dash(a, i, 1), nb = chart_dash(b, k, 1);
            bool dash = na == nb && memcmp(a, b, sizeof a) == 0;
            bool shape = chart_marker(i) == chart_marker(k) && chart_hollow(i) == chart_hollow(k);
            assert_false(dash && shape);
            assert_false(same_colour(chart_colour(i), chart_colour(k)) && chart_marker(i) == chart_marker(k));
        }
    }
}

/* --- files --- */

static void add_everything(chart_sample *x)
{
    figure_series *f = add(x, SERIES_LINE, "mean <over> heads & more", five, ups, 5);
    f->low = lows;
    f->high = highs;
    f = add(x, SERIES_POINTS, "points", five, lows, 5);
    f->low = lows;
    f->high = highs;
    f = add(x, SERIES_LINE, "uniform", five, highs, 5);
    f->plain = true;
    x->rule = (figure_rule){2.5, false, "threshold"};
    x->c.n_rules = 1;
}

static void write_scene(strbuf *out, const char *extension, const scene *s)
{
    static const char *const about[] = {"Title", "a chart", "Run", "3", NULL};
    const writer *w;
    err e = {0};
    assert_int_equal(writer_find(&w, extension, &e), 0);
    assert_int_equal(w->write(out, s, about, &e), 0);
}

static void same_bytes(void **state)
{
    (void)state;
    static const char *const files[] = {"x.png", "x.svg", "x.pdf"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        strbuf bytes[2] = {{0}, {0}};
        for (int k = 0; k < 2; k++) {
            chart_sample x;
            start(&x, "layer_curve", NULL);
            add_everything(&x);
            scene *s = build(&x, (chart_style){0});
            check_page(s);
            write_scene(&bytes[k], files[i], s);
            scene_free(s);
            finish(&x);
        }
        assert_int_equal(bytes[0].len, bytes[1].len);
        assert_memory_equal(bytes[0].s, bytes[1].s, bytes[0].len);
        strbuf_free(&bytes[0]);
        strbuf_free(&bytes[1]);
    }
}

static int count(const char *text, const char *what)
{
    int n = 0;
    for (const char *at = strstr(text, what); at; at = strstr(at + 1, what))
        n++;
    return n;
}

/* Pixels of a PNG in memory, [w, h] RGB. */
static uint8_t *pixels_of(const strbuf *png, int *w, int *h)
{
    png_image image = {.version = PNG_IMAGE_VERSION};
    assert_true(png_image_begin_read_from_memory(&image, png->s, png->len));
    image.format = PNG_FORMAT_RGB;
    uint8_t *out = malloc(PNG_IMAGE_SIZE(image));
    assert_non_null(out);
    assert_true(png_image_finish_read(&image, NULL, out, 0, NULL));
    *w = (int)image.width;
    *h = (int)image.height;
    return out;
}

/* Shapes by hand: where a polygon is filled, what SVG says of a path. */
static void shapes_in_files(void **state)
{
    (void)state;
    chart_sample x;
    page pg;
    scene *s;
    err e = {0};
    strbuf svg = {0}, png = {0};

    start(&x, "layer_curve", OPTIONS("width", "50.8", "dpi", "72"));
    assert_int_equal(page_init(&pg, x.p, 84, &e), 0);
    assert_int_equal(scene_new(&s, &pg, &e), 0);
    rgb red = {200, 0, 0}, blue = {0, 0, 200};
    line_style line = {.width = 4, .colour = blue, .dash = {6, 2.5}, .n_dash = 2};
    scene_area(s, (scene_point[]){{10, 10}, {50, 10}, {50, 50}}, 3, red, 1);
    scene_area(s, (scene_point[]){{60, 10}, {80, 10}, {80, 30}, {60, 30}}, 4, red, 0.5);
    scene_path(s, (scene_point[]){{10, 70}, {100, 70}}, 2, (line_style){.width = 4, .colour = blue});
    scene_path(s, (scene_point[]){{10, 80.25}, {100, 80.25}, {100, 90}}, 3, line);
    scene_path(s, (scene_point[]){{1, 1}}, 1, line); /* nothing */
    scene_area(s, (scene_point[]){{1, 1}, {2, 2}}, 2, red, 1);
    scene_marker(s, MARKER_SQUARE, (scene_point){120, 20}, 20, blue, red);
    scene_marker(s, MARKER_CROSS, (scene_point){120, 60}, 20, blue, red);
    assert_int_equal(scene_finish(s, 100, &e), 0);
    assert_int_equal(s->n, 4 + 2 + 2);
    assert_true(s->items[0].at.x == 10 && s->items[0].at.y == 10 && s->items[0].at.w == 40 && s->items[0].at.h == 40);

    write_scene(&svg, "x.svg", s);
    assert_non_null(strstr(svg.s, "<polygon points=\"10,10 50,10 50,50\" fill=\"#c80000\"/>"));
    assert_non_null(strstr(svg.s, "fill=\"#c80000\" fill-opacity=\"0.5\"/>"));
    assert_non_null(strstr(svg.s, "<polyline points=\"10,80.25 100,80.25 100,90\" fill=\"none\" stroke=\"#0000c8\" "
                                  "stroke-width=\"4\" stroke-linejoin=\"round\" stroke-dasharray=\"6 2.5\"/>"));
    assert_int_equal(count(svg.s, "<polyline"), 4);
    assert_int_equal(count(svg.s, "<polygon"), 4);

    write_scene(&png, "x.png", s);
    int w, h;
    uint8_t *px = pixels_of(&png, &w, &h);
    assert_int_equal(w, 144);
    assert_int_equal(h, 100);
#define PIXEL(x, y) ((uint32_t)px[3 * ((y) * w + (x))] << 16 | (uint32_t)px[3 * ((y) * w + (x)) + 1] << 8 | px[3 * ((y) * w + (x)) + 2])
    assert_int_equal(PIXEL(45, 15), 0xc80000);  /* inside the triangle */
    assert_int_equal(PIXEL(15, 45), 0xffffff);  /* beside it */
    uint32_t half = PIXEL(70, 20);
    assert_in_range(half >> 16, 226, 229);
    assert_in_range(half & 0xff, 126, 129);
    assert_int_equal(PIXEL(50, 69), 0x0000c8);
    assert_int_equal(PIXEL(50, 73), 0xffffff);
    assert_int_equal(PIXEL(12, 80), 0x0000c8);  /* a dash, and the gap behind it */
    assert_int_equal(PIXEL(17, 80), 0xffffff);
    assert_int_equal(PIXEL(120, 20), 0xc80000); /* inside of the square, and its outline */
    assert_int_equal(PIXEL(112, 20), 0x0000c8);
    assert_int_equal(PIXEL(120, 60), 0x0000c8);
#undef PIXEL
    free(px);
    strbuf_free(&svg);
    strbuf_free(&png);
    scene_free(s);
    finish(&x);
}

/* Lines of at most this many columns once escape sequences are gone. */
static void check_view(const char *text, view_size size, bool ascii)
{
    strbuf line = {0};
    int lines = 0;
    for (const char *c = text; *c; c++) {
        if (ascii)
            assert_true(*c == '\n' || (*c >= ' ' && *c <= '~'));
        if (*c == '\x1b') {
            c += strcspn(c, "m");
        } else if (*c == '\n') {
            int w = label_columns(strbuf_str(&line));
            if (w > size.columns)
                fail_msg("%d columns of %d: %s", w, size.columns, strbuf_str(&line));
            lines++;
            strbuf_clear(&line);
            if (line.s)
                line.s[0] = '\0';
        } else {
            strbuf_putc(&line, *c);
        }
    }
    assert_int_equal(line.len, 0);
    if (size.lines > 0)
        assert_true(lines <= size.lines);
    strbuf_free(&line);
}

/* --- hostile data --- */

static void any_values(void **state)
{
    (void)state;
    static const double sets[][5] = {
        {0, 0, 0, 0, 0}, {1, 1, 1, 1, 1}, {-3, -3, -3, -3, -3}, {NAN, 7, NAN, NAN, NAN}, {1e300, -1e300, 0, 1, 2},
        {1e-300, 2e-300, 3e-300, 1e-299, 0}, {-5, -4, -3, -2, -1}, {1e15, 1e15 + 1, 1e15 + 2, 1e15, 1e15},
        {INFINITY, 1, 2, -INFINITY, 3}, {1e-9, 1, 1e9, NAN, 1e4},
    };
    static const double far[] = {0, 1e3, 1e6, 1e9, 1e12};
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        for (int way = 0; way < 16; way++) {
            chart_sample x;
            scene *s = NULL;
            err e = {0};
            start(&x, "layer_curve", way & 4 ? OPTIONS("width", "40") : NULL);
            figure_series *f = add(&x, way & 8 ? SERIES_POINTS : SERIES_LINE, "a", way & 8 ? far : five, sets[i], 5);
            f->low = f->high = sets[i];
            chart_style style = {.log_y = way & 1, .log_x = (way & 2) != 0, .zero = true};
            if (chart_build(&s, &x.d, x.p, style, &e) == 0)
                check_page(s);
            else
                assert_true(e.msg[0] != '\0');
            scene_free(s);
            strbuf text = {0};
            view_size size = {60, way & 4 ? 20 : 0};
            if (chart_view(&text, &x.d, x.p, style, way & 8 ? TERM_256 : TERM_ASCII, size, &e) == 0)
                check_view(strbuf_str(&text), size, !(way & 8));
            strbuf_free(&text);
            finish(&x);
        }
    }
}

static void too_small_or_empty(void **state)
{
    (void)state;
    chart_sample x;
    scene *s = NULL;
    err e = {0};

    start(&x, "layer_curve", OPTIONS("width", "20"));
    add(&x, SERIES_LINE, "a", five, ups, 5);
    assert_int_equal(chart_build(&s, &x.d, x.p, (chart_style){0}, &e), ERR_USAGE);
    assert_non_null(strstr(e.hint, "--width"));
    assert_null(s);
    x.c.n_series = 0;
    assert_int_equal(chart_build(&s, &x.d, x.p, (chart_style){0}, &e), ERR_FAILED);
    x.d.chart = NULL;
    assert_int_equal(chart_build(&s, &x.d, x.p, (chart_style){0}, &e), ERR_FAILED);
    finish(&x);
}

/* --- terminal --- */

static char *view(chart_sample *x, chart_style style, term_colour colour, view_size size)
{
    strbuf b = {0};
    err e = {0};
    if (chart_view(&b, &x->d, x->p, style, colour, size, &e))
        fail_msg("%s", e.msg);
    return strbuf_take(&b, &e);
}

static void views_fit(void **state)
{
    (void)state;
    static const double at[] = {0, 1}, up[] = {2, -1};
    for (int columns = 24; columns <= 200; columns += 13) {
        for (int lines = 0; lines <= 60; lines = lines ? lines + 9 : 10) {
            for (int mode = 0; mode < 3; mode++) {
                chart_sample x;
                view_size size = {columns, lines};
                start(&x, "layer_curve", NULL);
                add_everything(&x);
                x.c.note = "band: quartiles of the heads";
                char *text = view(&x, (chart_style){.log_x = lines % 2}, (term_colour)mode, size);
                check_view(text, size, mode == TERM_ASCII);
                free(text);
                x.c.n_series = 0;
                add(&x, SERIES_BAR, "these heads", at, up, 2);
                x.c.groups = groups;
                x.c.n_groups = 2;
                text = view(&x, (chart_style){0}, (term_colour)mode, size);
                check_view(text, size, mode == TERM_ASCII);
                free(text);
                finish(&x);
            }
        }
    }
}

/* A point at a corner of the data is at that corner of the canvas, beside its number. */
static void view_shows_values(void **state)
{
    (void)state;
    static const double two[] = {0, 10}, ends[] = {0, 10};
    chart_sample x;

    start(&x, "layer_curve", OPTIONS("y-limits", "0,10", "x-limits", "0,10"));
    add(&x, SERIES_LINE, "a", two, ends, 2);
    char *text = view(&x, (chart_style){0}, TERM_ASCII, (view_size){40, 0});
    assert_non_null(strstr(text, "entropy (nats) up"));
    assert_non_null(strstr(text, "\n10 +                                   o\n"));
    assert_non_null(strstr(text, "\n 0 +o"));
    free(text);
    text = view(&x, (chart_style){0}, TERM_TRUE, (view_size){40, 0});
    assert_non_null(strstr(text, "\x1b[38;2;"));
    assert_non_null(strstr(text, "10 \u2524"));
    free(text);
    finish(&x);

    static const double at[] = {0, 1}, up[] = {2, 1}, low[] = {1.5, 0.5}, high[] = {2.5, 1.5};
    start(&x, "ablation_bars", NULL);
    figure_series *f = add(&x, SERIES_BAR, "these heads", at, up, 2);
    f->low = low;
    f->high = high;
    x.c.groups = groups;
    x.c.n_groups = 2;
    text = view(&x, (chart_style){0}, TERM_ASCII, (view_size){80, 0});
    int full = count(text, "o");
    const char *second = strstr(text, groups[1]);
    assert_non_null(second);
    assert_non_null(strstr(text, " 2 [1.5, 2.5]\n"));
    assert_non_null(strstr(second, " 1 [0.5, 1.5]\n"));
    assert_true(full > 10);
    free(text);
    strbuf b = {0};
    err e = {0};
    assert_int_equal(chart_view(&b, &x.d, x.p, (chart_style){0}, TERM_ASCII, (view_size){10, 5}, &e), ERR_FAILED);
    strbuf_free(&b);
    finish(&x);
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ticks_are_round),
        cmocka_unit_test(ticks_of_logarithms),
        cmocka_unit_test(limits),
        cmocka_unit_test(values_stand_where_the_axes_say),
        cmocka_unit_test(logarithms_stand_where_the_axes_say),
        cmocka_unit_test(lines_are_cut),
        cmocka_unit_test(bars_have_their_height),
        cmocka_unit_test(names_of_groups),
        cmocka_unit_test(legend_is_below),
        cmocka_unit_test(looks_differ),
        cmocka_unit_test(same_bytes),
        cmocka_unit_test(shapes_in_files),
        cmocka_unit_test(any_values),
        cmocka_unit_test(too_small_or_empty),
        cmocka_unit_test(views_fit),
        cmocka_unit_test(view_shows_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
