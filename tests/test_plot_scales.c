/* plots: colour maps, scales and pooling. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>

#include "plots/colormap.h"
#include "plots/grid.h"
#include "plots/heatmap.h"
#include "plots/scale.h"
#include "tests/figure_sample.h"

/* --- colour maps --- */

static uint32_t colour_at(const char *name, double x)
{
    palette p;

    assert_int_equal(palette_find(&p, name, NULL), 0);
    rgb c = palette_at(p, x);
    return (uint32_t)c.r << 16 | (uint32_t)c.g << 8 | c.b;
}

/* Published colours: matplotlib's tables at 0, 128 and 255; ColorBrewer's classes. */
static void colormap_published(void **state)
{
    (void)state;
    assert_int_equal(colour_at("viridis", 0), 0x440154);
    assert_int_equal(colour_at("viridis", 128 / 255.0), 0x21918c);
    assert_int_equal(colour_at("viridis", 1), 0xfde725);
    assert_int_equal(colour_at("magma", 0), 0x000004);
    assert_int_equal(colour_at("magma", 128 / 255.0), 0xb73779);
    assert_int_equal(colour_at("magma", 1), 0xfcfdbf);
    assert_int_equal(colour_at("cividis", 0), 0x00224e);
    assert_int_equal(colour_at("cividis", 128 / 255.0), 0x7d7c78);
    assert_int_equal(colour_at("cividis", 1), 0xfee838);
    assert_int_equal(colour_at("Blues", 0), 0xf7fbff);
    assert_int_equal(colour_at("Blues", 0.5), 0x6baed6);
    assert_int_equal(colour_at("Blues", 1), 0x08306b);
    assert_int_equal(colour_at("YlGnBu", 0), 0xffffd9);
    assert_int_equal(colour_at("YlGnBu", 0.5), 0x41b6c4);
    assert_int_equal(colour_at("YlGnBu", 1), 0x081d58);
    assert_int_equal(colour_at("RdBu", 0), 0x67001f);
    assert_int_equal(colour_at("RdBu", 0.5), 0xf7f7f7);
    assert_int_equal(colour_at("RdBu", 1), 0x053061);
    /* halfway between two classes of Blues: the mean of the two */
    assert_int_equal(colour_at("Blues", 1.5 / 8), 0xd2e3f3);
}

static void colormap_shape(void **state)
{
    (void)state;
    for (const colormap *m = colormaps; m->name; m++) {
        palette up = {m, false}, down = {m, true};
        int rising = rgb_lightness(palette_at(up, 1)) > rgb_lightness(palette_at(up, 0));
        for (int i = 0; i < 1000; i++) {
            rgb a = palette_at(up, i / 999.0), b = palette_at(down, 1 - i / 999.0),
                c = palette_at(up, (i + 1) / 999.0);
            assert_memory_equal(&a, &b, sizeof a);
            /* sequential maps change lightness in one direction, but for rounding to 8 bits */
            double step = rgb_lightness(c) - rgb_lightness(a);
            if (!m->diverging && i < 999)
                assert_true(rising ? step > -0.004 : step < 0.004);
        }
        rgb below = palette_at(up, -3), first = palette_at(up, 0), nan = palette_at(up, NAN);
        assert_memory_equal(&below, &first, sizeof below);
        assert_memory_equal(&nan, &first, sizeof nan);
    }
}

static void colormap_unknown(void **state)
{
    (void)state;
    palette p;
    err e = {0};

    assert_int_equal(palette_find(&p, "jet", &e), ERR_USAGE);
    assert_non_null(strstr(e.msg, "'jet'"));
    for (const colormap *m = colormaps; m->name; m++)
        assert_non_null(strstr(e.hint, m->name));
    assert_int_equal(palette_find(&p, "_r", &e), ERR_USAGE);
    assert_int_equal(palette_find(&p, "virids", &e), ERR_USAGE);
    assert_non_null(strstr(e.hint, "did you mean 'viridis'"));
    for (const char *const *n = colormap_names; *n; n++)
        assert_int_equal(palette_find(&p, *n, NULL), 0);
}

