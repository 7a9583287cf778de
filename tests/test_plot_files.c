/* plots: the files.  PNGs are decoded again with libpng and compared with what they should show. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <dirent.h>
#include <png.h>
#include <stdio.h>
#include <unistd.h>

#include "base/cancel.h"
#include "base/mem.h"
#include "plots/colormap.h"
#include "plots/scene.h"
#include "plots/writer.h"
#include "tests/figure_sample.h"

static char folder[64];

static const char *in_folder(const char *name)
{
    static char path[400];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static int make_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/plots-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    DIR *d = opendir(folder);

    for (struct dirent *x; d && (x = readdir(d));)
        unlink(in_folder(x->d_name));
    if (d)
        closedir(d);
    return rmdir(folder);
}

/* --- reading back --- */

typedef struct picture {
    png_structp png;
    png_infop info;
    int w, h;
    png_bytepp rows;
} picture;

static picture read_png(const char *path)
{
    picture p = {0};
    FILE *f = fopen(path, "rb");

    assert_non_null(f);
    p.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    p.info = png_create_info_struct(p.png);
    assert_non_null(p.info);
    if (setjmp(png_jmpbuf(p.png)))
        fail();
    png_init_io(p.png, f);
    png_read_png(p.png, p.info, PNG_TRANSFORM_IDENTITY, NULL);
    fclose(f);
    assert_int_equal(png_get_color_type(p.png, p.info), PNG_COLOR_TYPE_RGB);
    assert_int_equal(png_get_bit_depth(p.png, p.info), 8);
    p.w = (int)png_get_image_width(p.png, p.info);
    p.h = (int)png_get_image_height(p.png, p.info);
    p.rows = png_get_rows(p.png, p.info);
    return p;
}

static void free_png(picture *p)
{
    png_destroy_read_struct(&p->png, &p->info, NULL);
}

static uint32_t pixel(const picture *p, int x, int y)
{
    const png_byte *c = p->rows[y] + 3 * x;
    return (uint32_t)c[0] << 16 | (uint32_t)c[1] << 8 | c[2];
}

static const png_text *chunk(const picture *p, const char *key)
{
    png_textp text;
    int n = png_get_text(p->png, p->info, &text, NULL);

    for (int i = 0; i < n; i++) {
        if (strcmp(text[i].key, key) == 0)
            return &text[i];
    }
    return NULL;
}

static char *read_file(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    char *s;

    assert_non_null(f);
    fseek(f, 0, SEEK_END);
    *n = (size_t)ftell(f);
    rewind(f);
    s = calloc(*n + 1, 1);
    assert_int_equal(fread(s, 1, *n, f), *n);
    fclose(f);
    return s;
}

static void draw(const sample *s, const char *path)
{
    err e = {0};
    if (figure_draw(s->f, &s->d, s->p, path, &e))
        print_message("# %s\n", e.msg);
    assert_int_equal(e.code, 0);
}

/* Where the map lies: the first raster of the scene, in pixels. */
static void find_map(const sample *s, scene_item *map, int *x, int *y, scene **owner)
{
    assert_int_equal(s->f->build(owner, &s->d, s->p, NULL), 0);
    for (int64_t i = 0; i < (*owner)->n; i++) {
        if ((*owner)->items[i].kind == SCENE_RASTER) {
            *map = (*owner)->items[i];
            *x = (int)lround(map->at.x / (*owner)->page.px);
            *y = (int)lround(map->at.y / (*owner)->page.px);
            return;
        }
    }
    fail();
}

