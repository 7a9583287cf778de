/* Charts: axes, and what is where on the page. */
#include "tests/chart_sample.h"

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
    a.lo = 0.2;
    chart_axis_ticks(&a, 9, false);
    TICKS(&a, "1", "5", "10", "15", "20", "25", "30");
    chart_axis_ticks(&a, 6, false);
    TICKS(&a, "1", "10", "20", "30");
}

static void ticks_of_logarithms(void **state)
{
    (void)state;
    chart_axis a = {.log = true, .lo = 2e-4, .hi = 30};
    chart_axis_ticks(&a, 8, false);
    TICKS(&a, "0.001", "0.01", "0.1", "1", "10");
    assert_true(fabs(a.tick[3].at - log(1 / 2e-4) / log(30 / 2e-4)) < 1e-12);
    chart_axis_ticks(&a, 3, false);
    TICKS(&a, "0.001", "0.1", "10");
    a = (chart_axis){.log = true, .lo = 5e-7, .hi = 0.2};
    chart_axis_ticks(&a, 8, true); /* all in one way of writing */
    TICKS(&a, "10\u207b\u2076", "10\u207b\u2075", "10\u207b\u2074", "10\u207b\u00b3", "10\u207b\u00b2", "10\u207b\u00b9");
    a = (chart_axis){.log = true, .lo = 0.8, .hi = 60};
    chart_axis_ticks(&a, 8, false);
    TICKS(&a, "1", "2", "5", "10", "20", "50");
    a = (chart_axis){.log = true, .lo = 0.0045, .hi = 0.6}; /* the last decade has its numbers, too */
    chart_axis_ticks(&a, 7, false);
    TICKS(&a, "0.005", "0.01", "0.02", "0.05", "0.1", "0.2", "0.5");
    chart_axis_ticks(&a, 6, false);
    TICKS(&a, "0.005", "0.01", "0.05", "0.1", "0.5");
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
    assert_true(fabs(m[0].x - middle_x(below(s, "1"))) < 0.05 && fabs(m[4].x - middle_x(below(s, "5"))) < 0.05);
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
    need_text(s, "2 values outside the axes"); /* (0, 1) and (4, 5) */
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
        x.rule = (figure_rule){2.5, "threshold 2.5"};
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
    static const rgb published[] = {{0, 114, 178}, {213, 94, 0}, {0, 158, 115}, {204, 121, 167},
                                    {230, 159, 0}, {86, 180, 233}, {0, 0, 0}};
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
