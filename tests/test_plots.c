/* plots: colour maps, scales, pooling, labels, and what is where on the page. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>

#include "plots/colormap.h"
#include "plots/grid.h"
#include "plots/heatmap.h"
#include "plots/label.h"
#include "plots/scale.h"
#include "plots/scene.h"
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

/* --- labels --- */

static void check_label(const char *text, const char *visible, const char *ascii)
{
    strbuf b = {0};

    label_put_visible(&b, text);
    assert_string_equal(strbuf_str(&b), visible);
    strbuf_clear(&b);
    label_put_ascii(&b, text);
    assert_string_equal(strbuf_str(&b), ascii);
    strbuf_free(&b);
}

static void labels_visible(void **state)
{
    (void)state;
    check_label(" the", " the", " the");
    check_label("\n", "\\n", "\\n");
    check_label("a\tb", "a\\tb", "a\\tb");
    check_label("\x1b[31m", "\\x1B[31m", "\\x1B[31m");
    check_label("  ", "\u2423\u2423", "__");
    check_label("\xe4\xbd", "\\xE4\\xBD", "\\xE4\\xBD");
    check_label("\u200b", "\\u200B", "\\u200B");
    check_label("\u202eabc", "\\u202Eabc", "\\u202Eabc");
    check_label("\u00e9\u2026\u201c", "\u00e9\u2026\u201c", "\\u00E9...\"");
    check_label("\U0001f642", "\U0001f642", "\\U1F642");
    check_label("\xc2\x85", "\\xC2\\x85", "\\xC2\\x85");
    check_label("L1H3 \u00b7 x", "L1H3 \u00b7 x", "L1H3 - x");
    check_label("", "", "");
    /* making visible twice changes nothing */
    check_label("\\n\\x1B", "\\n\\x1B", "\\n\\x1B");
}

static void labels_columns(void **state)
{
    (void)state;
    strbuf b = {0};

    assert_int_equal(label_columns("abc"), 3);
    assert_int_equal(label_columns("\u5317\u4eac"), 4);
    assert_int_equal(label_columns("e\u0301"), 1);
    assert_int_equal(label_columns("\U0001f642!"), 3);
    label_put_cut(&b, "\u5317\u4eac\u5e02", 4, false);
    assert_string_equal(strbuf_str(&b), "\u5317\u2026"); /* a wide character is not cut in half */
    strbuf_clear(&b);
    label_put_cut(&b, "abcdef", 4, true);
    assert_string_equal(strbuf_str(&b), "abc~");
    strbuf_clear(&b);
    label_put_cut(&b, "abcd", 4, true);
    assert_string_equal(strbuf_str(&b), "abcd");
    strbuf_clear(&b);
    label_put_cut(&b, "abcd", 0, true);
    assert_string_equal(strbuf_str(&b), "");
    strbuf_free(&b);
}

/* --- the page --- */

static bool overlap(box a, box b)
{
    const double slack = 1e-6;
    return a.x + a.w > b.x + slack && b.x + b.w > a.x + slack && a.y + a.h > b.y + slack &&
           b.y + b.h > a.y + slack;
}

static const scene_item *map_of(const scene *s)
{
    for (int64_t i = 0; i < s->n; i++) {
        if (s->items[i].kind == SCENE_RASTER)
            return &s->items[i]; /* cells come before the colour bar */
    }
    return NULL;
}

/* Nothing leaves the pic, no text touches another, none is too small, labels stay off the map. */
static void check_page(const scene *s, bool text_on_map)
{
    const scene_item *map = map_of(s);
    box inside = {2 * s->page.px, 2 * s->page.px, s->page.width - 4 * s->page.px, s->height - 4 * s->page.px};

    assert_non_null(map);
    assert_true(map->at.w > 0 && map->at.h > 0);
    for (int64_t i = 0; i < s->n; i++) {
        const scene_item *a = &s->items[i];
        if (a->at.x < inside.x || a->at.y < inside.y || a->at.x + a->at.w > inside.x + inside.w ||
            a->at.y + a->at.h > inside.y + inside.h) {
            print_message("# '%s' at %g, %g (%g x %g) leaves the page of %g x %g\n",
                          a->text ? a->text : "a box", a->at.x, a->at.y, a->at.w, a->at.h, s->page.width,
                          s->height);
            fail();
        }
        if (a->kind != SCENE_TEXT)
            continue;
        assert_true(a->style.size >= PAGE_MIN_FONT);
        for (int64_t j = 0; j < i; j++) {
            if (s->items[j].kind == SCENE_TEXT && overlap(a->at, s->items[j].at)) {
                print_message("# '%s' touches '%s'\n", a->text, s->items[j].text);
                fail();
            }
            if (s->items[j].kind == SCENE_RASTER && (!text_on_map || &s->items[j] != map))
                assert_false(overlap(a->at, s->items[j].at));
        }
    }
}

