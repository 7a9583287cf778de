/* Several charts on one page: shared axes, one legend, letters; inks of a theme. */
#include "tests/chart_sample.h"

enum { MOST = 8, POINTS = 5 };
static const char *const titles[] = {"L0H1", "L1H3", "sink", "a title that is much longer than any plot can be wide, so cut",
                                     "", "small", "large", "last"};
static const char *const quantities[] = {"entropy (nats)", "sink", "norm", "loss", "a", "b", "c", "d"};

typedef struct page_sample {
    chart_sample x;
    figure_chart chart[MOST];
    figure_series series[MOST][2];
    double y[MOST][POINTS];
    figure_charts charts;
} page_sample;

/* n charts of two lines; those of chart i reach i + 1 times as high. */
static void start_page(page_sample *p, int n, const char *const *options)
{
    memset(p, 0, sizeof *p);
    start(&p->x, "layer_curve", options);
    for (int i = 0; i < n; i++) {
        for (int k = 0; k < POINTS; k++)
            p->y[i][k] = ups[k] * (i + 1);
        p->series[i][0] = (figure_series){.label = "mean", .n = POINTS, .x = five, .y = p->y[i]};
        p->series[i][1] = (figure_series){.label = i == 1 ? "only in (b)" : "lowest", .n = POINTS, .x = five, .y = lows,
                                          .look = i == 1 ? 2 : 1};
        p->chart[i] = (figure_chart){.series = p->series[i], .n_series = 2, .whole = true, .note = "band: quartiles"};
    }
    p->charts = (figure_charts){.chart = p->chart, .titles = titles, .n = n};
    p->x.d.chart = NULL;
    p->x.d.charts = &p->charts;
}

static int count_texts(const scene *s, const char *text)
{
    int n = 0;
    for (int64_t i = 0; i < s->n; i++)
        n += s->items[i].kind == SCENE_TEXT && strcmp(s->items[i].text, text) == 0;
    return n;
}

/* On the page, and no text on another. */
static void check_texts(const scene *s)
{
    for (int64_t i = 0; i < s->n; i++) {
        const box *a = &s->items[i].at;
        if (a->x < -0.01 || a->y < -0.01 || a->x + a->w > s->page.width + 0.01 || a->y + a->h > s->height + 0.01)
            fail_msg("outside the page: %s", s->items[i].text ? s->items[i].text : "a shape");
        for (int64_t k = 0; k < i && s->items[i].kind == SCENE_TEXT; k++)
            if (s->items[k].kind == SCENE_TEXT && overlap(*a, s->items[k].at))
                fail_msg("'%s' lies on '%s'", s->items[i].text, s->items[k].text);
    }
}

/* Centre of the marker of the highest point of a chart: markers of the first look, POINTS to a chart. */
static scene_point highest_of(const scene *s, int chart)
{
    int seen = 0;
    for (int64_t i = 0; i < s->n; i++) {
        const scene_item *it = &s->items[i];
        if (it->kind != SCENE_PATH || !it->line.closed || !same_colour(it->line.colour, chart_colour(0)))
            continue;
        if (seen++ == chart * POINTS + POINTS - 1)
            return (scene_point){middle_x(it), middle_y(it)};
    }
    fail_msg("no marker of chart %d", chart);
    return (scene_point){0, 0};
}

static void pages(void **state)
{
    (void)state;
    static const char *const widths[] = {"single", "double", "slide"};
    for (int n = 1; n <= MOST; n++) {
        for (int w = 0; w < 3; w++) {
            for (int own = 0; own < 2; own++) {
                page_sample p;
                start_page(&p, n, OPTIONS("width", widths[w]));
                p.charts.quantities = own ? quantities : NULL;
                scene *s = build(&p.x, (chart_style){0});
                check_texts(s);
                assert_non_null(text_item(s, n > 1 ? "(a) L0H1" : "L0H1"));
                assert_int_equal(count_texts(s, "mean"), 1); /* the legend */
                assert_int_equal(count_texts(s, "only in (b)"), n > 1);
                assert_int_equal(count_texts(s, "band: quartiles"), 1);
                assert_int_equal(count_texts(s, "layer"), 1);
                assert_int_equal(count_texts(s, "entropy (nats)"), 1);
                assert_int_equal(count_texts(s, "sink"), own && n > 1);
                scene_free(s);
                finish(&p.x);
            }
        }
    }
}

