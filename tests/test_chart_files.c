/* Charts: the files, the terminal, and hostile data. */
#include "tests/chart_sample.h"

#include <png.h>

#include "base/mem.h"
#include "plots/label.h"
#include "plots/writer.h"

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
    x->rule = (figure_rule){2.5, "threshold"};
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
#define AT(x, y, k) ((uint32_t)px[3 * ((y) * w + (x)) + (k)])
#define PIXEL(x, y) (AT(x, y, 0) << 16 | AT(x, y, 1) << 8 | AT(x, y, 2))
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
#undef AT
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

/* Whatever allocation fails: an error, nothing leaks, nothing is half there. */
static void out_of_memory(void **state)
{
    (void)state;
    static const double at[] = {0, 1}, up[] = {2, -1};
    for (int kind = 0; kind < 2; kind++) {
        int failed = 0;
        for (long nth = 1; nth < 4000; nth++) {
            chart_sample x;
            scene *s = NULL;
            strbuf text = {0};
            err e = {0};
            start(&x, "layer_curve", NULL);
            if (kind) {
                add(&x, SERIES_BAR, "these heads", at, up, 2);
                x.c.groups = groups;
                x.c.n_groups = 2;
            } else {
                add_everything(&x);
            }
            mem_fail_at(nth);
            int built = chart_build(&s, &x.d, x.p, (chart_style){0}, &e);
            int viewed = chart_view(&text, &x.d, x.p, (chart_style){0}, TERM_256, (view_size){60, 20}, &e);
            mem_fail_at(0);
            assert_true(built == 0 || built == ERR_RESOURCE);
            assert_true(viewed == 0 || viewed == ERR_RESOURCE);
            assert_true((s != NULL) == (built == 0));
            scene_free(s);
            strbuf_free(&text);
            finish(&x);
            if (built == 0 && viewed == 0)
                break;
            failed++;
        }
        assert_in_range(failed, 10, 3998);
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
        cmocka_unit_test(same_bytes),
        cmocka_unit_test(shapes_in_files),
        cmocka_unit_test(any_values),
        cmocka_unit_test(out_of_memory),
        cmocka_unit_test(too_small_or_empty),
        cmocka_unit_test(views_fit),
        cmocka_unit_test(view_shows_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