/* The nearest colour found by looking at all 240. */
static void terminal_palette(void **state)
{
    (void)state;
    static const int level[6] = {0, 95, 135, 175, 215, 255};

    for (int k = 0; k < 4096; k++) {
        rgb c = {(uint8_t)((k >> 8) * 17), (uint8_t)((k >> 4 & 15) * 17), (uint8_t)((k & 15) * 17)};
        int best = 1 << 30, got = -1, index = rgb_to_256(c);
        assert_in_range(index, 16, 255);
        for (int i = 16; i < 256; i++) {
            int v = 8 + 10 * (i - 232);
            int r = i >= 232 ? v : level[(i - 16) / 36], g = i >= 232 ? v : level[(i - 16) / 6 % 6];
            int b = i >= 232 ? v : level[(i - 16) % 6];
            int d = (c.r - r) * (c.r - r) + (c.g - g) * (c.g - g) + (c.b - b) * (c.b - b);
            if (i == index)
                got = d;
            best = d < best ? d : best;
        }
        assert_int_equal(got, best);
    }
}

/* --- scale --- */

static scale make_scale(sample *s)
{
    grid g;
    scale sc;

    assert_int_equal(grid_pool(&g, &s->d.m, 1, 1, POOL_MEAN, NULL), 0);
    assert_int_equal(scale_init(&sc, &s->d, &g, s->p, NULL), 0);
    grid_free(&g);
    return sc;
}

static void scale_linear(void **state)
{
    (void)state;
    sample s;

    sample_init(&s, "head_map", 4, 4, true, false, NULL);
    scale sc = make_scale(&s);
    assert_true(scale_unit(&sc, 0) == 0 && scale_unit(&sc, 1) == 1 && scale_unit(&sc, 0.25) == 0.25);
    assert_true(scale_unit(&sc, -1) == 0 && scale_unit(&sc, 2) == 1);
    scale_tick t[SCALE_MAX_TICKS];
    assert_int_equal(scale_ticks(t, &sc, 6, false), 6);
    assert_string_equal(t[0].text, "0.0");
    assert_string_equal(t[1].text, "0.2");
    assert_string_equal(t[5].text, "1.0");
    assert_true(fabs(t[1].at - 0.2) < 1e-12);
    assert_int_equal(scale_ticks(t, &sc, 4, false), 3);
    assert_string_equal(t[1].text, "0.5");
    sample_free(&s);

    /* a diverging map is centred on 0 */
    sample_init(&s, "head_map", 1, 3, false, false, OPTIONS("cmap", "RdBu"));
    s.cells[0] = -3, s.cells[1] = 0, s.cells[2] = 1;
    s.d.lo = s.d.hi = NAN;
    sc = make_scale(&s);
    assert_true(sc.lo == -3 && sc.hi == 3 && scale_unit(&sc, 0) == 0.5);
    assert_int_equal(scale_ticks(t, &sc, 7, true), 7);
    assert_string_equal(t[0].text, "\u22123");
    assert_string_equal(t[3].text, "0");
    sample_free(&s);
}