/* Every pixel of every cell away from the separators and, for annotated maps, from the text. */
static void check_cells(const sample *s, const picture *p, const char *cmap, bool whole)
{
    scene *owner = NULL;
    scene_item map;
    palette pal;
    int x0, y0;

    assert_int_equal(palette_find(&pal, cmap, NULL), 0);
    find_map(s, &map, &x0, &y0, &owner);
    assert_int_equal(owner->width_px, p->w);
    assert_int_equal(owner->height_px, p->h);
    assert_int_equal(map.rows, s->d.m.rows);
    assert_int_equal(map.cols, s->d.m.cols);
    for (int64_t r = 0; r < map.rows; r++) {
        for (int64_t c = 0; c < map.cols; c++) {
            double v = (double)s->cells[r * map.cols + c];
            rgb want = palette_at(pal, v); /* limits 0 and 1, linear */
            uint32_t colour = (uint32_t)want.r << 16 | (uint32_t)want.g << 8 | want.b;
            if (isnan(v))
                colour = 0xdcdcdc;
            int left = x0 + (int)c * map.cell_w, top = y0 + (int)r * map.cell_h;
            if (whole) {
                for (int y = 0; y < map.cell_h; y++) {
                    for (int x = 0; x < map.cell_w; x++)
                        assert_int_equal(pixel(p, left + x, top + y), colour);
                }
            } else {
                assert_int_equal(pixel(p, left + 4, top + 4), colour);
            }
        }
    }
    scene_free(owner);
}

static void check_white_border(const picture *p)
{
    for (int y = 0; y < p->h; y++) {
        for (int x = 0; x < p->w; x++) {
            if (x < 2 || y < 2 || x >= p->w - 2 || y >= p->h - 2)
                assert_int_equal(pixel(p, x, y), 0xffffff);
        }
    }
}

/* --- PNG --- */

static void png_head_map(void **state)
{
    (void)state;
    static const char *const maps[] = {"viridis", "magma", "cividis", "Blues", "YlGnBu", "viridis_r"};

    for (size_t i = 0; i < sizeof maps / sizeof *maps; i++) {
        sample s;
        sample_init(&s, "head_map", 22, 22, true, true, OPTIONS("cmap", maps[i]));
        s.cells[0] = 1;  /* the ends of the map, exactly */
        s.cells[22] = 0;
        draw(&s, in_folder("a.png"));
        picture p = read_png(in_folder("a.png"));
        check_cells(&s, &p, maps[i], true);
        check_white_border(&p);
        free_png(&p);
        sample_free(&s);
    }
}

static void png_score_grid(void **state)
{
    (void)state;
    sample s;

    sample_init(&s, "score_grid", 4, 8, false, false, NULL);
    s.cells[13] = NAN;
    draw(&s, in_folder("a.png"));
    picture p = read_png(in_folder("a.png"));
    check_cells(&s, &p, "viridis", false);
    check_white_border(&p);
    free_png(&p);
    sample_free(&s);
}

static void png_says_what_it_is(void **state)
{
    (void)state;
    static const char *const about[] = {
        "Command",
        "attnscope plot head_map --run 3",
        "Prompt",
        "Wei\u00df \u7684\nline two",
        "Model hash",
        "3f786850",
        "  odd \x01 key  ",
        "bytes \xff\x1b",
        "Empty",
        "",
        NULL,
    };
    static const int dpis[] = {72, 150, 300, 600};
    sample s;

    for (size_t i = 0; i < 4; i++) {
        char dpi[16];
        snprintf(dpi, sizeof dpi, "%d", dpis[i]);
        sample_init(&s, "head_map", 3, 3, true, false, OPTIONS("dpi", dpi));
        s.d.provenance = about;
        draw(&s, in_folder("a.png"));
        picture p = read_png(in_folder("a.png"));
        png_uint_32 x, y;
        int unit, intent;
        assert_int_equal(p.w, (int)lround(84 / 25.4 * dpis[i]));
        assert_true(png_get_pHYs(p.png, p.info, &x, &y, &unit));
        assert_int_equal(unit, PNG_RESOLUTION_METER);
        assert_int_equal(x, (int)lround(dpis[i] / 0.0254));
        assert_int_equal(y, x);
        assert_true(png_get_sRGB(p.png, p.info, &intent));
        assert_false(png_get_valid(p.png, p.info, PNG_INFO_tIME));
        check_white_border(&p);
        const png_text *t = chunk(&p, "Title");
        assert_non_null(t);
        assert_string_equal(t->text, "L1H3 \u00b7 lantern-3m");
        assert_int_equal(t->compression, PNG_ITXT_COMPRESSION_NONE); /* beyond ASCII: iTXt */
        t = chunk(&p, "Command");
        assert_string_equal(t->text, "attnscope plot head_map --run 3");
        assert_int_equal(t->compression, PNG_TEXT_COMPRESSION_NONE);
        assert_string_equal(chunk(&p, "Prompt")->text, "Wei\u00df \u7684\nline two");
        assert_string_equal(chunk(&p, "Model hash")->text, "3f786850");
        assert_string_equal(chunk(&p, "Software")->text, "attnscope");
        assert_string_equal(chunk(&p, "Figure")->text, "head_map");
        assert_string_equal(chunk(&p, "odd \\x01 key")->text, "bytes \\xFF\\x1B");
        assert_string_equal(chunk(&p, "Empty")->text, "");
        assert_non_null(chunk(&p, "Font"));
        free_png(&p);
        sample_free(&s);
    }
}