static void layout_everywhere(void **state)
{
    (void)state;
    static const int64_t shape[][2] = {{1, 1}, {2, 2}, {1, 7}, {7, 1}, {11, 11}, {24, 24}, {26, 26}, {48, 48},
                                       {129, 129}, {200, 200}, {9, 900}, {900, 9}, {1, 3000}, {4, 8}, {30, 9},
                                       {32, 32}, {12, 500}};
    static const char *const width[] = {"25", "45", "single", "120", "double", "slide"};
    static const char *const size[] = {"7", "8", "13"};
    int drawn = 0, refused = 0;

    for (size_t k = 0; k < sizeof shape / sizeof *shape; k++) {
        for (int variant = 0; variant < 6 * 3 * 2 * 2; variant++) {
            bool words = variant & 1, scores = variant & 2;
            sample s;
            scene *pic = NULL;
            err e = {0};
            sample_init(&s, scores ? "score_grid" : "head_map", shape[k][0], shape[k][1], !scores, words,
                        OPTIONS("width", width[variant / 4 % 6], "font-size", size[variant / 24], "dpi",
                                "100", "norm", k & 1 ? "log" : "linear"));
            s.d.title = k % 3 ? "A title that is so long that it needs more than a line on most pages \u00b7 "
                                "a model of the "
                                "largest size"
                              : NULL;
            int rc = s.f->build(&pic, &s.d, s.p, &e);
            if (rc) { /* only a page that is too narrow for its type */
                assert_int_equal(rc, ERR_USAGE);
                assert_non_null(strstr(e.msg, "no room for a map"));
                refused++;
            } else {
                check_page(pic, scores);
                drawn++;
            }
            scene_free(pic);
            sample_free(&s);
        }
    }
    assert_true(drawn > 900 && refused < drawn / 4);
}

static bool has_text(const scene *s, const char *text)
{
    for (int64_t i = 0; i < s->n; i++) {
        if (s->items[i].kind == SCENE_TEXT && strcmp(s->items[i].text, text) == 0)
            return true;
    }
    return false;
}

static scene *build(sample *s)
{
    scene *pic = NULL;
    err e = {0};

    if (s->f->build(&pic, &s->d, s->p, &e))
        print_message("# %s\n", e.msg);
    assert_non_null(pic);
    return pic;
}

static void layout_labels(void **state)
{
    (void)state;
    sample s;

    /* all labels where they fit */
    sample_init(&s, "head_map", SAMPLE_TOKENS, SAMPLE_TOKENS, true, true, OPTIONS("width", "double"));
    scene *pic = build(&s);
    assert_true(has_text(pic, " The") || has_text(pic, "The"));
    assert_true(has_text(pic, "\\n"));
    assert_true(has_text(pic, "\\x1B[31m"));
    assert_true(has_text(pic, "\u2423"));
    assert_true(has_text(pic, "\\u202E"));
    assert_true(has_text(pic, "not visible"));
    assert_true(has_text(pic, "query token") && has_text(pic, "key token"));
    assert_true(has_text(pic, "attention weight"));
    scene_free(pic);
    sample_free(&s);

    /* thinned: those that stay say where they are */
    sample_init(&s, "head_map", 96, 96, true, true, OPTIONS("width", "single"));
    pic = build(&s);
    assert_true(has_text(pic, "0: <|bos|>"));
    assert_false(has_text(pic, " The"));
    scene_free(pic);
    sample_free(&s);

    /* many: positions alone */
    sample_init(&s, "head_map", 400, 400, true, true, NULL);
    pic = build(&s);
    assert_true(has_text(pic, "0") && has_text(pic, "100") && has_text(pic, "300"));
    assert_false(has_text(pic, "<|bos|>"));
    scene_free(pic);
    sample_free(&s);

    /* too long: elided */
    sample_init(&s, "head_map", 2, 2, true, true, NULL);
    char *long_label = malloc(100001);
    memset(long_label, 'x', 100000);
    long_label[100000] = '\0';
    s.labels[1] = long_label;
    pic = build(&s);
    int elided = 0;
    for (int64_t i = 0; i < pic->n; i++) {
        const scene_item *it = &pic->items[i];
        if (it->kind == SCENE_TEXT && it->text[0] == 'x') {
            assert_string_equal(it->text + strlen(it->text) - 3, "\u2026");
            elided++;
        }
    }
    assert_int_equal(elided, 2);
    check_page(pic, false);
    scene_free(pic);
    free(long_label);
    sample_free(&s);
}