static void scale_log(void **state)
{
    (void)state;
    sample s;
    strbuf label = {0};
    grid g;

    sample_init(&s, "head_map", 4, 4, true, false, OPTIONS("norm", "log"));
    scale sc = make_scale(&s);
    assert_true(sc.lo == 1e-4 && sc.hi == 1);
    assert_true(fabs(scale_unit(&sc, 0.01) - 0.5) < 1e-12);
    assert_true(scale_unit(&sc, 0) == 0 && scale_unit(&sc, 1e-5) == 0);
    scale_tick t[SCALE_MAX_TICKS];
    assert_int_equal(scale_ticks(t, &sc, 7, false), 5);
    assert_string_equal(t[0].text, "1e-4");
    assert_string_equal(t[4].text, "1");
    assert_int_equal(scale_ticks(t, &sc, 7, true), 5);
    assert_string_equal(t[0].text, "10\u207b\u2074");
    assert_true(fabs(t[2].at - 0.5) < 1e-12);
    assert_int_equal(scale_ticks(t, &sc, 3, false), 3);
    assert_string_equal(t[0].text, "1e-4");
    assert_string_equal(t[1].text, "0.01");
    assert_int_equal(grid_pool(&g, &s.d.m, 1, 1, POOL_MEAN, NULL), 0);
    scale_put_label(&label, &sc, &s.d, &g);
    assert_string_equal(strbuf_str(&label), "attention weight, log10, floor 1e-4");
    grid_free(&g);
    assert_int_equal(grid_pool(&g, &s.d.m, 2, 2, POOL_MAX, NULL), 0);
    strbuf_clear(&label);
    scale_put_label(&label, &sc, &s.d, &g);
    assert_string_equal(strbuf_str(&label), "attention weight, log10, floor 1e-4, max over 2 × 2 cells");
    s.d.pool = 8;
    s.d.pooling = "max";
    strbuf_clear(&label);
    scale_put_label(&label, &sc, &s.d, &g);
    assert_string_equal(strbuf_str(&label), "attention weight, log10, floor 1e-4, max over 16 × 16 cells");
    grid_free(&g);
    strbuf_free(&label);
    sample_free(&s);
}

static void scale_percentiles(void **state)
{
    (void)state;
    sample s;
    strbuf label = {0};
    grid g;
    scale sc;

    sample_init(&s, "score_grid", 1, 101, false, false, OPTIONS("limits", "p5,p95"));
    for (int i = 0; i < 101; i++)
        s.cells[i] = (float)(i * 37 % 101); /* 0..100 in disorder */
    s.d.unit = "nats";
    s.d.quantity = "entropy";
    assert_int_equal(grid_pool(&g, &s.d.m, 1, 1, POOL_MEAN, NULL), 0);
    assert_int_equal(scale_init(&sc, &s.d, &g, s.p, NULL), 0);
    assert_true(fabs(sc.lo - 5) < 1e-9 && fabs(sc.hi - 95) < 1e-9);
    assert_true(sc.clips_low && sc.clips_high);
    scale_put_label(&label, &sc, &s.d, &g);
    assert_string_equal(strbuf_str(&label), "entropy (nats), limits 5 to 95 (percentiles 5 to 95)");
    /* what the percentiles are stands at the ends, and arrows say that values lie outside */
    scale_tick t[SCALE_MAX_TICKS];
    int n = scale_ticks(t, &sc, 7, false);
    assert_true(n >= 3);
    assert_string_equal(t[0].text, "5");
    assert_string_equal(t[n - 1].text, "95");
    assert_true(t[0].at == 0 && t[n - 1].at == 1);
    assert_string_equal(t[1].text, "20");
    assert_int_equal(scale_ticks(t, &sc, 2, false), 2);
    assert_true(scale_marks(&sc, false) && scale_marks(&sc, true));
    sc.clips_low = false;
    assert_true(!scale_marks(&sc, false) && scale_marks(&sc, true));
    sc = (scale){.norm = NORM_LOG, .lo = 1e-4, .hi = 1, .clips_low = true, .p_lo = NAN, .p_hi = NAN};
    assert_false(scale_marks(&sc, false)); /* below the floor */
    /* --norm percentile says the same in a word; its limits are p1,p99 where none are given */
    assert_int_equal(params_set(s.p, "norm", "percentile", NULL), 0);
    assert_int_equal(scale_init(&sc, &s.d, &g, s.p, NULL), 0);
    assert_true(fabs(sc.lo - 5) < 1e-9 && fabs(sc.hi - 95) < 1e-9 && sc.norm == NORM_LINEAR);
    grid_free(&g);
    sample_free(&s);
    sample_init(&s, "score_grid", 1, 101, false, false, OPTIONS("norm", "percentile"));
    for (int i = 0; i < 101; i++)
        s.cells[i] = (float)(i * 37 % 101);
    assert_int_equal(grid_pool(&g, &s.d.m, 1, 1, POOL_MEAN, NULL), 0);
    assert_int_equal(scale_init(&sc, &s.d, &g, s.p, NULL), 0);
    assert_true(fabs(sc.lo - 1) < 1e-9 && fabs(sc.hi - 99) < 1e-9 && sc.clips_low && sc.clips_high);
    strbuf_free(&label);
    grid_free(&g);
    sample_free(&s);
}