static void png_caller_names_software(void **state)
{
    (void)state;
    static const char *const about[] = {"Software", "attnscope 9.9", NULL};
    png_textp text;
    sample s;
    int n = 0;

    sample_init(&s, "head_map", 2, 2, false, false, NULL);
    s.d.provenance = about;
    draw(&s, in_folder("a.png"));
    picture p = read_png(in_folder("a.png"));
    assert_string_equal(chunk(&p, "Software")->text, "attnscope 9.9");
    int all = png_get_text(p.png, p.info, &text, NULL);
    for (int i = 0; i < all; i++)
        n += strcmp(text[i].key, "Software") == 0;
    assert_int_equal(n, 1);
    free_png(&p);
    sample_free(&s);
}

static void png_large(void **state)
{
    (void)state;
    sample s;
    scene *owner = NULL;
    scene_item map;
    int x0, y0;

    sample_init(&s, "head_map", 4096, 4096, true, false, OPTIONS("dpi", "100"));
    draw(&s, in_folder("a.png"));
    picture p = read_png(in_folder("a.png"));
    check_white_border(&p);
    find_map(&s, &map, &x0, &y0, &owner);
    int pool = (int)((4096 + map.rows - 1) / map.rows);
    palette pal;
    assert_int_equal(palette_find(&pal, "viridis", NULL), 0);
    for (int r = 0; r < map.rows; r += 37) {
        for (int c = 0; c < map.cols; c += 29) {
            double sum = 0;
            int n = 0;
            for (int i = r * pool; i < (r + 1) * pool && i < 4096; i++) {
                for (int j = c * pool; j < (c + 1) * pool && j <= i; j++, n++)
                    sum += (double)s.cells[i * 4096 + j];
            }
            rgb want = palette_at(pal, n ? (double)(float)(sum / n) : 0);
            uint32_t colour = n ? (uint32_t)want.r << 16 | (uint32_t)want.g << 8 | want.b : 0xdcdcdc;
            assert_int_equal(pixel(&p, x0 + c * map.cell_w, y0 + r * map.cell_h), colour);
        }
    }
    scene_free(owner);
    free_png(&p);
    sample_free(&s);
}

/* --- every recipe in every format --- */

/* Charts draw series, not a matrix: they have tests of their own. */
static bool is_chart(const figure *f)
{
    for (const param *p = f->params; p && p->name; p++)
        if (strcmp(p->name, "log-x") == 0)
            return true;
    return false;
}