static void layout_widths(void **state)
{
    (void)state;
    static const struct { const char *width; double mm; } want[] = {
        {"single", 84}, {"double", 174}, {"slide", 254}, {"100", 100}, {"63.5", 63.5}};
    sample s;

    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        sample_init(&s, "head_map", 8, 8, true, false, OPTIONS("width", want[i].width));
        scene *pic = build(&s);
        assert_int_equal(pic->width_px, (int)lround(want[i].mm / 25.4 * 300));
        scene_free(pic);
        sample_free(&s);
    }
    /* by itself: one column when everything is legible there, else two */
    sample_init(&s, "head_map", 11, 11, true, true, NULL);
    s.labels[13 % 11] = "word";
    scene *pic = build(&s);
    assert_int_equal(pic->width_px, 992);
    scene_free(pic);
    sample_free(&s);
    sample_init(&s, "head_map", 60, 60, true, true, NULL);
    pic = build(&s);
    assert_int_equal(pic->width_px, 2055);
    scene_free(pic);
    sample_free(&s);
    static const char *const bad[] = {"0", "-5", "19", "1001", "wide", ""};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        err e = {0};
        pic = NULL;
        sample_init(&s, "head_map", 2, 2, true, false, OPTIONS("width", bad[i]));
        assert_int_equal(s.f->build(&pic, &s.d, s.p, &e), ERR_USAGE);
        assert_non_null(strstr(e.msg, "--width"));
        assert_non_null(strstr(e.hint, "single"));
        sample_free(&s);
    }
    err e = {0};
    pic = NULL;
    sample_init(&s, "head_map", 2, 2, true, false, OPTIONS("width", "1000", "dpi", "2400"));
    assert_int_equal(s.f->build(&pic, &s.d, s.p, &e), ERR_USAGE);
    assert_non_null(strstr(e.msg, "too large"));
    sample_free(&s);
    sample_init(&s, "head_map", 2, 2, true, false, OPTIONS("font", "No Such Family"));
    assert_int_equal(s.f->build(&pic, &s.d, s.p, &e), ERR_USAGE);
    assert_non_null(strstr(e.msg, "'No Such Family' is not installed"));
    sample_free(&s);
}

static void layout_values(void **state)
{
    (void)state;
    sample s;

    sample_init(&s, "score_grid", 4, 8, false, false, NULL);
    for (int i = 0; i < 32; i++)
        s.cells[i] = (float)i / 32;
    s.cells[9] = NAN;
    scene *pic = build(&s);
    assert_true(has_text(pic, "0.03") && has_text(pic, "0.97") && has_text(pic, "no value"));
    assert_false(has_text(pic, "0.28")); /* the missing one */
    scene_free(pic);
    assert_int_equal(params_set(s.p, "annotate", "false", NULL), 0);
    pic = build(&s);
    assert_false(has_text(pic, "0.03"));
    scene_free(pic);
    sample_free(&s);
    /* no room at one column: the values go, the colours stay */
    sample_init(&s, "score_grid", 32, 32, false, false, OPTIONS("width", "single"));
    pic = build(&s);
    assert_int_equal(map_of(pic)->rows * map_of(pic)->cols, 32 * 32);
    for (int64_t i = 0; i < pic->n; i++)
        assert_false(pic->items[i].kind == SCENE_TEXT && overlap(pic->items[i].at, map_of(pic)->at));
    scene_free(pic);
    sample_free(&s);
}