/* 5 in (a) and 10 in (b) are where one axis puts them; with quantities of their own both are near the top. */
static void limits_are_shared(void **state)
{
    (void)state;
    page_sample p;

    start_page(&p, 2, OPTIONS("y-limits", "0,12"));
    scene *s = build(&p.x, (chart_style){0});
    assert_true(fabs(read_y(s, highest_of(s, 0).y, "0", "10") - 5) < 0.05);
    assert_true(fabs(read_y(s, highest_of(s, 1).y, "0", "10") - 10) < 0.05);
    assert_true(highest_of(s, 1).x > highest_of(s, 0).x + 20);
    assert_int_equal(count_texts(s, "10"), 1); /* the numbers stand at the left chart alone */
    scene_free(s);
    finish(&p.x);

    start_page(&p, 2, NULL);
    s = build(&p.x, (chart_style){0});
    assert_true(highest_of(s, 0).y > highest_of(s, 1).y + 20);
    scene_free(s);
    p.charts.quantities = quantities;
    s = build(&p.x, (chart_style){0});
    assert_true(fabs(highest_of(s, 0).y - highest_of(s, 1).y) < 1);
    scene_free(s);
    finish(&p.x);
}

static void notes_differ(void **state)
{
    (void)state;
    page_sample p;

    start_page(&p, 3, NULL);
    p.chart[1].note = "12 heads";
    p.chart[2].note = NULL;
    scene *s = build(&p.x, (chart_style){0});
    assert_non_null(text_item(s, "(a) band: quartiles; (b) 12 heads"));
    scene_free(s);
    finish(&p.x);
}

static void refused(void **state)
{
    (void)state;
    page_sample p;
    scene *s = NULL;
    err e = {0};

    start_page(&p, 2, NULL);
    p.chart[1].groups = groups;
    p.chart[1].n_groups = 2;
    assert_int_equal(chart_build(&s, &p.x.d, p.x.p, (chart_style){0}, &e), ERR_FAILED);
    p.chart[1] = (figure_chart){0};
    assert_int_equal(chart_build(&s, &p.x.d, p.x.p, (chart_style){0}, &e), ERR_FAILED);
    p.charts.n = 0;
    assert_int_equal(chart_build(&s, &p.x.d, p.x.p, (chart_style){0}, &e), ERR_FAILED);
    p.charts.n = PANELS_MOST + 1;
    assert_int_equal(chart_build(&s, &p.x.d, p.x.p, (chart_style){0}, &e), ERR_USAGE);
    assert_null(s);
    finish(&p.x);
}

static void terminal(void **state)
{
    (void)state;
    page_sample p;
    strbuf b = {0};
    err e = {0};
    int lines = 0;

    start_page(&p, 3, NULL);
    assert_int_equal(chart_view(&b, &p.x.d, p.x.p, (chart_style){0}, TERM_ASCII, (view_size){60, 48}, &e), 0);
    assert_non_null(strstr(b.s, "(a) L0H1\n"));
    assert_non_null(strstr(b.s, "(c) sink\n"));
    for (const char *c = b.s; *c; c++)
        lines += *c == '\n';
    assert_in_range(lines, 30, 48);
    strbuf_free(&b);
    finish(&p.x);
}

/* Axes, grid, text and series take the inks of a theme. */
static void inks(void **state)
{
    (void)state;
    page_sample p;
    rgb text = {0x11, 0x22, 0x33}, line = {0x44, 0x55, 0x66}, behind = {0xaa, 0xbb, 0xcc}, quiet = {0x77, 0x66, 0x55};
    rgb first = {0x12, 0x34, 0x56}, second = {0x65, 0x43, 0x21};
    int lines = 0, grids = 0, firsts = 0, seconds = 0;

    start_page(&p, 2, OPTIONS("ink", "#112233", "ink-line", "#445566", "ink-grid", "#aabbcc", "ink-quiet", "#776655",
                              "ink-series", "#123456,#654321"));
    scene *s = build(&p.x, (chart_style){0});
    for (int64_t i = 0; i < s->n; i++) {
        const scene_item *it = &s->items[i];
        if (it->kind == SCENE_FILL && !same_colour(it->colour, line) && !same_colour(it->colour, behind))
            fail_msg("a box of colour %02x%02x%02x", it->colour.r, it->colour.g, it->colour.b);
        if (it->kind == SCENE_TEXT && !same_colour(it->style.colour, text) && !same_colour(it->style.colour, quiet))
            fail_msg("'%s' has another ink", it->text);
        lines += it->kind == SCENE_FILL && same_colour(it->colour, line);
        grids += it->kind == SCENE_FILL && same_colour(it->colour, behind);
        firsts += it->kind == SCENE_PATH && same_colour(it->line.colour, first);
        seconds += it->kind == SCENE_PATH && same_colour(it->line.colour, second);
        if (it->kind == SCENE_PATH && !same_colour(it->line.colour, first) && !same_colour(it->line.colour, second))
            fail_msg("a line has another ink");
    }
    assert_true(lines > 4 && grids > 4 && firsts > 2 && seconds > 2);
    scene_free(s);
    finish(&p.x);
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages),
        cmocka_unit_test(limits_are_shared),
        cmocka_unit_test(notes_differ),
        cmocka_unit_test(refused),
        cmocka_unit_test(terminal),
        cmocka_unit_test(inks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