static void conformance(void **state)
{
    (void)state;
    for (const figure *const *f = figures; *f; f++) {
        if (is_chart(*f))
            continue;
        for (const writer *const *w = writers; *w; w++) {
            sample s;
            size_t n[2];
            char *bytes[2], name[2][32];
            sample_init(&s, (*f)->name, 12, 12, true, true, OPTIONS("dpi", "120"));
            for (int i = 0; i < 2; i++) {
                snprintf(name[i], sizeof name[i], "%d.%s", i, (*w)->extension);
                draw(&s, in_folder(name[i]));
                bytes[i] = read_file(in_folder(name[i]), &n[i]);
            }
            assert_true(n[0] > 1000);
            assert_int_equal(n[0], n[1]);
            assert_memory_equal(bytes[0], bytes[1], n[0]);
            free(bytes[0]);
            free(bytes[1]);
            sample_free(&s);
        }
    }
}

static int count(const char *s, const char *word)
{
    int n = 0;

    for (; (s = strstr(s, word)); s += strlen(word))
        n++;
    return n;
}

static void svg_has_text(void **state)
{
    (void)state;
    static const char *const about[] = {"Command", "plot <a> & \"b\"", NULL};
    sample s;
    scene *owner = NULL;
    scene_item map;
    size_t n;
    int x, y, texts = 0;

    sample_init(&s, "head_map", SAMPLE_TOKENS, SAMPLE_TOKENS, true, true, NULL);
    s.d.provenance = about;
    draw(&s, in_folder("a.SVG")); /* the extension in any case */
    char *svg = read_file(in_folder("a.SVG"), &n);
    find_map(&s, &map, &x, &y, &owner);
    for (int64_t i = 0; i < owner->n; i++)
        texts += owner->items[i].kind == SCENE_TEXT;
    assert_int_equal(count(svg, "<text "), texts);
    assert_int_equal(count(svg, "</text>"), texts);
    assert_int_equal(count(svg, "<image "), 2); /* map and colour bar */
    assert_int_equal(count(svg, ">&lt;|bos|&gt;</text>"), 2);
    assert_int_equal(count(svg, "\u5317\u4eac"), 2);
    assert_int_equal(count(svg, ">\\x1B[31m</text>"), 2);
    assert_non_null(strstr(svg, "Command: plot &lt;a&gt; &amp; &quot;b&quot;"));
    const char *width = strstr(svg, " width=\"");
    assert_non_null(width);
    assert_true(fabs(strtod(width + 8, NULL) - 174) < 25.4 / 300); /* to a pixel */
    for (size_t i = 0; i < n; i++) /* XML has no other control characters */
        assert_true((unsigned char)svg[i] >= 0x20 || svg[i] == '\n');
    scene_free(owner);
    free(svg);
    sample_free(&s);
}

static void pdf_has_no_date(void **state)
{
    (void)state;
    sample s;
    size_t n;

    sample_init(&s, "score_grid", 4, 8, false, false, NULL);
    draw(&s, in_folder("a.pdf"));
    char *pdf = read_file(in_folder("a.pdf"), &n);
    assert_memory_equal(pdf, "%PDF-", 5);
    for (size_t i = 0; i + 12 < n; i++)
        assert_true(memcmp(pdf + i, "/CreationDat", 12) != 0 && memcmp(pdf + i, "/Type3", 6) != 0);
    free(pdf);
    sample_free(&s);
}

/* --- what goes wrong --- */

static void bad_paths(void **state)
{
    (void)state;
    static const struct { const char *path, *says; } bad[] = {
        {"a.gif", "unknown extension '.gif'"}, {"figure", "no extension"}, {"dir.png/figure", "no extension"},
        {"a.", "no extension"},                {"-", "no extension"},
    };
    sample s;
    err e = {0};

    sample_init(&s, "head_map", 2, 2, true, false, NULL);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(figure_draw(s.f, &s.d, s.p, bad[i].path, &e), ERR_USAGE);
        assert_non_null(strstr(e.msg, bad[i].says));
        assert_non_null(strstr(e.hint, ".pdf, .png, .svg"));
    }
    assert_int_not_equal(figure_draw(s.f, &s.d, s.p, in_folder("none/a.png"), &e), 0);
    assert_non_null(strstr(e.msg, "none/a.png"));
    sample_free(&s);
}