static void layout_pools(void **state)
{
    (void)state;
    sample s;

    sample_init(&s, "head_map", 4096, 4096, true, false, OPTIONS("pooling", "max"));
    scene *pic = build(&s);
    const scene_item *map = map_of(pic);
    int64_t pool = (4096 + map->rows - 1) / map->rows;
    char want[64];
    snprintf(want, sizeof want, "attention weight, max over %d × %d cells", (int)pool, (int)pool);
    assert_true(has_text(pic, want));
    assert_true(map->cols * map->cell_w <= pic->width_px && map->rows == map->cols);
    check_page(pic, false);
    scene_free(pic);
    sample_free(&s);
    /* no pooling while there is a pixel for each cell */
    sample_init(&s, "head_map", 1000, 1000, true, false, NULL);
    pic = build(&s);
    assert_int_equal(map_of(pic)->rows, 1000);
    assert_true(has_text(pic, "attention weight"));
    scene_free(pic);
    /* maps that were pooled before are numbered by token */
    s.d.m.rows = s.d.m.cols = 100;
    s.d.pool = 64;
    pic = build(&s);
    assert_true(has_text(pic, "attention weight, mean over 64 × 64 cells"));
    assert_true(has_text(pic, "1000") && has_text(pic, "6000"));
    check_page(pic, false);
    scene_free(pic);
    sample_free(&s);
}

static void registry(void **state)
{
    (void)state;
    for (const figure *const *f = figures; *f; f++) {
        assert_ptr_equal(figure_find((*f)->name), *f);
        assert_true((*f)->summary[0] && (*f)->build && (*f)->view);
        assert_true((*f)->needs && (*f)->needs[0]);
        if (f[1])
            assert_true(strcmp((*f)->name, f[1]->name) < 0);
    }
    assert_non_null(figure_find("head_map"));
    assert_non_null(figure_find("score_grid"));
    assert_null(figure_find("head"));
}

/* Words that do not fit on one line are spread over the lines: none is left alone on the last. */
static void wrapped_lines_are_balanced(void **state)
{
    (void)state;
    static const char text[] = "one two three four five six seven eight nine ten eleven";
    sample sm;
    page pg;
    scene *s = NULL;
    const char *lines[3];
    text_style style = {.size = 8};

    sample_init(&sm, "score_grid", 2, 2, false, false, NULL);
    assert_int_equal(page_init(&pg, sm.p, 84, NULL), 0);
    assert_int_equal(scene_new(&s, &pg, NULL), 0);
    double whole = scene_text_width(s, text, style);
    assert_int_equal(scene_wrap(s, lines, 3, text, style, whole - 1), 2);
    double first = scene_text_width(s, lines[0], style), second = scene_text_width(s, lines[1], style);
    assert_true(first > 0.4 * whole && second > 0.35 * whole);
    assert_int_equal(scene_wrap(s, lines, 3, text, style, whole + 1), 1);
    assert_string_equal(lines[0], text);
    scene_free(s);
    sample_free(&sm);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrapped_lines_are_balanced),
        cmocka_unit_test(colormap_published),
        cmocka_unit_test(colormap_shape),
        cmocka_unit_test(colormap_unknown),
        cmocka_unit_test(terminal_palette),
        cmocka_unit_test(scale_linear),
        cmocka_unit_test(scale_log),
        cmocka_unit_test(scale_percentiles),
        cmocka_unit_test(scale_bad),
        cmocka_unit_test(numbers),
        cmocka_unit_test(pooling_values),
        cmocka_unit_test(pooling_nothing),
        cmocka_unit_test(labels_visible),
        cmocka_unit_test(labels_columns),
        cmocka_unit_test(layout_everywhere),
        cmocka_unit_test(layout_labels),
        cmocka_unit_test(layout_widths),
        cmocka_unit_test(layout_values),
        cmocka_unit_test(layout_pools),
        cmocka_unit_test(registry),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