static void scale_bad(void **state)
{
    (void)state;
    static const struct { const char *norm, *limits, *floor, *says; int code; } bad[] = {
        {"linear", "1,0", NULL, "low limit must be below", ERR_USAGE},
        {"linear", "1,1", NULL, "low limit must be below", ERR_USAGE},
        {"linear", "p90,p10", NULL, "low limit must be below", ERR_USAGE},
        {"linear", "0", NULL, "not a pair of limits", ERR_USAGE},
        {"linear", "0,1,2", NULL, "not a pair of limits", ERR_USAGE},
        {"linear", "p0,1", NULL, "not a pair of limits", ERR_USAGE},
        {"linear", "p0,p101", NULL, "not a pair of limits", ERR_USAGE},
        {"linear", "nan,1", NULL, "not a pair of limits", ERR_USAGE},
        {"log", "0,1", NULL, "needs positive limits", ERR_USAGE},
        {"log", "-1,1", NULL, "needs positive limits", ERR_USAGE},
        {"log", NULL, "0", "must be above 0", ERR_USAGE},
        {"percentile", "0,1", NULL, "needs percentiles", ERR_USAGE},
        {"log", NULL, "2", "no value is above the floor", ERR_FAILED},
    };

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        sample s;
        scene *pic = NULL;
        err e = {0};
        sample_init(&s, "head_map", 4, 4, true, false, OPTIONS("norm", bad[i].norm));
        if (bad[i].limits)
            assert_int_equal(params_set(s.p, "limits", bad[i].limits, NULL), 0);
        if (bad[i].floor)
            assert_int_equal(params_set(s.p, "floor", bad[i].floor, NULL), 0);
        assert_int_equal(s.f->build(&pic, &s.d, s.p, &e), bad[i].code);
        assert_non_null(strstr(e.msg, bad[i].says));
        assert_true(e.hint[0] != '\0');
        assert_null(pic);
        sample_free(&s);
    }
}

static void numbers(void **state)
{
    (void)state;
    static const struct { double v; int decimals; bool pretty; const char *text;
    } want[] = {
        {0, -1, false, "0"},
        {0.25, -1, false, "0.25"},
        {1e-4, -1, false, "1e-4"},
        {1e-4, -1, true, "10\u207b\u2074"},
        {-2.5e-7, -1, true, "\u22122.5\u00b710\u207b\u2077"},
        {123456, -1, false, "123456"},
        {2e6, 0, false, "2e6"},
        {-0.5, 1, true, "\u22120.5"},
        {-0.5, 1, false, "-0.5"},
        {0.999, 2, false, "1.00"},
        {42, 0, false, "42"},
    };
    number_text text;

    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        number_format(text, want[i].v, want[i].decimals, want[i].pretty);
        assert_string_equal(text, want[i].text);
    }
    heatmap_value(text, 0.534, 2, true, false);
    assert_string_equal(text, ".53");
    heatmap_value(text, 1, 2, true, false);
    assert_string_equal(text, "1.0");
    heatmap_value(text, -0.001, 2, false, false);
    assert_string_equal(text, "0.00");
    heatmap_value(text, -0.71, 2, true, true);
    assert_string_equal(text, "\u2212.71");
    heatmap_value(text, 0.3, 1, true, false);
    assert_string_equal(text, "0.3");
    assert_true(nice_step(0.3) == 0.5 && nice_step(1) == 1 && nice_step(11) == 20 && nice_step(51) == 100);
}