static void bad_data_leaves_no_file(void **state)
{
    (void)state;
    sample s;
    err e = {0};

    sample_init(&s, "head_map", 3, 3, true, false, NULL);
    for (int i = 0; i < 9; i++)
        s.cells[i] = NAN;
    assert_int_equal(figure_draw(s.f, &s.d, s.p, in_folder("nothing.png"), &e), ERR_FAILED);
    assert_string_equal(e.msg, "nothing to draw: no finite values");
    assert_int_not_equal(access(in_folder("nothing.png"), F_OK), 0);
    s.d.m.rows = 0;
    assert_int_equal(figure_draw(s.f, &s.d, s.p, in_folder("nothing.png"), &e), ERR_FAILED);
    assert_string_equal(e.msg, "nothing to draw: the matrix has no cells");
    s.d.m.rows = 3;
    s.d.m.cells = NULL;
    assert_int_equal(figure_draw(s.f, &s.d, s.p, in_folder("nothing.png"), &e), ERR_FAILED);
    sample_free(&s);
}

static void cancelled_leaves_no_file(void **state)
{
    (void)state;
    static const char *const names[] = {"cancelled.png", "cancelled.svg", "cancelled.pdf"};
    sample s;

    sample_init(&s, "head_map", 200, 200, true, false, NULL);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        err e = {0};
        cancel_request();
        int rc = figure_draw(s.f, &s.d, s.p, in_folder(names[i]), &e);
        cancel_clear();
        assert_int_equal(rc, ERR_CANCELLED);
        assert_string_equal(e.msg, "cancelled");
        assert_int_not_equal(access(in_folder(names[i]), F_OK), 0);
    }
    sample_free(&s);
}

static void cancel_at_row(const void *ud, int y, uint8_t *pixels)
{
    (void)ud;
    memset(pixels, 0, 3 * 8);
    assert_in_range(y, 0, 5); /* none after the one in which Ctrl-C came */
    if (y == 5)
        cancel_request();
}

static void png_encoder_is_cancelled(void **state)
{
    (void)state;
    strbuf out = {0};
    err e = {0};

    int rc = png_encode(&out, 8, 1000, cancel_at_row, NULL, 0, NULL, &e);
    cancel_clear();
    assert_int_equal(rc, ERR_CANCELLED);
    strbuf_free(&out);
}

/* Whichever allocation fails: out of memory is said, no file is left, nothing leaks. */
static void every_allocation_fails_once(void **state)
{
    (void)state;
    for (const writer *const *w = writers; *w; w++) {
        sample s;
        char name[32];
        sample_init(&s, "score_grid", 3, 3, true, true, OPTIONS("dpi", "40"));
        snprintf(name, sizeof name, "oom.%s", (*w)->extension);
        for (long nth = 1;; nth++) {
            err e = {0};
            mem_fail_at(nth);
            int rc = figure_draw(s.f, &s.d, s.p, in_folder(name), &e);
            mem_fail_at(0);
            if (rc == 0)
                break;
            assert_int_equal(rc, ERR_RESOURCE);
            assert_int_not_equal(access(in_folder(name), F_OK), 0);
            assert_in_range(nth, 1, 5000);
        }
        assert_int_equal(access(in_folder(name), F_OK), 0);
        sample_free(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(png_head_map),
        cmocka_unit_test(png_score_grid),
        cmocka_unit_test(png_says_what_it_is),
        cmocka_unit_test(png_caller_names_software),
        cmocka_unit_test(png_large),
        cmocka_unit_test(conformance),
        cmocka_unit_test(svg_has_text),
        cmocka_unit_test(pdf_has_no_date),
        cmocka_unit_test(bad_paths),
        cmocka_unit_test(bad_data_leaves_no_file),
        cmocka_unit_test(cancelled_leaves_no_file),
        cmocka_unit_test(png_encoder_is_cancelled),
        cmocka_unit_test(every_allocation_fails_once),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
