/* The needle grid: its colours, its limits, what is written where, and cells without a trial. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/strbuf.h"
#include "plots/scene.h"
#include "tests/figure_sample.h"

static const float cells[] = {0, 50, 100, 100, 75, NAN};
static const char *const depths[] = {"0", "100"}, *const lengths[] = {"1000", "25000", "50000"};

static figure_data grid_data(void)
{
    return (figure_data){
        .m = {2, 3, cells, depths, lengths}, .title = "needle", .row_axis = "depth", .col_axis = "length",
        .quantity = "recall", .unit = "%", .lo = 0, .hi = 100, .pool = 1,
    };
}

static scene *build(const char *const *options)
{
    const figure *f = figure_find("needle_grid");
    const figure_data d = grid_data();
    scene *s = NULL;
    err e = {0};
    assert_non_null(f);
    assert_string_equal(f->needs, "trials");
    params *p = sample_params(f, options);
    if (f->build(&s, &d, p, &e))
        fail_msg("%s", e.msg);
    params_free(p);
    return s;
}

/* Colour of cell i of the map. */
static uint32_t cell_colour(const scene *s, int i)
{
    for (int64_t k = 0; k < s->n; k++)
        if (s->items[k].kind == SCENE_RASTER) {
            const rgb c = s->items[k].pixels[i];
            assert_int_equal(s->items[k].rows * s->items[k].cols, 6);
            return (uint32_t)c.r << 16 | (uint32_t)c.g << 8 | c.b;
        }
    fail_msg("no map");
    return 0;
}

static int texts(const scene *s, const char *text)
{
    int n = 0;
    for (int64_t k = 0; k < s->n; k++)
        n += s->items[k].kind == SCENE_TEXT && strcmp(s->items[k].text, text) == 0;
    return n;
}

static void test_colours(void **state)
{
    (void)state;
    scene *s = build(NULL);
    assert_int_equal(cell_colour(s, 0), 0xf0496e);
    assert_int_equal(cell_colour(s, 1), 0xebb839);
    assert_int_equal(cell_colour(s, 2), 0x0cd79f);
    assert_int_equal(cell_colour(s, 3), 0x0cd79f);
    scene_free(s);
    s = build(OPTIONS("safe", NULL));
    assert_int_equal(cell_colour(s, 0), 0x00224e); /* cividis */
    assert_int_equal(cell_colour(s, 2), 0xfee838);
    scene_free(s);
    s = build(OPTIONS("cmap", "viridis"));
    assert_int_equal(cell_colour(s, 0), 0x440154); /* what the user names comes first */
    scene_free(s);
}

static void test_texts(void **state)
{
    (void)state;
    scene *s = build(NULL);
    for (int i = 0; i < 3; i++)
        assert_int_equal(texts(s, lengths[i]), 1);
    assert_int_equal(texts(s, "50"), 1);
    assert_int_equal(texts(s, "75"), 1);
    assert_int_equal(texts(s, "100"), 4); /* two cells, a depth, the end of the colour bar */
    assert_int_equal(texts(s, "no trial"), 1);
    scene_free(s);
}

static void test_terminal(void **state)
{
    (void)state;
    const figure *f = figure_find("needle_grid");
    const figure_data d = grid_data();
    params *p = sample_params(f, NULL);
    char *text;
    err e = {0};
    assert_int_equal(figure_view(f, &d, p, TERM_ASCII, (view_size){80, 0}, &text, &e), 0);
    assert_non_null(strstr(text, "1000"));
    assert_non_null(strstr(text, "50000"));
    assert_non_null(strstr(text, "75"));
    free(text);
    params_free(p);
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_colours),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_terminal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