/* --- pooling --- */

static void pooling_values(void **state)
{
    (void)state;
    sample s;

    sample_init(&s, "head_map", 23, 31, true, false, NULL);
    s.cells[5 * 31 + 2] = INFINITY; /* counts as no value */
    for (int64_t pr = 1; pr <= 24; pr += 3) {
        for (int64_t pc = 1; pc <= 32; pc += 5) {
            for (int how = POOL_MEAN; how <= POOL_MAX; how++) {
                grid g;
                assert_int_equal(grid_pool(&g, &s.d.m, pr, pc, (pooling)how, NULL), 0);
                assert_int_equal(g.rows, (23 + pr - 1) / pr);
                assert_int_equal(g.cols, (31 + pc - 1) / pc);
                for (int64_t i = 0; i < g.rows * g.cols; i++) {
                    double sum = 0, most = -INFINITY;
                    int n = 0;
                    for (int64_t j = 0; j < 23 * 31; j++) {
                        double v = (double)s.cells[j];
                        if (j / 31 / pr != i / g.cols || j % 31 / pc != i % g.cols || !isfinite(v))
                            continue;
                        sum += v;
                        most = fmax(most, v);
                        n++;
                    }
                    if (n == 0)
                        assert_true(isnan(g.cells[i]));
                    else
                        assert_true(fabs((double)g.cells[i] - (how == POOL_MAX ? most : sum / n)) < 1e-7);
                }
                grid_free(&g);
            }
        }
    }
    sample_free(&s);
}

static void pooling_nothing(void **state)
{
    (void)state;
    float nan[4] = {NAN, NAN, INFINITY, NAN};
    figure_matrix m = {.rows = 2, .cols = 2, .cells = nan};
    grid g;
    err e = {0};

    assert_int_equal(grid_pool(&g, &m, 1, 1, POOL_MEAN, &e), ERR_FAILED);
    assert_string_equal(e.msg, "nothing to draw: no finite values");
    m.rows = 0;
    assert_int_equal(grid_pool(&g, &m, 1, 1, POOL_MEAN, &e), ERR_FAILED);
    assert_string_equal(e.msg, "nothing to draw: the matrix has no cells");
}

/* The relation of the lighter to the darker of two colours: https://www.w3.org/TR/WCAG21/#dfn-contrast-ratio. */
static void contrasts(void **state)
{
    (void)state;
    rgb black = {0, 0, 0}, white = {255, 255, 255}, red = {255, 0, 0};

    assert_true(fabs(rgb_contrast(black, white) - 21) < 1e-9);
    assert_true(fabs(rgb_contrast(white, black) - 21) < 1e-9);
    assert_true(fabs(rgb_contrast(red, red) - 1) < 1e-9);
    assert_true(fabs(rgb_contrast(white, red) - 1.05 / (0.2126 + 0.05)) < 1e-9);
    assert_true(fabs(rgb_contrast((rgb){0x76, 0x76, 0x76}, white) - 4.54) < 0.005); /* the lightest grey for text */
    for (int v = 0; v < 256; v++) {
        rgb grey = {(uint8_t)v, (uint8_t)v, (uint8_t)v}, on = rgb_opposite(grey);
        assert_true(rgb_contrast(on, grey) >= 4.5);
        assert_int_equal(on.r, v < 118 ? 255 : 0);
    }
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(colormap_published),
        cmocka_unit_test(colormap_shape),
        cmocka_unit_test(colormap_unknown),
        cmocka_unit_test(terminal_palette),
        cmocka_unit_test(contrasts),
        cmocka_unit_test(scale_linear),
        cmocka_unit_test(scale_log),
        cmocka_unit_test(scale_percentiles),
        cmocka_unit_test(scale_bad),
        cmocka_unit_test(numbers),
        cmocka_unit_test(pooling_values),
        cmocka_unit_test(pooling_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
